"""Second turns: what a user asks about the assistant's previous answer, checkable from that answer's text alone."""

# Sentences stay on one line each; the methods are documented in the base classes.
# ruff: noqa: E501

from __future__ import annotations

import re
from random import Random

from synthetic_instruction_tuner.nano.world.family import FollowUp, Slots

AFTER = (
    "town_fact",
    "town_compare",
    "town_summary",
    "describe",
    "advice",
    "story",
    "odd_one_out",
    "yes_no",
    "opposite",
)


def sentences(text: str) -> list[str]:
    """Returns the text's sentences."""
    return [part for part in re.split(r"(?<=[.!?])\s+", text.strip()) if part]


def _squeeze(text: str) -> str:
    """Returns the text with every run of white space as one space."""
    return " ".join(text.split())


class Capitals(FollowUp):
    """The same answer in capital letters."""

    name, after = "again_in_capitals", AFTER
    templates = (
        "Now write that in capital letters.",
        "Can you say that in capitals?",
        "Please repeat it all in upper case.",
        "Once more, with capital letters only.",
        "Make the whole answer upper case.",
    )

    def fill(self, rng: Random, previous: str) -> Slots | None:
        return {}

    def answer(self, rng: Random, slots: Slots, previous: str) -> str:
        return previous.upper()

    def fault(self, slots: Slots, previous: str, response: str) -> str | None:
        return None if _squeeze(response) == _squeeze(previous.upper()) else "is not the answer in capital letters"


class Lowercase(FollowUp):
    """The same answer in small letters."""

    name, after = "again_in_lowercase", AFTER
    templates = (
        "Now write that in small letters.",
        "Can you say that in lower case?",
        "Please repeat it all without capital letters.",
        "Once more, with small letters only.",
        "Make the whole answer lower case.",
    )

    def fill(self, rng: Random, previous: str) -> Slots | None:
        return {}

    def answer(self, rng: Random, slots: Slots, previous: str) -> str:
        return previous.lower()

    def fault(self, slots: Slots, previous: str, response: str) -> str | None:
        return None if _squeeze(response) == _squeeze(previous.lower()) else "is not the answer in small letters"


class Quoted(FollowUp):
    """The same answer in double quotation marks."""

    name, after = "again_in_quotes", AFTER
    templates = (
        "Put your last answer in double quotes.",
        "Now wrap that answer in double quotation marks.",
        "Say it again inside double quotes.",
        "I want to cite you: repeat it in double quotation marks.",
        "Repeat your answer as a quotation.",
    )

    def fill(self, rng: Random, previous: str) -> Slots | None:
        return {}

    def answer(self, rng: Random, slots: Slots, previous: str) -> str:
        return f'"{previous}"'

    def fault(self, slots: Slots, previous: str, response: str) -> str | None:
        return None if _squeeze(response) == _squeeze(f'"{previous}"') else "is not the answer in double quotes"


class FirstSentence(FollowUp):
    """The first sentence of the answer."""

    name, after = "first_sentence", AFTER
    templates = (
        "What was your first sentence?",
        "Repeat only the first sentence of that.",
        "How did your answer begin?",
        "Say the first sentence once more.",
        "I missed the start. What was the first sentence?",
    )
    _wordings = (
        "My answer began with this sentence: {s} After that, I only added a little more to make the matter clear to you.",
        "Of course. The first sentence that I wrote was this one: {s} Please tell me if you want to hear the rest as well.",
        "I started like this: {s} That was the very first sentence, and everything else in my answer came right after it.",
        "Here is the start again, word for word: {s} I hope that this is the part which you have missed.",
    )

    def fill(self, rng: Random, previous: str) -> Slots | None:
        return {} if len(sentences(previous)) > 1 else None

    def answer(self, rng: Random, slots: Slots, previous: str) -> str:
        return rng.choice(self._wordings).format(s=sentences(previous)[0])

    def fault(self, slots: Slots, previous: str, response: str) -> str | None:
        first, *rest = sentences(previous)
        if first not in response:
            return "lacks the first sentence"
        return "repeats more than the first sentence" if rest and rest[0] in response else None


