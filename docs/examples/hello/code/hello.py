"""Answers HTTP on its container-port until it is told to stop. A service.

It listens on loopback unless HOST says otherwise, so that trying it on a laptop opens nothing to the network; the
image sets HOST to every address of the pod.
"""

import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hello(BaseHTTPRequestHandler):
    """Greets on every path."""

    def do_GET(self):
        """One greeting."""
        body = f"hello {os.environ.get('FIRST_NAME', 'world')}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        """One line a request, on standard output and at once."""
        print("hello:", format % args, flush=True)


def main():
    """Serves until SIGTERM."""
    address = (os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "18080")))
    server = ThreadingHTTPServer(address, Hello)
    # shutdown() waits for serve_forever() to return, so it must not run in the thread that serves.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"hello: listening on {address[0]}:{address[1]}", flush=True)
    server.serve_forever()
    server.server_close()
    print("hello: stopped as asked", flush=True)


if __name__ == "__main__":
    main()
