"""A local HTTP server for tests, with answers that can be made to fail."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, dict[str, str], bytes]


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler], Answer]) -> Iterator[str]:
    """Serves `answer(request) -> (status, headers, body)` and yields the address.

    A Content-Length among the headers is sent as it is, so that a body can be cut short.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answer(self)
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Keeps test output clean."""

    server = _server(Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _server(handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    """A server on a free port in which no client can read a status.

    The Materials Project's client takes 414 or 422 anywhere in an error, the port of its address too, for that
    status, and asks again in parts.
    """
    while True:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        if not any(status in str(server.server_port) for status in ("414", "422")):
            return server
        server.server_close()
