"""A computer of its own for each task: its files are thrown away, and nothing of it reaches the host.

May import what `agent_bench` may. Start with `choosing`, which finds what this machine has, then `machine`, which
speaks to one sandbox. Two modules are programs of their own, with nothing but Python's library: `supervisor` runs
inside as the first process, `namespaces` runs outside and goes in. `root_files` says what a sandbox's disk holds,
`users` who its users are on the host, `limits` how much a task may use; `control_groups`, `bubblewrap` and `containers`
speak to what has these names.
"""
