"""The settings that make a stage fit into the memory of a machine, found by planning again with them."""

from __future__ import annotations

from collections.abc import Iterator

from synthetic_instruction_tuner.config import Config, change_config
from synthetic_instruction_tuner.methods import METHODS, Method
from synthetic_instruction_tuner.models.hardware import Hardware
from synthetic_instruction_tuner.models.sizes.decoding_memory import CPU_ROWS
from synthetic_instruction_tuner.run.costs.cards import Card
from synthetic_instruction_tuner.run.costs.estimates import StageEstimate
from synthetic_instruction_tuner.run.planning import estimate

SHORTEST = 256  # tokens below which texts are not cut to make a training fit


def settings_that_fit(
    config: Config, hardware: Hardware, stage: StageEstimate, card: Card | None = None
) -> list[str] | None:
    """Returns the fewest settings with which a stage fits, as ``--set`` takes them; None where none do.

    Args:
        config: the settings, with which it does not fit.
        hardware: the machine.
        stage: the stage.
        card: the machine's GPU, if the table of cards does not have it.
    """

    def fits(settings: list[str]) -> bool:
        changed = change_config(config, settings)
        found = next(e for e in estimate(changed, hardware, card) if e.stage == stage.stage)
        return found.memory_gb <= hardware.memory_for_models_gb

    candidates = list(_candidates(config, hardware, stage))
    if not candidates or not fits(candidates[-1]):  # which takes the least
        return None
    return next((settings for settings in candidates[:-1] if fits(settings)), candidates[-1])


def _candidates(config: Config, hardware: Hardware, stage: StageEstimate) -> Iterator[list[str]]:
    """Yields settings that take less and less memory; what changes least comes first, 4 bits last."""
    few_bits = _in_4_bits(config, hardware, stage)
    for bits in ([], few_bits) if few_bits else ([],):
        if bits:
            yield bits
        method = next((method for method in METHODS if method.name == stage.stage), None)
        smaller = _fewer_texts(config, hardware.device) if method is None else _smaller_training(config, method)
        yield from (bits + settings for settings in smaller)


def _smaller_training(config: Config, method: Method) -> Iterator[list[str]]:
    """Yields checkpointing, then smaller micro-batches of the same global batch, then shorter texts."""
    name, settings = f"train.{method.name}", config.train.of(method)
    again = [] if settings.gradient_checkpointing else [f"{name}.gradient_checkpointing=true"]
    if again:
        yield again
    rows, steps = settings.per_device_train_batch_size, settings.gradient_accumulation_steps
    while rows > 1:
        rows, steps = (rows // 2, steps * 2) if rows % 2 == 0 else (1, steps * rows)
        yield again + _batch(name, rows, steps)
    length = settings.max_length // 2
    while length >= SHORTEST:
        yield [*again, *_batch(name, rows, steps), f"{name}.max_length={length}"]
        length //= 2


def _batch(name: str, rows: int, steps: int) -> list[str]:
    return [f"{name}.per_device_train_batch_size={rows}", f"{name}.gradient_accumulation_steps={steps}"]


def _fewer_texts(config: Config, device: str) -> Iterator[list[str]]:
    """Yields as many texts as fit, on a GPU, then smaller and smaller numbers of those written, or scored, at once."""
    rows, scored = config.engine.batch_size, config.prefer.reward_batch_size
    if device == "cuda":
        automatic = [] if rows == "auto" else ["engine.batch_size=auto"]
        if automatic:
            yield automatic
        while scored > 1:
            scored //= 2
            yield [f"prefer.reward_batch_size={scored}"]
            if automatic:
                yield [*automatic, f"prefer.reward_batch_size={scored}"]
        return
    written = CPU_ROWS if rows == "auto" else rows
    while written > 1 or scored > 1:
        written, scored = max(1, written // 2), max(1, scored // 2)
        yield [f"engine.batch_size={written}"]
        yield [f"engine.batch_size={written}", f"prefer.reward_batch_size={scored}"]


def _in_4_bits(config: Config, hardware: Hardware, stage: StageEstimate) -> list[str]:
    """Returns the settings that hold the stage's large models in 4 bits, where that is forbidden now."""
    if hardware.device != "cuda":
        return []
    large = {t.model for t in stage.tasks if t.memory_gb > hardware.memory_for_models_gb}
    models, found = config.models, []
    for role in ("generator", "reward", "judge"):
        model = getattr(models, role)
        if model is not None and model.name in large and model.load_in_4bit is not True:
            found.append(f"models.{role}.load_in_4bit=true")
    for role in ("responders", "students"):
        for i, model in enumerate(getattr(models, role)):
            if model.name in large and model.load_in_4bit is not True:
                found.append(f"models.{role}.{i}.load_in_4bit=true")
    return found
