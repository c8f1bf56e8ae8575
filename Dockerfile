# A static binary in an image that holds nothing else: no shell, no package
# manager, no user but one without rights.
#
#   docker build --build-arg VERSION=$(git describe --always) -t postern .
#   docker run -p 8080:8080 -v postern:/data postern serve --upstream http://app:3000

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=devel
# The same flags as `make build`; a test compares the two and runs this line.
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/postern ./cmd/postern
RUN mkdir /out/data

FROM scratch
# To speak to an upstream over TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/postern /postern
# The store and the master key. Back both up, and never into the same place.
COPY --from=build --chown=65532:65532 /out/data /data
WORKDIR /data
VOLUME /data
USER 65532:65532
ENV POSTERN_LISTEN=:8080 \
    POSTERN_ADMIN_LISTEN=:9901 \
    POSTERN_STORE_PATH=/data/postern.db \
    POSTERN_STORE_KEY_FILE=/data/postern.key
EXPOSE 8080 9901
# /readyz on the admin listener, asked by the binary itself: there is no curl.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/postern", "healthcheck"]
ENTRYPOINT ["/postern"]
CMD ["serve"]
