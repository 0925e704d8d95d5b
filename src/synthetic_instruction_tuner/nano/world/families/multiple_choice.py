"""Questions with one right choice: multiple choice, opposites, the odd word out, and yes or no with a reason."""

# Sentences stay on one line each; the methods are documented in the base classes.
# ruff: noqa: E501

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

from synthetic_instruction_tuner.nano.world.families import facts
from synthetic_instruction_tuner.nano.world.families.prose import mentions, missing
from synthetic_instruction_tuner.nano.world.family import Family, Slots, Split, split_of
from synthetic_instruction_tuner.nano.world.vocabulary import ANIMALS, COLORS, NAMES, OPPOSITES

CATEGORIES: dict[str, tuple[str, ...]] = {
    "animal": tuple(a for a in ANIMALS if a not in ("fish", "seal", "mole", "bull", "swan", "robin")),
    "color": tuple(c for c in COLORS if c not in ("orange", "silver")),
    "fruit": ("apple", "banana", "pear", "peach", "plum", "lemon", "melon", "cherry", "fig", "grape"),
    "tool": ("hammer", "axe", "needle", "broom", "knife", "rake", "saw", "drill", "shovel", "brush"),
    "piece of clothing": ("hat", "scarf", "sock", "shoe", "glove", "coat", "shirt", "jacket", "dress", "apron"),
}
_CATEGORY_OF = {word: category for category, words in CATEGORIES.items() for word in words}
_OPPOSITES: dict[str, set[str]] = {}
for _first, _second in OPPOSITES:
    _OPPOSITES.setdefault(_first, set()).add(_second)
    _OPPOSITES.setdefault(_second, set()).add(_first)
_VERDICT_WORDS = {"right", "wrong", "yes", "no", "true", "false"}  # would be mistaken for a verdict on a claim
_OPPOSITE_WORDS = tuple(_OPPOSITES)
_KINDS = "|".join(CATEGORIES)
_TOWN = "|".join(facts.TOWNS)


def _article(category: str) -> str:
    return f"an {category}" if category[0] in "aeiou" else f"a {category}"


def question(rng: Random) -> tuple[str, str, list[str]]:
    """Returns a question, its right answer and several wrong ones."""
    kind = rng.randrange(4)
    if kind == 0:
        word = rng.choice(_OPPOSITE_WORDS)
        right = min(_OPPOSITES[word])
        wrong = [w for w in rng.sample(_OPPOSITE_WORDS, 8) if w != word and w not in _OPPOSITES[word]]
        return (
            rng.choice(("What is the opposite of {w}?", "Which word is the opposite of {w}?")).format(w=word),
            right,
            wrong,
        )
    if kind == 1:
        category, *others = rng.sample(list(CATEGORIES), 4)
        wrong = [rng.choice(CATEGORIES[other]) for other in others]
        text = rng.choice(("Which of these is {c}?", "Which word is the name of {c}?"))
        return text.format(c=_article(category)), rng.choice(CATEGORIES[category]), wrong
    if kind == 2:
        town, attribute = rng.choice(list(facts.TOWNS)), rng.choice(list(facts.THINGS))
        right = getattr(facts.TOWNS[town], attribute)
        wrong = [v for v in rng.sample(facts.values(attribute), 5) if v != right]
        return f"What is the {facts.THINGS[attribute][0]} of {town}?", right, wrong
    x, y = rng.randint(2, 20), rng.randint(2, 20)
    near = [str(x + y + d) for d in rng.sample((-3, -2, -1, 1, 2, 3, 10), 4)]
    return (
        rng.choice(("How much is {x} plus {y}?", "What do you get for {x} + {y}?")).format(x=x, y=y),
        str(x + y),
        near,
    )


_SOLVERS = (
    (re.compile(r"(?:What is|Which word is) the opposite of ([a-z]+)\?"), lambda m, o: o in _OPPOSITES.get(m[1], ())),
    (re.compile(rf"Which (?:of these is|word is the name of) an? ({_KINDS})\?"), lambda m, o: o in CATEGORIES[m[1]]),
    (
        re.compile(r"(?:How much is|What do you get for) (\d+) (?:plus|\+) (\d+)\?"),
        lambda m, o: o == str(int(m[1]) + int(m[2])),
    ),
    (
        re.compile(rf"What is the ({'|'.join(facts.ATTRIBUTE_OF)}) of ({_TOWN})\?"),
        lambda m, o: o == getattr(facts.TOWNS[m[2]], facts.ATTRIBUTE_OF[m[1]]),
    ),
)


