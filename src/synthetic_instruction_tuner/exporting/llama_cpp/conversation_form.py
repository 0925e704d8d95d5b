"""How a chat template writes a conversation, where it is a plain one: the texts around each message.

Most templates write something before everything, something before and after each message by its role, and the start of
the answer. Whether a template is of that kind is not guessed: what was found must render every conversation of a set
exactly as the template itself does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from synthetic_instruction_tuner.records import Message

Render = Callable[[Sequence[Message], bool], str]
"""Returns a template's text for messages, and whether with the start of an answer."""
_MARK = "zqText7qz"


@dataclass(frozen=True, slots=True)
class ConversationForm:
    """The texts of a plain chat template.

    Attributes:
        start: before everything.
        system: before and after a system prompt.
        default: what stands in place of a system prompt where there is none.
        user, assistant: before and after a message of theirs.
        answer: the start of an answer.
        folded: whether a system prompt is within the first message of the user: `system` is then around it, and the
            message's own text follows.
    """

    start: str
    system: tuple[str, str] | None
    default: str
    user: tuple[str, str]
    assistant: tuple[str, str]
    answer: str
    folded: bool = False

    def render(self, messages: Sequence[Message], generation: bool = True) -> str:
        """Returns a conversation's text."""
        text, folded = self.start, ""
        if messages[0].role == "system" and self.system:
            inner = self.system[0] + messages[0].content + self.system[1]
            text, folded = (text, inner) if self.folded else (text + inner, "")
        else:
            text += self.default
        for message in messages:
            if message.role != "system":
                before, after = self.user if message.role == "user" else self.assistant
                text, folded = (
                    text + before + (folded if message.role == "user" else "") + message.content + after,
                    ("" if message.role == "user" else folded),
                )
        return text + (self.answer if generation else "")


def conversation_form(render: Render) -> ConversationForm | None:
    """Returns the form of a template; None where it is of another kind.

    Args:
        render: the template; it may raise for what it does not take.
    """
    try:
        plain = _without_system(render)
    except Exception:  # templates are programs and may raise anything
        return None
    if plain is None:
        return None
    for form in (*_with_system(render, plain), plain):
        if _fits(form, render):
            return form
    return None


def _without_system(render: Render) -> ConversationForm | None:
    mark = [f"{_MARK}{number}" for number in range(4)]
    user, again = Message("user", mark[0]), Message("user", mark[2])
    asked = render([user], True).split(mark[0])
    turns = [user, Message("assistant", mark[1]), again, Message("assistant", mark[3])]
    whole = render(turns, False)
    pieces = []
    for one in mark:
        if whole.count(one) != 1:
            return None
        before, _, whole = whole.partition(one)
        pieces.append(before)
    first, to_answer, between, to_second, end = *pieces, whole
    if len(asked) != 2 or asked[0] != first or to_second != to_answer:
        return None
    opening = _common_end(first, between)  # what stands before every message of the user
    if not between.startswith(end):  # an answer that is the last one ends as all do
        return None
    after_answer = end
    before_user = between.removeprefix(end)
    if not first.endswith(before_user):
        before_user, after_answer = opening, between.removesuffix(opening)
    start = first.removesuffix(before_user)
    answer_start = _common_end(asked[1], to_answer) if asked[1] != to_answer else None
    if answer_start is None:  # the text before an answer is the same, whether it is there or to be written
        return ConversationForm(start, None, "", (before_user, to_answer), ("", after_answer), "")
    closed = render([user], False).partition(mark[0])[2]
    if not (to_answer.startswith(closed) and asked[1].startswith(closed)):
        return None
    opened, begun = to_answer.removeprefix(closed), asked[1].removeprefix(closed)
    return ConversationForm(start, None, "", (before_user, closed), (opened, after_answer), begun)


def _with_system(render: Render, plain: ConversationForm) -> list[ConversationForm]:
    """Returns the forms that a template may have with a system prompt, each to be tried."""
    system, user = f"{_MARK}8", f"{_MARK}9"
    try:
        text = render([Message("system", system), Message("user", user)], True)
    except Exception:  # it takes none
        return []
    if text.count(system) != 1 or text.count(user) != 1 or text.index(system) > text.index(user):
        return []
    before, _, rest = text.partition(system)
    between = rest.partition(user)[0]
    found = []
    if between.endswith(plain.user[0]):  # a turn of its own
        whole = plain.start
        for length in range(len(whole), -1, -1):  # what is left is there only where no system prompt is
            start, default = whole[:length], whole[length:]
            if before.startswith(start):
                inner = (before.removeprefix(start), between.removesuffix(plain.user[0]))
                found.append(_changed(plain, start=start, default=default, system=inner))
                break
    opening = plain.start + plain.user[0]
    if before.startswith(opening):  # within the user's first message
        found.append(_changed(plain, system=(before.removeprefix(opening), between), folded=True))
    return found


def _changed(form: ConversationForm, **values: object) -> ConversationForm:
    from dataclasses import replace

    return replace(form, **values)  # type: ignore[arg-type]


def _fits(form: ConversationForm, render: Render) -> bool:
    """Returns whether a form renders every conversation as the template does."""
    user, answer = Message("user", "one {{ 1 }}"), Message("assistant", "two\nlines")
    sets = [[user], [user, answer, user], [user, answer, user, answer, Message("user", "last")]]
    if form.system:
        sets += [[Message("system", "Be brief."), *messages] for messages in list(sets)]
    try:
        return all(form.render(messages) == render(messages, True) for messages in sets)
    except Exception:  # as in `conversation_form`
        return False


def _common_end(one: str, other: str) -> str:
    length = 0
    while length < min(len(one), len(other)) and one[-1 - length] == other[-1 - length]:
        length += 1
    return one[len(one) - length :]
