"""What agents cost: every turn reads the whole conversation so far and writes a text."""

from __future__ import annotations

from synthetic_instruction_tuner.config import tuned_students
from synthetic_instruction_tuner.evaluation.agent_bench.agent_benchmarks import task_count, usable
from synthetic_instruction_tuner.evaluation.agent_bench.benchmark import AgentBenchmark
from synthetic_instruction_tuner.evaluation.agent_bench.rounds import WORKERS
from synthetic_instruction_tuner.methods import BASE, METHODS
from synthetic_instruction_tuner.models.files import shape
from synthetic_instruction_tuner.run.costs.counts import answered
from synthetic_instruction_tuner.run.costs.estimates import StageEstimate, TaskEstimate
from synthetic_instruction_tuner.run.costs.stages import UNKNOWN, StageWork
from synthetic_instruction_tuner.run.costs.work import Texts
from synthetic_instruction_tuner.run.progress.forecast import Part

NAME, PLAYING = "agents", "playing"
ANSWERED = 200  # tokens of what the environment says, with the template around it, in the mean
SANDBOX = 2.0  # seconds until one is chosen and tried
DIALOGUE_GB = 1e-5  # of a conversation in the store and in its file


def agents(work: StageWork) -> StageEstimate:
    """Returns the stage's estimate: the chosen variants of every student play every task that is at hand."""
    config, benchmarks = work.config, usable(work.config)
    tasks = sum(task_count(one, config) for one in benchmarks)
    players = [
        (model, variant)
        for model in config.models.students
        for variant in config.agents.variants
        if variant == BASE or any(m.name == variant and model in tuned_students(config, m) for m in METHODS)
    ]
    if not tasks or not players:
        why = "off" if not config.agents.benchmarks else "no tasks on this machine" if not tasks else "no variant"
        return StageEstimate(NAME, 0.1, 0.3, why)
    found, workers = [], max(1, min(work.hardware.cores, WORKERS))
    for model, _ in players:
        size, held = shape(model) or UNKNOWN, work.students[model.path]
        longest = config.agents.max_new_tokens
        texts = [some for one in benchmarks for some in _rounds(one, task_count(one, config), longest, work)]
        seconds = work.costs.load(size) + sum(work.costs.write(size, held, some, "transformers") for some in texts)
        seconds += sum(one.task_seconds * task_count(one, config) for one in benchmarks) / workers
        memory = max(work.costs.writing_gb(size, held, some) for some in texts)
        tokens = sum(some.rows * (some.length + some.prompt) for some in texts)
        batch = f"{max(work.costs.at_once(size, held, some) for some in texts):,}"
        found.append(TaskEstimate(model.name, held.weights, "transformers", batch, memory, tokens, seconds))
    seconds = sum(task.seconds for task in found) + SANDBOX * any(one.sandboxed for one in benchmarks)
    detail = f"{len(players)} variants on {', '.join(one.name for one in benchmarks)}, {tasks:,} tasks each"
    disk = len(players) * tasks * DIALOGUE_GB
    memory = max(task.memory_gb for task in found)
    return StageEstimate(NAME, seconds, memory, detail, (Part(PLAYING, seconds),), tuple(found), disk)


def _rounds(benchmark: AgentBenchmark, tasks: int, longest: int, work: StageWork) -> list[Texts]:
    """A benchmark's rounds as texts: from round to round there are fewer, and the model reads longer conversations."""
    length, going = answered(longest), 1 - 1 / benchmark.form.turns
    at_once, found = work.config.agents.at_once, []
    for number in range(benchmark.form.rounds):
        rows = round(tasks * going**number)
        if not rows:
            break
        read = benchmark.form.prompt_tokens + number * (length + ANSWERED)
        found.append(Texts(rows, length, longest, min(rows, at_once), work.config.engine.batch_size, read))
    return found
