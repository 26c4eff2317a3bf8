"""The local worker: what the `video` cluster of django-q2 runs."""

import logging
import re
import shutil
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from django.conf import settings
from django.db import DatabaseError, connection

from transcoding import erasing, jobs
from transcoding.engine.contracts import Outcome, TranscodeResult
from transcoding.engine.errors import EngineError
from transcoding.engine.progress import Pace
from transcoding.engine.transcode import transcode
from transcoding.models import AT_WORK, Status, TranscodeAttempt, TranscodeJob
from transcoding.store import object_store

logger = logging.getLogger(__name__)

WORK_FOLDER = re.compile(r"[0-9a-f-]{36}\.[0-9]{1,9}")


class LeaseLost(Exception):
    """The job was cancelled or given to another attempt: stop, and change nothing."""


class Heartbeat:
    """Renews an attempt's lease from a thread of its own while the conversion works.

    `report` is the engine's `on_progress`: cheap, and raises `LeaseLost` once the lease is gone, which
    makes the engine kill ffmpeg and publish nothing.
    """

    def __init__(self, attempt: TranscodeAttempt) -> None:
        self.attempt = attempt
        self.progress = 0.0
        self._pace = Pace()
        self.lost = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def report(self, progress: float) -> None:
        if self.lost:
            raise LeaseLost
        self.progress = progress
        self._pace.hear(progress)

    def _beat(self) -> None:
        try:
            while not self._stop.wait(settings.HEARTBEAT_SECONDS):
                self._renew()
                if self.lost:
                    return
        finally:
            connection.close()

    def _renew(self) -> None:
        try:
            self.lost = not jobs.heartbeat(self.attempt, self.progress, self._pace.seconds_left)
        except DatabaseError:
            # The lease outlives several missed beats; a database that stays away ends it.
            logger.warning("heartbeat missed", extra={"job": str(self.attempt.job_id)})
            connection.close()


def convert(job_id: str) -> str:
    """Convert one job, if it still waits. The task that django-q2 runs; says what became of it."""
    attempt = jobs.claim(job_id, host=socket.gethostname())
    if attempt is None:
        return "nothing to do"
    work = settings.WORK_DIR / f"{job_id}.{attempt.number}"
    try:
        _clear_abandoned_work()
        work.mkdir(mode=0o700, parents=True)
        return _convert(attempt, work)
    except LeaseLost:
        return "lease lost"
    except BaseException as fault:
        # SystemExit too: django-q2 ends a task that takes too long with one. The lease must not
        # have to run out before somebody else may try.
        # The engine's own words name no file; anybody else's may.
        words = f": {fault}" if isinstance(fault, EngineError) else ""
        jobs.record_fault(attempt, f"{type(fault).__name__}{words}")
        raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
        erasing.let_go(attempt)


def _convert(attempt: TranscodeAttempt, work: Path) -> str:
    """The whole conversion. For extras that were lost it runs once more: what is there is replaced."""
    again = attempt.job.status == Status.SUCCEEDED

    def on_ready(result: TranscodeResult) -> None:
        if not again and not jobs.record_result(attempt, result):
            raise LeaseLost

    with Heartbeat(attempt) as heartbeat:
        result = transcode(jobs.request_for(attempt.job), object_store(), work, heartbeat.report, on_ready)
    if result.outcome == Outcome.SUCCEEDED:
        filed = jobs.record_extras(attempt, result)
    elif again:
        filed = jobs.record_fault(attempt, f"The second conversion failed: {result.code}")
    else:
        filed = jobs.record_result(attempt, result)
    return str(result.outcome) if filed else "lease lost"


def _clear_abandoned_work() -> None:
    """Remove what killed workers left on this disk: patients' videos, of attempts that run no more."""
    for folder in settings.WORK_DIR.glob("*.*"):
        if WORK_FOLDER.fullmatch(folder.name) and not _is_running(*folder.name.split(".")):
            shutil.rmtree(folder, ignore_errors=True)


def _is_running(job_id: str, number: str) -> bool:
    return TranscodeJob.objects.filter(AT_WORK, pk=job_id, attempt=number).exists()
