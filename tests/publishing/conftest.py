"""A finished run, staged once, and a Hub of this machine's own to push it to."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import _http
from local_hub import HOST, TOKEN, USER, LocalHub, Push, local_hub

from synthetic_instruction_tuner.cli import app


@pytest.fixture(scope="session")
def published_run(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the finished run; what is staged in it is shared, as it is between two pushes of a user."""
    return Path(shutil.copytree(finished, tmp_path_factory.mktemp(USER) / "tiny"))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    """The Hub's client talks to the local server, with its token, and does not wait between attempts."""
    with local_hub() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setattr(_http, "time", SimpleNamespace(sleep=lambda seconds: None))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setattr(socket, "gethostname", lambda: HOST)
        monkeypatch.setenv("LOGNAME", USER)
        yield server
        _http.close_session()


@pytest.fixture
def push(
    hub: LocalHub, published_run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Push:
    """Pushes the run; returns exit code, standard output and standard error, in neither of which the token is."""
    monkeypatch.setenv("COLUMNS", "200")

    def call(*words: object, run: Path = published_run) -> tuple[int, str, str]:
        capsys.readouterr()
        code = app._exit_code([str(word) for word in ("push", run, *words)])
        out, err = capsys.readouterr()
        assert TOKEN not in out + err
        return code, out, err

    return call
