"""What a run will cost: seconds and memory per stage, from model sizes, token counts and the hardware's speed.

The model is a roofline per forward pass: the larger of arithmetic, reading the weights, and a fixed time per layer for
launching its kernels. Token counts assume that texts reach a fixed share of their limit. The shares and the speeds were
fitted to measured runs (see docs/planning.md); expect a factor of two either way on hardware that is not listed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from synthetic_instruction_tuner.config import Config, ModelConfig, starting_method, tuned_students
from synthetic_instruction_tuner.engines.choice import on_a_server
from synthetic_instruction_tuner.evaluation.benchmarks.base import Work, benchmark
from synthetic_instruction_tuner.methods import BASE, METHODS, Method
from synthetic_instruction_tuner.models.files import ModelShape, shape
from synthetic_instruction_tuner.models.hardware import Hardware
from synthetic_instruction_tuner.run.judge_forecast import judging
from synthetic_instruction_tuner.run.own_data.needs import expected_rows, reading_seconds, skip_reasons
from synthetic_instruction_tuner.run.progress.forecast import Part
from synthetic_instruction_tuner.run.speeds import Speed, speed_of

INSTRUCTION_SHARE, ANSWER_SHARE = 0.2, 0.3  # of max_new_tokens, where that leaves room
SHORT_INSTRUCTION, SHORT_ANSWER = 25, 45  # tokens that a text reaches all the same, if it may
TAG_QUESTION, TAG_ANSWER = 250, 30  # tokens around a record, and of the tags
KEPT_SHARE = 0.68  # records that pass the filter
ASKED, ASKED_FOR_MARGIN = 1.12, 1.5  # records that are answered for one pair, without and with a smallest margin
UNKNOWN = ModelShape(7e9, 32, 4096, 2048, 128_000)
IMPORT_SECONDS = 8.0  # torch, transformers and trl
LOADS_NOTHING = ("filter", "report")  # stages that, as a rule, load no model
READING_GB = 0.3  # of a stage that reads files and loads no model
GB = 1e9
LESS_MEMORY = (
    "Use smaller models, smaller batches (engine.batch_size, train.*.per_device_train_batch_size) "
    "or gradient checkpointing."
)


@dataclass(frozen=True, slots=True)
class StageEstimate:
    """One stage's estimate: seconds, memory at its peak, what it does in a few words, and its longest tasks."""

    stage: str
    seconds: float
    memory_gb: float
    detail: str
    parts: tuple[Part, ...] = ()


def estimate(config: Config, hardware: Hardware) -> list[StageEstimate]:
    """Returns the estimates of all stages, in order."""
    speed = speed_of(hardware)
    work = _Work(config, speed, 2 if hardware.device == "cuda" else 4)
    found = [
        work.generate(),
        work.filter(),
        work.prefer(),
        *map(work.train, METHODS),
        work.evaluate(),
        StageEstimate("report", 6.0, 0.5, "tables, figures, report.md and report.html"),
    ]
    why = skip_reasons(config)
    found = [_skipped(config, e.stage, why[e.stage]) if e.stage in why else e for e in found]
    first = next(e.stage for e in found if e.stage not in (*why, *LOADS_NOTHING))
    return [with_start(e) if e.stage == first else e for e in found]


def _skipped(config: Config, stage: str, why: str) -> StageEstimate:
    """The estimate of a stage that a run with the user's own data does not need; it may read files all the same."""
    seconds = reading_seconds(config, stage)
    return StageEstimate(stage, seconds, READING_GB if seconds else 0.0, why)


def with_start(first: StageEstimate) -> StageEstimate:
    """Returns the estimate of a stage that is the first one of a process to load a model: it imports the libraries."""
    return replace(first, seconds=first.seconds + IMPORT_SECONDS)


def largest(estimates: Iterable[StageEstimate]) -> StageEstimate:
    """Returns the stage that needs the most memory."""
    return max(estimates, key=lambda e: e.memory_gb)


def does_not_fit(estimates: Iterable[StageEstimate], hardware: Hardware) -> str | None:
    """Returns a sentence on the stages that need more memory than the machine has, or None where all fit."""
    have = hardware.memory_for_models_gb
    large = [f"{e.stage} (about {e.memory_gb:.1f} GB)" for e in estimates if e.memory_gb > have]
    if not large:
        return None
    return (
        f"These stages need more than the {have:.1f} GB of memory here and may fail: {', '.join(large)}. {LESS_MEMORY}"
    )


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


