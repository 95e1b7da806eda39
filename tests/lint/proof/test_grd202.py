"""GRD202: two linear layers are one, with W2 @ W1; the best linear error on XOR is 0.25, one ReLU makes it 0."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402 - only where torch is

X = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
Y = torch.tensor([[0.0], [1.0], [1.0], [0.0]])


def test_two_layers_are_one() -> None:
    torch.manual_seed(0)
    first, second = nn.Linear(8, 16).double(), nn.Linear(16, 4).double()
    one = nn.Linear(8, 4).double()
    with torch.no_grad():
        one.weight.copy_(second.weight @ first.weight)
        one.bias.copy_(second.weight @ first.bias + second.bias)
    x = torch.randn(5, 8, dtype=torch.float64)
    torch.testing.assert_close(second(nn.Dropout(0.5).eval()(first(x))), one(x))


def test_a_narrow_width_between_is_less_than_one_layer() -> None:
    product = nn.Linear(2, 8).weight @ nn.Linear(8, 2).weight
    assert int(torch.linalg.matrix_rank(product)) == 2 < 8


def test_the_best_linear_fit_of_xor_is_a_constant() -> None:
    with_bias = torch.cat([X, torch.ones(4, 1)], 1)
    best = with_bias @ torch.linalg.lstsq(with_bias, Y).solution
    assert float((best - Y).square().mean()) == pytest.approx(0.25)


def test_one_relu_between_two_layers_fits_it_exactly() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    values = ([[1.0, 1.0], [1.0, 1.0]], [0.0, -1.0], [[1.0, -2.0]], [0.0])
    with torch.no_grad():
        for parameter, value in zip(net.parameters(), values, strict=True):
            parameter.copy_(torch.tensor(value))
    assert torch.equal(net(X), Y)
