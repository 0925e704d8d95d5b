"""Stage report: all results of the run, as figures, report.md and report.html, and as slides."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from synthetic_instruction_tuner.config import Config, EvaluateConfig, fingerprint
from synthetic_instruction_tuner.evaluation.agent_bench.agent_benchmarks import agent_benchmark
from synthetic_instruction_tuner.evaluation.benchmarks.at_hand import usable
from synthetic_instruction_tuner.evaluation.benchmarks.base import benchmark, kind_of, plain_name
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.relatives import judge_label
from synthetic_instruction_tuner.evaluation.benchmarks.published import Availability
from synthetic_instruction_tuner.methods import BASE, METHODS
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.judge_checking import JUDGE_CHECK
from synthetic_instruction_tuner.run.roles import used_models
from synthetic_instruction_tuner.run.stages.agents.units import agents, stored_results
from synthetic_instruction_tuner.run.stages.data_card import sources, write_data_card
from synthetic_instruction_tuner.run.stages.evaluate import comparison_rows
from synthetic_instruction_tuner.run.stages.judging import PAIRS
from synthetic_instruction_tuner.run.stages.stage import FORMATS, Context, Outcome, Stage
from synthetic_instruction_tuner.run.stages.variants.variant import Variant, variants

if TYPE_CHECKING:
    from synthetic_instruction_tuner.evaluation.comparison import ComparisonRow
    from synthetic_instruction_tuner.evaluation.results import BenchmarkResult
    from synthetic_instruction_tuner.reporting.agents.details import AgentDetails
    from synthetic_instruction_tuner.reporting.benchmark_details import BenchmarkDetails
    from synthetic_instruction_tuner.reporting.report_data import Sample, StageLine


DETAILS = 1  # raised when what the report shows of public benchmarks changes


def part(config: Config) -> dict[str, Any]:
    """Returns what the report and the data card depend on, beside the earlier stages."""
    license = {"data": {"license": config.data.license}} if config.data.license else {}
    margin = config.evaluate.equivalence_margin
    changed = {"margin": margin} if margin != EvaluateConfig().equivalence_margin else {}
    public = [name for name in config.evaluate.benchmarks if kind_of(name) == "public"]
    shown = {"details": DETAILS} if public else {}
    return {"report": config.report.model_dump(mode="json")} | license | changed | shown


def outputs(config: Config, folder: RunFolder) -> list[Path]:
    """Returns the files of report and slides."""
    slides = folder.presentation
    return [folder.report, folder.report.with_suffix(".html"), slides, slides.with_suffix(".md")]


def run(ctx: Context) -> Outcome:
    """Writes the report and the slides."""
    from synthetic_instruction_tuner.reporting.language.translation import speaking
    from synthetic_instruction_tuner.reporting.report import figure_links, write_report
    from synthetic_instruction_tuner.reporting.report_data import ReportData
    from synthetic_instruction_tuner.reporting.slides.writing import write_slides
    from synthetic_instruction_tuner.reporting.text_lengths import domains, lengths

    language = ctx.config.report.language
    methods = [method.name for method in METHODS if ctx.store.fact(f"training:{method.name}")]
    rows = comparison_rows(ctx.store)
    named = {plain_name(row.benchmark): row.benchmark for row in rows}  # a judge's name belongs to its benchmark's
    contamination = ctx.store.fact("contamination") or {}
    wanted = ctx.config.generate.until_kept  # an earlier run in this folder may have had one
    with speaking(language):
        details, played = _details(ctx, rows), _agents(ctx)
    data = ReportData(
        run_name=ctx.folder.root.resolve().name,
        profile=ctx.config.profile,
        title=ctx.config.report.title,
        config=ctx.config.model_dump(mode="json"),
        hardware=_hardware(ctx),
        number_formats=_number_formats(ctx),
        stages=_stages(ctx),
        filter_report=ctx.store.fact("filter_report"),
        preference_report=ctx.store.fact("preference_report"),
        training=[metrics for method in methods for metrics in ctx.store.fact(f"training:{method}")],
        training_logs=_logs(ctx, methods),
        comparison=rows,
        benchmarks={shown: benchmark(shown) for shown in named.values()},
        details=details,
        agents=played,
        samples=_samples(ctx),
        contamination={named.get(name, name): count for name, count in contamination.items()},
        judging=_judging(ctx),
        generator_health=ctx.store.fact("generator_health") or {},
        sources=sources(ctx.store),
        generate_target=(ctx.store.fact("generate_target") or {}) if wanted is not None else {},
        lengths=lengths(ctx.store.rows(ctx.input_unit("generate")), ctx.store.rows(ctx.input_unit("filter"))),
        domains=domains(ctx.store.rows(ctx.input_unit("generate")), ctx.store.rows(ctx.input_unit("filter"))),
        links=_links(ctx.folder),
    )
    with ctx.display.task("drawing and writing", 2, "documents") as advance:
        with speaking(language):
            files = write_report(data, ctx.folder.report, ctx.folder.figures)
        advance(1)
        drawn = {file.stem: file for file in files if file.suffix == ".png"}
        links = figure_links(drawn, ctx.folder.presentation.parent)
        with speaking(language):
            files += write_slides(data, ctx.folder.presentation, {links[name]: file for name, file in drawn.items()})
        write_data_card(ctx)  # again, because a changed filter setting may keep the same records
        advance(1)
    return Outcome(fingerprint(len(files)), None, len(files), files=(*files, ctx.folder.data_card))


def _details(ctx: Context, rows: Sequence[ComparisonRow]) -> dict[str, BenchmarkDetails]:
    """Returns what there is to say of each public benchmark, by the name of its results."""
    from synthetic_instruction_tuner.evaluation.results import BenchmarkResult
    from synthetic_instruction_tuner.reporting.benchmark_details import describe

    evaluate = ctx.config.evaluate
    found: dict[str, BenchmarkDetails] = {}
    results: dict[str, dict[tuple[str, str], BenchmarkResult]] = {}
    if not any(kind_of(name) == "public" for name in usable(evaluate)):
        return found
    for variant in variants(ctx.config, ctx.folder):
        for data in _results(ctx, variant):
            if kind_of(data["benchmark"]) == "public":
                one = BenchmarkResult.from_json(data)
                results.setdefault(one.benchmark, {})[variant.student.name, variant.name] = one
    paths = {student.name: student.path for student in ctx.config.models.students}
    for name, own in results.items():
        settings = evaluate.settings(plain_name(name))
        known, asked = benchmark(name), len(next(iter(own.values())).items)
        there = known.at_hand(settings) if known.at_hand else Availability()
        mine = [row for row in rows if row.benchmark == name]
        generated = known.work(settings).answers > 0
        found[name] = describe(known, own, mine, there.chosen(asked), paths, generated=generated)
    return found


def _agents(ctx: Context) -> list[AgentDetails]:
    """Returns what there is to say of each agent benchmark."""
    from synthetic_instruction_tuner.evaluation.agent_bench.results import agent_rows
    from synthetic_instruction_tuner.reporting.agents.details import describe_agents

    results = stored_results(ctx)
    rows, found = agent_rows(results), []
    for name in dict.fromkeys(one.benchmark for own in results.values() for one in own):
        files = {v.label: ctx.folder.dialogues(name, v.label) for v in agents(ctx.config, ctx.folder)}
        links = {label: _link(file, ctx.folder.report.parent) for label, file in files.items()}
        found.append(describe_agents(agent_benchmark(name), results, rows, links))
    return found


def _links(folder: RunFolder) -> dict[str, str]:
    """Returns links from the report to the data files that there are, by the names that the templates use."""
    metrics = {f"training_{method.name}": folder.training_metrics(method) for method in METHODS}
    files = metrics | {
        "config": folder.config,
        "raw": folder.raw,
        "filtered": folder.filtered,
        "filter_report": folder.filter_report,
        "pairs": folder.pairs,
        "preference_report": folder.preference_report,
        "comparison": folder.comparison,
        "contamination": folder.contamination,
        "results": folder.results,
        "agents": folder.agents,
        "models": folder.root / "models",
    }
    own = {name: _link(file, folder.report.parent) for name, file in files.items() if file.exists()}
    return own | {"report": folder.report.name}


def _link(file: Path, folder: Path) -> str:
    """Returns a relative link in which nothing means anything in Markdown."""
    return quote(Path(os.path.relpath(file, folder)).as_posix(), safe="/.-_")


def _results(ctx: Context, variant: Variant) -> list[dict[str, Any]]:
    """Returns the results of a variant as its file has them."""
    data = json.loads((ctx.folder.results / f"{variant.label}.json").read_text(encoding="utf-8"))
    return list(data["benchmarks"])


def _number_formats(ctx: Context) -> dict[str, str]:
    """Returns by name how the run's models were held whose weights were quantized."""
    known = ctx.store.fact(FORMATS) or {}
    return {model.name: known[model.path] for _, model in used_models(ctx.config) if model.path in known}


