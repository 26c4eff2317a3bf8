"""A phone's H.264 video of 60 s and 80 MB: the engine against the obvious command, and against `cp`."""

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
)


def main() -> None:
    options = arguments(__doc__).parse_args()
    source = filmed(
        "h264-60s.mov", 60, "-c:v", "libx264", "-preset", "veryfast", "-b:v", "10600k", "-g", "30"
    )
    competitors = [
        Competitor(name="engine", run=ours(source)),
        Competitor(name="engine without poster", run=ours(source, with_poster=False)),
        Competitor(name="cp", run=lambda output: tool("/bin/cp", source, output)),
        Competitor(
            name="ffmpeg -vcodec h264 -acodec aac",
            run=lambda output: ffmpeg("-i", source, "-vcodec", "h264", "-acodec", "aac", output),
        ),
    ]
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        timings = race(competitors, options.runs, Path(folder))
        print(f"\n{megabytes(source)} MB, medians of {options.runs}\n")
        table([spread(one) | {"MB": megabytes(one.output)} for one in timings])
        engine, _, copy, naive = (one.median for one in timings)
    print(f"\n{naive / engine:.1f} times as fast as the obvious command (goal: 100 or more)")
    print(f"{engine:.2f} s; three times cp and 0.3 s would be {3 * copy + 0.3:.2f} s (goal: less than that)")


if __name__ == "__main__":
    main()
