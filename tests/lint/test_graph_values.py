"""Graph provenance and grad mode: what surely carries a graph, what surely does not, and where nothing is recorded."""

from __future__ import annotations

import libcst as cst
import pytest
from gradlint.semantics.grad_mode import Mode

from tests.lint.linting import node, unit

NET = """
    import torch
    import torch.nn.functional as F
    from torch import nn

    net = nn.Linear(2, 1)
    criterion = nn.MSELoss()
"""


@pytest.mark.parametrize(
    "value",
    [
        "net(x)",
        "F.relu(net(x)) + 1",
        "criterion(net(x), y)",
        "-net(x)[0].mean()",
        "torch.stack([net(x), x])",
        "nn.functional.mse_loss(net(x), y)",
    ],
)
def test_a_value_of_a_module_carries_a_graph(value: str) -> None:
    of = unit(f"{NET}\n    def step(x, y):\n        return {value}\n")
    assert of.graphs.carries(of.tree.nodes(cst.Return)[0].value)


@pytest.mark.parametrize(
    "value",
    ["net(x).item()", "net(x).detach()", "float(net(x))", "x + 1", "model(x)", "torch.zeros(3)"],
)
def test_what_has_no_graph_or_cannot_be_known(value: str) -> None:
    of = unit(f"{NET}\n    def step(model, x):\n        return {value}\n")
    assert not of.graphs.carries(of.tree.nodes(cst.Return)[0].value)


def test_backward_proves_a_graph() -> None:
    of = unit(f"{NET}\n    def step(model, x):\n        a = model(x)\n        a.backward()\n        return a\n")
    assert of.graphs.carries(of.tree.nodes(cst.Return)[0].value)


@pytest.mark.parametrize(
    ("code", "mode"),
    [
        ("def f(x):\n    return net(x)", Mode.ON),
        ("@torch.no_grad()\ndef f(x):\n    return net(x)", Mode.OFF),
        ("@torch.inference_mode\ndef f(x):\n    return net(x)", Mode.OFF),
        ("@torch.inference_mode(False)\ndef f(x):\n    return net(x)", Mode.ON),
        ("def f(x):\n    with torch.no_grad():\n        return net(x)", Mode.OFF),
        ("@torch.no_grad()\ndef f(x):\n    with torch.enable_grad():\n        return net(x)", Mode.ON),
        ("def f(x, train):\n    with torch.set_grad_enabled(train):\n        return net(x)", Mode.UNKNOWN),
        ("torch.set_grad_enabled(False)\ndef f(x):\n    return net(x)", Mode.OFF),
        ("def f(x):\n    return net(x)\nwith torch.no_grad():\n    f(1)", Mode.OFF),
        ("def f(x):\n    return net(x)\nwith torch.no_grad():\n    f(1)\nf(2)", Mode.UNKNOWN),
        ("@timed\ndef f(x):\n    return net(x)", Mode.UNKNOWN),
        ("with torch.no_grad():\n    def f(x):\n        return net(x)", Mode.ON),
    ],
)
def test_grad_mode(code: str, mode: Mode) -> None:
    of = unit(f"import torch\nfrom torch import nn\nnet = nn.Linear(1, 1)\n{code}\n")
    assert of.mode.at(node(of, "net(x)", cst.Call)) is mode
