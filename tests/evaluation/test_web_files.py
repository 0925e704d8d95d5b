"""Files of MT-Bench that are downloaded one by one, from servers that answer, refuse, lie or are away."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from mt_bench_files import make_folder

from shared_data import shared
from synthetic_instruction_tuner.config import EvaluateConfig
from synthetic_instruction_tuner.evaluation.benchmarks import at_hand, published, web_files
from synthetic_instruction_tuner.evaluation.benchmarks.base import benchmark
from synthetic_instruction_tuner.evaluation.benchmarks.published import PUBLISHED, place_of
from synthetic_instruction_tuner.evaluation.benchmarks.web_files import MT_BENCH, WebFile, fetch_files, kept_in, lacks

CONFIG = EvaluateConfig(benchmarks=("mt_bench",))
NOWHERE = "http://127.0.0.1:9/away"  # nobody listens on the discard port


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the Hub, on a machine that may use the network."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    return tmp_path / "hub"


class Server:
    """A server of the files of a folder; `asked` has the paths that it was asked for."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(SimpleHTTPRequestHandler):
            def __init__(self, *args: Any, **options: Any) -> None:
                super().__init__(*args, directory=str(folder), **options)

            def do_GET(self) -> None:
                asked.append(self.path)
                super().do_GET()

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    found = Server(make_folder(tmp_path / "there", {"gpt-4": "good"}))
    yield found
    found.http.shutdown()
    found.http.server_close()


@pytest.fixture
def files(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[WebFile, ...]:
    """The files of the server in place of the published ones."""
    corrected = tmp_path / "there/reference_answer/gpt-4-0125-preview.PR3158.jsonl"
    corrected.rename(corrected.with_name("gpt-4-0125-preview.jsonl"))
    own = []
    for file in MT_BENCH[:5]:
        digest = hashlib.sha256((tmp_path / "there" / file.name).read_bytes()).hexdigest()
        own.append(replace(file, sha256=digest, addresses=(f"{server.url}/{file.name}",)))
    monkeypatch.setitem(published.PUBLISHED, "mt_bench", replace(PUBLISHED["mt_bench"], web=tuple(own)))
    return tuple(own)


def test_the_files_come_once_and_the_benchmark_can_run(server: Server, files: tuple[WebFile, ...]) -> None:
    assert not at_hand.usable(CONFIG)
    said: list[str] = []
    assert at_hand.fetch(CONFIG, said.append) == [] and said == ["Downloaded mt_bench."]
    assert at_hand.usable(CONFIG) and len(server.asked) == len(files)
    known = benchmark("mt_bench").at_hand
    assert known and known(CONFIG.settings("mt_bench")).origin == "download"
    place = place_of("mt_bench", None)
    assert place and (place.folder / "model_answer" / "gpt-4.jsonl").is_file()
    assert at_hand.fetch(CONFIG, said.append) == [] and len(said) == 1 and len(server.asked) == len(files)


def test_a_folder_of_the_users_own_comes_first(tmp_path: Path, server: Server, files: tuple[WebFile, ...]) -> None:
    make_folder(tmp_path / "mine" / "mt_bench")
    own = CONFIG.model_copy(update={"data_dir": str(tmp_path / "mine")})
    assert at_hand.fetch(own, lambda _: None) == [] and not server.asked
    assert at_hand.fetch(CONFIG, lambda _: None) == []
    place = place_of("mt_bench", own.data_dir)
    assert place and place.origin == "folder"


def test_other_bytes_are_never_kept_and_another_address_is_asked(
    server: Server, files: tuple[WebFile, ...], tmp_path: Path
) -> None:
    changed = replace(files[0], addresses=(f"{server.url}/judge_prompts.jsonl",))
    assert "has another version of it" in fetch_files("mt_bench", (changed,))
    assert lacks("mt_bench", (changed,)) == ["question.jsonl"] and not kept_in("mt_bench").exists()
    for first in (f"{server.url}/judge_prompts.jsonl", f"{server.url}/none.jsonl", NOWHERE):
        either = replace(files[0], addresses=(first, f"{server.url}/question.jsonl"))
        assert fetch_files("mt_bench", (either,)) == ""
        kept = kept_in("mt_bench") / "question.jsonl"
        assert kept.read_bytes() == (tmp_path / "there/question.jsonl").read_bytes()
        kept.unlink()


def test_what_is_not_needed_may_be_missing(server: Server, files: tuple[WebFile, ...]) -> None:
    gone = replace(files[4], addresses=(f"{server.url}/none.jsonl",))
    assert fetch_files("mt_bench", (*files[:4], gone)) == "" and lacks("mt_bench", files) == []


def test_a_server_that_is_away_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import requests

    asked: list[str] = []

    def away(address: str, **_: Any) -> None:
        asked.append(address)
        raise requests.exceptions.ConnectTimeout

    monkeypatch.setattr(requests, "get", away)
    problem = fetch_files("mt_bench", MT_BENCH)
    assert len(asked) == 2 and "question.jsonl" in problem and "cannot be reached" in problem
    assert at_hand.fetch(CONFIG, lambda _: None)[0].startswith("mt_bench: ")


def test_offline_nobody_is_asked(monkeypatch: pytest.MonkeyPatch, server: Server, files: tuple[WebFile, ...]) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert fetch_files("mt_bench", files) == "HF_HUB_OFFLINE is set" and not server.asked


def test_a_mirror_of_the_hub_is_asked_in_its_place(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.url)
    web_files.fetch_files("mt_bench", MT_BENCH[4:5])
    assert server.asked[0].startswith("/spaces/lmsys/mt-bench/resolve/main/data/mt_bench/model_answer/")


@pytest.mark.parametrize("file", MT_BENCH, ids=lambda file: file.name)
def test_the_hashes_are_those_of_the_published_files(file: WebFile) -> None:
    name = file.name.replace("gpt-4-0125-preview", "gpt-4-0125-preview.PR3158")
    assert hashlib.sha256((shared("mt_bench") / name).read_bytes()).hexdigest() == file.sha256
    assert all(address.endswith(file.name) for address in file.addresses)
