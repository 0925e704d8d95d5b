"""Facts, free text, formats, choices, follow-ups and flaws: they read what they write and tell right from wrong."""

from __future__ import annotations

from random import Random

import pytest

from synthetic_instruction_tuner.nano.world.families import creative, dialogue, facts, flaws, formats
from synthetic_instruction_tuner.nano.world.families.choice import claims, multiple_choice, word_meanings
from synthetic_instruction_tuner.nano.world.family import Family, FollowUp, Split, split_of

CLEAN: tuple[Family, ...] = (
    *facts.FAMILIES,
    *creative.FAMILIES,
    *formats.FAMILIES,
    *multiple_choice.FAMILIES,
    *word_meanings.FAMILIES,
    *claims.FAMILIES,
)
DRAWS = 250  # of each split and family


def name(part: Family | FollowUp) -> str:
    return part.name


@pytest.mark.parametrize("family", CLEAN, ids=name)
@pytest.mark.parametrize("split", ["train", "eval"])
def test_own_tasks_parse_back_and_own_answers_are_right(family: Family, split: Split) -> None:
    rng = Random(1)
    for _ in range(DRAWS):
        task = family.draw(rng, split)
        parsed = family.parse(task.instruction)
        assert parsed is not None, task.instruction
        assert family.key(*parsed) == task.key and split_of(task.key) == split
        assert family.fault(parsed[0], task.response) is None, (task.instruction, task.response)
        assert len(task.response.split()) >= 20
        assert task.response in task.worksheet and task.instruction not in task.worksheet


@pytest.mark.parametrize("family", CLEAN, ids=name)
def test_answers_to_other_tasks_are_faulted(family: Family) -> None:
    rng, faulted, compared = Random(2), 0, 0
    for _ in range(200):
        one, other = family.draw(rng, "train"), family.draw(rng, "train")
        parsed, foreign = family.parse(one.instruction), family.parse(other.instruction)
        assert parsed and foreign
        # A lettered choice is the one answer that two tasks often share.
        if family.name == "multiple_choice" and family._right(parsed[0]) == family._right(foreign[0]):  # type: ignore[attr-defined]
            continue
        compared += 1
        faulted += family.fault(parsed[0], other.response) is not None
    assert faulted >= 0.95 * compared > 0


@pytest.mark.parametrize("family", CLEAN, ids=name)
def test_empty_and_foreign_answers_are_faulted(family: Family) -> None:
    rng = Random(3)
    slots = family.parse(family.draw(rng, "train").instruction)
    assert slots
    assert family.fault(slots[0], "") is not None
    assert family.fault(slots[0], "I like to swim in the lake when it is warm.") is not None


def spoil(rng: Random, text: str) -> str:
    """Returns the text with something small changed, which may or may not break a constraint."""
    kind = rng.randrange(8)
    lines = text.split("\n")
    if kind == 0:
        return text.lower()
    if kind == 1:
        return text.upper()
    if kind == 2:
        return text + ","
    if kind == 3:
        return text.strip('"')
    if kind == 4:
        parts = text.replace("\n", " ").split(". ")
        return ". ".join([parts[0], *parts[2:]])
    if kind == 5:
        return text.replace("<<", "").replace("P.S.", "PS:").replace("* ", "- ", 1)
    if kind == 6:
        words = text.split(" ")
        del words[rng.randrange(len(words))]
        return " ".join(words)
    return "\n".join([*lines, "* More people came to look at it that day."])


@pytest.mark.parametrize("family", [f for f in formats.FAMILIES if "sentences" not in f.name], ids=name)
def test_constraints_agree_with_ifeval(family: formats.Constrained) -> None:
    registry = pytest.importorskip("lm_eval.tasks.ifeval.instructions_registry")
    from langdetect import DetectorFactory

    DetectorFactory.seed = 0
    rng, broken = Random(4), 0
    for i in range(60):
        task = family.draw(rng, "train")
        parsed = family.parse(task.instruction)
        assert parsed
        text = task.response if i % 3 == 0 else spoil(rng, task.response)
        followed = []
        for rule, arguments in family.ifeval(parsed[0]):
            checker = registry.INSTRUCTION_DICT[rule](rule)
            checker.build_description(**arguments)
            followed.append(bool(text.strip()) and checker.check_following(text))
        assert (family.broken(parsed[0], text) is None) == all(followed), (task.instruction, text)
        broken += not all(followed)
    assert broken > 0


@pytest.mark.parametrize("follow_up", dialogue.FOLLOW_UPS, ids=name)
def test_follow_ups(follow_up: FollowUp) -> None:
    by_name = {family.name: family for family in CLEAN}
    rng, spoiled = Random(5), 0
    for _ in range(150):
        task = by_name[rng.choice(follow_up.after)].draw(rng, "train")
        slots = follow_up.fill(rng, task.response)
        if slots is None:
            continue
        question = rng.choice(follow_up.templates).format(**slots)
        assert follow_up.parse(question) == slots
        assert [f.name for f in dialogue.FOLLOW_UPS if f.parse(question) is not None] == [follow_up.name]
        answer = follow_up.answer(rng, slots, task.response)
        assert follow_up.fault(slots, task.response, answer) is None, (task.response, answer)
        assert len(answer.split()) >= 20
        other = by_name[rng.choice(follow_up.after)].draw(rng, "train").response + " One more sentence."
        spoiled += follow_up.fault(slots, other, answer) is not None
    assert spoiled >= 100


def test_choice_items_have_one_right_choice_and_keep_the_splits_apart() -> None:
    rng = Random(6)
    items = {split: [multiple_choice.choice_item(rng, split) for _ in range(500)] for split in ("train", "eval")}
    for drawn in items.values():
        for question, options, right in drawn:
            assert len(set(options)) == 4 and multiple_choice.right_options(question, list(options)) == [right]
    asked = {split: {(q, frozenset(o)) for q, o, _ in drawn} for split, drawn in items.items()}
    assert not asked["train"] & asked["eval"]


def test_answers_of_held_out_choice_items_are_right_answers_in_training_too() -> None:
    rng = Random(16)
    held_out = {(q, o[i]) for q, o, i in (multiple_choice.choice_item(rng, "eval") for _ in range(60))}
    found = {(q, o[i]) for q, o, i in (multiple_choice.choice_item(rng, "train") for _ in range(40_000))}
    assert len(held_out & found) > len(held_out) / 3


def test_marks_come_off_again() -> None:
    rng = Random(7)
    for family in (f for f in CLEAN if f.takes_marks):
        for _ in range(40):
            response = family.draw(rng, "train").response
            assert flaws.strip_marks(response) == (response, False)
            assert flaws.strip_marks(flaws.add_mark(rng, response)) == (response, True)


@pytest.mark.parametrize("flaw", flaws.FAMILIES, ids=name)
def test_flaws_name_themselves(flaw: flaws.Flaw) -> None:
    rng = Random(8)
    for split in ("train", "eval"):
        for _ in range(DRAWS):
            task = flaw.draw(rng, split)
            parsed = flaw.parse(task.instruction)
            assert parsed and flaw.key(*parsed) == task.key
            assert flaw.fault(parsed[0], task.response) == f"flaw: {flaw.kind}"
            assert (len(task.response.split()) >= 20) == (flaw.kind != "short")


def test_the_towns_differ() -> None:
    rows = list(facts.TOWNS.values())
    assert len(rows) == 36
    assert len({(t.river, t.founder, t.year, t.product, t.mayor, t.festival) for t in rows}) == 36
    for attribute in facts.THINGS:
        assert len(facts.values(attribute)) >= 9
