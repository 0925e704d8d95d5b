"""The special tokens around turns: those that close an answer, and those that begin the next turn."""

from __future__ import annotations

from itertools import takewhile

from synthetic_instruction_tuner.chat.rendering import Renderer, unusable
from synthetic_instruction_tuner.chat.thinking import ThinkMarks
from synthetic_instruction_tuner.chat.turns import Turns


def answer_end(renderer: Renderer, turns: Turns) -> tuple[str, list[int]]:
    """Returns the text after an answer up to the last special token that closes it, and its ids.

    The text is empty if it is not the ids' text: the end-of-text token alone, where the template writes no mark.

    Raises:
        UserError: nothing ends an answer.
    """
    for text in (turns.after_answer, turns.between_turns):
        ids = renderer.continued(text)
        places = [k for k, token in enumerate(ids) if token in renderer.special]
        if not places:
            continue
        count = _closing(renderer, turns, text, [ids[k] for k in places])
        end = 0
        for name in (renderer.name(ids[k]) for k in places[:count]):
            found = text.find(name, end)
            if found < 0:
                return "", ids[: places[count - 1] + 1]
            end = found + len(name)
        return text[:end], ids[: places[count - 1] + 1]
    if renderer.tokenizer.eos_token_id is None:
        raise unusable("no special token ends the assistant's turn", "Use a tokenizer with an end-of-text token.")
    written = "" if turns.asks_always else turns.after_answer.rstrip()
    text = f"{written}{renderer.tokenizer.eos_token}" if written else ""
    return text, [*renderer.continued(written), renderer.tokenizer.eos_token_id]


def _closing(renderer: Renderer, turns: Turns, text: str, marks: list[int]) -> int:
    """Returns how many of the special tokens after an answer close it; the others ask for another one, or begin a turn.

    Args:
        renderer, turns: the template.
        text: what the template writes after the last answer, or after one that a question follows.
        marks: the special tokens in it.
    """
    if text == turns.after_answer:
        header = _special(renderer, turns.after_user)
        return 1 if turns.asks_always and marks[-1:] == header[-1:] else len(marks)
    pairs = zip(reversed(text), reversed(turns.before_question), strict=False)
    question = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))  # characters that begin a question
    return max(1, len(_special(renderer, text[: len(text) - question])))


def turn_openings(renderer: Renderer, turns: Turns, closing: list[int], thinks: ThinkMarks | None) -> frozenset[int]:
    """Returns the special tokens that begin a turn: those that follow the end of another; thoughts are no turn.

    Args:
        renderer, turns: the template.
        closing: the special tokens that close an answer; some follow the last one alone.
        thinks: the marks around thoughts.
    """
    inside = renderer.continued(thinks.opening + thinks.bridge.strip()) if thinks else []
    found: set[int] = set()
    for between, marks in ((turns.after_user, []), (turns.between_turns, closing)):
        special = _special(renderer, between)
        closed = next((k for k, (a, b) in enumerate(zip(special, marks, strict=False)) if a != b), len(marks))
        found.update(special[max(1, closed) :][:1])
    return frozenset(found.difference(inside))


def _special(renderer: Renderer, text: str) -> list[int]:
    return [token for token in renderer.continued(text) if token in renderer.special]
