"""`sit score`, and `sit compare` of several runs and of files of answers."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from shared_data import shared
from synthetic_instruction_tuner.config import load_config
from synthetic_instruction_tuner.evaluation.benchmarks import nano_ifeval, nano_mmlu, nano_mt
from synthetic_instruction_tuner.evaluation.benchmarks.base import benchmark
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench import opening
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.judge import Judged
from synthetic_instruction_tuner.evaluation.results import BenchmarkResult, ItemResult

Sit = Callable[[str], tuple[int, str, str]]
Rows = Sequence[Mapping[str, Any]]
FEW = " --set evaluate.nano_ifeval.items=12 --set evaluate.nano_mmlu.items=12 --set evaluate.nano_mt.items=12"


def write(path: str, rows: Rows) -> str:
    Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def right(name: str) -> list[dict[str, Any]]:
    """Right answers to twelve items of a nano benchmark."""
    if name == "nano_ifeval":
        return [{"id": item.id, "response": item.reference} for item in nano_ifeval.items(12)]
    if name == "nano_mmlu":
        return [{"id": item.id, "response": nano_mmlu.LETTERS[item.right]} for item in nano_mmlu.items(12)]
    return [{"id": item.id, "responses": list(item.references)} for item in nano_mt.items(12)]


@pytest.mark.parametrize("name", ["nano_ifeval", "nano_mmlu", "nano_mt"])
def test_right_answers_get_full_marks_and_empty_ones_none(sit: Sit, name: str) -> None:
    rows = right(name)
    code, out, _ = sit(f"score {name} {write('a.jsonl', rows)} --json{FEW}")
    scores = {score["metric"]: score for score in json.loads(out)["scores"]}
    assert code == 0 and min(score["value"] for score in scores.values()) > 0.9
    assert all(0 <= s["ci_low"] <= s["value"] <= s["ci_high"] <= 1 and s["clusters"] == 12 for s in scores.values())
    blank = {"response": "", "responses": ["", ""]}
    empty = [{key: blank.get(key, value) for key, value in row.items()} for row in rows]
    code, out, _ = sit(f"score {name} {write('b.jsonl', empty)} --json{FEW}")
    found = json.loads(out)
    assert code == 0 and found["scores"][0]["value"] == 0 < found["scores"][0]["ci_high"]
    assert found["n_empty"] == (24 if name == "nano_mt" else 12)


def test_items_are_named_by_id_number_or_prompt_and_answers_in_the_usual_ways(sit: Sit) -> None:
    items = nano_ifeval.items(12)
    ways: list[Callable[[Any], dict[str, Any]]] = [
        lambda i: {"prompt": i.prompt, "response": i.reference},
        lambda i: {"key": i.id.removeprefix("nano_ifeval-"), "output": i.reference},
        lambda i: {"question_id": i.id, "answers": [i.reference]},
        lambda i: {"id": i.id, "choices": [{"turns": [i.reference]}]},
        lambda i: {
            "id": i.id,
            "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": i.reference}],
        },
    ]
    found = [sit(f"score nano_ifeval {write('a.jsonl', [way(i) for i in items])} --json{FEW}") for way in ways]
    assert {code for code, _, _ in found} == {0} and len({out for _, out, _ in found}) == 1
    shuffled = [ways[0](i) for i in reversed(items)]
    Path("a.json").write_text(json.dumps(shuffled))
    one, other = json.loads(found[0][1]), json.loads(sit(f"score nano_ifeval a.json --json{FEW}")[1])
    assert one["scores"] == other["scores"]


BROKEN: dict[str, tuple[Callable[[], str], str]] = {
    "a row without any name": (lambda: write("x.jsonl", [{"response": "a"}]), "neither id nor prompt"),
    "an unknown item": (lambda: write("x.jsonl", [{"id": "zzz", "response": "a"}]), "no item 'zzz'"),
    "another benchmark's": (lambda: write("x.jsonl", right("nano_mmlu")), "nano_ifeval has no item"),
    "an item twice": (lambda: write("x.jsonl", [*right("nano_ifeval"), right("nano_ifeval")[3]]), "Row 4 answers"),
    "some items only": (lambda: write("x.jsonl", right("nano_ifeval")[:5]), "lacks 7 of the 12 answers"),
    "no text": (lambda: write("x.jsonl", [{"id": nano_ifeval.items(1)[0].id, "response": 3}]), "no text"),
    "no answer": (lambda: write("x.jsonl", [{"id": nano_ifeval.items(1)[0].id}]), "no text"),
    "two turns": (lambda: write("x.jsonl", [{"id": nano_ifeval.items(1)[0].id, "turns": ["a", "b"]}]), "has 2 answers"),
    "an empty file": (lambda: write("x.jsonl", []), "no answers"),
    "no JSON": (lambda: str(Path("x.jsonl").write_text("This is a letter.\n") and "x.jsonl"), "x.jsonl"),
    "half a row": (lambda: str(Path("x.jsonl").write_text('{"id": "a", "resp') and "x.jsonl"), "cut off"),
    "no object": (lambda: str(Path("x.jsonl").write_text("[1, 2]\n") and "x.jsonl"), "x.jsonl"),
    "no file": (lambda: "nowhere.jsonl", "nowhere.jsonl"),
    "a folder": (lambda: str(Path("x.jsonl").mkdir() or "x.jsonl"), "x.jsonl"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_is_no_file_of_answers_is_the_users_mistake(sit: Sit, name: str) -> None:
    make, said = BROKEN[name]
    code, out, error = sit(f"score nano_ifeval {make()}{FEW}")
    assert code == 2 and not out and said in " ".join(error.split()), error


def test_a_file_that_is_not_there_is_named_before_anything_else(sit: Sit) -> None:
    code, out, error = sit("score ifeval none.jsonl --data-dir .")
    assert (code, out) == (2, "") and error.startswith("There is no none.jsonl.")


def test_some_of_the_answers_are_scored_when_asked(sit: Sit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = sit(f"score nano_ifeval {write('a.jsonl', right('nano_ifeval')[:5])} --partial{FEW}")
    assert code == 0 and "7 items have no answer" in out and max(map(len, out.splitlines())) <= 80


def test_options_of_another_benchmark_and_unknown_ones_are_refused(sit: Sit) -> None:
    path = write("a.jsonl", right("nano_mmlu"))
    assert sit(f"score nano_mmlu {path} --mode google")[0] == 2
    assert sit(f"score nano_poetry {path}")[0] == 2
    assert sit(f"score mmlu {path} --data-dir nowhere")[0] == 2


def test_published_prompts_of_ifeval_are_matched_by_their_text(sit: Sit) -> None:
    folder = shared("ifeval").parent
    prompts = [json.loads(line)["prompt"] for line in (folder / "ifeval/input_data.jsonl").open()][:25]
    path = write("a.jsonl", [{"prompt": prompt, "response": "A small, calm answer."} for prompt in prompts])
    code, out, error = sit(f"score ifeval {path} --data-dir {folder} --partial --json --mode google")
    found = json.loads(out)
    assert code == 0, error
    assert found["items"] == 25 and found["missing"] == 516
    assert [score["metric"] for score in found["scores"]] == [
        "prompt_strict",
        "prompt_loose",
        "rule_strict",
        "rule_loose",
    ]
    assert found["tables"]["rules"]
    assert sit(f"score ifeval {path} --data-dir {folder}")[0] == 2


def made_run(folder: str, seed: int, shares: Mapping[str, float], items: int = 60, **settings: Any) -> str:
    """Writes a run's configuration and results; the base model is the same in all runs."""
    root = Path(folder)
    (root / "evaluation/results").mkdir(parents=True)
    overrides = [f"seed={seed}", *(f"{name}={value}" for name, value in settings.items())]
    (root / "config.json").write_text(load_config(overrides=overrides).as_json())
    for number, (variant, share) in enumerate(shares.items()):
        rng = np.random.default_rng(number if variant == "base" else 100 * seed + number)
        results = []
        for name in ("nano_ifeval", "nano_mmlu"):
            metric = benchmark(name).headline
            hits = rng.random(items) < share
            own = (ItemResult(f"{name}-{i:04d}", ("p",), ("o",), {metric: (float(hit),)}) for i, hit in enumerate(hits))
            results.append(BenchmarkResult(name, metric, tuple(own)).to_json())
        data = {"model": "student-llama", "variant": variant, "benchmarks": results}
        (root / f"evaluation/results/student-llama-{variant}.json").write_text(json.dumps(data))
    return folder


