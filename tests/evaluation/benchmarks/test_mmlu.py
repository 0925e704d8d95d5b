from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.shared_data import shared

from synthetic_instruction_tuner.config.sections.evaluate import EvaluateConfig, MmluConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.benchmarks.base import benchmark
from synthetic_instruction_tuner.evaluation.benchmarks.mmlu.benchmark import forms
from synthetic_instruction_tuner.evaluation.benchmarks.mmlu.items import HEADERS, MmluItem, items_digest, read_questions
from synthetic_instruction_tuner.evaluation.benchmarks.mmlu.scoring import score_answers
from synthetic_instruction_tuner.evaluation.saved_answers import chosen_letter

SUBJECTS = ("anatomy", "sociology")


def lines(subject: str, count: int, header: tuple[str, ...] | None = HEADERS[0]) -> list[str]:
    found = [",".join(header)] if header else []
    letters = header is None or header == HEADERS[1]
    return found + [f'"{subject}, {n}?",a,b,"c, d",e,{"ABCD"[n % 4] if letters else n % 4}' for n in range(count)]


def write(folder: Path, header: tuple[str, ...] | None = HEADERS[0], count: int = 3) -> Path:
    for subject in SUBJECTS:
        for part, rows in (("test", count), ("dev", 5)):
            (folder / part).mkdir(parents=True, exist_ok=True)
            (folder / part / f"{subject}_{part}.csv").write_text("\n".join(lines(subject, rows, header)) + "\n")
    return folder


def test_all_forms_of_files_hold_the_same_questions(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    found = {str(h): read_questions(write(tmp_path / str(i), h)) for i, h in enumerate((*HEADERS, None))}
    whole = next(iter(found.values()))
    (tmp_path / "hub/all").mkdir(parents=True)
    (tmp_path / "hub/anatomy").mkdir()
    for part, items in (("test", whole.test), ("dev", [i for own in whole.examples.values() for i in own])):
        rows = [{"question": i.question, "subject": i.subject, "choices": i.options, "answer": i.right} for i in items]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"hub/all/{part}-00000-of-00001.parquet")
        mine = [row for row in rows if row["subject"] == "anatomy"]
        pq.write_table(pa.Table.from_pylist(mine), tmp_path / f"hub/anatomy/{part}-00000-of-00001.parquet")
    found["hub"] = read_questions(tmp_path / "hub")
    assert len({questions.digest for questions in found.values()}) == 1 and len(whole.test) == 6
    assert whole.test[1] == MmluItem("mmlu-anatomy-1", "anatomy", "anatomy, 1?", ("a", "b", "c, d", "e"), 1)
    assert [len(whole.examples[subject]) for subject in SUBJECTS] == [5, 5]


@pytest.mark.parametrize(
    ("file", "content", "parts"),
    [
        ("test/anatomy_test.csv", "frage,a,b,c,d,antwort\nx,1,2,3,4,0\n", ("header", "frage")),
        ("test/anatomy_test.csv", "question,answer\nx,1\n", ("header",)),
        ("test/anatomy_test.csv", ",".join(HEADERS[0]) + "\nx,1,2,3\n", ("Row 2", "4 columns")),
        ("test/anatomy_test.csv", ",".join(HEADERS[0]) + "\nx,1,2,3,4,5\n", ("Row 2", "'5'")),
        ("test/anatomy_test.csv", ",".join(HEADERS[0]) + "\n,1,2,3,4,1\n", ("Row 2", "no question")),
        ("test/anatomy_test.csv", ",".join(HEADERS[0]) + '\n"x,1,2,3,4,1\n', ("CSV",)),
        ("dev/anatomy_dev.csv", None, ("anatomy", "0 of 5")),
        ("dev/anatomy_dev.csv", "\n".join(lines("anatomy", 3)), ("anatomy", "3 of 5")),
        ("more/test/anatomy_test.csv", "\n".join(lines("anatomy", 3)), ("anatomy", "twice")),
        ("test/anatomie_test.csv", "\n".join(lines("anatomy", 3)), ("'anatomie'",)),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, file: str, content: str | None, parts: tuple[str, ...]) -> None:
    place = write(tmp_path) / file
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink() if content is None else place.write_text(content)
    with pytest.raises(UserError) as found:
        read_questions(tmp_path)
    assert all(part in f"{found.value.problem} {found.value.cause}" for part in parts) and found.value.fix


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no questions"):
        read_questions(tmp_path)


def test_a_missing_subject_is_told_and_the_others_are_used(tmp_path: Path) -> None:
    write(tmp_path / "mmlu")
    config = EvaluateConfig(benchmarks=("mmlu",), data_dir=str(tmp_path))
    at_hand = benchmark("mmlu").at_hand
    assert at_hand
    found = at_hand(config.settings("mmlu"))
    assert found.usable and found.items == 6 and not found.complete and "2 of its 57 subjects" in found.missing


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "B"),
        (" b", None),
        ("(C)", "C"),
        ("D. Because of it", "D"),
        ("**A**", "A"),
        ("The answer is (B).", "B"),
        ("The answer is a noun", None),
        ("answer: c", "C"),
        ("Answer: A\n... no, the correct answer is D", "D"),
        ("\\boxed{C}", "C"),
        ("I think that it is **D**.", "D"),
        ("It is **A** or it is **B**", None),
        ("<answer>\n(B)</answer>", "B"),
        ("정답은 C입니다", "C"),
        ("答案：（D）", "D"),
        ("<think>The answer is A</think>B", "B"),
        ("<think>The answer is A", None),
        ("Oxygen", "C"),
        ("oxygen.", "C"),
        ("A cat sat", None),
        ("Because", None),
        ("", None),
    ],
)
def test_the_letter_of_an_answer(text: str, letter: str | None) -> None:
    assert chosen_letter(text, ("Iron", "Gold", "Oxygen", "Tin")) == letter


def test_saved_answers_are_scored_by_subject_and_category(tmp_path: Path) -> None:
    items = read_questions(write(tmp_path)).test
    result = score_answers(items, ["A", "The answer is B", "A", "", "no idea", "C"])
    assert [item.scores["acc"][0] for item in result.items] == [1, 1, 0, 0, 0, 1]
    assert (result.n_empty, result.n_unparsed) == (1, 1)
    categories, subjects, clustered = benchmark("mmlu").breakdowns(result)  # type: ignore[misc]
    assert [(label, found.value) for label, found in subjects.rows] == [("anatomy", 2 / 3), ("sociology", 1 / 3)]
    assert [label for label, _ in categories.rows] == ["social_sciences", "stem"]
    assert (clustered.rows[0][1].value, clustered.rows[0][1].clusters) == (0.5, 2)
    assert json.loads(json.dumps(result.to_json()))["n_unparsed"] == 1


def test_forms_of_the_prompt() -> None:
    assert forms(MmluConfig()) == [("acc", 5, False), ("acc_0shot", 0, False), ("acc_chat", 5, True)]
    assert forms(MmluConfig(shots=0)) == [("acc", 0, False), ("acc_chat", 0, True)]
    assert forms(MmluConfig(further=())) == [("acc", 5, False)]


def test_the_published_questions() -> None:
    found = read_questions(shared("mmlu"))
    assert len(found.test) == 2543 and len(found.subjects) == 18
    assert len({item.id for item in found.test}) == 2543
    shuffled: Any = found.test[::-1]
    assert items_digest(shuffled) != items_digest(found.test)
