"""The quick rows of the acceptance table on the real images; `python -m tests.training.acceptance` has them all."""

from __future__ import annotations

import pytest

from pytest_gradcheck.data.loader import fashion_mnist
from tests.training.acceptance import ROWS, Row, outcome, run_of

QUICK = [row for row in ROWS if row.quick]


@pytest.mark.parametrize("row", QUICK, ids=[row.name for row in QUICK])
def test_quick_rows_are_in_their_band(row: Row) -> None:
    if not fashion_mnist().real:
        pytest.skip("Fashion-MNIST's own files are needed: set FASHION_MNIST_ROOT")
    run = run_of(row, row.seeds[0])
    assert row.good is not None
    assert row.good(run), f"expected {row.expected}: {outcome(run)}"
