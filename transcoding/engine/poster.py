"""A still picture to stand for the video: not black, taken from the finished MP4."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, pstdev

from transcoding.engine import command
from transcoding.engine.contracts import Limits
from transcoding.engine.facts import VideoStream
from transcoding.engine.plan import output_size
from transcoding.engine.run import Run

_MOMENTS = (0.1, 0.3, 0.5, 0.75, 0.0)
"""Where to look, as fractions of the duration; the first good frame wins."""
_DARK, _FLAT = 32.0, 6.0
"""Grey levels of 255: darker on average, or more even than this, is no good poster."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    picture: Path
    brightness: float
    contrast: float

    @property
    def is_good(self) -> bool:
        return self.brightness >= _DARK and self.contrast >= _FLAT

    @property
    def merit(self) -> float:
        return min(self.brightness, _DARK) + min(self.contrast, _FLAT)


def size(video: VideoStream) -> tuple[int, int]:
    """Of the poster of this video, in pixels."""
    return output_size(video, command.POSTER_SIDE)


def attempts(mp4: Path, duration: float, limits: Limits) -> Iterator[tuple[Path, Path, list[str]]]:
    """(picture, luma, ffmpeg arguments) for each moment, best first."""
    for number, fraction in enumerate(_MOMENTS):
        picture, luma = mp4.with_name(f"poster{number}.jpg"), mp4.with_name(f"poster{number}.luma")
        arguments = command.poster(
            limits, mp4.name, fraction * duration, picture=picture.name, luma=luma.name
        )
        yield picture, luma, arguments


def judged(picture: Path, luma: Path, done: Run) -> Candidate | None:
    """How good the picture is, or None if there was no frame at that moment."""
    if not done.succeeded or not luma.exists() or not picture.exists():
        return None
    grey = luma.read_bytes()
    if len(grey) != command.LUMA_SIDE**2:
        return None
    return Candidate(picture=picture, brightness=fmean(grey), contrast=pstdev(grey))
