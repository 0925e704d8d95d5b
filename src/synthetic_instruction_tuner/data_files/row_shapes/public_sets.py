"""Brings rows of public data sets that have a form of their own into one of the usual shapes.

Each function below takes a row and returns the fields that it adds or replaces, or None where the row is of another
form. The fields that they were made of stay in the row, and so among a record's fields.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from synthetic_instruction_tuner.data_files.conversations import ShapeError, are_turns
from synthetic_instruction_tuner.data_files.row_shapes.nested_sets import gemini, is_nested, steps, summaries
from synthetic_instruction_tuner.data_files.row_shapes.transcripts import turns_of

Row = Mapping[str, Any]
QUESTIONS = ("instruction", "prompt", "question", "query", "input", "problem", "inputs", "user", "human")
ANSWERS = ("response", "output", "completion", "answer", "targets", "target", "solution", "reply", "generation")
TEXTS = {*QUESTIONS, *ANSWERS}
REFERENCES = ("answer", "output", "targets", "target", "solution")  # often a list of the texts that are right
TALKS = ("messages", "conversations", "conversation")
TEXT_KEYS = ("text", "full_text", "value")  # where an object has the text of a question or of an answer
MARKED = {  # a row without any of these names has a usual form
    *("Definition", "definition", "inputs_pretokenized", "chat", "message_1", "input", "conversation", "transcript"),
    *(
        "data",
        "context",
        "history",
        "answers",
        "text",
        "contents",
        "request",
        "summaries",
        "summary",
        "label",
        "choices",
    ),
}
SPECIAL = re.compile(r"<\|[^|<>]*\|>:?|<eo[a-z]>")  # MOSS: who speaks, and where a part ends


def usual_row(row: Row) -> Row:
    """Returns the row in a usual shape, or as it is.

    Raises:
        ShapeError: a record cannot hold what it has.
    """
    nested = [name for name, value in row.items() if type(value) in (dict, list) and name in TEXTS]
    if nested and (found := _objects(row, nested)) is not None:
        row = {**row, **found}
    if MARKED.isdisjoint(row):
        return row
    for form in FORMS:
        if (found := form(row)) is not None:
            row = {**row, **found}
    return row


def split_row(row: Any) -> list[Any] | None:
    """Returns the rows that a row holds: a tree of messages, or a task with its instances; None for any other."""
    if type(row) is not dict:
        return None
    if isinstance(row.get("Instances"), list) and row.get("Definition") is not None:
        rest = {name: value for name, value in row.items() if name != "Instances"}
        return [{**rest, **one} if isinstance(one, Mapping) else one for one in row["Instances"]]
    if is_tree(row):
        return list(_questions(row["prompt"], [], {n: v for n, v in row.items() if n != "prompt"}))
    return None


def is_one_row(value: Row) -> bool:
    """Returns whether an object is one row of a data set, though its parts look like rows or columns."""
    chat = value.get("chat")
    is_moss = isinstance(chat, Mapping) and any(isinstance(turn, Mapping) and "MOSS" in turn for turn in chat.values())
    tasks = {"Definition", "Instances"} <= value.keys()
    return is_moss or is_tree(value) or is_ultrachat(value) or tasks or is_nested(value)


def is_tree(value: Row) -> bool:
    """Returns whether a row is a tree of messages, as OpenAssistant has them."""
    root = value.get("prompt")
    return isinstance(root, dict) and isinstance(root.get("text"), str) and isinstance(root.get("replies"), list)


def _questions(node: Row, before: list[dict[str, str]], rest: Row) -> Any:
    """A row for each question of a tree: the turns before it, and its answers, the best first."""
    replies = [one for one in node.get("replies") or [] if isinstance(one, Mapping) and not one.get("deleted")]
    asked = {"role": "user", "content": str(node.get("text", ""))}
    if replies:
        ranks = [one.get("rank") for one in replies]
        ranked = all(isinstance(rank, int) for rank in ranks)
        best = min(replies, key=lambda one: one["rank"]) if ranked else replies[0] if len(replies) == 1 else None
        answers = [{name: value for name, value in one.items() if name != "replies"} for one in replies]
        yield {
            **rest,
            **({"id": node["message_id"]} if isinstance(node.get("message_id"), str) else {}),
            "history": before,
            "instruction": asked["content"],
            **({"response": best.get("text")} if best else {}),
            "answers": answers,
        }
    for one in replies:
        answered = [*before, asked, {"role": "assistant", "content": str(one.get("text", ""))}]
        for question in one.get("replies") or []:
            if isinstance(question, Mapping):
                yield from _questions(question, answered, rest)


def _objects(row: Row, names: Sequence[str]) -> Row | None:
    """Questions and answers that are objects with a text (WebGPT, TriviaQA), or lists of one text."""
    found: dict[str, Any] = {}
    for name in names:
        value = row[name]
        if isinstance(value, Mapping) and not {"role", "from", "replies"} & value.keys():
            texts = [value[key] for key in TEXT_KEYS if isinstance(value.get(key), str)]
            if texts:
                found |= {name: texts[0], f"{name}_object": value}
        elif name in REFERENCES and isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
            found[name] = value[0]
    return found or None


def _tasks(row: Row) -> Row | None:
    """Natural Instructions: what the task is, an input, and answers that are all right."""
    name = next((n for n in ("Definition", "definition") if row.get(n)), None)
    if name is None or "instruction" in row:
        return None
    ask = next((n for n in ("input", "inputs") if isinstance(row.get(n), str)), None)
    answer = next((n for n in ("output", "targets", "target") if row.get(n) is not None), None)
    if ask is None or answer is None:
        return None
    right = row[answer] if isinstance(row[answer], list) else [row[answer]]
    if not right or not all(isinstance(one, str) for one in right):
        return None
    told = row[name] if isinstance(row[name], list) else [row[name]]
    found: dict[str, Any] = {"instruction": "\n".join(map(str, told)), "input": row[ask], "output": right[0]}
    return found | ({"outputs": right} if len(right) > 1 else {})


def _pretokenized(row: Row) -> Row | None:
    """P3: token ids with their texts beside them."""
    ask, answer = row.get("inputs_pretokenized"), row.get("targets_pretokenized")
    if not isinstance(ask, str) or not isinstance(answer, str):
        return None
    return {"prompt": ask.strip(), "completion": answer.strip()}


def _moss(row: Row) -> Row | None:
    chat = row.get("chat")
    if not isinstance(chat, Mapping) or not all(isinstance(t, Mapping) and "MOSS" in t for t in chat.values()):
        return None
    turns = []
    for turn in chat.values():
        for part in ("Commands", "Tool Responses"):
            if SPECIAL.sub("", str(turn.get(part) or "")).strip() not in ("", "None"):
                raise ShapeError(f"a turn of 'chat' has '{part}', which a record cannot hold")
        for role, part in (("user", "Human"), ("assistant", "MOSS")):
            turns.append({"role": role, "content": SPECIAL.sub("", str(turn.get(part) or "")).strip()})
    told = row.get("meta_instruction")
    return {"messages": turns, **({"system": told} if isinstance(told, str) and "system" not in row else {})}


def _roles(row: Row) -> Row | None:
    """CAMEL: two messages of two roles, of which the second answers the first."""
    ask, answer = row.get("message_1"), row.get("message_2")
    if not isinstance(ask, str) or not isinstance(answer, str) or "message_3" in row or _has(row, QUESTIONS):
        return None
    return {"instruction": ask, "response": answer}


def _chat(row: Row) -> Row | None:
    """Glaive and Baize: a transcript as text. The name of who speaks is no part of a system prompt."""
    found: dict[str, Any] = {}
    for name in ("chat", "input", "conversation", "transcript"):
        value = row.get(name)
        if isinstance(value, str) and not _has(row, TALKS[:1]) and (turns := turns_of(value)):
            if name == "input" and _has(row, ("instruction", *ANSWERS)):
                continue
            found = {"messages": turns, name: None, "transcript": value}
    told = row.get("system")
    if found and isinstance(told, str) and told.startswith("SYSTEM:"):
        found["system"] = told.removeprefix("SYSTEM:").strip()
    return found or None


def _texts_in_data(row: Row) -> Row | None:
    """UltraChat's own files: the texts of a conversation under ``data``."""
    return {"conversation": row["data"]} if is_ultrachat(row) else None


