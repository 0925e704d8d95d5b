"""The server engine: a model on an OpenAI-compatible server (vLLM, llama.cpp, Ollama, transformers serve).

Imports engines.base, chat.template (types), config, records, errors and requests.
Start with `engine` (`ServerEngine`); `probe` finds out which of the `dialects` a server understands.
"""
