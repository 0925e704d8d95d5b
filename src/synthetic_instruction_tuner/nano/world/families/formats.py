"""Verifiable constraints in the sense of IFEval (Zhou et al. 2023, arXiv:2311.07911), on small requests for text.

Each constraint's check says the same as IFEval's own rule, so a student's pass rate here is comparable to that benchmark's.
"""

# Sentences stay on one line each; the methods are documented in the base classes.
# ruff: noqa: E501

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from random import Random
from typing import Any

from synthetic_instruction_tuner.nano.world.families.prose import PLACES, count_sentences, missing, scene, write
from synthetic_instruction_tuner.nano.world.family import Family, Slots
from synthetic_instruction_tuner.nano.world.vocabulary import NOUNS

ASKS = (
    "Write a few lines about the {adj} {noun} in the {place}.",
    "Tell me about the {adj} {noun} near the {place}.",
    "Describe the {adj} {noun} from the {place}.",
    "I need a short text on the {adj} {noun} behind the {place}.",
    "Make up something about the {adj} {noun} and the {place}.",
    "What can you say about the {adj} {noun} at the {place}?",
)


class Constraint(ABC):
    """One rule on the form of a text.

    Class attributes: name; rule, IFEval's id; wordings, with the constraint's slots; patterns of those slots; stage, the
    order in which rules shape a text (layout before case before quotation marks).
    """

    name: str
    rule: str
    wordings: tuple[str, ...]
    patterns: dict[str, str] = {}
    stage = 0

    def fill(self, rng: Random) -> Slots:
        """Returns the rule's own slots."""
        return {}

    def count(self, slots: Slots) -> int:
        """Returns how many sentences the text needs."""
        return 3

    def avoid(self, slots: Slots) -> str | None:
        """Returns what no sentence may contain."""
        return None

    def shape(self, rng: Random, slots: Slots, text: str) -> str:
        """Returns the text (sentences on lines of their own) in a form that follows the rule."""
        return text

    @abstractmethod
    def broken(self, slots: Slots, text: str) -> str | None:
        """Returns how the text breaks the rule, or None."""

    def arguments(self, slots: Slots) -> dict[str, Any]:
        """Returns the keyword arguments of IFEval's rule."""
        return {}


class Lowercase(Constraint):
    """No capital letter."""

    name, rule, stage = "lowercase", "change_case:english_lowercase", 2
    wordings = (
        "Use only lowercase letters.",
        "No capital letters, please.",
        "Everything must be in lower case.",
        "Write it all in small letters.",
        "Your answer must not contain any capital letter.",
    )

    def shape(self, rng: Random, slots: Slots, text: str) -> str:
        return text.lower()

    def broken(self, slots: Slots, text: str) -> str | None:
        return None if text.islower() else "has capital letters"


class Uppercase(Constraint):
    """No small letter."""

    name, rule, stage = "uppercase", "change_case:english_capital", 2
    wordings = (
        "Use only capital letters.",
        "Write everything in capitals.",
        "Your whole answer must be in upper case.",
        "Please shout: capital letters only.",
        "No lowercase letters at all.",
    )

    def shape(self, rng: Random, slots: Slots, text: str) -> str:
        return text.upper()

    def broken(self, slots: Slots, text: str) -> str | None:
        return None if text.isupper() else "has small letters"


class Keywords(Constraint):
    """Two words must occur."""

    name, rule = "keywords", "keywords:existence"
    wordings = (
        "Include the words {a} and {b}.",
        "The words {a} and {b} must appear.",
        "Be sure to use {a} as well as {b}.",
        "Also work in these words: {a}, {b}.",
        "It has to mention {a} and {b}.",
    )
    patterns = {"a": "[a-z]+", "b": "[a-z]+"}
    _lines = (
        "Next to it you can see the {a} and the {b}.",
        "It is often shown with the {a} and the {b}.",
        "Some people prefer the {a} or even the {b}.",
        "It once stood between the {a} and the {b}.",
    )

    def fill(self, rng: Random) -> Slots:
        a, b = rng.sample(NOUNS, 2)
        return {"a": a, "b": b}

    def shape(self, rng: Random, slots: Slots, text: str) -> str:
        first, *rest = text.split("\n")
        return "\n".join([first, rng.choice(self._lines).format(**slots), *rest])

    def broken(self, slots: Slots, text: str) -> str | None:
        absent = [w for w in (slots["a"], slots["b"]) if w not in text.lower()]
        return f"lacks the word {absent[0]!r}" if absent else None

    def arguments(self, slots: Slots) -> dict[str, Any]:
        return {"keywords": [slots["a"], slots["b"]]}


_TEMPTING = (
    "people",
    "day",
    "old",
    "good",
    "year",
    "morning",
    "friend",
    "children",
    "long",
    "story",
    "water",
    "light",
    "time",
    "place",
    "picture",
    "home",
    "color",
    "winter",
    "there",
    "look",
)


class Forbidden(Constraint):
    """One word must not occur."""

    name, rule = "forbidden", "keywords:forbidden_words"
    wordings = (
        "Do not use the word {word}.",
        "The word {word} is forbidden.",
        "Avoid the word {word} at all times.",
        "You may not say {word} in it.",
        "Leave out the word {word}.",
    )
    patterns = {"word": "[a-z]+"}

    def fill(self, rng: Random) -> Slots:
        return {"word": rng.choice(_TEMPTING)}

    def avoid(self, slots: Slots) -> str | None:
        return slots["word"]

    def broken(self, slots: Slots, text: str) -> str | None:
        used = re.search(rf"\b{slots['word']}\b", text, re.IGNORECASE)
        return f"uses the word {slots['word']!r}" if used else None

    def arguments(self, slots: Slots) -> dict[str, Any]:
        return {"forbidden_words": [slots["word"]]}


