"""GRD416 in scripts: what else the file says decides whether anything is recorded there."""

from __future__ import annotations

import pytest

from tests.lint.linting import lint

SCRIPT = """
    import torch
    from torch import nn

    net = nn.Linear(2, 2)
    {before}
    net.eval()
    for x in loader:
        print(net(x))
    {after}
"""


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("", "", 1),
        ("", "net.train()\n    net(x).sum().backward()", 1),
        ("", "net(x).sum().backward()", 0),
        ("for p in net.parameters():\n        p.requires_grad = False", "", 0),
        ("net.requires_grad_(False)", "", 0),
        ("torch.set_grad_enabled(False)", "", 0),
        ("for p in net.parameters():\n        p.requires_grad = chosen(p)", "", 0),
        ("def freeze(part):\n        part.requires_grad_(False)\n    freeze(net)", "", 0),
        ("opt = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], 0.1)", "", 1),
        ("net.requires_grad_(True)", "", 1),
    ],
)
def test_a_script_is_told_unless_it_trains_below_or_freezes(before: str, after: str, found: int) -> None:
    told = lint(SCRIPT.format(before=before, after=after), "GRD416")
    assert len(told) == found
    assert all("put the loop into `with torch.no_grad():`" in each.message and each.fix is None for each in told)


@pytest.mark.parametrize(("around", "below", "found"), [("backward", "", 0), ("", "backward", 0), ("", "", 1)])
def test_what_follows_below_a_with_or_if_may_differentiate_what_it_computed(
    around: str, below: str, found: int
) -> None:
    text = f"""
        import torch
        from torch import nn

        net, features = nn.Linear(2, 2), []
        if True:
            with open("x") as file:
                net.eval()
                for x in file:
                    features.append(net(x))
                def again():
                    net.train()
            print(torch.stack(features).sum().{around or "item"}())
        torch.stack(features).sum().{below or "item"}()
    """
    assert len(lint(text, "GRD416")) == found


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("total", 1), ("forces", 0), ("out.forces", 0), ("out['forces']", 0), ("pred_stress", 0), ("out['stress']", 0),
        ("reinforced", 1), ("'use forces'", 1), ("dict(force=True)", 1), ("dict(forces=True)", 1),
    ],
)  # fmt: skip
def test_networks_of_atoms_differentiate_their_energy(told: str, found: int) -> None:
    """Under `no_grad` such a network could not give forces: they are derivatives of what it computes."""
    text = f"""
        import torch

        def check(out):
            return {told}

        def evaluate(net, loader):
            net.eval()
            for x in loader:
                print(net(x).item())
    """
    assert len(lint(text, "GRD416")) == found
