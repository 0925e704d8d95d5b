"""Where benchmark items come from, and that missing items are reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shared_data import shared
from synthetic_instruction_tuner.config import ContaminationConfig, FilterConfig, load_config
from synthetic_instruction_tuner.data_files.parquet import write_parquet
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.benchmarks import sources as benchmark_sources
from synthetic_instruction_tuner.evaluation.benchmarks.items import (
    benchmark_files,
    distinct,
    items_of_file,
    items_of_folder,
    texts_of_row,
)
from synthetic_instruction_tuner.evaluation.benchmarks.sources import (
    content_key,
    fetch,
    file_names,
    load_benchmarks,
    source_faults,
)
from synthetic_instruction_tuner.filtering import QualityFilter
from synthetic_instruction_tuner.filtering.contamination.rule import Contamination
from synthetic_instruction_tuner.records import Record
from synthetic_instruction_tuner.run.stages.filter_inputs import benchmark_sets

ALL = ("ifeval", "mmlu", "mt_bench", "agentbench")


@pytest.fixture(autouse=True)
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hugging Face cache."""
    import huggingface_hub.constants

    cache = tmp_path / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    return cache


@pytest.mark.parametrize(
    ("row", "texts"),
    [
        ({"key": 1, "prompt": "P", "instruction_id_list": []}, [("P", ())]),
        ({"question": "Q", "choices": ["a", "b"], "answer": 1}, [("Q", ("a", "b"))]),
        ({"question": "Q", "choice0": "a", "choice1": "b", "answer": "1"}, [("Q", ("a", "b"))]),
        ({"question": "Q", "A": "a", "B": "b"}, [("Q", ("a", "b"))]),
        ({"question": "Q", "choices": {"text": ["a"], "label": ["A"]}}, [("Q", ("a",))]),
        ({"question_id": 81, "turns": ["T1", "T2"]}, [("T1", ()), ("T2", ())]),
        ({"prompt": ["T1", "T2"], "prompt_id": 5}, [("T1", ()), ("T2", ())]),
        ({"description": "D", "label": ["x"]}, [("D", ())]),
        ({"prompt": [{"role": "user", "content": "U"}]}, [("U", ())]),
        ({"instruction": "I", "input": "X", "output": "O"}, [("I\n\nX", ())]),
        ({"messages": [{"role": "user", "content": "U"}, {"role": "assistant", "content": "A"}]}, [("U", ())]),
        ({"name": "single", "prompt_template": "T", "description": "D"}, []),
        ({"question_id": 81, "choices": [{"turns": ["answer"]}]}, []),
        ({"turns": []}, []),
        ({}, []),
    ],
)
def test_rows_of_every_benchmark(row: dict[str, Any], texts: list[Any]) -> None:
    assert list(texts_of_row(row)) == texts


@pytest.mark.parametrize(
    ("row", "texts"),
    [
        (
            {"question": {"stem": "Q?", "choices": [{"text": "a", "label": "A"}, {"text": "b"}]}, "answerKey": "A"},
            [("Q?", ("a", "b"))],
        ),
        ({"ctx": "A man is", "endings": ["a", "b"], "label": 0}, [("A man is", ())]),
        ({"doc": {"question": "Q?", "choices": ["x", "y"]}, "target": "x"}, [("Q?", ("x", "y"))]),
        ({"sentence": "The _ was", "option1": "a"}, [("The _ was", ())]),
        ({"instruction": "I", "output": "o", "sentence": "s"}, [("I", ())]),
        ({"doc": {"doc": {"question": "q"}}}, []),
        ({"question": {}}, []),
        ({"question": {"stem": 5}}, []),
    ],
)
def test_rows_of_further_exams(row: dict[str, Any], texts: list[Any]) -> None:
    assert list(texts_of_row(row)) == texts


