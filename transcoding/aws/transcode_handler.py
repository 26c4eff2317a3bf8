"""The transcode function: an object arrives, the same `transcode()` as on a worker runs, the portal is told.

The source's version (its ETag) makes it idempotent: what has a result file of that version is answered
from it. Bad input is a result and is filed; a fault that another try could cure goes back to the queue.
"""

import logging
import os
import shutil
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from transcoding.aws import events, settings, telemetry
from transcoding.aws.callback import Conversation, Portal
from transcoding.aws.events import Arrival, Message, Task
from transcoding.aws.reports import SOURCE_ETAG, News, Report
from transcoding.aws.telemetry import mark
from transcoding.engine import keys
from transcoding.engine.contracts import (
    Extras,
    FailureCode,
    Limits,
    Outcome,
    OutputKind,
    TranscodeRequest,
    TranscodeResult,
)
from transcoding.engine.errors import EngineError, TransientFault
from transcoding.engine.messages import explain
from transcoding.engine.store import NoSuchObject, S3Store, StoredObject
from transcoding.engine.transcode import transcode

logger = logging.getLogger(__name__)

_AFTERWARDS = 20.0
"""Seconds of the function's time that ffmpeg may not have: to publish, to file, to tell."""
_LEAST = 30.0
"""Seconds below which nothing new is begun."""
_NEWS_EVERY = 10.0
_ROOM = 600 * 1024**2
"""Bytes of /tmp beyond source and output; a little more than the engine asks for."""
_LEFTOVERS = "transcode-*"
_JOBS = uuid.UUID("5d9d8c2e-3c0b-5e0c-9a7b-6f1c0f1f7f10")
"""Namespace of the ids of jobs that no portal knows."""


class Context(Protocol):
    """What Lambda says of this invocation."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int: ...


class Superseded(Exception):
    """The portal says that the work is not ours, or no longer: cancelled, or another attempt has it."""


class OutOfTime(Exception):
    """The function would be killed before the conversion ended."""


def handler(event: dict[str, Any], context: Context) -> dict[str, Any]:
    """Do what the event asks for. One message's fault is none of the others'."""
    _start()
    outcomes: list[dict[str, Any]] = []
    failed: dict[str, Exception] = {}
    for message in events.messages(event):
        try:
            outcomes += [_do(task, context) for task in _tasks(message)]
        except Exception as error:
            logger.exception("message failed", extra={"request": context.aws_request_id})
            failed[message.id] = error
    if events.is_from_queue(event):
        return {"batchItemFailures": [{"itemIdentifier": name} for name in failed]}
    if failed:
        raise next(iter(failed.values()))
    return {"outcomes": outcomes}


def _tasks(message: Message) -> list[Task]:
    return [task for task in message.tasks() if not isinstance(task, Arrival) or _concerns_us(task)]


def _concerns_us(arrival: Arrival) -> bool:
    """Not what we made, not what is no video by its key, not another bucket's."""
    if keys.is_source(arrival.key) and arrival.bucket == _store().bucket:
        return True
    logger.info("ignored", extra={"source": mark(arrival.key)})
    return False


@cache
def _start() -> None:
    """Once for each environment: a wrong setting is told before any work."""
    telemetry.configure()
    _store()
    _portal()


@cache
def _store() -> "_MarkingStore":
    return _MarkingStore(settings.store_config())


@cache
def _portal() -> Portal | None:
    return Portal.from_environment()


class _MarkingStore(S3Store):
    """Says on each object that it makes which version of the source it was made from."""

    etag = ""

    def upload(
        self,
        path: Path,
        key: str,
        content_type: str,
        metadata: dict[str, str],
        on_bytes: Callable[[int], None] | None = None,
    ) -> None:
        super().upload(path, key, content_type, {**metadata, SOURCE_ETAG: self.etag}, on_bytes)


def _do(task: Task, context: Context) -> dict[str, Any]:
    key = task.key if isinstance(task, Arrival) else task.source_key
    if not keys.is_source(key):
        raise events.NotUnderstood("A request for a key that is no source's.")
    source = _store().describe(key)
    if source is None:
        if isinstance(task, Arrival):
            return _outcome("gone", key)
        source = StoredObject(size=0, etag="", content_type="", metadata={})
    if source.metadata.get(keys.MADE_BY_US):
        return _outcome("made by us", key)
    return _Task(task, key, source, context).run()


def _outcome(words: str, key: str) -> dict[str, Any]:
    logger.info(words, extra={"source": mark(key)})
    return {"outcome": words, "source": mark(key)}


