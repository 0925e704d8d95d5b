"""The families of numbers, words, code and agents: what they write they read back, and they catch what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random

import pytest

from synthetic_instruction_tuner.nano.world import vocabulary
from synthetic_instruction_tuner.nano.world.families import shell_agent, sql_agent
from synthetic_instruction_tuner.nano.world.families.arithmetic import calculation, number_lists, word_problems
from synthetic_instruction_tuner.nano.world.families.coding import explain_code, write_function
from synthetic_instruction_tuner.nano.world.families.rewriting import sentences, word_lists
from synthetic_instruction_tuner.nano.world.family import Family, undress
from synthetic_instruction_tuner.nano.world.tiny_python import ProgramError, call

FAMILIES = (
    *calculation.FAMILIES,
    *word_problems.FAMILIES,
    *number_lists.FAMILIES,
    *word_lists.FAMILIES,
    *sentences.FAMILIES,
    *write_function.FAMILIES,
    *explain_code.FAMILIES,
    *sql_agent.FAMILIES,
    *shell_agent.FAMILIES,
)
DRAWS = 400
each_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)


def _change_number(rng: Random, text: str) -> str:
    """Changes one number, of those that are neither a path's nor a list's."""
    matches = list(re.finditer(r"\d+", text))
    match = rng.choice(matches)
    return text[: match.start()] + str(int(match.group()) + rng.choice((1, 3, 10))) + text[match.end() :]


def _swap_items(rng: Random, text: str) -> str:
    runs = list(re.finditer(r"\w+(?:, \w+){2,}|(?:\d\. \w+\n){3,}", text))
    run = rng.choice(runs)
    words = list(re.finditer(r"[a-z]+" if run.group()[0].isalpha() or "." in run.group() else r"\d+", run.group()))
    a, b = sorted(rng.sample(words, 2), key=lambda m: m.start())
    inner = run.group()
    inner = inner[: a.start()] + b.group() + inner[a.end() : b.start()] + a.group() + inner[b.end() :]
    return text[: run.start()] + inner + text[run.end() :]


def _change_quoted_word(rng: Random, text: str) -> str:
    quotes = [m.span() for m in re.finditer(r'"[^"]+"', text)]
    words = [m for m in re.finditer(r"\w+", text) if any(start < m.start() < end for start, end in quotes)]
    word = rng.choice(words)
    new = "Tractor" if not word.group().isupper() else "TRACTOR"
    return text[: word.start()] + new + text[word.end() :]


def _change_result(rng: Random, text: str) -> str:
    return re.sub(r"`[^`]+`", "`tractor`", text)


def _change_counts_or_result(rng: Random, text: str) -> str:
    return _change_number(rng, text) if rng.random() < 0.5 else re.sub(r"\w+\.$|\w+(?=\.$)", "tractor", text)


def _break_code(rng: Random, text: str) -> str:
    """Changes the returned expression: a number, an operator or a name."""
    block = re.search(r"return (.+)", text)
    assert block is not None
    code = block.group(1)
    changed = re.sub(r"\d+", lambda m: str(int(m.group()) + 1), code, count=1)
    if changed == code:
        changed = rng.choice((f"len({code})", f"{code} * 2", f"({code}) + 1"))
    return text[: block.start(1)] + changed + text[block.end(1) :]


def _break_sql(rng: Random, text: str) -> str:
    kinds = [
        (r"= '\w+'", "= 'tractor'"),
        (r"MAX|MIN|SUM|COUNT", "AVG"),
        (r"= \d+", "= 1234"),
        (r"> \d+", "> 1234"),
        (r"VALUES \('\w+'", "VALUES ('tractor'"),
        (r"FROM \w+", "FROM tractor"),
        ("Operation", "Answer"),
        ("sql", ""),
    ]
    usable = [(old, new) for old, new in kinds if re.search(old, text)]
    old, new = rng.choice(usable)
    return re.sub(old, new, text, count=1)


def _break_shell(rng: Random, text: str) -> str:
    block = re.search(r"```bash\n(.+)\n```", text)
    assert block is not None
    words = list(re.finditer(r"[a-z]+|\d+", block.group(1)))
    word = rng.choice(words)
    start = block.start(1) + word.start()
    return text[:start] + "tractor" + text[start + len(word.group()) :]


CORRUPTIONS: dict[str, tuple[Callable[[Random, str], str], ...]] = {
    **{f.name: (_change_number,) for f in (*calculation.FAMILIES, *word_problems.FAMILIES, *number_lists.FAMILIES)},
    "order_numbers": (_change_number, _swap_items),
    "sort_words": (_swap_items,),
    "reverse_list": (_swap_items,),
    "longest_word": (_change_counts_or_result,),
    "replace_word": (_change_quoted_word,),
    "capitals": (_change_quoted_word,),
    "extract": (_change_quoted_word,),
    "code_function": (_break_code,),
    "code_explain": (_change_number, _change_result),
    "db_agent": (_break_sql,),
    "os_agent": (_break_shell,),
}


@each_family
@pytest.mark.parametrize("split", ["train", "eval"])
def test_own_tasks_read_back_and_are_right(family: Family, split: str) -> None:
    rng = Random(1)
    for _ in range(DRAWS if split == "train" else DRAWS // 4):
        task = family.draw(rng, split)  # type: ignore[arg-type]
        parsed = family.parse(task.instruction)
        assert parsed is not None, task.instruction
        assert family.fault(parsed[0], task.response) is None, task
        assert family.key(*parsed) == task.key
        assert 20 <= len(task.response.split()) <= 60, task.response
        assert not any(other.parse(task.instruction) for other in FAMILIES if other is not family)


@each_family
@pytest.mark.parametrize("empty", ["", "I do not know.", "Sure, here you are:"])
def test_answers_without_content_are_faulted(family: Family, empty: str) -> None:
    task = family.draw(Random(2), "train")
    assert family.fault(family.parse(task.instruction)[0], empty)  # type: ignore[index]


@each_family
def test_corrupted_answers_are_faulted(family: Family) -> None:
    rng, changed, missed = Random(3), 0, []
    while changed < DRAWS // 2:
        task = family.draw(rng, "train")
        corrupt = rng.choice(CORRUPTIONS[family.name])
        try:
            wrong = corrupt(rng, task.response)
        except IndexError:  # nothing of this sort in this wording
            continue
        changed += wrong != task.response
        if wrong != task.response and family.fault(family.parse(task.instruction)[0], wrong) is None:  # type: ignore[index]
            missed.append((undress(task.instruction), wrong))
    assert len(missed) <= 0.05 * changed, missed[:3]


@each_family
def test_another_tasks_answer_is_faulted(family: Family) -> None:
    rng = Random(4)
    tasks = [family.draw(rng, "train") for _ in range(60)]
    slots = [family.parse(t.instruction)[0] for t in tasks]  # type: ignore[index]
    missed = sum(family.fault(s, t.response) is None for s, t in zip(slots, tasks[1:], strict=False))
    assert missed <= 3


@each_family
def test_worksheets_hold_no_request(family: Family) -> None:
    rng = Random(5)
    literals = [p.strip() for t in family.templates for p in re.split(r"\{\w+\}", t) if len(p.split()) >= 3]
    for _ in range(DRAWS // 4):
        task = family.draw(rng, "train")
        given = task.worksheet.removesuffix(task.response)
        assert task.worksheet.endswith(task.response)
        assert undress(task.instruction) not in task.worksheet
        assert not any(literal in given for literal in literals)
        assert "?" not in given and "<" not in given.replace(" < ", "")


@each_family
def test_wordings_vary(family: Family) -> None:
    assert len(family.templates) >= 5
    slots, rng = family.fill(Random(6)), Random(7)
    assert len({family.answer(rng, slots) for _ in range(60)}) >= 4


def test_instructions_are_seldom_near_duplicates() -> None:
    rng, seen, near = Random(8), list[set[str]](), 0
    for _ in range(1_500):
        words = set(re.findall(r"\w+", rng.choice(FAMILIES).draw(rng, "train").instruction.lower()))
        near += any(len(words & other) >= 0.8 * len(words | other) for other in seen)
        seen.append(words)
    assert near < 0.05 * len(seen)


def test_code_that_only_pretends_to_explain_is_what_python_prints(capsys: pytest.CaptureFixture[str]) -> None:
    rng, family = Random(9), explain_code.CodeExplain()
    for _ in range(100):
        slots = family.fill(rng)
        exec(slots["code"], {})  # written by the family itself, not by a model
        printed = capsys.readouterr().out.strip()
        assert family.answer(rng, slots).rstrip(".").endswith(f"`{printed}`")


def test_functions_written_in_another_way_are_accepted() -> None:
    family = write_function.CodeFunction()
    slots = {"function": "add_net", "goal": "adds 7 to a number"}
    body = "def add_net(a):\n    b = 7\n    b += a\n    if b > 3:\n        return b\n    return a + 7"
    assert family.fault(slots, f"```python\n{body}\n```") is None


@pytest.mark.parametrize(
    "body",
    [
        "return open('/etc/passwd')",
        "return __import__('os')",
        "return x.__class__",
        "return x.format(1)",
        "return 9 ** 9 ** 9",
        "return [0] * 10 ** 9",
        "y = 'a'\n    for i in [1] * 50:\n        y += y\n    return y",
        "while True: pass",
        "y = [x] * 900\n    y = [y] * 900\n    y = [y] * 900\n    return str(y)",
        "return f'{x}'",
        "return lambda: x",
        "return " + "(" * 300 + "x" + ")" * 300,
    ],
)
def test_unknown_code_is_refused(body: str) -> None:
    with pytest.raises(ProgramError):
        call(f"def f(x):\n    {body}", "f", (3,))


@pytest.mark.parametrize(
    "sql",
    [
        "ATTACH DATABASE '/tmp/x.db' AS y",
        "DROP TABLE shop",
        "SELECT load_extension('x')",
        "PRAGMA writable_schema = 1",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT MAX(n) FROM t",
        "SELECT randomblob(1000000000)",
    ],
)
def test_unwanted_sql_has_no_effect(sql: str) -> None:
    assert sql_agent.effect("shop", ("name", "color", "price"), (("net", "red", "3"),), sql) is None


def test_sql_in_other_words_is_accepted() -> None:
    slots = {"table": "shop", "columns": "name, color, price", "rows": "net, red, 3\nbag, blue, 5"}
    slots["goal"] = "What is the largest price?"
    reply = "I sort.\n\nAction: Operation\n```sql\nSELECT price FROM shop ORDER BY price DESC LIMIT 1;\n```"
    assert sql_agent.DatabaseAgent().fault(slots, reply) is None


def test_word_lists_hold_no_duplicates() -> None:
    for words in (vocabulary.NOUNS, vocabulary.ADJECTIVES, vocabulary.VERBS, vocabulary.NAMES, vocabulary.ANIMALS):
        assert len(set(words)) == len(words)
