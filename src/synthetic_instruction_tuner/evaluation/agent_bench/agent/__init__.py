"""A language model that takes the turns of conversations, by text or by calls of tools.

May import what `agent_bench` may. Start with `model_agent`.
"""
