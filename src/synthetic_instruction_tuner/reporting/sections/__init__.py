"""The report's sections: what they say that is computed from the numbers, sentence by sentence.

May import what `reporting` may. Start with `findings`, from which `first_screen` and `discussion` are derived. Together
with ``templates/`` these modules hold every sentence of the report and of the slides.
"""
