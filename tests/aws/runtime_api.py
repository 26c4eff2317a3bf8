"""Lambda's side of the Runtime API, on a socket: what a runtime sends is kept as it came, and when."""

import base64
import json
import queue
import socket
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self


@dataclass
class Answer:
    """One POST of a runtime."""

    path: str
    headers: dict[str, str]
    chunks: list[tuple[float, bytes]] = field(default_factory=list)
    """(seconds since the invocation was handed out, content)."""
    trailers: dict[str, str] = field(default_factory=dict)
    ended: bool = False

    @property
    def content(self) -> bytes:
        return b"".join(chunk for _, chunk in self.chunks)

    @property
    def prelude(self) -> dict[str, object]:
        head, separator, _ = self.content.partition(b"\0" * 8)
        assert separator, "There is no prelude."
        return json.loads(head)

    @property
    def body(self) -> bytes:
        return self.content.partition(b"\0" * 8)[2]

    @property
    def error(self) -> dict[str, str]:
        return json.loads(base64.b64decode(self.trailers["lambda-runtime-function-error-body"]))

    def first_byte_at(self) -> float:
        """When the first byte of the body came, after the prelude."""
        return next(at for at, _ in self.chunks[1:])

    def last_byte_at(self) -> float:
        return self.chunks[-1][0]


class RuntimeApiServer:
    """`give(event)` hands out one invocation; `answers` gets what came of it."""

    def __init__(
        self, *, seconds: float = 300, leave_after: int | None = None, read_slowly: float = 0
    ) -> None:
        self.answers: queue.Queue[Answer] = queue.Queue()
        self._events: queue.Queue[dict[str, object]] = queue.Queue()
        self._seconds = seconds
        self._leave_after = leave_after
        self._read_slowly = read_slowly
        self._handed_out = 0.0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.2)
        self._closing = threading.Event()
        self.address = "{}:{}".format(*self._listener.getsockname())

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._listener.close()

    def give(self, event: dict[str, object]) -> None:
        self._events.put(event)

    def answer(self, seconds: float = 60) -> Answer:
        return self.answers.get(timeout=seconds)

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(120)
        with connection, connection.makefile("rb") as stream:
            line = stream.readline().decode()
            if not line:
                return
            method, path, _ = line.split(" ")
            headers = _headers(stream)
            if method == "GET":
                self._next(connection)
            else:
                self._post(connection, stream, Answer(path=path, headers=headers))

    def _next(self, connection: socket.socket) -> None:
        while not self._closing.is_set():
            try:
                body = json.dumps(self._events.get(timeout=0.2)).encode()
            except queue.Empty:
                continue
            self._handed_out = time.monotonic()
            deadline = int((time.time() + self._seconds) * 1000)
            head = (
                "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: request-1\r\n"
                f"Lambda-Runtime-Deadline-Ms: {deadline}\r\nLambda-Runtime-Invocation-Id: invocation-1\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            connection.sendall(head.encode() + body)
            return

    def _post(self, connection: socket.socket, stream: "socket.SocketIO", answer: Answer) -> None:
        try:
            if answer.headers.get("transfer-encoding") == "chunked":
                self._chunks(stream, answer)
            else:
                content = stream.read(int(answer.headers.get("content-length", "0")))
                answer.chunks.append((time.monotonic() - self._handed_out, content))
                answer.ended = True
        finally:
            self.answers.put(answer)
        if answer.ended:
            connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")

    def _chunks(self, stream: "socket.SocketIO", answer: Answer) -> None:
        received = 0
        while True:
            size = int(stream.readline() or b"0", 16)
            if size == 0:
                answer.trailers = _headers(stream)
                answer.ended = True
                return
            answer.chunks.append((time.monotonic() - self._handed_out, stream.read(size)))
            stream.readline()
            received += size
            time.sleep(self._read_slowly)
            if self._leave_after is not None and received > self._leave_after:
                return


def _headers(stream: "socket.SocketIO") -> dict[str, str]:
    found = {}
    while (line := stream.readline().decode().strip()) != "":
        name, _, value = line.partition(":")
        found[name.lower()] = value.strip()
    return found
