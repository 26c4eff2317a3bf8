"""How a program is shut in: each layer alone, all together, and the launcher that puts them on."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from transcoding.engine import launcher, sandbox
from transcoding.engine.binaries import Binary
from transcoding.engine.errors import NotConfined
from transcoding.engine.run import Budget, Run, run

from .support import REPOSITORY, Listener, eventually, without

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can shut a program in")

PYTHON = Binary(path=Path(sys.executable), version="")
BUDGET = Budget(seconds=20, stall_seconds=20, memory_bytes=2**32, file_bytes=2**20)


def python(script: str, folder: Path, *readable: Path) -> Run:
    """Run a script as the engine runs ffmpeg."""
    return run(
        PYTHON,
        ["-I", "-S", "-c", script],
        folder=folder,
        budget=BUDGET,
        on_output=lambda chunk: True,
        readable=(Path(sys.prefix), Path(sys.base_prefix), *readable),
    )


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def only(monkeypatch):
    """`only("files")`: of the layers, use this one; skip where the kernel does not have it."""

    available = sandbox.layers()

    def choose(layer: str) -> None:
        if layer not in available:
            without(f"The kernel's part of the layer {layer!r}")
        monkeypatch.setattr(sandbox, "layers", lambda: (layer,))

    return choose


CONNECT = "import socket; socket.create_connection(('127.0.0.1', {port}), timeout=5).close()"


@pytest.mark.parametrize("layer", [launcher.NETWORK, launcher.CALLS])
def test_each_layer_alone_keeps_it_off_the_network(work: Path, only: Any, listener: Listener, layer: str):
    exec(CONNECT.format(port=listener.port))  # noqa: S102 - without the sandbox it gets through
    assert eventually(lambda: listener.heard == 1)
    only(layer)
    done = python(CONNECT.format(port=listener.port), work)
    assert done.returncode == 1
    assert "Error" in done.log
    assert listener.heard == 1


def test_it_opens_no_file_but_its_own(work: Path, only: Any):
    (work.parent / "neighbour").write_text("a patient's video")
    (work / "own").write_text("its own")
    only(launcher.FILES)
    script = (
        "import os\n"
        "for name in ('own', '../neighbour', '/etc/passwd', '..', '/proc/self/environ'):\n"
        "    try:\n"
        "        os.close(os.open(name, os.O_RDONLY))\n"
        "        os.write(1, name.encode() + b'\\n')\n"
        "    except PermissionError:\n"
        "        pass\n"
        "os.close(os.open('new', os.O_CREAT | os.O_WRONLY | os.O_TRUNC))\n"
        "os.close(os.open('new', os.O_CREAT | os.O_WRONLY | os.O_TRUNC))\n"
        "os.open('../new', os.O_CREAT | os.O_WRONLY)\n"
    )
    heard: list[bytes] = []

    def listen(chunk: bytes) -> bool:
        heard.append(chunk)
        return True

    readable = (Path(sys.prefix), Path(sys.base_prefix))
    done = run(
        PYTHON, ["-I", "-S", "-c", script], folder=work, budget=BUDGET, on_output=listen, readable=readable
    )
    assert b"".join(heard) == b"own\n"
    assert "PermissionError" in done.log
    assert {path.name for path in work.iterdir()} == {"own", "new"}
    assert not (work.parent / "new").exists()


def test_it_reads_what_a_link_of_ours_points_at(work: Path):
    (work.parent / "upload").write_text("a video")
    (work / "source").symlink_to(work.parent / "upload")
    assert python("import os; os.open('source', os.O_RDONLY)", work).succeeded
    assert python("import os; os.open('source', os.O_WRONLY)", work).returncode == 1
    assert python("import os; os.symlink('/etc/passwd', 'other')", work).returncode == 1


def test_it_has_no_privilege_and_can_gain_none(work: Path):
    done = python("import sys; sys.stderr.write(open('/proc/self/status').read())", work, Path("/proc"))
    status = dict(line.split(":?", 1) for line in done.log.splitlines() if ":?" in line)  # ?: a tab
    assert status["NoNewPrivs"].split() == ["1"]
    assert status["Seccomp"].split() == ["2"]
    assert int(status["CapEff"], 16) in (0, 2)  # 2: root may still read and write what Landlock leaves


FORKS = {
    "fork": "os.fork()",
    "spawn": "os.posix_spawn(sys.executable, ['python', '-ISc', 'open(\"spawned\", \"w\")'], {})",
    "clone": "ctypes.CDLL(None).syscall({'x86_64': 56, 'aarch64': 220}[os.uname().machine], 17, 0, 0, 0, 0)",
}


@pytest.mark.parametrize("how", FORKS)
def test_it_starts_no_process_but_threads(work: Path, only: Any, how: str):
    """One that left the session would outlive its job, and no limit on processes holds for root."""
    attempt = f"import ctypes, os, sys, threading\n{FORKS[how]}\nopen(f'ran{{os.getpid()}}', 'w')\n"
    with_layers = python(attempt, work)
    assert with_layers.succeeded is (how == "clone"), with_layers.log  # which only answers -1
    assert len(list(work.iterdir())) == (how == "clone")
    only(launcher.FILES)
    python(attempt, work)
    assert eventually(lambda: len(list(work.iterdir())) >= 2), "The attempt proves nothing."
    only(launcher.CHILDREN)
    threads = "threads = [threading.Thread(target=print) for _ in range(9)]; [t.start() for t in threads]"
    assert python(f"import threading; {threads}", work).succeeded


@pytest.mark.parametrize("layer", ["", launcher.NETWORK])
def test_the_number_of_processes_is_limited_whichever_layers_there_are(work: Path, monkeypatch, layer: str):
    monkeypatch.setattr(sandbox, "layers", lambda: (layer,) if layer else ())
    before = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])
    script = "import resource, sys; sys.stderr.write(str(resource.getrlimit(resource.RLIMIT_NPROC)[1]))"
    assert 1024 <= int(python(script, work).log) < before + 1024 + 500


ABOUT_OTHERS = [
    "os.kill(os.getppid(), 0)",
    "os.kill(-1, 0)",
    "os.killpg(os.getpgid(os.getppid()), 0)",
    "os.close(os.pidfd_open(os.getppid()))",
    "resource.prlimit(os.getppid(), resource.RLIMIT_CPU)",
]


@pytest.mark.parametrize("script", ABOUT_OTHERS)
def test_it_has_no_power_over_the_worker(work: Path, only: Any, script: str):
    """Same user, so the kernel by itself would let it end the worker, or limit it."""
    only(launcher.FILES)
    if "kill" not in script:  # signals are refused by Landlock too, on newer kernels
        assert python(f"import os, resource; {script}", work).succeeded, "The attempt proves nothing."
    only(launcher.CALLS)
    done = python(f"import os, resource; {script}", work)
    assert (done.returncode, done.log.splitlines()[-1]) == (
        1,
        "PermissionError: [Errno 1] Operation not permitted",
    )


@pytest.mark.parametrize("script", ["os.kill(os.getpid(), 15)", "signal.raise_signal(15)"])
def test_it_may_still_end_itself(work: Path, script: str):
    assert python(f"import os, signal; {script}", work).returncode == -signal.SIGTERM


@pytest.mark.parametrize(
    "script", ["os.chmod(name, 0o777)", "os.utime(name, (0, 0))", "os.setxattr(name, 'user.x', b'1')"]
)
def test_it_changes_no_mode_no_date_and_no_attribute(work: Path, script: str):
    """Landlock would let it, to every file of the user."""
    neighbour = work.parent / "neighbour"
    neighbour.touch(mode=0o600)
    before = neighbour.stat()
    assert python(f"import os; name = '../neighbour'; {script}", work).returncode == 1
    after = neighbour.stat()
    assert (after.st_mode, after.st_mtime, after.st_ctime) == (
        before.st_mode,
        before.st_mtime,
        before.st_ctime,
    )


@pytest.mark.parametrize(
    "script",
    [
        "os.symlink('/etc/passwd', 'new')",
        "os.link('../neighbour', 'new')",
        "os.rename('../neighbour', 'new')",
        "os.rename('source', 'new')",
        "os.mkfifo('new')",
        "os.mkdir('new')",
        "open('../new', 'w')",
        "open('/dev/shm/new', 'w')",
        "open('/proc/self/mem', 'r+b')",
        "open(f'/proc/{os.getppid()}/environ')",
        "os.listdir('/proc')",
    ],
)
def test_it_leaves_nothing_that_we_would_follow_and_writes_nowhere_else(work: Path, script: str):
    (work.parent / "neighbour").touch()
    (work / "source").symlink_to(work.parent / "neighbour")
    done = python(f"import os; {script}", work)
    assert done.returncode == 1
    assert "Permission" in done.log or "cross-device" in done.log
    assert [path.name for path in work.iterdir()] == ["source"]


def test_it_inherits_nothing_that_we_have_open(work: Path):
    """Not even what was opened inheritably: a database, a store's connection, another job's file."""
    (work / "listing").touch()
    with socket.socket() as ours, Path("/etc/passwd").open() as file:
        os.set_inheritable(ours.fileno(), True)  # noqa: FBT003
        os.set_inheritable(file.fileno(), True)  # noqa: FBT003
        sandbox._forget()  # so that a launcher is started meanwhile
        script = (
            "import os, sys\n"
            "for number in range(3, 256):\n"
            "    try: os.fstat(number)\n"
            "    except OSError: continue\n"
            "    sys.exit(number)\n"
            "print(os.readlink('/proc/self/fd/0'), file=sys.stderr)"
        )
        for _ in range(2):  # the second is a fork of a launcher that has served already
            done = python(script, work, Path("/proc"))
            assert (done.returncode, done.log) == (0, "<path>")


def test_a_user_who_may_do_nothing_special_gets_the_same(work: Path, listener: Listener):
    """The user namespace: root without CAP_SYS_ADMIN may make an empty network no other way."""
    setpriv = shutil.which("setpriv")
    if setpriv is None or os.geteuid() != 0:
        without("The right to give up rights, and setpriv,")
    script = (
        "import sys; from pathlib import Path; from transcoding.engine import sandbox\n"
        "from tests.transcoding.engine.test_sandbox import python\n"
        "sandbox.layers.cache_clear(); layers = sandbox.layers(); assert 'network' in layers, layers\n"
        "sandbox.layers = lambda: ('network',)\n"
        "done = python(sys.argv[2], Path(sys.argv[1]))\n"
        "assert 'unreachable' in done.log, done\n"
        "done = python('import resource; assert resource.getrlimit(resource.RLIMIT_NPROC)[0] == 1024',"
        " Path(sys.argv[1]))\n"
        "assert done.succeeded, done\n"
    )
    command = [setpriv, "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", sys.executable, "-c", script]
    done = subprocess.run(
        [*command, work, CONNECT.format(port=listener.port)], cwd=REPOSITORY, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert listener.heard == 0


def test_a_program_that_cannot_be_shut_in_is_not_run(work: Path):
    with pytest.raises(NotConfined, match="No such file"):
        python("open('ran', 'w')", work, Path("/does/not/exist"))
    assert list(work.iterdir()) == []


def test_what_the_system_lacks_is_said_and_done_without(monkeypatch, caplog):
    lacking = {"network": "Operation not permitted", "calls": "Function not implemented"}
    answer = json.dumps(dict.fromkeys(sandbox._LAYERS, "") | lacking)

    def canned(request: object) -> sandbox.Child:
        done = subprocess.Popen(["/bin/true"])
        ends = os.pipe()
        os.write(ends[1], answer.encode())
        os.close(ends[1])
        done.returncode = 0  # layers() waits for it
        return sandbox.Child(pid=done.pid, stdout=open(ends[0], "rb", 0), stderr=open(os.devnull, "rb", 0))  # noqa: PTH123

    monkeypatch.setattr(sandbox, "_ask", canned)
    assert sandbox.layers.__wrapped__() == ("files", "children")
    assert [record.getMessage().rpartition("in: ")[2] for record in caplog.records] == [
        "network: Operation not permitted",
        "calls: Function not implemented",
    ]


def test_a_launcher_that_was_killed_is_replaced(work: Path):
    assert python("", work).succeeded
    first = sandbox._mine.launcher._process
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert python("", work).succeeded
    assert sandbox._mine.launcher._process.pid != first.pid


def test_each_thread_has_its_own_launcher_and_it_ends_with_the_thread(work: Path):
    launchers: list[int] = []

    def convert() -> None:
        assert python("", work).succeeded
        launchers.append(sandbox._mine.launcher._process.pid)

    convert()
    thread = threading.Thread(target=convert)
    thread.start()
    thread.join()
    mine, theirs = launchers
    assert mine != theirs
    assert eventually(lambda: not Path(f"/proc/{theirs}").exists())
    assert Path(f"/proc/{mine}").exists()


def test_where_it_cannot_fork_each_launcher_becomes_one_program(work: Path, monkeypatch):
    monkeypatch.setattr(sandbox, "_FORKS", False)
    sandbox._forget()
    for number in range(3):
        assert python(f"open('made{number}', 'w')", work).succeeded
    assert {path.name for path in work.iterdir()} == {"made0", "made1", "made2"}
    assert python("import sys; sys.exit(3)", work).returncode == 3


def test_a_fork_of_ours_starts_its_own_and_leaves_ours_alone(work: Path):
    script = (
        "import os, sys; from pathlib import Path; from transcoding.engine import sandbox\n"
        "from tests.transcoding.engine.test_sandbox import python\n"
        "work = Path(sys.argv[1]); assert python('', work).succeeded\n"
        "first = sandbox._mine.launcher._process.pid\n"
        "if os.fork() == 0:\n"
        "    assert python('', work).succeeded\n"
        "    os._exit(0 if sandbox._mine.launcher._process.pid != first else 1)\n"
        "assert os.wait()[1] == 0\n"
        "assert python('', work).succeeded\n"
        "assert sandbox._mine.launcher._process.pid == first\n"
    )
    command = [sys.executable, "-W", "error", "-c", script, work]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


def test_starting_a_program_disturbs_no_other_thread(work: Path):
    """In a fork of ours, Python would end other threads' connections: they would be told so twice."""
    ended: list[int] = []

    class Connection:
        def __del__(self) -> None:
            ended.append(os.getpid())
            (work / f"ended-by-{os.getpid()}").touch()

    local, stop = threading.local(), threading.Event()
    ready = threading.Event()

    def heartbeat() -> None:
        local.connection = Connection()
        ready.set()
        stop.wait(30)

    thread = threading.Thread(target=heartbeat)
    thread.start()
    ready.wait()
    sandbox._forget()  # so that one is started, too
    assert python("", work).succeeded
    assert list(work.iterdir()) == []
    stop.set()
    thread.join()
    assert ended == [os.getpid()]
