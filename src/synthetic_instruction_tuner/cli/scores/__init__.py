"""``sit score``, and what ``sit compare`` shows of several runs or files of answers.

May import what the package ``cli`` may. Start with `score`, the verb.
"""
