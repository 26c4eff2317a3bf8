"""Run ffmpeg or ffprobe on a file that may be hostile: bounded, watched, always reaped.

No shell, no standard input, no environment of ours, no path in the arguments: the program starts in
the job's folder and sees only names that we chose.
"""

import os
import re
import resource
import selectors
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from transcoding.engine import sandbox
from transcoding.engine.binaries import Binary

_TAIL_BYTES = 16 * 1024
_CHUNK = 64 * 1024
_TICK = 0.25
"""Seconds between two looks at the clock, and so between two calls of `on_tick`."""
_ENVIRONMENT = {"LC_ALL": "C", "HOME": ".", "TMPDIR": ".", "MALLOC_ARENA_MAX": "4"}
"""All of it. Every thread's own arena would claim 64 MiB of the address space."""


_OUT_OF_MEMORY = (
    "Cannot allocate memory",
    "malloc of size",
    "pthread_create() failed",
    "Resource temporarily unavailable",
    "Error while opening encoder",
    "Error encoding a frame",
)
"""In the words of ffmpeg and of x264. A thread wants address space for its stack. The settings of our
encoders are always valid, so nothing else stops them, though x264 may fail without a word."""


class Stop(StrEnum):
    """Why we, or a limit that we set, ended a run."""

    WALL_CLOCK = "wall clock"
    STALLED = "no progress"
    CPU = "processor time"
    FILE_SIZE = "output size"
    TALKATIVE = "too much on standard output"


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What one run may use. Seconds and bytes."""

    seconds: float
    stall_seconds: float
    """Without new output, before the program counts as hung."""
    memory_bytes: int
    """Address space."""
    file_bytes: int
    """Of any one file that it writes."""
    stdout_bytes: int | None = None
    nice: int = 5
    """Web pages go first, then what somebody waits for; a conversion makes way for both."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What became of one program."""

    program: str
    arguments: tuple[str, ...]
    returncode: int
    """Negative: the signal that ended it."""
    stopped: Stop | None
    log: str
    """Tail of standard error, cleaned of paths and addresses."""
    shunned: frozenset[str] = frozenset()
    """Decoders that it looked for and that are not on our list; the log does not mention them."""
    cpu_seconds: float
    peak_memory: int
    """Largest resident set, in bytes."""

    @property
    def succeeded(self) -> bool:
        return self.returncode == 0 and self.stopped is None

    @property
    def starved(self) -> bool:
        """Whether it failed, or hung, for want of memory."""
        return not self.succeeded and any(words in self.log for words in _OUT_OF_MEMORY)

    @property
    def killed_from_outside(self) -> bool:
        return self.stopped is None and self.returncode in (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP)


