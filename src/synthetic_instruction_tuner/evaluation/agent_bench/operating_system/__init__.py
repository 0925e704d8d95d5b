"""OS interaction: questions about a Linux machine, and work on it, by its shell; AgentBench's text protocol, 0.2.

May import what `agent_bench` may. Start with `tasks`, then `conversation`; `actions` reads what the agent says,
`scoring` judges what it has answered and done. The machine is one of `agent_bench.sandbox`.
"""
