"""Right gradients at awkward places: kinks, edges of domains, zero gradients, large values, noise, random layers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pytest_gradcheck import Verdict, check_gradients

NEAR_ZERO = torch.tensor([0.0, 1e-12, -1e-12, 3e-6, -3e-6, 1e-5, 1.0, -1.0], dtype=torch.float64)

CASES: dict[str, tuple[Callable[..., Any], Tensor]] = {
    "relu": (torch.relu, NEAR_ZERO),
    "leaky relu": (F.leaky_relu, NEAR_ZERO),
    "hardtanh": (F.hardtanh, torch.cat([NEAR_ZERO, NEAR_ZERO + 1, NEAR_ZERO - 1])),
    "abs": (torch.abs, NEAR_ZERO),
    "relu net at exact zeros": (
        nn.Sequential(nn.Linear(8, 16, bias=False), nn.ReLU(), nn.Linear(16, 4)),
        torch.zeros(3, 8),
    ),
    "max pool ties": (nn.MaxPool2d(2), torch.ones(1, 2, 4, 4)),
    "max ties": (lambda x: x.max(), torch.ones(5)),
    "sqrt near 0": (torch.sqrt, torch.tensor([0.0, 1e-9, 1e-6, 1.0])),
    "log near 0": (torch.log, torch.tensor([1e-7, 1e-3, 1.0])),
    "norm at 0": (lambda x: x.norm(), torch.zeros(4)),
    "acosh near 1": (torch.acosh, torch.tensor([1 + 1e-6, 2.0], dtype=torch.float64)),
    "softmax with logits of 1e3": (lambda x: torch.softmax(x, -1), 1e3 * torch.randn(3, 5)),
    "logsumexp at 1e8": (lambda x: torch.logsumexp(x, -1), 1e8 + torch.randn(6, dtype=torch.float64)),
    "sin(1e4 x)": (lambda x: torch.sin(1e4 * x), torch.randn(6)),
    "x**3 at 1e5": (lambda x: x**3, torch.tensor([1e5, -2e5])),
    "1e-9 sin(x)": (lambda x: 1e-9 * torch.sin(x), torch.randn(6)),
    "float32 inside": (lambda x: torch.sin(x.float()) * 3, torch.randn(6)),
    "float32 inside, large": (lambda x: torch.sin(x.float()) * 3, torch.randn(40, 40)),
    "nan on both sides": (lambda x: torch.log(x), torch.tensor([-1.0, 2.0])),
    "gradient zero by construction": (lambda x: torch.softmax(x, -1).sum(), torch.randn(5)),
    "many kinks in one direction": (lambda x: (x.relu() - 2 * (-x).relu()).cumsum(0), torch.zeros(400)),
}


@pytest.mark.parametrize("case", CASES)
def test_passes(case: str) -> None:
    torch.manual_seed(0)
    subject, x = CASES[case]
    report = check_gradients(subject, x)
    assert report.passed, str(report)
    assert report.verdict in (Verdict.GOOD, Verdict.INCONCLUSIVE)


@pytest.mark.parametrize("seed", range(25))
def test_relu_networks_with_kinks_near_the_point(seed: int) -> None:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(20, 300), nn.ReLU(), nn.Linear(300, 300), nn.ReLU(), nn.Linear(300, 3))
    report = check_gradients(net, torch.randn(16, 20), seed=seed)
    assert report.verdict is Verdict.GOOD, str(report)


def test_kinks_are_named_and_do_not_hide_a_bug() -> None:
    report = check_gradients(torch.relu, torch.tensor([0.0, 1.0]))
    assert report.verdict is Verdict.GOOD
    assert [(finding.kind, finding.severity) for finding in report.findings] == [("kink", "info")]
    assert "input0[0] is a kink" in report.findings[0].message

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.relu()

        @staticmethod
        def backward(ctx: Any, *grad: Any) -> Any:
            return 1.5 * grad[0]

    wrong = check_gradients(Wrong, torch.zeros(3), order=1)
    assert wrong.verdict is Verdict.WRONG


def test_nan_from_autograd_where_the_function_is_smooth_is_wrong() -> None:
    report = check_gradients(lambda x: torch.where(x > 0, x.sqrt(), 0.0), torch.tensor([-1.0, 2.0]))
    assert report.verdict is Verdict.WRONG
    assert "autograd returned nan or inf in 1 of 2" in str(report)


RANDOM: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "dropout": (nn.Dropout(0.5), (4, 6)),
    "rrelu": (nn.RReLU(), (4, 6)),
    "batchnorm in train mode": (nn.BatchNorm1d(6), (4, 6)),
    "batchnorm in eval mode": (nn.BatchNorm1d(6).eval(), (4, 6)),
    "conv, norm, dropout": (
        nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout2d()),
        (2, 1, 5, 5),
    ),
}


@pytest.mark.parametrize("case", RANDOM)
def test_random_and_normalising_layers_are_checked_not_skipped(case: str) -> None:
    module, shape = RANDOM[case]
    report = check_gradients(module, torch.randn(shape))
    assert report.passed, str(report)
    assert not [finding for finding in report.findings if finding.kind == "non-determinism"]


def test_transformer_in_eval_mode_with_padding_mask() -> None:
    layer = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 1).eval()
    mask = torch.tensor([[False, False, True], [False, False, False]])
    report = check_gradients(layer, torch.randn(2, 3, 8), kwargs={"src_key_padding_mask": mask})
    assert report.passed, str(report)


def test_non_determinism_is_measured_and_widens_the_bars() -> None:
    generator = torch.Generator().manual_seed(0)
    report = check_gradients(lambda x: x * 2 + 1e-9 * torch.randn(3, generator=generator), torch.ones(3))
    assert report.passed, str(report)
    assert "not deterministic" in str(report)


def test_float32_only_subject_is_checked_in_its_own_dtype() -> None:
    def only_float32(x: Tensor) -> Tensor:
        if x.dtype != torch.float32:
            raise RuntimeError("expected Float")
        return torch.sin(x)

    report = check_gradients(only_float32, torch.randn(4))
    assert report.passed
    assert report.dtype == "float32"
    assert "cannot run in float64 (expected Float)" in str(report)


def test_float32_only_subject_with_a_wrong_gradient() -> None:
    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            if x.dtype != torch.float32:
                raise RuntimeError("expected Float")
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx: Any, *grad: Any) -> Any:
            return 3.1 * ctx.saved_tensors[0] ** 2 * grad[0]

    assert check_gradients(Cube, torch.randn(4)).verdict is Verdict.WRONG


def test_an_error_in_a_later_call_is_said_and_no_reason_for_another_dtype() -> None:
    calls: list[int] = []

    def buggy(x: Tensor) -> Tensor:
        calls.append(1)
        if len(calls) == 6:
            raise RuntimeError("my bug")
        return torch.sin(x)

    report = check_gradients(buggy, torch.randn(3))
    assert report.dtype == "float64"
    assert "RuntimeError" in str(report)
    assert re.search(r"my bug \(\S*test_no_false_alarm\.py:\d+\); it ran at the point of the check", str(report))


def test_elements_at_the_edge_of_the_domain_are_not_called_good() -> None:
    report = check_gradients(torch.sqrt, torch.tensor([0.0, 1.0]))
    assert report.passed
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.tensors[0].reason == "domain edge"
    assert "input0[0] lies at the edge of the domain" in str(report)


def test_small_subjects_run_on_one_thread_and_give_the_others_back() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    seen: set[int] = set()

    def sine(x: Tensor) -> Tensor:
        seen.add(torch.get_num_threads())
        return torch.sin(x)

    try:
        check_gradients(sine, torch.randn(3))
        assert seen == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