class _Watch:
    """Knows when a run has lasted, stalled or talked too long."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._started = self._last_news = time.monotonic()
        self._heard = 0

    def heard(self, chunk: bytes, *, news: bool) -> None:
        self._heard += len(chunk)
        if news:
            self._last_news = time.monotonic()

    def verdict(self) -> Stop | None:
        now, budget = time.monotonic(), self._budget
        if now - self._started > budget.seconds:
            return Stop.WALL_CLOCK
        if now - self._last_news > budget.stall_seconds:
            return Stop.STALLED
        if budget.stdout_bytes is not None and self._heard > budget.stdout_bytes:
            return Stop.TALKATIVE
        return None


class _Tail:
    """The last bytes of a stream, whatever its length."""

    def __init__(self) -> None:
        self._bytes = b""

    def add(self, chunk: bytes) -> None:
        self._bytes = (self._bytes + chunk)[-_TAIL_BYTES:]

    def text(self) -> str:
        return cleaned(_SHUNNED.sub("", self._text()))

    def shunned(self) -> frozenset[str]:
        return frozenset(_SHUNNED.findall(self._text()))

    def _text(self) -> str:
        return self._bytes.decode("utf-8", "replace")


def run(
    binary: Binary,
    arguments: Sequence[str],
    *,
    folder: Path,
    budget: Budget,
    on_output: Callable[[bytes], bool],
    on_tick: Callable[[], None] = lambda: None,
    readable: Sequence[Path] = (),
) -> Run:
    """Run a program in `folder` to its end, or to the end of its budget, shut in as `sandbox` can.

    `on_output` gets standard output piece by piece and says whether the piece was news; `on_tick` is
    called several times a second. Whatever either raises, and whatever a signal handler raises in
    between, every process of the run is dead and reaped before it goes on to the caller.
    `readable`: what it may read and run beyond its folder and its own libraries.

    Raises NotConfined if it could not be shut in, and was not run.
    """
    watch, tail = _Watch(budget), _Tail()
    child = sandbox.start(
        binary.path,
        arguments,
        folder=folder,
        environment=_ENVIRONMENT,
        limits=_limits(budget),
        readable=readable,
        nice=budget.nice,
    )
    try:
        stopped = _attend(child, watch, tail, on_output, on_tick)
    finally:
        status, usage = _end(child)
    returncode = os.waitstatus_to_exitcode(status)
    sandbox.raise_if_not_confined(returncode, tail.text())
    return Run(
        program=binary.path.name.partition("-")[0],
        arguments=tuple(arguments),
        returncode=returncode,
        stopped=stopped or _limit_behind(returncode),
        log=tail.text(),
        shunned=tail.shunned(),
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_memory=usage.ru_maxrss * (1024 if sys.platform == "linux" else 1),
    )


def cleaned(text: str) -> str:
    """Without file paths, network addresses, pointers and control characters."""
    for pattern, replacement in _CLEANING:
        text = pattern.sub(replacement, text)
    return text.strip()


_SHUNNED = re.compile(
    r"^\[\w+ @ 0x[0-9a-f]+\] Codec \((\w+)\) not on whitelist '[\w,]*'\n"
    r"(?: +Last message repeated \d+ times\n)?",
    re.MULTILINE,
)
_CLEANING = (
    (re.compile(r" @ 0x[0-9a-f]+"), ""),
    (re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"]*"), "<address>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"), "<address>"),
    (re.compile(r"(?<![\w.<])(?:~|\.\.)?/[^\s'\":,;]+"), "<path>"),
    (re.compile(r"[^\n\x20-\x7e]"), "?"),
)


def _limits(budget: Budget) -> list[tuple[int, int]]:
    cpu = int(budget.seconds * (os.cpu_count() or 1)) + 1
    limits = (
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_AS, budget.memory_bytes),
        (resource.RLIMIT_FSIZE, budget.file_bytes),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    )
    return [(kind, _within(kind, value)) for kind, value in limits]


def _within(kind: int, value: int) -> int:
    """The value, or the hard limit that we are under ourselves and may not exceed."""
    hard = resource.getrlimit(kind)[1]
    return value if hard == resource.RLIM_INFINITY else min(value, hard)


def _attend(
    child: sandbox.Child,
    watch: _Watch,
    tail: _Tail,
    on_output: Callable[[bytes], bool],
    on_tick: Callable[[], None],
) -> Stop | None:
    """Read both pipes until the program has ended, or must. Both at once, or a full one would block it."""

    def hear(chunk: bytes) -> None:
        watch.heard(chunk, news=on_output(chunk))

    next_tick = 0.0
    with selectors.DefaultSelector() as pipes:
        for pipe, sink in ((child.stdout, hear), (child.stderr, tail.add)):
            pipes.register(pipe, selectors.EVENT_READ, sink)
        while pipes.get_map() or not _has_exited(child.pid):
            _read(pipes)
            if stop := watch.verdict():
                return stop
            if time.monotonic() >= next_tick:
                next_tick = time.monotonic() + _TICK
                on_tick()
    return None


def _read(pipes: selectors.BaseSelector) -> None:
    """Pass on what is there; wait for it a moment if nothing is."""
    if not pipes.get_map():
        time.sleep(0.005)  # both pipes are closed: the program is about to exit
        return
    for key, _ in pipes.select(_TICK):
        if chunk := os.read(key.fd, _CHUNK):
            key.data(chunk)
        else:
            pipes.unregister(key.fileobj)


def _has_exited(pid: int) -> bool:
    """Without reaping it: the process id must stay ours until the whole group is killed."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end(child: sandbox.Child) -> tuple[int, resource.struct_rusage]:
    """Kill whatever is left of the process group and reap its leader."""
    for kill in (os.killpg, os.kill):  # the leader too: it may not lead a group yet
        with suppress(ProcessLookupError, PermissionError):  # PermissionError: macOS, for a group of zombies
            kill(child.pid, signal.SIGKILL)
    _, status, usage = os.wait4(child.pid, 0)
    for pipe in (child.stdout, child.stderr):
        pipe.close()
    return status, usage


def _limit_behind(returncode: int) -> Stop | None:
    return {-signal.SIGXCPU: Stop.CPU, -signal.SIGXFSZ: Stop.FILE_SIZE}.get(returncode)
