"""First truth: what the default rules say about pinned packages, every finding read and labelled.

`python -m tests.lint.corpora` downloads the packages, lints them and compares with `expected.tsv`. It needs the package
index and minutes, so it is run by hand.
"""
