"""Faults of the machine and of libraries, wherever they come from, have a message of their own: what, why, what to do.

A new kind of error that ends as "Something unexpected" belongs in the list below, and its meaning in the code.
"""

from __future__ import annotations

import errno
import http.client
import locale
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
import requests
import torch
from huggingface_hub import HfApi
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError
from safetensors import SafetensorError

from synthetic_instruction_tuner.cli import app
from synthetic_instruction_tuner.cli.known_errors import known
from synthetic_instruction_tuner.errors import RunError, UserError
from synthetic_instruction_tuner.run.store.connection import StoreConnection


def system(number: int, name: str | None = "/some/file") -> OSError:
    return OSError(number, os.strerror(number), name)


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


class ReadTimeout(Exception):
    """As httpx has it, which newer versions of the Hub's library use."""

    __module__ = "httpx"


class ConnectError(Exception):
    """As the successor of httpx has it."""

    __module__ = "httpx2"


ANSWER = requests.Response()

KNOWN: list[tuple[BaseException, int, str]] = [
    (system(errno.ENOSPC), 1, "The disk is full"),
    (system(errno.EDQUOT), 1, "The disk is full"),
    (ConnectError("[Errno 111] Connection refused"), 1, "The network or the Hugging Face Hub does not answer"),
    (RuntimeError("Error while writing: No space left on device (os error 28)"), 1, "The disk is full"),
    (SafetensorError("I/O error: No space left on device (os error 28)"), 1, "The disk is full"),
    (system(errno.EACCES), 2, "/some/file may not be read or written"),
    (system(errno.EPERM), 2, "may not be read or written"),
    (system(errno.EROFS, "/home/me/.cache/huggingface"), 2, "/home/me/.cache/huggingface may not be"),
    (system(errno.EISDIR), 2, "is not what it should be"),
    (system(errno.ENOTDIR), 2, "is not what it should be"),
    (system(errno.ENOENT), 2, "is not what it should be"),
    (system(errno.ENAMETOOLONG), 2, "is not what it should be"),
    (system(errno.EEXIST), 2, "is not what it should be"),
    (system(errno.EMFILE), 1, "Too many files are open"),
    (system(errno.EIO), 1, "cannot be read or written"),
    (system(errno.ESTALE), 1, "cannot be read or written"),
    (system(errno.ENOMEM, None), 1, "not enough memory"),
    (FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']"), 2, "temporary files"),
    (MemoryError(), 1, "not enough memory"),
    (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 9 bytes"), 1, "enough memory"),
    (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), 1, "The GPU has not enough memory"),
    (RuntimeError("CUDA error: an illegal memory access was encountered"), 1, "The GPU has failed"),
    (RuntimeError("CUDA error: no kernel image is available for execution on the device"), 1, "The GPU has failed"),
    (RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"), 1, "The GPU has failed"),
    (AssertionError("Torch not compiled with CUDA enabled"), 2, "no GPU that can be used"),
    (RuntimeError("Found no NVIDIA driver on your system."), 2, "no GPU that can be used"),
    (RuntimeError("can't start new thread"), 1, "No more threads"),
    (RuntimeError("Could not determine home directory."), 2, "no home folder"),
    (RecursionError("maximum recursion depth exceeded"), 2, "nested too deeply"),
    (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), 2, "another encoding"),
    (UnicodeEncodeError("ascii", "\u00e9", 0, 1, "ordinal not in range"), 2, "another encoding"),
    (ModuleNotFoundError("No module named 'peft'"), 1, "A library is missing"),
    (ImportError("cannot import name 'x' from 'trl'"), 1, "A library is missing"),
    (locale.Error("unsupported locale setting"), 2, "language settings"),
    (BrokenProcessPool("A child process terminated abruptly"), 1, "helper process"),
    (sqlite3.OperationalError("disk I/O error"), 1, "store cannot be read"),
    (requests.ConnectionError("Max retries exceeded"), 1, "does not answer as it should"),
    (ReadTimeout("timed out: https://user:s3cr3t@mirror/api/models"), 1, "does not answer as it should"),
    (requests.HTTPError("503 Server Error for url: https://user:s3cr3t@mirror/api"), 1, "does not answer as it should"),
    (http.client.IncompleteRead(b""), 1, "does not answer as it should"),
    (LocalEntryNotFoundError("cannot find the file on the Hub, nor on the disk"), 1, "does not answer as it should"),
    (RepositoryNotFoundError("401 Client Error", response=ANSWER), 1, "does not answer as it should"),
    (HFValidationError("Repo id must be in the form 'repo_name'"), 2, "no name on the Hugging Face Hub"),
    (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), 1, "does not answer as it should"),
    (TimeoutError("timed out"), 1, "does not answer as it should"),
    (caused(ValueError("could not load"), system(errno.EACCES)), 2, "may not be read or written"),
    (caused(ValueError("no model"), UserError("That is no model.", "it is not", "Use one.")), 2, "That is no model"),
]


