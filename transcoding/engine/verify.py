"""Hold the output against the plan. Nothing is published that does not pass."""

from collections.abc import Iterator
from pathlib import Path

from transcoding.engine import boxes
from transcoding.engine.contracts import FailureCode, Limits
from transcoding.engine.errors import BadInput
from transcoding.engine.facts import SourceFacts, VideoStream
from transcoding.engine.plan import Plan
from transcoding.engine.probe import OnRun, probe

EXACT = 0.1
"""Seconds by which the output may be shorter or longer than a source whose index is exact."""
_LOST_SHARE, _LOST_SECONDS = 0.05, 1.0
"""Of a duration that is only a container's estimate: the larger may be missing at the end."""


def verify(
    output: Path, plan: Plan, source: SourceFacts, limits: Limits, on_run: OnRun = lambda run: None
) -> SourceFacts:
    """The facts about the output.

    Raises BadInput: `output_invalid` where it is not what was planned, `damaged` where the end of the
    source could not be read, `too_long` where the source lasted longer than it said.
    """
    try:
        made = probe(output, limits, on_run)
    except BadInput as refusal:
        raise BadInput(FailureCode.OUTPUT_INVALID, f"The output cannot be probed: {refusal}") from refusal
    if flaws := list(_flaws(output, made, plan)):
        raise BadInput(FailureCode.OUTPUT_INVALID, "; ".join(flaws))
    _hold_duration(made, plan, source, limits)
    return made


def _flaws(output: Path, made: SourceFacts, plan: Plan) -> Iterator[str]:
    """Everything about the form of the output that is not as planned."""
    if len(made.video) != 1:
        yield f"{len(made.video)} video streams"
    for video in made.video:
        yield from _picture_flaws(video, plan)
    if [stream.codec for stream in made.audio] != (["aac"] if plan.audio.index is not None else []):
        yield "audio streams: " + (", ".join(stream.codec for stream in made.audio) or "none")
    if made.other_streams:
        yield f"{made.other_streams} streams that are neither picture nor sound"
    if not boxes.moov_is_first(output):
        yield "the index is not first"


def _picture_flaws(video: VideoStream, plan: Plan) -> Iterator[str]:
    expected = {
        "codec": "h264",
        "pixel_format": "yuv420p",
        "width": plan.video.width,
        "height": plan.video.height,
        "color_range": "tv",
        "color_matrix": "bt709",
        "color_transfer": "bt709",
        "color_primaries": "bt709",
    }
    for name, value in expected.items():
        if (actual := getattr(video, name)) != value:
            yield f"{name} is {actual or 'not given'}, planned {value}"
    if not video.frames:
        yield "no frames"


def _hold_duration(made: SourceFacts, plan: Plan, source: SourceFacts, limits: Limits) -> None:
    length = max(made.video[0].duration or 0.0, made.duration or 0.0)
    if length > limits.duration:
        raise BadInput(FailureCode.TOO_LONG, f"It lasts longer than {limits.duration:.0f} seconds.")
    shown = made.video[0].duration or 0.0
    if plan.video_duration is not None:
        _hold_exactly(shown, plan.video_duration)
    elif source.duration is not None and length < source.duration - _allowance(source.duration):
        raise BadInput(FailureCode.DAMAGED, f"{length:.2f} of {source.duration:.2f} seconds could be read.")


def _hold_exactly(shown: float, declared: float) -> None:
    if shown < declared - EXACT:
        raise BadInput(FailureCode.DAMAGED, f"{shown:.2f} of {declared:.2f} seconds could be read.")
    if shown > declared + EXACT:
        raise BadInput(FailureCode.OUTPUT_INVALID, f"{shown:.2f} seconds came of {declared:.2f}.")


def _allowance(duration: float) -> float:
    return max(_LOST_SECONDS, _LOST_SHARE * duration)
