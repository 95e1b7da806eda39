"""A kernel in C++, built here: its right backward is GOOD, its wrong one is found."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
import torch
from torch import Tensor

from pytest_gradcheck import Verdict, check_gradients

SOURCE = """
torch::Tensor swish_forward(const torch::Tensor& x) { return x * torch::sigmoid(x); }

torch::Tensor swish_backward(const torch::Tensor& g, const torch::Tensor& x) {
  auto found = torch::empty_like(x);
  auto slopes = found.accessor<double, 1>();
  auto values = x.accessor<double, 1>();
  auto incoming = g.accessor<double, 1>();
  for (int64_t i = 0; i < x.size(0); ++i) {
    const double s = 1 / (1 + std::exp(-values[i]));
    slopes[i] = incoming[i] * (s + values[i] * s * (1 - s));
  }
  return found;
}

torch::Tensor lost_tail(const torch::Tensor& g, const torch::Tensor& x) {
  auto found = swish_backward(g, x);
  const int64_t tile = 8;
  for (int64_t i = x.size(0) / tile * tile; i < x.size(0); ++i) found.accessor<double, 1>()[i] = 0;
  return found;
}
"""


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The built extension."""
    if shutil.which("ninja") is None:
        pytest.skip("building a C++ extension needs ninja")
    if not any(map(shutil.which, ("c++", "g++", "clang++"))):
        pytest.skip("building a C++ extension needs a C++ compiler")
    from torch.utils.cpp_extension import load_inline

    return load_inline(  # type: ignore[no-untyped-call]
        "gradcheck_kernels",
        SOURCE,
        functions=["swish_forward", "swish_backward", "lost_tail"],
        build_directory=str(tmp_path_factory.mktemp("kernels")),
        extra_cflags=["-O0"],
    )


def _function(kernels: Any, backward: str) -> Any:
    class Kernel(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Any:
            ctx.save_for_backward(x)
            return kernels.swish_forward(x)

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx: Any, *grad: Any) -> Any:
            return getattr(kernels, backward)(grad[0], *ctx.saved_tensors)

    return Kernel


def test_a_right_kernel_is_good(kernels: Any) -> None:
    report = check_gradients(_function(kernels, "swish_backward"), torch.randn(19))
    assert report.verdict is Verdict.GOOD, str(report)
    assert report.dtype == "float64"


def test_a_kernel_that_loses_its_last_tile_is_found(kernels: Any) -> None:
    report = check_gradients(_function(kernels, "lost_tail"), torch.randn(23), checks=["vjp"])
    assert report.verdict is Verdict.WRONG
    said = (
        "wrong only from index 16 of axis 0 on, to its end at 22; is 23 no multiple of the block size, 16 or a divisor"
    )
    assert said in str(report)
    assert "there autograd is zero" in str(report)
