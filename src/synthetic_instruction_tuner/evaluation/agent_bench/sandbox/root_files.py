"""What a sandbox's disk holds: Debian's packages, files of the user's, or this machine's programs alone."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.agent_bench.sandbox import carried
from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.users import Users

SUITE = "bookworm"
PACKAGES = (  # what AgentBench's image has of programs for its tasks, and sudo, which some tasks install
    *("python3", "procps", "psmisc", "sudo", "tree", "zip", "unzip", "less", "file", "bc", "bsdextrautils"),
    *("iproute2", "curl", "wget", "git", "vim-tiny", "ca-certificates"),
)
_MAGIC = {b"\x1f\x8b": "--gzip", b"\xfd7zXZ": "--xz", b"(\xb5/\xfd": "--zstd", b"BZh": "--bzip2"}
EXCLUDED = ("/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/man/*")


@dataclass(frozen=True, slots=True)
class RootFiles:
    """The files of a sandbox's root, which are never written to.

    Attributes:
        name: for the result.
        folder: where they are; None for the host's programs.
    """

    name: str
    folder: Path | None = None


HOST = RootFiles("this machine's programs")


def cache_folder() -> Path:
    """Returns where root files are kept."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(given) if given.startswith("/") else Path.home() / ".cache"
    return base / "synthetic-instruction-tuner" / "agent-os"


def made(users: Users) -> RootFiles | None:
    """Returns Debian's root files where they have been made."""
    folder = _debian(users)
    return RootFiles(f"Debian {SUITE}", folder) if folder.is_dir() else None


def chosen(given: str, users: Users, say: Callable[[str], None] = lambda text: None) -> RootFiles:
    """Returns the root files that an option names.

    Args:
        given: `host`, `debian`, a folder or a tar archive; empty for Debian's where they have been made, or the host's.
        users: who the sandbox's users are.
        say: is told of work that takes long.

    Raises:
        UserError: they are not there, or cannot be made.
    """
    if not given:
        return made(users) or HOST
    if given == "host":
        return HOST
    if given == "debian":
        return made(users) or make(users, say)
    source = Path(given).expanduser()
    if not source.exists():
        raise UserError(
            f"There are no root files at {given}.",
            "it is neither a folder nor a tar archive",
            "Name a folder, a tar archive, host or debian.",
        )
    stamp = f"{source.resolve()} {source.stat().st_mtime_ns}"
    folder = cache_folder() / f"given-{hashlib.sha256(stamp.encode()).hexdigest()[:16]}-{_owner(users)}"
    if not folder.is_dir():
        say(f"unpacking {source.name}")
        _unpack(source, folder, users)
    return RootFiles(source.name, folder)


def make(users: Users, say: Callable[[str], None] = lambda text: None) -> RootFiles:
    """Makes Debian's root files by mmdebstrap, once: they are kept in the user's cache folder.

    Raises:
        UserError: mmdebstrap is not there, or fails.
    """
    program = shutil.which("mmdebstrap")
    if not program:
        raise UserError(
            "Debian's root files cannot be made.",
            "mmdebstrap is not installed",
            "Install it (Debian, Ubuntu: apt-get install mmdebstrap), or give root files with --root FOLDER.",
        )
    folder = _debian(users)
    folder.parent.mkdir(parents=True, exist_ok=True)
    say("making Debian's root files, which takes some minutes, once")
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        archive = Path(work) / "root.tar"
        options = [f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED]
        options.append('--customize-hook=chroot "$1" useradd --create-home --shell /bin/bash ubuntu')  # as Ubuntu has
        words = [program, "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}", *options, SUITE]
        done = subprocess.run([*words, str(archive)], capture_output=True, text=True)
        if done.returncode:
            raise UserError(
                "Debian's root files cannot be made.",
                f"mmdebstrap: {_last_line(done.stderr)}",
                "Mend that, or give root files with --root FOLDER.",
            )
        _unpack(archive, folder, users)
    return RootFiles(f"Debian {SUITE}", folder)


def _debian(users: Users) -> Path:
    what = hashlib.sha256(" ".join((*PACKAGES, *EXCLUDED)).encode()).hexdigest()[:8]
    return cache_folder() / f"debian-{SUITE}-{what}-{_owner(users)}"


def _owner(users: Users) -> str:
    """Returns a word for who owns the files: those of other users cannot be used."""
    return "-".join(str(entry[1]) for entry in users.users)


def _unpack(source: Path, folder: Path, users: Users) -> None:
    """Unpacks an archive, or copies a folder, as the sandbox's users; the folder is there once it is whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(dir=folder.parent, prefix="new-"))
    new.chmod(0o755)
    if not os.geteuid():
        os.chown(new, users.users[0][1], users.groups[0][1])
    plan = users.plan() | {"lower": str(new), "unpack": True, "cgroups": [], "limits": {}}
    plan["compression"] = _compression(source)
    command = [sys.executable, "-I", "-S", "-c", carried.entering(), json.dumps(plan)]
    packing = None
    if source.is_dir():
        words = ["tar", "-C", str(source), "-c", "--numeric-owner", "--one-file-system", "."]
        packing = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        done = subprocess.run(command, stdin=packing.stdout, capture_output=True, text=True)
        packing.wait()
    else:
        with source.open("rb") as archive:
            done = subprocess.run(command, stdin=archive, capture_output=True, text=True)
    if done.returncode:
        shutil.rmtree(new, ignore_errors=True)
        raise UserError(
            f"{source} cannot be unpacked as root files.",
            done.stderr.strip().partition("\n")[0] or "tar failed",
            "Give a folder or a tar archive with a whole root, that this user may read.",
        )
    try:
        new.rename(folder)
    except OSError:
        shutil.rmtree(new, ignore_errors=True)
        if not folder.is_dir():  # else another program has just made it
            raise


def _compression(source: Path) -> list[str]:
    """Returns tar's options for an archive, by its first bytes: at a pipe tar does not look for itself."""
    if source.is_dir():
        return []
    with source.open("rb") as file:
        start = file.read(6)
    return next(([option] for magic, option in _MAGIC.items() if start.startswith(magic)), [])


@cache
def unreadable(user: int) -> tuple[str, ...]:
    """Returns the folders of /usr that not everybody may read: a sandbox of the host's programs has them not at all."""
    found = []
    for folder, names, _ in os.walk("/usr"):
        for name in list(names):
            place = os.path.join(folder, name)
            if not os.path.islink(place) and not _open_to(place, user):
                found.append(os.path.relpath(place, "/usr"))
                names.remove(name)
    return tuple(found)


def _open_to(folder: str, user: int) -> bool:
    """Returns whether a sandbox's users may read a folder: as anybody, or, for a user, as this one."""
    return os.stat(folder).st_mode & 0o005 == 0o005 if not user else os.access(folder, os.R_OK | os.X_OK)


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""
