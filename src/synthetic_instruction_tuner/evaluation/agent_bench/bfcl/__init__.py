"""BFCL, the Berkeley Function-Calling Leaderboard: its single-turn categories, from local files, without environment.

May import what `agent_bench` may. Start with `tasks`, then `conversation`; `matching` says whether calls are right.
"""
