"""What each record is asked for: its domain, topic, system prompt and seeds, and the domains' exact quotas.

All are functions of the settings, the run's seed and the record's number. With a target, a record's domain depends on
which records before it passed the filter; its `Place` then comes from the `Target`.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import floor
from typing import Any, NamedTuple, TypeVar

from synthetic_instruction_tuner.config import GenerateConfig
from synthetic_instruction_tuner.config.languages import language_name

Name = TypeVar("Name")
_GOLDEN = 0.6180339887498949  # its multiples spread evenly


class Place(NamedTuple):
    """A record's domain, None for the model's own mix, and how many records of that domain come before it."""

    domain: str | None
    rank: int


def places(domains: Iterable[str | None], before: Mapping[str | None, int] | None = None) -> list[Place]:
    """Returns the places of records in a row; `before` says how many of each domain come before the first."""
    counts = Counter(before or {})
    found = []
    for domain in domains:
        found.append(Place(domain, counts[domain]))
        counts[domain] += 1
    return found


class Plan:
    """Domains and topics by record number.

    Args:
        config: domains with their shares, topics, and how many records there are.
        seed: the run's seed.
    """

    def __init__(self, config: GenerateConfig, seed: int) -> None:
        self.config, self.seed = config, seed
        self._shares = domain_shares(config)
        self._places = places(interleave(apportion(config.count, self._shares)) if config.domains else [])
        self._topic_block: tuple[tuple[Any, ...], list[str]] = ((), [])

    def place(self, number: int) -> Place:
        """Returns the place of a record.

        Among the first `count` records each domain has exactly its share (largest remainder), evenly spread; later
        ones go on in the same proportions.
        """
        if not self.config.domains:
            return Place(None, number)
        if number >= len(self._places):
            more = range(len(self._places), max(number + 1, 2 * len(self._places)))
            self._places += places(map(self._later, more), Counter(place.domain for place in self._places))
        return self._places[number]

    def topic(self, number: int, place: Place) -> str | None:
        """Returns the seed topic of a record, or None: all topics in turn, in an order of their own each time.

        Topics of a domain's own take turns among its records, the others among all.
        """
        own = self.config.domains[place.domain].topics if place.domain else ()
        turn = place.rank if own else number
        topics = own or self.config.topics
        if not topics:
            return None
        key = (topics, turn // len(topics))
        if self._topic_block[0] != key:
            order = list(topics)
            random.Random(derived_seed(self.seed, key[1], "topics")).shuffle(order)
            self._topic_block = (key, order)
        return self._topic_block[1][turn % len(topics)]

    def _later(self, number: int) -> str | None:
        point = (number * _GOLDEN % 1) * sum(self._shares.values())
        for name, share in self._shares.items():
            if point < share:
                return name
            point -= share
        return next(iter(self._shares))


def domain_shares(config: GenerateConfig) -> dict[str | None, float]:
    """Returns the relative share of each domain, and under None that of the model's own mix."""
    if not config.domains:
        return {None: 1.0}
    shares: dict[str | None, float] = {name: domain.share for name, domain in config.domains.items()}
    return shares | ({None: config.undirected_share} if config.undirected_share else {})


def system_prompt(domain: str | None, topic: str | None, language: str) -> str | None:
    """Returns the system prompt that steers towards a domain (its own prompt), a topic and a language, or None.

    A wish about the user's message is worded as a description of the user, because the prompt is the assistant's.
    """
    parts = [domain.strip()] if domain and domain.strip() else []
    if topic:
        parts.append(f"The user's message is about this topic: {topic.strip()}.")
    if language:
        name = language_name(language)
        parts.append(f"The user writes in {name}, and the assistant answers in {name}.")
    return " ".join(parts) or None


def batches(config: GenerateConfig) -> list[range]:
    """Returns the record numbers of each batch: fixed ranges, so that a resumed run makes the same ones."""
    return [range(start, min(start + config.batch, config.count)) for start in range(0, config.count, config.batch)]


def derived_seed(seed: int, number: int, step: str) -> int:
    """Returns the 63-bit seed of one text: a hash of the run's seed, the record's number and the step's name."""
    digest = hashlib.blake2b(f"{seed}:{number}:{step}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def apportion(total: int, shares: Mapping[Name, float]) -> dict[Name, int]:
    """Returns whole numbers that add up to the total, in proportion to the shares.

    By largest remainder (Hamilton's method): everyone gets the whole part of the exact quota; what is left goes one by
    one to the largest remainders, of equal ones to the first. No number is off its quota by one or more. Exact
    arithmetic on the shares' decimals, so that 0.1 and 0.2 tie where one expects them to.
    """
    exact = {name: Fraction(repr(float(share))) for name, share in shares.items()}
    whole = sum(exact.values())
    if total <= 0 or whole <= 0:
        return dict.fromkeys(shares, 0)
    quotas = {name: total * share / whole for name, share in exact.items()}
    counts = {name: floor(quota) for name, quota in quotas.items()}
    order = {name: place for place, name in enumerate(counts)}
    left = sorted(counts, key=lambda name: (counts[name] - quotas[name], order[name]))
    for name in left[: total - sum(counts.values())]:
        counts[name] += 1
    return counts


def interleave(counts: Mapping[Name, int]) -> list[Name]:
    """Returns every name as often as its count says, each spread evenly over the whole list."""
    places = [
        ((2 * i + 1) / (2 * count), order, name)
        for order, (name, count) in enumerate(counts.items())
        for i in range(count)
    ]
    places.sort(key=lambda place: place[:2])
    return [name for *_, name in places]
