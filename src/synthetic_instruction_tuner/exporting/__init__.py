"""Export: a trained student as an ordinary model that other programs run, without this one.

May import config, records, errors, data_files, models and chat; importing it loads neither torch nor transformers.
Start with `export`, whose docstring has a complete example; then `soft_tokens`, which makes a soft prompt a part of the
vocabulary. `llama_cpp` writes GGUF files and what Ollama needs beside them.
"""

from typing import TYPE_CHECKING

from synthetic_instruction_tuner.lazy_names import lazy_names

if TYPE_CHECKING:
    from synthetic_instruction_tuner.exporting.export import Export, Exported

__all__ = ["Export", "Exported"]

__getattr__ = lazy_names(__name__, {"Export": "export", "Exported": "export"})
