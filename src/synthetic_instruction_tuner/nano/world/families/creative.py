"""Free text with checkable content: stories, rhymes, descriptions, letters and advice."""

# Sentences stay on one line each; the methods are documented in the base classes.
# ruff: noqa: E501

from __future__ import annotations

import re
from random import Random

from synthetic_instruction_tuner.nano.world.families.prose import (
    CREATURES,
    PLACES,
    THINGS,
    TRAITS,
    count_sentences,
    mentions,
    missing,
)
from synthetic_instruction_tuner.nano.world.family import Family, Slots
from synthetic_instruction_tuner.nano.world.vocabulary import NAMES

_WORD = "[a-z]+"
_NAME = "[A-Z][a-z]+"

_STARTS = (
    "One day {name} went to the {place} and met a {adj} {animal}.",
    "Once there was a {adj} {animal} that lived near the {place}, and {name} often came to see it.",
    "Early in the morning, {name} found a {adj} {animal} at the {place}.",
    "{name} had always wanted to see the {place}, but a {adj} {animal} stood in the way.",
)
_MIDDLES = (
    "The {animal} was hungry, so {name} gave it some bread.",
    "The {animal} had lost its way and asked for help.",
    "They played together until the sun went down.",
    "Suddenly it began to rain, and they ran under a big tree.",
    "Together they found an old box that was full of gold coins.",
)
_ENDS = (
    "From that day on they were the best of friends.",
    "In the end everyone was happy, and they went home to sleep.",
    "They never forgot that day, and they told everyone about it.",
    "At night {name} wrote it all down in a little book.",
)
RHYMES = (
    ("day", "way", "play", "stay"),
    ("night", "light", "bright", "sight"),
    ("tree", "sea", "free", "me"),
    ("ground", "round", "sound", "found"),
    ("sky", "high", "fly", "by"),
)
_RHYME_OF = {word: group[0] for group in RHYMES for word in group}
_FIRST_LINES = (
    "I saw a {adj} {noun} lying there",
    "The {adj} {noun} is all I need",
    "Oh little {noun}, {adj} and old",
    "A {adj} {noun} is in my hand",
)
_SECOND_LINES = {
    "day": ("it made me happy all the day", "I found it on a summer day"),
    "night": ("it kept me warm through all the night", "I held it in the quiet night"),
    "tree": ("I put it under the old tree", "it fell down softly from the tree"),
    "ground": ("it rested softly on the ground", "the wind had left it on the ground"),
    "sky": ("it looked up to the open sky", "it shone just like the morning sky"),
}
_THIRD_LINES = (
    "and every time I think of you",
    "and when the winter wind is cold",
    "my friend, I keep it in my heart",
    "the birds came down to look at it",
)
_FOURTH_LINES = {
    "way": "it always helps me find my way",
    "play": "and then we both go out to play",
    "stay": "I wish that it would always stay",
    "light": "and shines for me with golden light",
    "bright": "and makes the whole wide world so bright",
    "sight": "it is to me a lovely sight",
    "sea": "and dream with it about the sea",
    "free": "it makes me feel so young and free",
    "me": "I know it will remember me",
    "round": "and turn it slowly round and round",
    "sound": "it makes a soft and pretty sound",
    "found": "it is the best thing that I found",
    "high": "and throw it up so very high",
    "fly": "I think one day that it will fly",
    "by": "and watch the quiet hours go by",
}


class Story(Family):
    """A short story with a given person, animal and place."""

    name, domain, weight = "story", "creative", 1.2
    templates = (
        "Write a short story about {name}, a {animal} and the {place}.",
        "Tell me a story in which {name} meets a {animal} at the {place}.",
        "Please make up a tale with a {animal}, the {place} and {name}.",
        "My child wants a bedtime story: {name}, a {animal}, the {place}.",
        "Invent a little story. Hero: {name}. Animal: {animal}. Place: {place}.",
        "What happened when {name} saw the {animal} in the {place}? Tell a story.",
    )
    patterns = {"name": _NAME, "animal": "|".join(CREATURES), "place": _WORD}

    def fill(self, rng: Random) -> Slots:
        return {"name": rng.choice(NAMES), "animal": rng.choice(CREATURES), "place": rng.choice(PLACES)}

    def answer(self, rng: Random, slots: Slots) -> str:
        parts = [rng.choice(_STARTS), *rng.sample(_MIDDLES, 2), rng.choice(_ENDS)]
        return " ".join(parts).format(adj=rng.choice(TRAITS), **slots)

    def fault(self, slots: Slots, response: str) -> str | None:
        if count_sentences(response) < 3:
            return "fewer than three sentences"
        return missing(response, (slots["name"], slots["animal"], slots["place"]))