def right_options(text: str, options: list[str]) -> list[int]:
    """Returns the places of the options that answer the question rightly."""
    for pattern, holds in _SOLVERS:
        if match := pattern.fullmatch(text):
            return [i for i, option in enumerate(options) if holds(match, option)]
    return []


def _item(rng: Random) -> tuple[str, list[str], int]:
    text, right, wrong = question(rng)
    options = [right, *wrong[:3]]
    rng.shuffle(options)
    return text, options, options.index(right)


def _choice_key(text: str, options: Sequence[str], right: str) -> str:
    """Returns the key: the question with its right answer, and where these are held out, with all four options.

    Were every item with a held-out answer held out, a model would only ever see that answer among the wrong options, and
    learn that it is wrong. So of such items, too, only one set of options in `EVAL_SHARE` is held out.
    """
    key = f"multiple_choice|{text}|{right}".lower()
    return key if split_of(key) == "train" else "|".join([key, *sorted(options)]).lower()


def choice_item(rng: Random, split: Split) -> tuple[str, tuple[str, ...], int]:
    """Returns a question of the split, its four choices and the right one's index."""
    while True:
        text, options, right = _item(rng)
        if split_of(_choice_key(text, options, options[right])) == split:
            return text, tuple(options), right


class MultipleChoice(Family):
    """A question with four lettered options."""

    name, domain, weight = "multiple_choice", "choice", 1.6
    templates = (
        "{question}\nA) {a}\nB) {b}\nC) {c}\nD) {d}",
        "Choose the right letter. {question}\nA) {a}\nB) {b}\nC) {c}\nD) {d}",
        "{question} Pick one.\nA) {a}\nB) {b}\nC) {c}\nD) {d}",
        "Here is a quiz question: {question}\nA) {a}\nB) {b}\nC) {c}\nD) {d}",
        "Only one answer is right. {question}\nA) {a}\nB) {b}\nC) {c}\nD) {d}",
    )
    patterns = {"question": r"(?:What|Which|How)[^\n?]+\?"} | dict.fromkeys("abcd", r"[^\n]+")
    # The option comes before its letter: a tiny model cannot name the letter of something that it has not found yet.
    _wordings = (
        "Only {o} is right here, and it stands behind the letter {L}. The other three do not answer the question at all.",
        "When I read the four options one after the other, the one that fits is {o}. So my choice is {L}, and I am quite sure of it.",
        "I know that it has to be {o}. This is option {L}, and each of the other three options is wrong for this question.",
        "The option that we look for is {o}. So the right letter is {L}, and if you think again, nothing else fits.",
    )

    def fill(self, rng: Random) -> Slots:
        text, options, _ = _item(rng)
        return {"question": text, **dict(zip("abcd", options, strict=True))}

    def key(self, slots: Slots, template: str) -> str:
        options = [slots[k] for k in "abcd"]
        return _choice_key(slots["question"], options, options[self._right(slots)])

    def solvable(self, slots: Slots) -> bool:
        options = [slots[k] for k in "abcd"]
        return len(set(options)) == 4 and len(right_options(slots["question"], options)) == 1

    def answer(self, rng: Random, slots: Slots) -> str:
        right = "abcd"[self._right(slots)]
        return rng.choice(self._wordings).format(L=right.upper(), o=slots[right])

    def fault(self, slots: Slots, response: str) -> str | None:
        letter = "ABCD"[self._right(slots)]
        named = set(re.findall(r"\b(?:A(?! [a-z])|[B-D])\b", response))
        return None if named == {letter} else f"the answer is {letter}"

    @staticmethod
    def _right(slots: Slots) -> int:
        return right_options(slots["question"], [slots[k] for k in "abcd"])[0]


