"""Turn one local file into a web MP4 and a poster: probe, plan, run, verify. Knows no store."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from transcoding.engine import command, poster
from transcoding.engine.binaries import find_ffmpeg
from transcoding.engine.contracts import FailureCode, Limits, OnProgress, Treatment
from transcoding.engine.errors import BadInput, ConverterKilled, DiskFull
from transcoding.engine.facts import SourceFacts
from transcoding.engine.plan import NO_AUDIO, Plan, plan
from transcoding.engine.probe import probe
from transcoding.engine.progress import Progress
from transcoding.engine.run import Budget, Run, Stop, run
from transcoding.engine.verify import verify

SOURCE, MP4 = "source", "output.mp4"
_OUT_OF_MEMORY = ("Cannot allocate memory", "malloc of size")
"""In the words of ffmpeg and of x264."""
MP4_SHARE = 0.97
"""Fraction done once the MP4 is there; the poster takes the rest."""
SOUND_LOST = "audio_dropped: the sound could not be read"
_STOP_CODES = {
    Stop.WALL_CLOCK: FailureCode.TIMED_OUT,
    Stop.STALLED: FailureCode.TIMED_OUT,
    Stop.CPU: FailureCode.TIMED_OUT,
    Stop.FILE_SIZE: FailureCode.TOO_LARGE,
    Stop.TALKATIVE: FailureCode.DAMAGED,
}


@dataclass(frozen=True, kw_only=True)
class Converted:
    """What became of a file. `mp4` is set if, and only if, `code` is None."""

    code: FailureCode | None = None
    detail: str = ""
    facts: SourceFacts | None = None
    plan: Plan | None = None
    mp4: Path | None = None
    made: SourceFacts | None = None
    """Facts about the MP4."""
    poster: Path | None = None
    run: Run | None = None
    """The last run that made, or should have made, the MP4."""
    ffmpeg_version: str = ""
    cpu_seconds: float = 0.0
    peak_memory: int = 0

    @property
    def video(self) -> Treatment:
        return self.plan.video.treatment if self.plan else Treatment.NONE

    @property
    def audio(self) -> Treatment:
        return self.plan.audio.treatment if self.plan else Treatment.NONE

    @property
    def reasons(self) -> tuple[str, ...]:
        return self.plan.reasons if self.plan else ()


def convert(
    source: Path, workdir: Path, limits: Limits, on_progress: OnProgress, *, with_poster: bool = True
) -> Converted:
    """Make an MP4 and a poster in `workdir`, an empty folder for this conversion alone.

    Bad input is told by `code`. Raises the kinds of TransientFault for a fault of this host, and
    whatever `on_progress` raises; no process is left in either case.
    """
    conversion = _Conversion(_under_our_name(source, workdir), limits, on_progress)
    try:
        conversion.make_mp4()
        if with_poster:
            conversion.make_poster()
    except BadInput as refusal:
        return replace(conversion.done, code=refusal.code, detail=refusal.detail, mp4=None, made=None)
    return conversion.done


def _under_our_name(source: Path, workdir: Path) -> Path:
    """The file as `source` in the work folder: what a user called it reaches no argument and no log."""
    ours = workdir / SOURCE
    if source != ours:
        ours.symlink_to(source.resolve(strict=True))
    return ours


class _Conversion:
    """One conversion under way: what is known so far is in `done`."""

    def __init__(self, source: Path, limits: Limits, on_progress: OnProgress) -> None:
        self.done = Converted(ffmpeg_version=find_ffmpeg().version)
        self._source = source
        self._mp4 = source.with_name(MP4)
        self._limits = limits
        self._on_progress = on_progress

    def make_mp4(self) -> None:
        facts = probe(self._source, self._limits, self._count)
        self.done = replace(self.done, facts=facts)
        chosen = plan(facts, self._limits)
        self.done = replace(self.done, plan=chosen)
        if not self._converts(chosen):
            chosen = self._without_sound(chosen)
            self._check(self._convert(chosen))
        made = verify(self._mp4, chosen, facts, self._limits, self._count)
        self.done = replace(self.done, mp4=self._mp4, made=made)

    def make_poster(self) -> None:
        """The first good frame, or the best of those tried."""
        assert self.done.made  # noqa: S101 - make_mp4() comes first
        duration = self.done.made.video[0].duration or 0.0
        best: poster.Candidate | None = None
        for picture, luma, arguments in poster.attempts(self._mp4, duration, self._limits):
            candidate = poster.judged(picture, luma, self._run(arguments, lambda: MP4_SHARE))
            if candidate and (best is None or candidate.merit > best.merit):
                best = candidate
            if best and best.is_good:
                break
        if best is None:
            raise BadInput(FailureCode.OUTPUT_INVALID, "No frame of the output can be shown.")
        self.done = replace(self.done, poster=best.picture)

    def _count(self, result: Run) -> None:
        """Add up what every child process cost."""
        self.done = replace(
            self.done,
            cpu_seconds=self.done.cpu_seconds + result.cpu_seconds,
            peak_memory=max(self.done.peak_memory, result.peak_memory),
        )

    def _converts(self, chosen: Plan) -> bool:
        """Whether the plan could be carried out. False: it failed, and may not without the sound."""
        result = self._convert(chosen)
        if not result.succeeded and result.stopped is None and chosen.audio.index is not None:
            return False
        self._check(result)
        return True

    def _without_sound(self, chosen: Plan) -> Plan:
        """A broken sound track must not cost the picture."""
        silent = replace(chosen, audio=NO_AUDIO, reasons=(*chosen.reasons, SOUND_LOST))
        self.done = replace(self.done, plan=silent)
        return silent

    def _convert(self, chosen: Plan) -> Run:
        progress = Progress(chosen.duration)
        arguments = command.conversion(chosen, self._limits, self._source.name, self._mp4.name)
        result = self._run(arguments, lambda: MP4_SHARE * progress.fraction, progress.hear)
        self.done = replace(self.done, run=result)
        return result

    def _run(
        self,
        arguments: list[str],
        fraction: Callable[[], float],
        on_output: Callable[[bytes], bool] = lambda chunk: True,
    ) -> Run:
        """One ffmpeg run, its cost added up. Raises DiskFull and ConverterKilled."""
        limits = self._limits
        result = run(
            find_ffmpeg(),
            arguments,
            folder=self._source.parent,
            budget=Budget(
                seconds=limits.seconds,
                stall_seconds=limits.stall_seconds,
                memory_bytes=limits.memory_bytes,
                file_bytes=limits.output_bytes,
            ),
            on_output=on_output,
            on_tick=lambda: self._on_progress(fraction()),
        )
        self._count(result)
        if result.killed_from_outside:
            raise ConverterKilled("ffmpeg was killed by something outside the engine.")
        if "No space left on device" in result.log:
            raise DiskFull("The work folder filled up during the conversion.")
        return result

    def _check(self, result: Run) -> None:
        """Raises BadInput if the run failed or made nothing."""
        if result.stopped:
            raise BadInput(_STOP_CODES[result.stopped], f"Stopped by its limit: {result.stopped}.")
        if "File too large" in result.log:
            raise BadInput(FailureCode.TOO_LARGE, "The output grew past its limit.")
        if any(words in result.log for words in _OUT_OF_MEMORY):
            raise BadInput(FailureCode.TOO_MANY_PIXELS, "ffmpeg needed more memory than it may have.")
        if not result.succeeded:
            raise BadInput(FailureCode.DAMAGED, f"ffmpeg ended with {result.returncode}.")
        if not self._mp4.exists():
            raise BadInput(FailureCode.DAMAGED, "ffmpeg made no output.")
