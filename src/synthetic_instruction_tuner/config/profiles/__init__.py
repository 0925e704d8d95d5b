"""Named configurations, one YAML file each, for ``sit run --profile NAME``.

Imports nothing. Start with ``nano.yaml``; a file holds what differs from the defaults in `config.sections`.
"""
