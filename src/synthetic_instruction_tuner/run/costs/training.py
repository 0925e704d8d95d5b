"""What a training costs, and how it is told in one line: speed, memory, use of the GPU, energy, money."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from synthetic_instruction_tuner.models.hardware import Hardware
from synthetic_instruction_tuner.reporting.formatting import counted, duration
from synthetic_instruction_tuner.run.costs.cards import card_of

FIGURES = " · "  # as the live line splits them


def with_costs(metrics: Mapping[str, Any], hardware: Hardware, price_per_hour: float | None) -> dict[str, Any]:
    """Returns a training's metrics with what follows from them: MFU on a GPU whose speed is known, and money.

    Args:
        metrics: `TrainingMetrics` as JSON.
        hardware: the machine.
        price_per_hour: what an hour of it costs; None: not told.
    """
    found = dict(metrics)
    peak = peak_flops(hardware)
    if peak and metrics["device"] != "cpu":
        per_token = flops_per_token(metrics["total_parameters"], metrics["trainable_parameters"])
        found["mfu"] = metrics["tokens_per_second"] * per_token / peak
    if price_per_hour is not None:
        found["cost"] = metrics["seconds"] / 3600 * price_per_hour
    return found


def flops_per_token(total_parameters: int, trained_parameters: int) -> float:
    """Returns what a token costs in training with a frozen base model, without what is computed again."""
    from synthetic_instruction_tuner.training.monitoring.pace import model_flops

    return model_flops(1, total_parameters, trained_parameters)


def peak_flops(hardware: Hardware) -> float | None:
    """Returns the FLOP/s in 16 bits of the machine's GPU, if it is in the table of cards."""
    if not hardware.gpu_memory_gb:
        return None
    card = card_of(hardware)
    return None if card.assumed else card.flops


def done_line(metrics: Mapping[str, Any]) -> str:
    """Returns a finished training in one line.

    Args:
        metrics: those of `with_costs`.
    """
    figures = [
        f"loss {metrics['first_loss']:.3f} -> {metrics['final_loss']:.3f}",
        f"{counted(metrics['steps'], 'steps')} in {duration(metrics['seconds'])}",
        f"{metrics['tokens_per_second']:,.0f} tok/s",
        f"{metrics['peak_memory_gb']:.1f} GB",
    ]
    figures += [f"MFU {metrics['mfu']:.0%}"] if "mfu" in metrics else []
    figures += [f"{metrics['energy_wh']:,.1f} Wh"] if metrics.get("energy_wh") else []
    figures += [f"cost {metrics['cost']:.2f}"] if "cost" in metrics else []
    figures += [f"{counted(metrics['truncated'], 'rows')} cut to max_length"] if metrics.get("truncated") else []
    figures += [f"{metrics['dropped']:,} left out"] if metrics.get("dropped") else []
    return f"{metrics['student']}: {FIGURES.join(figures)}"


def step_line(values: Mapping[str, float]) -> str | None:
    """Returns the figures of a step, the most important first; None if there is no loss."""
    if "loss" not in values:
        return None
    figures = [f"loss {values['loss']:.3f}"]
    figures += [f"{values['tokens_per_second']:,.0f} tok/s"] if "tokens_per_second" in values else []
    figures += [f"lr {values['learning_rate']:.1e}"] if "learning_rate" in values else []
    figures += [f"{values['peak_memory_gb']:.1f} GB"] if "peak_memory_gb" in values else []
    return FIGURES.join(figures)


def in_percent(advance: Callable[[int, str | None], None]) -> Callable[[int, int, dict[str, float]], None]:
    """Returns the callback for each training step; it advances a display that counts to 100 percent."""
    shown = 0

    def on_step(step: int, steps: int, values: dict[str, float]) -> None:
        nonlocal shown
        now = max(round(100 * step / max(steps, 1)), shown)  # after a recovery steps are done again
        advance(now - shown, step_line(values))
        shown = now

    return on_step