class Poem(Family):
    """Four lines about a thing; the second and the fourth rhyme."""

    name, domain, weight = "poem", "creative", 1.0
    templates = (
        "Write a poem of four lines about a {noun} that is {adj}.",
        "Can you rhyme? Four lines about the {adj} {noun}, please.",
        "I would love a four line poem for my {adj} {noun}.",
        "Compose four rhyming lines. Topic: {noun}, {adj}.",
        "Put the {adj} {noun} into a short poem with four lines.",
        "A small poem on this {noun}: {adj}, four lines.",
    )
    patterns = {"noun": _WORD, "adj": _WORD}

    def fill(self, rng: Random) -> Slots:
        return {"noun": rng.choice(THINGS), "adj": rng.choice(TRAITS)}

    def answer(self, rng: Random, slots: Slots) -> str:
        group = rng.choice(RHYMES)
        second, fourth = rng.choice(_SECOND_LINES[group[0]]), _FOURTH_LINES[rng.choice(group[1:])]
        lines = (rng.choice(_FIRST_LINES).format(**slots), second, rng.choice(_THIRD_LINES), fourth)
        return ",\n".join(line[0].upper() + line[1:] for line in lines) + "."

    def fault(self, slots: Slots, response: str) -> str | None:
        lines = [line for line in response.split("\n") if line.strip()]
        if len(lines) != 4:
            return f"{len(lines)} lines instead of 4"
        second, fourth = (re.sub(r"\W+$", "", lines[i]).split()[-1:] for i in (1, 3))
        if not second or not fourth or second == fourth or _RHYME_OF.get(second[0]) != _RHYME_OF.get(fourth[0], "none"):
            return "the second and the fourth line do not rhyme"
        return missing(response, (slots["noun"], slots["adj"]))


class Describe(Family):
    """A description of a thing that uses three given adjectives."""

    name, domain, weight = "describe", "creative", 1.0
    templates = (
        "Describe a {noun} that is {x}, {y} and {z}.",
        "What does a {x}, {y}, {z} {noun} look like?",
        "I sell a {noun}. Praise it as {x}, {y} and {z}.",
        "Picture a {noun} and call it {x}, {y}, {z}.",
        "Use {x}, {y} and {z} to paint a {noun} in words.",
        "Tell a blind friend about a {noun}: {x}, {y}, {z}.",
    )
    patterns = dict.fromkeys(("noun", "x", "y", "z"), _WORD)
    _wordings = (
        "Here in front of me is a {noun}. It looks {x} at first, but it is also {y} and, in a way, very {z}. I like it a lot.",
        "Think of a {noun} that you will not forget: {x} from far away, {y} when you come near, and {z} when you touch it with your hand.",
        "This {noun} is special. It is {x} and {y}, and everyone who sees it says how {z} it is. There is no other like it.",
        "What a {noun} this is! The first thing you see is that it is {x}. Then you find it {y}, and at last {z} as well.",
    )

    def fill(self, rng: Random) -> Slots:
        x, y, z = rng.sample(TRAITS, 3)
        return {"noun": rng.choice(THINGS), "x": x, "y": y, "z": z}

    def answer(self, rng: Random, slots: Slots) -> str:
        return rng.choice(self._wordings).format(**slots)

    def fault(self, slots: Slots, response: str) -> str | None:
        return missing(response, tuple(slots[k] for k in ("noun", "x", "y", "z")))


TOPICS = (
    "the party", "the lost key", "the new job", "the garden", "the train ride", "the broken window", "the school play", "the old piano",
    "the birthday cake", "the long walk", "the cooking class", "the football game", "the letter", "the holiday", "the new house", "the music lesson",
)  # fmt: skip