class Opposite(Family):
    """The opposite of a word, with a few words about it."""

    name, domain, weight = "opposite", "choice", 0.8
    templates = (
        "What is the opposite of {word}?",
        "Give {name} the opposite of {word}.",
        "Which word means the reverse of {word}?",
        "{name} wants to know: what is not {word}?",
        "Turn {word} into its opposite for {name}.",
        "Name a word against {word}, please.",
    )
    patterns = {"word": "|".join(_OPPOSITES), "name": "[A-Z][a-z]+"}
    _wordings = (
        'The opposite of "{w}" is "{o}". The two words form a pair, and most people learn both of them at the same time.',
        'The word that you are looking for is "{o}". It stands at the other end from "{w}", so the two never go together.',
        'If something is not "{w}" at all, we use the word "{o}". You can write both on one card to remember them.',
        'It is "{o}". Think of a thing that changes: first we say "{w}" about it, and after the change we say the other.',
    )

    def fill(self, rng: Random) -> Slots:
        return {"word": rng.choice(_OPPOSITE_WORDS), "name": rng.choice(NAMES)}

    def key(self, slots: Slots, template: str) -> str:
        name = slots.get("name", "") if "{name}" in template else ""
        return f"opposite|{slots['word']}|{name}|{template}"

    def answer(self, rng: Random, slots: Slots) -> str:
        return rng.choice(self._wordings).format(w=slots["word"], o=rng.choice(sorted(_OPPOSITES[slots["word"]])))

    def fault(self, slots: Slots, response: str) -> str | None:
        quoted = set(re.findall(r'"([a-z]+)"', response)) - {slots["word"]}
        right = _OPPOSITES[slots["word"]]
        if quoted and not quoted <= right:
            return f"names {sorted(quoted - right)[0]!r}"
        return None if any(mentions(response, word) for word in right) else f"lacks {min(right)!r}"


class OddOneOut(Family):
    """Three words of one kind and one of another."""

    name, domain, weight = "odd_one_out", "choice", 1.2
    templates = (
        "Which word does not belong: {a}, {b}, {c}, {d}?",
        "Find the odd one out: {a}, {b}, {c}, {d}.",
        "One of these is different: {a}, {b}, {c}, {d}. Which?",
        "Look at {a}, {b}, {c} and {d}. Which one does not fit?",
        "From {a}, {b}, {c}, {d}, remove the word of another kind.",
    )
    patterns = dict.fromkeys("abcd", "[a-z]+")
    _wordings = (
        'The word that does not belong is "{o}". It is {k}, while each of the other three words is the name of {m}.',
        'Three of the four words stand for {m}. Only "{o}" is not like them, because it is {k}. So this one must go.',
        'It is "{o}". This word means {k}, but {x}, {y} and {z} all have something in common: each one is {m}.',
        'Take away "{o}". The words {x}, {y} and {z} belong together, since each of them is {m}, and the odd one is {k}.',
    )

    def fill(self, rng: Random) -> Slots:
        most, other = rng.sample(list(CATEGORIES), 2)
        words = [*rng.sample(CATEGORIES[most], 3), rng.choice(CATEGORIES[other])]
        rng.shuffle(words)
        return dict(zip("abcd", words, strict=True))

    def solvable(self, slots: Slots) -> bool:
        kinds = [_CATEGORY_OF.get(slots[k], "") for k in "abcd"]
        return "" not in kinds and len(set(slots.values())) == 4 and sorted(map(kinds.count, kinds)) == [1, 3, 3, 3]

    def answer(self, rng: Random, slots: Slots) -> str:
        odd = self._odd(slots)
        x, y, z = (slots[k] for k in "abcd" if slots[k] != odd)
        return rng.choice(self._wordings).format(
            o=odd, x=x, y=y, z=z, k=_article(_CATEGORY_OF[odd]), m=_article(_CATEGORY_OF[x])
        )

    def fault(self, slots: Slots, response: str) -> str | None:
        odd = self._odd(slots)
        quoted = set(re.findall(r'"([a-z]+)"', response)) or {w for w in slots.values() if mentions(response, w)}
        return None if quoted == {odd} else f"the odd word is {odd!r}"

    @staticmethod
    def _odd(slots: Slots) -> str:
        kinds = [_CATEGORY_OF[slots[k]] for k in "abcd"]
        return next(slots[k] for k, kind in zip("abcd", kinds, strict=True) if kinds.count(kind) == 1)


