"""Goes into namespaces of its own, builds the sandbox's files there, and becomes its first process.

A program of its own, with nothing but Python's library; see `carried`. The
user it becomes is root in the sandbox and nobody on the host. There are two user namespaces, one in the other: the
kernel counts the processes of the inner one, of all its users together, against the limit that was set in the outer.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from synthetic_instruction_tuner.evaluation.agent_bench.sandbox import host_files

USER, MOUNTS, OTHERS = 0x10000000, 0x00020000, 0x20000000 | 0x40000000 | 0x08000000 | 0x04000000 | 0x02000000
READ_ONLY, NO_SUID, NO_DEVICES, REMOUNT, BIND, RECURSIVE, PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
PLACE = "/tmp"  # where, in a mount namespace of its own, the sandbox's files are put together
STAGE, LOWER = f"{PLACE}/stage", f"{PLACE}/lower"
ROOT = f"{STAGE}/root"
OLD = "/.old"
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_libc = ctypes.CDLL(None, use_errno=True)


def main(plan: dict[str, Any]) -> None:
    """Carries out a plan."""
    for file in plan["cgroups"]:
        Path(file).write_text("0")
    if not os.geteuid() and plan["limits"]:
        most = min(plan["limits"]["RLIMIT_NOFILE"], int(Path("/proc/sys/fs/nr_open").read_text()))
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    alone = os.geteuid() == 0
    if alone and not plan["unpack"]:
        try:
            _place(plan["lower"])  # by root: nobody, who it becomes, may not go there
        except OSError as error:
            _fail(error)
    folder = os.open(plan["lower"], os.O_PATH | os.O_DIRECTORY) if plan["unpack"] else -1

    def inner() -> NoReturn:
        try:
            Path("/proc/sys/user/max_user_namespaces").write_text("0")  # or a new one would bring new rights
            if not alone:
                _place(plan["lower"])
            _call("unshare", MOUNTS)
            _mount(None, "/", None, RECURSIVE | PRIVATE)
            _files(plan)
        except OSError as error:
            _fail(error)
        if plan["bwrap"]:
            os.execve(plan["bwrap"][0], [*plan["bwrap"], *plan["program"]], plan["environment"])
        _enter(plan)

    def outer() -> NoReturn:
        if plan["unpack"]:
            _unpack(folder, plan["compression"], several=sum(entry[2] for entry in plan["map"]) > 1)
        for name, value in plan["limits"].items():
            _limit(getattr(resource, name), value)
        same = [[[entry[0], entry[0], entry[2]] for entry in plan[name]] for name in ("map", "groups")]
        _as_user(same[0], same[1], "", inner)

    _as_user(plan["map"], plan["groups"], plan["mapper"], outer)


def _as_user(mapping: list[list[int]], groups: list[list[int]], mapper: str, then: Callable[[], NoReturn]) -> NoReturn:
    """Continues as root of a new user namespace, in a child; this process waits for it and ends as it does.

    Args:
        mapping: users inside, users outside and how many, as in `user_namespaces(7)`.
        groups: the same of groups.
        mapper: `newuidmap` where only that program may write such a mapping; empty otherwise.
        then: what the child does.
    """
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        os.close(go[1])
        try:
            _call("unshare", USER)
            os.write(ready[1], b"1")
            if os.read(go[0], 1) != b"1":
                os._exit(1)
            several = sum(entry[2] for entry in mapping) > 1
            os.setresgid(0, 0, 0)
            if several:
                os.setgroups([])
            os.setresuid(0, 0, 0)
            _call("prctl", 1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
            _call("prctl", 4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: its mapping is to be written from outside
        except OSError as error:
            _fail(error)
        then()
    os.close(ready[1])
    os.close(go[0])
    try:
        if os.read(ready[0], 1) == b"1":
            _map(child, mapping, groups, mapper)
            os.write(go[1], b"1")
    except (OSError, subprocess.CalledProcessError) as error:
        os.close(go[1])
        os.waitpid(child, 0)
        _fail(error)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for stream in (0, 1):  # held by the child alone, so that its end is seen
        os.dup2(os.open(os.devnull, os.O_RDWR), stream)
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) % 256)


def _map(process: int, mapping: list[list[int]], groups: list[list[int]], mapper: str) -> None:
    for name, program, entries in (("uid", "newuidmap", mapping), ("gid", "newgidmap", groups)):
        if mapper:
            words = [str(number) for entry in entries for number in entry]
            command = [f"{os.path.dirname(mapper)}/{program}", str(process), *words]
            subprocess.run(command, check=True, capture_output=True)
            continue
        if os.geteuid():  # a user may give away itself alone, and then nobody in there chooses its groups
            Path(f"/proc/{process}/setgroups").write_text("deny")
        text = "\n".join(" ".join(map(str, entry)) for entry in entries)
        Path(f"/proc/{process}/{name}_map").write_text(text)


def _unpack(folder: int, compression: list[str], several: bool) -> NoReturn:
    """Unpacks a tar archive at standard input; its owners are the sandbox's users."""
    owners = "--same-owner" if several else "--no-same-owner"
    here = f"/proc/self/fd/{folder}"
    os.fchdir(os.open(here, os.O_RDONLY))
    words = ["tar", "-x", "--numeric-owner", "-p", owners, *compression, "--exclude=./dev/*", "--exclude=dev/*"]
    os.execvp("tar", words)


# The files