class _Task:
    """One source under way."""

    def __init__(self, task: Task, key: str, source: StoredObject, context: Context) -> None:
        self._asked = task if isinstance(task, TranscodeRequest) else None
        self._key = key
        self._source = source
        self._context = context
        self._last_news = time.monotonic()
        self._ready: TranscodeResult | None = None
        self._opening = Report(
            news=News.BEGIN,
            source_key=key,
            source_etag=source.etag,
            source_size=source.size,
            job=self._asked.job if self._asked else "",
            attempt=self._asked.attempt if self._asked else 0,
            host=f"lambda {context.aws_request_id}"[:100],
        )
        self._portal = Conversation(_portal(), self._opening)

    def run(self) -> dict[str, Any]:
        if (known := self._known_result()) is not None:
            self._tell(known)
            telemetry.count("repeated")
            return _outcome("answered from the result file", self._key)
        try:
            return self._convert(self._allowed())
        except Superseded:
            telemetry.count("superseded")
            return _outcome("not ours to do", self._key)
        except Exception as fault:
            # The engine's own words name no file; anybody else's may.
            words = f": {fault}" if isinstance(fault, EngineError) else ""
            self._portal.fault(f"{type(fault).__name__}{words}")
            telemetry.count("fault")
            raise

    def _known_result(self) -> TranscodeResult | None:
        """The finished result of this version of the source; for a request, of that attempt at it."""
        try:
            filed = _store().describe(keys.result_key(self._key))
            if filed is None or not self._source.etag or filed.metadata.get(SOURCE_ETAG) != self._source.etag:
                return None
            result = TranscodeResult.from_json(_store().read(keys.result_key(self._key)))
        except (NoSuchObject, ValueError, KeyError, TypeError):
            return None
        asked = self._asked
        same = asked is None or (result.job, result.attempt) == (asked.job, asked.attempt)
        return result if same and result.extras != Extras.PENDING else None

    def _allowed(self) -> TranscodeRequest:
        """What to do, by the portal's word, or by our own where it cannot be asked. Raises `Superseded`."""
        answer = self._portal.begin()
        if answer is not None and not answer.accepted:
            raise Superseded
        request = (answer.request if answer else None) or self._asked or self._own_request()
        if request.source_key != self._key:
            raise Superseded
        return self._within_our_means(request)

    def _own_request(self) -> TranscodeRequest:
        name = f"{_store().bucket}/{self._key}@{self._source.etag}"
        return TranscodeRequest(
            job=str(uuid.uuid5(_JOBS, name)),
            source_key=self._key,
            mp4_key_style=os.environ.get("MP4_KEY_STYLE") or "web",
            limits=Limits(
                source_bytes=settings.whole("MAX_SOURCE_BYTES", Limits.source_bytes),
                duration=settings.whole("MAX_SECONDS", int(Limits.duration)),
            ),
        )

    def _within_our_means(self, request: TranscodeRequest) -> TranscodeRequest:
        """With limits that this function's time and disk can keep."""
        remaining = self._remaining()
        if remaining < _LEAST:
            raise TransientFault("Too little of the function's time is left.")
        disk = max(0, (shutil.disk_usage(settings.work_dir()).total - _ROOM) // 2)
        limits = replace(
            request.limits,
            seconds=min(request.limits.seconds, remaining - _AFTERWARDS),
            source_bytes=min(request.limits.source_bytes, disk),
        )
        return replace(request, limits=limits)

    def _remaining(self) -> float:
        return self._context.get_remaining_time_in_millis() / 1000

    def _convert(self, request: TranscodeRequest) -> dict[str, Any]:
        _clear_leftovers()
        _store().etag = self._source.etag
        try:
            result = transcode(request, _store(), settings.work_dir(), self._on_progress, self._on_ready)
        except OutOfTime:
            if self._ready:
                raise
            result = self._timed_out(request)
        finally:
            _clear_leftovers()
        self._tell(result)
        _count(result)
        logger.info(
            "converted",
            extra={
                "source": mark(self._key),
                "job": result.job,
                "attempt": result.attempt,
                "outcome": result.outcome,
                "code": result.code,
                "seconds": result.seconds,
            },
        )
        return {"outcome": str(result.outcome), "code": result.code, "job": result.job}

    def _tell(self, result: TranscodeResult) -> bool:
        return self._portal.result(replace(self._opening, result=result))

    def _on_ready(self, result: TranscodeResult) -> None:
        self._ready = result
        if not self._tell(result):
            raise Superseded

    def _on_progress(self, fraction: float) -> None:
        if self._remaining() < _AFTERWARDS / 2:
            raise OutOfTime
        now = time.monotonic()
        if now - self._last_news >= _NEWS_EVERY:
            self._last_news = now
            if not self._portal.working(fraction):
                raise Superseded

    def _timed_out(self, request: TranscodeRequest) -> TranscodeResult:
        """A result, not a fault: the next try would end the same way."""
        result = TranscodeResult(
            job=request.job,
            attempt=request.attempt,
            outcome=Outcome.FAILED,
            code=FailureCode.TIMED_OUT,
            message=explain(FailureCode.TIMED_OUT),
            detail="The function's time was over. A local worker has more.",
            source_size=self._source.size,
        )
        path = settings.work_dir() / f"transcode-result-{self._context.aws_request_id}.json"
        path.write_text(result.to_json(), encoding="utf-8")
        made = {"portal-job": request.job, keys.MADE_BY_US: "1"}
        _store().upload(path, keys.result_key(self._key), "application/json", made)
        return result


def _clear_leftovers() -> None:
    """An environment that was killed in the middle keeps its disk, patients' videos and all."""
    for left in settings.work_dir().glob(_LEFTOVERS):
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def _count(result: TranscodeResult) -> None:
    mp4 = result.output(OutputKind.MP4)
    telemetry.count(
        str(result.code or result.outcome),
        Duration=(result.seconds, "Seconds"),
        ProcessorTime=(result.cpu_seconds, "Seconds"),
        VideoDuration=((mp4.duration or 0.0) if mp4 else 0.0, "Seconds"),
        BytesIn=(result.source_size or 0, "Bytes"),
        BytesOut=(sum(output.size for output in result.outputs), "Bytes"),
        PeakMemory=(result.peak_memory, "Bytes"),
    )
