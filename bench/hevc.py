"""HEVC 1080p30 of 30 s: the engine against the obvious command and HandBrake; time, quality and size."""

import shutil
import tempfile
from pathlib import Path

from bench.support import (
    CACHE,
    Competitor,
    arguments,
    ffmpeg,
    filmed,
    megabytes,
    ours,
    race,
    spread,
    table,
    tool,
    vmaf,
)

NAIVE = "ffmpeg -vcodec h264 -acodec aac"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--source", type=Path, help="another video than the generated one")
    parser.add_argument("--every", type=int, default=5, help="judge each so-many-th frame (5)")
    options = parser.parse_args()
    source = options.source or filmed(
        "hevc-30s.mov", 30, "-c:v", "libx265", "-preset", "ultrafast", "-crf", "22", "-tag:v", "hvc1"
    )
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        timings = race(_competitors(source), options.runs, Path(folder))
        engine, naive = timings[:2]
        quality = {one.name: vmaf(one.output, source, every=options.every) for one in timings}
        rows = [
            spread(one)
            | {
                "MB": megabytes(one.output),
                "VMAF": f"{quality[one.name]:.2f}",
                "times the engine's": f"{one.median / engine.median:.2f}",
            }
            for one in timings
        ]
        size = engine.output.stat().st_size / naive.output.stat().st_size
    print(f"\n{source.name}, {megabytes(source)} MB, medians of {options.runs}\n")
    table(rows)
    print(f"\n{naive.median / engine.median:.2f} times as fast as the obvious command (goal: 2 or more)")
    lead = quality[engine.name] - quality[naive.name]
    print(f"VMAF {quality[engine.name]:.2f}, {lead:+.2f} (goal: -1 or better, above 93)")
    print(f"{size:.2f} times its size (goal: at most 1.7)")
    print("The obvious command is x264 medium crf 23 by its defaults, so that it stands for both.")


def _competitors(source: Path) -> list[Competitor]:
    found = [
        Competitor(name="engine", run=ours(source)),
        Competitor(
            name=NAIVE, run=lambda output: ffmpeg("-i", source, "-vcodec", "h264", "-acodec", "aac", output)
        ),
    ]
    if handbrake := shutil.which("HandBrakeCLI"):
        found.append(
            Competitor(
                name="HandBrakeCLI Fast 1080p30",
                run=lambda output: tool(handbrake, "-Z", "Fast 1080p30", "-i", source, "-o", output),
            )
        )
    else:
        print("HandBrakeCLI is not installed (Debian: handbrake-cli); the table goes without it.")
    return found


if __name__ == "__main__":
    main()