def test_runs_that_differ_in_their_seed_alone_show_the_variance_between_seeds(
    sit: Sit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    runs = [made_run(f"run{seed}", seed, {"base": 0.2, "sft": 0.6 + 0.1 * seed}) for seed in (1, 2, 3)]
    code, out, error = sit("compare " + " ".join(runs))
    assert code == 0, error
    assert "nano_mmlu: acc, 3 seeds" in out and "SD seeds" in out and max(map(len, out.splitlines())) <= 80
    rows = json.loads(sit("compare " + " ".join(runs) + " --json")[1])
    (sft,) = (row for row in rows if (row["variant"], row["metric"]) == ("sft", "acc"))
    assert sft["seed_1"] < sft["seed_3"] and sft["seed_deviation"] > 0.05 and sft["p_to_base"] < 0.05
    assert sft["value"] == pytest.approx((sft["seed_1"] + sft["seed_2"] + sft["seed_3"]) / 3)
    table = list(csv.DictReader(io.StringIO(sit("compare " + " ".join(runs) + " --format csv")[1])))
    assert len(table) == len(rows) and float(table[0]["value"]) == pytest.approx(rows[0]["value"], rel=1e-5)
    assert sit("compare " + " ".join(runs) + " --format markdown")[1].startswith("## nano_ifeval")


def test_runs_with_other_settings_are_paired(sit: Sit) -> None:
    first = made_run("run1", 1, {"base": 0.2, "sft": 0.6}, 60)
    second = made_run("run2", 2, {"base": 0.2, "sft": 0.7}, 50, **{"filter.min_words": 11})
    rows = json.loads(sit(f"compare {first} {second} --json")[1])
    assert {row["comparison"] for row in rows} == {"paired"} and len(rows) == 4
    assert all(row["n"] == 50 and row["only_first"] == 10 and row["only_second"] == 0 for row in rows)
    code, out, _ = sit(f"compare {first} {second} --margin 0.3")
    assert code == 0 and "Within ±0.3" in out and "10 items are only in A" in out


def test_two_files_of_answers_are_paired_on_common_items(sit: Sit) -> None:
    rows = right("nano_mmlu")
    path = write("right.jsonl", rows)
    other = write("other.jsonl", [row | {"response": "I do not know."} for row in rows[:9]])
    few = "--benchmark nano_mmlu"
    code, out, error = sit(f"compare {path} {other} --json {few}")
    (row,) = json.loads(out)
    assert code == 0, error
    assert (row["n"], row["only_first"], row["difference"]) == (9, 3, -1.0) and row["p"] == pytest.approx(2 / 2**9)
    assert json.loads(sit(f"compare {path} {other} --json")[1]) == [row]  # the items say whose answers they are


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("compare a.jsonl", "One thing cannot be compared"),
        ("compare run1", "One thing cannot be compared"),
        ("compare a.jsonl run1", "A run and a file"),
        ("compare a.jsonl nowhere.jsonl", "nowhere.jsonl"),
        ("compare run1 empty", "empty"),
        ("compare a.jsonl b.jsonl", "no benchmark"),
        ("compare a.jsonl a.jsonl -d run1", "--run-dir"),
        ("compare --benchmark nano_mmlu -d run1", "files of answers"),
        ("compare run1 run1 --benchmark nano_mmlu", "--benchmark"),
        ("compare run1 run1 --margin 2", "--margin"),
        ("compare run1 run1", "named twice"),
        ("compare a.jsonl ./a.jsonl", "named twice"),
    ],
)
def test_what_cannot_be_compared_is_the_users_mistake(sit: Sit, line: str, said: str) -> None:
    made_run("run1", 1, {"base": 0.2})
    Path("empty").mkdir()
    write("a.jsonl", [{"id": "x", "response": "y"}])
    write("b.jsonl", [{"id": "x", "response": "y"}])
    code, out, error = sit(line)
    assert code == 2 and not out and said in " ".join(error.split()), (out, error)


def test_answers_to_mt_bench_are_rated_by_the_judge_of_the_settings(
    sit: Sit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = shared("mt_bench").parent
    answers = (folder / "mt_bench/model_answer/gpt-4.jsonl").read_text().splitlines()[:2]
    path = tmp_path / "gpt-4.jsonl"
    path.write_text("\n".join(answers) + "\n")
    line = f"score mt_bench {path} --partial --data-dir {folder}"
    code, _, error = sit(line)
    assert code == 2 and "MT-Bench needs a judge" in error

    @contextmanager
    def opened(*_: Any) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(name="fixed", ask=lambda prompts, *_: [Judged(7.0, "[[7]]", 1) for _ in prompts])

    monkeypatch.setattr(opening, "open_judge", opened)
    code, out, error = sit(f"{line} --json --set evaluate.mt_bench.judge.model.path=nano:generator")
    assert code == 0, error
    found = json.loads(out)
    assert (found["items"], found["missing"]) == (2, 78)
    assert found["scores"][0]["metric"] == "rating" and found["scores"][0]["value"] == 7.0
