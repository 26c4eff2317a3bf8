"""Lambda's Runtime API with response streaming, which AWS's own client for Python does not speak.

A module of its own, so that AWS's can take its place one day. Run as `python -m transcoding.aws.runtime
module.handler`; the handler gets the event and a `Context` and returns a `Response`, whose body may take as
long as it wants.
Source: AWS Lambda Developer Guide, "Building a custom runtime" (response streaming); for the form of an
HTTP answer, AWS's Node.js runtime.
"""

import base64
import http.client
import importlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

logger = logging.getLogger(__name__)

_API = "/2018-06-01/runtime"
_HTTP_ANSWER = "application/vnd.awslambda.http-integration-response"
_PRELUDE_END = b"\0" * 8
_ERROR_TYPE, _ERROR_BODY = "Lambda-Runtime-Function-Error-Type", "Lambda-Runtime-Function-Error-Body"
_ERROR_JSON = "application/vnd.aws.lambda.error+json"
_OK = 200
_ACCEPTED = 202


@dataclass(frozen=True, kw_only=True)
class Context:
    """What Lambda says of one invocation; the names are AWS's."""

    aws_request_id: str
    invoked_function_arn: str
    deadline: float
    """As `time.time()`."""

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self.deadline - time.time()) * 1000))


@dataclass(kw_only=True)
class Response:
    """An HTTP answer. The body is closed whatever happens, if it can be."""

    status: int = _OK
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Iterable[bytes] = ()


Handler = Callable[[dict[str, Any], Context], Response]


def main(argv: list[str] | None = None) -> None:
    """Serve for ever. The handler's name comes from the command line, or from Lambda's own variable."""
    name = (argv or sys.argv[1:] or [os.environ.get("_HANDLER", "")])[0]
    api = RuntimeApi(os.environ["AWS_LAMBDA_RUNTIME_API"])
    try:
        handler = _load(name)
    except Exception as error:
        logger.exception("handler not loaded")
        api.fail_to_start(error)
        sys.exit(1)
    while True:
        api.serve_one(handler)


def _load(name: str) -> Handler:
    module, _, function = name.rpartition(".")
    handler: Handler = getattr(importlib.import_module(module.replace("/", ".")), function)
    return handler


class RuntimeApi:
    """Lambda's side of the conversation: `host:port`."""

    def __init__(self, address: str) -> None:
        self._address = address

    def _connection(self, timeout: float | None = None) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._address, timeout=timeout)

    def serve_one(self, handler: Handler) -> None:
        """Wait for an invocation and answer it."""
        event, context, echo = self._next()
        try:
            response = handler(event, context)
        except Exception as error:
            logger.exception("invocation failed", extra={"request": context.aws_request_id})
            self._post(f"/invocation/{context.aws_request_id}/error", error)
            return
        try:
            self._stream(response, context, echo)
        finally:
            _close(response.body)

    def _next(self) -> tuple[dict[str, Any], Context, dict[str, str]]:
        connection = self._connection()  # without a timeout: Lambda freezes us until there is work
        try:
            connection.request("GET", f"{_API}/invocation/next")
            answer = connection.getresponse()
            body, headers = answer.read(), answer.headers
        finally:
            connection.close()
        if answer.status != _OK:
            raise ConnectionError(f"The runtime API answered {answer.status}.")
        if trace := headers.get("Lambda-Runtime-Trace-Id"):
            os.environ["_X_AMZN_TRACE_ID"] = trace
        invocation = headers.get("Lambda-Runtime-Invocation-Id")
        context = Context(
            aws_request_id=headers["Lambda-Runtime-Aws-Request-Id"],
            invoked_function_arn=headers.get("Lambda-Runtime-Invoked-Function-Arn", ""),
            deadline=int(headers["Lambda-Runtime-Deadline-Ms"]) / 1000,
        )
        echo = {"Lambda-Runtime-Invocation-Id": invocation} if invocation else {}
        return json.loads(body), context, echo

    def _stream(self, response: Response, context: Context, echo: dict[str, str]) -> None:
        """Prelude, then pieces as they come; what goes wrong in between is told by trailers."""
        connection = self._connection(timeout=60)
        try:
            connection.putrequest("POST", f"{_API}/invocation/{context.aws_request_id}/response")
            for name, value in {
                "Content-Type": _HTTP_ANSWER,
                "Lambda-Runtime-Function-Response-Mode": "streaming",
                "Transfer-Encoding": "chunked",
                "Trailer": f"{_ERROR_TYPE}, {_ERROR_BODY}",
                **echo,
            }.items():
                connection.putheader(name, value)
            connection.endheaders()
            connection.send(_chunk(_prelude(response)))
            failure = _send_all(connection, response.body)
            connection.send(b"0\r\n" + (_trailers(failure) if failure else b"") + b"\r\n")
            connection.getresponse().read()
        except OSError as error:
            # Whoever watched has left, or Lambda ends us. The body is closed, and with it ffmpeg.
            logger.info("client left", extra={"error": type(error).__name__})
        finally:
            connection.close()

    def fail_to_start(self, error: Exception) -> None:
        self._post("/init/error", error)

    def _post(self, path: str, error: Exception) -> None:
        connection = self._connection(timeout=30)
        try:
            body = json.dumps(_described(error))
            headers = {"Content-Type": _ERROR_JSON, _ERROR_TYPE: f"Runtime.{type(error).__name__}"}
            connection.request("POST", _API + path, body, headers)
            connection.getresponse().read()
        finally:
            connection.close()


def _prelude(response: Response) -> bytes:
    head = {"statusCode": response.status, "headers": dict(response.headers), "cookies": []}
    return json.dumps(head).encode() + _PRELUDE_END


def _send_all(connection: http.client.HTTPConnection, body: Iterable[bytes]) -> Exception | None:
    """What the body raised, if it did. What the connection raises goes on to the caller."""
    pieces = iter(body)
    while True:
        try:
            piece = next(pieces, None)
        except Exception as error:
            logger.exception("stream broke")
            return error
        if piece is None:
            return None
        if piece:
            connection.send(_chunk(piece))


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def _trailers(error: Exception) -> bytes:
    body = base64.b64encode(json.dumps(_described(error)).encode()).decode()
    return f"{_ERROR_TYPE}: Stream.{type(error).__name__}\r\n{_ERROR_BODY}: {body}\r\n".encode()


def _described(error: Exception) -> dict[str, Any]:
    """The kind and nothing else: foreign words may hold an address, and so a signature."""
    return {"errorType": type(error).__name__, "errorMessage": type(error).__name__, "stackTrace": []}


def _close(body: Iterable[bytes] | Iterator[bytes]) -> None:
    close = getattr(body, "close", None)
    if close:
        with suppress(Exception):
            close()


if __name__ == "__main__":
    main()
