"""The report's figures. Each function draws one from the data and returns it, or None when there is nothing to draw."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.data_files.atomic_writing import atomic_file
from synthetic_instruction_tuner.escaping import figure_text
from synthetic_instruction_tuner.evaluation.benchmarks.base import described_metric
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.grading import UNREADABLE
from synthetic_instruction_tuner.evaluation.comparison import ComparisonRow
from synthetic_instruction_tuner.reporting.agents.figure import agent_ends
from synthetic_instruction_tuner.reporting.figure_style import (
    BAR,
    INK,
    MARKERS,
    SOFT,
    STUDENT_COLORS,
    STYLE,
    color,
    mark,
    patch,
    subplots,
)
from synthetic_instruction_tuner.reporting.report_data import ReportData, in_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def benchmarks(data: ReportData) -> Figure | None:
    """Headline scores: a row per benchmark, a group per student, a bar per variant."""
    rows = list(data.headlines.items())
    if not rows:
        return None
    variants = in_order([s.variant for s in data.headline_rows])
    figure, axes = subplots(len(rows), 1, (max(7.0, 2.6 * len(data.students) + 1.5), 2.7 * len(rows) + 0.6))
    for ax, (benchmark, metric) in zip(axes, rows, strict=True):
        scores = [s for s in data.headline_rows if s.benchmark == benchmark]
        _score_bars(ax, scores, data.students, variants)
        ax.set_title(f"{figure_text(benchmark)}: {figure_text(metric)}, {_counts(scores)}")
    handles = [patch(variant, data.labels) for variant in variants]
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles))
    figure.supxlabel(
        "Error bars: 95 % interval of each score by itself. The report's tests are paired.", fontsize=9, color=SOFT
    )
    return figure


def _score_bars(ax: Axes, scores: Sequence[ComparisonRow], students: Sequence[str], variants: Sequence[str]) -> None:
    width = 0.84 / len(variants)
    ends = [0.0]
    for score in scores:
        x = students.index(score.model) + (variants.index(score.variant) - (len(variants) - 1) / 2) * width
        low, high = score.interval
        error = [[score.value - low], [high - score.value]]
        style = {"elinewidth": 1.1, "capsize": 2.5, "ecolor": INK}
        ax.bar(x, score.value, 0.92 * width, color=color(score.variant), yerr=error, error_kw=style)
        text = f"{score.value:.2f}".replace("-", "−")
        ax.annotate(text, (x, max(high, 0)), (0, 3), textcoords="offset points", ha="center", fontsize=8.5)
        ends += [low, high]
    ax.set_xticks(range(len(students)), [figure_text(name) for name in students])
    ax.set_xlim(-0.55, len(students) - 0.45)
    ax.tick_params(axis="x", length=0, labelcolor=INK)
    ax.grid(axis="y")
    room = 0.15 * (max(ends) - min(ends)) or 1.0
    ax.set_ylim(min(ends) - (room / 3 if min(ends) < 0 else 0), max(ends) + room)
    if any(s.value < 0 for s in scores):
        ax.axhline(0, color=SOFT, lw=0.8)


def filter_funnel(data: ReportData) -> Figure | None:
    """Records left after each rule of the filter."""
    report = data.filter_report
    if not report.get("funnel"):
        return None
    total = report["records"]
    steps = [("generated", total, "")]
    for row in report["funnel"]:
        left, dropped = row["records_in"] - row["dropped"], row["dropped"]
        steps.append((figure_text(row["rule"].replace("_", " ")), left, f"−{dropped:,}" if dropped else "none dropped"))
    if report["kept"] != report["passed"]:
        steps.append(("kept", report["kept"], f"{report['over']:,} over the limit"))
    figure, (ax,) = subplots(1, 1, (8, 0.42 * len(steps) + 1.0))
    counts = [f"{left:,}" + (f" ({left / total:.1%})" if total else "") for _, left, _ in steps]
    notes_at = total * (1.05 + 0.0215 * max(len(count) for count in counts))  # a character's width, in bars
    for y, (_, left, note) in enumerate(steps):
        ax.barh(y, total, 0.68, color="#EEF1F4")
        ax.barh(y, left, 0.68, color=BAR)
        ax.text(total * 1.02, y, counts[y], va="center", ha="left")
        ax.text(notes_at, y, note, va="center", ha="left", color=SOFT, fontsize=9)
    ax.set_yticks(range(len(steps)), [name for name, *_ in steps])
    ax.tick_params(axis="y", length=0, labelcolor=INK)
    ax.invert_yaxis()
    ax.set_xlim(0, notes_at + total * 0.43 or 1)
    ax.xaxis.set_visible(False)
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.set_title("Records left after each filter rule, and how many it dropped")
    return figure


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
        label = f"mean {models[name]['mean']:.2f}".replace("-", "−")
        ax.annotate(label, (q["0.95"], y), (7, 0), textcoords="offset points", va="center", fontsize=9)
    ax.set_yticks(range(len(order)), [f"{figure_text(name)}\nn = {models[name]['n']:,}" for name in order])
    ax.tick_params(axis="y", length=0, labelcolor=INK)
    ax.set_ylim(len(order) - 0.5, -0.5)
    ax.margins(x=0.2)
    ax.grid(axis="x")
    ax.spines["left"].set_visible(False)
    ax.set_xlabel("reward score (logit)   |   line: 5–95 %   box: 25–75 %   white: median   diamond: mean")
    ax.set_title("Reward scores of the responders' answers")
    return figure


def training_losses(data: ReportData) -> Figure | None:
    """Training loss over steps: a panel per method, a line per student."""
    logs = {key: [r for r in log if r.get("loss") is not None] for key, log in data.training_logs.items()}
    logs = {key: log for key, log in logs.items() if log}
    methods = in_order([method for method, _ in logs])
    if not methods:
        return None
    students = list(dict.fromkeys(student for _, student in logs))
    figure, axes = subplots(1, len(methods), (max(5.5, 3.9 * len(methods)), 3.6))
    for ax, method in zip(axes, methods, strict=True):
        for i, student in enumerate(students):
            log = logs.get((method, student), [])
            if log:
                hue = STUDENT_COLORS[i % len(STUDENT_COLORS)]
                ax.plot(
                    [r["step"] for r in log], [r["loss"] for r in log], color=hue, lw=1.6, label=figure_text(student)
                )
        ax.set_title(figure_text(data.labels.get(method, method)))
        ax.set_xlabel("optimizer step")
        ax.set_ylim(bottom=0)
        ax.grid(axis="y")
    axes[0].set_ylabel("training loss (nats)")
    handles = {h.get_label(): h for ax in axes for h in ax.lines if not str(h.get_label()).startswith("_")}
    figure.legend(handles=list(handles.values()), loc="outside upper left", ncols=4)
    return figure


def reward_margins(data: ReportData) -> Figure | None:
    """Rewards of chosen and rejected answers over the steps of preference tuning: a panel per student."""
    logs = {student: log for (_, student), log in data.training_logs.items() if log and "chosen_reward" in log[-1]}
    if not logs:
        return None
    figure, axes = subplots(1, len(logs), (max(5.5, 3.9 * len(logs)), 3.2), sharey=True)
    for ax, (student, log) in zip(axes, logs.items(), strict=True):
        steps = [r["step"] for r in log]
        chosen, rejected = ([float(r[f"{side}_reward"]) for r in log] for side in ("chosen", "rejected"))
        ax.plot(steps, chosen, color=STUDENT_COLORS[0], lw=1.6, label="chosen")
        ax.plot(steps, rejected, color=STUDENT_COLORS[1], lw=1.6, label="rejected")
        ax.fill_between(steps, chosen, rejected, color=INK, alpha=0.08, lw=0, label="margin")
        ax.axhline(0, color=INK, lw=0.8)
        ax.set(title=figure_text(student), xlabel="optimizer step")
        ax.grid(axis="y")
    axes[0].set_ylabel("reward (nats × beta)")
    figure.legend(handles=axes[0].get_legend_handles_labels()[0], loc="outside upper left", ncols=3)
    return figure


def efficiency(data: ReportData) -> Figure | None:
    """What each training cost: time, memory, trained parameters."""
    if not data.training:
        return None
    methods = in_order([t["method"] for t in data.training])
    rows = [t for m in methods for t in data.training if t["method"] == m]
    panels: list[tuple[str, Callable[[Any], float], str]] = [
        ("Time (s)", lambda t: float(t["seconds"]), "{:,.0f}"),
        ("Peak memory (GB)", lambda t: float(t["peak_memory_gb"]), "{:.2f}"),
        ("Parameters trained (%)", lambda t: 100 * t["trainable_parameters"] / t["total_parameters"], "{:.2g}"),
    ]
    figure, axes = subplots(1, 3, (11, 0.36 * len(rows) + 1.5), sharey=True)
    for ax, (title, measure, form) in zip(axes, panels, strict=True):
        values = [measure(t) for t in rows]
        ax.barh(range(len(rows)), values, 0.7, color=[color(t["method"]) for t in rows])
        for y, value in enumerate(values):
            ax.annotate(form.format(value), (value, y), (4, 0), textcoords="offset points", va="center", fontsize=9)
        ax.set_xlim(0, max(values) * 1.25 or 1)
        ax.set_title(title)
        ax.xaxis.set_visible(False)
        ax.spines["bottom"].set_visible(False)
        ax.tick_params(axis="y", length=0, labelcolor=INK)
    axes[0].set_yticks(range(len(rows)), [figure_text(t["student"]) for t in rows])
    axes[0].invert_yaxis()
    figure.legend(
        handles=[patch(method, data.labels) for method in methods], loc="outside upper left", ncols=len(methods)
    )
    return figure


def reward_against_passing(data: ReportData) -> Figure | None:
    """Mean reward against pass rate: a point per student and variant."""
    pairs = reward_points(data)
    if not pairs:
        return None
    figure, (ax,) = subplots(1, 1, (8, 4.6))
    for reward, passing in pairs:
        marker = MARKERS[data.students.index(reward.model) % len(MARKERS)]
        (left, right), (low, high) = reward.interval, passing.interval
        ax.errorbar(
            reward.value,
            passing.value,
            xerr=[[reward.value - left], [right - reward.value]],
            yerr=[[passing.value - low], [high - passing.value]],
            fmt=marker,
            color=color(reward.variant),
            ecolor="#C3C9D1",
            elinewidth=1,
            ms=8,
            mec="white",
        )
    ax.set_xlabel(figure_text(f"{pairs[0][0].benchmark}: {pairs[0][0].metric}"))
    ax.set_ylabel(figure_text(f"{pairs[0][1].benchmark}: {pairs[0][1].metric}"))
    ax.set_title("Reward against passed checks, with 95 % intervals")
    ax.grid()
    variants = in_order([r.variant for r, _ in pairs])
    figure.legend(
        handles=[*(patch(v, data.labels) for v in variants), *map(mark, data.students, MARKERS)],
        loc="outside right upper",
    )
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


FIGURES: dict[str, Callable[[ReportData], Any]] = {
    "benchmarks": benchmarks,
    "agent_ends": agent_ends,
    "reward_against_passing": reward_against_passing,
    "filter_funnel": filter_funnel,
    "responder_scores": responder_scores,
    "training_losses": training_losses,
    "reward_margins": reward_margins,
    "efficiency": efficiency,
}


def draw_all(data: ReportData, folder: Path) -> dict[str, Path]:
    """Draws every figure that the data allows into the folder; returns the PNG files by the figures' names."""
    import matplotlib

    drawn = {}
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a script without a font: boxes
        for name, draw in FIGURES.items():
            figure = draw(data)
            if figure is not None:
                drawn[name] = folder / f"{name}.png"
                buffer = io.BytesIO()
                figure.savefig(buffer, format="png", metadata={"Software": None})
                with atomic_file(drawn[name]) as stream:
                    stream.write(buffer.getvalue())
    return drawn


def _counts(scores: Sequence[ComparisonRow]) -> str:
    sizes = sorted({s.clusters for s in scores})
    return f"{sizes[0]:,} items" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,} items"
