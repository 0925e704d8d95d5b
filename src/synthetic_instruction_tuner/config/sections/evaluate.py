"""Stage evaluate: a section of settings for each benchmark, and the one list of the benchmarks' names.

A benchmark NAME has a field of that name here and the module ``evaluation/benchmarks/NAME.py``, or a package of that
name; nothing else knows it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PrivateAttr, field_validator

from synthetic_instruction_tuner.config.sections.mt_bench import MtJudgeConfig
from synthetic_instruction_tuner.config.sections.section import Section, checked_list, checked_path

NANO_BENCHMARKS: tuple[str, ...] = ("nano_ifeval", "nano_mmlu", "nano_mt")
"""The benchmarks whose items this package generates."""

PUBLIC_BENCHMARKS: tuple[str, ...] = ("ifeval", "mmlu", "mt_bench")
"""The benchmarks whose items are files; ``evaluation/benchmarks/published.py`` knows where they come from."""

BENCHMARKS = NANO_BENCHMARKS + PUBLIC_BENCHMARKS
"""Every benchmark, in the order in which tables show them."""


MOST_ITEMS = 10_000  # with so many, a share has a standard error of half a percentage point at most


class BenchmarkConfig(Section):
    """Settings that every benchmark has."""

    items: int = Field(
        240, ge=1, le=MOST_ITEMS, description="Number of items to evaluate on; a smaller number takes the first ones."
    )

    def key_part(self) -> dict[str, Any]:
        """Returns what results depend on."""
        return self.model_dump(mode="json")

    def answers_part(self) -> BenchmarkConfig | dict[str, Any]:
        """Returns what a model's answers depend on."""
        return self


class NanoIfevalConfig(BenchmarkConfig):
    """Instruction following in the nano models' world."""

    max_new_tokens: int = Field(160, ge=1, le=1_000_000, description="Maximum length of an answer, in tokens.")


class NanoMmluConfig(BenchmarkConfig):
    """Four-choice questions in the nano models' world."""


class NanoMtConfig(BenchmarkConfig):
    """Two-turn conversations in the nano models' world."""

    temperature: float = Field(0.7, ge=0, le=100, description="Sampling temperature of the answers.")
    max_new_tokens: int = Field(160, ge=1, le=1_000_000, description="Maximum length of an answer, in tokens.")


class PublicConfig(BenchmarkConfig):
    """Settings that every public benchmark has."""

    _data_dir: str | None = PrivateAttr(None)

    @property
    def data_dir(self) -> Path | None:
        """The folder of `EvaluateConfig.data_dir`: where files are is no part of a benchmark's settings."""
        return None if self._data_dir is None else Path(self._data_dir).expanduser()

    def with_place(self, data_dir: str | None, most: int | None) -> PublicConfig:
        """Returns the settings with a folder, and with at most `most` items."""
        found = self.model_copy(update={"items": min(self.items, most or self.items)})
        found._data_dir = data_dir
        return found


class IfevalConfig(PublicConfig):
    """IFEval: prompts with rules that a program checks."""

    items: int = Field(541, ge=1, le=541, description="Number of prompts; fewer are a fixed random subset.")
    max_new_tokens: int = Field(1280, ge=1, le=1_000_000, description="Maximum length of an answer, in tokens.")
    mode: Literal["deterministic", "google"] = Field(
        "deterministic",
        description="deterministic: symbols of a rule on letters are counted as they are; google: they are replaced by "
        "a letter drawn at random, as in the published scorer, here with a fixed seed.",
    )


MmluForm = Literal["zero_shot", "chat"]


class MmluConfig(PublicConfig):
    """MMLU: four-choice questions of 57 subjects."""

    items: int = Field(14_042, ge=1, le=14_042, description="Number of questions; fewer are a fixed random subset.")
    shots: int = Field(5, ge=0, le=5, description="Number of solved examples of the subject before each question.")
    further: tuple[MmluForm, ...] = Field(
        ("zero_shot", "chat"),
        description="Further forms of the prompt, each a metric of its own: zero_shot (no examples) and chat (the same "
        "prompt under the chat template).",
    )

    _distinct = field_validator("further")(checked_list)


