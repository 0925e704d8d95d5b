"""Which sandbox is chosen, what it is told, and what it holds."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from sandboxes import SMALL, sandbox

from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import EnvironmentFailed
from synthetic_instruction_tuner.evaluation.agent_bench.sandbox import (
    bubblewrap,
    choosing,
    containers,
    control_groups,
    host_files,
    root_files,
    users,
)
from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.choosing import NoSandbox, choose
from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.control_groups import ControlGroup
from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.users import Users

Program = Callable[[str, str], Path]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Puts a program on the path that does what a script says."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def put(name: str, script: str) -> Path:
        (folder / name).write_text(f"#!/bin/bash\n{script}\n")
        (folder / name).chmod(0o755)
        return folder / name

    return put


def docker(folder: Path, image: str) -> str:
    """A docker whose containers are this machine: it notes how it was called and runs what comes behind the image."""
    return f"""
case $1 in
  info) exit 0 ;;
  image) [ "$3" = "{image}" ] ;;
  rm) echo "$@" >> {folder}/removed ;;
  run) printf '%s\\n' "$@" > {folder}/called
       until [ "$1" = "{image}" ]; do shift; done; shift
       exec bash -c 'read line; echo "{{\\"ready\\": true}}"
         while read line; do
           case $line in
             *argv*) echo "{{\\"code\\": 0, \\"output\\": \\"42\\\\n\\"}}" ;;
             *) echo "{{\\"output\\": \\"sandbox\\"}}" ;;
           esac
         done' ;;
