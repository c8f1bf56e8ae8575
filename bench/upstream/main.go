// Package main is the application of a measurement. It reads the head of a
// request and answers with so many bytes, without looking at more than the path:
// what ends in /large is answered with 1 MiB, and what ends in /echo with the
// head as it came, for a look at what a proxy makes of it.
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"log"
	"net"
)

// main serves until it is killed, which compare does when it is done.
func main() {
	listen := flag.String("listen", "127.0.0.1:9000", "address to listen on")
	size := flag.Int("size", 100, "bytes of an answer's body")
	flag.Parse()
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(serve(l, *size))
}

// application is what is answered.
type application struct{ small, large []byte }

// serve answers every connection until the listener is closed.
func serve(l net.Listener, size int) error {
	a := application{small: answer(bytes.Repeat([]byte("x"), size)), large: answer(bytes.Repeat([]byte("x"), 1<<20))}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go a.talk(conn)
	}
}

// answer is a whole one, made once.
func answer(body []byte) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer: bench\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// talk answers the requests of one connection, which have no body.
func (a application) talk(conn net.Conn) {
	defer conn.Close()
	var head []byte // of one request, taken anew for the next
	for br := bufio.NewReader(conn); ; {
		head = head[:0]
		for {
			line, err := br.ReadSlice('\n')
			if err != nil {
				return
			}
			head = append(head, line...)
			if len(bytes.TrimRight(line, "\r\n")) == 0 {
				break
			}
		}
		if _, err := conn.Write(a.reply(head)); err != nil {
			return
		}
	}
}

// reply is what a head is answered with.
func (a application) reply(head []byte) []byte {
	line, _, _ := bytes.Cut(head, []byte("\r\n"))
	path, _, _ := bytes.Cut(bytes.TrimPrefix(line, []byte("GET ")), []byte(" "))
	switch {
	case bytes.HasSuffix(path, []byte("/large")):
		return a.large
	case bytes.HasSuffix(path, []byte("/echo")):
		return answer(head)
	}
	return a.small
}
