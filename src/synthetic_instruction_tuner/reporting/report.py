"""Writes a run's report: figures, Markdown, and one self-contained HTML page, all from the same numbers."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from synthetic_instruction_tuner.data_files.atomic_writing import write_text
from synthetic_instruction_tuner.escaping import fenced, markdown
from synthetic_instruction_tuner.evaluation.benchmarks.base import kind_of
from synthetic_instruction_tuner.evaluation.comparison import REFERENCES, ComparisonRow
from synthetic_instruction_tuner.evaluation.statistics import NORMAL_975
from synthetic_instruction_tuner.methods import METHODS, VARIANTS
from synthetic_instruction_tuner.reporting.agents.details import STATES
from synthetic_instruction_tuner.reporting.figures import draw_all, reward_points
from synthetic_instruction_tuner.reporting.findings import ALPHA, all_tests, findings
from synthetic_instruction_tuner.reporting.formatting import duration, p_value
from synthetic_instruction_tuner.reporting.html import render_html
from synthetic_instruction_tuner.reporting.report_data import ReportData, in_order

LONGEST_TEXT = 1500  # characters of a sample that are shown


def write_report(data: ReportData, report: Path, figures: Path) -> list[Path]:
    """Draws the figures and writes the report in both forms; returns the files.

    Args:
        data: the run.
        report: the Markdown file; the HTML page of the same name is written beside it.
        figures: the folder for the PNG files.
    """
    drawn = draw_all(data, figures)
    links = {name: Path(os.path.relpath(path, report.parent)).as_posix() for name, path in drawn.items()}
    text = render_markdown(data, links)
    page = report.with_suffix(".html")
    write_text(report, text)
    dialogues = [end.link for one in data.agents for end in one.ends if end.link]
    images = {links[name]: path for name, path in drawn.items()}
    write_text(page, render_html(text, data.title, images, dialogues))
    return [report, page, *drawn.values()]


def render_markdown(data: ReportData, figures: Mapping[str, str] | None = None) -> str:
    """Returns the report as Markdown; `figures` are links by the figures' names."""
    import jinja2

    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    filters: dict[str, Callable[..., Any]] = {
        "markdown": markdown,
        "fenced": fenced,
        "shortened": shortened,
        "variant": lambda name: markdown(data.labels.get(name, name)),
        "value": _value,
        "count": lambda row: f"{row.n}" if row.clusters == row.n else f"{row.n} in {row.clusters} items",
        "clean": _clean,
        "number": _number,
        "signed": lambda v: f"{v:+.3f}".replace("-", "−"),
        "p": p_value,
        "percent": lambda v, digits=1: "n/a" if v is None else f"{v:.{digits}%}",
    }
    environment.filters |= filters
    template = resources.files(__package__).joinpath("templates/report_template.md").read_text(encoding="utf-8")
    text = environment.from_string(template).render(**_context(data), figures=figures or {})
    return text.strip() + "\n"


def shortened(text: object) -> str:
    """Returns a sample's text, cut off where it is very long."""
    whole = str(text)
    return whole if len(whole) <= LONGEST_TEXT else whole[:LONGEST_TEXT] + " […]"


def _context(data: ReportData) -> dict[str, Any]:
    tests = all_tests(data)
    variants = {s.variant for s in data.comparison}
    return {
        "data": data,
        "findings": findings(data),
        "tests": tests,
        "alpha": ALPHA,
        "references": [name for name in REFERENCES if name in variants or not variants],
        "secondary": sorted(
            (row for row in data.comparison if not row.headline), key=lambda row: (row.benchmark, row.metric)
        ),
        "in_order": in_order,
        "ends": STATES,
        "kind_of": kind_of,
        "passing_kind": kind_of(points[0][1].benchmark) if (points := reward_points(data)) else "",
        "machine": _machine(data.hardware),
        "quantized": [f"{markdown(name)} {markdown(held)}" for name, held in data.number_formats.items()],
        "glance": _glance(data),
        "length_sentence": _length_sentence(data.preference_report.get("length") or {}),
        "missing": [variant for variant in VARIANTS if variant not in variants],
        "methods": [method for method in METHODS if method.name in {t["method"] for t in data.training}],
        "items": lambda name: next(row.clusters for row in data.headline_rows if row.benchmark == name),
        "generation": _generation(data),
        "cost_sentence": _cost_sentence,
        "pair_loss": data.config.get("train", {}).get("dpo", {}).get("loss", "sigmoid"),
        "config_text": yaml.safe_dump(dict(data.config), sort_keys=False, allow_unicode=True, width=110).rstrip(),
    }


