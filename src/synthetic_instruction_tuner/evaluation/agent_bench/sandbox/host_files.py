"""A root of this machine's programs: its /usr below, and nothing of its users, settings or data.

Runs in the sandbox's namespaces, with nothing but Python's library. The accounts are those that every Debian has, and
`ubuntu`, which Ubuntu's image has, and AgentBench takes that.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

Overlay = Callable[[str, str, str, Sequence[str], Sequence[str]], None]

FOLDERS = (
    *("etc", "home", "media", "mnt", "opt", "root", "run", "srv", "tmp", "usr", "var", "proc", "sys", "dev"),
    *("var/cache", "var/lib", "var/local", "var/log", "var/mail", "var/opt", "var/spool", "var/tmp"),
)
SETTINGS = (  # of the host's /etc, what programs need and everybody may read
    *("alternatives", "bash.bashrc", "default", "host.conf", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "login.defs"),
    *("pam.conf", "pam.d", "profile", "python3", "security", "shells", "skel", "terminfo", "debian_version"),
)
_USERS = (
    *("root:0:0:/root:/bin/bash", "daemon:1:1:/usr/sbin:", "bin:2:2:/bin:", "sys:3:3:/dev:"),
    *("sync:4:65534:/bin:/bin/sync", "games:5:60:/usr/games:", "man:6:12:/var/cache/man:", "lp:7:7:/var/spool/lpd:"),
    *("mail:8:8:/var/mail:", "news:9:9:/var/spool/news:", "uucp:10:10:/var/spool/uucp:", "proxy:13:13:/bin:"),
    *("www-data:33:33:/var/www:", "backup:34:34:/var/backups:", "list:38:38:/var/list:", "irc:39:39:/run/ircd:"),
    *("_apt:42:65534:/nonexistent:", "nobody:65534:65534:/nonexistent:"),
    "ubuntu:1000:1000:/home/ubuntu:/bin/bash",
)
_GROUPS = (
    *("root:0", "daemon:1", "bin:2", "sys:3", "adm:4", "tty:5", "disk:6", "lp:7", "mail:8", "news:9", "uucp:10"),
    *("man:12", "proxy:13", "kmem:15", "dialout:20", "fax:21", "voice:22", "cdrom:24", "floppy:25", "tape:26"),
    *("sudo:27", "audio:29", "dip:30", "www-data:33", "backup:34", "operator:37", "list:38", "irc:39", "src:40"),
    *("shadow:42", "utmp:43", "video:44", "sasl:45", "plugdev:46", "staff:50", "games:60", "users:100"),
    *("nogroup:65534", "ubuntu:1000"),
)
_SWITCH = "\n".join(f"{name}: files" for name in ("passwd", "group", "shadow", "gshadow", "hosts", "services"))


def build(root: str, overlay: Overlay, unreadable: list[str], several: bool) -> None:
    """Builds the root.

    Args:
        root: an empty folder.
        overlay: lays a writable layer over a folder; it gets the folder, the place, the layer's name, folders that can
            be written to, and folders that are not shown.
        unreadable: folders of /usr that are not shown.
        several: whether the sandbox has users besides root.
    """
    for folder in FOLDERS:
        os.makedirs(f"{root}/{folder}", exist_ok=True)
    os.chmod(f"{root}/root", 0o700)
    for folder in ("tmp", "var/tmp"):
        os.chmod(f"{root}/{folder}", 0o1777)
    inside = [name for name in ("bin", "sbin", "lib", "local", "share") if os.path.isdir(f"/usr/{name}")]
    deeper = [f"local/{name}" for name in ("bin", "sbin", "lib") if os.path.isdir(f"/usr/local/{name}")]
    overlay("/usr", f"{root}/usr", "usr", (*inside, *deeper), unreadable)
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        if os.path.islink(f"/{name}"):
            os.symlink(os.readlink(f"/{name}"), f"{root}/{name}")
        elif os.path.isdir(f"/{name}"):
            os.mkdir(f"{root}/{name}")
            overlay(f"/{name}", f"{root}/{name}", name, (), ())
    for name in SETTINGS:
        _copy(f"/etc/{name}", f"{root}/etc/{name}")
    for name, text in files().items():
        Path(f"{root}/etc/{name}").write_text(text)
        os.chmod(f"{root}/etc/{name}", 0o640 if "shadow" in name else 0o644)
    os.symlink("../usr/lib/os-release", f"{root}/etc/os-release")
    os.mkdir(f"{root}/home/ubuntu", 0o755)
    for file in Path(f"{root}/etc/skel").glob(".*"):
        shutil.copy(file, f"{root}/root")
        shutil.copy(file, f"{root}/home/ubuntu")
    for place in (Path(f"{root}/home/ubuntu"), *Path(f"{root}/home/ubuntu").iterdir()) if several else ():
        os.chown(place, 1000, 1000)


def _copy(source: str, target: str) -> None:
    """Copies what everybody may read."""
    if os.path.islink(source):
        os.symlink(os.readlink(source), target)
    elif os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
        for name in os.listdir(source) if os.access(source, os.R_OK | os.X_OK) else []:
            _copy(f"{source}/{name}", f"{target}/{name}")
    elif os.path.isfile(source) and os.stat(source).st_mode & 0o004:
        shutil.copyfile(source, target)
        os.chmod(target, os.stat(source).st_mode & 0o755)


def files() -> dict[str, str]:
    """Returns by name in /etc what a file holds."""
    rows = [row.split(":") for row in _USERS]
    shells = [shell or "/usr/sbin/nologin" for *_, shell in rows]
    users = [f"{n}:x:{u}:{g}:{n}:{home}:{s}" for (n, u, g, home, _), s in zip(rows, shells, strict=True)]
    return {
        "passwd": _lines(users),
        "shadow": _lines([f"{row[0]}:*:19000:0:99999:7:::" for row in rows]),
        "group": _lines([f"{row.split(':')[0]}:x:{row.split(':')[1]}:" for row in _GROUPS]),
        "gshadow": _lines([f"{row.split(':')[0]}:*::" for row in _GROUPS]),
        "nsswitch.conf": f"{_SWITCH}\n",
        "hosts": "127.0.0.1 localhost agentbench\n",
        "hostname": "agentbench\n",
        "subuid": "",
        "subgid": "",
    }


def _lines(rows: list[str]) -> str:
    return "\n".join(rows) + "\n"
