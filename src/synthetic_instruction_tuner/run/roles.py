"""Which models a run uses, in which role, and in which of its stages."""

from __future__ import annotations

from collections.abc import Collection

from synthetic_instruction_tuner.config import Config, ModelConfig
from synthetic_instruction_tuner.methods import METHODS
from synthetic_instruction_tuner.run.own_data.needs import without_models

JUDGE = "MT-Bench judge"
DATA_STAGES = ("generate", "filter", "prefer")


def used_models(config: Config, stages: Collection[str] | None = None) -> list[tuple[str, ModelConfig]]:
    """Returns the models that these stages load, with their roles; without stages, those of the whole run."""
    return [(role, model) for role, model, used in _roles(config) if stages is None or not used.isdisjoint(stages)]


def data_models(config: Config) -> list[tuple[str, ModelConfig]]:
    """Returns the models that wrote the data, tagged them or chose among them, with their roles."""
    return [(role, model) for role, model in used_models(config, DATA_STAGES) if role != "tokenizer"]


def _roles(config: Config) -> list[tuple[str, ModelConfig, set[str]]]:
    """All models with their roles and the stages that load them."""
    models, rules = config.models, config.filter
    on_policy = config.prefer.on_policy != "off"
    judge = models.judge if config.prefer.scorer == "judge" else None
    trained = {*(method.name for method in METHODS), "evaluate", "agents"} | ({"prefer"} if on_policy else set())
    scored = {"evaluate"}  # conversations are scored there
    scored |= {"prefer"} if judge is None else set()
    scored |= {"filter"} if rules.min_reward is not None else set()
    found: list[tuple[str, ModelConfig, set[str]]] = [("generator", models.generator, {"generate"})]
    if rules.tags.model:
        found.append(("tagging model", rules.tags.model, {"filter"}))
    if rules.tokenizer:
        found.append(("tokenizer", ModelConfig(path=rules.tokenizer), {"filter"}))
    if not on_policy:
        found += [("responder", model, {"prefer"}) for model in models.responders]
    found += [("student", model, trained) for model in models.students]
    if judge:
        found.append(("judge", judge, {"prefer"}))
    found.append(("reward model", models.reward, scored))
    if "mt_bench" in config.evaluate.benchmarks and config.evaluate.mt_bench.judge.model:
        found.append((JUDGE, config.evaluate.mt_bench.judge.model, {"evaluate"}))
    idle = without_models(config)
    return [(role, model, used - idle) for role, model, used in found if used - idle]
