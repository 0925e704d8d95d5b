"""Generating until enough pass: what is said of a target that is out of reach."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from synthetic_instruction_tuner.config import FilterConfig, GenerateConfig
from synthetic_instruction_tuner.data_generation.target import Failure, Target
from synthetic_instruction_tuner.records import Record
from synthetic_instruction_tuner.run.stages.batch_filter import BatchFilter

DOMAINS = {name: {"system": f"Ask about {name}."} for name in ("Owls", "rain")}


class Scripted:
    """Decides by the record's response: the name of the rule that it fails; empty: it passes."""

    later = ()

    def failures(self, records: Sequence[Record]) -> list[Failure | None]:
        return [Failure(r.response, f"mend {r.response}") if r.response else None for r in records]


def written(target: Target, outcomes: Sequence[str]) -> None:
    """Lets the target take records with these outcomes in turn, batch by batch, until it ends."""
    while places := target.next_batch():
        start = target.made
        target.take(
            [
                Record(f"r{start + i}", "Why?", outcomes[(start + i) % len(outcomes)], domain=place.domain)
                for i, place in enumerate(places)
            ]
        )


@given(
    count=st.integers(1, 80),
    share=st.floats(0.1, 1),
    outcomes=st.lists(st.sampled_from(["", "language", "length", "refusal"]), min_size=1, max_size=9),
    domains=st.booleans(),
    patience=st.integers(4, 100),
)
def test_all_that_is_said_counts_the_same(
    count: int, share: float, outcomes: list[str], domains: bool, patience: int
) -> None:
    wanted = max(1, round(share * count))
    own = {"domains": DOMAINS, "undirected_share": 0} if domains else {}
    config = GenerateConfig.model_validate(
        {"count": count, "until_kept": wanted, "batch": 8, "patience": patience} | own
    )
    target = Target(config, Scripted())
    written(target, outcomes)
    facts = target.to_json()
    passed = sum(domain["passed"] for domain in facts["domains"].values())
    beyond = sum(domain["beyond"] for domain in facts["domains"].values())
    failed = sum(sum(domain["failures"].values()) for domain in facts["domains"].values())
    assert passed == target.passed <= wanted and passed + beyond + failed == target.made <= count
    assert target.summary().startswith(f"{passed:,} of the {wanted:,} wanted records pass")
    assert (f"{beyond} pass beyond" in target.summary()) == (beyond > 0)
    said = target.explanation()
    assert bool(said) == (passed < wanted) and said.replace("\n", " ").rstrip(".") == facts["explanation"]
    for name, domain in facts["domains"].items():
        if domain["passed"] == domain["quota"]:
            assert f"Domain {name}:" not in said
            continue
        line = next(s for s in said.splitlines()[1:] if not domains or f"Domain {name}:" in s)
        assert all(f"{rule} ({number:,})" in line for rule, number in domain["failures"].items())
        if domain["failures"] and not domain["stopped_early"]:
            most = max(domain["failures"].values())
            assert any(f"What helps for {r}: mend {r}." in said for r, n in domain["failures"].items() if n == most)
    if said:
        assert said.count("What helps") <= len(facts["domains"])
        assert passed or failed == 0 or "raise generate.count" not in said


def test_the_rule_that_stands_in_the_way_is_named_with_advice_that_fits_it() -> None:
    config = GenerateConfig(count=60, until_kept=30, batch=16)
    target = Target(config, BatchFilter(FilterConfig(min_words=5)))
    german = "Das ist eine sehr schöne Frage, und die Antwort darauf hat mit dem Wetter im Winter zu tun, Nummer {}."
    while places := target.next_batch():
        numbers = range(target.made, target.made + len(places))
        short = {n: "No." for n in numbers if n % 15 == 0}
        target.take([Record(f"r{n}", german.format(n), short.get(n, german.format(n))) for n in numbers])
    outcome, obstacle, helps = target.explanation().splitlines()
    assert outcome == "0 of the 30 wanted records pass: generate.count (60) has been reached."
    assert "of 60 written, 60 fail: language (56), length (4)".casefold() in obstacle.casefold()
    assert "generate.language=en" in helps and "filter.language=de" in helps and "min_words" not in helps
    assert "most fail for language (56 of 60)" in target.summary()


def test_a_target_that_is_missed_by_a_little_says_how_many_to_write() -> None:
    target = Target(GenerateConfig(count=40, until_kept=30, batch=8), Scripted())
    written(target, ["", "length"])
    assert "raise generate.count to about 62." in target.explanation()
