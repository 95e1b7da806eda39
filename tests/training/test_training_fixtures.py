"""The fixtures in a pytest run of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("FASHION_MNIST_ROOT", raising=False)
    return lambda body, *options: (
        pytester.makepyfile("import math, torch\nfrom torch import nn\n" + body),
        pytester.runpytest_inprocess("-p", "no:cacheprovider", *options),
    )[1]


NAN = """
class Nan(nn.Linear):
    def forward(self, x):
        return super().forward(x.flatten(1)) * math.nan

def test_it(smoke_train, fashion_mnist):
    smoke_train(Nan(784, 10), fashion_mnist(8))
"""


def test_a_failure_fails_the_test_with_the_runs_text(run: Run) -> None:
    result = run(NAN)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E*TrainingFailure: Nan failed at step 0: in forward, aten.mul in the model itself gives nan",
            "E*drawn stand-in for Fashion-MNIST, 1000 train silhouettes*",
            'E*rerun: pytest "*test_it"',
        ]
    )


def test_a_wrong_question_is_one_sentence_without_a_way_through_the_run(run: Run) -> None:
    result = run("""
def test_labels(smoke_train):
    smoke_train(nn.Linear(3, 2), [(torch.rand(4, 3), torch.tensor([0, 1, 0, 2]))])

def test_seeds(smoke_train):
    smoke_train(nn.Linear(3, 2), [(torch.rand(4, 3), torch.tensor([0, 1, 0, 1]))], seeds=(0, 1))

def test_shape(gradient_flow):
    gradient_flow(nn.Linear(3, 2), (torch.rand(4, 5), torch.tensor([0, 1, 0, 1])))
""")
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(
        [
            ">*smoke_train(nn.Linear(3, 2), *",
            "E*UsageProblem: the labels at step 0 run from 0 to 2, but the model scores 2 classes*",
            "E*UsageProblem: several seeds need a model factory*",
            "E*UsageProblem: the forward of Linear raised RuntimeError at step 0 *",
        ]
    )
    for file in ("smoke.py", "loop.py", "objective.py", "flow.py", "training_fixtures.py"):
        result.stdout.no_fnmatch_line(f"*{file}:*")


def test_a_pass_returns_the_run(run: Run) -> None:
    run("""
def test_it(smoke_train):
    report = smoke_train(nn.Linear(3, 2), [(torch.rand(4, 3), torch.tensor([0, 1, 0, 1]))], lr=0.1, steps=30)
    assert report.loss[-1] < report.loss[0]
    assert report.device == "cpu"
""").assert_outcomes(passed=1)


def test_gradient_flow_judges_a_batch(run: Run) -> None:
    run("""
from pytest_gradcheck.models.small import deep_mlp
def test_it(gradient_flow, fashion_mnist):
    batch = next(iter(fashion_mnist(32)))
    assert gradient_flow(deep_mlp(), batch).vanishing
    flow = gradient_flow(deep_mlp(init="he"), batch)
    assert not flow.vanishing and not flow.exploding
""").assert_outcomes(passed=1)


def test_bodies_start_from_the_seed_in_any_order_and_leave_the_generators(run: Run) -> None:
    run("""
import random
drawn = []
def draw():
    drawn.append((torch.rand(1).item(), random.random()))
def test_a(smoke_train): draw()
def test_b(): torch.rand(3), random.random()
def test_c(fashion_mnist): draw()
def test_d(fashion_mnist, smoke_train): draw()
def test_e(): assert len(drawn) == 3 and len(set(drawn)) == 1
def test_f(): torch.manual_seed(1); random.seed(1)
def test_g(smoke_train): pass
def test_h():
    after = torch.rand(1).item(), random.random()
    torch.manual_seed(1); random.seed(1)
    assert after == (torch.rand(1).item(), random.random())
""").assert_outcomes(passed=8)


def test_the_root_comes_from_the_option_then_the_ini(run: Run, pytester: pytest.Pytester) -> None:
    body = """
def test_it(fashion_mnist):
    fashion_mnist()
"""
    pytester.makeini("[pytest]\nfashion_mnist_root = from-ini\n")
    run(body).stdout.fnmatch_lines(
        ["*UsageProblem: the Fashion-MNIST root is from-ini, but that folder does not exist*"]
    )
    run(body, "--fashion-mnist-root=from-option").stdout.fnmatch_lines(["*root is from-option, but*"])


def test_loading_the_fixtures_loads_neither_torch_nor_numpy() -> None:
    code = "import sys, pytest_gradcheck.training_fixtures; assert not {'torch', 'numpy'} & set(sys.modules), 'heavy'"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
