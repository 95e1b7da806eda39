"""Data for smoke runs: Fashion-MNIST from its IDX files, or a drawn stand-in that says so."""