def test_files_of_every_kind(tmp_path: Path) -> None:
    folder = tmp_path / "mmlu"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.csv").write_text('question,choice0,choice1,answer\n"One, two\nthree",x,y,0\n')
    (folder / "b.csv").write_text("Which?,w,x,y,z,B\nWhat?,w,x,y,z,A\n")
    (folder / "c.jsonl").write_text(
        '{"question": "J1", "choices": ["p"]}\nbroken\n[1]\n{"question": "J1", "choices": ["p"]}\n'
    )
    (folder / "d.json").write_text('[{"question": "K"}]')
    (folder / "e.txt").write_text("Line one\n\nLine two\n")
    write_parquet(folder / "sub" / "f.parquet", [{"question": "P", "choices": ["q", "r"]}])
    (folder / "g.json").write_text("[{")
    (folder / "auxiliary_train.jsonl").write_text('{"question": "training"}\n')
    items = distinct(items_of_folder("mmlu", folder))
    assert [(i.id, i.text) for i in items] == [
        ("mmlu/a/1", "One, two\nthree"),
        ("mmlu/b/1", "Which?"),
        ("mmlu/b/2", "What?"),
        ("mmlu/c/1", "J1"),
        ("mmlu/d/1", "K"),
        ("mmlu/e/1", "Line one"),
        ("mmlu/e/3", "Line two"),
        ("mmlu/sub/f/1", "P"),
    ]
    assert items[1].options == ("w", "x", "y", "z") and items[-1].options == ("q", "r")
    with pytest.raises(UserError, match=r"g\.json"):
        list(items_of_file("mine", folder / "g.json"))


def test_what_is_not_at_hand_is_said(tmp_path: Path) -> None:
    (tmp_path / "data" / "ifeval").mkdir(parents=True)
    (tmp_path / "data" / "ifeval" / "x.jsonl").write_text('{"key": 1, "prompt": "P"}\n')
    sets = load_benchmarks(ContaminationConfig(benchmarks=ALL, folder=str(tmp_path / "data")))
    assert [(s.name, len(s.items)) for s in sets] == [("ifeval", 1), ("mmlu", 0), ("mt_bench", 0), ("agentbench", 0)]
    assert sets[0].problem == "only 1 of about 541 items are available"
    assert "cais/mmlu is not in the Hugging Face cache" in sets[1].problem
    assert "THUDM/AgentBench" in sets[3].problem
    assert str(tmp_path) not in "".join(s.problem + s.origin for s in sets)


def test_the_cache_of_the_hub_is_used(no_cache: Path) -> None:
    place = no_cache / "datasets--google--IFEval"
    for commit, prompt in (("old", "O"), ("new", "N")):
        (place / "snapshots" / commit).mkdir(parents=True)
        (place / "snapshots" / commit / "ifeval_input_data.jsonl").write_text(json.dumps({"key": 7, "prompt": prompt}))
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("new")
    (some,) = load_benchmarks(ContaminationConfig(benchmarks=("ifeval",)))
    assert [i.text for i in some.items] == ["N"] and some.origin == "Hub google/IFEval"


def test_fetching_says_what_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked: list[str] = []

    def refuse(repository: str, **_: Any) -> None:
        asked.append(repository)
        raise ConnectionError("no network")

    monkeypatch.setattr(huggingface_hub.HfApi, "repo_info", lambda self, *_, **__: None)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    said: list[str] = []
    fetch(ContaminationConfig(benchmarks=("nano", "ifeval", "agentbench")), said.append)
    assert asked == ["google/IFEval"] and len(said) == 2
    assert "ifeval will not be checked" in said[0] and "ConnectionError" in said[0]
    assert "agentbench will not be checked" in said[1]
    said.clear()
    fetch(ContaminationConfig(), said.append)
    assert said == [] and len(asked) == 1


