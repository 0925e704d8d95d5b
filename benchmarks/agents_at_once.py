"""Measures how many dialogues a minute a model plays as an agent: 64 at once, and one after the other.

    python benchmarks/agents_at_once.py [--model nano:student-llama] [--adapter FOLDER] [--tasks 64] [--alone 8]

The dialogues are those of the nano world's database tasks. Every turn has the same number of tokens, whatever the model
says: nothing ends a text early. Prints a table; the exit code is 1 if 64 at once are not 8 times as fast.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.config import EngineConfig, ModelConfig
from synthetic_instruction_tuner.engines.base import Completion, Engine, Request
from synthetic_instruction_tuner.engines.opening import open_engine
from synthetic_instruction_tuner.evaluation.agent_bench.agent.model_agent import ModelAgent
from synthetic_instruction_tuner.evaluation.agent_bench.db.embedded import EmbeddedDatabase
from synthetic_instruction_tuner.evaluation.agent_bench.nano.database import (
    NanoDbConversation,
    NanoDbTask,
    nano_db_tasks,
)
from synthetic_instruction_tuner.evaluation.agent_bench.rounds import play
from synthetic_instruction_tuner.models.hardware import detect

WANTED = 8.0  # times as many dialogues a minute


class FixedLength:
    """An engine whose texts all have the longest length: what is measured does not depend on what a model says."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def generate(self, requests: Sequence[Request], done: Any = None) -> list[Completion]:
        """Returns the completions of requests that nothing ends early."""
        return self._engine.generate([replace(request, stop_ids=()) for request in requests], done)


def measure(agent: ModelAgent, tasks: Sequence[NanoDbTask], at_once: int) -> float:
    """Returns dialogues a minute."""
    start = time.perf_counter()
    ended = 0
    for _, played in play(tasks, lambda task: NanoDbConversation(task, EmbeddedDatabase), agent, at_once=at_once):
        ended += played.outcome is not None
    return 60 * ended / (time.perf_counter() - start)


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="nano:student-llama")
    parser.add_argument("--adapter", type=Path, default=None)
    parser.add_argument("--tasks", type=int, default=64, help="dialogues that are played at once")
    parser.add_argument("--alone", type=int, default=8, help="dialogues that are played one after the other")
    parser.add_argument("--tokens", type=int, default=96, help="tokens of a turn")
    given = parser.parse_args()
    tasks = nano_db_tasks(given.tasks)
    model, engine_settings = ModelConfig(path=given.model), EngineConfig(batch_size=128)
    with open_engine(model, engine_settings, detect(), given.adapter, student=True) as (engine, template):
        agent = ModelAgent(FixedLength(engine), template, given.tokens)  # type: ignore[arg-type]
        measure(agent, tasks[:2], 2)  # the first call compiles and warms up
        alone = measure(agent, tasks[: given.alone], 1)
        together = measure(agent, tasks, given.tasks)
    print(f"{'at once':>10}  {'dialogues':>10}  {'dialogues/min':>14}")
    print(f"{1:>10}  {given.alone:>10}  {alone:>14.1f}")
    print(f"{given.tasks:>10}  {given.tasks:>10}  {together:>14.1f}")
    print(f"{together / alone:.1f} times as many; wanted are {WANTED:.0f}")
    return int(together < WANTED * alone)


if __name__ == "__main__":
    sys.exit(main())
