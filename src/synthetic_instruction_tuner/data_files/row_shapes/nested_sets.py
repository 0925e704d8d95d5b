"""Rows of public sets whose texts lie deep within: Gemini's requests, comparisons of summaries, steps of a solution.

Each function takes a row and returns the fields that it adds or replaces, or None where the row is of another form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synthetic_instruction_tuner.data_files.conversations import ShapeError

Row = Mapping[str, Any]
SYSTEMS = ("systemInstruction", "system_instruction", "systeminstruction")


def is_nested(value: Row) -> bool:
    """Returns whether an object is one row of these sets, though its parts look like rows or columns."""
    request, info = value.get("request"), value.get("info")
    asked = request if isinstance(request, Mapping) else value
    compared = isinstance(info, Mapping) and bool({"summaries", "summary"} & value.keys())
    return compared or _are_contents(asked.get("contents")) or steps_of(value) is not None


def gemini(row: Row) -> Row | None:
    """Gemini: ``contents`` with parts, or a request of that kind and the response to it."""
    request, response = row.get("request"), row.get("response")
    asked = request if isinstance(request, Mapping) and "contents" in request else row
    contents: Any = asked.get("contents")
    if not _are_contents(contents) or row.get("messages"):
        return None
    turns = [_turn(one) for one in contents]
    told = next((asked[name] for name in SYSTEMS if asked.get(name)), None)
    if told is not None:
        parts = {"parts": [{"text": told}]} if isinstance(told, str) else told
        turns.insert(0, _turn(parts) | {"role": "system"})
    found: dict[str, Any] = {"messages": turns, "contents": None} | dict.fromkeys(
        (n for n in SYSTEMS if n in row), None
    )
    if asked is request and isinstance(response, Mapping):
        candidates = response.get("candidates") or [{}]
        answer = candidates[0].get("content") if isinstance(candidates[0], Mapping) else None
        if not isinstance(answer, Mapping):
            raise ShapeError("'response' has no candidate with a text")
        turns.append(_turn(answer) | {"role": "model"})
        found |= {"request": None, "response": None}
    return found


def _are_contents(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(o, Mapping) and _is_parts(o) for o in value)


def _is_parts(one: Row) -> bool:
    return isinstance(one.get("parts"), list | Mapping)


def _turn(one: Any) -> dict[str, Any]:
    """A turn: the texts of its parts, one after the other; a part that is a thought is kept apart."""
    if not isinstance(one, Mapping) or not _is_parts(one):
        raise ShapeError("a system instruction must be a text, or have parts with texts")
    parts = [one["parts"]] if isinstance(one["parts"], Mapping) else one["parts"]
    said: dict[bool, str] = {True: "", False: ""}
    for part in parts:
        other = [name for name, value in part.items() if value is not None and name not in ("text", "thought")]
        other = [name for name in other if name.lower() not in ("thoughtsignature", "thought_signature")]
        if other or not isinstance(part.get("text"), str):
            raise ShapeError(f"a part of 'contents' has '{(other or ['no text'])[0]}', which a record cannot hold")
        said[part.get("thought") is True] += part["text"]
    thought = {"reasoning_content": said[True]} if said[True] else {}
    return {"role": one.get("role") or "user", "content": said[False], **thought}


def summaries(row: Row) -> Row | None:
    """Summaries of a post that people compared or rated (OpenAI): the prompt of the data set, and the better one."""
    info, several, one = row.get("info"), row.get("summaries"), row.get("summary")
    if not isinstance(info, Mapping) or not any(isinstance(info.get(name), str) for name in ("post", "article")):
        return None
    if isinstance(one, Mapping) and isinstance(one.get("text"), str):
        axes = one.get("axes")
        score = axes.get("overall") if isinstance(axes, Mapping) else None
        found = {"prompt": _post(info), "response": one["text"].strip(), "model": one.get("policy")}
        return found | ({"score": score} if score is not None else {})
    texts: list[Any] = [each.get("text") for each in several or [] if isinstance(each, Mapping)]
    if len(texts) != 2 or not all(isinstance(text, str) for text in texts):
        return None
    choice = row.get("choice")
    if isinstance(choice, bool) or choice not in (0, 1, 0.0, 1.0, "0", "1"):
        raise ShapeError(f"'choice' must be 0 or 1, not {choice!r}")
    best = int(float(choice))
    found = {"prompt": _post(info)}
    for side, place in (("chosen", best), ("rejected", 1 - best)):
        found |= {side: texts[place].strip(), f"{side}_model": (several or [])[place].get("policy")}
    return found


def scored_summaries(row: Row) -> Row | None:
    """The same rows as answers with scores: the better summary has 1, the other 0."""
    found = summaries(row)
    if found is None or "chosen" not in found:
        return found
    models = [found["chosen_model"], found["rejected_model"]]
    answers = [found["chosen"], found["rejected"]]
    return {"prompt": found["prompt"], "responses": answers, "models": models, "scores": [1.0, 0.0], "summaries": None}


def _post(info: Row) -> str:
    parts = [f"{name.upper()}: {info[name]}" for name in ("subreddit", "title") if isinstance(info.get(name), str)]
    text = info["post"] if isinstance(info.get("post"), str) else info["article"]
    kind = "POST" if isinstance(info.get("post"), str) else "ARTICLE"
    return "\n\n".join([*parts, f"{kind}: {str(text).strip()}", "TL;DR:"])


def steps(row: Row) -> Row | None:
    """PRM800K: a problem, and the steps of a solution of which people chose each.

    Raises:
        ShapeError: the steps do not end in a solution that they found right.
    """
    labelled = steps_of(row)
    if labelled is None:
        return None
    question, label = labelled
    if (end := label.get("finish_reason")) != "solution":
        raise ShapeError(f"its steps are no whole solution (finish_reason is {end!r})")
    texts = []
    for number, step in enumerate(label["steps"], 1):
        chosen = _chosen(step)
        if chosen is None:
            raise ShapeError(f"no completion of step {number} is chosen")
        if isinstance(chosen, Mapping) and chosen.get("rating") == -1:
            raise ShapeError(f"step {number} of its solution is rated as wrong")
        texts.append(str(chosen.get("text") if isinstance(chosen, Mapping) else chosen))
    return {"question": question["problem"], "response": "\n".join(texts), "question_object": question}


def steps_of(row: Row) -> tuple[Row, Row] | None:
    """Returns the question and the labelled steps of a row of PRM800K; None of another row."""
    question, label = row.get("question"), row.get("label")
    if not isinstance(question, Mapping) or not isinstance(question.get("problem"), str):
        return None
    if not isinstance(label, Mapping) or not isinstance(label.get("steps"), list):
        return None
    return question, label


def _chosen(step: Any) -> Any:
    if not isinstance(step, Mapping):
        return None
    place, several = step.get("chosen_completion"), step.get("completions") or []
    if isinstance(place, int) and 0 <= place < len(several):
        return several[place]
    return step.get("human_completion")
