"""Constraints on a text's parts: bullets, sentences, title, last phrase, postscript, quotation marks."""

# Sentences stay on one line each; the methods are documented in the base class.

from __future__ import annotations

import re
from random import Random
from typing import Any

from synthetic_instruction_tuner.nano.world.families.constraints.constraint import Constraint
from synthetic_instruction_tuner.nano.world.families.prose import count_sentences
from synthetic_instruction_tuner.nano.world.family import Slots


class Bullets(Constraint):
    """A given number of bullet points."""

    name, rule, stage = "bullets", "detectable_format:number_bullet_lists", 1
    wordings = (
        "Use exactly {n} bullet points that start with a star.",
        "Answer with {n} bullets, each one like this: * point",
        "Give me {n} points as a list with stars.",
        "It must have {n} bullet points (* like this).",
        "Make it a star list of {n} lines.",
    )
    patterns = {"n": "[3-5]"}

    def fill(self, rng: Random) -> Slots:
        return {"n": rng.choice("345")}

    def count(self, slots: Slots) -> int:
        return int(slots["n"])

    def shape(self, rng: Random, slots: Slots, text: str) -> str:
        return "\n".join(f"* {line}" for line in text.split("\n"))

    def broken(self, slots: Slots, text: str) -> str | None:
        found = len(re.findall(r"^\s*\*[^\*].*$", text, re.MULTILINE)) + len(
            re.findall(r"^\s*-.*$", text, re.MULTILINE)
        )
        return None if found == int(slots["n"]) else f"{found} bullets instead of {slots['n']}"

    def arguments(self, slots: Slots) -> dict[str, Any]:
        return {"num_bullets": int(slots["n"])}


_FAREWELLS = (
    "Have a {} day.",
    "That was my {} text.",
    "This is the {} end.",
    "I wish you a {} week.",
    "So ends the {} tale.",
    "Is this {} enough?",
)
_KINDS = ("good", "calm", "sunny", "short", "happy", "small", "quiet", "great")
PHRASES = tuple(f.format(kind) for f in _FAREWELLS for kind in _KINDS)


class EndPhrase(Constraint):
    """A given phrase comes last."""

    name, rule, stage = "end_phrase", "startend:end_checker", 1
    wordings = (
        'Finish with this exact phrase: "{phrase}"',
        'The last words must be "{phrase}"',
        'End your answer with "{phrase}"',
        'Close with the words "{phrase}"',
        'Nothing may come after the final phrase "{phrase}"',
    )
    patterns = {"phrase": '[A-Z][^"]+[.?]'}

    def fill(self, rng: Random) -> Slots:
        return {"phrase": rng.choice(PHRASES)}

    def shape(self, rng: Random, slots: Slots, text: str) -> str:
        return f"{text}\n{slots['phrase']}"

    def broken(self, slots: Slots, text: str) -> str | None:
        return (
            None
            if text.strip().strip('"').lower().endswith(slots["phrase"].lower())
            else "does not end with the phrase"
        )

    def arguments(self, slots: Slots) -> dict[str, Any]:
        return {"end_phrase": slots["phrase"]}


class Quotation(Constraint):
    """Double quotation marks around everything."""

    name, rule, stage = "quotation", "startend:quotation", 3
    wordings = (
        "Put your whole answer in double quotation marks.",
        "Wrap everything in double quotes.",
        "The answer must start and end with a double quote.",
        'Use double quotes (") around all of it.',
        "It should be one big quotation in double quotes.",
    )

    def shape(self, rng: Random, slots: Slots, text: str) -> str:
        return f'"{text}"'

    def broken(self, slots: Slots, text: str) -> str | None:
        text = text.strip()
        return None if len(text) > 1 and text[0] == text[-1] == '"' else "is not in double quotation marks"


class Title(Constraint):
    """A title in double angle brackets."""

    name, rule, stage = "title", "detectable_format:title", 1
    wordings = (
        "Add a title in double angle brackets, like <<title>>.",
        "Give it a title such as <<my title>>.",
        "It needs a title inside << and >>.",
        "Start with a title between << and >>.",
        "Do not forget a <<title>> in angle brackets.",
    )

    def shape(self, rng: Random, slots: Slots, text: str) -> str:
        title = rng.choice(("The {adj} {noun}", "A {noun} in the {place}", "The {place}", "About the {noun}"))
        return f"<<{title.format(**slots)}>>\n{text}"

    def broken(self, slots: Slots, text: str) -> str | None:
        titles = re.findall(r"<<[^\n]+>>", text)
        return None if any(t.lstrip("<").rstrip(">").strip() for t in titles) else "has no title in angle brackets"


class Postscript(Constraint):
    """A postscript at the end."""

    name, rule, stage = "postscript", "detectable_content:postscript", 1
    wordings = (
        "Add a postscript that starts with P.S.",
        "At the end, put a note with P.S.",
        "Finish with a P.S. line.",
        "There should be a P.S. after the text.",
        "Do not forget the P.S. at the bottom.",
    )
    _lines = (
        "P.S. Please write back soon.",
        "P.S. I will tell you more next week.",
        "P.S. The {noun} says hello.",
        "P.S. Come and see the {place} with me.",
        "P.S. Bring a warm coat.",
    )

    def shape(self, rng: Random, slots: Slots, text: str) -> str:
        return f"{text}\n{rng.choice(self._lines).format(**slots)}"

    def broken(self, slots: Slots, text: str) -> str | None:
        return None if re.search(r"\s*p\.\s?s\..*$", text.lower(), re.MULTILINE) else "has no postscript"

    def arguments(self, slots: Slots) -> dict[str, Any]:
        return {"postscript_marker": "P.S."}


class Sentences(Constraint):
    """A given number of sentences or more."""

    name, rule = "sentences", "length_constraints:number_sentences"
    wordings = (
        "Write at least {n} sentences.",
        "It must have {n} sentences or more.",
        "Use no fewer than {n} sentences.",
        "I want at least {n} full sentences.",
        "Do not stop before you have {n} sentences.",
    )
    patterns = {"n": "[3-6]"}

    def fill(self, rng: Random) -> Slots:
        return {"n": rng.choice("3456")}

    def count(self, slots: Slots) -> int:
        return int(slots["n"])

    def broken(self, slots: Slots, text: str) -> str | None:
        found = count_sentences(text)
        return None if found >= int(slots["n"]) else f"{found} sentences instead of {slots['n']}"

    def arguments(self, slots: Slots) -> dict[str, Any]:
        return {"num_sentences": int(slots["n"]), "relation": "at least"}
