"""Names of this machine are taken out of what is pushed, and a push stops where one is left."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pyarrow
import pyarrow.parquet as parquet
import pytest
from pptx import Presentation

from synthetic_instruction_tuner.config import Config, load_config
from synthetic_instruction_tuner.errors import RunError, UserError
from synthetic_instruction_tuner.escaping import html, markdown
from synthetic_instruction_tuner.publishing.comparison import Remote, RemoteFile, changes
from synthetic_instruction_tuner.publishing.names import Target, distinct, fitting, target
from synthetic_instruction_tuner.publishing.private_words import PrivateWords, places_of
from synthetic_instruction_tuner.publishing.repository import Repository, digest
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.publishing.staging import private_words

MODEL = "/home/anna_b/models/my & llama_"


@pytest.fixture
def words() -> PrivateWords:
    places = {MODEL: "my llama", "/home/anna_b": "~", "/home/anna_b/runs/nano": "nano"}
    return PrivateWords(places, frozenset({"annas-laptop"}), frozenset({"hf_secret"}))


def test_paths_leave_texts_however_they_are_escaped(words: PrivateWords, tmp_path: Path) -> None:
    forms = {"a.md": markdown(MODEL), "b.html": html(MODEL), "c.json": json.dumps({"path": MODEL}), "d.csv": MODEL}
    for name, text in forms.items():
        (tmp_path / name).write_text(f"{text}; /home/anna_b/runs/nano; /home/anna_b/x; /home/anna_bell")
        words.copy(tmp_path / name, tmp_path / "out" / name)
        found = (tmp_path / "out" / name).read_text()
        assert "my llama" in found and "; nano; ~/x; /home/anna_bell" in found, found
        assert "anna_b/" not in found and "anna_b;" not in found


def test_what_is_replaced_is_what_stops_a_push(words: PrivateWords, tmp_path: Path) -> None:
    """In a Korean report a particle follows a path; a longer name is another folder's."""
    (tmp_path / "a.md").write_text(
        "/home/anna_b/runs/nano에 있다; /home/anna_bell and /home/anna_b-2", encoding="utf-8"
    )
    words.copy(tmp_path / "a.md", tmp_path / "out/a.md")
    assert (tmp_path / "out/a.md").read_text(encoding="utf-8").startswith("nano에 있다; /home/anna_bell")
    words.require_absent({"a": tmp_path / "out/a.md"}, texts=True)


def test_paths_that_anybody_may_write_do_not_stop_a_push(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/train.jsonl").touch()
    monkeypatch.chdir(tmp_path)
    table = pyarrow.table({"text": ['open("data/train.jsonl") in /home/ubuntu/work']})
    parquet.write_table(table, tmp_path / "a.parquet")
    config = load_config("nano", overrides=["models.students=[{path: data/train.jsonl, name: x}]"])
    for home, stops in (("/home/ubuntu", False), ("/home/ubuntu/work", True)):
        monkeypatch.setenv("HOME", home)
        words = private_words(config, RunFolder(tmp_path / "run"), "anna", [])
        assert words.without("in data/train.jsonl") == "in train.jsonl"
        if stops:
            with pytest.raises(RunError, match="something private"):
                words.require_absent({"a": tmp_path / "a.parquet"}, texts=True)
        else:
            words.require_absent({"a": tmp_path / "a.parquet"}, texts=True)


def test_slides_lose_paths_and_still_open(words: PrivateWords, tmp_path: Path) -> None:
    slides = Presentation()
    slides.slides.add_slide(slides.slide_layouts[5]).shapes.title.text = f"Trained {MODEL}"
    slides.slides[0].notes_slide.notes_text_frame.text = "in /home/anna_b/runs/nano"
    slides.save(str(tmp_path / "a.pptx"))
    with pytest.raises(RunError, match="something private"):
        words.require_absent({"a": tmp_path / "a.pptx"}, texts=True)
    words.copy(tmp_path / "a.pptx", tmp_path / "out/a.pptx")
    words.require_absent({"a": tmp_path / "out/a.pptx"}, texts=True)
    again = Presentation(str(tmp_path / "out/a.pptx"))
    assert again.slides[0].shapes.title.text == "Trained my llama"
    assert again.slides[0].notes_slide.notes_text_frame.text == "in nano"


@pytest.mark.parametrize("word", [MODEL, "/home/anna_b/runs/nano", "hf_secret"])
def test_a_private_word_stops_a_push_wherever_it_is(words: PrivateWords, tmp_path: Path, word: str) -> None:
    head = json.dumps({"__metadata__": {"from": word}}).encode()
    parquet.write_table(pyarrow.table({"messages": [[{"content": f"see {word}"}]]}), tmp_path / "a.parquet")
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + b"\0" * 64)
    (tmp_path / "a.json").write_text(json.dumps({"base": word}))
    (tmp_path / "a.gguf").write_bytes(b"GGUF\0\0" + word.encode() + b"\0" * 64)
    for path in tmp_path.iterdir():
        with pytest.raises(RunError, match="something private") as caught:
            words.require_absent({path.name: path}, texts=True)
        assert path.name in caught.value.problem and "hf_secret" not in str(caught.value)


