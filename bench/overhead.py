"""What the engine adds to ffmpeg: a conversion end to end minus the same ffmpeg run by hand."""

import subprocess
import tempfile
from pathlib import Path
from statistics import median

from bench.support import CACHE, Competitor, arguments, filmed, ours, race, spread, table
from transcoding.engine.binaries import find_ffmpeg
from transcoding.engine.convert import MP4, SOURCE


def main() -> None:
    options = arguments(__doc__).parse_args()
    source = filmed(
        "hevc-10s.mov", 10, "-c:v", "libx265", "-preset", "ultrafast", "-crf", "22", "-tag:v", "hvc1"
    )
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        folder = Path(name)
        done = ours(source)(folder / "first.mp4")
        assert done.run
        words = done.run.arguments
        (folder / SOURCE).symlink_to(source)

        def bare(output: Path) -> None:
            subprocess.run([find_ffmpeg().path, *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)
            (folder / MP4).replace(output)

        competitors = [
            Competitor(name="engine", run=ours(source)),
            Competitor(name="engine without poster", run=ours(source, with_poster=False)),
            Competitor(name="the same ffmpeg alone", run=bare),
        ]
        timings = race(competitors, options.runs, folder)
    print(f"\nHEVC 1080p30 of 10 s, medians of {options.runs}\n")
    table([spread(one) for one in timings])
    print()
    whole, without_poster, alone = timings
    for engine in (whole, without_poster):
        # Within a round, since what else the machine does changes more than what is measured.
        extra = median(one - other for one, other in zip(engine.seconds, alone.seconds, strict=True))
        print(f"{engine.name}: {extra:+.2f} s, {100 * extra / alone.median:+.1f} % (goal: 0.5 s or 5 %)")


if __name__ == "__main__":
    main()
