"""Faults of a generated instruction that its text alone shows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from synthetic_instruction_tuner.errors import UserError

Fault = Literal["empty", "role_leak", "answering", "duplicate", "truncated"]
FAULTS: tuple[Fault, ...] = ("empty", "role_leak", "answering", "duplicate", "truncated")
PROBES = 16
ENOUGH_PROBES = 8  # fewer do not decide about a generator
NEAR = 0.8  # word-set Jaccard index of a duplicate

_MARK = re.compile(
    r"<\|[\w.-]{2,40}\|>|<\uff5c[^<>\n]{2,40}\uff5c>|</?(?:start|end)_of_turn>|<</?SYS>>|\[/?INST\]"
    r"|(?im:^\W{0,4}(?:ai[ -])?(?:assistant|chatbot|system|model)\W{0,4}$)"
    r"|(?im:^(?:#{2,}\s*|\*\*)?(?:ai[ -])?(?:assistant|chatbot|response)(?:\*\*)?\s?:(?:\s|$))"
)
_ANSWER = re.compile(  # also a continuation of somebody else's sentence
    r"(?:[,.;:!?)\]}]+\s|(?:sure|certainly|of course|absolutely)(?:[!.,:]|\s+(?:thing[!.,]|(?:i|here)\b))"
    r"|(?:that(?:'s| is) (?:a|an) )?(?:great|good|excellent|interesting) (?:question|point)\b"
    r"|(?:i'm|i am) sorry,? (?:but|i|for)\b|i apologi[sz]e\b|unfortunately, (?:i|as)\b"
    r"|(?:as an|i'm an|i am an) (?:ai|artificial intelligence|language model|assistant)\b"
    r"|i (?:cannot|can't|can not|am unable to|'m unable to) (?:assist|help|provide|answer|fulfill|comply)\b"
    r"|(?:i'm|i am|i'd be) (?:happy|glad|here) to (?:help|assist)\b"
    r"|(?:(?:hello|hi|hey|welcome)\b[^.?!\n]{0,30}[.!,]+\s*)?how (?:can|may) i (?:help|assist)(?: you\b|\W*[?!.\n])"
    r"|you(?:'re| are) (?:very |most )?welcome\b"
    r"|here(?:'s| is| are) (?:your|some (?:tips|ideas|examples|ways|suggestions))\b"
    r"|the (?:correct |right |final )?answer is\b|okay, (?:so )?(?:the user|let me|let's|i need to)\b|<think>)",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Health:
    """Summary of a generator's probes.

    Attributes:
        probes: how many there are.
        usable: how many have no fault.
        faults: how many have each fault; a probe can have several.
        examples: the start of one probe per fault, and of a usable one.
    """

    probes: int
    usable: int
    faults: dict[str, int]
    examples: dict[str, str]

    @property
    def share(self) -> float:
        """The share of usable probes; 1 where there are none."""
        return self.usable / self.probes if self.probes else 1.0

    @property
    def conclusive(self) -> bool:
        """Whether there are enough probes to accept or reject the generator."""
        return self.probes >= ENOUGH_PROBES

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON values."""
        counts = {"probes": self.probes, "usable": self.usable, "share": round(self.share, 4)}
        return counts | {"faults": self.faults, "examples": self.examples}

    def problem(self, least: float) -> UserError | None:
        """Returns the error for a generator with a smaller share of usable probes; None where there are few probes."""
        if not self.conclusive or self.share >= least:
            return None
        found = ", ".join(f"{count} {name.replace('_', '-')}" for name, count in self.faults.items() if count)
        worst = max(self.faults, key=lambda name: self.faults[name])
        return UserError(
            "The generator does not write usable instructions.",
            f"{self.usable} of its first {self.probes} are usable, the minimum is {least:.0%}: {found}. For example: "
            f"{self.examples.get(worst, '')!r}",
            "Inspect it with 'sit doctor MODEL'; use a chat model, longer instruction.max_new_tokens if they are "
            "truncated, or start anyway with --set generate.min_healthy=0",
        )


def faults(text: str, truncated: bool = False, earlier: Iterable[str] = ()) -> list[Fault]:
    """Returns what is wrong with an instruction.

    Args:
        text: the instruction.
        truncated: whether it hit the token limit.
        earlier: texts that it must not repeat.
    """
    if not _WORD.search(text):
        return ["empty"]
    found: list[Fault] = []
    if _MARK.search(text):
        found.append("role_leak")
    if _ANSWER.match(text.lstrip(" \n\"'*\u201c").replace("\u2019", "'")):
        found.append("answering")
    if any(_near(text, other) for other in earlier):
        found.append("duplicate")
    if truncated:
        found.append("truncated")
    return found


def examine(texts: Sequence[str], truncated: Sequence[bool], leaked: Sequence[bool] = ()) -> Health:
    """Returns the health of a generator's instructions; repeats of an instruction are duplicates.

    Args:
        texts: the instructions.
        truncated: whether each hit the token limit.
        leaked: whether each ran into another turn by a special token, where it was cut. That is counted as a role leak,
            and the text before it is examined as any other.
    """
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    usable = 0
    for number, (text, cut) in enumerate(zip(texts, truncated, strict=True)):
        found: list[str] = [*faults(text, cut, texts[:number])]
        usable += not found
        if leaked and leaked[number] and "role_leak" not in found:
            found.append("role_leak")
        counts.update(found)
        for name in found or ["usable"]:
            examples.setdefault(name, " ".join(text.split())[:100])
    return Health(len(texts), usable, {name: counts[name] for name in FAULTS}, examples)


def _near(text: str, other: str) -> bool:
    a, b = (set(_WORD.findall(t.lower())) for t in (text, other))
    return bool(a) and len(a & b) >= NEAR * len(a | b)
