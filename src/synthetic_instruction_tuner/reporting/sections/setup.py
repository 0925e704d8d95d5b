"""Sentences on what the run was made with and from: machine, generator, filter and preference pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synthetic_instruction_tuner.evaluation.statistics import mcnemar
from synthetic_instruction_tuner.methods import METHODS, VARIANTS
from synthetic_instruction_tuner.reporting.formatting import duration, listed, number, p_value
from synthetic_instruction_tuner.reporting.report_data import ReportData

SIGNIFICANT = 0.05  # p below which length is said to matter: one test, which nothing is corrected for


def machine(hardware: Mapping[str, Any]) -> str:
    """Returns what the run was measured on, in one line."""
    parts = [str(hardware.get("device_name") or hardware.get("device") or "an unnamed machine")]
    for name, form in (
        ("gpu_memory_gb", "{} GB GPU memory"),
        ("cores", "{} CPU cores"),
        ("memory_gb", "{} GB memory"),
        ("torch_version", "torch {}"),
        ("transformers_version", "transformers {}"),
        ("dtype", "{}"),
    ):
        if hardware.get(name):
            parts.append(form.format(hardware[name]))
    return ", ".join(parts)


def glance(data: ReportData) -> list[tuple[str, str]]:
    """Returns the run's main counts with their names."""
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


def models(data: ReportData) -> list[tuple[str, str, str]]:
    """Returns role, name and path of every model in the settings."""
    found = []
    for role, value in (data.config.get("models") or {}).items():
        many = value if isinstance(value, (list, tuple)) else [value]
        for one in many:
            if isinstance(one, Mapping) and one.get("path"):
                found.append((role.removesuffix("s") if len(many) > 1 or role.endswith("s") else role, one))
    return [(role, str(one.get("name") or one["path"]), str(one["path"])) for role, one in found]


def not_done(data: ReportData) -> list[str]:
    """Returns sentences on what this run did not do."""
    found = []
    if not data.filter_report:
        found.append("No record was filtered.")
    if not data.preference_report:
        found.append("No preference pairs were made.")
    trained = {t["method"] for t in data.training}
    if missing := [data.labels.get(m.name, m.name) for m in METHODS if m.name not in trained]:
        found.append(f"Not trained: {listed(missing)}.")
    if not data.comparison:
        found.append("Nothing was evaluated.")
    elif len(data.students) == 1:
        found.append("There is one student: nothing is said about others.")
    if not data.agents:
        found.append("No model was tried as an agent.")
    return found


def missing_variants(data: ReportData) -> list[str]:
    """Returns the variants that are not among those compared."""
    there = {row.variant for row in data.comparison}
    return [variant for variant in VARIANTS if variant not in there]


def generation(data: ReportData) -> list[str]:
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


def length_bias(length: Mapping[str, Any]) -> str:
    """Returns a sentence on whether the longer answer of a pair was chosen more often than by chance.

    The test is an exact one of the counts: with few pairs the standard error says too little.
    """
    share, error = length.get("longer_chosen_share"), length.get("standard_error")
    if share is None or error is None:
        return "Length: no pair has answers of unequal length."
    longer = round(share * length["n"])
    p = mcnemar(longer, length["n"] - longer)
    if p >= SIGNIFICANT:
        verdict = f"no evidence that length alone decides (exact test, p = {p_value(p)})"
    else:
        size = "longer" if share > 0.5 else "shorter"
        verdict = (
            f"the {size} answer wins more often than chance (exact test, p {'' if p < 1e-4 else '= '}{p_value(p)})"
        )
    d = length.get("cohens_d")
    effect = "" if d is None else f" Difference in length, chosen minus rejected: Cohen's d = {number(d)}."
    return (
        f"Length: among {length['n']} pairs of unequal length the longer answer was chosen in "
        f"{share:.1%} ± {error:.1%} (SE): {verdict}. Mean words: {number(length['chosen_words'])} chosen, "
        f"{number(length['rejected_words'])} rejected.{effect}"
    )
