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
NETWORK, FILES, CALLS, CHILDREN = "network", "files", "calls", "children"
"""The layers. No network devices, not even loopback; no files but those named; no system calls that a
converter has no use for, sockets first among them; no processes of its own, only threads."""
_MOST_PROCESSES = 1024
"""And threads, which count as such: x264 alone starts three for two cores."""

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
    # Network: socket socketpair connect bind listen sendto io_uring_setup
    # Other processes: ptrace process_vm_readv process_vm_writev kcmp pidfd_open pidfd_getfd
    #   pidfd_send_signal process_madvise tkill rt_sigqueueinfo rt_tgsigqueueinfo setpriority ioprio_set
    # Files that Landlock lets it change: chmod chown lchown fchmod fchown fchmodat fchownat fchmodat2
    #   utime utimes futimesat utimensat setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr
    # Shared memory: shmget shmat shmctl semget semop semctl semtimedop msgget msgsnd msgrcv msgctl mq_open
    # The kernel: perf_event_open bpf userfaultfd add_key request_key keyctl unshare setns
    "x86_64": (
        *(41, 53, 42, 49, 50, 44, 425),
        *(101, 310, 311, 312, 434, 438, 424, 440, 200, 129, 297, 141, 251),
        *(90, 92, 94, 91, 93, 268, 260, 452, 132, 235, 261, 280, 188, 189, 190, 197, 198, 199),
        *(29, 30, 31, 64, 65, 66, 220, 68, 69, 70, 71, 240),
        *(298, 321, 323, 248, 249, 250, 272, 308),
    ),
    "aarch64": (
        *(198, 199, 203, 200, 201, 206, 425),
        *(117, 270, 271, 272, 434, 438, 424, 440, 130, 138, 240, 140, 30),
        *(52, 55, 53, 54, 452, 88, 5, 6, 7, 14, 15, 16),
        *(194, 196, 195, 190, 193, 191, 192, 186, 189, 188, 187, 180),
        *(241, 280, 282, 217, 218, 219, 97, 268),
    ),
}
_ABOUT_ITSELF = {"x86_64": (62, 234, 302), "aarch64": (129, 131, 261)}
"""kill, tgkill, prlimit64: their first argument is the process, which may be its own."""
_FORKS = {"x86_64": (57, 58), "aarch64": ()}
"""fork, vfork: newer architectures only have clone."""
_CLONE3 = 435
_CLONE_THREAD = 0x10000
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""AUDIT_ARCH of linux/audit.h."""
_BPF_LOAD, _BPF_EQUAL, _BPF_AT_LEAST, _BPF_HAS_BITS, _BPF_RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
"""Offsets in `struct seccomp_data`; both architectures keep the lower half of an argument first."""
_KILL, _ALLOW, _NOT_PERMITTED, _NOT_KNOWN = 0x80000000, 0x7FFF0000, 0x00050001, 0x00050026
"""What a filter answers; the last two are EPERM and ENOSYS."""
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
    os.setpriority(os.PRIO_PROCESS, 0, max(request["nice"], os.getpriority(os.PRIO_PROCESS, 0)))
    _limit_processes(_running_here())
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
    _limit_processes(0)  # in the new namespace nobody else counts


def _running_here() -> int:
    """Processes and threads on this host, or -1. The kernel counts all of a user, wherever they came from."""
    try:
        with open("/proc/loadavg", encoding="ascii") as load:  # noqa: PTH123 - as below
            return int(load.read().split()[3].partition("/")[2])
    except (OSError, ValueError, IndexError):  # no Linux
        return -1


def _limit_processes(others: int) -> None:
    """So many more than there are. For root the kernel does not count: then the children's layer holds."""
    if others < 0:
        return
    hard, most = resource.getrlimit(resource.RLIMIT_NPROC)[1], others + _MOST_PROCESSES
    most = most if hard == resource.RLIM_INFINITY else min(hard, most)
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


Instruction = tuple[int, int, int, int]
"""(code, lines to skip if it holds, if it does not, operand)."""


def _without_calls(readable: list[str]) -> None:
    """Seccomp: the system calls above answer EPERM, and so do those that concern other processes."""
    machine = _known_machine()
    _filter_calls(
        *(line for number in _ABOUT_ITSELF[machine] for line in _unless_itself(number)),
        *(line for number in _REFUSED_CALLS[machine] for line in _answer(number, _NOT_PERMITTED)),
    )


def _without_children(readable: list[str]) -> None:
    """Seccomp: threads can be started, processes cannot: one that left our session would outlive its job.

    What clone3 asks for is out of a filter's sight. Told that there is no such call, the C library goes
    back to clone.
    """
    machine = _known_machine()
    threads = (
        (_BPF_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_BPF_HAS_BITS, 0, 1, _CLONE_THREAD),
        (_BPF_RETURN, 0, 0, _ALLOW),
        (_BPF_RETURN, 0, 0, _NOT_PERMITTED),
    )
    _filter_calls(
        *_answer(_CLONE3, _NOT_KNOWN),
        *(line for number in _FORKS[machine] for line in _answer(number, _NOT_PERMITTED)),
        (_BPF_EQUAL, 0, len(threads), CLONE[machine]),
        *threads,
    )


def _known_machine() -> str:
    machine = os.uname().machine
    if machine not in _ARCHITECTURES:
        raise OSError(f"no list of system calls for {machine}")
    return machine


def _answer(number: int, answer: int) -> tuple[Instruction, ...]:
    return (_BPF_EQUAL, 0, 1, number), (_BPF_RETURN, 0, 0, answer)


def _unless_itself(number: int) -> tuple[Instruction, ...]:
    """Allowed with 0 or its own id, which stays the same when it becomes the program."""
    return (
        (_BPF_EQUAL, 0, 5, number),
        (_BPF_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_BPF_EQUAL, 2, 0, 0),
        (_BPF_EQUAL, 1, 0, os.getpid()),
        (_BPF_RETURN, 0, 0, _NOT_PERMITTED),
        (_BPF_RETURN, 0, 0, _ALLOW),
    )


def _filter_calls(*rules: Instruction) -> None:
    """Calls of another architecture kill; what the rules do not mention is allowed."""
    program = [
        (_BPF_LOAD, 0, 0, _ARCHITECTURE),
        (_BPF_EQUAL, 1, 0, _ARCHITECTURES[os.uname().machine]),
        (_BPF_RETURN, 0, 0, _KILL),
        (_BPF_LOAD, 0, 0, _NUMBER),
        (_BPF_AT_LEAST, 0, 1, _X32_CALLS),
        (_BPF_RETURN, 0, 0, _NOT_PERMITTED),
        *rules,
        (_BPF_RETURN, 0, 0, _ALLOW),
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


_LAYERS = {
    NETWORK: _without_network,
    FILES: _without_files,
    CALLS: _without_calls,
    CHILDREN: _without_children,
}

if __name__ == "__main__":
    main()
