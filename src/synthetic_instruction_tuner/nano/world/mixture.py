"""The mixture of the nano world: all families of tasks, their shares, and items drawn from them."""

# ruff: noqa: E501

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from random import Random

from synthetic_instruction_tuner.nano.world.families import (
    creative,
    dialogue,
    facts,
    flaws,
    formats,
    shell_agent,
    sql_agent,
)
from synthetic_instruction_tuner.nano.world.families.arithmetic import calculation, number_lists, word_problems
from synthetic_instruction_tuner.nano.world.families.choice import claims, multiple_choice, word_meanings
from synthetic_instruction_tuner.nano.world.families.coding import explain_code, write_function
from synthetic_instruction_tuner.nano.world.families.flaws import Flaw, add_mark
from synthetic_instruction_tuner.nano.world.families.rewriting import sentences, word_lists
from synthetic_instruction_tuner.nano.world.family import Family, FollowUp, Slots, Split, Task
from synthetic_instruction_tuner.records import Message

DOMAINS: dict[str, tuple[str, ...]] = {
    "coding": ("You are a coding assistant.", "You help people to write and read code.", "You are an expert in Python.", "Your users are programmers."),
    "reasoning": ("You are a math tutor.", "You help with numbers and reasoning.", "You solve problems step by step.", "Your users want to calculate something."),
    "rewriting": ("You are an editor of texts.", "You help people to rewrite and sort words.", "You work with words and lists.", "Your users bring text that you change."),
    "facts": ("You are a guide who knows every town.", "You answer questions about facts.", "You are an encyclopedia.", "Your users want to know things about the world."),
    "creative": ("You are a creative writer.", "You help people to write stories and poems.", "You are a poet with many ideas.", "Your users love stories."),
    "format": ("You follow rules about form exactly.", "You write texts in the form that is asked for.", "You are careful with every rule.", "Your users give strict instructions."),
    "choice": ("You are a quiz master.", "You help with tests and quizzes.", "You pick the right answer and say why.", "Your users have questions with one right answer."),
    "agent": ("You are an agent that uses tools.", "You can call functions for the user.", "You plan actions and call tools.", "Your users give you tasks for your tools."),
    "dialogue": ("You are a friendly partner for conversation.", "You like to chat and to help.", "You help people with everyday life.", "Your users want to talk with you."),
}  # fmt: skip
_OTHER_NAMES = {"math": "reasoning", "language": "rewriting"}  # other names of domains in families

CLEAN: tuple[Family, ...] = (
    *calculation.FAMILIES,
    *word_problems.FAMILIES,
    *number_lists.FAMILIES,
    *word_lists.FAMILIES,
    *sentences.FAMILIES,
    *write_function.FAMILIES,
    *explain_code.FAMILIES,
    *facts.FAMILIES,
    *creative.FAMILIES,
    *formats.FAMILIES,
    *multiple_choice.FAMILIES,
    *word_meanings.FAMILIES,
    *claims.FAMILIES,
    *sql_agent.FAMILIES,
    *shell_agent.FAMILIES,
)
FLAWED: tuple[Flaw, ...] = flaws.FAMILIES
FAMILIES: tuple[Family, ...] = (*CLEAN, *FLAWED)
FOLLOW_UPS: tuple[FollowUp, ...] = dialogue.FOLLOW_UPS
BY_NAME: dict[str, Family] = {family.name: family for family in FAMILIES}