class _Work:
    """Sums up the passes of each stage."""

    def __init__(self, config: Config, speed: Speed, width: int) -> None:
        self.config, self.speed, self.width = config, speed, width
        passed = round(planned_records(config) * KEPT_SHARE)
        self.kept = min(passed, config.filter.keep or passed)
        self.base_gb = 0.6  # the interpreter and its libraries

    def generate(self) -> StageEstimate:
        settings, model = self.config.generate, self.config.models.generator
        records, prompts = written_records(self.config), expected_rows(self.config, "prompts")
        lengths = _asked(settings.instruction.max_new_tokens), _answered(settings.response.max_new_tokens)
        writing = sum(self.decode(model, records * settings.turns, length, settings.batch) for length in lengths)
        writing += self.decode(model, prompts, lengths[1], settings.batch)
        limit = settings.turns * (settings.instruction.max_new_tokens + settings.response.max_new_tokens)
        seconds, parts = self.load(model) + writing, (Part(f"writing with {model.name}", writing),)
        own = expected_rows(self.config, "records")
        detail = f"{records:,} records with {model.name}"
        if self.config.data.given:
            counts = ((own, "records read"), (prompts, "prompts answered"), (records, "records written"))
            detail = ", ".join(f"{n:,} {what}" for n, what in counts if n) + f" by {model.name}"
        return StageEstimate("generate", seconds, self.memory(model, limit), detail, parts)

    def filter(self) -> StageEstimate:
        settings, records = self.config.filter, planned_records(self.config)
        seconds, memory, detail = 0.3 + records / 1500, 0.3, f"{records:,} records, every rule"
        asked = _asked(self.config.generate.instruction.max_new_tokens)
        length = asked + _answered(self.config.generate.response.max_new_tokens)
        if model := settings.tags.model:
            seconds += self.load(model) + self.forward(model, records * (length + TAG_QUESTION), records / 64)
            seconds += self.decode(model, records, TAG_ANSWER, settings.tags.batch)
            memory = max(memory, self.memory(model, length + TAG_QUESTION + settings.tags.max_new_tokens))
            detail += f", tags by {model.name}"
        if settings.min_reward is not None:
            model = self.config.models.reward
            seconds += self.load(model) + self.forward(
                model, records * length, records / self.config.prefer.reward_batch_size
            )
            memory = max(memory, self.memory(model, 1))
            detail += f", scores by {model.name}"
        return StageEstimate("filter", seconds, memory, detail)

    def prefer(self) -> StageEstimate:
        settings, models = self.config.prefer, self.config.models
        own = settings.on_policy != "off"
        asked = min(self.kept, round((ASKED_FOR_MARGIN if settings.min_margin else ASKED) * settings.pairs))
        length = _answered(settings.sampling.max_new_tokens)
        batch = max(settings.samples, settings.batch)
        answering = models.students if own else models.responders
        rows = asked * settings.samples
        parts = [
            Part(f"answering with {m.name}", self.load(m) + self.decode(m, rows, length, batch)) for m in answering
        ]
        memory = max(self.memory(m, settings.sampling.max_new_tokens) for m in answering)
        each = settings.samples * (1 if own else len(answering))  # answers to a record that are compared
        if settings.scorer == "judge" and models.judge:
            judgments = asked * (len(answering) if own else 1) * self.judgments(each)
            written = _answered(settings.judge.sampling.max_new_tokens)
            scoring = self.load(models.judge) + self.decode(models.judge, judgments, written + 0.2 * length, batch)
            parts.append(Part(f"scoring with {models.judge.name}", scoring))
            memory = max(memory, self.memory(models.judge, 3 * length + written))
            how = f"{judgments:,} judgments"
        else:
            tokens = rows * len(answering) * 1.6 * length
            scoring = self.load(models.reward) + self.forward(models.reward, tokens, 3 * tokens / 8e3)
            parts.append(Part(f"scoring with {models.reward.name}", scoring))
            how = "scored"
        pairs = min(settings.pairs, asked) * (len(answering) if own else 1)
        detail = f"{asked:,} x {len(answering) * settings.samples} answers, {how}, {pairs:,} pairs"
        return StageEstimate("prefer", sum(part.seconds for part in parts), memory, detail, tuple(parts))

    def judgments(self, answers: int) -> int:
        """Judgments that the judge makes on this many answers to one prompt."""
        return answers * (answers - 1) if self.config.prefer.judge.mode == "pairwise" else answers

    def train(self, method: Method) -> StageEstimate:
        settings, students = self.config.train.of(method), tuned_students(self.config, method)
        pairs = method.trains_on == "pairs"
        n = self.config.prefer.pairs if pairs else self.kept
        response = self.config.prefer.sampling if pairs else self.config.generate.response
        asked = _asked(self.config.generate.instruction.max_new_tokens)
        length = min(asked + _answered(response.max_new_tokens), settings.max_length)
        # A pair has two answers, and the reference reads both once.
        passes = (2 + 2 / 3 / settings.num_train_epochs) if pairs else 1.0
        tokens = n * settings.num_train_epochs * length * passes * (4 / 3 if settings.gradient_checkpointing else 1)
        steps = n * settings.num_train_epochs / settings.per_device_train_batch_size
        parts = tuple(
            Part(f"training {m.name}", self.load(m) + 2 + 2 * self.forward(m, tokens, 1.6 * steps)) for m in students
        )
        rows = settings.per_device_train_batch_size * (2 if pairs else 1)
        again = settings.gradient_checkpointing
        memory = max((self.train_memory(m, rows * length * 1.5, again) for m in students), default=0.0)
        tuned = ", ".join(m.name for m in students) or "no student"
        seconds = sum(part.seconds for part in parts)
        label = method.label if starting_method(self.config, method) else method.label.rpartition(" + ")[2]
        return StageEstimate(method.name, seconds, memory, f"{label} on {tuned}", parts)

    def evaluate(self) -> StageEstimate:
        settings, models = self.config.evaluate, self.config.models
        work = {name: benchmark(name).work(settings.settings(name)) for name in settings.benchmarks}
        rewarded = [name for name in settings.benchmarks if benchmark(name).add_rewards is not None]
        steps: dict[str, float] = {}
        for model in models.students:
            tuned = [method.name for method in METHODS if model in tuned_students(self.config, method)]
            for variant in (BASE, *tuned):
                opening = self.load(model) + 1.0
                for name, one in work.items():
                    steps[evaluation_step(model.name, variant, name)] = opening + self.answers(model, one)
                    opening = 0.0
        variants = len(steps) // len(work)
        scoring = variants * sum(self.rewards(work[name]) for name in rewarded)
        parts = [Part("evaluating", sum(steps.values()), steps)]
        if rewarded:
            parts.append(Part("scoring the answers", self.load(models.reward) + scoring))
        longest = max(one.max_new_tokens for one in work.values())
        memory = max(self.memory(m, longest, student=True) for m in models.students)
        if "mt_bench" in work and settings.mt_bench.judge.model:
            part, needed = judging(
                settings.mt_bench.judge, work["mt_bench"], variants, len(models.students), self,
                self.config.engine.concurrency,
            )  # fmt: skip
            parts.append(part)
            memory = max(memory, needed)
        seconds = 3.0 + sum(part.seconds for part in parts)
        detail = f"{variants} variants on {', '.join(settings.benchmarks)}"
        detail += f", {parts[-1].label}" if parts[-1].label.startswith("judging") else ""
        return StageEstimate("evaluate", seconds, memory, detail, tuple(parts))

    def answers(self, model: ModelConfig, work: Work) -> float:
        """Seconds for one variant to answer a benchmark."""
        seconds = work.answers * self.decode(model, work.items, _answered(work.max_new_tokens), 10_000)
        if work.scored_tokens:
            seconds += self.forward(model, work.items * work.scored_tokens, work.items / 16)
        return seconds

    def rewards(self, work: Work) -> float:
        """Seconds for the reward model to score one variant's answers to a benchmark."""
        tokens = work.items * work.answers * 2 * _answered(work.max_new_tokens)
        return self.forward(self.config.models.reward, tokens, work.items / 16)

    def decode(self, model: ModelConfig, rows: int, length: float, batch: int) -> float:
        """Seconds to write `rows` texts of `length` tokens each, in batches."""
        if rows == 0:
            return 0.0
        at_once = min(self.config.engine.batch_size, batch, rows)
        passes = rows / at_once * length * 1.35  # a batch lasts as long as its longest text
        return self.forward(model, rows * length, passes)

    def forward(self, model: ModelConfig, tokens: float, passes: float) -> float:
        """Seconds of this many forward passes over this many tokens in all."""
        size = shape(model) or UNKNOWN
        arithmetic = 2 * size.parameters * tokens / self.speed.flops
        reading = size.parameters * self.width * passes / self.speed.bandwidth
        return max(arithmetic, reading) + size.layers * self.speed.layer_seconds * passes

    def load(self, model: ModelConfig) -> float:
        """Seconds to load a model."""
        return 0.3 + (shape(model) or UNKNOWN).parameters * 2 / self.speed.load

    def memory(self, model: ModelConfig, length: float, student: bool = False) -> float:
        """GB for decoding: weights, keys and values, one row of logits per text. A server keeps them elsewhere."""
        if not student and on_a_server(model, self.config.engine):
            return self.base_gb
        size, rows = shape(model) or UNKNOWN, self.config.engine.batch_size
        cache = rows * length * size.layers * size.kv_width * self.width
        return self.base_gb + (size.parameters * self.width + cache + rows * size.vocabulary * 8) / GB

    def train_memory(self, model: ModelConfig, tokens: float, checkpointing: bool) -> float:
        """GB for training an adapter: weights, activations, logits with their gradient.

        A layer's activations take 34 bytes per token and hidden unit in 16 bits (Korthikanti et al. 2022,
        arXiv:2205.05198); checkpointing keeps the inputs of all layers, 2 bytes, and one layer's activations.
        """
        size = shape(model) or UNKNOWN
        each = 2 * size.layers + 34 if checkpointing else 34 * size.layers
        activations = tokens * size.hidden * each * self.width / 2
        return self.base_gb + 0.4 + (size.parameters * self.width + activations + tokens * size.vocabulary * 10) / GB


def _asked(limit: int) -> float:
    return min(limit, max(INSTRUCTION_SHARE * limit, SHORT_INSTRUCTION))


def _answered(limit: int) -> float:
    return min(limit, max(ANSWER_SHARE * limit, SHORT_ANSWER))
