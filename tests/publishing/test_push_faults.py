"""sit push when the Hub or the network refuses: one clear line, what to do, and the same command goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import constants
from local_hub import TOKEN, LocalHub, Push, Repo

from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.errors import SitError, UserError
from synthetic_instruction_tuner.methods import method
from synthetic_instruction_tuner.publishing.answers import meaning
from synthetic_instruction_tuner.publishing.upload import Uploads, connected
from synthetic_instruction_tuner.run.publishing.parts import Part
from synthetic_instruction_tuner.run.publishing.push import require_open

pytestmark = pytest.mark.xdist_group("pipeline")
DATA = ("--to", "anna/tiny", "--what", "data")
COMMIT = "POST /api/datasets/anna/tiny/commit"


def one_message(err: str) -> list[str]:
    """The lines of the one error that was shown."""
    lines = [line for line in err.splitlines() if line and not line.startswith(("Pushing", "Staging"))]
    assert [line[:7] for line in lines[1:]] == ["  why: ", "  fix: "], err
    return lines


@pytest.mark.parametrize(
    ("pattern", "status", "code", "problem", "fix"),
    [
        ("whoami", 401, 2, "does not take the token", "hf auth login"),
        ("repos/create", 403, 2, "may not write to anna/tiny", "another name with --to"),
        (COMMIT, 409, 1, "changed anna/tiny at the same moment", "same command again"),
        (COMMIT, 429, 1, "too many requests", "Wait 77 seconds"),
        ("preupload", 503, 1, "has a fault (503)", "same command again"),
        ("PUT /lfs", 500, 1, "has a fault (500)", "same command again"),
        (COMMIT, None, 1, "connection to the Hugging Face Hub was lost", "same command again"),
        ("PUT /lfs", None, 1, "connection to the Hugging Face Hub was lost", "same command again"),
        ("GET /api/datasets", None, 1, "connection to the Hugging Face Hub was lost", "same command again"),
    ],
)
def test_a_fault_is_one_line_and_the_same_command_goes_on(
    push: Push, hub: LocalHub, pattern: str, status: int | None, code: int, problem: str, fix: str
) -> None:
    hub.fail(pattern, status, times=20, headers={"Retry-After": "77"}, message=f"not today, {TOKEN}")
    found, _, err = push(*DATA)
    lines = one_message(err)
    assert found == code and problem in lines[0] and fix in lines[2], err
    hub.faults.clear()
    found, _, err = push(*DATA)
    assert found == 0, err
    assert set(hub.received.values()) == {1} and len(hub.repos["dataset", "anna/tiny"].commits) == 2


def test_a_short_fault_is_not_even_noticed(push: Push, hub: LocalHub) -> None:
    for pattern, status in (("preupload", 503), ("objects/batch", None), ("PUT /lfs", 500), ("PUT /lfs", None)):
        hub.fail(pattern, status)
    code, out, err = push(*DATA)
    assert code == 0 and "6 files" in out and set(hub.received.values()) == {1}, err


def test_what_was_sent_before_a_kill_is_not_sent_again(
    push: Push, hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of the three tables are there when the process is killed; no commit was made."""
    from huggingface_hub import HfApi

    sent, real = [], HfApi.preupload_lfs_files

    def killed(self: Any, repo: str, additions: Any, **more: Any) -> None:
        if len(hub.received) == 2:
            raise KeyboardInterrupt
        sent.append(additions[0].path_in_repo)
        real(self, repo, additions, **more)

    monkeypatch.setattr(HfApi, "preupload_lfs_files", killed)
    code, _, err = push(*DATA)
    assert code == 130 and "run the same command again" in err and len(hub.received) == 2
    assert set(hub.repos["dataset", "anna/tiny"].files) == {".gitattributes"}
    monkeypatch.setattr(HfApi, "preupload_lfs_files", real)
    assert push(*DATA)[0] == 0
    assert set(hub.received.values()) == {1} and len(hub.received) == 3


def test_a_template_of_the_hub_is_no_content(push: Push, hub: LocalHub) -> None:
    """A Space is made with a page of its own: a push that ends before its commit goes on all the same."""
    hub.fail("POST /api/spaces/anna/tiny/commit", 500)
    assert push("--to", "anna", "--what", "report")[0] == 1
    assert b"Hello" in hub.repos["space", "anna/tiny"].files["index.html"]
    code, _, err = push("--to", "anna", "--what", "report")
    files = hub.repos["space", "anna/tiny"].files
    assert code == 0 and b"Hello" not in files["index.html"] and "style.css" not in files, err


