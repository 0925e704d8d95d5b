"""Direct preference optimization: the SFT adapter is trained further on pairs, close to the policy it starts from.

    metrics = Dpo(config, seed=7).train(model, Path("models/sft/student/final"), pairs, Path("models/dpo/student"))

Rafailov et al. 2023, "Direct Preference Optimization: Your Language Model is Secretly a Reward Model". The reference
is the SFT policy. Its log-probabilities are computed once, before the first step, by the policy itself in the same
batches as in training. No second model is held, and the first loss is exactly ln 2, also in half precision.

With `sft_weight` the chosen answers' own loss is added, per token of each answer (Pang et al. 2024, arXiv:2404.19733),
which keeps them likely while the margin grows. The logged loss stays that of the pairs alone.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import set_seed
from trl import DPOConfig as TrlDpoConfig
from trl import DPOTrainer

from synthetic_instruction_tuner.chat.template import ChatTemplate
from synthetic_instruction_tuner.config import DpoConfig, LoraShape, ModelConfig, fingerprint
from synthetic_instruction_tuner.errors import RunError
from synthetic_instruction_tuner.models.adapters import adapter_digest
from synthetic_instruction_tuner.models.architecture import longest_text
from synthetic_instruction_tuner.models.loading import load_causal_lm, load_tokenizer
from synthetic_instruction_tuner.models.quantization.layers import adapters_in_float32
from synthetic_instruction_tuner.models.running import require_known_tokens, running
from synthetic_instruction_tuner.records import PreferencePair
from synthetic_instruction_tuner.training.exact_resume import ExactResume
from synthetic_instruction_tuner.training.examples import PairExample, dpo_batch, highest_token, tokenize_pairs
from synthetic_instruction_tuner.training.files.sealed_folder import seal
from synthetic_instruction_tuner.training.files.workspace import OnNote, Workspace
from synthetic_instruction_tuner.training.lora_sft import with_lora, with_trained_lora
from synthetic_instruction_tuner.training.metrics import TrainingMetrics
from synthetic_instruction_tuner.training.packed.choice import packed_pass, wanted
from synthetic_instruction_tuner.training.packed.decoder import Decoder
from synthetic_instruction_tuner.training.packed.pairs import PackedPairs
from synthetic_instruction_tuner.training.packed.steps import ARGUMENTS, row_numbers_batch
from synthetic_instruction_tuner.training.recovery.in_portions import in_portions
from synthetic_instruction_tuner.training.run_training import (
    Job,
    collator,
    job_fingerprint,
    one_gpu,
    prepare,
    quiet,
    row_numbers,
    run_training,
    trainer_arguments,
)
from synthetic_instruction_tuner.training.watch import OnStep

LN2_TOLERANCE = 1e-3
SIDES = ("chosen", "rejected")
REFERENCE, LOGPS = "reference", "logps.safetensors"  # a sealed folder beside the checkpoints, and its file


class PreferenceTrainer(ExactResume, DPOTrainer):  # type: ignore[misc]
    """TRL's trainer on batches that are already tokenized and carry the reference's log-probabilities."""

    sft_weight, first_loss = 0.0, math.log(2)
    _pairs_of_step = _micro_batches = 1  # of the step that is being done

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Returns TRL's loss, which is known before the first update (ln 2), plus that of the chosen answers.

        Raises:
            RunError: the first loss is another, so the reference is not the policy that training starts from.
        """
        seen: list[torch.Tensor] = []

        def observed(**arguments: Any) -> Any:
            outputs = model(**arguments)
            seen.append(outputs.log_probs)
            return outputs

        loss = super().compute_loss(observed, inputs, *args, **kwargs)
        if self.state.global_step == 0:
            # In half precision, batches other than the reference pass's are rounded otherwise.
            half = self.recoveries or self.args.bf16 or self.args.fp16
            _check_first_loss(loss.item(), self.first_loss, LN2_TOLERANCE * (20 if half else 1))
        if self.sft_weight:
            of_chosen = _chosen_loss(seen[0], inputs["completion_mask"])
            self._metrics["train"]["preference_loss"].append(loss.item())
            self._metrics["train"]["sft_loss"].append(of_chosen.item())
            loss = loss + self.sft_weight * of_chosen
        return self._share_of_step(loss, len(inputs["ref_chosen_logps"]))

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the micro-batches of the next step, and counts their pairs."""
        batches, items = super().get_batch_samples(*args, **kwargs)
        self._pairs_of_step = sum(len(batch["rows" if "rows" in batch else "ref_chosen_logps"]) for batch in batches)
        self._micro_batches = len(batches)
        return batches, items

    def _share_of_step(self, loss: torch.Tensor, pairs: int) -> torch.Tensor:
        """Returns a mean over some of a step's pairs so that the mean over micro-batches is that over all pairs.

        Only the last step can have micro-batches of unequal sizes. What TRL logs of them is weighted alike.
        """
        if not self.model.training or pairs * self._micro_batches == self._pairs_of_step:
            return loss
        share = pairs * self._micro_batches / self._pairs_of_step
        for name, values in self._metrics["train"].items():
            if name != "num_tokens":
                values[-1] *= share
        return loss * share


class PackedPreferenceTrainer(PackedPairs, PreferenceTrainer):
    """The same on packed pairs."""


class Dpo:
    """Tunes an SFT adapter further on preference pairs; the result is one LoRA adapter on the same base model.

    Without an SFT adapter it tunes a new one: the reference is then the base model.
    """

    method = "dpo"
    report_to: Sequence[str] = ()
    """Trackers that each step is reported to (``train.report_to``)."""

    def __init__(
        self,
        config: DpoConfig,
        seed: int = 0,
        device: str = "cpu",
        dtype: str = "float32",
        lora: LoraShape | None = None,
        packing: str = "auto",
    ) -> None:
        """Keeps the settings; nothing is loaded.

        Args:
            config: the method's settings.
            seed: fixes the order.
            device: ``cpu`` or ``cuda``.
            dtype: the type of the frozen weights, ``float32``, ``float16`` or ``bfloat16``; the adapter is float32.
            lora: the shape of a new adapter, where there is none from SFT.
            packing: whether pairs are packed; see `packed.choice`.
        """
        self.packing = packing
        self.lora = lora or LoraShape()
        self.config, self.seed, self.device, self.dtype = config, seed, device, dtype

    def train(
        self,
        model: ModelConfig,
        sft_adapter: Path | None,
        pairs: Sequence[PreferencePair],
        output: Path,
        on_step: OnStep | None = None,
        on_note: OnNote | None = None,
    ) -> TrainingMetrics:
        """Trains, or resumes training, and returns its metrics; the adapter is then in ``output/final``.

        Called again with the same arguments after a crash, it continues from the last checkpoint and ends with the same
        adapter as without the crash. With other arguments it starts over.

        Args:
            model: the base model.
            sft_adapter: the folder of its LoRA adapter from SFT, which stays as it is; None: a new one is made.
            pairs: what to prefer to what.
            output: the folder for the adapter, the log, the metrics and the order of the data.
            on_step: called after each step.
            on_note: called with what is damaged in the folder and therefore not used.

        Raises:
            UserError: there is nothing to train on, or the adapter is no LoRA.
            RunError: out of GPU memory, the training diverged, or the reference is not the policy.
        """
        tokenizer = load_tokenizer(model)
        longest = longest_text(model, self.config.max_length)
        data = tokenize_pairs(pairs, ChatTemplate.from_tokenizer(tokenizer), longest)
        start = adapter_digest(sft_adapter, model) if sft_adapter else fingerprint(self.lora.key_part())
        packed = wanted(self.packing, self.device)
        place, more = (self.seed, self.device, self.dtype), ("packed",) if packed else ()
        mark = job_fingerprint(self.method, model, self.config, *place, data.rows, start, *more)
        work = Workspace(output, mark, on_note)
        if finished := work.done():
            return finished
        job = Job(self.method, model, self.config, *place, data, work, self.report_to)
        checkpoint = work.open()
        base = load_causal_lm(model, self.dtype, self.device)
        require_known_tokens(model.name, base, highest_token(data.rows))
        with quiet(), running(model.name, "be trained"):
            if sft_adapter:
                policy = with_trained_lora(base, sft_adapter)
                set_seed(self.seed)
            else:
                set_seed(self.seed)
                policy = with_lora(base, self.lora)
        trainer = _trainer(job, policy, tokenizer, packed_pass(job, policy) if packed else None)
        _add_reference(job, trainer)
        return run_training(job, trainer, checkpoint, on_step)


def _trainer(job: Job, policy: PeftModel, tokenizer: Any, decoder: Decoder | None) -> Any:
    config = job.config
    assert isinstance(config, DpoConfig)
    with quiet(), adapters_in_float32(policy.get_base_model()):
        arguments = trainer_arguments(job) | (ARGUMENTS if decoder else {})
        arguments |= {"beta": config.beta, "loss_type": [config.loss], "label_smoothing": config.label_smoothing}
        trainer = (PackedPreferenceTrainer if decoder else PreferenceTrainer)(
            model=policy,
            args=one_gpu(TrlDpoConfig(**arguments, disable_dropout=True)),
            train_dataset=row_numbers(job),
            data_collator=row_numbers_batch if decoder else collator(job.order, dpo_batch),
            processing_class=tokenizer,
        )
    trainer.sft_weight, trainer.first_loss = config.sft_weight, first_loss(config)
    if decoder:
        trainer.pack_with(decoder, job)
    return prepare(job, trainer)


def _chosen_loss(log_probs: torch.Tensor, completion_mask: torch.Tensor) -> torch.Tensor:
    """Returns the chosen answers' loss, in nats per token: the mean over answers, however a step's rows are split.

    Args:
        log_probs: of each next token, 0 where no loss looks, [2 * pairs, length - 1].
        completion_mask: 1 on the answers, [2 * pairs, length]; the chosen ones are the first half.
    """
    chosen, mask = log_probs.chunk(2)[0], completion_mask.chunk(2)[0][:, 1:]
    return -((chosen * mask).sum(1) / mask.sum(1)).mean()


def _add_reference(job: Job, trainer: PreferenceTrainer) -> None:
    """Gives every batch the reference's log-probabilities, and frees TRL's copy of the adapter."""
    folder = job.workspace.checkpoints / REFERENCE
    if not os.path.lexists(folder) or not job.workspace.is_whole(folder):
        folder.mkdir()
        save_file(_reference(job, trainer), str(folder / LOGPS))
        seal(folder, job.workspace.fingerprint)
    table = load_file(str(folder / LOGPS))
    row_of = {pair.id: row for row, pair in enumerate(job.data.rows)}

    def batch(pairs: Sequence[PairExample]) -> dict[str, torch.Tensor]:
        rows = [row_of[pair.id] for pair in pairs]
        return dpo_batch(pairs) | {f"ref_{side}_logps": table[side][rows] for side in table}

    if isinstance(trainer, PackedPreferenceTrainer):
        trainer.reference = {id: tuple(table[side][row].item() for side in SIDES) for id, row in row_of.items()}
    else:
        trainer.data_collator = collator(job.order, batch)
    trainer.precompute_ref_logps = True
    trainer.model.delete_adapter("ref")


def _reference(job: Job, trainer: PreferenceTrainer) -> dict[str, torch.Tensor]:
    """Returns the log-probability of each pair's chosen and rejected answer under the SFT policy, in nats."""
    row_of = {pair.id: row for row, pair in enumerate(job.data.rows)}
    sides = {side: torch.zeros(len(row_of)) for side in SIDES}
    packed = isinstance(trainer, PackedPreferenceTrainer)
    size = job.batch_size if packed else job.config.per_device_train_batch_size
    first = list({pair.id: pair for pair in job.order}.values())  # all pairs that are needed, in the order of training
    trainer.model.eval()

    def look(portion: slice) -> None:
        pairs = first[portion]
        with running(job.model.name, "be trained"):
            if isinstance(trainer, PackedPreferenceTrainer):
                logps = trainer.answer_logps(pairs)
            else:
                inputs = {name: tensor.to(trainer.args.device) for name, tensor in dpo_batch(pairs).items()}
                logps = trainer.compute_ref_log_probs(trainer.model, inputs)
        for side, values in zip(sides.values(), logps, strict=True):
            side[[row_of[pair.id] for pair in pairs]] = values.float().cpu()

    in_portions(job, len(first), size, look)
    return sides


def first_loss(config: DpoConfig) -> float:
    """Returns the loss of a pair for which the policy is its own reference, so that both answers' rewards are 0."""
    match config.loss:
        case "ipo":  # (0 - 1 / (2 beta))^2: Azar et al. 2023, arXiv:2310.12036, equation 17
            return 1 / (4 * config.beta**2)
        case "hinge":  # Zhao et al. 2023, arXiv:2305.10425
            return 1.0
    return math.log(2)


def _check_first_loss(loss: float, wanted: float, tolerance: float) -> None:
    if abs(loss - wanted) > tolerance * max(1.0, wanted):
        known = f"ln 2 = {wanted:.4f}" if wanted == math.log(2) else f"{wanted:.4f}"
        raise RunError(
            "The reference is not the policy.",
            f"The first DPO loss is {loss:.4f}; with the policy as its own reference it is {known}.",
            "Delete the training's folder and run again. If it stays, the model computes differently in training.",
        )
