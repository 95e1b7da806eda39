"""Hypothesis strategies for the inputs of gradient checks: random shapes and values that shrink to small ones.

```python
from hypothesis import given
from pytest_gradcheck import check_gradients, strategies

@given(strategies.tensors(dims=(1, 3)))
def test_swish(x):
    assert check_gradients(Swish, x).passed
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_gradcheck.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from hypothesis.strategies import SearchStrategy

INSTALL = "pip install hypothesis"


def tensors(
    shape: Sequence[int] | None = None,
    *,
    dims: tuple[int, int] = (1, 3),
    sides: tuple[int, int] = (1, 5),
    domain: tuple[float, float] = (-3.0, 3.0),
) -> SearchStrategy[torch.Tensor]:
    """Float64 tensors without NaN or infinity.

    Args:
        shape: Of every tensor; None draws one.
        dims: Least and greatest number of dimensions of a drawn shape.
        sides: Least and greatest size of each dimension of a drawn shape.
        domain: Least and greatest value, both included.

    Returns:
        A strategy. It shrinks towards small shapes and simple numbers, so that kinks and ties are met often.

    Raises:
        UsageProblem: hypothesis, torch or numpy is not installed, or a range is empty.
    """
    for name, (low, high) in (("dims", dims), ("sides", sides), ("domain", domain)):
        if not low <= high:
            raise UsageProblem(f"{name} is {(low, high)}, but its first number must not exceed its second")
    try:
        import torch
        from hypothesis import strategies as st
        from hypothesis.extra import numpy as arrays
    except ModuleNotFoundError as error:
        install = INSTALL if error.name == "hypothesis" else "pip install 'pytest-gradcheck[torch]'"
        raise UsageProblem(f"strategies.tensors needs {error.name}, which is not installed: {install}") from error
    low_dims, high_dims = dims
    low_side, high_side = sides
    shapes: SearchStrategy[tuple[int, ...]] = (
        st.just(tuple(shape))
        if shape is not None
        else arrays.array_shapes(min_dims=low_dims, max_dims=high_dims, min_side=low_side, max_side=high_side)
    )
    values = st.floats(*domain, allow_nan=False, allow_infinity=False, allow_subnormal=False)
    return arrays.arrays("float64", shapes, elements=values).map(torch.tensor)
