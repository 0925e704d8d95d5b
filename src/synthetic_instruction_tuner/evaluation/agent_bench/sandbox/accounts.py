"""The users and groups of a root that is built of the host's programs: those that every Debian has, and `ubuntu`.

Ubuntu's image, which AgentBench takes, has that user too.
"""

from __future__ import annotations

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
