"""How many texts a run has and how long they are, as far as that is known before it.

Texts reach a fixed share of their limit, and a fixed share of the records passes the filter. Both were fitted to
measured runs (docs/planning.md).
"""

from __future__ import annotations

from synthetic_instruction_tuner.config import Config, EvaluateConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.benchmarks.base import Work, benchmark
from synthetic_instruction_tuner.run.own_data.needs import expected_rows

INSTRUCTION_SHARE, ANSWER_SHARE = 0.2, 0.3  # of max_new_tokens, where that leaves room
SHORT_INSTRUCTION, SHORT_ANSWER = 25, 45  # tokens that a text reaches all the same, if it may
TEMPLATE = 30  # tokens of a chat template around a message
TAG_QUESTION, TAG_ANSWER = 250, 30  # tokens around a record, and of the tags
KEPT_SHARE = 0.68  # records that pass the filter
ASKED, ASKED_FOR_MARGIN = 1.12, 1.5  # records that are answered for one pair, without and with a smallest margin


def planned_records(config: Config) -> int:
    """Returns how many records there will be, as far as that is known before the run."""
    return written_records(config) + sum(expected_rows(config, kind) for kind in ("records", "prompts"))


def written_records(config: Config) -> int:
    """Returns how many records Magpie will write, as far as that is known before the run."""
    if not config.data.magpie:
        return 0
    wanted, count = config.generate.until_kept, config.generate.count
    return count if wanted is None else min(count, round(wanted / KEPT_SHARE))


def evaluation_step(student: str, variant: str, benchmark: str) -> str:
    """Returns the name of a step of stage evaluate: one variant of a student answers one benchmark."""
    return f"{student}-{variant} {benchmark}"


def asked(limit: int) -> float:
    """Returns the tokens of an instruction, in the mean."""
    return min(limit, max(INSTRUCTION_SHARE * limit, SHORT_INSTRUCTION))


def answered(limit: int) -> float:
    """Returns the tokens of an answer, in the mean."""
    return min(limit, max(ANSWER_SHARE * limit, SHORT_ANSWER))


def benchmark_work(name: str, settings: EvaluateConfig) -> Work:
    """Returns what a benchmark costs; of a public one that is here in part, with the items that are there."""
    found, own = benchmark(name), settings.settings(name)
    work = found.work(own)
    try:
        here = found.at_hand(own).items if found.at_hand else 0
    except UserError:  # a damaged file, which is for the checks to say
        here = 0
    return found.work(own.model_copy(update={"items": here})) if 0 < here < work.items else work


def answering_tokens(work: Work, untuned: bool) -> float:
    """Returns the tokens that one variant writes and reads; an untuned one may be asked in further forms."""
    texts = work.answers + untuned * work.untuned_answers
    return work.items * (texts * answered(work.max_new_tokens) + work.scored_tokens) + work.shared_tokens