def _judging(ctx: Context) -> dict[str, Any]:
    """Returns what is known of MT-Bench's judge; nothing for a run without it."""
    evaluate = ctx.config.evaluate
    if "mt_bench" not in evaluate.benchmarks or evaluate.mt_bench.judge.model is None:
        return {}
    label = judge_label(evaluate.mt_bench.judge, ctx.config)
    checked = ctx.store.fact(JUDGE_CHECK)
    same = checked and checked["judge"] == label
    pairs = (ctx.store.fact(PAIRS) or []) if evaluate.mt_bench.judge.pairwise else []
    return {"judge": label, "check": checked if same else None, "pairs": pairs}


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
            file = ctx.folder.training_log(method, student.name)
            if file.exists():
                with file.open(encoding="utf-8") as lines:
                    logs[method, student.name] = [json.loads(line) for line in lines]
    return logs


def _samples(ctx: Context) -> list[Sample]:
    """Returns each student's answers, by variant, to a few items of the last benchmark that asks for texts."""
    from synthetic_instruction_tuner.reporting.report_data import Sample

    config = ctx.config
    texts = [n for n in usable(config.evaluate) if benchmark(n).work(config.evaluate.settings(n)).answers]
    if not texts:
        return []
    answers: dict[str, dict[str, dict[str, Any]]] = {student.name: {} for student in config.models.students}
    for variant in variants(config, ctx.folder):
        results = {plain_name(result["benchmark"]): result["items"] for result in _results(ctx, variant)}
        answers[variant.student.name][variant.name] = {item["id"]: item for item in results[texts[-1]]}
    found = []
    for student, own in answers.items():
        items = own[BASE]
        shown = list(items)[:: max(1, len(items) // max(1, config.report.samples))][: config.report.samples]
        found += [
            Sample(student, items[i]["prompts"][0], {name: mine[i]["outputs"][0] for name, mine in own.items()})
            for i in shown
        ]
    return found


STAGE = Stage(
    "report",
    "Report: figures, text and slides",
    ("generate", "filter", "prefer", *(method.name for method in METHODS), "evaluate", "agents"),
    part,
    outputs,
    run,
    version=3,
    units=("", "files"),
)
