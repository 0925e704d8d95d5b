"""Sentences on what the run was made with and from: machine, generator, filter and preference pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synthetic_instruction_tuner.evaluation.statistics import mcnemar
from synthetic_instruction_tuner.methods import METHODS, VARIANTS
from synthetic_instruction_tuner.reporting.formatting import duration, listed, number, p_value
from synthetic_instruction_tuner.reporting.language.translation import retold, say, term
from synthetic_instruction_tuner.reporting.report_data import ReportData

SIGNIFICANT = 0.05  # p below which length is said to matter: one test, which nothing is corrected for


def machine(hardware: Mapping[str, Any]) -> str:
    """Returns what the run was measured on, in one line."""
    parts = [str(hardware.get("device_name") or hardware.get("device") or say("an unnamed machine"))]
    if memory := hardware.get("gpu_memory_gb"):
        parts.append(say("{memory} GB GPU memory", memory=memory))
    if cores := hardware.get("cores"):
        parts.append(say("{n} CPU cores", n=cores))
    if memory := hardware.get("memory_gb"):
        parts.append(say("{memory} GB memory", memory=memory))
    for name in ("torch", "transformers"):
        if version := hardware.get(f"{name}_version"):
            parts.append(f"{name} {version}")
    if dtype := hardware.get("dtype"):
        parts.append(str(dtype))
    return ", ".join(parts)


def glance(data: ReportData) -> list[tuple[str, str]]:
    """Returns the run's main counts with their names."""
    found = []
    if data.filter_report:
        name = say("records") if data.sources else say("records generated")
        found.append((name, f"{data.filter_report['records']:,}"))
        found.append((say("kept by the filter"), f"{data.filter_report['kept']:,}"))
    if data.preference_report:
        found.append((say("preference pairs"), f"{data.preference_report['pairs']:,}"))
    if data.students:
        found.append((say("students"), str(len(data.students))))
    seconds = [s.seconds for s in data.stages if s.seconds is not None]
    if seconds:
        found.append((say("total time"), duration(sum(seconds))))
    memory = [s.peak_memory_gb for s in data.stages if s.peak_memory_gb is not None]
    if memory:
        found.append((say("peak memory"), f"{max(memory):.2f} GB"))
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
        found.append(say("No record was filtered."))
    if not data.preference_report:
        found.append(say("No preference pairs were made."))
    trained = {t["method"] for t in data.training}
    if missing := [data.labels.get(m.name, m.name) for m in METHODS if m.name not in trained]:
        found.append(say("Not trained: {methods}.", methods=listed(missing)))
    if not data.comparison:
        found.append(say("Nothing was evaluated."))
    elif len(data.students) == 1:
        found.append(say("There is one student: nothing is said about others."))
    if not data.agents:
        found.append(say("No model was tried as an agent."))
    return found


def missing_variants(data: ReportData) -> list[str]:
    """Returns the variants that are not among those compared."""
    there = {row.variant for row in data.comparison}
    return [variant for variant in VARIANTS if variant not in there]


def generation(data: ReportData) -> list[str]:
    """Returns sentences on stage generate: the generator's health, the target, and the domains that missed theirs."""
    lines = []
    if health := data.generator_health:
        counts = sorted((name, n) for name, n in health["faults"].items() if n)
        faults = [say("{n} {fault}", n=n, fault=term(name.replace("_", " "))) for name, n in counts]
        values = {"probes": health["probes"], "usable": health["usable"]}
        if faults:
            said = say(
                "Of the generator's first {probes} instructions, {usable} are usable (faults: {faults}).",
                faults=", ".join(faults),
                **values,
            )
        else:
            said = say("Of the generator's first {probes} instructions, {usable} are usable.", **values)
        lines.append(said)
    if target := data.generate_target:
        passed = sum(min(domain["passed"], domain["quota"]) for domain in target["domains"].values())
        enough = passed >= target["wanted"]
        lines.append(
            say(
                "Target: {wanted:,} records that pass the filter. {made:,} were generated; {ended}.",
                wanted=target["wanted"],
                made=target["made"],
                ended=say("{n:,} pass", n=passed) if enough else retold(target["explanation"]),
            )
        )
        for name, domain in sorted(target["domains"].items()):
            if len(target["domains"]) > 1:
                values = {key: domain[key] for key in ("passed", "quota", "made")} | {"domain": name or say("any")}
                if domain["stopped_early"]:
                    said = say(
                        "Domain {domain}: {passed:,} of {quota:,} wanted records pass, {made:,} written, stopped "
                        "early.",
                        **values,
                    )
                else:
                    said = say(
                        "Domain {domain}: {passed:,} of {quota:,} wanted records pass, {made:,} written.", **values
                    )
                lines.append(said)
    return lines


def length_bias(length: Mapping[str, Any]) -> str:
    """Returns a sentence on whether the longer answer of a pair was chosen more often than by chance.

    The test is an exact one of the counts: with few pairs the standard error says too little.
    """
    share, error = length.get("longer_chosen_share"), length.get("standard_error")
    if share is None or error is None:
        return say("Length: no pair has answers of unequal length.")
    longer = round(share * length["n"])
    p = mcnemar(longer, length["n"] - longer)
    shown = f"{'' if p < 1e-4 else '= '}{p_value(p)}"
    if p >= SIGNIFICANT:
        verdict = say("no evidence that length alone decides (exact test, p {p})", p=shown)
    elif share > 0.5:
        verdict = say("the longer answer wins more often than chance (exact test, p {p})", p=shown)
    else:
        verdict = say("the shorter answer wins more often than chance (exact test, p {p})", p=shown)
    said = say(
        "Length: among {n} pairs of unequal length the longer answer was chosen in {share:.1%} ± {error:.1%} (SE): "
        "{verdict}. Mean words: {chosen} chosen, {rejected} rejected.",
        n=length["n"],
        share=share,
        error=error,
        verdict=verdict,
        chosen=number(length["chosen_words"]),
        rejected=number(length["rejected_words"]),
    )
    if (d := length.get("cohens_d")) is None:
        return said
    return said + " " + say("Difference in length, chosen minus rejected: Cohen's d = {d}.", d=number(d))
