"""Saved answers of anybody: read from a file, matched with a benchmark's items, and scored without a model.

A row has one answer. It names its item by id or by the item's prompt, which must be the same text. Chat logs and the
answer files of FastChat and of IFEval's authors are read as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.config import EvaluateConfig
from synthetic_instruction_tuner.data_files.conversations import ShapeError
from synthetic_instruction_tuner.data_files.reading import read_rows
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.benchmarks.base import Benchmark, Item, ScoreSaved, benchmark
from synthetic_instruction_tuner.evaluation.results import BenchmarkResult

IDS = ("id", "key", "question_id", "item_id")
PROMPTS = ("prompt", "question", "instruction")
ANSWERS = ("response", "responses", "answer", "answers", "output", "outputs", "turns")
SCORABLE = ("ifeval", "mmlu", "nano_ifeval", "nano_mmlu", "nano_mt")
"""The benchmarks whose answers need no model to be scored."""
SHOWN = 3  # items that a message names
Answers = dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class ScoredFile:
    """The scores of a file.

    Attributes:
        file: the file.
        benchmark: the benchmark that its answers belong to.
        result: the scores of the answers, item by item.
        missing: items of the benchmark that have no answer in the file.
    """

    file: Path
    benchmark: str
    result: BenchmarkResult
    missing: int


def score_file(
    name: str, file: Path, config: EvaluateConfig, *, partial: bool = False, score: ScoreSaved | None = None
) -> ScoredFile:
    """Returns the scores of a file's answers.

    Args:
        name: the benchmark.
        file: JSONL, JSON, CSV, TSV or Parquet; see above.
        config: the benchmarks' settings, such as the number of items.
        partial: whether answers to some of the items are enough.
        score: scores the answers instead of the benchmark itself, for one that needs a judge.

    Raises:
        UserError: the file is no file of answers to this benchmark, or the benchmark's own files are missing.
    """
    chosen = benchmark(name)
    settings = config.settings(name)
    items = chosen.items(settings)
    if not items:
        raise UserError(
            f"The items of {name} are not on this machine.",
            "Without them no answer can be scored.",
            "Run 'sit benchmarks', which says how to get them, or give --data-dir.",
        )
    found = matched(file, name, items, _turns(chosen, settings))
    if not found:
        raise UserError(f"{file} holds no answers.", "It has no rows.", _form(name))
    answered = [item for item in items if item.id in found]
    if len(answered) < len(items) and not partial:
        absent = [item.id for item in items if item.id not in found]
        raise UserError(
            f"{file} lacks {len(absent)} of the {len(items)} answers to {name}.",
            f"There is none to {_some(absent)}.",
            "Add them, or score the answers that are there with --partial.",
        )
    scored = score or chosen.score_saved
    assert scored is not None
    result = scored(answered, [found[item.id] for item in answered], settings)
    return ScoredFile(file, name, result, len(items) - len(answered))


def benchmark_of(file: Path, config: EvaluateConfig) -> str:
    """Returns the benchmark that the answers of a file belong to: the one whose items the first rows name.

    Raises:
        UserError: there is none.
    """
    for number, (_, row) in enumerate(_rows(file)):
        for name in SCORABLE:
            if _Items(name, benchmark(name).items(config.settings(name))).item_of(row):
                return name
        if number >= SHOWN:
            break
    fix = f"Name it with --benchmark: {', '.join(SCORABLE)}."
    raise UserError(f"{file} holds answers to no benchmark that is on this machine.", _seen(file), fix)


def matched(file: Path, name: str, items: Sequence[Item], turns: int) -> Answers:
    """Returns the answers of a file by item, one text per turn.

    Raises:
        UserError: a row is broken, names no item of the benchmark, or one that another row has named.
    """
    known, found, lines = _Items(name, items), Answers(), dict[str, int]()
    for number, row in _rows(file):
        item = known.item_of(row)
        if item is None:
            raise _broken(file, number, known.why_not(row), name)
        if item.id in found:
            raise _broken(file, number, f"Row {lines[item.id]} answers {item.id} too.", name)
        answers = _answers(row)
        if answers is None:
            raise _broken(file, number, f"It has no text in {', '.join(ANSWERS[:-1])} or {ANSWERS[-1]}.", name)
        if len(answers) != turns:
            counted = f"{len(answers)} answer{'s' * (len(answers) != 1)}"
            raise _broken(file, number, f"It has {counted}; {name} has {turns} turn{'s' * (turns > 1)}.", name)
        found[item.id], lines[item.id] = answers, number
    return found


class _Items:
    """A benchmark's items, by all that a row may call them."""

    def __init__(self, name: str, items: Sequence[Item]) -> None:
        self._name = name
        self._by_id = {item.id: item for item in items}
        self._by_id |= {item.id.removeprefix(f"{name}-"): item for item in items}
        self._by_id |= {str(number): item for item in items if (number := getattr(item, "number", None)) is not None}
        self._by_prompt: dict[str, Item | None] = {}
        for item in items:
            prompt = item.prompt.strip()
            self._by_prompt[prompt] = None if prompt in self._by_prompt else item  # which of them, nobody knows

    def item_of(self, row: Mapping[str, Any]) -> Item | None:
        """Returns the item that a row names; None where it names none."""
        if (own := _first(row, IDS)) is not None:
            return self._by_id.get(str(own).strip())
        prompt = _first(row, PROMPTS)
        return self._by_prompt.get(prompt.strip()) if isinstance(prompt, str) else None

    def why_not(self, row: Mapping[str, Any]) -> str:
        """Returns why a row names no item."""
        if (own := _first(row, IDS)) is not None:
            return f"{self._name} has no item {str(own)[:60]!r}."
        prompt = _first(row, PROMPTS)
        if not isinstance(prompt, str):
            return f"It has neither {' nor '.join((IDS[0], *PROMPTS[:1]))}."
        if prompt.strip() in self._by_prompt:
            return f"Several items of {self._name} have its prompt: it needs an id."
        return f"{self._name} has no item with the prompt {prompt[:60]!r}."