@pytest.mark.parametrize(("error", "code", "said"), KNOWN, ids=[type(k[0]).__name__ for k in KNOWN])
def test_a_fault_of_the_machine_is_explained(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: object) -> None:
        raise error

    monkeypatch.setattr(app, "_refuse_secrets", fails)
    with pytest.raises(SystemExit) as ended:
        app.main(["plan"])
    shown = capsys.readouterr().err
    assert ended.value.code == code and said in shown
    assert "unexpected" not in shown and "  fix: " in shown and "s3cr3t" not in shown
    assert len(shown.strip().splitlines()) <= 3


def test_every_number_of_the_operating_system_has_a_meaning() -> None:
    for number in errno.errorcode:
        if number != errno.EPIPE:
            assert known(system(number)) is not None, errno.errorcode[number]


def test_what_nobody_knows_is_still_unexpected(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for error in (KeyError("x"), ValueError("odd"), ZeroDivisionError(), AttributeError("a"), RuntimeError("b")):
        monkeypatch.setattr(app, "_refuse_secrets", lambda _, error=error: (_ for _ in ()).throw(error))
        with pytest.raises(SystemExit) as ended:
            app.main(["plan"])
        assert ended.value.code == 1 and f"unexpected went wrong: {type(error).__name__}" in capsys.readouterr().err


FAULTS = [
    MemoryError(),
    system(errno.EIO),
    system(errno.EACCES),
    RuntimeError("CUDA error: unspecified launch failure"),
]


@pytest.mark.parametrize("error", FAULTS, ids=lambda error: type(error).__name__)
def test_a_fault_in_the_middle_loses_nothing(
    error: Exception, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was committed before it is there afterwards, whatever ends the transaction."""
    file = tmp_path / "run.sqlite"
    store = StoreConnection.open(file)
    with store.transaction():
        store.execute("INSERT INTO meta VALUES ('a', '1')")
    with pytest.raises(type(error)), store.transaction():
        store.execute("INSERT INTO meta VALUES ('b', '2')")
        raise error
    store.close()
    store = StoreConnection.open(file)
    assert [name for (name,) in store.read("SELECT name FROM meta ORDER BY name")] == ["a", "schema"]
    store.close()
    assert isinstance(known(error), (RunError, UserError))


@pytest.mark.parametrize(
    "proxy",
    [
        *(
            "http://user:s3cr3t@127.0.0.1:notaport",
            "socks9://user:s3cr3t@127.0.0.1:9",
            "http://user:s3c/r3t@127.0.0.1:9",
        ),
        *("user:s3cr3t@127.0.0.1:9", "http://us er:s3cr3t@127.0.0.1:9", "http://user:s3#cr3t@h:9", "//user:s3cr3t@h:1"),
    ],
)
def test_no_part_of_a_proxy_s_password_is_shown(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    api = HfApi(endpoint="http://127.0.0.1:9")
    asked: list[Callable[[], object]] = [
        lambda: requests.get("http://127.0.0.1:9", timeout=2),
        lambda: api.model_info("a/b", timeout=2),
    ]
    for ask in asked:
        with pytest.raises(Exception) as error:
            ask()
        shown = known(error.value)
        assert shown is not None and not any(part in str(shown) for part in ("s3c", "r3t"))


def test_a_proxy_is_blamed_only_where_it_can_be_at_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://user:s3cr3t@proxy.example:3128/")
    monkeypatch.setenv("http_proxy", "socks5h://[::1]:1080")
    with pytest.raises(requests.exceptions.InvalidURL) as error:
        requests.get("http://a b:80x", timeout=2)
    shown = known(error.value)
    assert shown is not None and shown.problem == "A web address cannot be used." and "s3cr3t" not in str(shown)
    assert "HTTPS_PROXY or HTTP_PROXY" in shown.cause
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:port")
    shown = known(error.value)
    assert shown is not None and shown.cause == "The environment variable HTTPS_PROXY holds no address of a proxy."
