"""Tasks, and a MariaDB that runs for these tests alone: on a socket, without network."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from synthetic_instruction_tuner.evaluation.agent_bench.db.server import ServerAddress
from synthetic_instruction_tuner.evaluation.agent_bench.db.tasks import DbTask, read_tasks
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import EnvironmentFailed

DEV = Path(__file__).parents[4] / "shared" / "data" / "agentbench" / "dbbench" / "dev.jsonl"


@pytest.fixture(scope="session")
def dev_tasks() -> list[DbTask]:
    if not DEV.is_file():
        pytest.skip("DBBench's dev set is not on this machine")
    return read_tasks(DEV)


@pytest.fixture
def scores() -> DbTask:
    """A small table with what differs between databases: case, accents, numbers as text, NULL."""
    rows = (("Ann", "2001", "12,000", "é"), ("bob", "1999", "7.40", None), ("Cid", "2003", "30", ""))
    columns = ("Name", "Year", "Total pts", "Note")
    return DbTask("db-0000", "Who?", "The table is Score Table.", "other", "Score Table", columns, rows, ("Ann",))


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerAddress]:
    install = shutil.which("mariadb-install-db") or shutil.which("mysql_install_db")
    daemon = shutil.which("mariadbd") or shutil.which("mysqld") or shutil.which("mariadbd", path="/usr/sbin")
    if not install or not daemon:
        pytest.skip("MariaDB is not installed (Debian: apt-get install mariadb-server)")
    memory = Path("/dev/shm")  # making users waits for the disk
    folder = Path(mkdtemp(dir=memory)) if os.access(memory, os.W_OK) else tmp_path_factory.mktemp("db")
    socket = Path(f"/tmp/sit-{os.getpid()}.sock")  # a socket's path may have 107 characters
    user = [f"--user={_me()}"]
    made = subprocess.run(
        [install, "--no-defaults", *user, f"--datadir={folder}/data", "--auth-root-authentication-method=normal"],
        capture_output=True,
        text=True,
    )
    if made.returncode:
        pytest.skip(f"MariaDB cannot make its tables here: {made.stderr[-200:]}")
    server = subprocess.Popen(
        [daemon, "--no-defaults", *user, f"--datadir={folder}/data", f"--socket={socket}", "--skip-networking"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = ServerAddress(f"mysql://root@/?unix_socket={socket}")
        _wait(address, server)
        yield address
    finally:
        server.terminate()
        server.wait(30)
        socket.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


def _me() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


def _wait(address: ServerAddress, server: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        try:
            address.connect().close()
            return
        except EnvironmentFailed:
            assert server.poll() is None, "MariaDB ended"
            time.sleep(0.1)
    pytest.fail("MariaDB does not answer")
