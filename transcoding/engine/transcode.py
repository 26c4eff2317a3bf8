"""The one function that the worker and the Lambda call: fetch, convert, publish."""

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from transcoding.engine import keys, poster, storyboard
from transcoding.engine.contracts import (
    Extras,
    FailureCode,
    ObjectStore,
    OnProgress,
    OnReady,
    Outcome,
    Output,
    OutputKind,
    TranscodeRequest,
    TranscodeResult,
)
from transcoding.engine.convert import SOURCE, Conversion, Converted
from transcoding.engine.errors import BadInput, DiskFull, SourceMissing
from transcoding.engine.messages import explain
from transcoding.engine.transfer import Aside, Count, move, sha256

_FETCHED, _CONVERTED = 0.1, 0.95
"""Fraction done after the download and the conversion; publishing takes the rest."""
_ROOM = 512 * 1024**2
"""Bytes that must be free beyond the source and an output of the same size."""


def transcode(
    request: TranscodeRequest,
    store: ObjectStore,
    workdir: Path,
    on_progress: OnProgress,
    on_ready: OnReady = lambda result: None,
) -> TranscodeResult:
    """Fetch the source, convert it, put MP4, poster and frame index beside it, then the result file.

    Then `on_ready` is told, and the extras follow: a copy is decoded whole, and replaced by an encoded
    MP4 if that fails; a storyboard is made. The result file is written once more, and returned.

    Bad input is a result. Raises the kinds of TransientFault for a fault that another try could cure,
    what the store raises, and what `on_progress` and `on_ready` raise. The former is called once more
    right before each object is published: a caller that lost its claim publishes nothing more.
    """
    with _fresh_folder(workdir) as folder:
        return _Job(request, store, folder, on_progress).run(on_ready)


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
        self._started = time.monotonic()
        self._is_ready = False

    def run(self, on_ready: OnReady) -> TranscodeResult:
        try:
            self._fetch()
        except BadInput as refusal:
            return self._failed(self._described(Converted(code=refusal.code, detail=refusal.detail)))
        conversion = Conversion(self._source, self._folder, self._request.limits, self._on_conversion)
        result = self._made_ready(conversion)
        if result.code:
            return self._failed(result)
        self.file_result(result)
        self._is_ready = True
        on_ready(result)
        return self._finished(conversion, result)

    def _failed(self, result: TranscodeResult) -> TranscodeResult:
        # A source that is gone may have been erased: nothing may appear in its place.
        if result.code is not FailureCode.SOURCE_MISSING:
            self.file_result(result)
        return result

    def _made_ready(self, conversion: Conversion) -> TranscodeResult:
        """With MP4, poster and frame index published if they could be made."""
        with Aside(lambda check: sha256(self._source, lambda moved: check())) as hashing:
            converted = conversion.begin()
            outputs = () if converted.code else self._publish(self._main_outputs(converted))
            digest = hashing.result(lambda: self._on_progress(_CONVERTED))
        return replace(
            self._described(converted),
            source_size=self._source.stat().st_size,
            source_sha256=digest,
            outputs=outputs,
            extras=Extras.NONE if converted.code else Extras.PENDING,
        )

    def _finished(self, conversion: Conversion, ready: TranscodeResult) -> TranscodeResult:
        """With the extras published, and the MP4 once more if it had to be replaced."""
        converted = conversion.finish()
        main = self._publish(self._main_outputs(converted)) if converted.swapped else ready.outputs
        result = replace(
            self._described(converted),
            source_size=ready.source_size,
            source_sha256=ready.source_sha256,
            outputs=(*main, *self._publish(self._extra_outputs(converted))),
            extras=Extras.DONE,
            swapped=converted.swapped,
        )
        self.file_result(result)
        return result

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

    def _on_conversion(self, fraction: float) -> None:
        self._on_progress(1.0 if self._is_ready else _FETCHED + (_CONVERTED - _FETCHED) * fraction)

    def _main_outputs(self, converted: Converted) -> Iterator[tuple[Output, Path]]:
        """The MP4 first: whoever finds the poster finds the video too."""
        assert converted.mp4  # noqa: S101 - there is one unless there is a code; so for all of these
        assert converted.made  # noqa: S101
        assert converted.poster  # noqa: S101
        assert converted.frame_index  # noqa: S101
        video, key = converted.made.video[0], self._request.source_key
        mp4_key = keys.mp4_key(key, self._request.mp4_key_style)
        shown = {"width": video.width, "height": video.height, "duration": converted.made.duration}
        yield _output(OutputKind.MP4, mp4_key, "video/mp4", converted.mp4, **shown)
        width, height = poster.size(video)
        size = {"width": width, "height": height}
        yield _output(OutputKind.POSTER, keys.poster_key(key), "image/jpeg", converted.poster, **size)
        times = converted.frame_index
        yield _output(OutputKind.FRAME_INDEX, keys.frames_key(key), "application/gzip", times)

    def _extra_outputs(self, converted: Converted) -> Iterator[tuple[Output, Path]]:
        if not (converted.storyboard and converted.sheet and converted.made):
            return
        key, sheet = self._request.source_key, converted.sheet
        sheet_key, index_key = keys.storyboard_key(key), keys.storyboard_index_key(key)
        size = {"width": sheet.columns * sheet.width, "height": sheet.rows * sheet.height}
        yield _output(OutputKind.STORYBOARD, sheet_key, "image/jpeg", converted.storyboard, **size)
        index = self._folder / "storyboard.vtt"
        duration = converted.made.video[0].duration or 0.0
        index.write_text(storyboard.index(sheet, duration, sheet_key.rpartition("/")[2]), encoding="utf-8")
        yield _output(OutputKind.STORYBOARD_INDEX, index_key, "text/vtt", index)

    def _publish(self, made: Iterator[tuple[Output, Path]]) -> tuple[Output, ...]:
        published = []
        for output, path in made:
            self._upload(path, output.key, output.content_type)
            published.append(output)
        return tuple(published)

    def _upload(self, path: Path, key: str, content_type: str) -> None:
        metadata = {"portal-job": self._request.job, keys.MADE_BY_US: "1"}
        begin = 1.0 if self._is_ready else _CONVERTED
        self._on_progress(begin)
        self._move(
            lambda count: self._store.upload(path, key, content_type, metadata, count),
            path.stat().st_size,
            (begin, 1.0),
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
            seconds=round(time.monotonic() - self._started, 3),
        )


def _output(kind: OutputKind, key: str, content_type: str, path: Path, **shown: Any) -> tuple[Output, Path]:
    size, digest = path.stat().st_size, sha256(path)
    return Output(kind=kind, key=key, content_type=content_type, size=size, sha256=digest, **shown), path
