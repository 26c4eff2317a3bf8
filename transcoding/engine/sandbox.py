"""Start ffmpeg and ffprobe shut in: without a network, with no files but their own.

Each layer is used where the kernel has it: an empty network namespace, Landlock, seccomp twice. What is
missing is found out once for each process and said in the log. `launcher` does the shutting in.
"""

import json
import logging
import os
import re
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from io import FileIO
from pathlib import Path
from typing import Any

from transcoding.engine import launcher
from transcoding.engine.errors import NotConfined

logger = logging.getLogger(__name__)

_LAYERS = (launcher.NETWORK, launcher.FILES, launcher.CALLS, launcher.CHILDREN)
_COMMAND = [sys.executable, "-I", "-S", launcher.__file__]
_SECONDS = 30.0
_LOADER_FILES = ("/etc/ld.so.cache", "/etc/ld.so.preload")
_FORKS = sys.platform == "linux" and os.uname().machine in launcher.CLONE


@dataclass(frozen=True, kw_only=True)
class Child:
    """A process of ours, the leader of its own session. Whoever starts it waits for it and closes both."""

    pid: int
    stdout: FileIO
    stderr: FileIO


def start(
    program: Path,
    arguments: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    limits: Sequence[tuple[int, int]],
    readable: Sequence[Path] = (),
    nice: int = 5,
) -> Child:
    """Start the program in `folder`. It dies with the thread that called this.

    It may work with the files in `folder` and read what links there point at (we make them, it cannot),
    itself, its libraries, and `readable`. `limits` are of `resource`: (kind, value).
    """
    return _ask(
        {
            "arguments": [str(program), *arguments],
            "folder": str(folder.absolute()),  # the launcher is elsewhere
            "environment": dict(environment),
            "limits": limits,
            "layers": layers(),
            "readable": [*map(str, (*readable, *_linked(folder))), *_needed_by(program)],
            "parent": os.getpid(),
            "nice": nice,
        }
    )


def raise_if_not_confined(returncode: int, log: str) -> None:
    """Raises NotConfined if the launcher gave up, so that the program never ran."""
    if returncode == launcher.FAILED and log.startswith(launcher.COMPLAINT):
        raise NotConfined(log.removeprefix(launcher.COMPLAINT))


@cache
def layers() -> tuple[str, ...]:
    """The layers that this system has for us."""
    if sys.platform != "linux":
        logger.warning("Only Linux can shut the converter in; it runs with its limits alone.")
        return ()
    child = _ask({"try": _LAYERS})
    with child.stdout, child.stderr:
        refusals: dict[str, str] = json.loads(child.stdout.readall() or b"")
    os.waitpid(child.pid, 0)
    for layer, reason in refusals.items():
        if reason:
            logger.warning("This system does not let the converter be shut in: %s: %s", layer, reason)
    return tuple(layer for layer in _LAYERS if not refusals[layer])


class _Launcher:
    """A running launcher. It ends when this is forgotten, when its thread ends, or when we die."""

    def __init__(self) -> None:
        kind = socket.SOCK_SEQPACKET if _FORKS else socket.SOCK_STREAM  # one message at most without forks
        self._control, theirs = socket.socketpair(socket.AF_UNIX, kind)
        self._control.settimeout(_SECONDS)
        self._owner = os.getpid()
        with theirs:
            self._process: subprocess.Popen[bytes] = subprocess.Popen(
                _COMMAND,
                cwd="/",
                env={},
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.dismiss = weakref.finalize(self, _dismiss, self._control, self._process, self._owner)

    @property
    def is_ours(self) -> bool:
        """False in a fork of the process that started it, and once it has ended."""
        return self._owner == os.getpid() and self._process.poll() is None

    def start(self, request: Mapping[str, Any], stdout: int, stderr: int) -> int:
        """Id of the process that does what the request asks."""
        message = json.dumps({**request, "fork": _FORKS}).encode()
        socket.send_fds(self._control, [message], [stdout, stderr])
        if not _FORKS:
            self._process.returncode = 0  # it is the program now, and for `run` to wait for
            return self._process.pid
        try:
            return int(self._control.recv(32))
        except BaseException:
            # Most likely a signal handler has raised: what was started meanwhile must not be lost.
            with suppress(OSError, ValueError):
                pid = int(self._control.recv(32))
                os.kill(pid, 9)
                os.waitpid(pid, 0)
            raise


def _dismiss(control: socket.socket, process: "subprocess.Popen[bytes]", owner: int) -> None:
    control.close()
    if owner == os.getpid() and process.returncode is None:
        process.kill()
        process.wait()
    process.returncode = process.returncode or 0  # in a fork it is not ours to wait for


_mine = threading.local()
"""A launcher for each thread: what it starts dies with the thread that started it."""


def _ask(request: Mapping[str, Any]) -> Child:
    """Raises NotConfined if the launcher does not answer."""
    stdout, stdout_end = os.pipe()
    stderr, stderr_end = os.pipe()
    child = FileIO(stdout), FileIO(stderr)
    try:
        pid = _launcher().start(request, stdout_end, stderr_end)
    except BaseException as error:
        for end in child:
            end.close()
        _forget()
        if isinstance(error, OSError | ValueError):
            raise NotConfined(f"The launcher does not answer ({type(error).__name__}).") from error
        raise
    finally:
        os.close(stdout_end)
        os.close(stderr_end)
    return Child(pid=pid, stdout=child[0], stderr=child[1])


def _launcher() -> _Launcher:
    launched: _Launcher | None = getattr(_mine, "launcher", None)
    if launched is None or not launched.is_ours:
        _forget()
        launched = _mine.launcher = _Launcher()
    return launched


def _forget() -> None:
    launched: _Launcher | None = _mine.__dict__.pop("launcher", None)
    if launched is not None:
        launched.dismiss()


def _linked(folder: Path) -> list[Path]:
    return [entry.resolve() for entry in folder.iterdir() if entry.is_symlink()]


@cache
def _needed_by(program: Path) -> tuple[str, ...]:
    """The program, the folders of its libraries, and what the dynamic loader reads."""
    told = subprocess.run(
        [program],
        env={"LD_TRACE_LOADED_OBJECTS": "1"},  # makes the loader list them and run nothing
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    ).stdout
    libraries = map(Path, re.findall(r"(/\S+) \(0x[0-9a-f]+\)", told))
    folders = {str(folder) for library in libraries for folder in (library.parent, library.resolve().parent)}
    existing = [name for name in _LOADER_FILES if Path(name).exists()]
    return (str(program), *sorted(folders), *(existing if folders else ()))
