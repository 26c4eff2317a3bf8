"""Hold the output against the plan. Nothing is published that does not pass."""

from collections.abc import Callable, Iterator
from pathlib import Path

from transcoding.engine import boxes, command
from transcoding.engine.binaries import find_ffprobe
from transcoding.engine.contracts import FailureCode, Limits, Treatment
from transcoding.engine.errors import BadInput, ConverterKilled
from transcoding.engine.facts import SourceFacts, VideoStream
from transcoding.engine.packets import Packets
from transcoding.engine.plan import Plan, video_of
from transcoding.engine.probe import OnRun, OnTick, probe
from transcoding.engine.run import Budget, Run, run

EXACT = 0.1
"""Seconds by which the output may be shorter or longer than a source whose index is exact."""
_LOST_SHARE, _LOST_SECONDS = 0.05, 1.0
"""Of a duration that is only a container's estimate: the larger may be missing at the end."""
_OFFSET = 0.02
"""Seconds by which sound may come earlier or later against the picture than in the source."""
_PRIMING = 0.1
"""Seconds: two packets of HE-AAC at 44.1 kHz."""
_FEWER_SHARE, _FEWER_FRAMES = 0.1, 2
"""Of the frames that the source announces: so many may be missing, as a broken or double one is."""
_H264_PROFILES = {"Constrained Baseline", "Main", "High"}
"""What our encoder may choose within `high`."""

_MOST_SHOWN = 1024 * 1024
"""Bytes of ffprobe's answer: a line for each frame that was tried."""
_UNSAID = {"color_range": "tv"}
"""What it means to say nothing: Matroska says it aloud where MP4 does not."""

RunFfmpeg = Callable[[list[str]], Run]
"""Runs ffmpeg with these arguments in the folder of the output."""


class Verifier:
    """Checks outputs; told once how to run ffmpeg and whom to tell of every run."""

    def __init__(
        self,
        limits: Limits,
        ffmpeg: RunFfmpeg,
        on_run: OnRun = lambda run: None,
        on_tick: OnTick = lambda: None,
    ) -> None:
        self._limits = limits
        self._ffmpeg = ffmpeg
        self._on_run = on_run
        self._on_tick = on_tick

    def verify(self, output: Path, plan: Plan, source: SourceFacts, found: Packets) -> SourceFacts:
        """Facts about the output, of which `found` are the packets.

        Raises BadInput: `output_invalid` where it is not what was planned, `damaged` where part of the
        source could not be read, `too_long` where the source lasted longer than it said.
        """
        try:
            made = probe(output, self._limits, self._on_run, self._on_tick, look_inside=False)
        except BadInput as refusal:
            raise _invalid(f"The output cannot be probed: {refusal}") from refusal
        if flaws := list(_flaws(output, made, plan, source)):
            raise _invalid("; ".join(flaws))
        _hold_duration(made, plan, source, self._limits)
        if found.flaws:
            raise _invalid("; ".join(sorted(found.flaws)))
        _hold_frames(len(found.times), plan, source)
        self._decode_spots(output, found, made.video[0])
        return made

    def decode_whole(self, output: Path) -> str:
        """Decode everything; what is wrong with it, or nothing."""
        return _complaint(self._ffmpeg(command.decode_whole(self._limits, output.name)))

    def _decode_spots(self, output: Path, found: Packets, video: VideoStream) -> None:
        """The first and the last group of pictures, and key frames in between."""
        spots = command.spots(found, video.coded_width * video.coded_height)
        shown = list[bytes]()

        def hear(chunk: bytes) -> bool:
            shown.append(chunk)
            return True

        done = run(
            find_ffprobe(),
            command.decode_spots(self._limits, output.name, spots),
            folder=output.parent,
            budget=Budget(
                seconds=self._limits.seconds,
                stall_seconds=self._limits.stall_seconds,
                memory_bytes=self._limits.memory_bytes,
                file_bytes=0,
                stdout_bytes=_MOST_SHOWN,
            ),
            on_output=hear,
            on_tick=self._on_tick,
        )
        self._on_run(done)
        if done.killed_from_outside:
            raise ConverterKilled("ffprobe was killed by something outside the engine.")
        if done.starved:
            raise BadInput(FailureCode.TOO_MANY_PIXELS, "To check it needed more memory than it may have.")
        if complaint := _complaint(done):
            raise _invalid(f"Part of the output cannot be decoded. {complaint}")
        if b"".join(shown).count(b"\n") < len(spots):
            raise _invalid("Part of the output shows nothing.")


def _complaint(done: Run) -> str:
    if done.succeeded and not done.log:
        return ""
    return done.log or done.stopped or f"{done.program} ended with {done.returncode}."


def _invalid(detail: str) -> BadInput:
    return BadInput(FailureCode.OUTPUT_INVALID, detail)


