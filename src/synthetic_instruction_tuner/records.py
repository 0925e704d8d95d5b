"""What stages pass to each other: records, answers and preference pairs.

A record is one instruction with its response. Records are frozen; what a stage finds out about them (verdicts, scores)
is stored beside them, never inside.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool", "tools"]
"""Who speaks; of an agent's conversation also a tool's result, and the tools that it may call, as JSON."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str

    def as_dict(self) -> dict[str, str]:
        """Returns the form that chat templates accept."""
        return {"role": self.role, "content": self.content}


@dataclass(frozen=True, slots=True)
class Record:
    """One instruction with its response.

    Attributes:
        id: unique within a run and the same on every rerun, such as ``raw-000042``.
        instruction: the last user turn.
        response: the assistant's answer to it; empty when there is none yet.
        system: the conversation's system prompt, if any.
        history: earlier user and assistant turns, oldest first; empty for single-turn records.
        domain: the name of the domain whose system prompt steered the generator, if any.
        provenance: how the record was made (model, sampling, seed, finish reasons), as plain JSON values.
        thinking: what a thinking model thought before the response, if thinking is on.
    """

    id: str
    instruction: str
    response: str = ""
    system: str | None = None
    history: tuple[Message, ...] = ()
    domain: str | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    thinking: str | None = None

    def prompt_messages(self) -> list[Message]:
        """Returns the conversation up to and including the instruction."""
        start = [Message("system", self.system)] if self.system else []
        return [*start, *self.history, Message("user", self.instruction)]

    def messages(self) -> list[Message]:
        """Returns the whole conversation, the response included."""
        return [*self.prompt_messages(), Message("assistant", self.response)]

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON values, from which `from_json` makes an equal record."""
        return asdict(self) | {"history": [m.as_dict() for m in self.history]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Record:
        """Returns the record that `to_json` wrote."""
        return cls(**(data | {"history": read_messages(data.get("history", ()))}))


@dataclass(frozen=True, slots=True)
class Answer:
    """One model's answer to a record, with its score once there is one.

    Attributes:
        record_id: the record whose instruction is answered.
        model: the model's name.
        text: the answer.
        truncated: whether it reached the token limit instead of ending its turn.
        score: the reward model's logit or the judge's score; higher is better; None before scoring.
        sample: the answer's index among the model's answers to the record, from 0.
        error: why the engine could not serve the request; the text is then empty. Empty otherwise.
    """

    record_id: str
    model: str
    text: str
    truncated: bool = False
    score: float | None = None
    sample: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """A chosen and a rejected answer to the same prompt.

    Attributes:
        id: unique within a run, such as ``pair-000042``.
        record_id: the record whose instruction both answers respond to.
        instruction, system, history: the prompt, as in `Record`.
        chosen, rejected: the two answers; never equal.
        chosen_model, rejected_model: the models that wrote them.
        chosen_score, rejected_score: their scores; the first is always the larger. In the user's own pairs they are
            what the file says, or None.
        chosen_truncated, rejected_truncated: whether an answer reached the token limit.
        student: the student that wrote both answers and is tuned on the pair; None if all students are tuned on it.
        provenance: the file and the row that a pair of the user's own is from; None for those that a run has made.
    """

    id: str
    record_id: str
    instruction: str
    chosen: str
    rejected: str
    chosen_model: str
    rejected_model: str
    chosen_score: float | None
    rejected_score: float | None
    system: str | None = None
    history: tuple[Message, ...] = ()
    chosen_truncated: bool = False
    rejected_truncated: bool = False
    student: str | None = None
    provenance: dict[str, Any] | None = None

    @property
    def margin(self) -> float | None:
        """The score difference, if both answers have scores; always positive in pairs that a run has made."""
        if self.chosen_score is None or self.rejected_score is None:
            return None
        return self.chosen_score - self.rejected_score

    def prompt_messages(self) -> list[Message]:
        """Returns the conversation up to and including the instruction."""
        start = [Message("system", self.system)] if self.system else []
        return [*start, *self.history, Message("user", self.instruction)]

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON values, from which `from_json` makes an equal pair."""
        plain = asdict(self) | {"history": [m.as_dict() for m in self.history]}
        if self.provenance is None:
            del plain["provenance"]
        return plain

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> PreferencePair:
        """Returns the pair that `to_json` wrote."""
        return cls(**(data | {"history": read_messages(data.get("history", ()))}))


def read_messages(turns: Iterable[dict[str, Any]]) -> tuple[Message, ...]:
    """Returns the turns as messages."""
    return tuple(Message(turn["role"], turn["content"]) for turn in turns)


def question_text(messages: Iterable[Message]) -> str:
    """Returns a prompt as the one text that reward models of text pairs read.

    That is all turns, the system prompt included, joined by newlines and without role names.
    """
    return "\n".join(message.content for message in messages)
