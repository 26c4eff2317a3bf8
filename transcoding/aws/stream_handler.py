"""The stream function: a video from an allowed place in, one progressive MP4 out while it is converted.

`GET ?key=` an object of the bucket, `GET ?url=` an address on the list. What can be known to be wrong before
the first byte is a real 4xx or 5xx with a code; what goes wrong later ends the stream with an error, so that
nobody takes the piece for the whole.
"""

import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from transcoding.aws import playlists, settings, telemetry
from transcoding.aws.fetch import Fetcher, FetchRefused, Guard, HttpSource
from transcoding.aws.runtime import Context, Response
from transcoding.engine import keys
from transcoding.engine.contracts import FailureCode, Limits
from transcoding.engine.errors import BadInput, EngineError, SourceMissing, TransientFault
from transcoding.engine.sources import ByteSource, NotSeekable, S3Source, SourceFailed
from transcoding.engine.store import S3Store
from transcoding.engine.stream import BudgetReached, StreamLimits, stream

logger = logging.getLogger(__name__)

_METHODS = "GET, HEAD, OPTIONS"
_MIB = 1024**2
_MOST_OUTPUT = 190 * _MIB
"""Of the 200 MB that Lambda streams at most in one answer."""
_AFTERWARDS = 15.0
"""Seconds of the function's time that a stream may not have."""
_STATUS = {
    FailureCode.SOURCE_MISSING: HTTPStatus.NOT_FOUND,
    FailureCode.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
}
_UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY
_FAULTS = {
    SourceMissing: (HTTPStatus.NOT_FOUND, "source_missing"),
    NotSeekable: (_UNPROCESSABLE, "index_at_the_end"),
    BudgetReached: (HTTPStatus.GATEWAY_TIMEOUT, "source_too_slow"),
    SourceFailed: (HTTPStatus.BAD_GATEWAY, "source_failed"),
    TransientFault: (HTTPStatus.SERVICE_UNAVAILABLE, "try_again"),
}


class Refused(Exception):
    """`status` and `code` of the answer."""

    def __init__(self, status: int, code: str) -> None:
        self.status = status
        self.code = code
        super().__init__(code)


def handler(event: dict[str, Any], context: Context) -> Response:
    _start()
    method = event.get("requestContext", {}).get("http", {}).get("method", "GET")
    if method == "OPTIONS":
        return Response(
            status=HTTPStatus.NO_CONTENT, headers={"Allow": _METHODS, "Cache-Control": "no-store"}
        )
    if method not in ("GET", "HEAD"):
        return _refusal(Refused(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed"))
    with ExitStack() as held:
        try:
            wanted = _wanted(event)
            source, sound = _source(wanted)
            if method == "HEAD":
                return Response(headers=_headers(wanted))
            pieces = stream(source, settings.work_dir(), _limits(context), sound)
            held.callback(pieces.close)
            first = next(pieces)
        except (Refused, FetchRefused) as refusal:
            return _refusal(refusal)
        except (EngineError, StopIteration) as error:
            return _refusal(_translated(error))
        return Response(headers=_headers(wanted), body=_Body(first, pieces, held.pop_all().close))


@cache
def _start() -> None:
    telemetry.configure()
    _store()
    _fetcher()
    for left in settings.work_dir().glob("stream-*"):  # of an environment that was killed
        shutil.rmtree(left, ignore_errors=True)


@cache
def _store() -> S3Store:
    return S3Store(settings.store_config())


@cache
def _fetcher() -> Fetcher:
    hosts = tuple(host.strip() for host in os.environ.get("ALLOWED_HOSTS", "").split(",") if host.strip())
    return Fetcher(Guard(hosts=hosts))


class _Body:
    """The first piece, which is there, and those that follow. Closing it ends everything behind it."""

    def __init__(self, first: bytes, rest: Iterator[bytes], close: Callable[[], None]) -> None:
        self._first, self._rest, self._close = first, rest, close

    def __iter__(self) -> Iterator[bytes]:
        outcome, sent = "broken", 0
        try:
            yield self._first
            sent += len(self._first)
            for piece in self._rest:
                sent += len(piece)
                yield piece
            outcome = "streamed"
        except GeneratorExit:
            outcome = "client left"
            raise
        finally:
            telemetry.count(outcome, BytesOut=(sent, "Bytes"))
            self.close()

    def close(self) -> None:
        self._close()


def _wanted(event: dict[str, Any]) -> dict[str, str]:
    """`url` or `key`, and whether to download. Raises `Refused`."""
    asked = parse_qs(event.get("rawQueryString", ""), max_num_fields=20)
    wanted = {name: values[0] for name, values in asked.items() if name in ("url", "key", "download")}
    if ("url" in wanted) == ("key" in wanted) or any(len(values) > 1 for values in asked.values()):
        raise Refused(HTTPStatus.BAD_REQUEST, "url_or_key_needed")
    return wanted


def _source(wanted: dict[str, str]) -> tuple[ByteSource, ByteSource | None]:
    """The film, and its sound if that lies elsewhere. Raises `Refused`, `FetchRefused`, `BadInput`."""
    if key := wanted.get("key"):
        if not (keys.is_source(key) or keys.is_playable(key)):
            raise Refused(HTTPStatus.BAD_REQUEST, "no_such_key")
        return S3Source(_store(), key), None
    source = HttpSource(_fetcher(), wanted["url"])
    return playlists.opened(_fetcher(), source.url) if playlists.is_playlist(source) else (source, None)


def _limits(context: Context) -> StreamLimits:
    return StreamLimits(
        seconds=max(1.0, context.get_remaining_time_in_millis() / 1000 - _AFTERWARDS),
        output_bytes=settings.whole("MAX_STREAM_BYTES", _MOST_OUTPUT),
        conversion=Limits(long_side=settings.whole("STREAM_LONG_SIDE", 1280)),
    )


def _headers(wanted: dict[str, str]) -> dict[str, str]:
    seconds = settings.whole("STREAM_CACHE_SECONDS", 0)
    disposition = "attachment" if wanted.get("download") == "1" else "inline"
    return {
        "Content-Type": "video/mp4",
        "Content-Disposition": f'{disposition}; filename="video.mp4"',
        "Cache-Control": f"public, max-age={seconds}" if seconds else "private, no-store",
        "Accept-Ranges": "none",
        "X-Content-Type-Options": "nosniff",
    }


def _translated(error: Exception) -> Refused:
    if isinstance(error, BadInput):
        return Refused(_STATUS.get(error.code, _UNPROCESSABLE), error.code)
    for kind, (status, code) in _FAULTS.items():
        if isinstance(error, kind):
            return Refused(status, code)
    return Refused(_UNPROCESSABLE, FailureCode.DAMAGED)


def _refusal(refusal: Refused | FetchRefused) -> Response:
    logger.info("refused", extra={"status": int(refusal.status), "code": str(refusal.code)})
    telemetry.count("refused")
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    if refusal.status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = _METHODS
    body = json.dumps({"code": str(refusal.code)}).encode()
    return Response(status=int(refusal.status), headers=headers, body=(body,))
