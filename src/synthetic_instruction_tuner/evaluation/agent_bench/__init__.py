"""AgentBench: a model works on a task turn by turn, in an environment that answers.

May import config, records, errors, data_files, engines and chat. Start with `task`, `dialogue` (a task's conversation)
and `benchmark` (what is played, in which form, and where); then `agent_benchmarks`, which lists them. `rounds` plays
many conversations at once with an `agent`; `summary` and `results` are the scores. `db`, `operating_system`, `bfcl` and
`nano` hold the benchmarks' tasks and conversations, `tool_calls` what those by calls of tools share.
"""
