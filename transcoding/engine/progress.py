"""Read ffmpeg's `-progress` as a fraction, and tell real news from mere chatter."""


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
