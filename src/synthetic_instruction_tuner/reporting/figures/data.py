"""The figures of the data: the filter's funnel, lengths before and after it, and domains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synthetic_instruction_tuner.escaping import figure_text
from synthetic_instruction_tuner.reporting.figures.style import BAR, BEFORE, INK, SOFT, filled, label, subplots
from synthetic_instruction_tuner.reporting.language.translation import say, term
from synthetic_instruction_tuner.reporting.report_data import ReportData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 40
MOST_DOMAINS = 20


def filter_funnel(data: ReportData) -> Figure | None:
    """Records left after each rule of the filter."""
    report = data.filter_report
    if not report.get("funnel"):
        return None
    total = report["records"]
    steps = [(say("read") if data.sources else say("generated"), total, "")]
    for row in report["funnel"]:
        left, dropped = row["records_in"] - row["dropped"], row["dropped"]
        note = f"−{dropped:,}" if dropped else say("none dropped")
        steps.append((figure_text(term(row["rule"].replace("_", " "))), left, note))
    if report["kept"] != report["passed"]:
        steps.append((say("kept"), report["kept"], say("{n:,} over the limit", n=report["over"])))
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
    ax.set_title(say("Records left after each filter rule, and how many it dropped"))
    return figure


def lengths(data: ReportData) -> Figure | None:
    """Words of instructions and responses, before and after the filter."""
    shown = [(name, before, after) for name, before, after in data.lengths if before and max(before) > 0]
    if not shown:
        return None
    figure, axes = subplots(1, len(shown), (8, 3.2))
    for ax, (name, before, after) in zip(axes, shown, strict=True):
        ordered = sorted(before)
        top = ordered[min(len(ordered) - 1, int(0.995 * len(ordered)))] or 1  # a few very long texts are one last bar
        step = max(1, -(-(top + 1) // BINS))  # whole words, so that no bar is empty for its width alone
        edges = [step * k - 0.5 for k in range(top // step + 2)]
        clipped = [[min(n, top) for n in words] for words in (before, after)]
        ax.hist(clipped[0], edges, color=BEFORE, label=say("before: {n:,}", n=len(before)))
        if after:
            ax.hist(clipped[1], edges, label=say("after: {n:,}", n=len(after)), alpha=0.85, **filled(BAR, "///"))
        ax.set_title(term(name))
        ax.set_xlabel(say("words (last bar: {n:,} and more)", n=top) if ordered[-1] > top else say("words"))
        ax.grid(axis="y")
        ax.legend(fontsize=9)
    axes[0].set_ylabel(say("records"))
    return figure


def domains(data: ReportData) -> Figure | None:
    """Records of each domain, before and after the filter."""
    rows = sorted(data.domains.items(), key=lambda row: (-row[1][0], row[0]))[:MOST_DOMAINS]
    if len(rows) < 2:
        return None
    figure, (ax,) = subplots(1, 1, (8, 0.34 * len(rows) + 1.1))
    most = max(before for _, (before, _) in rows)
    for y, (_, (before, after)) in enumerate(rows):
        ax.barh(y, before, 0.68, color=BEFORE)
        ax.barh(y, after, 0.68, **filled(BAR, "///"))
        text = say("{after:,} of {before:,}", after=after, before=before)
        ax.annotate(text, (before, y), (5, 0), textcoords="offset points", va="center", fontsize=9)
    ax.set_yticks(range(len(rows)), [label(name or say("(none)"), 34) for name, _ in rows])
    ax.tick_params(axis="y", length=0, labelcolor=INK)
    ax.invert_yaxis()
    ax.set_xlim(0, most * 1.22 or 1)
    ax.xaxis.set_visible(False)
    ax.spines[["left", "bottom"]].set_visible(False)
    count = len(data.domains)
    if count > MOST_DOMAINS:
        ax.set_title(say("Records kept of each domain, the {n} largest of {all}", n=MOST_DOMAINS, all=count))
    else:
        ax.set_title(say("Records kept of each domain"))
    return figure
