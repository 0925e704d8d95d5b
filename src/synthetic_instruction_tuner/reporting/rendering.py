"""How a template becomes text: what it may ask of a run, and how names, numbers and scores look."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import yaml

from synthetic_instruction_tuner.escaping import fenced, markdown
from synthetic_instruction_tuner.evaluation.benchmarks.base import kind_of
from synthetic_instruction_tuner.evaluation.comparison import REFERENCES, ComparisonRow
from synthetic_instruction_tuner.methods import METHODS
from synthetic_instruction_tuner.reporting.agents.details import STATES
from synthetic_instruction_tuner.reporting.figures.rewards import reward_points
from synthetic_instruction_tuner.reporting.figures.style import in_own_language
from synthetic_instruction_tuner.reporting.formatting import duration, measured, number, p_value
from synthetic_instruction_tuner.reporting.language.translation import retold, say, term
from synthetic_instruction_tuner.reporting.report_data import ReportData, in_order
from synthetic_instruction_tuner.reporting.sections import costs, evidence, first_screen, setup, training, trust
from synthetic_instruction_tuner.reporting.sections.findings import ALPHA, all_tests, findings

if TYPE_CHECKING:
    from jinja2 import Environment, Template
    from jinja2.runtime import Context

LONGEST_TEXT = 1500  # characters of a sample that are shown


@cache
def template(name: str) -> Template:
    """Returns a packaged template, ready to be rendered with `context`."""
    text = resources.files(__package__).joinpath(f"templates/{name}").read_text(encoding="utf-8")
    return _environment().from_string(text)


@cache
def _environment() -> Environment:
    """What renders templates; a name that a template does not know is an error."""
    import jinja2

    made = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    filters: dict[str, Callable[..., Any]] = {
        "markdown": markdown,
        "fenced": fenced,
        "shortened": shortened,
        "variant": jinja2.pass_context(_variant),
        "value": _value,
        "count": _count,
        "clean": _clean,
        "number": number,
        "measured": measured,
        "duration": duration,
        "signed": lambda v: f"{v:+.3f}".replace("-", "−"),
        "p": p_value,
        "percent": lambda v, digits=1: "n/a" if v is None else f"{v:.{digits}%}",
    }
    made.filters |= filters
    made.globals |= {"say": say, "term": term, "retold": retold}
    return made


def shortened(text: object, most: int = LONGEST_TEXT) -> str:
    """Returns a text, cut off where it is longer than so many characters."""
    whole = str(text)
    return whole if len(whole) <= most else whole[:most] + " […]"


def context(data: ReportData, figures: Mapping[str, str]) -> dict[str, Any]:
    """Returns what the templates of report and slides know.

    Args:
        data: the run.
        figures: links to the PNG files by the figures' names.
    """
    variants = {s.variant for s in data.comparison}
    points = reward_points(data)
    return {
        "data": data,
        "figures": figures,
        "findings": findings(data),
        "tests": all_tests(data),
        "alpha": ALPHA,
        "references": [name for name in REFERENCES if name in variants or not variants],
        "secondary": sorted(
            (row for row in data.comparison if not row.headline), key=lambda row: (row.benchmark, row.metric)
        ),
        "in_order": in_order,
        "ends": STATES,
        "kind_of": kind_of,
        "passing_kind": kind_of(points[0][1].benchmark) if points else "",
        "machine": setup.machine(data.hardware),
        "models": setup.models(data),
        "quantized": [f"{markdown(name)} {markdown(retold(held))}" for name, held in data.number_formats.items()],
        "glance": setup.glance(data),
        "length_sentence": setup.length_bias(data.preference_report.get("length") or {}),
        "missing": setup.missing_variants(data),
        "not_done": setup.not_done(data),
        "generation": setup.generation(data),
        "methods": [method for method in METHODS if method.name in {t["method"] for t in data.training}],
        "items": lambda name: next(row.clusters for row in data.headline_rows if row.benchmark == name),
        "screen": first_screen,
        "evidence": evidence,
        "pair_loss": data.config.get("train", {}).get("dpo", {}).get("loss", "sigmoid"),
        "costs": costs,
        "trust": trust,
        "recovery": lambda one, event: training.recovery(data, one, event),
        "without_font": not in_own_language(),
        "config_text": yaml.safe_dump(dict(data.config), sort_keys=False, allow_unicode=True, width=110).rstrip(),
    }


def _variant(context: Context, name: str) -> str:
    data: ReportData = context["data"]
    return markdown(data.labels.get(name, name))


def _count(row: ComparisonRow) -> str:
    if row.clusters == row.n:
        return f"{row.n}"
    return say("{n} in {items} items", n=row.n, items=row.clusters)


def _value(row: ComparisonRow) -> str:
    """A score and its error; where all items agree, which leaves no error to see, also the interval."""
    error, (low, high) = row.standard_error, row.interval
    shown = "n/a" if math.isnan(error) else f"{error:.3f}"
    within = f" [{low:.3f},\u00a0{high:.3f}]" if error == 0 and high > low else ""
    return f"{row.value:.3f} ± {shown}{within}".replace("-", "−")


def _clean(row: Mapping[str, Any]) -> str:
    error = row["standard_error"]
    shown = "n/a" if error is None else f"{error:.3f}"
    return f"{row['value']:.3f} ± {shown}".replace("-", "−")