def _place(lower: str) -> None:
    """Makes an empty place that nobody else sees, and shows there the files that the sandbox begins with."""
    _call("unshare", MOUNTS)
    _mount(None, "/", None, RECURSIVE | PRIVATE)
    source = os.open(lower, os.O_PATH | os.O_DIRECTORY) if lower else -1
    _mount("tmpfs", PLACE, "tmpfs", NO_SUID | NO_DEVICES, "size=65536,mode=755")
    for folder in (STAGE, LOWER):
        os.mkdir(folder, 0o755)
    if lower:
        _mount(f"/proc/self/fd/{source}", LOWER, None, BIND)
        os.close(source)


def _files(plan: dict[str, Any]) -> None:
    """Puts the sandbox's root together: what is written lies in memory, of limited size."""
    _mount("tmpfs", STAGE, "tmpfs", NO_SUID | NO_DEVICES, f"size={plan['disk']},nr_inodes={plan['files']},mode=755")
    os.mkdir(ROOT)
    if plan["lower"]:
        _overlay(LOWER, ROOT, "all")
        for name in ("proc", "dev", "tmp", "root"):
            os.makedirs(f"{ROOT}/{name}", exist_ok=True)
        with suppress(OSError):
            Path(f"{ROOT}/etc/hosts").write_text("127.0.0.1 localhost agentbench\n")
    else:
        several = sum(entry[2] for entry in plan["map"]) > 1
        host_files.build(ROOT, _overlay, plan["unreadable"], several=several)


def _overlay(lower: str, place: str, name: str, folders: Sequence[str] = (), without: Sequence[str] = ()) -> None:
    """Lays a writable layer over a folder, which itself is never written to."""
    for folder in ("upper", "work"):
        os.makedirs(f"{STAGE}/{name}/{folder}", 0o755)
    for folder in folders:
        os.makedirs(f"{STAGE}/{name}/upper/{folder}", 0o755, exist_ok=True)
    here = f"{STAGE}/{name}"
    for gone in without:
        os.makedirs(f"{here}/upper/{os.path.dirname(gone)}", 0o755, exist_ok=True)
        os.mknod(f"{here}/upper/{gone}", stat.S_IFCHR, 0)  # which hides what is below
    _mount("overlay", place, "overlay", 0, f"lowerdir={lower},upperdir={here}/upper,workdir={here}/work,userxattr")


# Without bubblewrap


def _enter(plan: dict[str, Any]) -> NoReturn:
    """Does what bubblewrap does: new namespaces, new /proc and /dev, a new root, few rights; then runs the program."""
    try:
        _call("unshare", OTHERS)
        child = os.fork()
        if child:
            for stream in (0, 1):
                os.dup2(os.open(os.devnull, os.O_RDWR), stream)
            os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) % 256)
        _call("prctl", 1, signal.SIGKILL, 0, 0, 0)
        os.setsid()
        _libc.sethostname(b"agentbench", 10)
        _mount("proc", f"{ROOT}/proc", "proc", NO_SUID | NO_DEVICES | 8)
        for place in plan["masked"]:
            _mount("tmpfs", f"{ROOT}{place}", "tmpfs", READ_ONLY | NO_SUID | NO_DEVICES, "size=4096")
        _devices(f"{ROOT}/dev", int(plan["shared"]))
        _mount(ROOT, ROOT, None, BIND | RECURSIVE)
        os.chdir(ROOT)
        os.mkdir(f"{ROOT}{OLD}")
        _call("pivot_root", b".", OLD.strip("/").encode())
        _call("umount2", OLD.encode(), 2)
        os.rmdir(OLD)
        os.chdir("/")
        for number in range(64):
            if number not in plan["rights"]:
                _libc.prctl(24, number, 0, 0, 0)  # PR_CAPBSET_DROP
        _call("prctl", 38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
        os.closerange(3, 1024)
        os.execve(plan["program"][0], plan["program"], {"PATH": "/usr/bin:/bin"})
    except OSError as error:
        _fail(error)


def _devices(place: str, size: int) -> None:
    _mount("tmpfs", place, "tmpfs", NO_SUID, "size=65536,mode=755")
    for name in DEVICES:
        os.close(os.open(f"{place}/{name}", os.O_CREAT))
        _mount(f"/dev/{name}", f"{place}/{name}", None, BIND)
    for name in ("pts", "shm"):
        os.mkdir(f"{place}/{name}")
    _mount("devpts", f"{place}/pts", "devpts", NO_SUID, "newinstance,ptmxmode=0666,mode=620")
    os.symlink("pts/ptmx", f"{place}/ptmx")
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        os.symlink(f"/proc/self/fd{target}", f"{place}/{name}")
    _mount("tmpfs", f"{place}/shm", "tmpfs", NO_SUID | NO_DEVICES, f"size={size},mode=1777")
    _mount(None, place, None, REMOUNT | BIND | READ_ONLY | NO_SUID)


# The kernel


def _mount(source: str | None, place: str, kind: str | None, flags: int, data: str = "") -> None:
    words = [None if word is None else word.encode() for word in (source, place, kind)]
    if _libc.mount(*words, ctypes.c_ulong(flags), data.encode()):
        number = ctypes.get_errno()
        raise OSError(number, f"mounting {kind or source or 'a remount'} at {place}: {os.strerror(number)}")


def _call(name: str, *arguments: Any) -> None:
    if name == "pivot_root":
        failed = _libc.syscall(ctypes.c_long(_PIVOT_ROOT), *arguments)
    else:
        failed = getattr(_libc, name)(*arguments)
    if failed:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41}.get(os.uname().machine, 41)


def _limit(which: int, value: int) -> None:
    most = resource.getrlimit(which)[1]
    if most != resource.RLIM_INFINITY:
        value = min(value, most)
    resource.setrlimit(which, (value, value))


def _fail(error: Exception) -> NoReturn:
    sys.stderr.write(f"{error.strerror if isinstance(error, OSError) and error.strerror else error}\n")
    sys.stderr.flush()
    os._exit(70)
