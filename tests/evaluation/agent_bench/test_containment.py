"""What an agent does in its sandbox stays there: the host is untouched, and the next task runs."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sandboxes import KINDS, SMALL, sandbox

from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import End
from synthetic_instruction_tuner.evaluation.agent_bench.operating_system.conversation import OsConversation
from synthetic_instruction_tuner.evaluation.agent_bench.operating_system.tasks import Match, OsTask
from synthetic_instruction_tuner.evaluation.agent_bench.rounds import Played, Turn, play
from synthetic_instruction_tuner.evaluation.agent_bench.sandbox import choosing
from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.control_groups import ControlGroup
from synthetic_instruction_tuner.records import Message

SECRET = "a-secret-of-the-host"
MARK = 90_000_000 + os.getpid()  # seconds that a process of the agent sleeps: its name on the host, for this test alone

ATTACKS = {
    "fork bomb": ":(){ :|:& };:",
    "many processes": "for i in $(seq 200); do sleep 60 & done 2>/dev/null",
    "many users": "for u in a b c; do useradd $u; su $u -c 'for i in $(seq 40); do sleep 60 & done' & done; sleep 60",
    "memory": "python3 -c 'x = bytearray(400 << 20); print(len(x))'",
    "full disk": "echo x > /dev/new; head -c 100M /dev/zero > /root/full; head -c 100M /dev/zero > /dev/shm/full",
    "many files": "python3 -c \"for k in range(20_000): open(f'/tmp/{k}', 'w')\"",
    "endless output": "yes",
    "kill all": "kill -9 -1; kill -9 1; kill -STOP 1",
    "own shell": "kill -9 $$",
    "links": "ln -s / /tmp/root; ls /tmp/root/work /proc/1/root /proc/1/cwd; ln -sf /etc/shadow /dev/shm/.command",
    "mounts": "mount -t tmpfs none /mnt; mount -o remount,rw /dev; unshare -Ur mount -t tmpfs none /mnt; umount /proc",
    "devices": "mknod /root/disk b 8 0; cat /root/disk; ls /dev/sd* /dev/vd* /dev/nvme* /dev/mem /dev/kmsg",
    "settings": "hostname taken; echo 7 > /proc/sys/kernel/panic; echo b > /proc/sysrq-trigger; date -s 2001-1-1",
    "host's files": "cat {host}/secret; ls -a {home}; cat /root/.bash_history; echo spoilt > {host}/secret",
    "host's environment": "env; cat /proc/*/environ; cat /proc/1/cmdline",
    "network": "cat < /dev/tcp/127.0.0.1/{port}; tail -n +3 /proc/net/dev | cut -d: -f1; tail -n +2 /proc/net/route",
    "outlives": f"setsid nohup sleep {MARK} > /dev/null 2>&1 & disown; echo left",
    "destroys all": "rm -rf --no-preserve-root /usr/bin /etc /home; ls",
    "waits for input": "cat",
    "a megabyte": "# " + "x" * 1_000_000,
}


@dataclass(frozen=True)
class Aftermath:
    """What came of all attacks on one kind of sandbox, played side by side."""

    played: dict[str, Played]
    secret: str

    def said(self, name: str) -> str:
        """What the agent saw after its attack."""
        return "\n".join(m.content for m in self.played[name].messages[7:] if m.role == "user")


def agent(texts: dict[str, str]) -> object:
    """Returns an agent that attacks, looks whether its shell is alive, and answers."""

    def turns(conversations: list[list[Message]]) -> list[Turn]:
        found = []
        for messages in conversations:
            name, turn = messages[6].content.rpartition("\n")[2], (len(messages) - 7) // 2
            command = (texts[name], "echo alive")[turn] if turn < 2 else ""
            found.append(Turn(f"Act: bash\n```bash\n{command}\n```" if turn < 2 else "Act: answer(none)"))
        return found

    return turns


@pytest.fixture(scope="module", params=KINDS)
def aftermath(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    kind = sandbox(request.param)
    host = tmp_path_factory.mktemp("host")
    (host / "secret").write_text(SECRET)
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIT_TEST_SECRET", SECRET)
        words = {"host": str(host), "home": str(Path.home()), "port": str(server.getsockname()[1])}
        texts = dict(ATTACKS)
        for name in ("host's files", "network"):
            texts[name] = texts[name].format(**words)
        tasks = [OsTask(name, name, match=Match("done")) for name in texts]
        found = {tasks[k].id: one for k, one in play(tasks, lambda t: OsConversation(t, kind.open), agent(texts))}  # type: ignore[arg-type]
    yield Aftermath(found, (host / "secret").read_text())


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_the_agents_failure_and_no_error(name: str, aftermath: Aftermath) -> None:
    outcome = aftermath.played[name].outcome
    assert outcome is not None
    assert (outcome.end, outcome.right) == (End.COMPLETED, False)
    if name != "many processes" and name != "many users" and name != "fork bomb":  # whose shell may be late
        assert aftermath.said(name).endswith("The output of the OS:\n\nalive\n")


def test_limits_are_kept(aftermath: Aftermath) -> None:
    assert "No space left on device" in aftermath.said("full disk")
    assert "Read-only file system" in aftermath.said("full disk")
    assert "No space left on device" in aftermath.said("many files")
    assert str(400 << 20) not in aftermath.said("memory")
    assert "[truncated because the output is too long]" in aftermath.said("endless output")


def test_nothing_of_the_host_is_seen_or_changed(aftermath: Aftermath) -> None:
    for name in ATTACKS:
        assert SECRET not in aftermath.said(name)
    assert aftermath.secret == SECRET
    assert str(Path.home().name + "/.ssh") not in aftermath.said("host's files")
    assert socket.gethostname() != "taken"
    assert time.gmtime().tm_year > 2001
    assert Path("/usr/bin/env").exists() and Path("/etc/passwd").exists()
    subprocess.run(["true"], check=True)  # this process and its session live


def test_there_is_no_network_and_there_are_no_rights(aftermath: Aftermath) -> None:
    assert "refused" in aftermath.said("network") or "unreachable" in aftermath.said("network")
    assert [line.strip() for line in aftermath.said("network").splitlines() if line.startswith(" ")] == ["lo"]
    mounts = aftermath.said("mounts")
    assert "permission denied" in mounts and "unshare failed" in mounts
    assert "Operation not permitted" in aftermath.said("devices")


def test_nothing_outlives_its_task(aftermath: Aftermath) -> None:
    assert "left" in aftermath.said("outlives")
    assert not _running(str(MARK))


def _running(word: str) -> list[str]:
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = place.read_bytes()
        except OSError:
            continue
        if f"\0{word}\0".encode() in text:
            found.append(str(place))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_the_next_task_runs(kind: str, aftermath: Aftermath) -> None:
    machine = sandbox(kind).open()
    try:
        assert machine.type("cd /usr && echo next > .x && pwd") == "/usr\n"
        assert machine.run(["cat", "/usr/.x"]).output == "next\n"
    finally:
        machine.close()
    assert not Path("/usr/.x").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_processes_and_memory_are_limited_without_control_groups(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox(kind)  # or skipped
    monkeypatch.setattr(choosing, "ControlGroup", lambda limits: ControlGroup(limits, Path("/nonexistent")))
    machine = choosing.choose(kind, "host", replace(SMALL, seconds=2)).open()
    try:
        machine.type("(for i in $(seq 100); do sleep 60 & done) 2> /dev/null")
        counted = machine.run(["python3", "-c", "import os; print(sum(n.isdigit() for n in os.listdir('/proc')))"])
        assert counted.code or int(counted.output) <= SMALL.processes + 2
        machine.type("pkill sleep")
        script = "import time; x = b'x' * (300 << 20); time.sleep(9)"
        assert machine.run(["python3", "-c", script]).code == 128 + 119  # killed before its time: 256 - 9
    finally:
        machine.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_an_ordinary_user_has_a_sandbox_too() -> None:
    """With itself alone inside, as nobody has subordinate ids."""
    sandbox("bubblewrap")
    source = Path(choosing.__file__).parents[4]
    for place in (source, *source.parents):
        if not place.stat().st_mode & 0o005:
            pytest.skip(f"others may not read {place}")
    code = (
        "from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.choosing import choose\n"
        "one = choose('bubblewrap', 'host'); machine = one.open()\n"
        "print(one.several_users, machine.type('id -u; cat /proc/self/uid_map; ls /root').split()); machine.close()"
    )
    python = "/usr/bin/python3"
    ran = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", python, "-c", code],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(source)},
        cwd="/",
    )
    if "No module named" in ran.stderr or "unsupported" in ran.stderr:
        pytest.skip("the system's Python lacks what the package needs")
    assert ran.stdout == "False ['0', '0', '0', '1']\n", ran.stderr