class MtBenchConfig(PublicConfig):
    """MT-Bench: two-turn questions, rated by a judge."""

    items: int = Field(
        80, ge=1, le=80, description="Number of questions; fewer are a fixed random subset, spread over the categories."
    )
    max_new_tokens: int = Field(1024, ge=1, le=1_000_000, description="Maximum length of an answer, in tokens.")
    judge: MtJudgeConfig = Field(MtJudgeConfig(), description="The judge that rates the answers.")

    def key_part(self) -> dict[str, Any]:
        """Returns what results depend on; how a judge's server is reached does not matter."""
        return self.model_dump(mode="json", exclude={"judge"}) | {"judge": self.judge.key_part()}

    def answers_part(self) -> dict[str, Any]:
        """Returns what answers depend on: another judge never asks a student again."""
        return self.model_dump(mode="json", exclude={"judge"})


class EvaluateConfig(Section):
    """The untuned student and each tuned variant on the same items."""

    benchmarks: tuple[Literal[BENCHMARKS], ...] = Field(  # type: ignore[valid-type]  # mypy wants the names spelled out
        NANO_BENCHMARKS,
        description="Benchmarks to run, in order: those of the nano world, or the public ifeval, mmlu and mt_bench.",
        min_length=1,
    )
    data_dir: str | None = Field(
        None,
        description="Folder with a subfolder per public benchmark (ifeval, mmlu, mt_bench) and nltk_punkt_tab; what is "
        "missing there is looked for in the Hugging Face cache and on the Hub. See 'sit benchmarks'.",
    )
    require: bool = Field(
        False, description="Stop before the start when a benchmark's files are missing, instead of leaving it out."
    )
    limit_items: int | None = Field(
        None, ge=1, le=14_042, description="At most this many items of each public benchmark, a fixed random subset."
    )
    equivalence_margin: float = Field(
        0.02,
        gt=0,
        le=0.5,
        description="Difference up to which two variants count as equivalent, as a share of the metric's span (0.02: 2 "
        "percentage points of a share). The report says so where two one-sided tests at 5 % show it.",
    )
    nano_ifeval: NanoIfevalConfig = Field(NanoIfevalConfig(), description="Benchmark nano_ifeval.")
    nano_mmlu: NanoMmluConfig = Field(NanoMmluConfig(), description="Benchmark nano_mmlu.")
    nano_mt: NanoMtConfig = Field(NanoMtConfig(), description="Benchmark nano_mt.")

    ifeval: IfevalConfig = Field(IfevalConfig(), description="Benchmark ifeval.")
    mmlu: MmluConfig = Field(MmluConfig(), description="Benchmark mmlu.")
    mt_bench: MtBenchConfig = Field(MtBenchConfig(), description="Benchmark mt_bench.")

    _short_enough = field_validator("data_dir")(checked_path)

    @field_validator("benchmarks")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a benchmark is named twice")
        return value

    def settings(self, benchmark: str) -> BenchmarkConfig:
        """Returns the benchmark's own settings, with what holds for all public ones."""
        found: BenchmarkConfig = getattr(self, benchmark)
        return found.with_place(self.data_dir, self.limit_items) if isinstance(found, PublicConfig) else found

    def key_part(self) -> dict[str, Any]:
        """Returns what results depend on: all settings except places of files and benchmarks that do not run."""
        others = {name for name in BENCHMARKS if name not in self.benchmarks}
        found = self.model_dump(
            mode="json", exclude={"data_dir", "require", "limit_items", "equivalence_margin", *others}
        )
        return found | {name: self.settings(name).key_part() for name in self.benchmarks}

    def limited(self, most: int) -> EvaluateConfig:
        """Returns the settings with at most `most` items of each benchmark."""
        sections: dict[str, BenchmarkConfig] = {name: getattr(self, name) for name in BENCHMARKS}
        return self.model_copy(
            update={name: own.model_copy(update={"items": min(most, own.items)}) for name, own in sections.items()}
        )
