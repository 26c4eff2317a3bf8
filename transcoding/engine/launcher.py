"""The small program that starts every ffmpeg: it forks, and the fork shuts itself in and becomes ffmpeg.

It runs as a file, in an interpreter of its own with nothing of ours imported, so that it has one thread
and shares nothing. Python's `preexec_fn` would do the same in the worker's own fork, but there the
interpreter first clears up after the threads that the fork does not have: it would run their finalizers,
and so close, or wait for ever to close, the database connection of a heartbeat that lives on in the
parent. An interpreter for each run would cost 13 to 25 ms each time; a fork of this one costs two.

The fork is made a child of our own parent (CLONE_PARENT), which so can wait for it, count its cost, and
take it along when it dies. Whatever fails ends it with FAILED and a line on standard error: a program is
run as asked, or not at all.
"""

import ctypes
import json
import os
import resource
import signal
import socket
import sys
from typing import Any, NoReturn

FAILED = 126
COMPLAINT = "launcher: "
NETWORK, FILES, CALLS = "network", "files", "calls"
"""The layers. No network devices, not even loopback; no files but those named; no system calls that a
converter has no use for, sockets first among them."""
_MOST_PROCESSES = 1024
"""And threads: x264 alone starts three for two cores."""
_NICE = 5
"""A page that somebody waits for comes before a conversion."""

MOST_BYTES = 128 * 1024
"""Of one request."""
CLONE = {"x86_64": 56, "aarch64": 220}
"""Machine to the number of the system call. Elsewhere each launcher becomes one program itself."""

_libc = ctypes.PyDLL(None, use_errno=True)
_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 22, 24, 38
_CLONE_PARENT, _CLONE_NEWUSER, _CLONE_NEWNET = 0x8000, 0x10000000, 0x40000000
_CAP_DAC_OVERRIDE, _CAPABILITIES = 1, 64

_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_FILE, _MAKE_REG, _TRUNCATE = (
    1 << bit for bit in (0, 1, 2, 3, 5, 8, 14)
)
_HANDLED = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF, 5: 0xFFFF}
"""Landlock's version to all rights over files that it knows; later versions know no more."""
_READ, _WORK = (
    _READ_FILE | _READ_DIR | _EXECUTE,
    _READ_FILE | _WRITE_FILE | _READ_DIR | _REMOVE_FILE | _MAKE_REG | _TRUNCATE,
)
_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_NETWORK_SINCE, _SCOPES_SINCE = 4, 6

_REFUSED_CALLS = {
    # (AUDIT_ARCH, socket socketpair connect bind listen sendto ptrace process_vm_readv process_vm_writev
    #  perf_event_open bpf userfaultfd add_key request_key keyctl unshare setns io_uring_setup)
    "x86_64": (
        0xC000003E,
        (41, 53, 42, 49, 50, 44, 101, 310, 311, 298, 321, 323, 248, 249, 250, 272, 308, 425),
    ),
    "aarch64": (
        0xC00000B7,
        (198, 199, 203, 200, 201, 206, 117, 270, 271, 241, 280, 282, 217, 218, 219, 97, 268, 425),
    ),
}
_BPF_LOAD, _BPF_EQUAL, _BPF_AT_LEAST, _BPF_RETURN = 0x20, 0x15, 0x35, 0x06
_SECCOMP_KILL, _SECCOMP_REFUSE, _SECCOMP_ALLOW = 0x80000000, 0x00050001, 0x7FFF0000
_X32_CALLS = 0x40000000


class _Ruleset(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("files", "network", "scoped")]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


class _Instruction(ctypes.Structure):
    _fields_ = [
        ("code", ctypes.c_uint16),
        ("jt", ctypes.c_uint8),
        ("jf", ctypes.c_uint8),
        ("k", ctypes.c_uint32),
    ]


class _Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(_Instruction))]


