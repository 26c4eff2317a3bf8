"""A sheet of small pictures for looking through a film, and which belongs to which seconds.

The sheet is one JPEG. Its index is WebVTT: the text of each cue names the sheet and, as a media fragment,
the place in it (W3C Media Fragments 1.0, 4.2.2): `7448d879.storyboard.jpg#xywh=160,0,160,90`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

from transcoding.engine.packets import Packets

_MOST = 100
_SPARE = 0.9
"""Of the interval, when the length of the film is only what its source says: it may be a little more."""
_SIDE = 160
"""Pixels of the longer side of each picture."""
_SHORTEST = 1.0
"""Seconds between two pictures."""
_KEYS_ONLY_FROM = 4.0
"""Seconds between two pictures from which key frames are near enough: our encoder sets one so often."""
HAIR = 0.0005
"""Seconds: times are rounded when they are written as text."""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """What shall be on a sheet."""

    times: tuple[float, ...]
    """Of the frames that are shown, in seconds."""
    interval: float
    """At least so many seconds lie between two of them."""
    keys_only: bool
    width: int
    """Of one small picture, in pixels."""
    height: int
    columns: int
    rows: int
    taken: int = 0
    """Pictures that an encode has made."""
    step: int = 1
    """Each so-many-th of them is on the sheet."""


def interval_for(duration: float | None) -> float:
    """Seconds between two of the pictures that an encode makes on the way."""
    return max(_SHORTEST, _SPARE * (duration or 0.0) / _MOST)


def picture_size(size: tuple[int, int]) -> tuple[int, int]:
    """Of one small picture of a film of this size. Pixels."""
    scale = _SIDE / max(size)
    return max(2, round(size[0] * scale / 2) * 2), max(2, round(size[1] * scale / 2) * 2)


def sheet_of(packets: Packets, size: tuple[int, int], interval: float) -> Sheet:
    """Of pictures that an encode has made of this film, so far apart: thinned out where they are many."""
    taken = _chosen(packets.times, interval)
    step = ceil(len(taken) / _MOST)
    return _laid_out(taken[::step], interval, size, keys_only=False, taken=len(taken), step=step)


def raw_bytes(laid_out: Sheet) -> int:
    """Size of the file that holds the pictures before they are thinned out: planes of 4:2:0."""
    return laid_out.taken * laid_out.width * laid_out.height * 3 // 2


def sheet(packets: Packets, duration: float, size: tuple[int, int], *, is_copy: bool) -> Sheet:
    """`size` is that of the film, in display pixels. Of a copy, only key frames are looked at."""
    interval = max(_SHORTEST, duration / _MOST)
    keys_only = is_copy or interval >= _KEYS_ONLY_FROM
    times = _chosen(packets.keyframes if keys_only else packets.times, interval)
    return _laid_out(times, interval, size, keys_only=keys_only)


def _laid_out(
    times: tuple[float, ...],
    interval: float,
    size: tuple[int, int],
    *,
    keys_only: bool,
    taken: int = 0,
    step: int = 1,
) -> Sheet:
    columns = min(10, ceil(sqrt(len(times))))
    width, height = picture_size(size)
    return Sheet(
        times=times,
        interval=interval,
        keys_only=keys_only,
        width=width,
        height=height,
        columns=columns,
        rows=ceil(len(times) / columns),
        taken=taken,
        step=step,
    )


def _chosen(times: Sequence[float], interval: float) -> tuple[float, ...]:
    """Just as ffmpeg's `select` filter is told to choose."""
    chosen: list[float] = []
    for time in times:
        if not chosen or time - chosen[-1] >= interval - HAIR:
            chosen.append(time)
    return tuple(chosen)


def index(laid_out: Sheet, duration: float, name: str) -> str:
    """The WebVTT for a sheet that is stored under `name`, beside it. It covers the film from 0 on."""
    starts = (0.0, *laid_out.times[1:])
    ends = (*laid_out.times[1:], max(duration, laid_out.times[-1] + HAIR * 2))
    cues = ["WEBVTT"]
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        row, column = divmod(number, laid_out.columns)
        place = f"{column * laid_out.width},{row * laid_out.height},{laid_out.width},{laid_out.height}"
        cues.append(f"{_clock(start)} --> {_clock(end)}\n{name}#xywh={place}")
    return "\n\n".join(cues) + "\n"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}.{rest % 1000:03}"
