"""Lambda's `Invoke` over HTTP, as far as a caller sees it: the call is remembered, or handed on."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .support import Serving


class FakeLambda(Serving):
    """`calls`: (function, invocation type, body) of each call. `on_call` gets the body, in a thread."""

    def __init__(self, on_call: Callable[[bytes], object] | None = None) -> None:
        self.calls: list[tuple[str, str, bytes]] = []
        self.status = 202
        self._on_call = on_call
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def _take(self, name: str, kind: str, body: bytes) -> None:
        self.calls.append((name, kind, body))
        if self._on_call and self.status == 202:
            threading.Thread(target=self._on_call, args=(body,), daemon=True).start()

    def _handler(fake) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - `self` is the request's below
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                fake._take(self.path.split("/")[3], self.headers.get("X-Amz-Invocation-Type", ""), body)
                content = b"" if fake.status == 202 else json.dumps({"Message": "no"}).encode()
                self.send_response(fake.status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: object) -> None:
                pass

        return Handler
