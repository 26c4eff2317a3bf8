"""Chunk-parallel encoding: one video cut into parts, encoded side by side, joined without a gap.

Self-contained: the engine does not do it, see docs/performance.md. The cut lies at keyframes, so that each
part decodes by itself; the parts are joined with their durations spelled out; the sound is encoded once,
as a whole, since an encoder's padding would be heard at every seam.
"""

import json
import os
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

from bench.support import CACHE, Competitor, arguments, ffmpeg, filmed, race, spread, table
from transcoding.engine.binaries import find_ffprobe

X264 = ("-c:v", "libx264", "-preset", "superfast", "-crf", "21", "-profile:v", "high", "-g", "120")
TIMED = ("-fps_mode", "vfr", "-enc_time_base:v", "1:90000", "-pix_fmt", "yuv420p")
AT_ITS_PLACE = 0.002
"""Seconds."""
BEFORE = 0.004
"""Seconds before a keyframe at which to cut, so that rounding never loses it."""


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count() or 1, help="parts at a time (all cores)"
    )
    parser.add_argument(
        "--threads", type=int, default=0, help="threads of each part's encoder (x264 decides)"
    )
    options = parser.parse_args()
    source = filmed(
        "hevc-30s.mov", 30, "-c:v", "libx265", "-preset", "ultrafast", "-crf", "22", "-tag:v", "hvc1"
    )
    threads = ("-threads", str(options.threads))
    competitors = [
        Competitor(
            name="one process",
            run=lambda output: ffmpeg("-i", source, *X264, *TIMED, "-c:a", "aac", "-b:a", "128k", output),
        ),
        Competitor(
            name=f"{options.processes} processes",
            run=lambda output: in_parts(source, output, options.processes, threads),
        ),
    ]
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        whole, parts = race(competitors, options.runs, Path(folder))
        hold(whole.output, parts.output)
    print(f"\nHEVC 1080p30 of 30 s, medians of {options.runs}\n")
    table([spread(one) for one in (whole, parts)])
    print(
        f"\n{whole.median / parts.median:.2f} times as fast in parts; same frames at the same times, no seam"
    )


def in_parts(source: Path, output: Path, processes: int, threads: tuple[str, ...]) -> None:
    with tempfile.TemporaryDirectory(dir=output.parent) as name:
        folder = Path(name)
        cuts = _cuts(source, processes)
        parts = [folder / f"{number}.mp4" for number in range(len(cuts) - 1)]

        def encode(part: Path, begin: float, end: float) -> None:
            span = (
                "-ss",
                f"{max(begin - BEFORE, 0):.6f}",
                "-t",
                f"{end - max(begin - BEFORE, 0) - BEFORE:.6f}",
            )
            ffmpeg(*span, "-i", source, "-an", *X264, *TIMED, *threads, part)

        sound = folder / "sound.m4a"
        with ThreadPoolExecutor(processes + 1) as pool:
            work = [
                pool.submit(ffmpeg, "-i", source, "-vn", "-c:a", "aac", "-b:a", "128k", sound),
                *(pool.submit(encode, part, *span) for part, span in zip(parts, pairwise(cuts), strict=True)),
            ]
            for one in work:
                one.result()
        listing = folder / "parts.txt"
        lines = [
            f"file '{part.name}'\nduration {end - begin:.6f}\n"
            for part, (begin, end) in zip(parts, pairwise(cuts), strict=True)
        ]
        listing.write_text("ffconcat version 1.0\n" + "".join(lines))
        joined = ("-f", "concat", "-i", listing, "-i", sound, "-map", "0:v", "-map", "1:a", "-c", "copy")
        ffmpeg(*joined, "-movflags", "+faststart", output)


def _cuts(source: Path, processes: int) -> list[float]:
    """Times at which to cut: keyframes nearest to equal parts, with the beginning and the end."""
    packets = _packets(source)
    times = sorted(float(packet["pts_time"]) for packet in packets)
    keys = [float(packet["pts_time"]) for packet in packets if "K" in packet["flags"]]
    end = times[-1] + (times[-1] - times[-2])
    wanted = [end * number / processes for number in range(1, processes)]
    inner = {min(keys, key=lambda key, at=at: abs(key - at)) for at in wanted}
    return [*sorted({0.0, *inner}), end]


def _packets(path: Path) -> list[dict[str, str]]:
    command = [find_ffprobe().path, "-v", "error", "-select_streams", "v:0"]
    shown = ["-show_entries", "packet=pts_time,flags", "-of", "json"]
    done = subprocess.run([*command, *shown, path], capture_output=True, check=True)
    packets: list[dict[str, str]] = json.loads(done.stdout)["packets"]
    return packets


def hold(whole: Path, parts: Path) -> None:
    """Both have the same frames at the same times, and times increase."""
    one, other = (sorted(float(packet["pts_time"]) for packet in _packets(path)) for path in (whole, parts))
    assert len(one) == len(other), f"{len(one)} frames in one piece, {len(other)} in parts"
    assert all(before < after for before, after in pairwise(other)), "times do not increase"
    furthest = max(abs((a - one[0]) - (b - other[0])) for a, b in zip(one, other, strict=True))
    assert furthest < AT_ITS_PLACE, f"a frame is {furthest:.4f} s away from its place"


if __name__ == "__main__":
    main()