def test_the_users_own_files(tmp_path: Path) -> None:
    file = tmp_path / "exam.txt"
    with pytest.raises(UserError, match=r"exam\.txt"):
        load_benchmarks(ContaminationConfig(files=(str(file),)))
    with pytest.raises(UserError, match="folder"):
        load_benchmarks(ContaminationConfig(benchmarks=("ifeval",), folder=str(tmp_path / "none")))
    file.write_text("What is the boiling point of tin at sea level in this exam?\n")
    config = ContaminationConfig(files=(str(file),))
    (some,) = load_benchmarks(config)
    assert (some.name, some.items[0].id, some.problem) == ("file exam.txt", "exam.txt/1", "")
    assert "contamination" in QualityFilter(FilterConfig(contamination=config, language="")).rule_names
    before = content_key(config)
    file.write_text("Something else?\n")
    assert content_key(config) != before and content_key(config).keys() == before.keys()


def test_files_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    files = [tmp_path / place / "exam.jsonl" for place in ("a/old", "b/old", "c")]
    for number, file in enumerate(files):
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({"question": f"Which {number} is meant here?"}))
    config = ContaminationConfig(files=tuple(map(str, files)))
    sets = load_benchmarks(config)
    assert [s.name for s in sets] == ["file a/old/exam.jsonl", "file b/old/exam.jsonl", "file c/exam.jsonl"]
    rule = Contamination(sets)
    assert {hit[0] for hit in rule.signal(Record("r", "Which 0 is meant here? Which 1 is meant here?"))} == {
        "a/old/exam.jsonl/1",
        "b/old/exam.jsonl/1",
    }
    for file in files:
        key, basis = content_key(config), Contamination(load_benchmarks(config)).basis()
        file.write_text('{"question": "Something else for once?"}')
        assert content_key(config) != key and Contamination(load_benchmarks(config)).basis() != basis


def test_a_name_is_a_path_as_long_as_needed() -> None:
    names = {"x/a.txt": "x/a.txt", "y/a.txt": "y/a.txt", "y/b.txt": "b.txt", "z/y/b.jsonl": "b.jsonl"}
    assert file_names([Path(name) for name in names]) == list(names.values())
    assert file_names([Path("a.txt")] * 2) == ["a.txt"] * 2
    assert file_names([Path("/y/a.txt"), Path("/x/y/a.txt")]) == ["/y/a.txt", "x/y/a.txt"]
    assert file_names([]) == []


def test_rows_of_the_users_file_without_an_item_are_said(tmp_path: Path) -> None:
    file = tmp_path / "exam.jsonl"
    file.write_text('{"question": "What is tin?"}\n\n{broken\n[1]\n{"answer": "x"}\n')
    (some,) = load_benchmarks(ContaminationConfig(files=(str(file),)))
    assert (
        len(some.items) == 1 and some.problem == "3 of its rows do not contain the text of an item (the first is row 3)"
    )


@pytest.mark.parametrize("content", ["", "\n\n", '{"answer": "x"}\n{"answer": "y"}\n', "[1, 2]", "{broken"])
def test_a_users_file_without_any_item_is_a_mistake_before_the_run(tmp_path: Path, content: str) -> None:
    file = tmp_path / "exam.jsonl"
    file.write_text(content)
    (fault,) = source_faults(ContaminationConfig(files=(str(file),)))
    assert "exam.jsonl" in fault.problem + fault.cause
    file.write_text('{"answer": "x"}\n{"question": "What is tin?"}\n')
    assert not source_faults(ContaminationConfig(files=(str(file),)))


