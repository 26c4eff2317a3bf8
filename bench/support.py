"""What the benchmarks share: sources, a clock that is fair to all, a judge of pictures, a table."""

import argparse
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from transcoding.engine.binaries import find_ffmpeg
from transcoding.engine.contracts import Limits
from transcoding.engine.convert import Converted, convert

REPOSITORY = Path(__file__).parents[1]
CACHE = REPOSITORY / "var" / "bench"
_ENGINE_NICE = 10
"""The engine makes way for web pages. Everybody here does, or the comparison would be unfair."""

SCENE = (
    "mandelbrot=size=2304x1296:rate=30:start_scale=0.06:end_scale=0.03:end_pts=600,"
    "gblur=sigma=2.5,"
    "crop=1920:1080:x='192+150*sin(t*0.9)+9*sin(t*7.3)+4*sin(t*23)':y='108+90*cos(t*0.7)+7*cos(t*8.1)',"
    "eq=brightness=0.08:saturation=0.6,"
    "noise=alls=3:allf=t"
)
"""Ten seconds of it look to an encoder like a phone held by hand: fine detail that pans, zooms and shakes,
soft edges, and a sensor's grain."""
VOICE = "aevalsrc='0.2*sin(2*PI*(180+60*sin(t*3))*t)*(0.6+0.4*sin(t*9))':s=48000"


@dataclass(frozen=True, kw_only=True)
class Competitor:
    name: str
    run: Callable[[Path], object]
    """Does the work and writes to this path."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    name: str
    seconds: Sequence[float]
    output: Path

    @property
    def median(self) -> float:
        return median(self.seconds)


def arguments(description: str, *, runs: int = 5) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--runs", type=int, default=runs, help=f"times that each competitor runs ({runs})")
    return parser


def race(competitors: Sequence[Competitor], runs: int, folder: Path) -> list[Timing]:
    """Each competitor once, then each once more, and so on: what else the machine does hits all alike."""
    os.setpriority(os.PRIO_PROCESS, 0, max(_ENGINE_NICE, os.getpriority(os.PRIO_PROCESS, 0)))
    seconds: dict[str, list[float]] = {one.name: [] for one in competitors}
    for _ in range(runs):
        for number, one in enumerate(competitors):
            output = folder / f"{number}.mp4"
            output.unlink(missing_ok=True)
            started = time.perf_counter()
            one.run(output)
            seconds[one.name].append(time.perf_counter() - started)
    return [
        Timing(name=one.name, seconds=seconds[one.name], output=folder / f"{number}.mp4")
        for number, one in enumerate(competitors)
    ]


def tool(*words: str | Path) -> None:
    subprocess.run(
        words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def ffmpeg(*words: str | Path) -> None:
    tool(find_ffmpeg().path, "-nostdin", "-v", "error", "-y", *words)


def ours(source: Path, *, with_poster: bool = True) -> Callable[[Path], Converted]:
    """The engine from file to file: probe, plan, convert, verify, poster."""

    def run(output: Path) -> Converted:
        with tempfile.TemporaryDirectory(dir=output.parent) as folder:
            done = convert(source, Path(folder), Limits(), lambda fraction: None, with_poster=with_poster)
            assert done.mp4, f"{done.code}: {done.detail}"
            done.mp4.replace(output)
        return done

    return run


def cached(name: str, make: Callable[[Path], None]) -> Path:
    """A source, made once and kept in `var/bench`."""
    path = CACHE / name
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"unfinished-{name}")
        make(unfinished)
        unfinished.replace(path)
    return path


def filmed(name: str, seconds: int, *codec: str) -> Path:
    """`seconds` of the scene in this codec with AAC: ten seconds of it, again and again."""

    def ten(path: Path) -> None:
        scene = ("-f", "lavfi", "-i", SCENE, "-f", "lavfi", "-i", VOICE, "-t", "10")
        ffmpeg(*scene, *codec, "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "128k", path)

    def whole(path: Path) -> None:
        ffmpeg("-stream_loop", "-1", "-i", cached(f"ten-{name}", ten), "-t", str(seconds), "-c", "copy", path)

    return cached(name, whole)


def vmaf(output: Path, source: Path, *, every: int) -> float:
    """Mean VMAF of every so-many-th frame, the source scaled to the size of the output.

    Both must have the same frames.
    """
    # Untagged HD is BT.709 to any player; left untagged, the judge would convert one of the two.
    alike = "settb=1/30,setpts=N,setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709"
    graph = (
        f"[0:v]{alike},split[made][size];"  # by number: rounded times would pair neighbours
        f"[1:v]{alike},format=yuv420p[source];"
        "[source][size]scale=rw:rh:flags=bicubic[reference];"
        f"[made][reference]libvmaf=n_threads={os.cpu_count()}:n_subsample={every}"
    )
    command = [find_ffmpeg().path, "-nostdin", "-hide_banner", "-i", output, "-i", source]
    done = subprocess.run(
        [*command, "-lavfi", graph, "-an", "-f", "null", "-"], capture_output=True, text=True, check=True
    )
    found = re.search(r"VMAF score: ([\d.]+)", done.stderr)
    assert found, done.stderr[-500:]
    return float(found[1])


def table(rows: Sequence[Mapping[str, str]]) -> None:
    """Print as Markdown, the first column to the left and the others to the right."""
    names = list(rows[0])
    widths = [max(len(name), *(len(row[name]) for row in rows)) for name in names]
    lines = [names, ["-" * width for width in widths], *([row[name] for name in names] for row in rows)]
    for line in lines:
        first, *others = zip(line, widths, strict=True)
        cells = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        print("| " + " | ".join(cells) + " |", flush=True)


def spread(timing: Timing) -> dict[str, str]:
    return {
        "what": timing.name,
        "median s": f"{timing.median:.2f}",
        "fastest": f"{min(timing.seconds):.2f}",
        "slowest": f"{max(timing.seconds):.2f}",
    }


def megabytes(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f}"
