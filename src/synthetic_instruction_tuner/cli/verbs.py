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
        "Run the whole pipeline, or resume it.\n\n"
        "Without options it uses profile nano: offline, on a CPU. All results are in the run's folder. The same "
        "command resumes an interrupted run and does nothing when everything is done.\n\n"
        "In a folder that holds a run, --set and --limit change its stored settings, and all others stay as they are; "
        "--profile and --config replace all of them. Only the stages that depend on what has changed run again. What "
        "changes, and which finished work is replaced, is listed first. On a terminal, 'sit run' asks when that work "
        "took 10 seconds or more. Elsewhere it goes on, unless that work took 10 minutes or more: then it stops, and "
        "needs --yes. Texts, answers and scores under earlier settings stay in the store, so going back to them is "
        "free; adapters are replaced.",
    ),
    "plan": Verb(
        "plan",
        "plan",
        "Show what a run would do, with estimates of time and memory.\n\n"
        "Nothing is loaded, downloaded or written. Times and memory are estimates from model sizes and this machine's "
        "hardware.\n\n"
        "With --run-dir of a run: which stages a run with these options would do, or do again, why, and how long it "
        "takes. Options mean what they mean for 'sit run'.",
    ),
    "status": Verb(
        "status",
        "status",
        "Show a run's stages, its files, and what comes next.\n\n"
        "A stage is done, partly done, failed, not begun, incomplete (files are missing or damaged), out of date "
        "(settings or inputs have changed), or in doubt (it runs again only if an earlier stage's new output differs). "
        "Only files that are up to date are listed.\n\n"
        "--milestones: the seven milestones of docs/plan.md, from M1 (models load, the first batch is written) to M7 "
        "(evaluated and reported), with what is there and what the next one lacks. A milestone is cut down where the "
        "run has finished with less than its profile asks for.",
    ),
    "doctor": Verb(
        "doctor",
        "doctor",
        "Check whether a run can start on this machine.\n\n"
        "Checks hardware, precision, engines, memory, versions, disk space and each model of the profile.\n\n"
        "With MODEL (nano:NAME, a folder or a Hub id): loads that model, shows what its chat template contains, "
        "samples 16 instructions from it, and reports how many are usable.\n\n"
        "Exit code 0 when a run can start, 1 when not. Without MODEL nothing is downloaded and no weights are loaded.",
    ),
    "generate": Verb(
        "single",
        "generate",
        "Generate instruction-response pairs.\n\nRuns the pipeline up to generate; starts a run where there is none.",
    ),
    "filter": Verb(
        "single",
        "filter_",
        "Apply the quality rules to the run's pairs or your own files.\n\n"
        "Without files, brings a run as far as filter. 'sit run --until filter' starts a new one.\n\n"
        "'sit filter mine.jsonl -o out' writes out/kept.jsonl (in input "
        "order), out/dropped.jsonl (with the rule, its value and the matching record) and out/filter_report.md. Reads "
        "JSON, JSONL, CSV, TSV and Parquet in the usual shapes, and hf:NAME.",
    ),
    "dedup": Verb(
        "dedup",
        "dedup",
        "Remove near duplicates from your own files (exact search).\n\n"
        "The first of two similar records is kept. 'sit dedup mine.jsonl -o out' writes out/kept.jsonl (in input "
        "order), out/dropped.jsonl (with the similarity and the matching record) and out/malformed.jsonl. Reads JSON, "
        "JSONL, CSV, TSV and Parquet in the usual shapes, and hf:NAME.",
    ),
    "prefer": Verb(
        "single",
        "prefer",
        "Build preference pairs, also from your own scored answers.\n\n"
        "Without files, brings a run as far as prefer. 'sit run --until prefer' starts a new one.\n\n"
        "'sit prefer scored.jsonl -o out' pairs the best answer to each prompt with the worst, by the scores in the "
        "file and with the guards of a run. It writes out/pairs.jsonl, out/skipped.jsonl (prompts without a pair, "
        "with the reason) and out/preference_report.md. Rows have several answers with scores (as in UltraFeedback), "
        "or one answer with its score each. No model is loaded.",
    ),
    "train": Verb(
        "single",
        "train",
        "Tune the students with one method.\n\n"
        "Brings a run as far as that method's stage. 'sit run --until STAGE' starts a new one. "
        f"Methods: {', '.join(METHOD_VERBS)}.",
    ),
    "evaluate": Verb(
        "single",
        "evaluate",
        "Evaluate base and tuned models.\n\nBrings a run as far as evaluate. 'sit run --until evaluate' starts "
        "a new one.",
    ),
    "score": Verb(
        "scores.score",
        "score",
        "Score saved answers to a benchmark, without a student.\n\n"
        "'sit score ifeval answers.jsonl' reads JSONL, JSON, CSV, TSV or Parquet. Each row has the item's id (or key, "
        "or question_id) or its prompt, and a response; responses is a list where there are two turns. Also the "
        "response files of IFEval's authors and FastChat's answers. mt_bench asks "
        "the judge of evaluate.mt_bench.judge. 'sit score bfcl result/' matches saved calls with BFCL's right answers, "
        "from the files in --data-dir.",
    ),
    "benchmarks": Verb(
        "evaluation.benchmarks",
        "benchmarks",
        "Show which public benchmarks are at hand, or fetch them.\n\n"
        "'sit benchmarks' lists IFEval, MMLU and MT-Bench: how many items this machine has, where they are from, what "
        "is missing and how to get it. 'sit benchmarks fetch' downloads what is missing, once. Files are looked for "
        "in --data-dir, in the Hugging Face cache, and on the Hub. Nothing is loaded.",
    ),
    "compare": Verb(
        "compare",
        "compare",
        "Print a run's full comparison, or compare several runs.\n\n"
        "A table per benchmark. --format csv and json have every column: intervals, counts, differences, p-values.\n\n"
        "'sit compare A B' compares two runs, or two files of answers, on the items that both have. 'sit compare A B "
        "C' with runs that differ in nothing but their seed shows the variance between seeds, and that between items.",
    ),
    "judge-check": Verb(
        "evaluation.judge_check",
        "judge_check",
        "Check whether a judge of MT-Bench can be believed.\n\n"
        "The judge rates published answers of models whose order is known: its ratings must follow it. Then it gets "
        "answers made from good ones: the same one twice, a padded, a corrupted, an empty one, and one that orders it "
        "to give 10. It must not prefer them. The verdict says whether its ratings and its comparisons can be used.\n\n"
        "'sit judge-check --profile a100' checks that profile's judge, --judge and --url another one. Replies are kept "
        "in the folder of --output as they come, and the same command goes on after an interruption. With --run-dir of "
        "a run, that run's report shows the verdict. Exit code 0 whatever the verdict is.",
    ),
    "agent-eval": Verb(
        "evaluation.agent_eval",
        "agent_eval",
        "Let a model work as an agent: in a database, or on a machine.\n\n"
        "'sit agent-eval MODEL --tasks dev.jsonl -o out' plays AgentBench's text protocol 0.2, greedy. DBBench: at "
        "most 15 operations in SQL, then an answer; tables are in an embedded database that answers as MySQL does, or "
        "on a server (--mysql). OS interaction: 8 turns in a shell, whose commands run in a sandbox without network: "
        "docker, podman, bubblewrap or Linux's namespaces; without one nothing runs. BFCL: one turn of calls, no "
        "environment. Models whose chat template has tools play by calls of tools (--form). Writes "
        "out/dialogues.jsonl, from which the same command continues after an interruption, and "
        "out/agent_results.json.\n\n"
        "Without --tasks: 'sit agent-eval RUN' plays the tasks of the run's settings (agents.benchmarks) with its "
        "variants, as stage agents does; with --task nano_db-0007 --show it prints the conversations that are kept. "
        "'sit agent-eval MODEL' plays the same tasks alone, also with an adapter's folder.",
    ),
    "report": Verb(
        "single",
        "report",
        "Write the report: text, tables and figures.\n\n"
        "Brings a run to its end. 'sit run' starts a new one. Writes docs/report.html, which needs no other file, "
        "docs/report.md, and evaluation/figures as PNG and SVG. With --pdf also docs/report.pdf, where this machine "
        "has Chromium, Chrome, Edge or WeasyPrint.",
    ),
    "slides": Verb(
        "single",
        "slides",
        "Write slides of a run: PowerPoint and Markdown.\n\n"
        "Brings a run to its end, where report and slides are written. 'sit run' starts a new one. "
        "docs/presentation.pptx has native text and tables and notes for the speaker; docs/presentation.md has the "
        "same slides.",
    ),
    "chat": Verb(
        "chat.command",
        "chat",
        "Talk to a student, untuned or tuned by one of the methods.\n\n"
        f"Variants: {', '.join(VARIANTS)}. 'sit chat student-llama sft' talks to one, 'sit chat sft' to that of the "
        "first student. /help lists the commands, Ctrl-C stops an answer, Ctrl-D ends the chat.\n\n"
        "Each line from a pipe gives one line: the answer, with line breaks as \\n and backslashes doubled, or with "
        "--json as JSON.",
    ),
    "export": Verb(
        "exports.export",
        "export",
        "Export a tuned student for other programs.\n\n"
        "'sit export student-llama sft -o out' merges the LoRA adapter into the base model's unquantized weights; a "
        "soft prompt becomes tokens of an ordinary model, and a chat template that begins with them. Tokenizer, chat "
        "template, generation settings and a model card are beside the weights. --adapter copies the adapter alone.\n\n"
        "What was written is read back, and its logits are compared with those of the adapter beside its base model. "
        "The folder appears whole or not at all, and the same command does nothing where it is whole.\n\n"
        "--gguf also writes a GGUF file with llama.cpp's tools, and a Modelfile for Ollama.",
    ),
    "pack": Verb(
        "exports.pack",
        "pack",
        "Pack a whole run into one file.\n\n"
        "'sit pack runs/nano -o nano.tar.zst' verifies the run's files and its store, then packs them with their "
        "hashes. An unfinished run is packed with its checkpoints, and goes on where it is unpacked. Models are not in "
        "it.",
    ),
    "unpack": Verb(
        "exports.pack",
        "unpack",
        "Unpack a packed run and verify its files.\n\n"
        "'sit unpack nano.tar.zst' writes runs/nano; -o names another folder, which must not exist yet. Then 'sit run "
        "-d runs/nano' goes on, or says that everything is done.",
    ),
    "push": Verb(
        "exports.push",
        "push",
        "Publish a run on the Hugging Face Hub.\n\n"
        "'sit push runs/nano --to USER' makes private repositories of that user, or organization, named after the run: "
        "a data set with the configurations raw, filtered and preference; a model for each adapter; the report as a "
        "page; and a collection of them. --to USER/NAME gives them another name. Cards are written from the run's "
        "facts. What the run does not have yet is named and left out.\n\n"
        "--dry-run lists every file and its size, and needs neither network nor token. After an interruption the same "
        "command goes on, and nothing is uploaded twice. Log in before with 'hf auth login', or set HF_TOKEN.",
    ),
}
