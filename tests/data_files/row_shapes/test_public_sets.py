"""Rows of public data sets, by their public field names, are read as what they are, or refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from synthetic_instruction_tuner.data_files.own_data.sources import read_prompts, source_fault
from synthetic_instruction_tuner.data_files.reading import Malformed, read_records
from synthetic_instruction_tuner.errors import UserError

Q, A, Q2, A2, SYSTEM = "What is a sea?", "Salt water.", "And a lake?", "Fresh water.", "You are kind."
ASKED = [{"role": "user", "content": Q}]
TWO = [Q, A, Q2, A2]

READ: dict[str, tuple[dict[str, Any], list[str]]] = {  # the turns of the only record
    "squad": (
        {"context": "C.", "question": Q, "answers": {"text": [A, "x"], "answer_start": [1, 2]}},
        [f"{Q}\n\nC.", A],
    ),
    "quac": ({"question": Q, "answers": [{"text": A, "answer_start": 3}]}, [Q, A]),
    "nq": ({"question": Q, "answer": [A]}, [Q, A]),
    "trivia": ({"question": Q, "answer": {"value": A, "aliases": ["x"]}}, [Q, A]),
    "one model": ({"question": Q, "gpt4_answer": A}, [Q, A]),
    "other case": ({"Question": Q, "claude_Response": A}, [Q, A]),
    "flan": ({"inputs": Q, "targets": A, "task_source": "x"}, [Q, A]),
    "p3": ({"inputs": [5, 6], "inputs_pretokenized": Q, "targets": [7], "targets_pretokenized": A}, [Q, A]),
    "a task": ({"definition": "Answer.", "inputs": Q, "targets": [A, "x"]}, [f"Answer.\n\n{Q}", A]),
    "firefly": ({"kind": "x", "input": Q, "target": A}, [Q, A]),
    "camel": ({"role_1": "x", "topic;": "y", "message_1": Q, "message_2": A}, [Q, A]),
    "baize": (
        {"topic": "x", "input": f"The conversation between a human and an AI.\n[|Human|] {Q}\n[|AI|] {A}\n[|Human|] "},
        [Q, A],
    ),
    "glaive": (
        {"chat": f"USER: {Q}\n\n\nASSISTANT: {A} <|endoftext|>\n\n\nUSER: {Q2}\n\n\nASSISTANT: {A2} <|endoftext|>"},
        TWO,
    ),
    "guanaco": ({"text": f"### Human: {Q}### Assistant: {A}### Human: {Q2}### Assistant: {A2}"}, TWO),
    "chatml": ({"text": f"<|im_start|>user\n{Q}<|im_end|>\n<|im_start|>assistant\n{A}<|im_end|>\n"}, [Q, A]),
    "llama": ({"text": f"<s>[INST] {Q} [/INST] {A} </s>"}, [Q, A]),
    "alpaca's template": ({"text": f"Below is an instruction.\n\n### Instruction:\n{Q}\n\n### Response:\n{A}"}, [Q, A]),
    "ultrachat": ({"id": "0", "data": TWO}, TWO),
    "capybara": ({"conversation": [{"input": Q, "output": A}, {"input": Q2, "output": A2}]}, TWO),
    "lima": ({"conversations": TWO, "source": "x"}, TWO),
    "moss": (
        {"meta_instruction": SYSTEM,
         "chat": {"turn_1": {"Human": f"<|Human|>: {Q}<eoh>\n", "Commands": "<|Commands|>: None<eoc>\n",
                             "MOSS": f"<|MOSS|>: {A}<eom>\n"}}},
        [Q, A],
    ),
    "hh": ({"chosen": f"\n\nHuman: {Q}\n\nAssistant: {A}", "rejected": f"\n\nHuman: {Q}\n\nAssistant: x"}, [Q, A]),
    "viewer": ({"features": [{"name": "x"}], "rows": [{"row_idx": 0, "row": {"prompt": Q, "response": A}}]}, [Q, A]),
    "gemini": (
        {"contents": [{"role": "user", "parts": [{"text": Q}]},
                      {"role": "model", "parts": [{"text": "Hm.", "thought": True}, {"text": A}]}]},
        [Q, A],
    ),
    "gemini, one part": ({"contents": [{"parts": {"text": Q}}, {"role": "model", "parts": {"text": A}}]}, [Q, A]),
    "gemini's batches": (
        {"request": {"contents": [{"parts": [{"text": Q}]}]},
         "response": {"candidates": [{"content": {"parts": [{"text": A}]}}]}},
        [Q, A],
    ),
    "summaries": (
        {"info": {"post": Q, "title": "T", "id": "x"}, "choice": 1,
         "summaries": [{"text": " x", "policy": "p"}, {"text": f" {A}", "policy": "q"}]},
        [f"TITLE: T\n\nPOST: {Q}\n\nTL;DR:", A],
    ),
    "prm": (
        {"question": {"problem": Q},
         "label": {"finish_reason": "solution", "steps": [
             {"completions": [{"text": "x", "rating": -1}, {"text": "Salt", "rating": 1}], "chosen_completion": 1},
             {"completions": [], "chosen_completion": None, "human_completion": {"text": "water."}}]}},
        [Q, "Salt\nwater."],
    ),
    "alternating": ({"instruction": Q2, "output": A2, "history": [Q, A]}, TWO),
}  # fmt: skip

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "gemini's calls": ({"contents": [{"parts": [{"text": Q}]}, {"parts": [{"functionCall": {}}]}]}, "functionCall"),
    "gemini's pictures": ({"contents": [{"parts": [{"text": Q}, {"inlineData": {"data": "x"}}]}]}, "inlineData"),
    "no choice": (
        {"info": {"post": Q}, "choice": None, "summaries": [{"text": A}, {"text": "x"}]}, "'choice' must be 0 or 1"
    ),
    "a wrong solution": (
        {"question": {"problem": Q}, "label": {"finish_reason": "found_error", "steps": []}}, "found_error"
    ),
    "two models": ({"question": Q, "gpt_answer": A, "llama_answer": A2}, "'gpt_answer', 'llama_answer'"),
    "compared": ({"prompt": Q, "response_a": A, "response_b": A2}, "'response_a', 'response_b'"),
    "ultrafeedback": ({"instruction": Q, "completions": [{"response": A}, {"response": A2}]}, "'completions'"),
    "by model": ({"prompt": Q, "responses": {"x": A, "y": A2}}, "'responses'"),
    "arena": (
        {"winner": "tie", "conversation_a": ASKED, "conversation_b": ASKED},
        "two answers to compare",
    ),
    "odd history": ({"instruction": Q2, "output": A2, "history": [Q, A, "x"]}, "'history' has 3 texts"),
    "function calls": ({"chat": f"USER: {Q}\n\nASSISTANT: <functioncall> {{}}"}, "function calls"),
    "commands": (
        {"chat": {"turn_1": {"Human": Q, "Commands": "<|Commands|>: Search(x)<eoc>", "MOSS": A}}},
        "'Commands'",
    ),
    "cut off": (
        {"rows": [{"row_idx": 0, "row": {"prompt": Q, "response": A}, "truncated_cells": ["response"]}]},
        "cut off response",
    ),
    "plain text": ({"text": "A page about ### Human: rights."}, "no instruction"),
}  # fmt: skip


def read(tmp_path: Path, row: Any, name: str = "a.json") -> tuple[list[Any], list[Malformed]]:
    (tmp_path / name).write_text(json.dumps(row))
    malformed: list[Malformed] = []
    return list(read_records([tmp_path / name], malformed)), malformed


@pytest.mark.parametrize("name", READ)
def test_read(tmp_path: Path, name: str) -> None:
    row, turns = READ[name]
    (record,), malformed = read(tmp_path, row)
    assert [turn.content for turn in record.messages() if turn.role != "system"] == turns
    assert not malformed
    if name != "viewer":  # the same among other rows
        (tmp_path / "b.jsonl").write_text("\n".join([json.dumps({"prompt": "P", "response": "R"}), json.dumps(row)]))
        assert [r.instruction for r in read_records([tmp_path / "b.jsonl"], [])] == ["P", record.instruction]


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(tmp_path: Path, name: str) -> None:
    row, why = REFUSED[name]
    with pytest.raises(UserError, match="No record") as error:
        read(tmp_path, row)
    assert why in error.value.cause


def test_right_answers_that_are_not_the_response_are_kept(tmp_path: Path) -> None:
    (record,), _ = read(tmp_path, READ["squad"][0])
    assert record.provenance["fields"]["answers"]["text"] == [A, "x"]
    (record,), _ = read(tmp_path, READ["a task"][0])
    assert record.provenance["fields"]["targets"] == [A, "x"]


def test_instances_of_a_task_are_records(tmp_path: Path) -> None:
    task = {"Definition": ["Answer."], "Instances": [{"input": Q, "output": [A]}, {"input": Q2, "output": [A2]}]}
    records, _ = read(tmp_path, task)
    assert [r.instruction for r in records] == [f"Answer.\n\n{Q}", f"Answer.\n\n{Q2}"]


def test_each_question_of_a_tree_is_a_record_with_its_best_answer(tmp_path: Path) -> None:
    deeper = {"text": Q2, "role": "prompter", "replies": [{"text": A2, "role": "assistant", "replies": []}]}
    replies = [
        {"text": "x", "role": "assistant", "rank": 1, "replies": []},
        {"text": A, "role": "assistant", "rank": 0, "replies": [deeper]},
    ]
    tree = {"message_tree_id": "t", "prompt": {"text": Q, "role": "prompter", "message_id": "1", "replies": replies}}
    records, _ = read(tmp_path, tree)
    assert [(len(r.history), r.instruction, r.response) for r in records] == [(0, Q, A), (2, Q2, A2)]
    assert [one["text"] for one in records[0].provenance["fields"]["answers"]] == ["x", A]


def test_prompts_need_no_single_answer(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text("\n".join(json.dumps(REFUSED[n][0]) for n in ("two models", "compared")))
    assert [p.instruction for p in read_prompts(str(tmp_path / "p.jsonl"), [], set())] == [Q, Q]


@pytest.mark.parametrize(
    "name, fix",
    [
        ("https://example.org/a.jsonl", "Download it first"),
        ("https://huggingface.co/datasets/me/mine", "hf:me/mine"),
        ("s3://bucket/a.jsonl", "Download it first"),
    ],
)
def test_a_web_address_is_no_file(name: str, fix: str) -> None:
    fault = source_fault("records", name)
    assert fault is not None and name in fault.problem and fix in fault.fix
    with pytest.raises(UserError, match="is a web address"):
        list(read_records([Path(name)], []))


def test_a_binary_file_holds_no_prompts(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\x7fELF\x00\x01 text\n" * 9)
    fault = source_fault("prompts", str(tmp_path / "a.txt"))
    assert fault is not None and "binary" in fault.cause


def message(name: str, parent: str | None, text: str, **more: Any) -> dict[str, Any]:
    return {"message_id": name, "parent_id": parent, "role": "prompter", "text": text} | more


@pytest.mark.parametrize("backwards", [False, True])
def test_messages_with_parents_are_trees(tmp_path: Path, backwards: bool) -> None:
    rows = [
        message("a", None, Q), message("b", "a", "x", rank=1), message("c", "a", A, rank=0),
        message("d", "c", Q2), message("e", "d", A2, rank="0.0"), message("f", "lost", "x"), message("g", None, "x"),
        message("h", "i", "x"), message("i", "h", "x"), message("a", None, "twice"),
    ]  # fmt: skip
    if backwards:
        rows = [*rows[-2::-1], rows[-1]]
    file = tmp_path / "oasst.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    malformed: list[Malformed] = []
    records = {record.id: record for record in read_records([file], malformed)}
    assert [turn.content for turn in records["d"].messages()] == [Q, A, Q2, A2]
    assert records["a"].response == A and records.keys() == {"a", "d"}
    assert len(malformed) == 5 and sum("in no tree" in line.problem for line in malformed) == 3


def test_a_tree_that_is_too_deep_is_named(tmp_path: Path) -> None:
    file = tmp_path / "deep.jsonl"
    rows = [message(str(n), str(n - 1) if n else None, "x") for n in range(3000)]
    file.write_text("\n".join(map(json.dumps, [*rows, message("q", None, Q), message("r", "q", A)])))
    malformed: list[Malformed] = []
    assert [record.response for record in read_records([file], malformed)] == [A]
    assert "more than 200 turns" in malformed[0].problem
