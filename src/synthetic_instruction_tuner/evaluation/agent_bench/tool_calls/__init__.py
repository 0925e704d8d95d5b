"""What conversations by calls of tools share: how a turn's calls are done, and AgentBench's tools.

May import what `agent_bench` may. Start with `conversation`; what the tools do is in the folders of the benchmarks.
"""
