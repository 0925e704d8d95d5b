"""DBBench: questions about a table, and changes of one, by SQL; AgentBench's text protocol, version 0.2.

May import what `agent_bench` may. Start with `tasks`, then `conversation`; `environment` says what a database does for
it, `embedded` (SQLite, with `dialect`) and `server` (MySQL or MariaDB) are the two that there are.
"""