def _flaws(output: Path, made: SourceFacts, plan: Plan, source: SourceFacts) -> Iterator[str]:
    """Everything about the form of the output that is not as planned."""
    if len(made.video) != 1:
        yield f"{len(made.video)} video streams"
    for video in made.video:
        yield from _picture_flaws(video, _expected(plan, source))
    if [stream.codec for stream in made.audio] != (["aac"] if plan.audio.index is not None else []):
        yield "audio streams: " + (", ".join(stream.codec for stream in made.audio) or "none")
    elif len(made.video) == 1:
        yield from _offset_flaws(made, plan, source)
    if made.other_streams:
        yield f"{made.other_streams} streams that are neither picture nor sound"
    if not boxes.moov_is_first(output):
        yield "the index is not first"
    yield from (f"it still holds {trace}" for trace in boxes.traces(output))


def _expected(plan: Plan, source: SourceFacts) -> dict[str, object]:
    """What the picture must be. A copy has the colours and the orientation of its source."""
    size = {"codec": "h264", "width": plan.video.width, "height": plan.video.height}
    if plan.video.treatment is Treatment.COPY:
        video = video_of(source, plan)
        kept = ("profile", "level", "pixel_format", "rotation", "mirrored", "coded_width", "coded_height")
        tags = ("color_range", "color_matrix", "color_transfer", "color_primaries")
        return size | {name: getattr(video, name) for name in (*kept, *tags)}
    return size | {
        "pixel_format": "yuv420p",
        "rotation": 0,
        "mirrored": False,
        "sample_aspect": 1.0,
        "color_range": "tv",
        "color_matrix": "bt709",
        "color_transfer": "bt709",
        "color_primaries": "bt709",
    }


def _picture_flaws(video: VideoStream, expected: dict[str, object]) -> Iterator[str]:
    for name, value in expected.items():
        actual = getattr(video, name)
        unsaid = _UNSAID.get(name, "")
        if (actual or unsaid) != (value or unsaid):
            yield f"{name} is {actual or 'not given'}, planned {value or 'none'}"
    if "profile" not in expected and video.codec == "h264" and video.profile not in _H264_PROFILES:
        yield f"profile is {video.profile or 'not given'}"
    if not video.frames:
        yield "no frames"


def _offset_flaws(made: SourceFacts, plan: Plan, source: SourceFacts) -> Iterator[str]:
    """Sound that is encoded is filled up to begin with the file; copied sound begins where it did.

    Only then may it begin earlier: with the packets by which an encoder warms up, which an edit list of
    the source hid. Those that follow keep their time.
    """
    if not made.audio:
        return
    video = video_of(source, plan)
    sound = next(stream for stream in source.audio if stream.index == plan.audio.index)
    is_copy = plan.audio.treatment is Treatment.COPY
    began = sound.start if is_copy else source.start
    moved = (made.audio[0].start - made.video[0].start) - (began - video.start)
    if moved > _OFFSET or moved < -_OFFSET - (_PRIMING if is_copy else 0.0):
        yield f"sound and picture are {abs(moved) * 1000:.0f} ms further apart than in the source"


def _hold_duration(made: SourceFacts, plan: Plan, source: SourceFacts, limits: Limits) -> None:
    length = max(made.video[0].duration or 0.0, made.duration or 0.0)
    if length > limits.duration:
        raise BadInput(FailureCode.TOO_LONG, f"It lasts longer than {limits.duration:.0f} seconds.")
    shown = made.video[0].duration or 0.0
    if plan.video_duration is not None:
        _hold_exactly(shown, plan.video_duration, unshown=max(0.0, source.start))
    elif source.duration is not None:
        announced = source.duration
        if length < announced - _allowance(announced):
            raise BadInput(FailureCode.DAMAGED, f"{length:.2f} of {announced:.2f} seconds could be read.")


def _hold_exactly(shown: float, declared: float, *, unshown: float) -> None:
    """`unshown`: seconds before anything begins, which an index may count and an output does not have."""
    if shown < declared - unshown - EXACT:
        raise BadInput(FailureCode.DAMAGED, f"{shown:.2f} of {declared:.2f} seconds could be read.")
    if shown > declared + EXACT:
        raise BadInput(FailureCode.OUTPUT_INVALID, f"{shown:.2f} seconds came of {declared:.2f}.")


def _allowance(duration: float) -> float:
    return max(_LOST_SECONDS, _LOST_SHARE * duration)


def _hold_frames(made: int, plan: Plan, source: SourceFacts) -> None:
    """Never more frames than the source has; and not much fewer, unless that is on purpose."""
    video = video_of(source, plan)
    if video.frames is None or plan.video_duration is None:
        return
    if made > video.frames:
        raise _invalid(f"{made} frames came of {video.frames}.")
    # An edit list may end before the stream does: what it shows is what counts.
    announced = min(video.frames, int((video.frame_rate or 0.0) * plan.video_duration))
    if plan.video.thinned or video.cut or made >= announced * (1 - _FEWER_SHARE) - _FEWER_FRAMES:
        return
    raise BadInput(FailureCode.DAMAGED, f"{made} of {announced} frames could be read.")
