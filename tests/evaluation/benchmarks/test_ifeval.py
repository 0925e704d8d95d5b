from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.shared_data import shared

from synthetic_instruction_tuner.config.sections.evaluate import EvaluateConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.benchmarks.base import benchmark
from synthetic_instruction_tuner.evaluation.benchmarks.ifeval import punkt
from synthetic_instruction_tuner.evaluation.benchmarks.ifeval.items import (
    FAULTY,
    RULES,
    IfevalItem,
    items_digest,
    read_items,
)
from synthetic_instruction_tuner.evaluation.benchmarks.ifeval.scoring import (
    METRICS,
    lm_eval_scorer,
    loose_variants,
    score_answers,
    verdicts,
)
from synthetic_instruction_tuner.evaluation.benchmarks.published import PUBLISHED
from synthetic_instruction_tuner.evaluation.results import BenchmarkResult

COMMA: tuple[str, dict[str, Any]] = ("punctuation:no_comma", {})


def row(key: Any = 1, prompt: Any = "Write.", rules: Any = (COMMA[0],), kwargs: Any = ({},)) -> dict[str, Any]:
    return {"key": key, "prompt": prompt, "instruction_id_list": list(rules), "kwargs": list(kwargs)}


def write(folder: Path, *rows: Any) -> Path:
    (folder / "input_data.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return folder


def symbol(letter: str = "#", relation: str = "at least", count: int = 2) -> IfevalItem:
    arguments = {"letter": letter, "let_relation": relation, "let_frequency": count}
    return IfevalItem(1122, "Write.", (("keywords:letter_frequency", arguments),))


@pytest.mark.parametrize(
    ("rows", "parts"),
    [
        ([row(), row()], ("key 1", "twice")),
        ([row(), row(key="1")], ("key 1", "twice")),
        ([row(), {"key": 2, "prompt": "a"}], ("Row 2", "instruction_id_list, kwargs")),
        ([row(key=None)], ("Row 1", "key")),
        ([row(key=True)], ("Row 1", "key")),
        ([row(prompt=" ")], ("Row 1", "prompt")),
        ([row(rules=("punctuation:no_comma", "startend:quotation"))], ("Row 1", "same length")),
        ([row(rules=("punctuation:none",))], ("punctuation:none",)),
        ([row(kwargs=({"letter": "a"},))], ("punctuation:no_comma", "letter")),
        ([row(rules=("detectable_format:number_bullet_lists",))], ("num_bullets",)),
        ([["a"]], ("Row 1",)),
        ([], ("no prompts",)),
    ],
)
def test_a_damaged_file_is_named_with_its_row(tmp_path: Path, rows: list[Any], parts: tuple[str, ...]) -> None:
    with pytest.raises(UserError) as found:
        read_items(write(tmp_path, *rows))
    text = f"{found.value.problem} {found.value.cause}"
    assert all(part in text for part in parts) and found.value.fix


@pytest.mark.parametrize("cut", [5, 40, 90])
def test_a_truncated_file_is_an_error(tmp_path: Path, cut: int) -> None:
    file = write(tmp_path, row(1), row(2)) / "input_data.jsonl"
    file.write_text(file.read_text()[: len(json.dumps(row())) + 1 + cut])
    with pytest.raises(UserError, match="Row 2") as found:
        read_items(tmp_path)
    assert "cut off" in found.value.cause


def test_somebodys_answers_beside_the_prompts_are_no_prompts(tmp_path: Path) -> None:
    write(tmp_path, row())
    (tmp_path / "input_response_data_model.jsonl").write_text(json.dumps({"prompt": "Write.", "response": "No"}))
    assert [item.key for item in read_items(tmp_path)] == [1]


def test_parquet_and_jsonl_have_the_same_hash(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [row(1), row(2, rules=["detectable_format:number_bullet_lists"], kwargs=[{"num_bullets": 3}])]
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    write(tmp_path / "one", *rows[::-1])
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "other/train-00000-of-00001.parquet")
    assert items_digest(read_items(tmp_path / "one")) == items_digest(read_items(tmp_path / "other"))


@given(st.text(alphabet="#!aB \n*,", max_size=60), st.sampled_from("#!?1"), st.booleans(), st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_a_symbol_is_counted_as_it_is(answer: str, letter: str, less: bool, count: int) -> None:
    item = symbol(letter, "less than" if less else "at least", count)
    strict, loose = verdicts(item, answer, "deterministic")
    assert strict == (bool(answer.strip()) and (answer.count(letter) < count) == less,)
    assert loose[0] >= strict[0]


@pytest.mark.parametrize("mode", ["deterministic", "google"])
def test_the_same_answers_get_the_same_scores(mode: Any) -> None:
    items = [
        symbol("#", "at least", 9),
        symbol("!", "less than", 3),
        IfevalItem(3, "Write.", (("change_case:english_lowercase", {}),)),
    ]
    answer = "the big dog and the abc of it all is here !! ok"
    found = []
    for seed in range(4):
        random.seed(seed)
        before = random.getstate()
        found.append(score_answers(items, [answer] * 3, mode))
        assert random.getstate() == before, "nobody else's draws change"
    assert all(result == found[0] for result in found)


@given(
    st.text(max_size=80), st.sampled_from([r for r, a in RULES.items() if not a and r != "combination:repeat_prompt"])
)
@settings(max_examples=25, deadline=None)
def test_other_rules_are_the_harness_own(answer: str, rule: str) -> None:
    import langdetect

    document = {"key": 5, "prompt": "p", "instruction_id_list": [rule], "kwargs": [{}]}
    ours = verdicts(IfevalItem(5, "p", ((rule, {}),)), answer, "deterministic")
    assert langdetect.DetectorFactory.seed == 0
    theirs = lm_eval_scorer().process_results(document, [answer])
    assert ours == (tuple(theirs["inst_level_strict_acc"]), tuple(theirs["inst_level_loose_acc"]))


def test_the_variants_are_the_published_ones() -> None:
    assert loose_variants("a*\nb\nc") == ["a*\nb\nc", "b\nc", "a*\nb", "b", "a\nb\nc", "b\nc", "a\nb", "b"]


@pytest.mark.parametrize(
    ("answer", "follows", "empty"),
    [
        ("<think>a, b</think>No comma", 1.0, 0),
        ("a, b</think>\n\nNo comma", 1.0, 0),
        ("<think>a b c", 0.0, 1),
        ("<THINKING>a, b</THINKING> fine", 1.0, 0),
        ("It is a, <think>b</think>", 0.0, 0),
        ("", 0.0, 1),
        (" \n", 0.0, 1),
    ],
)
def test_thinking_is_not_scored(answer: str, follows: float, empty: int) -> None:
    found = score_answers([IfevalItem(1, "Write.", (COMMA,))], [answer])
    assert found.items[0].scores["prompt_strict"] == (follows,) and found.n_empty == empty


def test_rules_of_a_prompt_are_one_cluster_and_are_shown_by_kind() -> None:
    quoted: tuple[str, dict[str, Any]] = ("startend:quotation", {})
    items = [IfevalItem(1, "a", (COMMA, quoted)), IfevalItem(30, "b", (COMMA,)), IfevalItem(7, "c", (quoted, quoted))]
    result = score_answers(items, ["x", "x", '"x"'])
    assert result.estimate("rule_strict").n == 5 and result.estimate("rule_strict").clusters == 3
    rules, audited = benchmark("ifeval").breakdowns(result)  # type: ignore[misc]
    by_kind = {label: (found.value, found.n, found.clusters) for label, found in rules.rows}
    assert by_kind == {"punctuation:no_comma": (1.0, 2, 2), "startend:quotation": (pytest.approx(2 / 3), 3, 2)}
    assert {metric: found.n for metric, found in audited.rows} == dict(zip(METRICS, (2, 2, 4, 4), strict=True))
    assert BenchmarkResult.from_json(json.loads(json.dumps(result.to_json()))) == result


def test_as_many_answers_as_items() -> None:
    with pytest.raises(ValueError):
        score_answers([IfevalItem(1, "a", (COMMA,))], [])


@pytest.fixture
def no_punkt(monkeypatch: pytest.MonkeyPatch) -> None:
    import nltk

    monkeypatch.setattr(nltk.data, "path", [])
    monkeypatch.delenv("NLTK_DATA", raising=False)


SENTENCES = IfevalItem(
    9, "Write.", (("length_constraints:number_sentences", {"num_sentences": 2, "relation": "at least"}),)
)


def punkt_folder(folder: Path) -> Path:
    shutil.copytree(shared("nltk_punkt_tab"), folder / "nltk_punkt_tab", copy_function=shutil.copyfile)
    english = folder / "nltk_punkt_tab" / punkt.INSIDE / "english"
    for place in (folder / "nltk_punkt_tab").rglob("*"):
        place.chmod(0o755 if place.is_dir() else 0o644)
    return english


def test_missing_sentence_parameters_are_an_error(no_punkt: None, tmp_path: Path) -> None:
    for place in (None, tmp_path, tmp_path / "none"):
        with pytest.raises(UserError, match="missing"):
            score_answers([SENTENCES], ["One. Two."], data_dir=place)


@pytest.mark.parametrize("name", sorted(punkt.LEAST))
@pytest.mark.parametrize("content", [None, "", "a\nb\n"])
def test_damaged_sentence_parameters_are_an_error(
    no_punkt: None, tmp_path: Path, name: str, content: str | None
) -> None:
    file = punkt_folder(tmp_path) / name
    file.unlink() if content is None else file.write_text(content)
    with pytest.raises(UserError, match="not whole") as found:
        score_answers([SENTENCES], ["One. Two."], data_dir=tmp_path)
    assert name in found.value.cause


def test_sentences_are_counted_with_the_folder_of_the_settings(no_punkt: None, tmp_path: Path) -> None:
    punkt_folder(tmp_path)
    found = score_answers([SENTENCES] * 2, ["Mr. Smith is here. He sits.", "Mr. Smith is here"], data_dir=tmp_path)
    assert [item.scores["prompt_strict"][0] for item in found.items] == [1.0, 0.0]


def published() -> EvaluateConfig:
    return EvaluateConfig(benchmarks=("ifeval",), data_dir=str(shared("ifeval").parent))


def test_the_published_prompts() -> None:
    found = benchmark("ifeval")
    config = published()
    items: Any = found.items(config.settings("ifeval"))
    assert len(items) == 541 and sum(len(item.rules) for item in items) == 834
    assert {kind for item in items for kind, _ in item.rules} == set(RULES) and len(RULES) == 25
    assert {item.key for item in items if item.faulty} == set(FAULTY)
    assert found.at_hand and found.at_hand(config.settings("ifeval")).digest == PUBLISHED["ifeval"].digest


def test_only_two_prompts_depend_on_the_mode() -> None:
    items: Any = benchmark("ifeval").items(published().settings("ifeval"))
    folder = shared("ifeval").parent
    items = [item for item in items if item.key < 1130]
    answers = [f"{item.prompt}\n\n# One!\n* two *three*\n" * 2 for item in items]
    ours, google = (score_answers(items, answers, mode, folder) for mode in ("deterministic", "google"))
    unlike = [one.id for one, other in zip(ours.items, google.items, strict=True) if one != other]
    assert set(unlike) <= {"ifeval-1122", "ifeval-1129"}


def test_fewer_prompts_are_a_fixed_random_part() -> None:
    config = published()
    ids = {
        n: [
            item.id
            for item in benchmark("ifeval").items(config.model_copy(update={"limit_items": n}).settings("ifeval"))
        ]
        for n in (20, 100, 541)
    }
    assert [len(found) for found in ids.values()] == [20, 100, 541]
    assert set(ids[20]) < set(ids[100]) < set(ids[541]) and ids[100] != ids[541][:100]
    assert ids[100] == [name for name in ids[541] if name in set(ids[100])]
