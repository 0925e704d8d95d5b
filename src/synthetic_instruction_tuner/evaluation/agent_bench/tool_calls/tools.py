"""The tools of AgentBench's function-calling version: two for databases, three for a shell.

Names and parameters are AgentBench's; the descriptions are this project's words.
"""

from __future__ import annotations

from synthetic_instruction_tuner.chat.tools.template import Tool


def _tool(name: str, about: str, parameter: str, kind: str, what: str) -> Tool:
    """Returns a tool with one parameter, which must be given."""
    schema = {"type": kind, "description": what} | ({"items": {"type": "string"}} if kind == "array" else {})
    parameters = {
        "type": "object",
        "properties": {parameter: schema},
        "required": [parameter],
        "additionalProperties": False,
    }
    return {"type": "function", "function": {"name": name, "description": about, "parameters": parameters}}


DB_TOOLS: tuple[Tool, ...] = (
    _tool(
        "execute_sql", "Runs one SQL statement in the database and returns its result.", "query", "string", "The SQL."
    ),
    _tool(
        "commit_final_answer",
        "Hands in the final answer when all operations are done.",
        "answers",
        "array",
        "The values of the answer.",
    ),
)
OS_TOOLS: tuple[Tool, ...] = (
    _tool("bash_action", "Runs a script in the Linux shell and returns its output.", "script", "string", "The script."),
    _tool("finish_action", "Says that the task is done.", "thought", "string", "Why the task is done."),
    _tool("answer_action", "Answers the question.", "answer", "string", "The answer."),
)
