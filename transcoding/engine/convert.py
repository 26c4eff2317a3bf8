"""Turn one local file into a web MP4, a poster and a frame index. Knows no store."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transcoding.engine import command, frames, packets, poster, storyboard
from transcoding.engine.binaries import find_ffmpeg
from transcoding.engine.contracts import FailureCode, Limits, OnProgress, Treatment
from transcoding.engine.errors import BadInput, ConverterKilled, DiskFull
from transcoding.engine.facts import SourceFacts
from transcoding.engine.packets import Packets
from transcoding.engine.plan import NO_AUDIO, Plan, plan
from transcoding.engine.probe import Probe
from transcoding.engine.progress import Progress
from transcoding.engine.run import Budget, Run, Stop, run
from transcoding.engine.storyboard import Sheet
from transcoding.engine.transfer import Aside, Check
from transcoding.engine.verify import Verifier

SOURCE, MP4, FRAMES, STORYBOARD = "source", "output.mp4", "frames.json.gz", "storyboard.jpg"
MP4_SHARE = 0.97
"""Fraction done once the MP4 is there; the poster takes the rest."""
COPY_UNCLEAN = "copy_unclean: a copy was tried and did not come out clean, so all is encoded"
COPY_SWAPPED = "copy_swapped: the copy could not be decoded to its end, and an encoded video took its place"
COPY_KEPT = "copy_kept: the copy cannot be decoded to its end, and neither can the original"
NO_STORYBOARD = "no_storyboard: the small pictures could not be made"
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
    packets: Packets | None = None
    """Of the MP4."""
    poster: Path | None = None
    frame_index: Path | None = None
    storyboard: Path | None = None
    sheet: Sheet | None = None
    """What is on the storyboard."""
    swapped: bool = False
    """The MP4 is not the copy that was made first."""
    notes: tuple[str, ...] = ()
    """What came up after the plan, as `code: words`."""
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
        return (*(self.plan.reasons if self.plan else ()), *self.notes)


def convert(
    source: Path, workdir: Path, limits: Limits, on_progress: OnProgress, *, with_poster: bool = True
) -> Converted:
    """Make an MP4, and a poster and a frame index unless they are not wanted, in `workdir`.

    That is an empty folder for this conversion alone. Bad input is told by `code`. Raises the kinds of
    TransientFault for a fault of this host, and whatever `on_progress` raises; no process is left in
    either case.
    """
    return Conversion(source, workdir, limits, on_progress).begin(with_poster=with_poster)


def examine(source: Path, workdir: Path, limits: Limits) -> Converted:
    """What `convert` would begin with: facts and plan, or a refusal. Makes nothing; raises the same."""
    examination = Conversion(source, workdir, limits, lambda fraction: None)
    try:
        examination.decide()
        examination.look_inside()
    except BadInput as refusal:
        return examination.account(code=refusal.code, detail=refusal.detail)
    return examination.account()


def _under_our_name(source: Path, workdir: Path) -> Path:
    """The file as `source` in the work folder: what a user called it reaches no argument and no log."""
    ours = workdir / SOURCE
    if source != ours:
        ours.symlink_to(source.resolve(strict=True))
    return ours


class Conversion:
    """One conversion under way: what is known so far is in `done`."""

    def __init__(self, source: Path, workdir: Path, limits: Limits, on_progress: OnProgress) -> None:
        self.done = Converted(ffmpeg_version=find_ffmpeg().version)
        self._source = _under_our_name(source, workdir)
        self._mp4 = self._source.with_name(MP4)
        self._limits = limits
        self._on_progress = on_progress
        self._fraction = 0.0
        self._with_pictures = False
        self._pictures: command.Pictures | None = None
        """Made beside the MP4 that is there now."""
        self._runs: list[Run] = []
        """Every one so far, of more than one thread."""
        self._verifier = Verifier(limits, self._run, self._runs.append, self._tick)

    def begin(self, *, with_poster: bool = True) -> Converted:
        """All that it takes to watch the video."""
        self._with_pictures = with_poster
        try:
            self.decide()
            self.make_mp4()
            if with_poster:
                self.make_frame_index()
        except BadInput as refusal:
            return self.account(code=refusal.code, detail=refusal.detail, mp4=None, made=None)
        return self.account()

    def finish(self) -> Converted:
        """What may follow: the whole of a copy is decoded, and replaced if that fails; and a storyboard."""
        if self.done.video is Treatment.COPY and (complaint := self._verifier.decode_whole(self._mp4)):
            self._replace_copy(complaint)
        self._make_storyboard()
        return self.account()

    def account(self, **changes: Any) -> Converted:
        """What is known so far, with what it has cost."""
        return replace(
            self.done,
            cpu_seconds=sum(one.cpu_seconds for one in self._runs),
            peak_memory=max((one.peak_memory for one in self._runs), default=0),
            **changes,
        )

    def _replace_copy(self, complaint: str) -> None:
        """Encode from the original; keep the copy if even that cannot be done."""
        copied, aside = self.done, self._mp4.with_name("copy.mp4")
        self._mp4.replace(aside)
        self.done = replace(copied, detail=f"The copy could not be decoded whole. {complaint}")
        try:
            self.encode()
            self.make_frame_index()
        except BadInput:
            aside.replace(self._mp4)
            self._pictures = None
            self.done = replace(copied, detail=self.done.detail, notes=(*copied.notes, COPY_KEPT))
        else:
            aside.unlink()
            self.done = replace(self.done, swapped=True, notes=(*copied.notes, COPY_SWAPPED))

    def _make_storyboard(self) -> None:
        """A film without one can be watched all the same."""
        done = self.done
        assert done.made  # noqa: S101 - begin() comes first
        assert done.packets  # noqa: S101 - as above
        video, is_copy = done.made.video[0], done.video is Treatment.COPY
        size, length = (video.width, video.height), video.duration or 0.0
        if laid_out := self._tiled(done.packets, size):
            self._keep_storyboard(laid_out)
            return
        laid_out = storyboard.sheet(done.packets, length, size, is_copy=is_copy)
        if self._draw(laid_out):
            self._keep_storyboard(laid_out)
        else:
            self.done = replace(self.done, notes=(*self.done.notes, NO_STORYBOARD))

    def _keep_storyboard(self, laid_out: Sheet) -> None:
        self.done = replace(self.done, storyboard=self._mp4.with_name(STORYBOARD), sheet=laid_out)

    def _tiled(self, found: Packets, size: tuple[int, int]) -> Sheet | None:
        """A sheet of the small pictures that an encode has made; None if they will not do."""
        made = self._pictures
        if made is None:
            return None
        laid_out = storyboard.sheet_of(found, size, made.interval)
        raw = self._mp4.with_name(made.storyboard)
        if raw.stat().st_size != storyboard.raw_bytes(laid_out):
            return None
        return laid_out if self._run(command.tiled(laid_out, made.storyboard, STORYBOARD)).succeeded else None

    def _draw(self, laid_out: Sheet) -> bool:
        """Whether the sheet came out with as many pictures as its index will name."""
        assert self.done.plan  # noqa: S101 - begin() comes first
        count = self._mp4.with_name("storyboard.count")
        into = (STORYBOARD, count.name)
        result = self._run(
            command.storyboard(self._limits, self._mp4.name, laid_out, self.done.plan.video, into)
        )
        return result.succeeded and count.exists() and count.stat().st_size == len(laid_out.times)

    def decide(self) -> None:
        """Take what the headers tell for all there is, unless it takes an encode anyway."""
        self._probe = Probe(self._source, self._limits, self._runs.append)
        if self._take(self._probe.facts(self._tick)).video.treatment is not Treatment.COPY:
            self._take(self._probe.look_inside(self._tick))

    def look_inside(self) -> None:
        """Let what is in the first packets change the plan."""
        self._take(self._probe.look_inside(self._tick))

    def _take(self, facts: SourceFacts) -> Plan:
        self.done = replace(self.done, facts=facts)
        chosen = plan(facts, self._limits)
        self.done = replace(self.done, plan=chosen)
        return chosen

    def make_mp4(self) -> None:
        """Copy what can be copied; if that does not come out clean, encode; if that fails, refuse."""
        chosen = self.done.plan
        assert chosen  # noqa: S101 - decide() comes first
        if not chosen.copies:
            self._encode(chosen)
            return
        result = self._copied(chosen)
        if self.done.plan != chosen:
            self._begin_anew()
            self.make_mp4()
        elif not self._is_clean(result, chosen):
            self._begin_anew()
            self.done = replace(self.done, notes=(COPY_UNCLEAN,))
            self.encode()

    def _begin_anew(self) -> None:
        """An encode may take minutes, and shall not seem to be nearly done all the while."""
        self._fraction = 0.0

    def _copied(self, chosen: Plan) -> Run:
        """Meanwhile the first packets are looked into. That seldom changes the plan, so it is not awaited."""
        with Aside(self._probe.look_inside) as looking:
            result = self._convert(chosen, self._wanted_pictures(chosen))
            self._take(looking.result(self._tick))
        return result

    def encode(self) -> None:
        """Make the MP4 anew from the original, without copying anything."""
        assert self.done.facts  # noqa: S101 - decide() comes first
        self._encode(plan(self.done.facts, self._limits, copying=False))

    def make_frame_index(self) -> None:
        assert self.done.packets  # noqa: S101 - make_mp4() comes first
        path = self._mp4.with_name(FRAMES)
        frames.write(path, self.done.packets.times)
        self.done = replace(self.done, frame_index=path)

    def _tick(self) -> None:
        self._on_progress(self._fraction)

    def _is_clean(self, result: Run, chosen: Plan) -> bool:
        """Whether the plan, which copies a stream or both, could be carried out and came out clean."""
        is_copy = chosen.video.treatment is Treatment.COPY
        if result.stopped is None and (not result.succeeded or (is_copy and result.log)):
            return self._unclean(result.log)
        self._check(result)
        try:
            self._verify(chosen)
        except BadInput as refusal:
            # An encoded picture whose end is missing will not be longer at a second try.
            if refusal.code is FailureCode.OUTPUT_INVALID or (
                is_copy and refusal.code is FailureCode.DAMAGED
            ):
                return self._unclean(refusal.detail)
            raise
        return True

    def _unclean(self, why: str) -> bool:
        self.done = replace(self.done, detail=f"The copy was not clean. {why}".strip())
        return False

    def _encode(self, chosen: Plan) -> None:
        self.done = replace(self.done, plan=chosen)
        result = self._convert(chosen, self._wanted_pictures(chosen))
        if self._broke(result) and self._pictures:
            result = self._convert(chosen)
        if self._broke(result) and not result.starved and chosen.audio.index is not None:
            chosen = self._without_sound(chosen)
            result = self._convert(chosen)
        self._check(result)
        self._verify(chosen)

    @staticmethod
    def _broke(result: Run) -> bool:
        """Whether it failed of itself: a broken picture or sound track must not cost the film."""
        return not result.succeeded and result.stopped is None

    def _wanted_pictures(self, chosen: Plan) -> command.Pictures | None:
        if not self._with_pictures or chosen.video.treatment is not Treatment.ENCODE:
            return None
        return command.Pictures(
            moments=poster.moments(chosen.duration),
            interval=storyboard.interval_for(chosen.duration),
            small=storyboard.picture_size((chosen.video.width, chosen.video.height)),
        )

    def _verify(self, chosen: Plan) -> None:
        """Raises BadInput if the MP4 is not what was planned. Beside that, its poster is taken."""
        assert self.done.facts  # noqa: S101 - there is no plan without facts
        found = packets.read(self._mp4)
        with Aside(lambda check: self._best_poster(chosen, found, check)) as taking:
            made = self._verifier.verify(self._mp4, chosen, self.done.facts, found)
            best = taking.result(self._tick)
        if self._with_pictures and best is None:
            raise BadInput(FailureCode.OUTPUT_INVALID, "No frame of the output can be shown.")
        picture = best.picture if best else None
        self.done = replace(self.done, mp4=self._mp4, made=made, packets=found, poster=picture)

    def _best_poster(self, chosen: Plan, found: Packets, check: Check) -> poster.Candidate | None:
        """The first good frame, or the best of those tried."""
        return poster.best_of(self._posters(chosen, found, check)) if self._with_pictures else None

    def _posters(self, chosen: Plan, found: Packets, check: Check) -> Iterator[poster.Candidate | None]:
        """Those that an encode made on the way; or else what is tried with the MP4 itself."""
        if self._pictures and (made := poster.candidates(self._mp4.parent, self._pictures)):
            yield from made
            return
        for picture, luma, arguments in poster.attempts(self._mp4, found, chosen.video, self._limits):
            yield poster.judged(picture, luma, self._run(arguments, on_tick=check))

    def _without_sound(self, chosen: Plan) -> Plan:
        silent = replace(chosen, audio=NO_AUDIO)
        self.done = replace(self.done, plan=silent, notes=(*self.done.notes, SOUND_LOST))
        return silent

    def _convert(self, chosen: Plan, pictures: command.Pictures | None = None) -> Run:
        progress, begun = Progress(chosen.duration), self._fraction

        def hear(chunk: bytes) -> bool:
            news = progress.hear(chunk)
            self._fraction = max(begun, MP4_SHARE * progress.fraction)
            return news

        self._pictures = pictures
        arguments = command.conversion(chosen, self._limits, self._source.name, self._mp4.name, pictures)
        result = self._run(arguments, hear)
        self.done = replace(self.done, run=result)
        return result

    def _run(
        self,
        arguments: list[str],
        on_output: Callable[[bytes], bool] = lambda chunk: True,
        on_tick: Callable[[], None] | None = None,
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
                nice=10,
            ),
            on_output=on_output,
            on_tick=on_tick or self._tick,
        )
        self._runs.append(result)
        if result.killed_from_outside:
            raise ConverterKilled("ffmpeg was killed by something outside the engine.")
        if "No space left on device" in result.log:
            raise DiskFull("The work folder filled up during the conversion.")
        return result

    def _check(self, result: Run) -> None:
        """Raises BadInput if the run failed or made nothing."""
        if result.starved:
            raise BadInput(FailureCode.TOO_MANY_PIXELS, "ffmpeg needed more memory than it may have.")
        if result.stopped:
            raise BadInput(_STOP_CODES[result.stopped], f"Stopped by its limit: {result.stopped}.")
        if "File too large" in result.log:
            raise BadInput(FailureCode.TOO_LARGE, "The output grew past its limit.")
        if not result.succeeded:
            raise BadInput(FailureCode.DAMAGED, f"ffmpeg ended with {result.returncode}.")
        if not self._mp4.exists():
            raise BadInput(FailureCode.DAMAGED, "ffmpeg made no output.")
