"""GGUF files, made by llama.cpp's own tools, and the file that Ollama reads beside them.

Imports config, errors, records, data_files and chat. Start reading in `conversation_form`, which finds out how a
template writes a conversation; `modelfile` says it in Ollama's language, and `conversion` calls the tools.
"""
