"""Facts about a fictional country: thirty-six towns, each with a river, founder, year, product, mayor and festival.

The table is finite, so a held-out task is an unseen combination of town, fact and phrasing.
"""

# Sentences stay on one line each; the methods are documented in the base classes.
# ruff: noqa: E501

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from synthetic_instruction_tuner.nano.world.family import Family, Slots

_STARTS = ("Al", "Bel", "Cor", "Dor", "El", "Fen", "Gar", "Hol", "Mar", "Nor", "Ros", "Win")
_ENDS = ("den", "mont", "wick")
_RIVERS = ("Moss", "Silver", "Stone", "Reed", "Amber", "Swan", "Clear", "Otter", "Long", "Pine", "Bell", "Ash")
_FIRST = ("Ada", "Ivan", "Nora", "Otto", "Rosa", "Hugo", "Clara", "Felix", "Greta")
_LAST = ("Brown", "Lake", "Hill", "West", "Field", "Wood", "Stone", "Fox", "Marsh", "King", "Bird")
_PRODUCTS = ("honey", "cheese", "paper", "glass", "wool", "bread", "boats", "clocks", "candles", "salt", "tea", "shoes")
_FESTIVALS = ("Lantern", "Harvest", "Music", "Snow", "Flower", "Kite", "Book", "Moon", "Apple")


@dataclass(frozen=True, slots=True)
class Town:
    """A town and the facts about it."""

    name: str
    river: str
    founder: str
    year: str
    product: str
    mayor: str
    festival: str