def test_training_parts_are_known_by_the_word(tmp_path: Path) -> None:
    test_parts = ["constraint_items.jsonl", "strained.csv", "test.jsonl"]
    for name in (*test_parts, "training_set.jsonl", "auxiliary_train.csv", "train-00000.parquet", "x/Train/a.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [file.name for file in benchmark_files(tmp_path)] == test_parts


def test_profiles_check_the_benchmarks_they_are_measured_with() -> None:
    for profile in ("t4", "a100", "h200"):
        chosen = load_config(profile).filter.contamination
        assert chosen.benchmarks == ALL and chosen.common_match == "overlap"
    nano = load_config("nano")
    assert nano.filter.contamination.common_match == "exact"
    sets = benchmark_sets(nano)
    items = nano.evaluate
    assert [(s.name, len(s.items), s.problem) for s in sets] == [
        ("nano_ifeval", items.nano_ifeval.items, ""),
        ("nano_mmlu", items.nano_mmlu.items, ""),
        ("nano_mt", items.nano_mt.items, ""),
    ]
    assert FilterConfig().contamination.benchmarks == ()


def test_real_benchmarks() -> None:
    folder = str(shared("ifeval").parent)
    sets = {s.name: s for s in load_benchmarks(ContaminationConfig(benchmarks=ALL, folder=folder))}
    assert {name: len(s.items) for name, s in sets.items()} == {
        "ifeval": 541,
        "mmlu": 2826,
        "mt_bench": 160,
        "agentbench": 220,
    }
    assert sets["ifeval"].problem == sets["mt_bench"].problem == "" and "2,826" in sets["mmlu"].problem
    assert benchmark_sources.PUBLISHED.keys() == set(ALL)


BREAKS = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"


@pytest.mark.parametrize("mark", BREAKS)
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt", "a.jsonl", "a.json", "semicolons.csv", "one.csv"])
def test_unicode_line_breaks_are_part_of_an_item(tmp_path: Path, mark: str, name: str) -> None:
    text, file = f"What is{mark}the sea, in short?", tmp_path / name
    row = json.dumps({"question": text, "answer": "x"}, ensure_ascii=False)
    file.write_text(
        {
            "a.csv": f'question,answer\n"{text}",x\n',
            "a.tsv": f"question\tanswer\n{text}\tx\n",
            "a.txt": text + "\n",
            "a.jsonl": row + "\n",
            "a.json": f"[{row}]",
            "semicolons.csv": f"Question;Answer\n{text};x\n",
            "one.csv": f"question\n{text}\n",
        }[name]
        * (2 if name in ("a.txt", "a.jsonl") else 1),
        encoding="utf-8",
    )
    assert {item.text for item in items_of_file("a", file)} == {text}


def test_an_exam_in_other_encodings_and_as_a_list(tmp_path: Path) -> None:
    file, plain = tmp_path / "exam.csv", tmp_path / "exam.json"
    file.write_bytes("question,answer\nWas heißt Übung?,x\n".encode("utf-16"))
    plain.write_text('["What is a cat?", "What is a dog?"]')
    assert [item.text for item in items_of_file("e", file)] == ["Was heißt Übung?"]
    assert [item.text for item in items_of_file("e", plain)] == ["What is a cat?", "What is a dog?"]


def test_the_embedded_benchmarks_are_looked_for_also_where_they_are_not_evaluated() -> None:
    every, one = load_config("nano"), load_config("nano", overrides=["evaluate.benchmarks=[nano_mt]"])
    assert [s.digest for s in benchmark_sets(every)] == [s.digest for s in benchmark_sets(one)]


def test_the_folder_of_the_evaluation_serves_the_filter_too(tmp_path: Path) -> None:
    from synthetic_instruction_tuner.run.stages.filter_inputs import part

    for place, prompt in (("one", "Write a poem about the sea."), ("two", "Write a poem about the moon.")):
        (tmp_path / place / "ifeval").mkdir(parents=True)
        (tmp_path / place / "ifeval" / "input_data.jsonl").write_text(json.dumps({"key": 1, "prompt": prompt}) + "\n")
    names = "filter.contamination.benchmarks=[ifeval]"

    def items(*settings: str) -> list[str]:
        (found,) = benchmark_sets(load_config("nano", None, [names, *settings], None))
        return [text for texts in found.items for text in texts]

    given = f"evaluate.data_dir={tmp_path / 'one'}"
    assert items() == items("evaluate.data_dir=nowhere") == []
    assert any("sea" in text for text in items(given))
    assert any("moon" in text for text in items(given, f"filter.contamination.folder={tmp_path / 'two'}"))
    keys = [part(load_config("nano", None, [names, *more], None)) for more in ([], [given], ["evaluate.data_dir=no"])]
    assert keys[0] == keys[2] != keys[1]