class Bullets(Constraint):
    """So many bullet points."""

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


class NoComma(Constraint):
    """No comma."""

    name, rule = "no_comma", "punctuation:no_comma"
    wordings = (
        "Do not use any commas.",
        "Write it without commas.",
        "Commas are not allowed.",
        "Please leave out every comma.",
        "There must be no comma in it.",
    )

    def avoid(self, slots: Slots) -> str | None:
        return ","

    def broken(self, slots: Slots, text: str) -> str | None:
        return "has a comma" if "," in text else None


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
    """A given phrase stands last."""

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
    """So many sentences or more."""

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


class Frequency(Constraint):
    """The topic's word occurs so many times or more."""

    name, rule = "frequency", "keywords:frequency"
    wordings = (
        "Use the word {noun} at least {n} times.",
        "The word {noun} has to occur {n} times or more.",
        "Repeat the word {noun}: at least {n} times.",
        "Say {noun} no fewer than {n} times.",
        "I want to read {noun} at least {n} times.",
    )
    patterns = {"n": "[3-5]"}

    def fill(self, rng: Random) -> Slots:
        return {"n": rng.choice("345")}

    def count(self, slots: Slots) -> int:
        return int(slots["n"])

    def broken(self, slots: Slots, text: str) -> str | None:
        found = text.lower().count(slots["noun"])
        return None if found >= int(slots["n"]) else f"says {slots['noun']!r} {found} times"

    def arguments(self, slots: Slots) -> dict[str, Any]:
        return {"keyword": slots["noun"], "frequency": int(slots["n"]), "relation": "at least"}


class Constrained(Family):
    """A request for text under one or two constraints."""

    domain, takes_marks = "format", False

    def __init__(self, *constraints: Constraint) -> None:
        self.constraints = sorted(constraints, key=lambda c: c.stage)
        self.name = ("if_" if len(constraints) == 1 else "if_two_") + "_and_".join(c.name for c in constraints)
        self.weight = 1.0 if len(constraints) == 1 else 0.3
        self.patterns = {"adj": "[a-z]+", "noun": "[a-z]+", "place": "|".join(PLACES)}
        for constraint in constraints:
            self.patterns |= constraint.patterns
        self.templates = tuple(self._templates(constraints))

    @staticmethod
    def _templates(constraints: tuple[Constraint, ...]) -> list[str]:
        lengths = 6 if len(constraints) > 1 else 10
        texts = []
        for i in range(lengths):
            rules = " ".join(c.wordings[(i + 2 * j * (i // 3 + 1)) % 5] for j, c in enumerate(constraints))
            ask = ASKS[(i + i // 5) % 6]
            # A rule with the word in it may stand first only if its place is bounded: quoted phrases end a line best.
            texts.append(f"{rules} {ask}" if i % 3 == 2 else f"{ask} {rules}")
        return texts

    def fill(self, rng: Random) -> Slots:
        slots = scene(rng)
        for constraint in self.constraints:
            slots |= constraint.fill(rng)
        return slots if self.solvable(slots) else self.fill(rng)

    def solvable(self, slots: Slots) -> bool:
        return slots.get("word") not in (slots["adj"], slots["noun"], slots["place"])

    def answer(self, rng: Random, slots: Slots) -> str:
        count = max(c.count(slots) for c in self.constraints)
        avoid = next((a for c in self.constraints if (a := c.avoid(slots))), None)
        text = "\n".join(write(rng, slots, count, avoid))
        layout = any(isinstance(c, Bullets) for c in self.constraints)
        for stage in range(4):
            if stage == 1 and not layout:
                text = text.replace("\n", " ")
            for constraint in self.constraints:
                if constraint.stage == stage:
                    text = constraint.shape(rng, slots, text)
        return text

    def fault(self, slots: Slots, response: str) -> str | None:
        return self.broken(slots, response) or missing(response, (slots["adj"], slots["noun"], slots["place"]))

    def broken(self, slots: Slots, response: str) -> str | None:
        """Returns which of IFEval's rules the response breaks, or None; whether it is on topic is `fault`'s business."""
        return next((found for c in self.constraints if (found := c.broken(slots, response))), None)

    def ifeval(self, slots: Slots) -> list[tuple[str, dict[str, Any]]]:
        """Returns the ids and keyword arguments of IFEval's rules for the same constraints."""
        return [(c.rule, c.arguments(slots)) for c in self.constraints]


LOWERCASE, UPPERCASE, KEYWORDS, FORBIDDEN, BULLETS = Lowercase(), Uppercase(), Keywords(), Forbidden(), Bullets()
NO_COMMA, END_PHRASE, QUOTATION, TITLE = NoComma(), EndPhrase(), Quotation(), Title()
POSTSCRIPT, SENTENCES, FREQUENCY = Postscript(), Sentences(), Frequency()
SINGLE = (
    LOWERCASE,
    UPPERCASE,
    KEYWORDS,
    FORBIDDEN,
    BULLETS,
    NO_COMMA,
    END_PHRASE,
    QUOTATION,
    TITLE,
    POSTSCRIPT,
    SENTENCES,
    FREQUENCY,
)
PAIRS = (
    (LOWERCASE, BULLETS), (LOWERCASE, NO_COMMA), (UPPERCASE, NO_COMMA), (LOWERCASE, QUOTATION), (KEYWORDS, NO_COMMA),
    (BULLETS, TITLE), (TITLE, POSTSCRIPT), (FORBIDDEN, QUOTATION), (KEYWORDS, END_PHRASE), (SENTENCES, TITLE),
)  # fmt: skip
FAMILIES: tuple[Constrained, ...] = (*(Constrained(c) for c in SINGLE), *(Constrained(*pair) for pair in PAIRS))