def _rows(file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if not file.exists():
        raise UserError(f"There is no file {file}.", "", "Name a file with answers.")
    for number, row, _ in read_rows(file):
        if not isinstance(row, Mapping):
            cause = f"It is cut off or damaged ({row})." if isinstance(row, ShapeError) else "It is no JSON object."
            raise UserError(f"Row {number} of {file} cannot be read.", cause, "Correct or remove that row.")
        yield number, row


def _answers(row: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Returns a row's answers, one per turn; None where it has none."""
    own = _first(row, ANSWERS)
    if own is None and isinstance(row.get("choices"), list) and row["choices"]:
        own = row["choices"][0].get("turns") if isinstance(row["choices"][0], Mapping) else None
    if own is None and isinstance(row.get("messages"), list):
        turns = [turn for turn in row["messages"] if isinstance(turn, Mapping)]
        own = [turn.get("content") for turn in turns if turn.get("role") == "assistant"]
    texts = own if isinstance(own, list) else [own]
    return tuple(texts) if texts and all(isinstance(text, str) for text in texts) else None


def _first(row: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _turns(chosen: Benchmark, settings: Any) -> int:
    return max(1, chosen.work(settings).answers)


def _seen(file: Path) -> str:
    row = next((row for _, row in _rows(file)), None)
    if row is None:
        return "It has no rows."
    return f"Its first row has the fields {', '.join(map(str, row))}."


def _some(ids: Sequence[str]) -> str:
    more = len(ids) - SHOWN
    return ", ".join(ids[:SHOWN]) + (f" and {more} others" if more > 0 else "")


def _form(name: str) -> str:
    return f'Each row needs an id (or prompt) of {name} and a response, such as {{"id": "...", "response": "..."}}.'


def _broken(file: Path, number: int, cause: str, name: str) -> UserError:
    return UserError(f"Row {number} of {file} is no answer to {name}.", cause, _form(name))
