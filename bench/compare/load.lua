-- What wrk sends: requests as a browser's script makes them, each with the next
-- token, and with an identity that every proxy has to take out.
local requests, n = {}, 0
local once = os.getenv("BENCH_ONCE") == "1"

local head = " HTTP/1.1\r\nHost: " .. os.getenv("BENCH_HOST") .. "\r\n" ..
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" ..
	"Accept: application/json\r\nAccept-Language: de,en-US;q=0.7,en;q=0.3\r\nAccept-Encoding: gzip, deflate, br\r\n" ..
	"Sec-Fetch-Dest: empty\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\nCookie: theme=dark; lang=de\r\n" ..
	"X-Auth-User: evil\r\nAuthorization: Bearer "

function init()
	local paths = {}
	for path in io.lines(os.getenv("BENCH_PATHS")) do paths[#paths + 1] = path end
	for token in io.lines(os.getenv("BENCH_TOKENS")) do
		requests[#requests + 1] = "GET " .. paths[#requests % #paths + 1] .. head .. token .. "\r\n\r\n"
	end
end

-- A token that is to be sent once is never sent twice: the slice ends before the
-- tokens do, by as many as there are connections that could want one more.
function request()
	n = n + 1
	if once and n + 64 >= #requests then wrk.thread:stop() end
	if n > #requests then
		if once then return "GET /spent" .. head .. "none\r\n\r\n" end
		n = 1
	end
	return requests[n]
end

function done(summary, latency)
	local e = summary.errors
	print(string.format("RESULT %d %d %d %d %d %f %f", summary.requests, summary.duration, summary.bytes,
		e.status, e.connect + e.read + e.write + e.timeout, latency:percentile(50), latency:percentile(99)))
end