def test_a_commit_of_somebody_else_in_between_is_not_overwritten(
    push: Push, hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Uploads.upload

    def later(self: Any, wanted: Any, *more: Any) -> Any:
        hub.repos["dataset", "anna/tiny"].commits.append("theirs")
        return real(self, wanted, *more)

    hub.repos["dataset", "anna/tiny"] = Repo(True, {".gitattributes": b""})
    monkeypatch.setattr(Uploads, "upload", later)
    code, _, err = push(*DATA)
    assert code == 1 and "changed anna/tiny at the same moment" in one_message(err)[0]
    assert set(hub.repos["dataset", "anna/tiny"].files) == {".gitattributes"}


def test_every_refused_repository_is_named_before_any_is_changed(push: Push, hub: LocalHub) -> None:
    hub.repos["dataset", "anna/tiny"] = Repo(True, {"a.csv": b""}, ["initial commit", "theirs"])
    hub.repos["space", "anna/tiny"] = Repo(False, {"b.html": b""})
    code, _, err = push("--to", "anna", "--what", "data,report")
    assert code == 2 and "There are 2 mistakes" in err and "a.csv" in err and "is public" in err
    assert hub.asked("/commit/|create") == []


def test_no_token_no_network_and_offline(push: Push, hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    code, _, err = push(*DATA)
    assert code == 2 and "There is no token" in one_message(err)[0] and hub.requests == []
    monkeypatch.setenv("HF_TOKEN", "hf_" + "anothertoken0000")
    code, _, err = push(*DATA)
    assert code == 2 and "does not take the token" in one_message(err)[0] and "anothertoken" not in err
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    code, _, err = push(*DATA)
    assert code == 1 and "connection to the Hugging Face Hub was lost" in one_message(err)[0]
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    code, _, err = push(*DATA)
    assert code == 2 and "HF_HUB_OFFLINE is set" in one_message(err)[1]


def test_an_endless_wait_is_none(hub: LocalHub) -> None:
    from huggingface_hub.utils import get_session

    with connected("0") as uploads:
        assert uploads.user == "anna" and uploads.organizations == ("acme",)
        limits = get_session().timeout
        assert limits.connect and limits.read and limits.write


@pytest.mark.parametrize("what", ["merged", "soft_prompt", "adapters"])
def test_weights_of_a_gated_model_do_not_become_public_by_mistake(hub: LocalHub, what: str) -> None:
    hub.repos["model", "meta/gated"] = Repo(False, gated=True)
    part = Part(what, "model", "anna/x", "x", ModelConfig(path="meta/gated"), method("sft"))
    with connected("0") as uploads:
        if what == "adapters":
            require_open([part], uploads)
            return
        with pytest.raises(UserError, match="meta/gated is gated") as caught:
            require_open([part], uploads)
        assert "--accept-license" in caught.value.fix
        hub.repos["model", "meta/gated"].gated = False
        require_open([part], uploads)


@pytest.mark.parametrize(
    ("status", "code", "problem", "fix"),
    [
        (400, 1, "refuses what was sent to anna/x (400)", "same command again"),
        (402, 2, "wants to be paid for anna/x", "Free some space"),
        (403, 2, "may not write to anna/x", "another name with --to"),
        (404, 2, "does not find anna/x", "must exist"),
        (412, 1, "changed anna/x at the same moment", "same command again"),
        (413, 1, "too large for anna/x", "--what"),
        (429, 1, "too many requests", "Wait some minutes"),
        (502, 1, "has a fault (502)", "same command again"),
    ],
)
def test_each_status_has_its_meaning(status: int, code: int, problem: str, fix: str) -> None:
    error = RuntimeError("Error while uploading 'x'")
    error.response = SimpleNamespace(status_code=status, headers={})  # type: ignore[attr-defined]
    found = meaning(error, "anna/x")
    assert found and found.exit_code == code and problem in found.problem and fix in found.fix
    assert str(status) in found.cause


def test_errors_that_are_not_the_hubs_pass() -> None:
    assert meaning(ZeroDivisionError(), "x") is None
    assert meaning(ValueError("something"), "x") is None
    assert isinstance(meaning(TimeoutError(), "x"), SitError)
    refused = meaning(type("XetAuthenticationError", (PermissionError,), {})("no"), "anna/x")
    assert isinstance(refused, UserError) and "may not write to anna/x" in refused.problem
    assert isinstance(meaning(json.JSONDecodeError("no JSON", "<html>", 0), "x"), SitError)


@pytest.fixture(scope="module", autouse=True)
def nothing_of_the_token_is_stored(published_run: Path) -> Iterator[None]:
    yield
    for path in published_run.rglob("*"):
        if path.is_file():
            assert TOKEN.encode() not in path.read_bytes(), path