def test_names_count_only_where_no_model_has_written(words: PrivateWords, tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_text(json.dumps({"a": "on annas-laptop"}))
    words.require_absent({"x": tmp_path / "config.json"}, texts=True)
    words.require_absent({"x": tmp_path / "tokenizer.json"}, texts=False)
    with pytest.raises(RunError, match="something private"):
        words.require_absent({"x": tmp_path / "config.json"}, texts=False)
    (tmp_path / "config.json").write_text(json.dumps({"a": "on annas-laptop-2"}))
    words.require_absent({"x": tmp_path / "config.json"}, texts=False)


def test_paths_are_found_in_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models/mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    found = places_of(
        ["/srv/big/llama-7b", "models/mine", "meta-llama/Llama-3.2-1B", "nano:student-llama", "/data", "a/b"]
    )
    assert found == {"/srv/big/llama-7b": "llama-7b", "models/mine": "mine"}
    config = load_config("nano", overrides=["models.students=[/srv/big/llama-7b]"])
    words = private_words(config, RunFolder(tmp_path / "run"), "anna", [""])
    assert words.places["/srv/big/llama-7b"] == "llama-7b" and words.places[str(tmp_path / "run")] == "run"
    assert words.secrets == frozenset() and isinstance(config, Config)


@pytest.mark.parametrize(
    ("text", "run", "first"),
    [
        ("anna", "nano", "anna/nano"),
        ("anna/mine", "nano", "anna/mine"),
        ("acme", "my run (2)", "acme/my-run-2"),
        ("anna", "실행 7b..x--y", "anna/7b.x-y"),
    ],
)
def test_repositories_are_named_after_the_run_or_as_asked(text: str, run: str, first: str) -> None:
    found = target(text, run)
    assert found.repository() == first
    assert found.repository("학생", "Llama 3.2", "sft") == f"{first}-Llama-3.2-sft"


def test_long_names_stay_different() -> None:
    where = Target("anna", "x" * 60)
    names = {where.repository("m" * 120 + last, "sft").partition("/")[2] for last in "ab"}
    assert len(names) == 2 and all(len(name) == 96 for name in names)
    assert fitting("..a.git") == "a" and fitting("실행") == ""
    with pytest.raises(UserError, match="cannot be a repository's"):
        target("anna", "실행")


def test_no_two_students_have_one_repository() -> None:
    found = distinct(["학생-큰", "학생-작은", "Llama 3", "llama-3", "qwen"])
    assert found["qwen"] == "qwen"
    ids = [Target("anna", "x").repository(name, "sft").casefold() for name in found.values()]
    assert len(set(ids)) == 5 and ids[2].startswith("anna/x-llama-3-")


def test_only_what_differs_is_sent_and_only_what_was_pushed_is_deleted(tmp_path: Path) -> None:
    for name in ("same", "large", "new"):
        (tmp_path / name).write_text(name)
    ours = Repository("anna/x", "dataset", "data", "data", tmp_path)
    files = {name: digest(path) for name, path in ours.files().items()}
    first = changes(ours, files, None, "run")
    assert list(first.add) == ["large", "new", "same"] and not first.delete and not first.marked
    mark = json.loads(first.mark)
    mark["files"]["gone"] = mark["files"]["same"]
    there = {
        "same": RemoteFile(4, files["same"].blob),
        "large": RemoteFile(5, "0" * 40, files["large"].sha256),
        "gone": RemoteFile(4, files["same"].blob),
        "theirs": RemoteFile(1, "1" * 40),
        "sit_push.json": RemoteFile(9, "2" * 40),
    }
    found = changes(ours, files, Remote(True, "c", there, mark), "run")
    assert list(found.add) == ["new"] and list(found.delete) == ["gone"] and not found.none
    there |= {"new": RemoteFile(3, "3" * 40)}  # of the user's own, under a name that is pushed now
    with pytest.raises(UserError, match="was changed on the Hub") as caught:
        changes(ours, files, Remote(True, "c", there, mark), "run")
    assert "since: new." in caught.value.cause
    there |= {"new": RemoteFile(3, files["new"].blob)}
    again = changes(
        ours, files, Remote(True, "c", {n: f for n, f in there.items() if n != "gone"}, json.loads(first.mark)), "run"
    )
    assert again.none