def main() -> None:
    """Serve the requests that come over standard input, a socket, until it closes."""
    control = socket.socket(fileno=0)
    _die_with_parent()
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, MOST_BYTES, 2)
        if not message:
            return
        request = json.loads(message)
        child = _fork_for_parent() if request["fork"] else 0
        if child == 0:
            serve(request, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        control.send(str(child).encode())


def serve(request: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """Do what the request asks in this process, with these two as standard output and error."""
    try:
        if os.getsid(0) != os.getpid():
            os.setsid()
        for target, descriptor in zip((1, 2), descriptors, strict=True):
            os.dup2(descriptor, target)
            os.close(descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and so would its successor
            signal.signal(number, signal.SIG_DFL)
        if "try" in request:
            os.write(1, json.dumps(available(request["try"])).encode())
            os._exit(0)
        become(request)
    except BaseException as error:  # noqa: BLE001 - this fork must never go on as if it were the launcher
        os.write(2, f"{COMPLAINT}{error}\n".encode())
    os._exit(FAILED)


def become(request: dict[str, Any]) -> NoReturn:
    """Run `arguments` in `folder`, under `limits` and `layers`, with `readable` and nothing else."""
    os.chdir(request["folder"])
    os.setpriority(os.PRIO_PROCESS, 0, max(_NICE, os.getpriority(os.PRIO_PROCESS, 0)))
    for layer in request["layers"]:
        _LAYERS[layer](request["readable"])
    for kind, value in request["limits"]:
        resource.setrlimit(kind, (value, value))
    _die_with_parent()  # after the layers: a change of credentials clears it
    if os.getppid() != request["parent"]:
        os._exit(FAILED)
    os.execve(request["arguments"][0], request["arguments"], request["environment"])  # noqa: S606 - no shell


def available(layers: list[str]) -> dict[str, str]:
    """Layer to the reason why this kernel refuses it; empty if it does not."""
    answer = {}
    for layer in layers:
        try:
            _LAYERS[layer]([])
            answer[layer] = ""
        except (OSError, AttributeError) as error:  # AttributeError: no Linux, so no such call
            answer[layer] = str(error)
    return answer


def _without_network(readable: list[str]) -> None:
    """An empty network namespace. Whoever may not make one alone may in a user namespace."""
    if _libc.unshare(_CLONE_NEWNET) == 0:
        return
    if _libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET):
        raise _refusal()
    # Processes are counted by user, with all that the user runs elsewhere, but by namespace first.
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    most = _MOST_PROCESSES if hard == resource.RLIM_INFINITY else min(hard, _MOST_PROCESSES)
    resource.setrlimit(resource.RLIMIT_NPROC, (most, most))


def _without_files(readable: list[str]) -> None:
    """Landlock: the working folder to work in, what is readable to read, and no privilege to gain.

    Files that are already open stay usable. Newer kernels also refuse TCP, abstract sockets and signals
    to processes outside.
    """
    version = _call(_LANDLOCK_CREATE, None, 0, 1)
    handled = _HANDLED[min(version, max(_HANDLED))]
    rules = _Ruleset(handled, 3 if version >= _NETWORK_SINCE else 0, 3 if version >= _SCOPES_SINCE else 0)
    size = 8 * (1 + (version >= _NETWORK_SINCE) + (version >= _SCOPES_SINCE))
    ruleset = _call(_LANDLOCK_CREATE, ctypes.byref(rules), size, 0)
    for path, rights in ((".", _WORK), *((path, _READ) for path in readable)):
        _allow(ruleset, path, rights & handled)
    _without_privileges()
    _call(_LANDLOCK_RESTRICT, ruleset, 0)
    os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    beneath = os.open(path, os.O_PATH)
    if not os.path.isdir(path):  # noqa: PTH112 - pathlib would double the time to start
        rights &= _OF_A_FILE
    _call(_LANDLOCK_ADD, ruleset, 1, ctypes.byref(_PathBeneath(rights, beneath)), 0)
    os.close(beneath)


def _without_calls(readable: list[str]) -> None:
    """Seccomp: the system calls above answer EPERM, those of another architecture kill."""
    if os.uname().machine not in _REFUSED_CALLS:
        raise OSError(f"no list of system calls for {os.uname().machine}")
    architecture, refused = _REFUSED_CALLS[os.uname().machine]
    count = len(refused)
    program = [
        (_BPF_LOAD, 0, 0, 4),
        (_BPF_EQUAL, 1, 0, architecture),
        (_BPF_RETURN, 0, 0, _SECCOMP_KILL),
        (_BPF_LOAD, 0, 0, 0),
        (_BPF_AT_LEAST, count + 1, 0, _X32_CALLS),
        *((_BPF_EQUAL, count - position, 0, number) for position, number in enumerate(refused)),
        (_BPF_RETURN, 0, 0, _SECCOMP_ALLOW),
        (_BPF_RETURN, 0, 0, _SECCOMP_REFUSE),
    ]
    instructions = (_Instruction * len(program))(*(_Instruction(*line) for line in program))
    _without_privileges()
    _control(_PR_SET_SECCOMP, 2, ctypes.byref(_Filter(len(program), instructions)))


def _without_privileges() -> None:
    """Nothing to gain at exec; root keeps only the right to read and write whatever Landlock leaves."""
    _control(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.geteuid() == 0:
        for capability in range(_CAPABILITIES):
            if capability != _CAP_DAC_OVERRIDE:
                _libc.prctl(_PR_CAPBSET_DROP, _wide(capability))  # fails past the last capability there is


def _die_with_parent() -> None:
    """The signal comes when the thread ends that started us."""
    if sys.platform == "linux":
        _control(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _fork_for_parent() -> int:
    """0 in the new process; in this one its id. Safe from C's and Python's own bookkeeping: one thread."""
    return _call(CLONE[os.uname().machine], _CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0)


def _control(option: int, *values: Any) -> None:
    if _libc.prctl(option, *map(_wide, values)) < 0:
        raise _refusal()


def _call(number: int, *values: Any) -> int:
    result: int = _libc.syscall(number, *map(_wide, values))
    if result < 0:
        raise _refusal()
    return result


def _wide(value: Any) -> Any:
    """The kernel reads whole registers; ctypes would fill half of one."""
    return ctypes.c_ulong(value) if isinstance(value, int) else value


def _refusal() -> OSError:
    return OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


_LAYERS = {NETWORK: _without_network, FILES: _without_files, CALLS: _without_calls}

if __name__ == "__main__":
    main()