def is_ultrachat(row: Row) -> bool:
    """Returns whether a row has an id and, under ``data``, texts that alternate."""
    data = row.get("data")
    return row.keys() == {"id", "data"} and isinstance(data, list) and all(isinstance(t, str) for t in data)


def _context(row: Row) -> Row | None:
    """HelpSteer3: the conversation so far is the context."""
    if not are_turns(row.get("context")) or _has(row, (*QUESTIONS, *TALKS)):
        return None
    return {"messages": row["context"], "context": None}


def post(row: Row) -> Row | None:
    """Returns the prompt of a row of SHP: a post, which is called the history; None of other rows."""
    if not isinstance(row.get("history"), str) or not {"human_ref_A", "human_ref_a", "labels"} & row.keys():
        return None
    return None if _has(row, QUESTIONS) else {"prompt": row["history"], "history": None}


def _answers(row: Row) -> Row | None:
    """SQuAD and its like: the answers that are right, of which the first is the response."""
    value = row.get("answers")
    if value is None or _has(row, ANSWERS) or not _has(row, QUESTIONS):
        return None
    if isinstance(value, Mapping) and isinstance(value.get("text"), Sequence) and "score" not in value:
        texts = [value["text"]] if isinstance(value["text"], str) else list(value["text"])
    elif isinstance(value, list) and all(isinstance(o, Mapping) and "answer_start" in o for o in value):
        texts = [one.get("text") for one in value]
    elif isinstance(value, str):
        return {"answer": value}
    elif isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        texts = value
    else:
        return None
    if texts and all(isinstance(text, str) for text in texts):
        return {"answer": texts[0]}
    return None


def _choices(row: Row) -> Row | None:
    """A logged request and its reply: messages, and beside them a server's choices, as OpenAI's protocol has them."""
    asked, replies = row.get("messages"), row.get("choices")
    if not isinstance(asked, list) or not isinstance(replies, list) or not all(isinstance(r, Mapping) for r in replies):
        return None
    if asked and isinstance(asked[-1], Mapping) and asked[-1].get("role") == "assistant":
        return None  # answered already; the choices are something else, such as options
    if len(replies) != 1:
        raise ShapeError(f"'choices' has {len(replies)} answers, of which none is said to be the answer")
    return {"messages": [*asked, replies[0].get("message")], "choices": None}


def _text(row: Row) -> Row | None:
    """A transcript under ``text``, if nothing else is asked."""
    if not isinstance(row.get("text"), str) or _has(row, (*QUESTIONS, *TALKS, "chosen", "context")):
        return None
    turns = turns_of(row["text"])
    return {"messages": turns, "text": None, "transcript": row["text"]} if turns else None


def _has(row: Row, names: Sequence[str]) -> bool:
    return any(row.get(name) not in (None, "", []) for name in names)


FORMS = (
    *(gemini, summaries, steps, _tasks, _pretokenized, _moss, _roles, _chat, _texts_in_data, _context, post),
    *(_answers, _choices, _text),
)
