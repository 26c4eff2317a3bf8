"""Read ffmpeg's `-progress` as a fraction, tell real news from chatter, and say how long it will take."""

import time
from collections import deque
from collections.abc import Callable

_WINDOW = 30.0
"""Seconds that are looked back: a download is not as fast as an encode, nor one scene as another."""
_LEAST = 3.0
"""Seconds before anything is said."""
_STEP = 1.0
"""Seconds between two samples that are kept."""


class Progress:
    """Where one ffmpeg run is. Feed it standard output as it comes."""

    def __init__(self, duration: float | None) -> None:
        self.fraction = 0.0
        self._duration = duration
        self._rest = b""
        self._last: dict[bytes, bytes] = {}

    def hear(self, chunk: bytes) -> bool:
        """Take in a piece of output; say whether ffmpeg got any further.

        It reports twice a second even when it hangs, so only a changed figure is news.
        """
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return sum(self._take(line) for line in lines) > 0  # not any(): every line must be taken in

    def _take(self, line: bytes) -> bool:
        name, _, value = line.strip().partition(b"=")
        if name not in (b"out_time_us", b"total_size", b"frame") or self._last.get(name) == value:
            return False
        self._last[name] = value
        if name == b"out_time_us" and self._duration and value.isdigit():
            self.fraction = min(1.0, int(value) / 1e6 / self._duration)
        return True


class Pace:
    """How fast a fraction has risen of late, and so how long the rest will take."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, float]] = deque()
        """(when, fraction), rising in both."""

    def hear(self, fraction: float) -> None:
        now = self._clock()
        if self._seen and fraction < self._seen[-1][1]:
            self._seen.clear()  # it has begun anew
        if not self._seen or now - self._seen[-1][0] >= _STEP:
            self._seen.append((now, fraction))
        while now - self._seen[0][0] > _WINDOW and len(self._seen) > 2:  # noqa: PLR2004 - two make a rate
            self._seen.popleft()

    @property
    def seconds_left(self) -> float | None:
        """None as long as it cannot be told."""
        if not self._seen:
            return None
        (began, low), (last, high) = self._seen[0], self._seen[-1]
        if last - began < _LEAST or high <= low:
            return None
        return (1 - high) * (last - began) / (high - low)
