"""A computer of its own for each task: its files are thrown away, and nothing of it reaches the host.

May import what `agent_bench` may. Start with `choosing`, which finds what this machine has, then `machine`, which
speaks to one sandbox. Some modules run without this package, as `carried` says: `supervisor` inside, as the first
process, with `shell_output`; `namespaces` goes in from outside, with `host_files`. `root_files` says what a disk holds,
`users` who its users are on the host, `limits` how much a task may use; `control_groups`, `bubblewrap` and `containers`
speak to what has these names.
"""
