"""How far the scores can be believed: where the reward is circular, and which items the students have seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from synthetic_instruction_tuner.methods import METHODS, Method
from synthetic_instruction_tuner.reporting.formatting import listed
from synthetic_instruction_tuner.reporting.language.translation import retold, say
from synthetic_instruction_tuner.reporting.report_data import ReportData
from synthetic_instruction_tuner.reporting.sections.findings import all_tests


def chosen_by(data: ReportData) -> Literal["judge", "reward", ""]:
    """Returns the role of the model that chose the preference pairs; empty where no model of this run did."""
    if not data.preference_report or data.preference_report.get("scored_by") or data.reads("pairs"):
        return ""
    return "judge" if (data.config.get("prefer") or {}).get("scorer") == "judge" else "reward"


def chooser(data: ReportData) -> str:
    """Returns what chose the preference pairs, in words; empty where no model of this run did."""
    role = chosen_by(data)
    models: Mapping[str, Any] = data.config.get("models") or {}
    name = (models.get(role) or {}).get("name") or ""
    if role == "judge":
        return say("the judge ({name})", name=name) if name else say("the judge")
    if role == "reward":
        return say("the reward model ({name})", name=name) if name else say("the reward model")
    return ""


def rewarded(data: ReportData) -> list[str]:
    """Returns the headline scores given by the model that chose the pairs; none where nothing learned from these."""
    if chosen_by(data) != "reward" or not _learners(data):
        return []
    return [f"{name} ({metric})" for name, metric in data.headlines.items() if "reward" in metric]


def circular(data: ReportData) -> list[str]:
    """Returns sentences on scores that come from what also chose the training pairs."""
    found, who = [], chooser(data)
    if own := rewarded(data):
        learners = _learners(data)
        labels = listed([data.labels.get(m.name, m.name) for m in learners])
        found.append(
            say(
                "The scores of {scores} come from {who}, which also chose the pairs that {methods} learned from: there "
                "a gain shows that the preference was learned, not that answers are better.",
                scores=listed(own),
                who=who,
                methods=labels,
            )
        )
        found += [sentence for m in learners if (sentence := _elsewhere(data, m.name, m.starts_from or "base"))]
    judge = str(data.judging.get("judge", ""))
    if ", related to " in judge:
        found.append(
            say(
                "The judge of MT-Bench is {judge}: what it finds better may be what these models taught.",
                judge=retold(judge),
            )
        )
    if not found:
        found.append(say("No headline score comes from a model that chose the training pairs."))
    return found


def _learners(data: ReportData) -> list[Method]:
    """The methods of this run that have learned from pairs."""
    return [m for m in METHODS if m.trains_on == "pairs" and any(t["method"] == m.name for t in data.training)]


def contaminated(data: ReportData) -> list[str]:
    """Returns a sentence for each benchmark with items in the training data, and one on all others."""
    if not data.headlines:
        return []
    if not data.contamination:
        return [say("The training data were not checked for items of the benchmarks.")]
    found = []
    clean = [name for name in data.headlines if name in data.contamination and not data.contamination[name]["found"]]
    for name in data.headlines:
        seen = data.contamination.get(name)
        if seen and seen["found"]:
            values = {"benchmark": name, "share": seen_share(data, name)}
            if len(seen["found"]) == 1:
                said = say("{benchmark}: {share} occurs in the training data.", **values)
            else:
                said = say("{benchmark}: {share} occur in the training data.", **values)
            found.append(said + _without(data, name))
    unknown = [name for name in data.headlines if name not in data.contamination]
    if clean:
        found.append(say("No item of {benchmarks} occurs in the training data.", benchmarks=listed(clean, "or")))
    if unknown:
        found.append(say("Not checked: {benchmarks}.", benchmarks=listed(unknown)))
    return found


def seen_share(data: ReportData, name: str) -> str:
    """Returns how many of a benchmark's items were seen in training: 7 of the 240 items."""
    items = next(row.clusters for row in data.headline_rows if row.benchmark == name)
    return say("{n:,} of the {all:,} items", n=len(data.contamination[name]["found"]), all=items)


def _without(data: ReportData, name: str) -> str:
    """Says how much scores change on the other items."""
    scores = {(row.model, row.variant, row.metric): row.value for row in data.headline_rows if row.benchmark == name}
    changes = [
        abs(float(row["value"]) - scores[key])
        for row in data.contamination[name]["clean"]
        if (key := (row["model"], row["variant"], row["metric"])) in scores
    ]
    if not changes:
        return ""
    return " " + say("Without them scores change by at most {change:.3f}.", change=max(changes))


def _elsewhere(data: ReportData, variant: str, reference: str) -> str:
    """Says what the method does to the headline scores that do not come from a reward model."""
    tests = [t for t in all_tests(data) if (t.row.variant, t.reference) == (variant, reference)]
    tests = [test for test in tests if "reward" not in test.row.metric]
    if not tests:
        return say("No other headline score of this run can tell.")
    better, worse = (sum(test.improves == way for test in tests) for way in (1, -1))
    undecided = sum(test.is_open(data.margin) for test in tests)
    ours, theirs = (data.labels.get(name, name) for name in (variant, reference))
    values = {"ours": ours, "theirs": theirs, "better": better, "all": len(tests), "worse": worse, "open": undecided}
    if same := len(tests) - better - worse - undecided:
        return say(
            "On the headline scores that do not ask it, {ours} is better than {theirs} in {better} of {all} tests, "
            "worse in {worse}, equivalent in {same}, and undecided in {open}.",
            same=same,
            **values,
        )
    return say(
        "On the headline scores that do not ask it, {ours} is better than {theirs} in {better} of {all} tests, worse "
        "in {worse}, and undecided in {open}.",
        **values,
    )
