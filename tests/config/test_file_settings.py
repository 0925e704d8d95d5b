"""Settings that name files: beside the YAML file that names them, and where they were when a run goes on elsewhere."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from synthetic_instruction_tuner.config import Config, load_config, parse_config
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.run.stages.filter_inputs import part


@pytest.fixture(autouse=True)
def _two_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory, and a folder ``other`` with files of the same names."""
    monkeypatch.chdir(tmp_path)
    Path("other/model").mkdir(parents=True)
    for folder in (Path(), Path("other")):
        (folder / "topics.txt").write_text(f"a topic of {folder.absolute().name}\n")
        (folder / "exam.jsonl").write_text(f'{{"prompt": "What is {folder.absolute().name}?"}}\n')


def of_file(text: str) -> Config:
    Path("other/my.yaml").write_text(text)
    return load_config(file=Path("other/my.yaml"))


def test_topics_are_beside_the_file_that_names_them(tmp_path: Path) -> None:
    config = of_file("generate: {topics: topics.txt, domains: {law: {system: x, topics: topics.txt}}}")
    assert config.generate.topics == config.generate.domains["law"].topics == ("a topic of other",)
    config = load_config(overrides=["generate.topics=topics.txt"])
    assert config.generate.topics == (f"a topic of {tmp_path.name}",)


def test_contamination_files_are_found_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside = of_file("filter: {contamination: {files: [exam.jsonl], folder: ., benchmarks: [mmlu]}}")
    assert beside.filter.contamination.files == (str(tmp_path / "other/exam.jsonl"),)
    assert beside.filter.contamination.folder == str(tmp_path / "other")
    here = load_config(overrides=["filter.contamination.files=[exam.jsonl]"])
    assert here.filter.contamination.files == (str(tmp_path / "exam.jsonl"),)
    before = part(here)
    monkeypatch.chdir("/")
    assert part(parse_config(json.loads(here.as_json()))) == before


def test_the_place_of_contamination_files_is_in_no_key(tmp_path: Path) -> None:
    named = [["exam.jsonl"], ["./exam.jsonl"], [str(tmp_path / "exam.jsonl")]]
    configs = [load_config(overrides=[f"filter.contamination.files={json.dumps(files)}"]) for files in named]
    assert part(configs[0]) == part(configs[1]) == part(configs[2])


def test_models_beside_the_file(tmp_path: Path) -> None:
    text = "models: {generator: model, reward: {path: ./model}, students: [Qwen/Qwen2.5-3B, {path: model, name: own}]}"
    models = of_file(text).models
    place = str(tmp_path / "other/model")
    assert [models.generator.path, models.reward.path] == [place, place]
    assert [m.path for m in models.students] == ["Qwen/Qwen2.5-3B", place]


def test_a_path_in_the_working_directory_stays_as_it_is_written(tmp_path: Path) -> None:
    """It is part of the stages' keys."""
    (tmp_path / "model").mkdir()
    Path("my.yaml").write_text("models: {generator: ./model}")
    for file in (Path("my.yaml"), tmp_path / "my.yaml"):
        assert load_config(file=file).models.generator.path == "./model"


@pytest.mark.parametrize(
    "name", ["none.txt", ".", "empty.txt", "pipe", "/dev/zero", "utf16.txt", "zeros", "n" * 300, "~x/y"]
)
def test_files_of_topics_that_cannot_be_used(name: str) -> None:
    Path("other/empty.txt").write_text("\n \n")
    Path("other/utf16.txt").write_text("a", encoding="utf-16")
    Path("other/zeros").write_bytes(b"a\0b")
    os.mkfifo("other/pipe")
    with pytest.raises(UserError) as caught:
        of_file(f"seed: 3\ngenerate:\n  topics: {name}\n")
    assert "generate.topics" in caught.value.problem and "line 3" in caught.value.problem


def test_odd_files_of_settings() -> None:
    os.mkfifo("pipe")
    Path("utf16.yaml").write_text("seed: 3", encoding="utf-16")
    for name in ("pipe", "other", "/dev/zero", "/dev/null/x", "none.yaml", "utf16.yaml", "topics.txt/x"):
        with pytest.raises(UserError) as caught:
            load_config(file=Path(name))
        assert "cannot be read" in caught.value.problem