def _machine(hardware: Mapping[str, Any]) -> str:
    parts = [str(hardware.get("device_name") or hardware.get("device") or "an unnamed machine")]
    for name, form in (
        ("gpu_memory_gb", "{} GB GPU memory"),
        ("cores", "{} CPU cores"),
        ("memory_gb", "{} GB memory"),
        ("torch_version", "torch {}"),
        ("transformers_version", "transformers {}"),
    ):
        if hardware.get(name):
            parts.append(form.format(hardware[name]))
    return markdown(", ".join(parts))


def _glance(data: ReportData) -> list[tuple[str, str]]:
    found = []
    if data.filter_report:
        found += [("records" if data.sources else "records generated", f"{data.filter_report['records']:,}")]
        found += [("kept by the filter", f"{data.filter_report['kept']:,}")]
    if data.preference_report:
        found.append(("preference pairs", f"{data.preference_report['pairs']:,}"))
    if data.students:
        found.append(("students", str(len(data.students))))
    seconds = [s.seconds for s in data.stages if s.seconds is not None]
    if seconds:
        found.append(("total time", duration(sum(seconds))))
    memory = [s.peak_memory_gb for s in data.stages if s.peak_memory_gb is not None]
    if memory:
        found.append(("peak memory", f"{max(memory):.2f} GB"))
    return found


def _generation(data: ReportData) -> list[str]:
    """Returns sentences on stage generate: the generator's health, the target, and the domains that missed theirs."""
    lines = []
    if health := data.generator_health:
        faults = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in sorted(health["faults"].items()) if n)
        found = f" (faults: {faults})" if faults else ""
        lines.append(f"Of the generator's first {health['probes']} instructions, {health['usable']} are usable{found}.")
    if target := data.generate_target:
        passed = sum(min(domain["passed"], domain["quota"]) for domain in target["domains"].values())
        ended = f"{passed:,} pass" if passed >= target["wanted"] else target["explanation"]
        lines.append(
            f"Target: {target['wanted']:,} records that pass the filter. {target['made']:,} were generated; {ended}."
        )
        for name, domain in sorted(target["domains"].items()):
            if len(target["domains"]) > 1:
                end = ", stopped early" if domain["stopped_early"] else ""
                passed_here, quota, made = (f"{domain[key]:,}" for key in ("passed", "quota", "made"))
                lines.append(
                    f"Domain {name or 'any'}: {passed_here} of {quota} wanted records pass, {made} written{end}."
                )
    return lines


def _cost_sentence(training: Mapping[str, Any]) -> str:
    """Returns what a training used beside time and memory, where that is known."""
    mfu, energy, cost = training.get("mfu"), training.get("energy_wh"), training.get("cost")
    parts = [f"{mfu:.0%} of the GPU's FLOP/s (MFU)"] if mfu is not None else []
    parts += [f"{energy:,.1f} Wh"] if energy else []
    return ", ".join([*parts, f"a cost of {cost:.2f}"] if cost is not None else parts)


def _length_sentence(length: Mapping[str, Any]) -> str:
    share, error = length.get("longer_chosen_share"), length.get("standard_error")
    if share is None or error is None:
        return "Length: no pair has answers of unequal length."
    if abs(share - 0.5) < NORMAL_975 * error:
        verdict = "no evidence that length alone decides"
    else:
        verdict = f"the {'longer' if share > 0.5 else 'shorter'} answer wins more often than chance"
    d = length.get("cohens_d")
    effect = "" if d is None else f" Difference in length, chosen minus rejected: Cohen's d = {_number(d)}."
    return (
        f"Length: among {length['n']} pairs of unequal length the longer answer was chosen in "
        f"{share:.1%} ± {error:.1%} (SE): {verdict}. Mean words: {_number(length['chosen_words'])} chosen, "
        f"{_number(length['rejected_words'])} rejected.{effect}"
    )


def _value(row: ComparisonRow) -> str:
    error = row.standard_error
    shown = "n/a" if math.isnan(error) else f"{error:.3f}"
    return f"{row.value:.3f} ± {shown}".replace("-", "−")


def _clean(row: Mapping[str, Any]) -> str:
    error = row["standard_error"]
    shown = "n/a" if error is None else f"{error:.3f}"
    return f"{row['value']:.3f} ± {shown}".replace("-", "−")


def _number(value: float | int | None) -> str:
    if value is None:
        return ""
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}".replace("-", "−")
    return f"{value:.3g}".replace("-", "−")