class CountSentences(FollowUp):
    """How many sentences the answer had."""

    name, after = "count_sentences", AFTER
    templates = (
        "How many sentences did you write?",
        "Count the sentences in your answer.",
        "Tell me the number of sentences above.",
        "Was that long? How many sentences did it have?",
        "Please count your sentences.",
    )
    _wordings = (
        "My answer had {n} sentences. I counted every full stop, and then I counted them all again to be quite sure about it.",
        "I wrote {n} sentences in that answer. You can check this when you look at the marks at the end of each of them.",
        "There were {n} sentences in all. I went through the text from the start to the end and counted one after the other.",
        "The number is {n}. That is how many sentences you can find in my last answer from the start to the end.",
    )

    def fill(self, rng: Random, previous: str) -> Slots | None:
        return {} if len(sentences(previous)) > 1 else None

    def answer(self, rng: Random, slots: Slots, previous: str) -> str:
        return rng.choice(self._wordings).format(n=len(sentences(previous)))

    def fault(self, slots: Slots, previous: str, response: str) -> str | None:
        count = str(len(sentences(previous)))
        return None if set(re.findall(r"\d+", response)) == {count} else f"there are {count} sentences"


class LastWord(FollowUp):
    """The last word of the answer."""

    name, after = "last_word", AFTER
    templates = (
        "What was the last word of your answer?",
        "Which word did you end with?",
        "Give me the very last word again.",
        "Your answer ended with which word?",
        "Repeat the last word only, please.",
    )
    _wordings = (
        'The last word of my answer was "{w}". It stands right before the full stop, and nothing else came after that.',
        'I ended with the word "{w}". If you look at the end of the text, you will find it there once more.',
        'My answer closed with "{w}". That is the final word in the text, so there is nothing that comes after it.',
        'It was the word "{w}". You can see it at the very end of what I told you just a moment ago.',
    )

    def fill(self, rng: Random, previous: str) -> Slots | None:
        return {} if self._word(previous) else None

    def answer(self, rng: Random, slots: Slots, previous: str) -> str:
        return rng.choice(self._wordings).format(w=self._word(previous))

    def fault(self, slots: Slots, previous: str, response: str) -> str | None:
        word = self._word(previous)
        return None if re.findall(r'"([^"]*)"', response) == [word] else f"the last word is {word!r}"

    @staticmethod
    def _word(text: str) -> str:
        words: list[str] = re.findall(r"[A-Za-z0-9]+", text)
        return words[-1] if words else ""


_LINES = (
    "I hope this helps.",
    "Have a nice day.",
    "See you soon.",
    "Thank you for asking.",
    "That is all for now.",
    "Please ask again.",
    "Good luck with it.",
    "Best wishes to you.",
)


class AddLine(FollowUp):
    """The same answer with a given last sentence."""

    name, after = "add_line", AFTER
    templates = (
        'Say it again and add the line "{line}"',
        'Repeat your answer and end it with "{line}"',
        'Now add "{line}" at the end.',
        'I would like the same text with "{line}" after it.',
        'Please put "{line}" behind your answer.',
    )
    patterns = {"line": '[A-Z][^"]+'}

    def fill(self, rng: Random, previous: str) -> Slots | None:
        return {"line": rng.choice(_LINES)}

    def answer(self, rng: Random, slots: Slots, previous: str) -> str:
        return f"{previous} {slots['line']}"

    def fault(self, slots: Slots, previous: str, response: str) -> str | None:
        right = _squeeze(f"{previous} {slots['line']}")
        return None if _squeeze(response) == right else "is not the answer with the line added"


FOLLOW_UPS: tuple[FollowUp, ...] = (
    Capitals(),
    Lowercase(),
    Quoted(),
    FirstSentence(),
    CountSentences(),
    LastWord(),
    AddLine(),
)
FAMILIES: tuple[()] = ()
