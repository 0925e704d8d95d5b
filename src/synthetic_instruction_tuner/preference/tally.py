"""Counts preference data as they pass by, so that nothing but numbers is held."""

from __future__ import annotations

import math
import statistics
from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from synthetic_instruction_tuner.preference.guards import REASONS
from synthetic_instruction_tuner.preference.preference_builder import Refusal
from synthetic_instruction_tuner.preference.statistics import cohens_d, describe, rounded, share, share_error
from synthetic_instruction_tuner.records import Answer, PreferencePair


class Tally:
    """What is known of the answers, pairs and refusals seen so far.

    Args:
        samples: how many pairs are kept whole, as examples: the first ones.
    """

    def __init__(self, samples: int = 3) -> None:
        self.pairs = 0
        self._wanted_samples = samples
        self._samples: list[PreferencePair] = []
        self._refusals: Counter[str] = Counter()
        self._models: dict[str, _Model] = defaultdict(_Model)
        self._duels: Counter[tuple[str, str, int]] = Counter()
        self._margins = array("d")
        self._words = (array("d"), array("d"))
        self._cut: Counter[str] = Counter()
        self._prompts = self._longest_best = 0
        self._longest_by_chance = 0.0

    def add_answers(self, answers: Sequence[Answer]) -> None:
        """Counts all answers to one record, whether they come to be in a pair or not."""
        for answer in answers:
            self._models[answer.model].add(answer)
            self._cut["answers"] += answer.truncated
        self._add_duels(answers)
        self._add_longest(answers)

    def add(self, made: PreferencePair | Refusal) -> None:
        """Counts a pair or a refusal."""
        if isinstance(made, Refusal):
            self._refusals[made.reason] += 1
            return
        self.pairs += 1
        if len(self._samples) < self._wanted_samples:
            self._samples.append(made)
        self._models[made.chosen_model].chosen += 1
        self._models[made.rejected_model].rejected += 1
        self._margins.append(made.margin)
        for words, text in zip(self._words, (made.chosen, made.rejected), strict=True):
            words.append(len(text.split()))
        self._cut["chosen"] += made.chosen_truncated
        self._cut["rejected"] += made.rejected_truncated

    @property
    def refused(self) -> int:
        """Records that gave no pair."""
        return self._refusals.total()

    def refusals(self) -> dict[str, int]:
        """Returns how often each guard refused a record; those that never did are not among them."""
        return {reason: self._refusals[reason] for reason in sorted(self._refusals)}

    def guards(self, passed_over: Mapping[Any, int]) -> list[dict[str, Any]]:
        """Returns every guard with the records that it refused, and the pairs in which it passed over an answer."""
        return [
            {"guard": reason, "refused": self._refusals[reason], "passed_over": passed_over.get(reason, 0)}
            for reason in REASONS
        ]

    def truncated(self) -> dict[str, int]:
        """Returns how many answers, chosen ones and rejected ones hit the token limit."""
        return {part: self._cut[part] for part in ("answers", "chosen", "rejected")}

    def models(self) -> dict[str, Any]:
        """Returns each model's answers, scores, and how often it was chosen and rejected."""
        return {name: model.to_json(self.pairs) for name, model in sorted(self._models.items())}

    def wins(self) -> list[dict[str, Any]]:
        """Returns for each two models how often each one's answer to the same record has the higher score.

        Of several samples of a model the mean score counts.
        """
        met = sorted({(first, second) for first, second, _ in self._duels})
        return [
            {"first": a, "second": b} | {k: self._duels[a, b, n] for k, n in (("wins", 1), ("losses", -1), ("ties", 0))}
            for a, b in met
        ]

    def margin(self) -> dict[str, Any]:
        """Returns the distribution of the score differences."""
        return describe(self._margins)

    def length(self) -> dict[str, Any]:
        """Returns whether the longer answer tends to win."""
        chosen, rejected = self._words
        unequal = [a > b for a, b in zip(chosen, rejected, strict=True) if a != b]
        d = cohens_d(chosen, rejected)
        return {
            "n": len(unequal),
            "longer_chosen_share": share(sum(unequal), len(unequal)),
            "standard_error": share_error(sum(unequal), len(unequal)),
            "chosen_words": rounded(statistics.fmean(chosen)) if chosen else None,
            "rejected_words": rounded(statistics.fmean(rejected)) if rejected else None,
            "cohens_d": None if d is None else rounded(d),
            "prompts": self._prompts,
            "longest_best_share": share(self._longest_best, self._prompts),
            "longest_best_by_chance": share(self._longest_by_chance, self._prompts),
        }

    def samples(self) -> list[dict[str, Any]]:
        """Returns the pairs that are kept as examples."""
        names = ("instruction", "chosen", "chosen_model", "rejected", "rejected_model")
        return [
            {name: getattr(pair, name) for name in names}
            | {"chosen_score": rounded(pair.chosen_score), "rejected_score": rounded(pair.rejected_score)}
            for pair in self._samples
        ]

    def _add_duels(self, answers: Sequence[Answer]) -> None:
        scores: dict[str, list[float]] = defaultdict(list)
        for answer in answers:
            if answer.score is not None and math.isfinite(answer.score):
                scores[answer.model].append(answer.score)
        means = {model: statistics.fmean(found) for model, found in scores.items()}
        for first, second in combinations(sorted(means), 2):
            self._duels[first, second, (means[first] > means[second]) - (means[first] < means[second])] += 1

    def _add_longest(self, answers: Sequence[Answer]) -> None:
        """Counts whether the one longest answer of a prompt is the one best."""
        scored = [(len(a.text.split()), a.score) for a in answers if a.score is not None and math.isfinite(a.score)]
        longest = max((words for words, _ in scored), default=0)
        best = max((score for _, score in scored), default=0.0)
        if len(scored) < 2 or [w for w, _ in scored].count(longest) > 1 or [s for _, s in scored].count(best) > 1:
            return
        self._prompts += 1
        self._longest_best += (longest, best) in scored
        self._longest_by_chance += 1 / len(scored)


class _Model:
    """One model's numbers."""

    def __init__(self) -> None:
        self.answers = self.truncated = self.chosen = self.rejected = 0
        self.scores, self.words = array("d"), array("d")

    def add(self, answer: Answer) -> None:
        self.answers += 1
        self.truncated += answer.truncated
        self.words.append(len(answer.text.split()))
        if answer.score is not None:
            self.scores.append(answer.score)

    def to_json(self, pairs: int) -> dict[str, Any]:
        return {
            "answers": self.answers,
            "truncated": self.truncated,
            "words": rounded(statistics.fmean(self.words)) if self.words else None,
            "score": describe(self.scores),
            "chosen": self.chosen,
            "rejected": self.rejected,
            "chosen_share": share(self.chosen, pairs),
            "rejected_share": share(self.rejected, pairs),
        }