esac
"""


def test_a_container_is_chosen_first_and_gets_limits_and_no_rights(program: Program, tmp_path: Path) -> None:
    program("docker", docker(tmp_path, "local-os/default"))
    chosen = choose(limits=SMALL)
    assert (chosen.kind, chosen.name) == ("docker", "docker, image local-os/default")
    called = (tmp_path / "called").read_text().split("\n")
    for option, value in (
        ("--network", "none"),
        ("--cap-drop", "ALL"),
        ("--security-opt", "no-new-privileges"),
        ("--memory", str(SMALL.memory)),
        ("--pids-limit", str(SMALL.processes)),
        ("--pull", "never"),
    ):
        assert called[called.index(option) + 1] == value
    assert {called[k + 1] for k, word in enumerate(called) if word == "--cap-add"} == set(bubblewrap.RIGHTS)
    assert not {"--volume", "-v", "--mount", "--privileged"} & set(called)
    name = called[called.index("--name") + 1]
    assert (tmp_path / "removed").read_text() == f"rm --force {name}\n"


def test_an_image_can_be_named_and_must_be_there(program: Program, tmp_path: Path) -> None:
    program("podman", docker(tmp_path, "mine:1"))
    assert choose("podman", "image:mine:1").name == "podman, image mine:1"
    with pytest.raises(NoSandbox) as caught:
        choose("podman", "image:other")
    assert caught.value.cause == "podman: it has no image other"
    with pytest.raises(NoSandbox, match="no image local-os/default"):
        choose("podman")


def test_a_daemon_that_does_not_answer_is_passed_over(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    program("docker", "exit 1")
    program("podman", "exit 1")
    assert containers.answers("docker") == "no daemon answers"
    assert containers.answers("nosuchprogram") == "not installed"
    monkeypatch.setattr(choosing, "_namespaces", lambda *_: "it needs Linux")
    with pytest.raises(NoSandbox) as caught:
        choose()
    for kind in ("docker: no daemon answers", "podman: no daemon answers", "bubblewrap: ", "namespaces: "):
        assert kind in caught.value.cause
    assert "apt-get install bubblewrap" in caught.value.fix


def test_a_sandbox_that_does_not_work_is_passed_over(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox("namespaces")
    program("bwrap", 'if [ "$1" = --version ]; then echo bubblewrap 9; else echo "no permissions" >&2; exit 1; fi')
    with pytest.raises(NoSandbox) as caught:
        choose("bubblewrap", "host")
    assert caught.value.cause.startswith("bubblewrap: the sandbox has ended: ")
    monkeypatch.setattr(choosing, "KINDS", ("bubblewrap", "namespaces"))
    assert choose("", "host").kind == "namespaces"


# Root files


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_files_of_the_users_become_the_root(cache: Path, tmp_path: Path) -> None:
    """A folder is copied, an archive unpacked, each once; here they lack a shell, so that no sandbox comes of them."""
    sandbox("bubblewrap")
    source = tmp_path / "root"
    for name in ("etc", "dev", "usr/bin"):
        (source / name).mkdir(parents=True)
    (source / "etc" / "issue").write_text("mine")
    (source / "dev" / "thing").write_text("")
    with tarfile.open(tmp_path / "root.tar.gz", "w:gz") as archive:
        archive.add(source, ".")
    identity = users.found()
    for place in (source, tmp_path / "root.tar.gz"):
        told: list[str] = []
        for _ in range(2):
            made = root_files.chosen(str(place), identity, told.append)
        assert told == [f"unpacking {place.name}"]
        assert made.folder is not None and made.folder.is_relative_to(cache)
        assert (made.folder / "etc" / "issue").read_text() == "mine"
        assert not (made.folder / "dev" / "thing").exists()
        assert (made.folder / "etc" / "issue").stat().st_uid == identity.users[0][1]
        with pytest.raises(NoSandbox):
            choose("bubblewrap", str(place))
    broken = tmp_path / "broken.tar"
    broken.write_text("no archive")
    with pytest.raises(UserError, match="cannot be unpacked"):
        root_files.chosen(str(broken), identity)
    assert not list(cache.rglob("new-*"))


def test_debian_is_made_once_by_mmdebstrap(
    cache: Path, tmp_path: Path, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox("bubblewrap")
    identity = users.found()
    (tmp_path / "tree" / "etc").mkdir(parents=True)
    script = f'echo "$@" >> {tmp_path}/called; tar -C {tmp_path}/tree -cf "${{@: -1}}" .'
    program("mmdebstrap", script)
    assert root_files.chosen("", identity) == root_files.HOST
    made = root_files.chosen("debian", identity)
    assert root_files.chosen("debian", identity) == made == root_files.chosen("", identity)
    called = (tmp_path / "called").read_text()
    assert called.count("\n") == 1
    assert "--variant=minbase" in called and "python3" in called
    program("mmdebstrap", "echo E: no mirror >&2; exit 25")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    with pytest.raises(UserError) as caught:
        root_files.chosen("debian", identity)
    assert caught.value.cause == "mmdebstrap: E: no mirror"
    monkeypatch.setattr(root_files.shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="cannot be made") as caught:
        root_files.chosen("debian", identity)
    assert "apt-get install mmdebstrap" in caught.value.fix


def test_the_accounts_of_a_made_up_root_are_whole() -> None:
    made = host_files.files()
    named = [line.split(":") for line in made["passwd"].splitlines()]
    groups = {line.split(":")[2] for line in made["group"].splitlines()}
    assert all(len(row) == 7 and row[3] in groups for row in named)
    assert [row[0] for row in named] == [line.split(":")[0] for line in made["shadow"].splitlines()]
    assert {"root", "ubuntu", "nobody"} <= {row[0] for row in named}


# Users and groups


def test_who_is_who(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: Program) -> None:
    monkeypatch.setattr(users.os, "geteuid", lambda: 0)
    root = users.found()
    assert root.several and root.users == root.groups == ((0, users.FIRST, users.COUNT),)
    monkeypatch.setattr(users.os, "geteuid", lambda: 65_534)
    monkeypatch.setattr(users.os, "getegid", lambda: 65_533)
    monkeypatch.setattr(users, "_subordinate", lambda file, me: None)
    assert users.found() == Users(((0, 65_534, 1),), ((0, 65_533, 1),))
    assert not users.found().several
    monkeypatch.setattr(users, "_subordinate", lambda file, me: (700 if "uid" in file else 800, 65_536))
    program("newgidmap", "")
    mapper = program("newuidmap", "")
    whole = users.found()
    assert whole == Users(((0, 65_534, 1), (1, 700, 65_536)), ((0, 65_533, 1), (1, 800, 65_536)), str(mapper))
    assert whole.several


def test_subordinate_ids_are_found_by_name_or_number(tmp_path: Path) -> None:
    file = tmp_path / "subuid"
    file.write_text("other:1:2\n\nbroken\n12345678:500:60\n")
    assert users._subordinate(str(file), 12_345_678) == (500, 60)
    assert users._subordinate(str(file), 7_654_321) is None
    assert users._subordinate(str(tmp_path / "none"), 0) is None


def test_control_groups_are_made_where_they_can_be_and_left_behind_nowhere(tmp_path: Path) -> None:
    """In a folder that looks like the kernel's, whose files do not come by themselves."""
    assert ControlGroup(SMALL, tmp_path / "none").kinds == set()
    (tmp_path / "cgroup.controllers").write_text("memory pids")
    left = tmp_path / "sit-999999999-ab"  # of a program that was killed
    left.mkdir()
    group = ControlGroup(SMALL, tmp_path)
    assert not left.exists()
    assert (group.members, group.kinds) == ([], set())  # no file of the kernel's: nothing is limited
    group.remove()
    assert not list(tmp_path.glob("sit-*"))


def test_real_control_groups_are_removed() -> None:
    group = ControlGroup(SMALL)
    folders = [Path(member).parent for member in group.members]
    group.remove()
    assert not any(folder.exists() for folder in folders)
    assert Path("/sys/fs/cgroup") == control_groups.PLACE


def test_a_program_that_is_no_supervisor_is_an_error_of_the_environment() -> None:
    from synthetic_instruction_tuner.evaluation.agent_bench.sandbox.machine import Machine

    closed = []
    for words in ("echo hello", "echo '[1]'", "echo '{}'", "exit 3"):
        with pytest.raises(EnvironmentFailed):
            Machine(["bash", "-c", words], SMALL, lambda: closed.append(1))
    assert len(closed) == 4
