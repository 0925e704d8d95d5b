"""Running statistics of preference data; only numbers and a few samples are held in memory."""

from __future__ import annotations

import math
import statistics
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

from synthetic_instruction_tuner.config import PreferConfig
from synthetic_instruction_tuner.preference.judgments import JudgeStatistics, Judgment
from synthetic_instruction_tuner.preference.pair_selection import REASONS, Reason
from synthetic_instruction_tuner.preference.summary_statistics import cohens_d, describe, rounded, share, share_error
from synthetic_instruction_tuner.records import Answer, PreferencePair


class PairStatistics:
    """Statistics of the answers, pairs and skipped records so far.

    Args:
        config: the settings that the pairs are made with.
        samples: how many pairs are kept whole, as examples: the first ones.

    Attributes:
        records: how many records were answered.
        pairs: how many pairs were made.
        failed: how many requests for answers failed, by reason.
        judge: statistics of the judgments; None if a reward model scores.
    """

    def __init__(self, config: PreferConfig, samples: int = 3) -> None:
        self.config = config
        self.records = self.pairs = 0
        self.failed: Counter[str] = Counter()
        self.judge = JudgeStatistics(config.judge) if config.scorer == "judge" else None
        self._wanted_samples = samples
        self._samples: list[PreferencePair] = []
        self._skipped: Counter[str] = Counter()
        self._passed_over: Counter[str] = Counter()
        self._models: dict[str, _Model] = defaultdict(_Model)
        self._duels: Counter[tuple[str, str, int]] = Counter()
        self._margins = array("d")
        self._words = (array("d"), array("d"))
        self._cut: Counter[str] = Counter()
        self._prompts = self._longest_best = 0
        self._longest_by_chance = 0.0

    def add_answers(self, answers: Sequence[Answer], judgments: Sequence[Judgment] | None = None) -> None:
        """Counts all answers to one record, whether or not they become part of a pair, and the judgments on them.

        A failed request is counted as such, not as an answer.
        """
        self.records += 1
        self.failed.update(answer.error for answer in answers if answer.error)
        written = [answer for answer in answers if not answer.error]
        for answer in written:
            self._models[answer.model].add(answer)
            self._cut["answers"] += answer.truncated
        self._add_duels(written)
        self._add_longest(written)
        if self.judge is not None:
            self.judge.add(judgments or ())

    def add_pair(self, pair: PreferencePair, passed_over: Iterable[Reason] = ()) -> None:
        """Counts a pair, and the guards that passed over an answer for it."""
        self.pairs += 1
        self._passed_over.update(passed_over)
        if len(self._samples) < self._wanted_samples:
            self._samples.append(pair)
        self._models[pair.chosen_model].chosen += 1
        self._models[pair.rejected_model].rejected += 1
        if pair.margin is not None:
            self._margins.append(pair.margin)
        for words, text in zip(self._words, (pair.chosen, pair.rejected), strict=True):
            words.append(len(text.split()))
        self._cut["chosen"] += pair.chosen_truncated
        self._cut["rejected"] += pair.rejected_truncated

    def add_skipped(self, reason: Reason) -> None:
        """Counts a record that gives no pair."""
        self._skipped[reason] += 1

    @property
    def skipped(self) -> int:
        """How many records gave no pair."""
        return self._skipped.total()

    def skip_reasons(self) -> dict[str, int]:
        """Returns how many records each guard skipped, without the guards that skipped none."""
        return {reason: self._skipped[reason] for reason in sorted(self._skipped)}

    def guards(self) -> list[dict[str, Any]]:
        """Returns for each guard the records that it skipped and the pairs for which it passed over an answer."""
        return [
            {"guard": reason, "skipped": self._skipped[reason], "passed_over": self._passed_over[reason]}
            for reason in REASONS
        ]

    def truncated(self) -> dict[str, int]:
        """Returns how many answers, chosen answers and rejected answers hit the token limit."""
        return {part: self._cut[part] for part in ("answers", "chosen", "rejected")}

    def models(self) -> dict[str, Any]:
        """Returns each model's answers, scores, and how often it was chosen and rejected."""
        return {name: model.to_json(self.pairs) for name, model in sorted(self._models.items())}

    def wins(self) -> list[dict[str, Any]]:
        """Returns for every two models how often the answer of each has the higher score.

        A model with several answers to a record enters with their mean score.
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
        """Returns whether longer answers tend to win."""
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
            | {
                name: None if score is None else rounded(score)
                for name, score in (("chosen_score", pair.chosen_score), ("rejected_score", pair.rejected_score))
            }
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
        """Counts whether the longest answer to a prompt is the best one; prompts with a tie in either do not count."""
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
