"""Stage report: everything that was measured, as tables, figures, report.md and report.html."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.config import Config, fingerprint
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.stages import training
from synthetic_instruction_tuner.run.stages.data_card import write_data_card
from synthetic_instruction_tuner.run.stages.evaluate import variants
from synthetic_instruction_tuner.run.stages.stage import Context, Outcome, Stage

if TYPE_CHECKING:
    from synthetic_instruction_tuner.reporting.report_data import Sample, StageLine


def part(config: Config) -> dict[str, Any]:
    """Returns what the report depends on, beside the earlier stages."""
    return {"report": config.report.model_dump(mode="json")}


def outputs(config: Config, folder: RunFolder) -> list[Path]:
    """Returns the report's files."""
    return [folder.report, folder.report.with_suffix(".html")]


def run(ctx: Context) -> Outcome:
    """Writes the report."""
    from synthetic_instruction_tuner.reporting.report import write_report
    from synthetic_instruction_tuner.reporting.report_data import ReportData

    methods = [method for method in training.METRICS_FILE if ctx.store.fact(f"training:{method}")]
    data = ReportData(
        run_name=ctx.folder.root.resolve().name,
        profile=ctx.config.profile,
        title=ctx.config.report.title,
        config=ctx.config.model_dump(mode="json"),
        hardware=_hardware(ctx),
        stages=_stages(ctx),
        filter_report=ctx.store.fact("filter_report"),
        preference_report=ctx.store.fact("preference_report"),
        training=[metrics for method in methods for metrics in ctx.store.fact(f"training:{method}")],
        training_logs=_logs(ctx, methods),
        comparison=_comparison(ctx),
        samples=_samples(ctx),
    )
    with ctx.display.task("drawing and writing", 1, "report") as advance:
        files = write_report(data, ctx.folder.report, ctx.folder.figures)
        write_data_card(ctx)  # anew: a setting of the filter may have changed that keeps the same records
        advance(1)
    return Outcome(fingerprint(len(files)), None, len(files), "files written")


def _hardware(ctx: Context) -> dict[str, Any]:
    machine = ctx.hardware
    return {
        "device": machine.device,
        "device_name": machine.device_name,
        "cores": machine.cores,
        "memory_gb": machine.memory_gb,
        "gpu_memory_gb": machine.gpu_memory_gb,
        "torch_version": machine.torch_version,
        "transformers_version": machine.transformers_version,
        "dtype": ctx.dtype,
    }


def _stages(ctx: Context) -> list[StageLine]:
    from synthetic_instruction_tuner.reporting.report_data import StageLine

    states = [state for name in STAGE.inputs if (state := ctx.store.stage(name))]
    return [StageLine(s.name, s.status, s.rows_in, s.rows_out, s.seconds, s.peak_memory_gb, s.note) for s in states]


def _logs(ctx: Context, methods: list[str]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    logs = {}
    for method in methods:
        for student in ctx.config.models.students:
            file = ctx.folder.model(method, student.name) / "training_log.jsonl"
            if file.exists():
                logs[method, student.name] = [json.loads(line) for line in file.read_text().splitlines()]
    return logs


def _comparison(ctx: Context) -> list[dict[str, Any]]:
    import csv

    with ctx.folder.comparison.open(encoding="utf-8", newline="") as stream:
        return [{name: _value(text) for name, text in row.items()} for row in csv.DictReader(stream)]


def _value(text: str) -> Any:
    """Reads a CSV cell: a number, a truth value, nothing, or text."""
    if text in ("True", "False", "true", "false"):
        return text.lower() == "true"
    if text == "":
        return None
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() and "." not in text and "e" not in text.lower() else number


def _samples(ctx: Context) -> list[Sample]:
    """Returns the first student's answers, by variant, to a few conversations of the last benchmark."""
    from synthetic_instruction_tuner.reporting.report_data import Sample

    first = ctx.config.models.students[0].name
    answers: dict[str, dict[str, Any]] = {}
    for variant in variants(ctx.config, ctx.folder):
        if variant.student.name == first:
            data = json.loads((ctx.folder.results / f"{variant.label}.json").read_text(encoding="utf-8"))
            chatted = [b for b in data["benchmarks"] if b["items"] and b["items"][0]["outputs"]]
            answers[variant.name] = {i["id"]: i for b in chatted for i in b["items"] if b["benchmark"] != "nano_mmlu"}
    shown = list(answers["base"])[:: max(1, len(answers["base"]) // max(1, ctx.config.report.samples))]
    return [
        Sample(
            first, answers["base"][i]["prompts"][0], {name: items[i]["outputs"][0] for name, items in answers.items()}
        )
        for i in shown[: ctx.config.report.samples]
    ]


STAGE = Stage(
    "report",
    "Report: tables, figures and text",
    ("generate", "filter", "prefer", "sft", "prompt_tuning", "dpo", "evaluate"),
    part,
    outputs,
    run,
)
