"""Give up network and plenty, then become the interpreter of a program: `python confined.py SECONDS MB PROGRAM`.

Runs by its path in a process of its own; it imports nothing of ours. The filter is classic BPF for seccomp, which
answers with EPERM the system calls that open sockets, reach into other processes, or leave the process group that is
killed in the end (Linux, x86-64 and arm64).
"""

import ctypes
import os
import platform
import resource
import struct
import sys

REFUSED = 97
"""Exit status that says: not confined, and so not run."""
NO_NEW_PRIVS, SET_SECCOMP, FILTER_MODE = 38, 22, 2
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | 1  # errno EPERM
KILL = 0x80000000
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06  # BPF_LD|W|ABS, JMP|JEQ|K, JMP|JGE|K, RET|K
# Per machine: AUDIT_ARCH, and the numbers of socket, socketpair, io_uring_setup, ptrace, process_vm_readv, _writev,
# setpgid, setsid.
CALLS = {
    "x86_64": (0xC000003E, (41, 53, 425, 101, 310, 311, 109, 112)),
    "aarch64": (0xC00000B7, (198, 199, 425, 117, 270, 271, 154, 157)),
}
X32 = 0x40000000
"""System calls of x86-64 from here on are the x32 ABI's: the same calls by other numbers."""


def bpf() -> bytes:
    """Return the filter's program: another architecture's calls kill, the listed ones are refused."""
    architecture, calls = CALLS[platform.machine()]
    lines = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, architecture), (RETURN, 0, 0, KILL), (LOAD, 0, 0, 0)]
    lines += [(AT_LEAST, 0, 1, X32), (RETURN, 0, 0, KILL)]
    for number in calls:
        lines += [(EQUAL, 0, 1, number), (RETURN, 0, 0, REFUSE)]
    return b"".join(struct.pack("HBBI", *line) for line in [*lines, (RETURN, 0, 0, ALLOW)])


def without_sockets() -> None:
    """Install the filter for this process and all that come from it.

    Raises:
        OSError: the kernel refuses it.
        KeyError: the machine is of another architecture.
    """
    code = bpf()
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer)))
    for option, first, second in ((NO_NEW_PRIVS, 1, 0), (SET_SECCOMP, FILTER_MODE, ctypes.addressof(program))):
        if libc.prctl(option, ctypes.c_ulong(first), ctypes.c_ulong(second), 0, 0) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def limit(seconds: int, megabytes: int) -> None:
    bounds = {
        resource.RLIMIT_CPU: seconds + 1,
        resource.RLIMIT_AS: megabytes * 2**20,
        resource.RLIMIT_FSIZE: 16 * 2**20,
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_CORE: 0,
    }
    for kind, bound in bounds.items():
        resource.setrlimit(kind, (bound, bound))


def main() -> None:
    seconds, megabytes, program = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    try:
        limit(seconds, megabytes)
        without_sockets()
    except (OSError, KeyError, ValueError) as error:
        print(f"not confined: {error}")
        sys.exit(REFUSED)
    environment = {"PATH": os.defpath, "LANG": "C.UTF-8"}
    os.execve(sys.executable, [sys.executable, "-I", program], environment)  # noqa: S606 - as a list, without a shell


if __name__ == "__main__":
    main()
