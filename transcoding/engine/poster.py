"""A still picture to stand for the video: not black, taken from the finished MP4."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, pstdev

from transcoding.engine import command
from transcoding.engine.contracts import Limits
from transcoding.engine.facts import VideoStream
from transcoding.engine.packets import Packets
from transcoding.engine.plan import VideoPlan, output_size
from transcoding.engine.run import Run

_MOMENTS = (0.1, 0.3, 0.5, 0.75, 0.0)
"""Where to look, as fractions of all frames; the first good one wins."""
_UNSURE = (1.0, 3.0, 10.0, 30.0)
"""Seconds where to look in a film of unknown length."""
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


def moments(duration: float | None) -> tuple[float, ...]:
    """Where to look besides the first frame, in seconds, if only the source says how long it is."""
    return tuple(fraction * duration for fraction in sorted(_MOMENTS) if fraction) if duration else _UNSURE


def candidates(folder: Path, made: command.Pictures) -> list[Candidate]:
    """What an encode has made on the way: the later ones first, as in `_MOMENTS`."""
    luma = folder / made.luma
    grey = luma.read_bytes() if luma.exists() else b""
    found = []
    for number in range(len(grey) // command.LUMA_SIDE**2):
        picture = folder / (made.posters % number)
        if picture.exists():
            found.append(_candidate(picture, grey[number * command.LUMA_SIDE**2 :][: command.LUMA_SIDE**2]))
    return [*found[1:], *found[:1]]


def best_of(candidates: Iterable[Candidate | None]) -> Candidate | None:
    """The first good one, or the best; None if there is none."""
    best: Candidate | None = None
    for candidate in candidates:
        if candidate and (best is None or candidate.merit > best.merit):
            best = candidate
        if best and best.is_good:
            break
    return best


def size(video: VideoStream) -> tuple[int, int]:
    """Of the poster of this video, in pixels."""
    return output_size(video, command.POSTER_SIDE)


def attempts(
    mp4: Path, packets: Packets, colours: VideoPlan, limits: Limits
) -> Iterator[tuple[Path, Path, list[str]]]:
    """(picture, luma, ffmpeg arguments) for each moment, best first."""
    for number, moment in enumerate(_moments(packets)):
        picture, luma = mp4.with_name(f"poster{number}.jpg"), mp4.with_name(f"poster{number}.luma")
        into = (picture.name, luma.name)
        yield picture, luma, command.poster(limits, mp4.name, moment, colours, into)


def _moments(packets: Packets) -> list[command.Moment]:
    """Key frames first: they are there at once, while the others need all frames before them."""
    frames = [packets.times[int(fraction * (len(packets.times) - 1))] for fraction in _MOMENTS]
    keys = packets.keyframes
    before = dict.fromkeys(keys[max(0, bisect_right(keys, frame) - 1)] for frame in frames)
    others = [frame for frame in dict.fromkeys(frames) if frame not in before]
    return [command.Moment(at=at, is_key=at in before) for at in (*before, *others)]


def judged(picture: Path, luma: Path, done: Run) -> Candidate | None:
    """How good the picture is, or None if there was no frame at that moment."""
    if not done.succeeded or not luma.exists() or not picture.exists():
        return None
    grey = luma.read_bytes()
    if len(grey) != command.LUMA_SIDE**2:
        return None
    return _candidate(picture, grey)


def _candidate(picture: Path, grey: bytes) -> Candidate:
    return Candidate(picture=picture, brightness=fmean(grey), contrast=pstdev(grey))
