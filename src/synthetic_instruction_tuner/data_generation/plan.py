"""Which domain and topic a record has, and the seeds of its texts: functions of settings, seed and its number.

With a goal the domains follow from what has passed before instead; a record's place says which they are.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from synthetic_instruction_tuner.config import GenerateConfig
from synthetic_instruction_tuner.data_generation.quotas import apportion, interleave

_GOLDEN = 0.6180339887498949  # its multiples spread evenly


class Place(NamedTuple):
    """A record's domain, None for the model's own mix, and how many records of that domain stand before it."""

    domain: str | None
    rank: int


def places(domains: Iterable[str | None], before: Mapping[str | None, int] | None = None) -> list[Place]:
    """Returns the places of records in a row; `before` says how many of each domain stand before the first."""
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


def derived_seed(seed: int, number: int, step: str) -> int:
    """Returns the 63-bit seed of one text: a hash of the run's seed, the record's number and the step's name."""
    digest = hashlib.blake2b(f"{seed}:{number}:{step}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
