"""Engines: what runs a model, token ids in and out, on transformers, vLLM or a server.

Imports models, chat, config, records and errors; torch and vLLM only when a model is opened.
Start with `base` (the interface), then `opening` (`open_engine`) and `choice` (`choose_engine`). An engine is one
module, as `vllm`, or a package, as `transformers` and `server`.
"""

from synthetic_instruction_tuner.engines.base import Capabilities, Completion, Engine, Request
from synthetic_instruction_tuner.engines.choice import EngineChoice, choose_engine
from synthetic_instruction_tuner.engines.opening import open_engine

__all__ = ["Capabilities", "Completion", "Engine", "EngineChoice", "Request", "choose_engine", "open_engine"]
