"""The verbs of `sit` with their help texts.

Texts only: a verb's module, and with it the library, is imported when the verb is called, so that `sit --help` is fast.
"""

from __future__ import annotations

from typing import NamedTuple

from synthetic_instruction_tuner.methods import METHODS, VARIANTS


class Verb(NamedTuple):
    """One verb.

    Attributes:
        module: the module in this package that holds it.
        function: its function there.
        help: the first paragraph is what `sit --help` shows.
    """

    module: str
    function: str
    help: str


METHOD_VERBS = [method.verb for method in METHODS]
VERBS = {
    "run": Verb(
        "run",
        "run",
        "Do the whole job, or resume it.\n\n"
        "With no options: profile nano, offline, on a CPU. The run's folder holds everything. The same command resumes "
        "an interrupted run, and does nothing when all is done. Changed settings redo only the stages that depend on "
        "them.",
    ),
    "plan": Verb(
        "plan",
        "plan",
        "Show what a run would do, and how much time and memory it takes.\n\n"
        "Nothing is loaded or downloaded. Times and memory are estimates from model sizes and this machine's hardware.",
    ),
    "status": Verb("status", "status", "Show a run's stages: rows, time, peak memory, what is next."),
    "doctor": Verb(
        "doctor",
        "doctor",
        "Check whether a run can start on this machine.\n\n"
        "Looks at hardware, number format, engines, memory, versions, disk and each model of the profile.\n\n"
        "With MODEL (nano:NAME, a folder or a Hub id): load that model, show what its chat template says, let it write "
        "16 instructions, and say how many are usable.\n\n"
        "Exit code 0 when a run can start, 1 when not. Without MODEL nothing is downloaded and no weights are loaded.",
    ),
    "generate": Verb("single", "generate", "Write instruction-response pairs (runs as far as generate)."),
    "filter": Verb(
        "single",
        "filter_",
        "Apply the quality rules to the run's pairs or your own files.\n\n"
        "Without files: the run as far as stage filter. 'sit filter mine.jsonl -o out' writes out/kept.jsonl (input "
        "order), out/dropped.jsonl (rule, measured value, kept partner) and out/filter_report.md. JSON, JSONL and "
        "Parquet in the usual shapes.",
    ),
    "dedup": Verb(
        "dedup",
        "dedup",
        "Remove near duplicates from your own files, exactly.\n\n"
        "Of two similar records the first stays. 'sit dedup mine.jsonl -o out' writes out/kept.jsonl (input order), "
        "out/dropped.jsonl (similarity and the kept partner of each) and out/malformed.jsonl. JSON, JSONL and Parquet "
        "in the usual shapes.",
    ),
    "prefer": Verb("single", "prefer", "Build preference pairs (runs as far as prefer)."),
    "train": Verb(
        "single",
        "train",
        "Tune the students with one method.\n\n"
        f"The run as far as that method's stage. Methods: {', '.join(METHOD_VERBS)}.",
    ),
    "evaluate": Verb("single", "evaluate", "Measure base and tuned models on the benchmarks."),
    "compare": Verb("single", "compare", "Print the comparison table of a run that has been evaluated."),
    "report": Verb("single", "report", "Write report, tables and figures (the whole run)."),
    "chat": Verb(
        "chat",
        "chat",
        "Talk to a student, untuned or tuned by one of the methods.\n\n"
        f"Variants: {', '.join(VARIANTS)}. Lines from a pipe are answered one by one. /new starts a new conversation, "
        "/quit or Ctrl-D ends.",
    ),
}
