"""Data for smoke runs: Fashion-MNIST from its IDX files, or a drawn stand-in that says so."""

from pytest_gradcheck.data.loader import CLASSES, FashionMnist, fashion_mnist
from pytest_gradcheck.data.idx import read_idx

__all__ = ["CLASSES", "FashionMnist", "fashion_mnist", "read_idx"]
