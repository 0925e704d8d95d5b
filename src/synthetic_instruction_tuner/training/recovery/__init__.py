"""How a training goes on by itself: after running out of memory, after diverging, and when it is asked to stop.

It imports models, config, and of training what belongs to files. Start reading in `loop`; `events` says what is kept of
what happened, `trouble` what counts as trouble, and `stopping` what a signal does.
"""
