"""Playing many tasks side by side: order, interruptions, environments that break, models that overflow."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_agents import agent, answer, gold, operation

from synthetic_instruction_tuner.engines.base import Completion, Request
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.agent_bench.agent.model_agent import ModelAgent
from synthetic_instruction_tuner.evaluation.agent_bench.db.conversation import DbConversation
from synthetic_instruction_tuner.evaluation.agent_bench.db.embedded import EmbeddedDatabase
from synthetic_instruction_tuner.evaluation.agent_bench.db.tasks import DbTask
from synthetic_instruction_tuner.evaluation.agent_bench.dialogue import Dialogue, End, EnvironmentFailed, Outcome
from synthetic_instruction_tuner.evaluation.agent_bench.rounds import Played, Turn, play
from synthetic_instruction_tuner.evaluation.agent_bench.saved_play import SavedPlay
from synthetic_instruction_tuner.evaluation.agent_bench.summary import summarize
from synthetic_instruction_tuner.records import Message

KEY = {"model": "m", "tasks": "t"}


def tasks(count: int) -> list[DbTask]:
    return [
        DbTask(f"db-{k:04d}", f"What is {k}?", "a", "other", "t", ("a",), ((str(k),),), (str(k),)) for k in range(count)
    ]


def asking(task: DbTask, turn: int) -> str:
    """Looks as often as its number says, then answers."""
    looks = int(task.label[0]) % 4
    return operation("SELECT a FROM t") if turn < looks else answer(json.dumps(list(task.label)))


def begin(task: DbTask) -> Dialogue:
    return DbConversation(task, EmbeddedDatabase)


def all_played(found: Sequence[tuple[int, Played]]) -> dict[int, Played]:
    return dict(found)


def test_all_conversations_share_the_engines_calls() -> None:
    calls, chosen = [], tasks(20)
    script = agent(chosen, asking)

    def counting(conversations: Sequence[Sequence[Message]]) -> Sequence[Turn]:
        calls.append(len(conversations))
        return script(conversations)

    found = all_played(list(play(chosen, begin, counting)))
    assert calls == [20, 15, 10, 5]
    assert all(one.outcome and one.outcome.right for one in found.values())


@given(st.integers(0, 40))
def test_an_interruption_at_any_turn_changes_nothing_and_repeats_nothing(stop: int) -> None:
    import tempfile

    chosen, asked = tasks(6), Counter[str]()
    script = agent(chosen, asking)

    def counting(conversations: Sequence[Sequence[Message]]) -> Sequence[Turn]:
        asked.update(f"{messages[2].content} {len(messages)}" for messages in conversations)
        return script(conversations)

    whole = all_played(list(play(chosen, begin, script)))
    names = [task.id for task in chosen]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "dialogues.jsonl"
        with SavedPlay(file, KEY) as saved:
            for done, (number, one) in enumerate(play(chosen, begin, counting, saved.turns(names)), 1):
                saved.add(names[number], one)
                if done >= stop:
                    break
        with SavedPlay(file, KEY) as saved:
            left = [task for task in chosen if not (saved.played.get(task.id) and saved.played[task.id].outcome)]
            for number, one in play(left, begin, counting, saved.turns([task.id for task in left])):
                saved.add(left[number].id, one)
        with SavedPlay(file, KEY) as saved:
            assert {n: saved.played[name] for n, name in enumerate(names)} == whole
    # A round's turns are kept one by one as they are acted on: what a kill can repeat is one round's.
    assert max(asked.values()) <= 2
    assert sum(asked.values()) - len(asked) <= len(chosen)


class Breaking:
    """A conversation whose environment breaks at its first turn."""

    def __init__(self, inner: Dialogue, breaks: bool) -> None:
        self._inner, self._breaks = inner, breaks

    @property
    def messages(self) -> list[Message]:
        return self._inner.messages

    @property
    def outcome(self) -> Outcome | None:
        return self._inner.outcome

    def take(self, text: str) -> None:
        if self._breaks:
            raise EnvironmentFailed("the server went away")
        self._inner.take(text)

    def overflow(self, note: str) -> None:
        self._inner.overflow(note)

    def close(self) -> None:
        self._inner.close()


@pytest.mark.parametrize("breaks", [1, 2])
def test_a_broken_environment_is_tried_again_once_and_never_the_agents_failure(breaks: int) -> None:
    chosen, begun = tasks(3), Counter[str]()

    def failing(task: DbTask) -> Dialogue:
        begun[task.id] += 1
        return Breaking(begin(task), task.id == "db-0001" and begun[task.id] <= breaks)

    found = all_played(list(play(chosen, failing, agent(chosen, gold))))
    ends = [one.outcome.end for _, one in sorted(found.items()) if one.outcome]
    assert ends == [End.COMPLETED, End.COMPLETED if breaks == 1 else End.ENVIRONMENT_ERROR, End.COMPLETED]
    summary = summarize(["SELECT"], [("SELECT", one.outcome) for one in found.values() if one.outcome])
    assert (summary.n, summary.broken, summary.headline) == ((3, 0, 1.0) if breaks == 1 else (2, 1, 1.0))


class Failing(Breaking):
    """A conversation on whose turn this program fails."""

    def take(self, text: str) -> None:
        if self._breaks:
            raise OverflowError("int too large\nto convert to float \ud800")
        super().take(text)


@pytest.mark.parametrize("known", [0, 1])
def test_a_turn_on_which_the_program_fails_costs_its_own_task(known: int, tmp_path: Path) -> None:
    chosen, names = tasks(3), [task.id for task in tasks(3)]

    def failing(task: DbTask) -> Dialogue:
        return Failing(begin(task), task.id == "db-0001")

    earlier = [[], ["x"] * known, []]
    found = all_played(list(play(chosen, failing, agent(chosen, gold), earlier)))
    assert [found[k].outcome.right for k in range(3) if found[k].outcome] == [True, False, True]  # type: ignore[union-attr]
    lost = found[1].outcome
    assert lost and lost.end is End.INVALID_ACTION and "OverflowError: int too large to convert" in lost.note
    assert len(found[1].turns) == 1
    with SavedPlay(tmp_path / "dialogues.jsonl", KEY) as saved:
        for number, one in found.items():
            saved.add(names[number], one)
    with SavedPlay(tmp_path / "dialogues.jsonl", KEY) as saved:
        assert saved.played["db-0001"].outcome == lost


def test_the_headline_counts_each_group_the_same() -> None:
    right, wrong = Outcome(End.COMPLETED, right=True), Outcome(End.TASK_LIMIT, right=False)
    outcomes = [("SELECT", right)] * 3 + [("SELECT", wrong)] + [("INSERT", wrong)] + [("UPDATE", right)] * 2
    summary = summarize(["SELECT", "INSERT", "UPDATE"], outcomes)
    assert summary.headline == pytest.approx((3 / 4 + 0 + 1) / 3)
    assert summary.error == pytest.approx((3 / 16 / 4) ** 0.5 / 3)
    assert summary.reasons == {"task limit": 2}
    assert summarize(["SELECT", "INSERT"], []).headline == 0


# The file


def test_a_file_of_other_conversations_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "dialogues.jsonl"
    with SavedPlay(file, KEY) as saved:
        saved.add("db-0000", Played(["a"], [Message("user", "q")], Outcome(End.COMPLETED, right=True)))
    before = file.read_bytes()
    with pytest.raises(UserError, match="other conversations") as caught:
        SavedPlay(file, KEY | {"model": "n"})
    assert "model" in caught.value.cause
    assert file.read_bytes() == before
    for text in ("x\n", "[]\n", '{"a": 1}\n', '{"conversations": 5}\n'):
        file.write_text(text)
        with pytest.raises(UserError):
            SavedPlay(file, KEY)


@given(st.integers(0, 400))
def test_a_line_that_was_cut_off_is_played_again(cut: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "dialogues.jsonl"
        with SavedPlay(file, KEY) as saved:
            saved.add("a", Played(["first ü"]))
            saved.add("a", Played(["first ü", "second"], [Message("user", "q")], Outcome(End.COMPLETED, right=True)))
        whole = file.read_bytes()
        file.write_bytes(whole[: min(cut, len(whole))])
        with SavedPlay(file, KEY) as saved:
            known = saved.played.get("a", Played())
            assert known.turns == ["first ü", "second"][: len(known.turns)]
            saved.add("a", Played(["first ü", "second"], [Message("user", "q")], Outcome(End.COMPLETED, right=True)))
        with SavedPlay(file, KEY) as saved:
            assert saved.played["a"].turns == ["first ü", "second"]


# A model as the agent


class Echo:
    """An engine and a template at once: texts are their own tokens."""

    stop_ids = (0,)

    def __init__(self) -> None:
        self.asked: list[Request] = []

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        return [ord(c) for c in messages[-1].content]

    def decode(self, ids: Sequence[int], prompt: Sequence[int]) -> str:
        return "".join(map(chr, ids))

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        self.asked += requests
        return [
            Completion((), "error", "the prompt has 9 tokens")
            if len(r.prompt_ids) == 9
            else Completion(r.prompt_ids, "stop")
            for r in requests
        ]


def test_a_model_answers_greedily_and_overflows_alone() -> None:
    echo = Echo()
    model = ModelAgent(echo, echo, max_new_tokens=5, longest=20)  # type: ignore[arg-type]
    turns = model([[Message("user", text)] for text in ("abc", "x" * 16, "y" * 9)])
    assert [turn.text for turn in turns] == ["abc", "", ""]
    assert [bool(turn.overflow) for turn in turns] == [False, True, True]
    assert {(r.temperature, r.max_new_tokens) for r in echo.asked} == {(0.0, 5)}
    assert len(echo.asked) == 2


def test_an_overflow_ends_that_conversation_alone() -> None:
    chosen = tasks(3)

    def full(conversations: Sequence[Sequence[Message]]) -> list[Turn]:
        turns = list(agent(chosen, gold)(conversations))
        return [
            Turn("", "too long") if "What is 1?" in c[2].content else t
            for c, t in zip(conversations, turns, strict=True)
        ]

    found = all_played(list(play(chosen, begin, full)))
    assert [found[k].outcome.end for k in range(3)] == [  # type: ignore[union-attr]
        End.COMPLETED,
        End.CONTEXT_OVERFLOW,
        End.COMPLETED,
    ]