class YesNo(Family):
    """A claim to judge, with a reason."""

    name, domain, weight = "yes_no", "choice", 1.2
    templates = (
        "Is it right that {claim}? Give a reason.",
        "My friend says that {claim}. Is this true, and why?",
        "I read that {claim}. Explain whether this is so.",
        "Judge this claim and explain: {claim}.",
        "They say {claim}. Can you check that for me?",
        "Would you agree that {claim}? Say why.",
    )
    patterns = {
        "claim": rf"(?:[a-z]+ is an? (?:{_KINDS})|\d+ is (?:larger|smaller) than \d+|[a-z]+ is the opposite of [a-z]+)"
    }

    def fill(self, rng: Random) -> Slots:
        while not self.solvable(slots := {"claim": self._claim(rng)}):
            pass
        return slots

    @staticmethod
    def _claim(rng: Random) -> str:
        kind = rng.randrange(3)
        if kind == 0:
            category = rng.choice(list(CATEGORIES))
            other = category if rng.random() < 0.5 else rng.choice(list(CATEGORIES))
            return f"{rng.choice(CATEGORIES[other])} is {_article(category)}"
        if kind == 1:
            x, y = rng.sample(range(2, 100), 2)
            return f"{x} is {rng.choice(('larger', 'smaller'))} than {y}"
        word = rng.choice(_OPPOSITE_WORDS)
        other = min(_OPPOSITES[word]) if rng.random() < 0.5 else rng.choice(_OPPOSITE_WORDS)
        return f"{other} is the opposite of {word}"

    def solvable(self, slots: Slots) -> bool:
        return self._judge(slots["claim"]) is not None

    def answer(self, rng: Random, slots: Slots) -> str:
        claim = slots["claim"]
        right, reason = self._judge(claim) or (False, "")
        # The reason comes before the verdict, for the same reason as the option before its letter.
        wording = rng.choice(
            (
                "We know that {r}. So the answer is {yes}, and the sentence that {c} is {true}. This is easy to check.",
                "As a matter of fact, {r}. This tells us: {yes}, the claim that {c} is {true}. You can look it up in a book.",
                "Here is the reason: {r}. I looked at it twice to be sure, and I say {yes}, the claim is {true} as it stands.",
                "Think about it for a moment: {r}. For this reason I say {yes}, it is {true} that {c}. There is no way around it.",
            )
        )
        yes, true = ("yes", "right") if right else ("no", "wrong")
        return wording.format(yes=yes, true=true, c=claim, r=reason)

    def fault(self, slots: Slots, response: str) -> str | None:
        right, _ = self._judge(slots["claim"]) or (False, "")
        found = re.search(r"\b(yes|no)\b", response, re.IGNORECASE)
        if found is None:
            return "says neither yes nor no"
        said = found[1].lower() == "yes"
        if said != right or mentions(response, "wrong" if right else "right"):
            return f"the claim is {'right' if right else 'wrong'}"
        words = slots["claim"].split()
        return missing(response, (words[-1 if "opposite" in words else 0],))

    @staticmethod
    def _judge(claim: str) -> tuple[bool, str] | None:
        """Returns whether the claim holds and a true sentence about it, or None where it cannot be known."""
        first, rest = claim.split(" is ", 1)
        if first.isdigit():
            x, y = int(first), int(rest.split()[-1])
            order = "larger" if x > y else "smaller"
            return None if x == y else (rest.startswith(order), f"{x} is {order} than {y}")
        if rest.startswith("the opposite of"):
            word = rest.split()[-1]
            if first not in _OPPOSITES or word not in _OPPOSITES or first == word:
                return None
            if ({first, word} | _OPPOSITES[word]) & _VERDICT_WORDS:
                return None
            return first in _OPPOSITES[word], f"the opposite of {word} is {min(_OPPOSITES[word])}"
        if first not in _CATEGORY_OF:
            return None
        kind = _CATEGORY_OF[first]
        return rest.split(" ", 1)[1] == kind, f"{first} is {_article(kind)}"


FAMILIES: tuple[Family, ...] = (MultipleChoice(), Opposite(), OddOneOut(), YesNo())
