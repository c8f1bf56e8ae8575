"""Says which request it took this one for, and writes it down. Below /early it
answers before it has read the body."""
import sys


def application(environ, start_response):
    text = "took %s %s" % (environ["REQUEST_METHOD"], environ["RAW_URI"])
    print(text, file=sys.stdout, flush=True)
    if "/early" not in environ["RAW_URI"]:
        environ["wsgi.input"].read()
    body = text.encode("latin-1")
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
