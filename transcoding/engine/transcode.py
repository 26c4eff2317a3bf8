"""The one function that the worker and the Lambda call: fetch, convert, publish."""

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from transcoding.engine import keys, poster
from transcoding.engine.contracts import (
    FailureCode,
    ObjectStore,
    OnProgress,
    Outcome,
    Output,
    OutputKind,
    TranscodeRequest,
    TranscodeResult,
)
from transcoding.engine.convert import SOURCE, Converted, convert
from transcoding.engine.errors import BadInput, DiskFull, SourceMissing
from transcoding.engine.messages import explain
from transcoding.engine.transfer import Count, move, sha256

_FETCHED, _HASHED, _CONVERTED = 0.09, 0.1, 0.95
"""Fraction done after the download, its checksum and the conversion; publishing takes the rest."""
_ROOM = 512 * 1024**2
"""Bytes that must be free beyond the source and an output of the same size."""


def transcode(
    request: TranscodeRequest, store: ObjectStore, workdir: Path, on_progress: OnProgress
) -> TranscodeResult:
    """Fetch the source, convert it, put MP4 and poster beside it, and last the result file.

    Bad input is a result. Raises the kinds of TransientFault for a fault that another try could cure,
    what the store raises, and what `on_progress` raises. That is called once more right before each
    object is published: a caller that lost its claim publishes nothing more.
    """
    started = time.monotonic()
    with _fresh_folder(workdir) as folder:
        job = _Job(request, store, folder, on_progress)
        result = replace(job.result(), seconds=round(time.monotonic() - started, 3))
        # A source that is gone may have been erased: nothing may appear in its place.
        if result.code is not FailureCode.SOURCE_MISSING:
            job.file_result(result)
    return result


@contextmanager
def _fresh_folder(workdir: Path) -> Iterator[Path]:
    """A folder that only this process's user may enter, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="transcode-", dir=workdir))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Job:
    """One request under way."""

    def __init__(
        self, request: TranscodeRequest, store: ObjectStore, folder: Path, on_progress: OnProgress
    ) -> None:
        self._request = request
        self._store = store
        self._folder = folder
        self._source = folder / SOURCE
        self._on_progress = on_progress

    def result(self) -> TranscodeResult:
        """What became of it, with MP4 and poster published if they could be made."""
        try:
            self._fetch()
        except BadInput as refusal:
            return self._described(Converted(code=refusal.code, detail=refusal.detail))
        size, digest = self._source.stat().st_size, self._hashed()
        converted = convert(self._source, self._folder, self._request.limits, self._on_conversion)
        outputs = () if converted.code else self._publish(converted)
        return replace(self._described(converted), source_size=size, source_sha256=digest, outputs=outputs)

    def file_result(self, result: TranscodeResult) -> None:
        path = self._folder / "result.json"
        path.write_text(result.to_json(), encoding="utf-8")
        self._upload(path, keys.result_key(self._request.source_key), "application/json")

    def _fetch(self) -> None:
        """Raises BadInput, DiskFull, and what the store raises."""
        self._on_progress(0.0)
        key = self._request.source_key
        size = self._accepted(self._store.size(key))
        if shutil.disk_usage(self._folder).free < 2 * size + _ROOM:
            raise DiskFull(f"Too little room in the work folder for a source of {size} bytes.")
        try:
            self._move(lambda count: self._store.download(key, self._source, count), size, (0.0, _FETCHED))
        except SourceMissing as error:
            raise BadInput(FailureCode.SOURCE_MISSING) from error
        self._accepted(self._source.stat().st_size)

    def _accepted(self, size: int | None) -> int:
        """The size, in bytes. Raises BadInput if it is none, zero or too much."""
        if size is None:
            raise BadInput(FailureCode.SOURCE_MISSING)
        if size == 0:
            raise BadInput(FailureCode.EMPTY)
        if size > self._request.limits.source_bytes:
            raise BadInput(FailureCode.TOO_LARGE, f"{size} bytes")
        return size

    def _hashed(self) -> str:
        digests: list[str] = []
        size = self._source.stat().st_size
        self._move(lambda count: digests.append(sha256(self._source, count)), size, (_FETCHED, _HASHED))
        return digests[0]

    def _on_conversion(self, fraction: float) -> None:
        self._on_progress(_HASHED + (_CONVERTED - _HASHED) * fraction)

    def _publish(self, converted: Converted) -> tuple[Output, ...]:
        """The MP4 first: whoever finds the poster finds the video too."""
        outputs = [_mp4_output(self._request, converted), _poster_output(self._request, converted)]
        for output, path in zip(outputs, (converted.mp4, converted.poster), strict=True):
            assert path  # noqa: S101 - convert() made both, or gave a code
            self._upload(path, output.key, output.content_type)
        return tuple(outputs)

    def _upload(self, path: Path, key: str, content_type: str) -> None:
        metadata = {"portal-job": self._request.job, "portal-made": "1"}
        self._on_progress(_CONVERTED)
        self._move(
            lambda count: self._store.upload(path, key, content_type, metadata, count),
            path.stat().st_size,
            (_CONVERTED, 1.0),
        )

    def _move(self, work: Callable[[Count], None], size: int, span: tuple[float, float]) -> None:
        begin, end = span
        move(work, lambda moved: self._on_progress(begin + (end - begin) * min(1.0, moved / max(size, 1))))

    def _described(self, converted: Converted) -> TranscodeResult:
        """The result without what the store knows of it."""
        code, run = converted.code, converted.run
        return TranscodeResult(
            job=self._request.job,
            attempt=self._request.attempt,
            outcome=Outcome.FAILED if code else Outcome.SUCCEEDED,
            code=code,
            message=explain(code) if code else "",
            detail=converted.detail,
            video=converted.video,
            audio=converted.audio,
            reasons=converted.reasons,
            facts=json.loads(converted.facts.to_json()) if converted.facts else {},
            ffmpeg_version=converted.ffmpeg_version,
            ffmpeg_arguments=run.arguments if run else (),
            log_tail=run.log if run else "",
            cpu_seconds=round(converted.cpu_seconds, 3),
            peak_memory=converted.peak_memory,
        )


def _mp4_output(request: TranscodeRequest, converted: Converted) -> Output:
    assert converted.mp4  # noqa: S101 - there is one unless there is a code
    assert converted.made  # noqa: S101 - as above
    video = converted.made.video[0]
    return Output(
        kind=OutputKind.MP4,
        key=keys.mp4_key(request.source_key, request.mp4_key_style),
        content_type="video/mp4",
        size=converted.mp4.stat().st_size,
        sha256=sha256(converted.mp4),
        width=video.width,
        height=video.height,
        duration=converted.made.duration,
    )


def _poster_output(request: TranscodeRequest, converted: Converted) -> Output:
    assert converted.poster  # noqa: S101 - there is one unless there is a code
    assert converted.made  # noqa: S101 - as above
    width, height = poster.size(converted.made.video[0])
    return Output(
        kind=OutputKind.POSTER,
        key=keys.poster_key(request.source_key),
        content_type="image/jpeg",
        size=converted.poster.stat().st_size,
        sha256=sha256(converted.poster),
        width=width,
        height=height,
    )
