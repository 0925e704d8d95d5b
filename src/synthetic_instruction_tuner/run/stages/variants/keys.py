"""What a variant's answers to a benchmark depend on, as the name of the unit that holds them.

Model, adapter, chat template, the benchmark's data and settings, the engine's settings, and the number format that
these have led to on this machine: answers of another one of them are other answers. What does not matter is left out,
so that nothing is asked again for it.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from synthetic_instruction_tuner.config import Config, ModelConfig, fingerprint
from synthetic_instruction_tuner.evaluation.benchmarks.base import benchmark
from synthetic_instruction_tuner.models.adapters import adapter_digest
from synthetic_instruction_tuner.models.files import expanded, identity
from synthetic_instruction_tuner.models.number_format import NumberFormat
from synthetic_instruction_tuner.run.stages.stage import Context
from synthetic_instruction_tuner.run.stages.variants.variant import Variant

VERSION = 1  # of the stage
PLAIN = "float32"  # the format of a CPU, which keys do not name


def unit_of(ctx: Context, variant: Variant, name: str) -> str:
    """Returns the unit of a variant's answers to a benchmark on this machine."""
    return answers_unit(ctx.config, variant, name, ctx.number_format(variant.student, student=True))


def answers_unit(config: Config, variant: Variant, name: str, held: NumberFormat) -> str:
    """Returns the unit of a variant's answers to a benchmark.

    Args:
        config: the run's settings.
        variant: who answers.
        name: the benchmark.
        held: the number format of its weights, in which ``auto`` has no place any more.
    """
    settings, data_key = config.evaluate.settings(name), benchmark(name).data_key
    files = [] if data_key is None else [data_key(settings)]
    key = fingerprint(
        VERSION,
        name,
        settings.answers_part(),
        identity(variant.student),
        adapter_digest(variant.adapter, variant.student) if variant.adapter else None,
        config.engine.key_part(),
        *((held.weights,) if held.quantized else ()),
        *files,
        *((held.compute,) if files or held.compute != PLAIN else ()),
        *template_key(variant.student),
    )
    return f"evaluate:{variant.label}:{name}:{key}"


def precision_key(held: NumberFormat) -> tuple[str, ...]:
    """Returns what a number format adds to the key of scores; nothing for that of a CPU."""
    return () if held.weights == held.compute == PLAIN else (held.weights, held.compute)


def template_key(model: ModelConfig) -> tuple[str, ...]:
    """Returns a hash of the template that a model's setting ``chat_template`` names; nothing where it names none.

    A model's own template is among the files by which it is known.
    """
    if model.chat_template is None:
        return ()
    named = Path(expanded(model.chat_template))
    if named.is_dir():
        return (str(identity(ModelConfig(path=model.chat_template))["content"]),)
    with contextlib.suppress(OSError):
        return (hashlib.sha256(named.read_bytes()).hexdigest(),)
    return ()  # on the Hub; or it cannot be read, which the checks before a run say
