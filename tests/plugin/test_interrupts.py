"""Ctrl-C and errors inside a checked forward leave the model and the generators as found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Suite = Callable[..., pytest.RunResult]

MODEL = """
import copy, random
import numpy as np

class Fragile(nn.Module):
    calls, breaks, error = 0, 0, KeyboardInterrupt

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.norm = nn.BatchNorm1d(3)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        type(self).calls += 1
        if self.breaks and self.calls >= self.breaks:
            raise self.error("stop")
        return self.dropout(self.norm(self.linear(x)))

def snapshot(model, x):
    return (
        {name: value.clone() for name, value in model.state_dict().items()},
        {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()},
        [p.data_ptr() for p in model.parameters()], [p.requires_grad for p in model.parameters()],
        model.training, model.dropout.training, x.clone(), x.requires_grad, x.grad,
        torch.get_rng_state(), random.getstate(), str(np.random.get_state()), torch.is_grad_enabled(),
        torch.get_default_dtype(),
    )

def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return len(a) == len(b) and all(map(same, a, b)) if isinstance(a, (list, tuple)) else a == b

def fresh():
    model, x = Fragile(), torch.randn(4, 3)
    model.linear(x).sum().backward()
    model.linear.bias.requires_grad_(False)
    model.dropout.eval()
    Fragile.calls = 0
    return model, x
"""


def test_a_check_that_is_stopped_leaves_everything_as_found(suite: Suite) -> None:
    result = suite(
        MODEL
        + """
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, SystemExit])
@pytest.mark.parametrize("breaks", [1, 2, 3, 10, 40])
def test_stopped(gradcheck, breaks, error):
    model, x = fresh()
    Fragile.breaks, Fragile.error = breaks, error
    before = snapshot(model, x)
    with pytest.raises(BaseException, match="stop"):
        gradcheck(model, x)
    assert Fragile.calls >= breaks
    assert same(snapshot(model, x), before)

def test_this_test_can_fail(gradcheck):
    model, x = fresh()
    before = snapshot(model, x)
    model.linear.weight.data[0, 0] += 1e-7
    assert not same(snapshot(model, x), before)

def test_finished(gradcheck):
    model, x = fresh()
    Fragile.breaks = 0
    before = snapshot(model, x)
    gradcheck(model, x)
    assert Fragile.calls > 40 and same(snapshot(model, x), before)
"""
    )
    result.assert_outcomes(passed=17)


def test_ctrl_c_ends_the_run(suite: Suite, pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
import sys

def pytest_sessionfinish(session):
    test = sys.modules["test_it"]
    print("left as found:", test.same(test.snapshot(test.model, test.x)[:9], test.before))
"""
    )
    source = """
model, x = fresh()
before = snapshot(model, x)[:9]
Fragile.breaks = 5

@pytest.mark.gradcheck
def test_stopped():
    return model, x

def test_never_reached():
    raise AssertionError
"""
    suite("")
    pytester.path.joinpath("test_it.py").write_text(pytester.path.joinpath("test_it.py").read_text() + MODEL + source)
    result = pytester.runpytest_inprocess("-p", "no:hypothesispytest", "--gradcheck", "-s", no_reraise_ctrlc=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*left as found: True*"])
    result.stdout.fnmatch_lines(["*KeyboardInterrupt*"])
