"""Agents in the report: scores, how tasks ended, the figure, and links to the conversations in both forms."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from made_up import comparison

from synthetic_instruction_tuner.evaluation.agent_bench.agent_benchmarks import agent_benchmark
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import End, Outcome
from synthetic_instruction_tuner.evaluation.agent_bench.results import AgentResult, TaskResult, agent_rows
from synthetic_instruction_tuner.reporting.agents.details import STATES, AgentDetails, describe_agents
from synthetic_instruction_tuner.reporting.figures import drawing
from synthetic_instruction_tuner.reporting.html import render_html
from synthetic_instruction_tuner.reporting.report import render_markdown, write_report
from synthetic_instruction_tuner.reporting.report_data import ReportData

ENDS = [*End, End.COMPLETED, End.COMPLETED, End.COMPLETED, End.COMPLETED]
BENCHMARK = agent_benchmark("nano_db")
LINK = "../evaluation/agents/nano_db-student_x-dpo.jsonl"


def played(solved: int, student: str = "student_x") -> AgentResult:
    tasks = [
        TaskResult(
            f"t-{k}", BENCHMARK.groups[k % 3], Outcome(end, end is End.COMPLETED and k >= len(ENDS) - solved), (), 1, 0
        )
        for k, end in enumerate(ENDS)
    ]
    return AgentResult("nano_db", "solved", BENCHMARK.groups, "SQLite", tuple(tasks))


def described(*variants: str) -> AgentDetails:
    results = {("student_x", variant): [played(k)] for k, variant in enumerate(variants)}
    return describe_agents(BENCHMARK, results, agent_rows(results), {"student_x-dpo": LINK})


def test_every_way_in_which_a_task_ends_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "FIGURES", (drawing.agent_ends,))
    (one,) = described("dpo").ends
    assert sum(one.counts) == len(ENDS) and dict(zip(STATES, one.counts, strict=True))["environment error"] == 1
    data = ReportData("r", "nano", comparison=comparison(), agents=[described("base", "sft", "dpo")])
    files = write_report(data, tmp_path / "docs/report.md", tmp_path / "figures")
    assert tmp_path / "figures/agent_ends.png" in files
    text = (tmp_path / "docs/report.md").read_text(encoding="utf-8")
    section = text[text.index("### Agents") : text.index("## 6 Discussion")]
    assert f"]({LINK})" in section and "(../figures/agent_ends.png)" in section
    rows = [line for line in section.splitlines() if re.match(r"\| student\\?_x", line)]
    assert len(rows) == 6 and all(line.count("|") == rows[0].count("|") for line in rows[:3])
    assert "The environment broke twice in 3 tasks" in section and "no fault of the agents" in section
    page = (tmp_path / "docs/report.html").read_text(encoding="utf-8")
    found = re.findall(r'<a href="(\.\.[^"]*)">([^<]*)</a>', page)
    assert [one for one in found if not one[0].endswith(".svg")] == [(LINK, "nano_db-student_x-dpo.jsonl")]


def test_variants_are_compared_only_where_there_are_several() -> None:
    alone = render_markdown(ReportData("r", "nano", agents=[described("dpo")]))
    assert "| student | variant | value ± SE | n | SELECT | INSERT | UPDATE |\n" in alone
    assert "Differences between variants" not in alone
    assert "Δ to base" in render_markdown(ReportData("r", "nano", agents=[described("base", "dpo")]))
    assert "## Agents" not in render_markdown(ReportData("r", "nano"))


@pytest.mark.parametrize("text", ["[x](javascript:alert(1))", "[x](../a)", f"[x]({LINK}x)", f"![x]({LINK})"])
def test_no_text_makes_a_link_to_anything_else(text: str) -> None:
    page = render_html(f"# a\n\n{text}\n", "a", {}, ["../b", LINK])
    assert set(re.findall(r'<a href="([^"]*)"', page)) <= {LINK} and "javascript:" not in "".join(
        re.findall(r'href="([^"]*)"', page)
    )
