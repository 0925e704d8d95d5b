"""Every shape of a row is read from a table as from JSON lines: lists and objects stand in its cells as text."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from synthetic_instruction_tuner.data_files.own_data.scored_answers import read_scored
from synthetic_instruction_tuner.data_files.own_data.sources import read_pairs, read_prompts
from synthetic_instruction_tuner.data_files.reading import read_records
from synthetic_instruction_tuner.errors import UserError

ASKED, SAID = {"role": "user", "content": "What is a fox?"}, {"role": "assistant", "content": "A wild dog."}
OTHER = {"role": "assistant", "content": "A cat."}
MOSS = {"Human": "<|Human|>: Who ran?<eoh>\n", "MOSS": "<|MOSS|>: A fox.<eom>\n"}
SHAPES: dict[str, dict[str, Any]] = {
    "Alpaca": {"instruction": "And then?", "input": "", "output": "It slept.", "history": [["A fox?", "A dog."]]},
    "Dolly": {"instruction": "Who ran?", "context": "A fox ran.", "response": "A fox.", "category": "qa"},
    "prompt and completion": {"prompt": [ASKED], "completion": [SAID]},
    "messages": {"messages": [ASKED, SAID]},
    "pairs of texts": {"conversation": [["Who ran?", "A fox."]]},
    "alternating texts": {"conversations": ["Who ran?", "A fox."]},
    "turns under any name": {"dialog_turns": [ASKED, SAID], "n": 3},
    "preferences": {"prompt": "Who ran?", "chosen": [SAID], "rejected": [OTHER]},
    "self-instruct": {"instruction": "Sum up.", "instances": [{"input": "A fox ran.", "output": "Fox ran."}]},
    "Natural Instructions": {"Definition": "Sum up.", "Instances": [{"input": "A fox ran.", "output": ["Fox ran."]}]},
    "SQuAD": {"context": "It ran.", "question": "Who ran?", "answers": {"text": ["A fox"], "answer_start": [0]}},
    "OpenAssistant": {
        "prompt": {"text": "Who ran?", "role": "prompter", "replies": [{"text": "A fox.", "rank": 0, "replies": []}]}
    },
    "Gemini": {
        "contents": [{"role": "user", "parts": [{"text": "Who?"}]}, {"role": "model", "parts": [{"text": "I"}]}]
    },
    "Gemini's requests": {
        "request": {"contents": [{"role": "user", "parts": [{"text": "Who?"}]}]},
        "response": {"candidates": [{"content": {"parts": [{"text": "A fox."}]}}]},
    },
    "comparisons of summaries": {
        "info": {"post": "A fox ran.", "title": "Fox", "subreddit": "pets"},
        "summaries": [{"text": " Fox ran.", "policy": "a"}, {"text": " Cat.", "policy": "b"}],
        "choice": 0,
    },
    "rated summaries": {
        "info": {"article": "A fox ran.", "title": "Fox"},
        "summary": {"text": " Fox ran.", "policy": "a", "axes": {"overall": 7}},
    },
    "PRM800K": {
        "question": {"problem": "2 + 2?"},
        "label": {"steps": [{"completions": [{"text": "4."}], "chosen_completion": 0}], "finish_reason": "solution"},
    },
    "a transcript": {"text": "### Human: Who ran?### Assistant: A fox."},
    "MOSS": {"chat": {"turn_1": MOSS}, "meta_instruction": "You are MOSS."},
    "CAMEL": {"role_1": "x", "message_1": "Who ran?", "message_2": "A fox."},
    "UltraChat": {"id": "0", "data": ["Who ran?", "A fox."]},
    "UltraFeedback": {
        "instruction": "Who ran?",
        "completions": [
            {"model": "a", "response": "A fox.", "overall_score": 8},
            {"model": "b", "response": "A cat.", "overall_score": 2},
        ],
    },
    "Nectar": {"prompt": "Who?", "answers": [{"answer": "A fox.", "rank": 1}, {"answer": "A cat.", "rank": 2}]},
    "WebGPT": {
        "question": {"full_text": "Who?"},
        "answer_0": "A fox.",
        "score_0": 1.0,
        "answer_1": "I",
        "score_1": 0.0,
    },
    "texts and scores": {"prompt": "Who ran?", "responses": ["A fox.", "A cat."], "scores": [1, 2]},
    "KTO, good": {"prompt": "Who ran?", "completion": "A fox.", "label": True},
    "KTO, bad": {"prompt": "Who ran?", "completion": "A fox.", "label": False},
    "an answer in JSON": {"instruction": "Give me JSON.", "response": '{"text": "a fox", "n": [1]}'},
}


def written(row: dict[str, Any], file: Path, as_python: bool = False) -> Path:
    """Writes a row; in a table, what is no text is JSON or as Python writes it."""
    if file.suffix == ".jsonl":
        file.write_text(json.dumps(row), encoding="utf-8")
        return file
    with file.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream, delimiter="\t" if file.suffix == ".tsv" else ",")
        table.writerow(row)
        cells = [v if isinstance(v, str) else repr(v) if as_python else json.dumps(v) for v in row.values()]
        table.writerow(cells)
    return file


def seen(file: Path, kind: str) -> Any:
    """Returns what a file holds as this kind; only that it holds nothing, if so."""
    try:
        if kind == "records":
            found = [(r.instruction, r.response, r.system, r.history) for r in read_records([file], [])]
        elif kind == "prompts":
            found = [(r.instruction, r.system, r.history) for r in read_prompts(str(file), [], set())]
        elif kind == "pairs":
            found = [(p.instruction, p.chosen, p.rejected, p.chosen_score) for p in read_pairs(str(file), [])]
        else:
            found = [(s.record.instruction, [(a.text, a.score) for a in s.answers]) for s in read_scored([file], [])]
    except UserError:
        return None
    return found


@pytest.mark.parametrize("name", SHAPES)
def test_a_table_gives_what_json_lines_give(tmp_path: Path, name: str) -> None:
    row = SHAPES[name]
    lines = written(row, tmp_path / "rows.jsonl")
    tables = [written(row, tmp_path / "python.csv", True), written(row, tmp_path / "rows.tsv")]
    read = {kind: seen(lines, kind) for kind in ("records", "prompts", "pairs", "scored")}
    assert any(read.values())
    for table in tables:
        assert {kind: seen(table, kind) for kind in read} == read


def test_summaries_that_people_compared_are_pairs_everywhere(tmp_path: Path) -> None:
    row = SHAPES["comparisons of summaries"] | {"choice": 1}
    for name in ("rows.jsonl", "rows.csv"):
        (pair,) = read_pairs(str(written(row, tmp_path / name)), [])
        assert (pair.chosen, pair.rejected, pair.chosen_model) == ("Cat.", "Fox ran.", "b")
        assert pair.instruction == "SUBREDDIT: pets\n\nTITLE: Fox\n\nPOST: A fox ran.\n\nTL;DR:"
