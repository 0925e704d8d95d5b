"""The command line of bubblewrap, inside the user namespaces of `namespaces`."""

from __future__ import annotations

import shutil
import subprocess

# What root may do with the sandbox's own users and files. Nothing of it reaches beyond: no mounts, devices or networks.
RIGHTS = {"CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "FSETID": 4, "KILL": 5, "SETGID": 6, "SETUID": 7}


# Folders of /proc that are shown empty: the supervisor's, and those that only the host's root may read.
MASKED = ("/proc/1", "/proc/acpi", "/proc/scsi", "/proc/tty/driver")


def found() -> str:
    """Returns the program's path, or nothing."""
    return shutil.which("bwrap") or ""


def arguments(program: str, root: str, shared: int, masked: list[str]) -> list[str]:
    """Returns the command line, to which what runs inside is added.

    Args:
        program: bubblewrap.
        root: the folder that becomes the root.
        shared: bytes of shared memory.
        masked: folders that are shown empty.
    """
    rights = [word for name in RIGHTS for word in ("--cap-add", f"CAP_{name}")]
    empty = [word for place in masked for word in ("--size", "4096", "--tmpfs", place, "--remount-ro", place)]
    return [
        program,
        *("--bind", root, "/"),
        *("--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"),
        *empty,
        *("--size", str(shared), "--perms", "1777", "--tmpfs", "/dev/shm"),
        *("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
        *("--hostname", "agentbench", "--as-pid-1", "--die-with-parent", "--new-session", "--clearenv"),
        *("--chdir", "/", "--cap-drop", "ALL", *rights, "--"),
    ]


def version(program: str) -> str:
    """Returns the version that it says it has."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True)
    return done.stdout.split()[-1] if done.stdout.split() else ""
