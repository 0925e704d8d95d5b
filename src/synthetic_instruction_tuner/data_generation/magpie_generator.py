"""Magpie: an aligned chat model, shown only the start of a user's turn, writes an instruction; then it answers it.

Source: Xu et al., "Magpie: Alignment Data Synthesis from Scratch by Prompting Aligned LLMs with Nothing", 2024.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from synthetic_instruction_tuner.engines.base import Completion, Done, Engine, Request
from synthetic_instruction_tuner.records import Record
from synthetic_instruction_tuner.settings import GenerateConfig, SamplingConfig

if TYPE_CHECKING:
    from synthetic_instruction_tuner.chat.template import ChatTemplate


class MagpieGenerator:
    """Writes instruction-response records. Record number n depends on the seed, n and the model, on nothing else.

    Args:
        config: how many, how sampled, which domains.
        template: the generator's chat template.
        engine: runs the generator.
        seed: the run's seed.
        model_name: goes into the records' provenance.
    """

    def __init__(
        self, config: GenerateConfig, template: ChatTemplate, engine: Engine, *, seed: int, model_name: str = ""
    ) -> None:
        self.config, self.template, self.engine = config, template, engine
        self.seed, self.model_name = seed, model_name

    def batches(self, count: int) -> list[range]:
        """Returns the record numbers of each batch: fixed ranges, so that a resumed run makes the same ones."""
        size = self.config.batch
        return [range(start, min(start + size, count)) for start in range(0, count, size)]

    def generate(self, numbers: Sequence[int], done: Done | None = None) -> list[Record]:
        """Returns the records with these numbers, in order.

        Empty and cut-off texts are kept as they are, with their finish reasons in the provenance: the filter judges. A
        record without an instruction gets no response. `done` counts two texts per record.
        """
        domains = [self.domain(n) for n in numbers]
        systems = [self.config.domains[d].system if d else None for d in domains]
        asked = self.engine.generate(
            [
                self._request(self.template.pre_query_ids(system), self.config.instruction, n, "instruction")
                for n, system in zip(numbers, systems, strict=True)
            ],
            done,
        )
        instructions = [self._instruction(completion) for completion in asked]
        drafts = [
            Record(
                id=f"raw-{n:06d}",
                instruction=text,
                system=system,
                domain=domain,
                provenance=self._provenance(reason),
            )
            for n, (text, reason), system, domain in zip(numbers, instructions, systems, domains, strict=True)
        ]
        return self._answer(numbers, drafts, done)

    def domain(self, number: int) -> str | None:
        """Returns the domain of a record, None for the model's own mix: a hash of seed and number decides."""
        if not self.config.domains:
            return None
        domains = self.config.domains.items()
        shares = [*((name, d.share) for name, d in domains), (None, self.config.undirected_share)]
        point = derived_seed(self.seed, number, "domain") / 2**63 * sum(share for _, share in shares)
        for name, share in shares:
            if point < share:
                return name
            point -= share
        return shares[0][0]

    def _answer(self, numbers: Sequence[int], drafts: list[Record], done: Done | None) -> list[Record]:
        wanted = [(n, record) for n, record in zip(numbers, drafts, strict=True) if record.instruction]
        requests = [
            self._request(self.template.prompt_ids(record.prompt_messages()), self.config.response, n, "response")
            for n, record in wanted
        ]
        if done is not None and len(wanted) < len(drafts):
            done(len(drafts) - len(wanted))
        written = zip(wanted, self.engine.generate(requests, done) if requests else [], strict=True)
        answers = {record.id: completion for (_, record), completion in written}
        return [_with_response(record, answers.get(record.id), self.template) for record in drafts]

    def _provenance(self, instruction_finish: str) -> dict[str, str | int | None]:
        return {
            "model": self.model_name,
            "instruction_finish": instruction_finish,
            "response_finish": None,
            "seed": self.seed,
        }

    def _instruction(self, completion: Completion) -> tuple[str, str]:
        text, reason = self.template.decode(completion.token_ids), str(completion.finish_reason)
        if self.template.cut_text:
            text, found, _ = text.partition(self.template.cut_text)
            text, reason = text.strip(), "stop" if found else reason
        return text, reason

    def _request(self, prompt: Sequence[int], sampling: SamplingConfig, number: int, step: str) -> Request:
        return Request(
            prompt_ids=tuple(prompt),
            seed=derived_seed(self.seed, number, step),
            max_new_tokens=sampling.max_new_tokens,
            stop_ids=self.template.stop_ids,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
        )


def derived_seed(seed: int, number: int, step: str) -> int:
    """Returns the 63-bit seed of one text: a hash of the run's seed, the record's number and the step's name."""
    digest = hashlib.blake2b(f"{seed}:{number}:{step}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _with_response(record: Record, completion: Completion | None, template: ChatTemplate) -> Record:
    if completion is None:
        return record
    provenance = record.provenance | {"response_finish": completion.finish_reason}
    return Record.from_json(
        record.to_json() | {"response": template.decode(completion.token_ids), "provenance": provenance}
    )
