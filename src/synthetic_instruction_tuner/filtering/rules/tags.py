"""The rule on tags from a chat model: how good and how hard a record is, and what kind of task.

The model is asked once per record, with greedy decoding, for one line of JSON; its answer is parsed leniently. The
record is shown to it as text: special tokens in the record are broken up, so that it cannot end its own turn and answer
for the model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from synthetic_instruction_tuner.config import EngineConfig, TagsConfig
from synthetic_instruction_tuner.engines.base import Completion, Done, Engine, Request, failure_reason
from synthetic_instruction_tuner.filtering.rule import Ask, ModelRule, Verdict, model_identity
from synthetic_instruction_tuner.records import Message, Record

if TYPE_CHECKING:
    from synthetic_instruction_tuner.chat.template import ChatTemplate

PROMPT_VERSION = 1  # raised when the question below changes
SHOWN = 3000  # characters of instruction and response each
CATEGORIES = (
    "coding", "math", "reasoning", "data analysis", "information", "advice", "planning", "brainstorming",
    "creative writing", "editing", "translation", "role-play", "other",
)  # fmt: skip
QUESTION = """Rate a request to an assistant, and the assistant's answer. Do not carry out the request.

[request]
{instruction}
[end of request]

[answer]
{response}
[end of answer]

Say
- quality: how clear the request is, and how correct and helpful the answer, from 1 (very poor) to 5 (excellent)
- difficulty: how much knowledge and thought the request asks for, from 1 (very easy) to 5 (very hard)
- category: one of {categories}

Reply with one line of JSON and nothing else, such as {{"quality": 3, "difficulty": 2, "category": "math"}}"""
NUMBER_WORDS = {
    "very poor": 1, "very bad": 1, "poor": 2, "bad": 2, "average": 3, "medium": 3, "good": 4, "excellent": 5,
    "very easy": 1, "easy": 2, "very hard": 5, "hard": 4, "very difficult": 5, "difficult": 4,
}  # fmt: skip
THINKING = re.compile(r".*</think>", re.DOTALL)


@dataclass(frozen=True)
class Tags(ModelRule):
    """A record's tags must be within the limits; a record without tags stays.

    Attributes:
        config: the model and the limits.
        engine: the settings of the engine that runs the model.
    """

    config: TagsConfig
    engine: EngineConfig = field(default_factory=EngineConfig)
    name: ClassVar[str] = "tags"

    def basis(self) -> dict[str, Any]:
        """Returns which model tags, and how it is asked."""
        model = model_identity(self.config.model) if self.config.model else None
        return {"model": model, "prompt": PROMPT_VERSION, "max_new_tokens": self.config.max_new_tokens}

    def limits(self) -> dict[str, Any]:
        """Returns the tags that stay."""
        return self.config.model_dump(mode="json", exclude={"model", "batch", "max_new_tokens"})

    @property
    def batch(self) -> int:
        """The number of records whose tags are stored together."""
        return self.config.batch

    @contextmanager
    def open(self) -> Iterator[Ask]:
        """Loads the chat model."""
        from synthetic_instruction_tuner.engines.opening import open_engine
        from synthetic_instruction_tuner.models.hardware import detect

        assert self.config.model
        with open_engine(self.config.model, self.engine, detect(self.engine.device)) as (engine, template):
            tagger = Tagger(template, engine, self.config.max_new_tokens)
            yield lambda records, done: list(tagger.tag(records, done))

    def columns(self, signal: dict[str, Any]) -> dict[str, Any]:
        """Returns the tags, each None where the model gave none."""
        return {name: signal.get(name) for name in ("quality", "difficulty", "category")}

    def decide(self, signal: dict[str, Any]) -> Verdict:
        """Drops records with a tag outside the limits."""
        config = self.config
        quality, difficulty, category = (signal.get(k) for k in ("quality", "difficulty", "category"))
        faults = []
        if quality is not None and quality < config.min_quality:
            faults.append(f"quality {quality} is below {config.min_quality}")
        if difficulty is not None and not config.min_difficulty <= difficulty <= config.max_difficulty:
            faults.append(f"difficulty {difficulty} is not within {config.min_difficulty}..{config.max_difficulty}")
        if category is not None and config.categories and category not in config.categories:
            faults.append(f"category '{category}' is not wanted")
        shown = ", ".join(f"{k} {v}" for k, v in self.columns(signal).items() if v is not None) or None
        return Verdict(self.name, not faults, shown, None, "; ".join(faults))


class Tagger:
    """Asks a chat model for tags.

    Args:
        template: the model's chat template.
        engine: runs the model.
        max_new_tokens: longest answer.
    """

    def __init__(self, template: ChatTemplate, engine: Engine, max_new_tokens: int = 96) -> None:
        self.template, self.engine, self.max_new_tokens = template, engine, max_new_tokens
        tokenizer = template.tokenizer
        special = {str(t) for t in (*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()) if len(str(t)) > 1}
        self._special = re.compile("|".join(map(re.escape, sorted(special, key=len, reverse=True))) or r"(?!)")

    def tag(self, records: Sequence[Record], done: Done | None = None) -> list[dict[str, Any]]:
        """Returns ``quality``, ``difficulty`` (1..5) and ``category`` of each record; None for a missing tag.

        Where the request failed, ``error`` says why.
        """
        requests = [self._request(record) for record in records]
        return [self._tags(completion) for completion in self.engine.generate(requests, done)]

    def question(self, record: Record) -> str:
        """Returns what the model is asked about a record."""
        shown = {"instruction": self._shown(record.instruction), "response": self._shown(record.response)}
        return QUESTION.format(categories=", ".join(CATEGORIES), **shown)

    def _request(self, record: Record) -> Request:
        prompt = self.template.prompt_ids([Message("user", self.question(record))])
        stops = tuple(self.template.stop_ids)
        return Request(tuple(prompt), seed=0, max_new_tokens=self.max_new_tokens, stop_ids=stops, temperature=0.0)

    def _tags(self, completion: Completion) -> dict[str, Any]:
        tags = parse_tags(self.template.decode(completion.token_ids))
        reason = failure_reason(completion)
        return tags | ({"error": reason} if reason else {})

    def _shown(self, text: str) -> str:
        """The text's start as valid UTF-8, with a space inside every special token."""
        clean = text[:SHOWN].encode("utf-8", "replace").decode().replace("\0", " ")
        broken = self._special.sub(lambda match: f"{match.group()[0]} {match.group()[1:]}", clean)
        return broken + (" [...]" if len(text) > SHOWN else "")


def parse_tags(answer: str) -> dict[str, Any]:
    """Returns the tags in an answer; None for each that is missing or out of range."""
    text = THINKING.sub("", answer).lower()
    return {"quality": _number(text, "quality"), "difficulty": _number(text, "difficulty"), "category": _category(text)}


def _number(text: str, name: str) -> int | None:
    words = "|".join(sorted(NUMBER_WORDS, key=len, reverse=True))
    match = re.search(rf"\b{name}[\"'*_]*\s*[:=][\s\"'*_]*(?:(\d+)(?![\d.]*\d)|({words})\b)", text)
    if not match:
        return None
    value = int(match[1][:3]) if match[1] else NUMBER_WORDS[match[2]]
    return value if 1 <= value <= 5 else None


def _category(text: str) -> str | None:
    match = re.search(r"\bcategory[\"'*_]*\s*[:=][\s\"'*_]*([a-z][a-z &-]*)", text)
    said = match[1].strip() if match else ""
    return next((c for c in CATEGORIES if said == c or said.replace("-", " ") == c.replace("-", " ")), None)