# Shares of single-turn draws. Filters drop the flawed answers and, besides these, only near duplicates.
FLAW_SHARES = {"refusal": 0.065, "language": 0.065, "short": 0.085, "loop": 0.055}
POPULAR_SHARE, POPULAR_COUNT = 0.08, 36  # popular requests recur, for near-duplicate removal to find
DOMAIN_SHARES = {
    "coding": 0.10, "reasoning": 0.14, "rewriting": 0.13, "facts": 0.09, "creative": 0.10, "format": 0.23, "choice": 0.10,
    "agent": 0.05, "dialogue": 0.06,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Item:
    """One drawn conversation.

    Attributes:
        family: the name of the family, or of the follow-up that asks the last question.
        domain: the domain that a system prompt for this item names.
        messages: the conversation, with or without a system prompt, ending with the assistant's answer.
        worksheet: the first task's content as a plain document.
        key: the first task's key, which decides the split.
        flaw: the kind of flaw, or None.
        marked: whether the last answer carries a sloppy remark.
    """

    family: str
    domain: str
    messages: tuple[Message, ...]
    worksheet: str
    key: str
    flaw: str | None
    marked: bool


def domain_of(family: Family) -> str:
    """Returns the family's domain, one of `DOMAINS`."""
    return _OTHER_NAMES.get(family.domain, family.domain)


def sample_item(
    rng: Random,
    split: Split = "train",
    *,
    flaws: bool = True,
    marks: float = 0.35,
    system: float = 0.3,
    multi_turn: float = 0.1,
) -> Item:
    """Returns a random item.

    Args:
        rng: the source of randomness.
        split: the split that the item's key belongs to.
        flaws: whether instructions with bad answers may occur.
        marks: share of sloppy remarks among the answers that take them.
        system: share of items with a system prompt.
        multi_turn: share of items with a follow-up.
    """
    if rng.random() < multi_turn:
        return _two_turns(rng, split, marks, system)
    population, cumulative = _mixture(flaws)
    family = rng.choices(population, cum_weights=cumulative)[0]
    if split == "train" and flaws and rng.random() < POPULAR_SHARE:
        family, task = _popular_task(rng)
    else:
        task = family.draw(rng, split)
    marked = family.takes_marks and rng.random() < marks
    response = add_mark(rng, task.response) if marked else task.response
    turns = (Message("user", task.instruction), Message("assistant", response))
    kind = family.kind if isinstance(family, Flaw) else None
    return _item(rng, task, family.name, domain_of(family), turns, system, flaw=kind, marked=marked)


def _popular_task(rng: Random) -> tuple[Family, Task]:
    """Returns one of a few popular tasks of the train split, with a new answer."""
    family, task, slots = rng.choice(_popular_tasks())
    response = family.answer(rng, slots)
    return family, replace(task, response=response, worksheet=family.worksheet(rng, slots, response))


@lru_cache
def _popular_tasks() -> list[tuple[Family, Task, Slots]]:
    rng = Random(0)
    tasks: list[tuple[Family, Task, Slots]] = []
    population, cumulative = _mixture(False)
    while len(tasks) < POPULAR_COUNT:
        family = rng.choices(population, cum_weights=cumulative)[0]
        task = family.draw(rng, "train")
        if parsed := family.parse(task.instruction):
            tasks.append((family, task, parsed[0]))
    return tasks


def _two_turns(rng: Random, split: Split, marks: float, system: float) -> Item:
    follow_up = rng.choice(FOLLOW_UPS)
    slots: Slots | None = None
    while slots is None:
        task = BY_NAME[rng.choice(follow_up.after)].draw(rng, split)
        slots = follow_up.fill(rng, task.response)
    question = rng.choice(follow_up.templates).format(**slots)
    answer = follow_up.answer(rng, slots, task.response)
    turns = (
        Message("user", task.instruction),
        Message("assistant", task.response),
        Message("user", question),
        Message("assistant", answer),
    )
    return _item(rng, task, follow_up.name, "dialogue", turns, system)


def _item(
    rng: Random,
    task: Task,
    family: str,
    domain: str,
    turns: tuple[Message, ...],
    system: float,
    flaw: str | None = None,
    marked: bool = False,
) -> Item:
    if rng.random() < system:
        turns = (Message("system", rng.choice(DOMAINS[domain])), *turns)
    return Item(family, domain, turns, task.worksheet, task.key, flaw, marked)


@lru_cache
def _mixture(with_flaws: bool) -> tuple[list[Family], list[float]]:
    """Returns the families and their cumulative weights."""
    weights: dict[str, float] = {}
    flaw_share = sum(FLAW_SHARES.values()) if with_flaws else 0.0
    for family in CLEAN:
        rivals = sum(f.weight for f in CLEAN if domain_of(f) == domain_of(family))
        weights[family.name] = DOMAIN_SHARES[domain_of(family)] * family.weight / rivals * (1 - flaw_share)
    for flaw in FLAWED if with_flaws else ():
        weights[flaw.name] = FLAW_SHARES[flaw.kind] * flaw.weight / sum(f.weight for f in FLAWED if f.kind == flaw.kind)
    return [BY_NAME[name] for name in weights], list(accumulate(weights.values()))


def worksheet_text(rng: Random, marks: float = 0.0) -> str:
    """Returns a plain document of the train split: given data and a result, no request.

    Args:
        rng: the source of randomness.
        marks: share of sloppy remarks among the results that take them.
    """
    head, response = _plain_task(rng, marks)
    return head + response


_QUESTIONS = (
    "what about {given}?",
    "how does it go with {given}?",
    "who knows this one: {given}?",
    "given is {given}. And then?",
    "{given}, what comes of it?",
)


def qa_text(rng: Random, marks: float = 0.0) -> str:
    """Returns a document of the train split with a question in plain words and its answer; `marks` as above."""
    head, response = _plain_task(rng, marks)
    title, *lines = [line.strip() for line in head.removeprefix("# ").split("\n") if line.strip()]
    given = ", ".join(line.replace(": ", " ", 1) for line in lines)
    asked = rng.choice(_QUESTIONS).format(given=given)
    return f"Question: {title}, {asked}\nAnswer: {response}"


def _plain_task(rng: Random, marks: float) -> tuple[str, str]:
    """Returns a random task's data and its result, as in a plain document."""
    population, cumulative = _mixture(False)
    family = rng.choices(population, cum_weights=cumulative)[0]
    task = family.draw(rng, "train")
    marked = family.takes_marks and rng.random() < marks
    return task.worksheet.removesuffix(task.response), add_mark(rng, task.response) if marked else task.response
