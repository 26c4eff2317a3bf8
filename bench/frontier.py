"""Seconds, VMAF and size over x264's presets, rates and single options: what the engine's choice rests on."""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.support import CACHE, Competitor, arguments, ffmpeg, filmed, megabytes, race, table, vmaf

TREE = "rc-lookahead=10:mbtree=1"
CHOSEN = f"{TREE}:trellis=1"
POINTS = (
    ("ultrafast", 21, ""),
    *(("superfast", crf, "") for crf in (20, 21, 23)),
    *(("veryfast", crf, "") for crf in (21, 23)),
    ("faster", 23, ""),
    ("medium", 23, ""),
    *(("superfast", crf, TREE) for crf in (19, 20)),
    *(("superfast", crf, CHOSEN) for crf in (19, 20, 21)),
    *(
        ("superfast", 20, f"{CHOSEN}:{more}")
        for more in (
            "rc-lookahead=5",
            "rc-lookahead=20",
            "bframes=2",
            "b-adapt=2",
            "weightp=0",
            "subme=2",
            "me=hex",
            "ref=2",
            "partitions=p8x8,b8x8,i8x8,i4x4",
            "aq-mode=0",
            "aq-mode=3",
            "deblock=-1,-1",
        )
    ),
)
"""(preset, crf, x264 options on top)"""


@dataclass(frozen=True)
class Point:
    name: str
    seconds: float
    quality: float
    size: int
    megabytes: str

    def is_beaten_by(self, other: "Point") -> bool:
        return (
            other.seconds <= self.seconds
            and other.quality >= self.quality
            and other.size <= self.size
            and other is not self
        )


def main() -> None:
    parser = arguments(__doc__, runs=3)
    parser.add_argument("--source", type=Path, help="another video than the generated one")
    parser.add_argument("--every", type=int, default=5, help="judge each so-many-th frame (5)")
    parser.add_argument("--only", default="", help="points whose name matches this regular expression")
    options = parser.parse_args()
    source = options.source or filmed(
        "hevc-10s.mov", 10, "-c:v", "libx265", "-preset", "ultrafast", "-crf", "22", "-tag:v", "hvc1"
    )
    every_point = [_competitor(source, *point) for point in POINTS]
    competitors = [one for one in every_point if re.search(options.only, one.name)]
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        timings = race(competitors, options.runs, Path(folder))
        points = [
            Point(
                name=one.name,
                seconds=one.median,
                quality=vmaf(one.output, source, every=options.every),
                size=one.output.stat().st_size,
                megabytes=megabytes(one.output),
            )
            for one in timings
        ]
    print(f"\n{source.name}, video only, medians of {options.runs}\n")
    table([_row(point, points) for point in points])
    print("\nBeaten: another point is at least as fast, as good and as small.")


def _competitor(source: Path, preset: str, crf: int, more: str) -> Competitor:
    extra = ("-x264-params", more) if more else ()
    picture = "scale=w='trunc(iw*min(1,1920/max(iw,ih))/2+0.5)*2':h=-2:flags=bicubic,format=yuv420p"
    words = (
        "-c:v",
        "libx264",
        "-preset",
        preset,
        "-crf",
        str(crf),
        "-profile:v",
        "high",
        "-g",
        "120",
        *extra,
    )
    return Competitor(
        name=f"{preset} {crf} {more}".strip(),
        run=lambda output: ffmpeg("-i", source, "-an", "-vf", picture, "-fps_mode", "vfr", *words, output),
    )


def _row(point: Point, points: list[Point]) -> dict[str, str]:
    return {
        "x264": point.name,
        "s": f"{point.seconds:.2f}",
        "VMAF": f"{point.quality:.2f}",
        "MB": point.megabytes,
        "beaten": "yes" if any(map(point.is_beaten_by, points)) else "",
    }


if __name__ == "__main__":
    main()
