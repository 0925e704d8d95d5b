"""IFEval's verdicts on answers, without a model; the same answers always get the same scores.

The checks are those of lm-evaluation-harness. Two things make its scores, and those of the published scorer, differ
from run to run: a rule on the letter "#" or "!" (keys 1122 and 1129) counts a letter that is drawn at random, and the
language detector is not seeded. Here the detector is seeded. In mode ``deterministic`` the symbol is counted as it is;
in mode ``google`` a letter is drawn as in the published scorer, with a seed that is fixed.

The rules of one prompt are one cluster. As in the published scorer, a text whose language cannot be detected counts as
one in the right language, and an empty answer follows no rule.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from synthetic_instruction_tuner.evaluation.benchmarks.ifeval.items import NAME, IfevalItem
from synthetic_instruction_tuner.evaluation.benchmarks.ifeval.punkt import find_punkt, use_punkt
from synthetic_instruction_tuner.evaluation.results import BenchmarkResult, ItemResult
from synthetic_instruction_tuner.evaluation.saved_answers import without_thinking

Mode = Literal["deterministic", "google"]
HEADLINE = "prompt_strict"
METRICS = (HEADLINE, "prompt_loose", "rule_strict", "rule_loose")
LETTER_RULE = "keywords:letter_frequency"
PUNKT_RULES = {"length_constraints:number_sentences", "change_case:capital_word_frequency"}


def score_answers(
    items: Sequence[IfevalItem],
    answers: Sequence[str],
    mode: Mode = "deterministic",
    data_dir: Path | None = None,
) -> BenchmarkResult:
    """Returns the scores of one answer to each item.

    Args:
        items: the prompts.
        answers: the answer to each of them; thinking before an answer is left out.
        mode: see above.
        data_dir: the user's folder, in which Punkt's parameters are looked for first.

    Raises:
        UserError: Punkt's parameters are needed, and they are missing or not whole.
        ValueError: there are not as many answers as items.
    """
    if any(kind in PUNKT_RULES for item in items for kind, _ in item.rules):
        use_punkt(find_punkt(data_dir))
    kept = [without_thinking(answer) for answer in answers]
    results = [_result(item, answer, mode) for item, answer in zip(items, kept, strict=True)]
    return BenchmarkResult(NAME, HEADLINE, tuple(results), n_empty=sum(not answer.strip() for answer in kept))


def verdicts(item: IfevalItem, answer: str, mode: Mode) -> tuple[tuple[bool, ...], tuple[bool, ...]]:
    """Returns for each rule whether the answer follows it, strictly and loosely."""
    document = {
        "key": item.key,
        "prompt": item.prompt,
        "instruction_id_list": [kind for kind, _ in item.rules],
        "kwargs": [dict(arguments) for _, arguments in item.rules],
    }
    with _fixed_draws(item.key):
        found = lm_eval_scorer().process_results(document, [answer])
    strict, loose = list(found["inst_level_strict_acc"]), list(found["inst_level_loose_acc"])
    for place, (kind, arguments) in enumerate(item.rules):
        if kind == LETTER_RULE and mode == "deterministic" and not _is_letter(arguments["letter"]):
            strict[place] = _counts(answer, arguments)
            loose[place] = any(_counts(text, arguments) for text in loose_variants(answer))
    return tuple(strict), tuple(loose)


def loose_variants(answer: str) -> list[str]:
    """Returns the eight texts of which one must follow a rule: without first and last line, and without asterisks."""
    lines = answer.split("\n")
    cuts = [answer, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))]
    return [*cuts, *(cut.replace("*", "") for cut in cuts)]


@lru_cache
def lm_eval_scorer() -> Any:
    """Returns the harness' IFEval module, imported without a download and with repeatable language detection."""
    import langdetect
    import nltk

    langdetect.DetectorFactory.seed = 0  # unseeded, one answer gets different scores
    look_up = nltk.data.find
    nltk.data.find = lambda *_, **__: None  # on import it would fetch sentence data
    try:
        from lm_eval.tasks.ifeval import utils
    finally:
        nltk.data.find = look_up
    return utils


def _result(item: IfevalItem, answer: str, mode: Mode) -> ItemResult:
    strict, loose = verdicts(item, answer, mode)
    scores = {
        "prompt_strict": (float(all(strict)),),
        "prompt_loose": (float(all(loose)),),
        "rule_strict": tuple(map(float, strict)),
        "rule_loose": tuple(map(float, loose)),
    }
    return ItemResult(item.id, (item.prompt,), (answer,), scores, labels=tuple(kind for kind, _ in item.rules))


def _is_letter(letter: str) -> bool:
    return len(letter) == 1 and "a" <= letter.lower() <= "z"


def _counts(text: str, arguments: dict[str, Any]) -> bool:
    """Whether the text has a symbol as often as the rule says; an empty text follows no rule."""
    if not text.strip():
        return False
    count = text.lower().count(arguments["letter"].lower())
    less = arguments["let_relation"] == "less than"
    return bool(count < arguments["let_frequency"] if less else count >= arguments["let_frequency"])


@contextmanager
def _fixed_draws(seed: int) -> Iterator[None]:
    """Fixes what the harness draws at random, and leaves everybody else's draws as they were."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
