"""Runs every stage as on a GPU of compute capability 7.5 and watches the type of every tensor.

    python benchmarks/t4_rules.py FOLDER [--tiny] [--limit 24] [--four-bit] [--set KEY=VALUE ...]

The rules of such a card (a T4): no bfloat16 tensor and no bfloat16 autocast, no FlashAttention, trained weights and the
optimizer's state in float32, gradients from a scaled loss, and attention that does not hold a matrix of all scores.
torch is asked about every operation, so what the libraries do inside is seen too. On a newer GPU its capability is
replaced and what a T4 lacks is turned off; on a CPU the arithmetic is float16 all the same. The models have random
weights, in the shapes of `real_shapes.py`; `--tiny` shrinks them. It ends with 1 and the offending operations if a rule
is broken.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CAPABILITY = (7, 5)
FLASH = "flash_attention"
CPU_KERNEL = "_for_cpu"  # torch's attention kernel of that name on a CPU is another one


@dataclass
class Seen:
    """What was seen: operations by type, what broke a rule, and how often the optimizer stepped on scaled gradients."""

    types: Counter[torch.dtype] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    attention: Counter[str] = field(default_factory=Counter)
    loading: bool = False
    steps: int = 0
    unscaled: int = 0

    def report(self) -> str:
        types = ", ".join(f"{str(kind).removeprefix('torch.')} {count:,}" for kind, count in self.types.most_common())
        lines = [f"tensors by type: {types}", f"attention: {dict(self.attention)}"]
        lines.append(f"optimizer steps: {self.steps:,}, of scaled losses: {self.unscaled:,}")
        return "\n".join([*lines, *(f"BROKEN, {count:,} times: {what}" for what, count in self.broken.most_common())])


class Watcher(TorchDispatchMode):
    """Counts the types of what goes into every operation and comes out, and notes bfloat16 and FlashAttention."""

    def __init__(self, seen: Seen) -> None:
        super().__init__()
        self.seen = seen

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result, name = operation(*args, **(kwargs or {})), str(operation)
        leaves = tree_leaves((args, kwargs, result))
        found = [x for x in leaves if isinstance(x, torch.Tensor) and x.device.type != "meta"]  # those hold nothing
        self.seen.types.update({tensor.dtype for tensor in found})
        if "attention" in name and "backward" not in name:
            self.seen.attention[name.split(".")[1]] += 1
        if FLASH in name and CPU_KERNEL not in name:
            self.seen.broken[name] += 1
        if any(tensor.dtype == torch.bfloat16 for tensor in found) and not self.seen.loading:
            self.seen.broken[f"{name} on bfloat16"] += 1
        return result


@contextmanager
def watched() -> Iterator[Seen]:
    """Watches all operations and all optimizer steps within the block."""
    from synthetic_instruction_tuner.models import loading

    seen = Seen()
    unscale, autocast = torch.amp.GradScaler.unscale_, torch.autocast.__init__

    def unscaled(self: Any, optimizer: Any) -> None:
        seen.unscaled += 1
        unscale(self, optimizer)

    def opened(self: Any, *args: Any, **kwargs: Any) -> None:
        autocast(self, *args, **kwargs)
        if self.fast_dtype == torch.bfloat16 and self._enabled:
            seen.broken["autocast to bfloat16"] += 1

    def stepped(optimizer: torch.optim.Optimizer, *_: object) -> None:
        seen.steps += 1
        for group in optimizer.param_groups:
            for weight in group["params"]:
                state = [x for x in optimizer.state[weight].values() if isinstance(x, torch.Tensor)]
                for tensor in (weight, *([weight.grad] if weight.grad is not None else ()), *state):
                    if tensor.dtype != torch.float32:
                        seen.broken[f"a trained weight, its gradient or its optimizer state in {tensor.dtype}"] += 1

    load = loading._loaded

    def loaded(*args: Any, **kwargs: Any) -> Any:  # most files hold bfloat16, which is turned into another type
        seen.loading = True
        try:
            model = load(*args, **kwargs)
        finally:
            seen.loading = False
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if tensor.dtype == torch.bfloat16 and tensor.device.type != "meta":
                seen.broken[f"the loaded {name} is bfloat16"] += 1
        return model

    handle = register_optimizer_step_post_hook(stepped)
    patches = (
        mock.patch.object(torch.amp.GradScaler, "unscale_", unscaled),
        mock.patch.object(torch.autocast, "__init__", opened),
        mock.patch.object(loading, "_loaded", loaded),
    )
    try:
        with patches[0], patches[1], patches[2], Watcher(seen):
            yield seen
    finally:
        handle.remove()


@contextmanager
def like_a_t4() -> Iterator[None]:
    """Within the block this machine's GPU, or its CPU, is taken for one of compute capability 7.5."""
    import accelerate

    from synthetic_instruction_tuner.models import hardware

    detect, begin = hardware.detect, accelerate.Accelerator.__init__

    def detected(wanted: str = "auto") -> hardware.Hardware:
        found = detect(wanted)
        return replace(found, capability=CAPABILITY, gpu_memory_gb=found.gpu_memory_gb or 15.6)

    def begun(self: Any, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        if self.device.type == "cpu" and self.state.mixed_precision == "fp16":  # accelerate scales on GPUs alone
            self.native_amp, self.scaler = True, torch.amp.GradScaler("cpu")

    users = [module for name, module in sys.modules.items() if name.startswith("synthetic_instruction_tuner")]
    patches = [mock.patch.object(m, "detect", detected) for m in users if getattr(m, "detect", None) is detect]
    patches.append(mock.patch.object(accelerate.Accelerator, "__init__", begun))
    flash, cudnn = torch.backends.cuda.flash_sdp_enabled(), torch.backends.cuda.cudnn_sdp_enabled()
    torch.backends.cuda.enable_flash_sdp(False)
    torch.backends.cuda.enable_cudnn_sdp(False)
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in patches:
            patch.stop()
        torch.backends.cuda.enable_flash_sdp(flash)
        torch.backends.cuda.enable_cudnn_sdp(cudnn)


def watched_run(*arguments: str) -> tuple[int, Seen]:
    """Calls ``sit run`` in this process as on a T4; returns its exit code and what was seen."""
    from synthetic_instruction_tuner.cli import app

    for module in ("cli.run", "cli.doctor", "run.stages.filter_inputs", "filtering.rules.tags", "engines.opening"):
        __import__(f"synthetic_instruction_tuner.{module}")
    with like_a_t4(), watched() as seen:
        code = app._exit_code(["run", *arguments])
    return code, seen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tiny", action="store_true", help="small shapes, to try the script on a CPU")
    parser.add_argument("--limit", default="24")
    parser.add_argument("--four-bit", action="store_true", help="hold the generator and the students in 4 bits")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    args = parser.parse_args()
    settings = _settings(args.folder, args.tiny, args.four_bit)
    more = [word for setting in args.settings for word in ("--set", setting)]
    code, seen = watched_run("-c", str(settings), "-d", str(args.folder / "run"), "--limit", args.limit, *more)
    print(seen.report())
    return code or int(bool(seen.broken) or not seen.steps or seen.steps > seen.unscaled)


def _settings(folder: Path, tiny: bool, four_bit: bool) -> Path:
    """Writes the models and the configuration; returns its path."""
    import yaml

    sys.path.insert(0, str(Path(__file__).parent))
    import real_shapes

    file = folder / "config.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    engine = real_shapes.SETTINGS["engine"] | {"kind": "transformers"}  # another process cannot be watched
    config = real_shapes.SETTINGS | {"engine": engine, "models": real_shapes.write_models(folder, tiny)}
    models = config["models"]
    if four_bit:
        held = [models["generator"], *models["students"]]
        packed = [{"path": model, "load_in_4bit": True} for model in held]
        config["models"] = models | {"generator": packed[0], "students": packed[1:]}
    file.write_text(yaml.safe_dump(config))
    return file


if __name__ == "__main__":
    sys.exit(main())
