"""The work of each stage, added up: which models write, read and are trained how much, and what that costs.

How many texts there are and how long they are is in `counts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from synthetic_instruction_tuner.config import Config, ModelConfig, starting_method, tuned_students
from synthetic_instruction_tuner.engines.choice import choose_engine, on_a_server
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.benchmarks.base import Work, benchmark
from synthetic_instruction_tuner.methods import BASE, METHODS, Method
from synthetic_instruction_tuner.models.families import may_be_packed
from synthetic_instruction_tuner.models.files import ModelShape, shape
from synthetic_instruction_tuner.models.hardware import Hardware
from synthetic_instruction_tuner.models.number_format import NumberFormat
from synthetic_instruction_tuner.models.working_memory import adapter_weights
from synthetic_instruction_tuner.run.costs.counts import (
    ASKED,
    ASKED_FOR_MARGIN,
    KEPT_SHARE,
    TAG_ANSWER,
    TAG_QUESTION,
    TEMPLATE,
    answered,
    answering_tokens,
    asked,
    benchmark_work,
    evaluation_step,
    planned_records,
    written_records,
)
from synthetic_instruction_tuner.run.costs.cpu import BASE_GB
from synthetic_instruction_tuner.run.costs.estimates import StageEstimate, TaskEstimate
from synthetic_instruction_tuner.run.costs.judging import judged_replies, judging, judging_label
from synthetic_instruction_tuner.run.costs.work import Costs, Reading, Texts, Tuning
from synthetic_instruction_tuner.run.number_formats import (
    largest_micro_batch,
    role_format,
    student_format,
    what_is_tuned,
)
from synthetic_instruction_tuner.run.own_data.needs import expected_rows
from synthetic_instruction_tuner.run.progress.forecast import Part
from synthetic_instruction_tuner.run.roles import JUDGE

UNKNOWN = ModelShape(7e9, 32, 4096, 2048, 128_000, 1.05e9, 14_336, 4096, "guess")
SERVED = NumberFormat("bfloat16", "bfloat16", "on its server")
VARIANT_SECONDS = 1.0  # to swap an adapter in, and to try out the model with it
ROW_GB = 2e-5  # of a record in the store and in two files
CHECKPOINTS, TRAINED_BYTES = 2, 16  # checkpoints that are kept, and bytes of a trained number with its optimizer state


class StageWork:
    """Sums up what each stage does.

    Args:
        config: the settings.
        hardware: the machine.
        costs: what work costs on it.
    """

    def __init__(self, config: Config, hardware: Hardware, costs: Costs) -> None:
        self.config, self.hardware, self.costs = config, hardware, costs
        passed = round(planned_records(config) * KEPT_SHARE)
        self.kept = min(passed, config.filter.keep or passed)
        self.asked = asked(config.generate.instruction.max_new_tokens)
        self.students = {m.path: student_format(config, hardware, m, None) for m in config.models.students}

    def generate(self) -> StageEstimate:
        """The generator writes instructions and answers."""
        settings, model = self.config.generate, self.config.models.generator
        records, prompts = written_records(self.config), expected_rows(self.config, "prompts")
        limits = settings.instruction.max_new_tokens, settings.response.max_new_tokens
        rows, call, slots = records * settings.turns, settings.batch, self.config.engine.batch_size
        before = TEMPLATE + self.asked + (settings.turns - 1) * (self.asked + answered(limits[1]))
        answer = Texts(rows, answered(limits[1]), limits[1], call, slots, before)
        texts = [
            Texts(rows, self.asked, limits[0], call, slots, TEMPLATE, equal_prompts=True),
            answer,
            replace(answer, rows=prompts),
        ]
        task = self.writer("generator", model, texts)
        writing = task.seconds - self.costs.load(_size(model))
        detail = f"{records:,} records with {model.name}"
        if self.config.data.given:
            own = expected_rows(self.config, "records")
            counts = ((own, "records read"), (prompts, "prompts answered"), (records, "records written"))
            detail = ", ".join(f"{n:,} {what}" for n, what in counts if n) + f" by {model.name}"
        parts = (Part(f"writing with {model.name}", writing),)
        disk = planned_records(self.config) * ROW_GB
        return StageEstimate("generate", task.seconds, task.memory_gb, detail, parts, (task,), disk)

    def filter(self) -> StageEstimate:
        """The rules, and the models that some of them ask."""
        settings, records = self.config.filter, planned_records(self.config)
        seconds, detail = 0.3 + records / 1500, f"{records:,} records, every rule"
        length = self.asked + answered(self.config.generate.response.max_new_tokens)
        tasks = []
        if model := settings.tags.model:
            prompt, most = length + TAG_QUESTION, settings.tags.max_new_tokens
            texts = Texts(records, TAG_ANSWER, most, settings.tags.batch, self.config.engine.batch_size, prompt)
            tasks.append(self.writer("tagging model", model, [texts]))
            detail += f", tags by {model.name}"
        if settings.min_reward is not None:
            tasks.append(self.reward_task(records * length, records / self.config.prefer.reward_batch_size))
            detail += f", scores by {self.config.models.reward.name}"
        seconds += sum(task.seconds for task in tasks)
        memory = max([0.3, *(task.memory_gb for task in tasks)])
        return StageEstimate("filter", seconds, memory, detail, (), tuple(tasks), 2 * self.kept * ROW_GB)

    def prefer(self) -> StageEstimate:
        """The responders answer, and a reward model or a judge compares their answers."""
        settings, models = self.config.prefer, self.config.models
        own = settings.on_policy != "off"
        n = min(self.kept, round((ASKED_FOR_MARGIN if settings.min_margin else ASKED) * settings.pairs))
        limit, slots = settings.sampling.max_new_tokens, self.config.engine.batch_size
        length, call = answered(limit), max(settings.samples, settings.batch)
        answering = models.students if own else models.responders
        rows = n * settings.samples
        texts = Texts(rows, length, limit, call, slots, TEMPLATE + self.asked)
        tasks = [self.writer("student" if own else "responder", m, [texts]) for m in answering]
        parts = [Part(f"answering with {m.name}", t.seconds) for m, t in zip(answering, tasks, strict=True)]
        each = settings.samples * (1 if own else len(answering))  # answers to a record that are compared
        if settings.scorer == "judge" and models.judge:
            judgments = n * (len(answering) if own else 1) * self.judgments(each)
            most = settings.judge.sampling.max_new_tokens
            written, prompt = answered(most), 2 * length + self.asked + TAG_QUESTION
            judged = Texts(judgments, written + 0.2 * length, most, call, slots, prompt)
            tasks.append(self.writer("judge", models.judge, [judged]))
            parts.append(Part(f"scoring with {models.judge.name}", tasks[-1].seconds))
            how = f"{judgments:,} judgments"
        else:
            tokens = rows * len(answering) * 1.6 * length
            tasks.append(self.reward_task(tokens, 3 * tokens / 8e3))
            parts.append(Part(f"scoring with {models.reward.name}", tasks[-1].seconds))
            how = "scored"
        pairs = min(settings.pairs, n) * (len(answering) if own else 1)
        detail = f"{n:,} x {len(answering) * settings.samples} answers, {how}, {pairs:,} pairs"
        memory, disk = max(task.memory_gb for task in tasks), (pairs + rows * len(answering)) * ROW_GB
        return StageEstimate(
            "prefer", sum(part.seconds for part in parts), memory, detail, tuple(parts), tuple(tasks), disk
        )

    def judgments(self, answers: int) -> int:
        """Judgments that the judge makes on this many answers to one prompt."""
        return answers * (answers - 1) if self.config.prefer.judge.mode == "pairwise" else answers

    def train(self, method: Method) -> StageEstimate:
        """A method trains each of its students."""
        students, settings = tuned_students(self.config, method), self.config.train.of(method)
        batch = f"{settings.per_device_train_batch_size} x {settings.gradient_accumulation_steps}"
        tasks, disk = [], 0.0
        for model in students:
            tuning = self.tuning(method, model)
            size, held = _size(model), self.students[model.path]
            seconds = self.costs.load(size) + self.costs.tune(size, held, tuning)
            memory = self.costs.tuning_gb(size, held, tuning)
            tasks.append(TaskEstimate(model.name, held.weights, "training", batch, memory, tuning.tokens, seconds))
            virtual = self.config.train.prompt_tuning.num_virtual_tokens
            disk += adapter_weights(size, tuning.tuned, tuning.rank, virtual) * (4 + CHECKPOINTS * TRAINED_BYTES) / 1e9
        parts = tuple(Part(f"training {task.model}", task.seconds) for task in tasks)
        tuned = ", ".join(m.name for m in students) or "no student"
        label = method.label if starting_method(self.config, method) else method.label.rpartition(" + ")[2]
        seconds, peak = sum(t.seconds for t in tasks), max((t.memory_gb for t in tasks), default=0.0)
        return StageEstimate(method.name, seconds, peak, f"{label} on {tuned}", parts, tuple(tasks), disk)

    def tuning(self, method: Method, model: ModelConfig) -> Tuning:
        """Returns the training of one student."""
        settings, pairs = self.config.train.of(method), method.trains_on == "pairs"
        n = self.config.prefer.pairs if pairs else self.kept
        most = (self.config.prefer.sampling if pairs else self.config.generate.response).max_new_tokens
        length = min(self.asked + answered(most), settings.max_length)
        seen, texts, rows = n * settings.num_train_epochs, 2 if pairs else 1, settings.per_device_train_batch_size
        fitted, on_gpu = rows * texts * length * 1.5, self.hardware.device == "cuda"
        return Tuning(
            tokens=seen * length * texts,
            micro_batches=seen / rows,
            largest=largest_micro_batch(self.config, method) if on_gpu else fitted,
            checkpointing=settings.gradient_checkpointing,
            tuned=what_is_tuned(method),
            rank=self.config.train.sft.lora.r,
            read_once=2 * n * length if pairs else 0.0,  # the reference reads both answers once
            packed=may_be_packed(model, self.config.train, method.name, self.hardware.device),
        )

    def evaluate(self) -> StageEstimate:
        """Every variant of every student answers every benchmark."""
        settings, models = self.config.evaluate, self.config.models
        work = {name: benchmark_work(name, settings) for name in settings.benchmarks}
        rewarded = [name for name in settings.benchmarks if benchmark(name).add_rewards is not None]
        longest, items = max(one.max_new_tokens for one in work.values()), max(one.items for one in work.values())
        parts, tasks, loading = list[Part](), [], 0.0
        for model in models.students:
            tuned = [method.name for method in METHODS if model in tuned_students(self.config, method)]
            own = [
                Part(evaluation_step(model.name, variant, name), self.answers(model, one, variant == BASE), True)
                for variant in (BASE, *tuned)
                for name, one in work.items()
            ]
            opening = self.costs.load(_size(model)) + (1 + len(tuned)) * VARIANT_SECONDS
            loading, parts = loading + opening, parts + own
            tokens = sum(answering_tokens(one, v == BASE) for v in (BASE, *tuned) for one in work.values())
            seconds = opening + sum(part.seconds for part in own)
            tasks.append(self.answering(model, (longest, items), tokens, seconds))
        variants = len(parts) // len(work)
        if rewarded:
            tasks.append(self.scoring([work[name] for name in rewarded], variants))
            parts.append(Part("scoring the answers", tasks[-1].seconds))
        if "mt_bench" in work and settings.mt_bench.judge.model:
            tasks.append(self.judging(work["mt_bench"], variants))
            parts.append(Part(judging_label(tasks[-1].model), tasks[-1].seconds))
        memory = max(task.memory_gb for task in tasks)
        seconds = 3.0 + loading + sum(part.seconds for part in parts)
        detail = f"{variants} variants on {', '.join(settings.benchmarks)}"
        detail += f", {parts[-1].label}" if parts[-1].label.startswith("judging") else ""
        disk = variants * sum(one.items * max(one.answers, 1) for one in work.values()) * ROW_GB
        return StageEstimate("evaluate", seconds, memory, detail, tuple(parts), tuple(tasks), disk)

    def judging(self, work: Work, variants: int) -> TaskEstimate:
        """MT-Bench's judge rates the variants' answers, as a task."""
        judge, engine = self.config.evaluate.mt_bench.judge, self.config.engine
        assert judge.model is not None
        replies = judged_replies(judge, work, variants, len(self.config.models.students))
        held = role_format(self.config, self.hardware, JUDGE, judge.model)
        slots = engine.concurrency if held is None else engine.batch_size
        return judging(judge, _size(judge.model), held, replies, self.costs, slots, self.hardware)

    def answers(self, model: ModelConfig, work: Work, untuned: bool = False) -> float:
        """Seconds for one variant to answer a benchmark; an untuned one may be asked in further forms."""
        size, held, slots = _size(model), self.students[model.path], self.config.engine.batch_size
        most, length, seconds = work.max_new_tokens, answered(work.max_new_tokens), 0.0
        if work.answers:
            texts = Texts(work.items, length, most, 10_000, slots, TEMPLATE + 60)
            times = work.answers + untuned * work.untuned_answers
            seconds += times * self.costs.write(size, held, texts, "transformers")
        if work.scored_tokens:
            tokens = work.items * work.scored_tokens + work.shared_tokens
            reading = Reading(tokens, work.items / 16, 16 * work.scored_tokens)
            seconds += self.costs.read(size, held, reading)
        return seconds

    def answering(self, model: ModelConfig, most: tuple[int, int], tokens: float, seconds: float) -> TaskEstimate:
        """A student that answers the benchmarks, as a task; `most` are the tokens of an answer, and the answers."""
        size, held, slots = _size(model), self.students[model.path], self.config.engine.batch_size
        longest, rows = most[0], most[1] if slots == "auto" else slots
        texts = Texts(rows, answered(longest), longest, rows, slots, TEMPLATE + 60)
        memory, at_once = self.costs.writing_gb(size, held, texts), f"{self.costs.at_once(size, held, texts):,}"
        return TaskEstimate(model.name, held.weights, "transformers", at_once, memory, tokens, seconds)

    def scoring(self, works: Sequence[Work], variants: int) -> TaskEstimate:
        """The reward model scores the variants' answers."""
        tokens = variants * sum(one.items * one.answers * 2 * answered(one.max_new_tokens) for one in works)
        return self.reward_task(tokens, variants * sum(one.items for one in works) / 16)

    def writer(self, role: str, model: ModelConfig, texts: Sequence[Texts]) -> TaskEstimate:
        """A model that writes texts, as a task."""
        size, student = _size(model), role == "student"
        engine = self.engine(model, student)
        held = role_format(self.config, self.hardware, role, model) or SERVED
        if held.quantized and engine == "vllm":
            engine = "transformers"
        seconds = self.costs.load(size) + sum(self.costs.write(size, held, some, engine) for some in texts)
        tokens = sum(some.rows * some.length for some in texts)
        if not student and on_a_server(model, self.config.engine):
            batch = f"{self.config.engine.concurrency:,}"
            return TaskEstimate(model.name, "", "server", batch, BASE_GB, tokens, seconds)
        memory = max(self.costs.writing_gb(size, held, some) for some in texts)
        if engine == "vllm":
            memory = self.config.engine.gpu_memory_utilization * self.hardware.memory_for_models_gb
        at_once = max(self.costs.at_once(size, held, some) for some in texts)
        batch = "own" if engine == "vllm" else f"{at_once:,}"
        return TaskEstimate(model.name, held.weights, engine, batch, memory, tokens, seconds)

    def engine(self, model: ModelConfig, student: bool) -> str:
        """The engine that would run a model; the checks of a run say what is wrong with the settings."""
        if self.config.engine.kind == "vllm":
            return "vllm"  # wherever the plan is for, it is installed there
        try:
            return choose_engine(model, self.config.engine, self.hardware, student=student).kind
        except UserError:
            return "transformers"

    def reward_task(self, tokens: float, passes: float) -> TaskEstimate:
        """The reward model reads answers."""
        model, batch = self.config.models.reward, self.config.prefer.reward_batch_size
        size, longest = _size(model), self.config.prefer.reward_max_tokens
        held = role_format(self.config, self.hardware, "reward model", model) or SERVED
        reading = Reading(tokens, passes, batch * longest, longest)
        seconds = self.costs.load(size) + self.costs.read(size, held, reading)
        memory = self.costs.reading_gb(size, held, reading)
        return TaskEstimate(model.name, held.weights, "reward model", f"{batch:,}", memory, tokens, seconds)


def _size(model: ModelConfig) -> ModelShape:
    return shape(model) or UNKNOWN
