"""Publishing: staged folders as repositories of the Hugging Face Hub, compared before and uploaded once.

May import errors and the rest of what all speak of; importing it loads no client of the Hub. It knows nothing of runs:
`run.publishing` stages what a run has made. Start reading in `upload`; `comparison` decides what is uploaded, `answers`
says what the Hub's errors mean, and `private_words` keeps this machine's names out of it all.
"""
