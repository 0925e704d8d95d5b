"""The reward model's scores of conversations, for benchmarks that ask for texts."""

from __future__ import annotations

import math

from synthetic_instruction_tuner.errors import RunError
from synthetic_instruction_tuner.evaluation.benchmarks.base import RewardModel
from synthetic_instruction_tuner.evaluation.results import BenchmarkResult

REWARD = "reward"


def with_rewards(result: BenchmarkResult, reward_model: RewardModel) -> BenchmarkResult:
    """Returns the result with the metric ``reward``: one score per turn of each conversation.

    Raises:
        RunError: the reward model gave no finite score.
    """
    turns = [(item.conversation(turn), text) for item in result.items for turn, text in enumerate(item.outputs)]
    scores = reward_model.score(turns)
    if not all(map(math.isfinite, scores)):
        lost = sum(not math.isfinite(score) for score in scores)
        raise RunError(
            f"the reward model gave no number for {lost} of {len(scores)} answers of {result.benchmark}",
            "its logits overflow, most likely because of half precision",
            "set engine.dtype to float32 or bfloat16 and run again",
        )
    rest = iter(scores)
    return result.with_scores(REWARD, [[next(rest) for _ in item.outputs] for item in result.items])
