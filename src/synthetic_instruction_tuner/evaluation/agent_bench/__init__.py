"""AgentBench: a model works on a task turn by turn, in an environment that answers.

May import config, records, errors, data_files, engines and chat. Start with `dialogue` (what a task's conversation is),
then `rounds`, which brings many conversations forward at once; `db` holds the database tasks, `operating_system` those
in a shell, `bfcl` those of one turn. `tool_conversation` is what conversations by calls of tools share.
"""
