"""The whole configuration of a run: its sections, and the constraints between them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pydantic import BaseModel, Field, model_validator

from synthetic_instruction_tuner.config.sections.agents import AgentsConfig
from synthetic_instruction_tuner.config.sections.data import DataConfig
from synthetic_instruction_tuner.config.sections.engine import EngineConfig
from synthetic_instruction_tuner.config.sections.evaluate import EvaluateConfig
from synthetic_instruction_tuner.config.sections.filter import ContaminationConfig, FilterConfig
from synthetic_instruction_tuner.config.sections.generate import GenerateConfig
from synthetic_instruction_tuner.config.sections.models import ModelConfig, ModelsConfig
from synthetic_instruction_tuner.config.sections.prefer import PreferConfig
from synthetic_instruction_tuner.config.sections.report import ReportConfig
from synthetic_instruction_tuner.config.sections.section import Section, refuse
from synthetic_instruction_tuner.config.sections.train import TrainConfig
from synthetic_instruction_tuner.methods import Method, method


class Config(Section):
    """The whole, resolved configuration of a run."""

    profile: str = Field(description="Profile that the configuration starts from.")
    description: str = Field("", description="What the profile is for, in one line.")
    seed: int = Field(17, ge=0, le=2**32 - 1, description="Fixes every random choice of the run.")
    limit: int | None = Field(None, ge=1, description="Cap every count at this number, for a trial run.")
    models: ModelsConfig = Field(description="The models.")
    data: DataConfig = Field(DataConfig(), description="Your own data, to start a run from.")
    engine: EngineConfig = Field(EngineConfig(), description="What runs models for text.")
    generate: GenerateConfig = Field(GenerateConfig(), description="Stage generate.")
    filter: FilterConfig = Field(FilterConfig(), description="Stage filter.")
    prefer: PreferConfig = Field(PreferConfig(), description="Stage prefer.")
    train: TrainConfig = Field(TrainConfig(), description="The stages that train.")
    evaluate: EvaluateConfig = Field(EvaluateConfig(), description="Stage evaluate.")
    agents: AgentsConfig = Field(AgentsConfig(), description="Stage agents.")
    report: ReportConfig = Field(ReportConfig(), description="Stage report.")

    @model_validator(mode="after")
    def _fitting(self) -> Config:
        share, models = self.prefer.max_chosen_share, len(self.models.responders)
        off_policy = self.prefer.on_policy == "off" and not self.data.pairs
        own = " and ".join(f"data.{kind}" for kind in ("records", "prompts") if self.data.files(kind))
        refuse(
            f"generate.until_kept counts generated records only: with {own}, set filter.keep instead"
            if self.generate.until_kept is not None and own
            else None,
            "prefer.scorer=judge needs models.judge: the chat model that judges"
            if self.prefer.scorer == "judge" and self.models.judge is None
            else None,
            "one responder with prefer.samples=1 leaves nothing to compare"
            if off_policy and models * self.prefer.samples < 2
            else None,
            f"prefer.max_chosen_share={share} of {models} responders cannot add up to all pairs"
            if off_policy and share is not None and share * models < 1
            else None,
        )
        return self

    @property
    def contamination(self) -> ContaminationConfig:
        """What no record may contain; looked for in the evaluation's folder where the filter names no other."""
        wanted, folder = self.filter.contamination, self.evaluate.data_dir
        if wanted.folder is not None or folder is None or set(wanted.benchmarks) <= {"nano"}:
            return wanted
        if not Path(folder).expanduser().is_dir():  # the evaluation says so
            return wanted
        return wanted.model_copy(update={"folder": folder})

    def limited(self) -> Config:
        """Returns the configuration with every count cut to `limit`."""
        if self.limit is None:
            return self
        n = self.limit
        return self.model_copy(
            update={
                "data": self.data.model_copy(
                    update={"count": min(n, self.data.count or n) if self.data.given else self.data.count}
                ),
                "generate": self.generate.model_copy(
                    update={
                        "count": min(n, self.generate.count),
                        "until_kept": self.generate.until_kept and min(n, self.generate.until_kept),
                    }
                ),
                "filter": self.filter.model_copy(update={"keep": min(n, self.filter.keep or n)}),
                "prefer": self.prefer.model_copy(update={"pairs": min(n, self.prefer.pairs)}),
                "evaluate": self.evaluate.limited(n),
                "agents": self.agents.limited(n),
            }
        )

    def as_json(self) -> str:
        """Returns the configuration as indented JSON, as in a run's config.json."""
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"


def tuned_students(config: Config, by: Method) -> tuple[ModelConfig, ...]:
    """Returns the students that a method tunes, among those that have the adapter it starts from."""
    if by.trains_on == "records" and not config.data.has_records:
        return ()
    start = starting_method(config, by)
    students = tuned_students(config, start) if start else config.models.students
    which = config.train.of(by).model_dump()["students"] if by.chooses_students else "all"
    return students[: {"first": 1, "all": len(students), "none": 0}[which]]


def starting_method(config: Config, by: Method) -> Method | None:
    """Returns the method whose adapter this one goes on training; None where it starts from the base model.

    That is so, too, if the earlier method learns from records and the run has none, but the user's pairs alone.
    """
    start = method(by.starts_from) if by.starts_from else None
    return None if start and start.trains_on == "records" and not config.data.has_records else start


def fingerprint(*parts: object) -> str:
    """Returns a short hash of JSON-able values and pydantic models, the same on every machine."""
    plain = [p.model_dump(mode="json") if isinstance(p, BaseModel) else p for p in parts]
    text = json.dumps(plain, sort_keys=True, default=lambda m: m.model_dump(mode="json"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
