"""Near duplicates by word-set Jaccard similarity, found exactly: the filter's last rule, and `sit dedup` on files.

Imports data_files and `filtering.rule`. Start with `rule`, then `keep_first`, which decides, and `index`, which finds;
`postings` and `word_sets` are what `index` is made of. `nearest_neighbors` is a column of the data, not a rule.
"""