class Letter(Family):
    """A short letter from one person to another about something."""

    name, domain, weight = "letter", "dialogue", 1.2
    templates = (
        "Write a short letter to {to} about {topic}. Sign it {by}.",
        "Help {by} send {to} a friendly note on {topic}.",
        "Dear assistant, my name is {by}. Draft a note for {to} about {topic}.",
        "I am {by} and want to write to {to}. The subject is {topic}.",
        "Please compose a message from {by} to {to}: {topic}.",
        "What could {by} write to {to} about {topic}? Make it short.",
    )
    patterns = {"to": _NAME, "by": _NAME, "topic": "|".join(TOPICS)}
    _wordings = (
        "Dear {to},\nI am writing to you about {topic}. I have thought about it a lot, and I would like to hear what you think.\nYours, {by}",
        "Dear {to},\nhow are you? I hope that you are well. Today I want to tell you something about {topic}. Can we meet soon?\nBest wishes, {by}",
        "Dear {to},\nthank you for your kind words about {topic}. They made me very happy, and I will call you on Sunday.\nYour friend, {by}",
        "Dear {to},\nthere is some news about {topic}. Everything went well in the end, so please do not worry about it any more.\nSee you soon, {by}",
    )

    def fill(self, rng: Random) -> Slots:
        to, by = rng.sample(NAMES, 2)
        return {"to": to, "by": by, "topic": rng.choice(TOPICS)}

    def answer(self, rng: Random, slots: Slots) -> str:
        return rng.choice(self._wordings).format(**slots)

    def fault(self, slots: Slots, response: str) -> str | None:
        if not response.startswith(f"Dear {slots['to']},"):
            return f"does not greet {slots['to']}"
        if not re.sub(r"\W+$", "", response).endswith(slots["by"]):
            return f"is not signed {slots['by']}"
        return missing(response, (slots["topic"],))


TIPS = {
    "a cold room": "blanket", "a dark path": "lamp", "dirty hands": "soap", "an empty fridge": "market", "a long trip": "map",
    "a loud street": "window", "tired legs": "chair", "a hungry dog": "food", "a dry garden": "water", "a wet coat": "fire",
    "a sad friend": "smile", "a hard test": "study", "an old bike": "oil", "a broken cup": "glue", "a rainy day": "umbrella",
    "a sore throat": "tea", "a lost key": "neighbor", "a slow clock": "battery", "a dusty shelf": "cloth", "a small kitchen": "hooks",
}  # fmt: skip


class Advice(Family):
    """A tip for an everyday problem; each problem has one remedy, which the answer must name."""

    name, domain, weight = "advice", "dialogue", 1.2
    templates = (
        "What should {who} do about {trouble}?",
        "Give {who} some advice on {trouble}.",
        "My friend {who} has {trouble}. Any tips?",
        "How can {who} deal with {trouble}?",
        "{who} is unhappy because of {trouble}. Can you help?",
        "Please help {who}, who complains of {trouble}.",
    )
    patterns = {"who": _NAME, "trouble": "|".join(TIPS)}
    _wordings = (
        "For {trouble}, {who} should think of one simple thing: {tip}. It costs very little, and most people find that it helps at once.",
        "{who} does not need to worry. The best help against {trouble} is often just this: {tip}. Try it today and see how it goes.",
        "I would tell {who} to stay calm. With {trouble}, the first thing to try is {tip}. After that, take a short rest and be happy.",
        "Many people know {trouble}. My advice for {who} is short and easy to remember: {tip}. If that is not enough, ask a good friend.",
    )

    def fill(self, rng: Random) -> Slots:
        return {"who": rng.choice(NAMES), "trouble": rng.choice(list(TIPS))}

    def answer(self, rng: Random, slots: Slots) -> str:
        return rng.choice(self._wordings).format(tip=TIPS[slots["trouble"]], **slots)

    def fault(self, slots: Slots, response: str) -> str | None:
        others = [tip for tip in TIPS.values() if tip != TIPS[slots["trouble"]] and mentions(response, tip)]
        if others and not mentions(slots["trouble"], others[0]):
            return f"gives the tip {others[0]!r}"
        return missing(response, (slots["who"], TIPS[slots["trouble"]]))


FAMILIES: tuple[Family, ...] = (Story(), Poem(), Describe(), Letter(), Advice())
