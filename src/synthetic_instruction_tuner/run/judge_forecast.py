"""What MT-Bench's judge costs: seconds and memory, for the plan."""

from __future__ import annotations

from typing import Protocol

from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.config.sections.mt_bench import MtJudgeConfig
from synthetic_instruction_tuner.evaluation.benchmarks.base import Work
from synthetic_instruction_tuner.run.progress.forecast import Part

PROMPT = 1200  # tokens of a judge's prompt: two turns, a reference, the instructions
REPLY_SHARE = 0.12  # of the longest reply that one takes: about 250 tokens of 2,048
SERVED_SECONDS = 8.0  # of one reply on a server, whose speed nobody knows here


class Costs(Protocol):
    """Seconds and memory of models on this machine; see `planning`."""

    def load(self, model: ModelConfig) -> float:
        """Returns the seconds to load a model."""

    def forward(self, model: ModelConfig, tokens: float, passes: float) -> float:
        """Returns the seconds of forward passes."""

    def decode(self, model: ModelConfig, rows: int, length: float, batch: int) -> float:
        """Returns the seconds to write texts."""

    def memory(self, model: ModelConfig, length: float, student: bool = False) -> float:
        """Returns the GB that decoding takes."""


def judging_label(model: ModelConfig) -> str:
    """Returns the name of the judge's task, in the plan and while it works."""
    return f"judging with {model.name}"


def judging(
    judge: MtJudgeConfig, work: Work, variants: int, students: int, costs: Costs, concurrency: int
) -> tuple[Part, float]:
    """Returns the judge's task and its memory in GB.

    Args:
        judge: which model, and whether it also compares.
        work: what one variant does.
        variants, students: how many are judged; all but the untuned students are compared with another one, twice.
        costs: of models on this machine.
        concurrency: requests in flight at a server.
    """
    model = judge.model
    assert model is not None
    replies = work.items * work.answers * (variants + 2 * (variants - students) * judge.pairwise)
    name = judging_label(model)
    if model.url is not None:
        return Part(name, replies * SERVED_SECONDS / min(concurrency, replies)), 0.0
    written = REPLY_SHARE * judge.max_new_tokens
    # No prompt is like another, so that each is read in a pass of its own.
    reading = costs.forward(model, replies * PROMPT, replies)
    seconds = costs.load(model) + reading + costs.decode(model, replies, written, 10_000)
    return Part(name, seconds), costs.memory(model, PROMPT + written, True)
