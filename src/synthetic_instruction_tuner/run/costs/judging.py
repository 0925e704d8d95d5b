"""What MT-Bench's judge costs: seconds and memory, for the plan."""

from __future__ import annotations

from synthetic_instruction_tuner.config.sections.mt_bench import MtJudgeConfig
from synthetic_instruction_tuner.evaluation.benchmarks.base import Work
from synthetic_instruction_tuner.models.files import ModelShape
from synthetic_instruction_tuner.models.hardware import Hardware
from synthetic_instruction_tuner.models.number_format import NumberFormat
from synthetic_instruction_tuner.models.sizes.decoding_memory import Rows
from synthetic_instruction_tuner.run.costs.cpu import BASE_GB
from synthetic_instruction_tuner.run.costs.estimates import TaskEstimate
from synthetic_instruction_tuner.run.costs.work import Costs, Texts

PROMPT = 1200  # tokens of a judge's prompt: two turns, a reference, the instructions
REPLY_SHARE = 0.12  # of the longest reply that one takes: about 250 tokens of 2,048
SERVED_SECONDS = 8.0  # of one reply on a server, whose speed nobody knows here


def judging_label(name: str) -> str:
    """Returns the name of the judge's task, in the plan and while it works."""
    return f"judging with {name}"


def judging(
    judge: MtJudgeConfig,
    size: ModelShape,
    held: NumberFormat | None,
    replies: int,
    costs: Costs,
    slots: Rows,
    hardware: Hardware,
) -> TaskEstimate:
    """Returns the judge's task.

    Args:
        judge: which model, and how long it may write.
        size: its sizes.
        held: how its weights are held; None where a server holds them.
        replies: how many it writes.
        costs: of models on the machine.
        slots: texts that are written at once, ``auto`` for as many as fit; on a server, requests in flight. On a GPU a
            number is halved until it fits, as the engine does when memory runs out.
        hardware: the machine.
    """
    model = judge.model
    assert model is not None
    written = REPLY_SHARE * judge.max_new_tokens
    if held is None:
        in_flight = int(slots)
        seconds = replies * SERVED_SECONDS / max(1, min(in_flight, replies))
        return TaskEstimate(model.name, "", "server", f"{in_flight:,}", BASE_GB, replies * written, seconds)
    while True:
        texts = Texts(replies, written, judge.max_new_tokens, 10_000, slots, PROMPT)
        memory = costs.writing_gb(size, held, texts)
        if hardware.device != "cuda" or memory <= hardware.memory_for_models_gb or slots in ("auto", 1):
            break
        slots = int(slots) // 2
    at_once = f"{costs.at_once(size, held, texts):,}"
    seconds = costs.load(size) + costs.write(size, held, texts, "transformers")
    return TaskEstimate(model.name, held.weights, "transformers", at_once, memory, replies * written, seconds)


def judged_replies(judge: MtJudgeConfig, work: Work, variants: int, students: int) -> int:
    """Returns how many replies the judge writes: all but the untuned students are also compared, in both orders."""
    return work.items * work.answers * (variants + 2 * (variants - students) * judge.pairwise)
