"""Whether the students can be tuned: what LoRA adapts in them, and whether a soft prompt fits into them."""

from __future__ import annotations

from collections.abc import Collection

from synthetic_instruction_tuner.config import Config, ModelConfig, tuned_students
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.methods import method
from synthetic_instruction_tuner.models.files import EMBEDDED, local_folder
from synthetic_instruction_tuner.run.checks.finding import Check
from synthetic_instruction_tuner.run.pipeline import stage_index, stage_names

EMBEDDED_LAYERS = frozenset({"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"})


def check_students(config: Config, until: str | None = None, fetch: bool = False) -> list[Check]:
    """Returns for each student what LoRA adapts in it, or why it cannot be tuned; no weights are read.

    The embedded students have the layers that their profile names: they are left out as long as it is these.

    Args:
        config: the run's settings.
        until: the last stage of the run.
        fetch: whether to get the config.json of a student that is not on this machine yet from the Hub.
    """
    stages = stage_names(config)[: stage_index(until, config) + 1] if until else stage_names(config)
    wanted = config.train.sft.lora.target_modules
    if "sft" not in stages:
        return []
    known = EMBEDDED_LAYERS.issuperset(wanted)
    students = [model for model in config.models.students if not (known and model.path.startswith(EMBEDDED))]
    return [check for model in students if (check := _checked(model, config, stages, fetch))]


def _checked(model: ModelConfig, config: Config, stages: Collection[str], fetch: bool) -> Check | None:
    """Returns the finding; None where the model's files are not here or damaged, which another check says."""
    from synthetic_instruction_tuner.models.architecture import empty_model, longest_text
    from synthetic_instruction_tuner.models.availability import availability
    from synthetic_instruction_tuner.training.lora_targets import find_targets

    where, name = availability(model, reward=False), f"LoRA in {model.name}:"
    if where.fault is not None or (where.folder is None and not fetch):
        return None
    if where.folder is not None and not local_folder(model):
        model = model.model_copy(update={"path": str(where.folder), "revision": None})
    try:
        empty = empty_model(model)
    except UserError:  # it cannot be loaded either
        return None
    try:
        if "prompt_tuning" in stages and model in tuned_students(config, method("prompt_tuning")):
            longest_text(model, 2, config.train.prompt_tuning.num_virtual_tokens)
        found = find_targets(empty, config.train.sft.lora.target_modules)
    except UserError as error:
        return Check(name, False, f"{error.problem} {error.cause}", error.fix)
    return Check(name, True, found.describe())
