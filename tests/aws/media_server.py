"""A web server with videos: TLS, ranges or none, slow or broken, redirects. On loopback, under any name."""

import re
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import trustme

from .support import Serving

HOST = "media.example.test"


@dataclass
class Page:
    content: bytes = b""
    ranges: bool = True
    pause: float = 0.0
    """Seconds before each 64 KiB."""
    break_at: int | None = None
    """Bytes after which each connection is cut."""
    dies: bool = False
    """After the first connection that was cut it gives nothing any more."""
    status: int = 200
    location: str = ""

    def part(self, wanted: str) -> tuple[dict[str, str], bytes]:
        """(headers, content) for a Range, or for none."""
        headers = {"Location": self.location} if self.location else {}
        headers |= {"ETag": '"one"'} if self.ranges else {}
        content, total = self.content, len(self.content)
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)
        if found and self.ranges and self.status == 200:
            start, end = int(found[1]), int(found[2] or total - 1)
            content = content[start : end + 1]
            headers["Content-Range"] = f"bytes {start}-{start + len(content) - 1}/{total}"
        return {**headers, "Content-Length": str(len(content))}, content


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Clients leave; that is what some of them are for."""


@dataclass
class MediaServer(Serving):
    pages: dict[str, Page] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    """(path, Range) of each."""
    seen_hosts: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        server, self.client_context = _contexts()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._server.socket = server.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port = self._server.server_port
        self.base = f"https://{HOST}:{self.port}"

    def put(self, path: str, content: bytes = b"", **how: object) -> str:
        """The address under which it can be fetched now."""
        self.pages[path] = Page(content=content, **how)
        return self.base + path


@cache
def _contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """(server's, client's): a certificate for HOST, and the trust in whoever issued it."""
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert(HOST).configure_cert(server)
    authority.configure_trust(client)
    return server, client


def _handler(media: MediaServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = media.pages.get(self.path, Page(status=404))
            wanted = self.headers.get("Range", "")
            media.requests.append((self.path, wanted))
            media.seen_hosts.add(self.headers.get("Host", ""))
            headers, content = page.part(wanted)
            self.send_response(206 if "Content-Range" in headers else page.status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(OSError):  # the client has what it wanted
                self._send(content[: page.break_at], page.pause)
            if page.dies and page.break_at is not None and len(content) > page.break_at:
                page.status = 500

        def _send(self, content: bytes, pause: float) -> None:
            for at in range(0, len(content), 65536):
                time.sleep(pause)
                self.wfile.write(content[at : at + 65536])

        def log_message(self, *args: object) -> None:
            pass

    return Handler
