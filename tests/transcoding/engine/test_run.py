"""The runner: limits, watching, killing, cleaning."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from transcoding.engine import launcher, sandbox
from transcoding.engine.binaries import Binary
from transcoding.engine.run import Budget, Run, Stop, cleaned, run

from .support import REPOSITORY, eventually, processes_in

SHELL = Binary(path=Path("/bin/sh"), version="")
TOOLS = (Path("/bin"), Path("/usr/bin"), Path("/dev"))
"""What a script of these tests runs and reads, where ffmpeg needs nothing but itself."""


def shell(script: str, folder: Path, *, news: bool = True, on_tick: Any = lambda: None, **budget: Any) -> Run:
    limits = {"seconds": 20.0, "stall_seconds": 20.0, "memory_bytes": 2**32, "file_bytes": 2**20} | budget
    return run(
        SHELL,
        ["-c", script],
        folder=folder,
        budget=Budget(**limits),
        on_output=lambda chunk: news,
        on_tick=on_tick,
        readable=TOOLS,
    )


@pytest.fixture(autouse=True)
def _children(monkeypatch):
    """A shell is nothing without children, and what is tested here must end them too."""
    layers = tuple(layer for layer in sandbox.layers() if layer != launcher.CHILDREN)
    monkeypatch.setattr(sandbox, "layers", lambda: layers)


def test_it_gives_the_end_and_the_cost_of_a_run(tmp_path: Path):
    done = shell("echo gone wrong >&2; exit 3", tmp_path)
    assert (done.returncode, done.stopped, done.log, done.succeeded) == (3, None, "gone wrong", False)
    assert done.cpu_seconds >= 0
    assert done.peak_memory > 100_000


def test_standard_output_arrives_whole(tmp_path: Path):
    heard: list[bytes] = []

    def listen(chunk: bytes) -> bool:
        heard.append(chunk)
        return True

    budget = Budget(seconds=20, stall_seconds=20, memory_bytes=2**32, file_bytes=0)
    run(SHELL, ["-c", "seq 100000"], folder=tmp_path, budget=budget, on_output=listen, readable=TOOLS)
    assert b"".join(heard).split() == [str(number).encode() for number in range(1, 100001)]


def test_a_flood_on_standard_error_neither_blocks_nor_fills_memory(tmp_path: Path):
    done = shell("seq 1000000 >&2; echo end >&2", tmp_path)
    assert done.succeeded
    assert done.log.endswith("1000000\nend")
    assert len(done.log) <= 16 * 1024


def test_it_starts_in_its_folder_without_our_environment(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
    done = shell("pwd -P > where; env > environment", tmp_path)
    assert done.succeeded
    assert (tmp_path / "where").read_text().strip() == str(tmp_path.resolve())
    names = {line.partition("=")[0] for line in (tmp_path / "environment").read_text().splitlines()}
    assert names <= {"LC_ALL", "HOME", "TMPDIR", "MALLOC_ARENA_MAX", "PWD", "OLDPWD", "_", "SHLVL"}


def test_its_folder_may_be_named_from_where_we_are(tmp_path: Path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path)
    assert shell("echo made > file", Path("work")).succeeded
    assert (tmp_path / "work" / "file").exists()


def test_it_has_no_standard_input(tmp_path: Path):
    assert shell("read line || echo nothing >&2", tmp_path).log == "nothing"


def test_the_wall_clock_ends_a_runaway_and_its_children(tmp_path: Path):
    started = time.monotonic()
    done = shell("sleep 60 & sleep 60", tmp_path, seconds=0.5)
    assert done.stopped == Stop.WALL_CLOCK
    assert time.monotonic() - started < 30
    assert eventually(lambda: processes_in(tmp_path) == [])


def test_chatter_without_news_counts_as_hung(tmp_path: Path):
    chatter = "while true; do echo frame=1; sleep 0.1; done"
    assert shell(chatter, tmp_path, news=False, stall_seconds=0.5).stopped == Stop.STALLED
    assert shell(chatter, tmp_path, news=True, stall_seconds=0.5, seconds=1).stopped == Stop.WALL_CLOCK


def test_a_flood_of_output_is_ended(tmp_path: Path):
    assert shell("yes", tmp_path, stdout_bytes=100_000).stopped == Stop.TALKATIVE


def test_the_processor_time_is_limited(tmp_path: Path):
    seconds = 1.0 / (os.cpu_count() or 1)
    script = "import resource, sys; sys.stderr.write(str(resource.getrlimit(resource.RLIMIT_CPU)))"
    done = run(
        Binary(path=Path(sys.executable), version=""),
        ["-c", script],
        folder=tmp_path,
        budget=Budget(seconds=60 * seconds, stall_seconds=9, memory_bytes=2**32, file_bytes=0),
        on_output=lambda chunk: True,
        readable=(Path(sys.prefix), Path(sys.base_prefix)),
    )
    assert done.log in ("(60, 60)", "(61, 61)")


def test_files_memory_and_descriptors_are_limited(tmp_path: Path):
    assert shell("head -c 200000 /dev/zero > file", tmp_path, file_bytes=100_000).returncode != 0
    assert (tmp_path / "file").stat().st_size == 100_000
    done = shell("ulimit -v; ulimit -n; ulimit -c", tmp_path, memory_bytes=2**30)
    assert done.succeeded
    done = shell("(ulimit -v; ulimit -n; ulimit -c) >&2", tmp_path, memory_bytes=2**30)
    assert done.log.split() == [str(2**20), "64", "0"]


def test_a_file_that_grows_past_its_limit_is_told_by_the_signal(tmp_path: Path):
    script = "exec head -c 200000 /dev/zero > file"
    assert shell(script, tmp_path, file_bytes=100_000).stopped == Stop.FILE_SIZE


@pytest.mark.parametrize("error", [RuntimeError("lease lost"), SystemExit(1), KeyboardInterrupt()])
def test_whatever_the_caller_raises_nothing_keeps_running(tmp_path: Path, error):
    def fail() -> None:
        raise error

    with pytest.raises(type(error)):
        shell("sleep 60 & sleep 60", tmp_path, on_tick=fail)
    assert eventually(lambda: processes_in(tmp_path) == [])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_nothing_outlives_a_parent_that_was_killed(tmp_path: Path):
    script = (
        "from pathlib import Path\n"
        "from transcoding.engine.binaries import Binary\n"
        "from transcoding.engine.run import Budget, run\n"
        "run(Binary(path=Path('/bin/sleep'), version=''), ['60'], folder=Path.cwd() / 'work',\n"
        "    budget=Budget(seconds=60, stall_seconds=60, memory_bytes=2**32, file_bytes=0),\n"
        "    on_output=lambda chunk: True)\n"
    )
    work = tmp_path / "work"
    (work / "inner").mkdir(parents=True)
    parent = subprocess.Popen(
        [sys.executable, "-c", script], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}
    )
    try:
        assert eventually(lambda: bool(_sleeping_in(work)))
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert eventually(lambda: not _sleeping_in(work))


def _sleeping_in(folder: Path) -> list[int]:
    return [pid for pid in processes_in(folder) if Path(f"/proc/{pid}/comm").read_text() == "sleep\n"]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("file:/srv/work/transcode-x1/source: Invalid data", "file:<path>: Invalid data"),
        ("[mov @ 0x7f1ca6d09040] moov atom not found", "[mov] moov atom not found"),
        ("http://10.0.0.7:9000/bucket?X-Amz-Signature=abc refused", "<address> refused"),
        ("connect to 10.0.0.7:9000 failed", "connect to <address> failed"),
        ("tab\tbell\aumlaut ü", "tab?bell?umlaut ?"),
        ("speed 25/1, 4/3", "speed 25/1, 4/3"),
    ],
)
def test_a_log_is_cleaned_of_paths_addresses_and_control_characters(said, kept):
    assert cleaned(said) == kept