def _town(i: int, name: str) -> Town:
    """Returns the town's row; steps that share no factor with the lists' lengths keep the columns independent."""
    return Town(
        name=name,
        river=f"{_RIVERS[(5 * i + i // 12) % 12]} River",
        founder=f"{_FIRST[(4 * i + i // 9) % 9]} {_LAST[(3 * i + 1) % 11]}",
        year=str(1600 + (137 * i + 41) % 300),
        product=_PRODUCTS[(7 * i + 3 + 2 * (i // 12)) % 12],
        mayor=f"{_FIRST[(2 * i + 5 + i // 9) % 9]} {_LAST[(7 * i + 6) % 11]}",
        festival=f"{_FESTIVALS[(5 * i + 2 + 2 * (i // 9)) % 9]} Festival",
    )


TOWNS = {name: _town(i, name) for i, name in enumerate(s + e for e in _ENDS for s in _STARTS)}
THINGS = {
    "river": ("river", "local river", "name of the river"),
    "founder": ("founder", "first founder", "name of the founder"),
    "year": ("founding year", "year of birth", "starting year"),
    "product": ("main product", "best known product", "chief product"),
    "mayor": ("mayor", "present mayor", "name of the mayor"),
    "festival": ("festival", "yearly festival", "big festival"),
}
ATTRIBUTE_OF = {phrase: attribute for attribute, phrases in THINGS.items() for phrase in phrases}
SENTENCES = {
    "river": ("The {v} flows through {t}", "{t} lies on the {v}", "The river in {t} is the {v}"),
    "founder": ("{t} was founded by {v}", "The founder of {t} was {v}", "It was {v} who founded {t}"),
    "year": ("{t} was founded in {v}", "The town of {t} began in the year {v}", "The founding year of {t} is {v}"),
    "product": ("{t} is known for its {v}", "People in {t} make {v}", "The main product of {t} is {v}"),
    "mayor": ("The mayor of {t} is {v}", "{v} is the mayor of {t}", "Today {t} is led by mayor {v}"),
    "festival": ("{t} holds the {v} every year", "The festival of {t} is the {v}", "Each year {t} has its {v}"),
}
_REMARKS = (
    "Many people learn this when they visit the town for the first time and walk along its old streets.",
    "You can read about it in the small museum that stands next to the town hall on the main square.",
    "Everyone who lives there knows it, and the children hear about it in their first year at school.",
    "If you ever go there, ask the people at the market and they will be glad to tell you more.",
    "This is written on an old sign near the bridge, so it is easy to find for every visitor.",
    "It is one of the first things that guests hear when they come to the town on a day trip.",
)


def values(attribute: str) -> tuple[str, ...]:
    """Returns all different values of one column, in the table's order."""
    return _values(attribute)


@lru_cache
def _values(attribute: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(getattr(town, attribute)) for town in TOWNS.values()))


@lru_cache
def _pattern_of(attribute: str) -> re.Pattern[str]:
    return re.compile(r"\b(?:" + "|".join(map(re.escape, values(attribute))) + r")\b", re.IGNORECASE)


def mentioned(attribute: str, text: str) -> set[str]:
    """Returns the column's values that occur in the text, in lower case."""
    return {found.lower() for found in _pattern_of(attribute).findall(text)}


def state(rng: Random, town: str, attribute: str) -> str:
    """Returns a sentence, without its full stop, that states one fact."""
    return rng.choice(SENTENCES[attribute]).format(t=town, v=getattr(TOWNS[town], attribute))


_TOWN = "|".join(TOWNS)


class TownFact(Family):
    """One fact about one town."""

    name, domain, weight = "town_fact", "facts", 1.6
    templates = (
        "What is the {thing} of {town}?",
        "Please tell me the {thing} of {town}.",
        "{town}: what is its {thing}?",
        "Do you know the {thing} that {town} has?",
        "I am reading about {town}. What is the {thing}?",
        "Which {thing} belongs to {town}?",
        "Give me the {thing} for the town {town}.",
        "My quiz asks for the {thing} of {town}.",
        "About {town}: name the {thing}.",
    )
    patterns = {"thing": "|".join(ATTRIBUTE_OF), "town": _TOWN}

    def fill(self, rng: Random) -> Slots:
        return {"thing": rng.choice(list(ATTRIBUTE_OF)), "town": rng.choice(list(TOWNS))}

    def key(self, slots: Slots, template: str) -> str:
        return f"{super().key(slots, template)}|{template}"

    def answer(self, rng: Random, slots: Slots) -> str:
        fact = state(rng, slots["town"], ATTRIBUTE_OF[slots["thing"]])
        lead = rng.choice(("{f}.", "{f}.", "I can tell you: {f}.", "Here is the answer. {f}."))
        return f"{lead.format(f=fact)} {rng.choice(_REMARKS)}"

    def fault(self, slots: Slots, response: str) -> str | None:
        attribute = ATTRIBUTE_OF[slots["thing"]]
        right = getattr(TOWNS[slots["town"]], attribute)
        return None if mentioned(attribute, response) == {right.lower()} else f"the {attribute} is {right}"


class TownCompare(Family):
    """Which of two towns is older or younger: recall two years and compare them."""

    name, domain, weight = "town_compare", "facts", 1.0
    templates = (
        "Which town is {which}, {a} or {b}?",
        "Is {a} or {b} the {which} town?",
        "Compare {a} with {b}: which one is {which}?",
        "Of the towns {a} and {b}, name the {which} one.",
        "I visited {a} and {b}. Which is {which}?",
        "{a} or {b}: which town is {which}?",
    )
    patterns = {"which": "older|younger", "a": _TOWN, "b": _TOWN}

    def fill(self, rng: Random) -> Slots:
        a, b = rng.sample(list(TOWNS), 2)
        return {"which": rng.choice(("older", "younger")), "a": a, "b": b}

    def key(self, slots: Slots, template: str) -> str:
        return f"{super().key(slots, template)}|{template}"

    def solvable(self, slots: Slots) -> bool:
        return TOWNS[slots["a"]].year != TOWNS[slots["b"]].year

    def answer(self, rng: Random, slots: Slots) -> str:
        a, b, which, right = slots["a"], slots["b"], slots["which"], self._right(slots)
        years = {"a": a, "b": b, "y": TOWNS[a].year, "z": TOWNS[b].year, "w": which, "r": right}
        wording = rng.choice(
            (
                "{a} was founded in {y} and {b} was founded in {z}. If we put the two years side by side, we see that {r} is the {w} town.",
                "Let us look at the founding years. For {a} it is {y}, and for {b} it is {z}. So {r} is the {w} town of the two.",
                "The town of {a} began in {y}, while the town of {b} began in {z}. This means that {r} is the {w} one of the two towns.",
                "We compare two years: {a} started in {y} and {b} started in {z}. From these numbers it is clear that {r} is the {w} town.",
            )
        )
        return wording.format(**years)

    def fault(self, slots: Slots, response: str) -> str | None:
        right, other = self._right(slots), slots["b"] if self._right(slots) == slots["a"] else slots["a"]
        found = re.findall(rf"\b({_TOWN})\b is the {slots['which']}", response)
        if found != [right]:
            return f"{right} is {slots['which']} than {other}"
        for town in (right, other):
            if not re.search(rf"\b{TOWNS[town].year}\b", response):
                return f"the year of {town} is missing"
        return None

    @staticmethod
    def _right(slots: Slots) -> str:
        a, b = slots["a"], slots["b"]
        return a if (int(TOWNS[a].year) < int(TOWNS[b].year)) == (slots["which"] == "older") else b


class TownSummary(Family):
    """A short portrait of a town that names four of its facts."""

    name, domain, weight = "town_summary", "facts", 0.8
    templates = (
        "Give me a short portrait of {town} with its {x} and {y}.",
        "Summarize {town}. Include the {x} and the {y}.",
        "I am going to {town}. Tell me its {x} and {y}.",
        "What are the {x} and the {y} of {town}?",
        "Write two or three sentences on {town}: {x}, {y}.",
        "For a travel guide, state the {x} and {y} of {town}.",
    )
    patterns = {"town": _TOWN, "x": "|".join(ATTRIBUTE_OF), "y": "|".join(ATTRIBUTE_OF)}

    def fill(self, rng: Random) -> Slots:
        x, y = rng.sample(list(THINGS), 2)
        return {"town": rng.choice(list(TOWNS)), "x": rng.choice(THINGS[x]), "y": rng.choice(THINGS[y])}

    def key(self, slots: Slots, template: str) -> str:
        return f"{super().key(slots, template)}|{template}"

    def solvable(self, slots: Slots) -> bool:
        return ATTRIBUTE_OF[slots["x"]] != ATTRIBUTE_OF[slots["y"]]

    def answer(self, rng: Random, slots: Slots) -> str:
        first, second = (state(rng, slots["town"], ATTRIBUTE_OF[slots[k]]) for k in ("x", "y"))
        wording = rng.choice(
            (
                "Here is what I know about the town. {f}. {s}. It is a quiet place, and many people like to stay there for a few days.",
                "{f}. {s}. These two facts are the ones that most visitors remember when they come back from the town.",
                "Let me tell you about this town. {f}. {s}. Both of these facts are easy to keep in mind on your trip.",
                "{f}. {s}. The town is not very large, but it has a friendly market, a museum and a fine old bridge.",
            )
        )
        return wording.format(f=first, s=second)

    def fault(self, slots: Slots, response: str) -> str | None:
        asked = {ATTRIBUTE_OF[slots[k]]: str(getattr(TOWNS[slots["town"]], ATTRIBUTE_OF[slots[k]])) for k in ("x", "y")}
        people = {asked[k].lower() for k in ("founder", "mayor") if k in asked}
        for attribute, right in asked.items():
            found = mentioned(attribute, response)
            if right.lower() not in found or not found <= {right.lower()} | (
                people if attribute in ("founder", "mayor") else set()
            ):
                return f"the {attribute} is {right}"
        return None


FAMILIES: tuple[Family, ...] = (TownFact(), TownCompare(), TownSummary())
