"""The figures of rewards: how the reward model scores the responders, and whether reward and passed checks agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synthetic_instruction_tuner.escaping import figure_text
from synthetic_instruction_tuner.evaluation.benchmarks.base import described_metric
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.grading import UNREADABLE
from synthetic_instruction_tuner.evaluation.comparison import ComparisonRow
from synthetic_instruction_tuner.reporting.figures.style import (
    BAR,
    INK,
    color,
    columns,
    join,
    label,
    line,
    marker,
    point,
    subplots,
)
from synthetic_instruction_tuner.reporting.language.translation import say
from synthetic_instruction_tuner.reporting.report_data import ReportData, in_order

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def responder_scores(data: ReportData) -> Figure | None:
    """The reward model's scores of each responder's answers."""
    models = {n: m["score"] for n, m in data.preference_report.get("models", {}).items() if m["score"]["n"]}
    if not models:
        return None
    order = sorted(models, key=lambda name: -models[name]["mean"])
    figure, (ax,) = subplots(1, 1, (8, 0.6 * len(order) + 1.5))
    for y, name in enumerate(order):
        q = models[name]["quantiles"]
        ax.plot([q["0.05"], q["0.95"]], [y, y], color=BAR, lw=2, alpha=0.55, solid_capstyle="round")
        ax.barh(y, q["0.75"] - q["0.25"], 0.42, left=q["0.25"], color=BAR, alpha=0.85)
        ax.plot([q["0.5"]] * 2, [y - 0.21, y + 0.21], color="white", lw=2)
        ax.plot(models[name]["mean"], y, "D", color=INK, ms=5)
        shown = say("mean {value:.2f}", value=models[name]["mean"]).replace("-", "−")
        ax.annotate(shown, (q["0.95"], y), (7, 0), textcoords="offset points", va="center", fontsize=9)
    ax.set_yticks(range(len(order)), [f"{label(name, 34)}\nn = {models[name]['n']:,}" for name in order])
    ax.tick_params(axis="y", length=0, labelcolor=INK)
    ax.set_ylim(len(order) - 0.5, -0.5)
    ax.margins(x=0.2)
    ax.grid(axis="x")
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(say("reward score (logit)   |   line: 5–95 %   box: 25–75 %   white: median   diamond: mean"))
    ax.set_title(say("Reward scores of the responders' answers"))
    return figure


def reward_against_passing(data: ReportData) -> Figure | None:
    """Mean reward against pass rate: a point per student and variant."""
    pairs = reward_points(data)
    if not pairs:
        return None
    figure, (ax,) = subplots(1, 1, (8, 4.6))
    for reward, passing in pairs:
        (left, right), (low, high) = reward.interval, passing.interval
        ax.errorbar(
            reward.value,
            passing.value,
            xerr=[[reward.value - left], [right - reward.value]],
            yerr=[[passing.value - low], [high - passing.value]],
            fmt=marker(reward.variant),
            color=color(reward.variant),
            ecolor="#C3C9D1",
            elinewidth=1,
            ms=8,
            mec="white",
        )
    join(ax, {(r.model, r.variant): (r.value, p.value) for r, p in pairs}, data.students)
    ax.set_xlabel(figure_text(f"{pairs[0][0].benchmark}: {pairs[0][0].metric}"))
    ax.set_ylabel(figure_text(f"{pairs[0][1].benchmark}: {pairs[0][1].metric}"))
    ax.set_title(say("Reward against passed checks, with 95 % intervals"))
    ax.grid()
    variants = in_order([r.variant for r, _ in pairs])
    handles = [*(point(v, data.labels) for v in variants), *(line(k, name) for k, name in enumerate(data.students))]
    ncols = columns([str(handle.get_label()) for handle in handles])
    figure.legend(handles=handles, loc="outside upper left", ncols=ncols, handlelength=3)
    return figure


def reward_points(data: ReportData) -> list[tuple[ComparisonRow, ComparisonRow]]:
    """Returns (mean reward, pass rate) per student and variant.

    The pass rate is of the same benchmark where it has one, and says how many answers are right where it has several.
    """
    rewards = [s for s in data.comparison if "reward" in s.metric]
    rates = [s for s in data.comparison if _is_pass_rate(s)]
    pairs = []
    for reward in [r for r in rewards if (r.benchmark, r.metric) == (rewards[0].benchmark, rewards[0].metric)]:
        mine = [s for s in rates if (s.model, s.variant) == (reward.model, reward.variant)]
        mine.sort(key=lambda s: (s.benchmark != reward.benchmark, s.metric != "right"))
        pairs += [(reward, mine[0])] if mine else []
    return pairs


def _is_pass_rate(row: ComparisonRow) -> bool:
    """Whether a score is a share of good answers; of a metric that no benchmark describes the value must do."""
    known = described_metric(row.benchmark, row.metric)
    share = known.span == 1 if known else 0 <= row.value <= 1
    return share and "reward" not in row.metric and row.metric != UNREADABLE
