"""The frame index: when each frame is shown, for a player that steps from frame to frame.

A gzipped JSON object without spaces:

    {"version": 1, "times": [0, 0.033367, 0.066733, ...]}

`times` are the presentation times of all frames of the MP4, in seconds, rising, on the time line that a
browser's `currentTime` counts (a track that begins late begins above 0). A frame is shown from its time
until the next one's, so that half-way between the two is a safe place to seek to.
"""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

VERSION = 1
_DIGITS = 6
"""After the point: the time base of MP4 is seldom finer than a microsecond."""


def write(path: Path, times: Sequence[float]) -> None:
    """Write the index. The same times give the same bytes."""
    rounded = [round(time, _DIGITS) for time in times]
    text = json.dumps({"version": VERSION, "times": rounded}, separators=(",", ":"))
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def read(content: bytes) -> list[float]:
    """The times of an index as it lies in the store."""
    times: list[float] = json.loads(gzip.decompress(content))["times"]
    return times
