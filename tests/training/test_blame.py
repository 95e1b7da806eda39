"""Whose fault a number is that is not finite: the batch's, a buffer's, an operation's; and when it is nobody's."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._pytree import register_pytree_node

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.model.training import Failure
from pytest_gradcheck.training import train_smoke, watch
from pytest_gradcheck.training.bad_batch import bad_batch
from pytest_gradcheck.training.blame import input_facts
from pytest_gradcheck.training.feed import Batch
from tests.training.test_real_models import Calling, X, Y, mlp


def failed(make: Callable[[], nn.Module], batch: Any, **options: Any) -> Failure:
    failure = train_smoke(make, [batch], remedies=None, **options).failure
    assert failure is not None
    return failure


def far(out: torch.Tensor) -> torch.Tensor:
    """Distances, from each to itself infinite, so that the least is that of another."""
    return torch.cdist(out, out.detach()).masked_fill(torch.eye(len(out), dtype=torch.bool), math.inf)


def test_a_wrong_shape_beside_a_harmless_infinity_stays_a_wrong_shape() -> None:
    def loss(out: torch.Tensor, _: Any) -> torch.Tensor:
        distances = far(out)
        return distances.min(1).values.mean() + distances.reshape(7).sum()

    with pytest.raises(UsageProblem, match=r"shape '\[7\]' is invalid"):
        train_smoke(mlp, [(X, Y)], loss=loss, remedies=None)


def test_a_wrong_index_beside_a_harmless_infinity_stays_a_wrong_index() -> None:
    def loss(out: torch.Tensor, _: Any) -> torch.Tensor:
        return far(out).index_select(0, torch.tensor([99])).min()

    with pytest.raises(UsageProblem, match="out of range"):
        train_smoke(mlp, [(X, Y)], loss=loss, remedies=None)


def test_an_operation_that_raises_over_a_nan_fails_with_the_nan() -> None:
    def loss(out: torch.Tensor, _: Any) -> torch.Tensor:
        return F.binary_cross_entropy((-1 - out.abs()).log().sigmoid(), torch.ones_like(out))

    failure = failed(mlp, (X, Y), loss=loss)
    assert (failure.value, failure.op, failure.cause) == ("nan", "aten.log", "domain error")
    assert failure.evidence[0].startswith("then the step raised RuntimeError: all elements of input should be")


def test_inputs_of_minus_infinity_alone_are_the_batch() -> None:
    failure = failed(mlp, (torch.zeros(32, 20).log(), Y))
    assert (failure.phase, failure.cause, failure.tensor) == ("data", "the batch", "inputs")


def test_targets_are_no_mask() -> None:
    failure = failed(
        mlp,
        (X, F.one_hot(Y, 4).float().log()),
        loss=lambda out, y: F.kl_div(out.log_softmax(1), y, reduction="batchmean", log_target=True),
    )
    assert (failure.phase, failure.cause, failure.tensor) == ("data", "the batch", "targets")


MASK = torch.full((4, 4), -math.inf).triu(1)
WORDS = torch.arange(4)


@pytest.mark.parametrize(
    ("inputs", "bad"),
    [
        ((torch.ones(4, 4), MASK), False),
        ({"ids": WORDS, "mask": MASK}, False),
        (MASK, True),
        ((MASK, MASK), True),
        ((torch.ones(4, 4), torch.full((4, 4), -math.inf)), True),
        ((MASK.clone().fill_diagonal_(0.5), torch.ones(4)), True),
    ],
    ids=["beside data", "beside words", "alone", "two masks", "nothing is left", "other numbers"],
)
def test_a_mask_holds_zeros_and_stands_beside_what_it_masks(inputs: Any, bad: bool) -> None:
    assert (bad_batch(Batch(inputs, None)) is not None) is bad


def test_a_mask_beside_words_is_no_culprit_in_a_watched_loop() -> None:
    def attend(self: Any, words: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.net((torch.zeros(4, 4) + mask).softmax(1) @ self.table(words))
        return scores.relu().log()

    net = Calling(attend, table=nn.Embedding(4, 20), net=mlp())
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    with watch(net, optimizer, stop=False) as health:
        net(WORDS, MASK).mean().backward()
        optimizer.step()
    assert health.failure is not None
    assert (health.failure.phase, health.failure.op) == ("forward", "aten.log")


def test_the_range_of_the_inputs_is_told_without_masks() -> None:
    assert input_facts(Batch((torch.ones(4), torch.tensor([0.0, -1e9])), None))[0] == 1.0
    assert input_facts(Batch(torch.tensor([0.0, -1e9]), None))[0] == 1e9


class Held:
    """A container that only pytree knows."""

    def __init__(self, data: torch.Tensor) -> None:
        self.data = data


register_pytree_node(Held, lambda held: ([held.data], None), lambda leaves, _: Held(*leaves))


def test_a_container_that_only_pytree_knows_is_looked_into() -> None:
    spoilt = X.clone()
    spoilt[5, 3] = math.nan
    model = lambda: Calling(lambda self, held: self.net(held.data), net=mlp())  # noqa: E731
    failure = failed(model, (Held(spoilt), Y))
    assert (failure.phase, failure.cause, failure.tensor) == ("data", "the batch", "inputs")
    assert failure.evidence[0] == "inputs[5] of the batch (sample 5 of 32): 1 nan of 20"


def remembering(copies: Callable[[torch.Tensor], torch.Tensor], reads: Callable[[Any, torch.Tensor], Any]) -> nn.Module:
    """Keeps the least of what it saw, from infinity on."""

    def forward(self: Any, inputs: torch.Tensor) -> Any:
        best = copies(self.best)
        out = reads(best, self.net(inputs))
        self.best = torch.minimum(best, inputs.mean())
        return out

    net = Calling(forward, net=mlp())
    net.register_buffer("best", torch.tensor(math.inf))
    return net


COPIES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "itself": lambda best: best,
    "a clone": lambda best: best.detach().clone(),
    "a view": lambda best: best.view(1)[0],
    "another dtype": lambda best: best.double().float(),
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_of_a_buffer_that_begins_at_infinity_is_no_culprit(name: str) -> None:
    failure = failed(lambda: remembering(COPIES[name], lambda _, out: out.relu().log()), (X, Y))
    assert (failure.cause, failure.op, failure.tensor) == ("domain error", "aten.log", None)


@pytest.mark.parametrize("name", COPIES)
def test_a_buffer_whose_infinity_reaches_the_loss_is_the_culprit_however_it_is_copied(name: str) -> None:
    failure = failed(lambda: remembering(COPIES[name], lambda best, out: out + best), (X, Y))
    assert (failure.cause, failure.tensor) == ("the given weights", "best")


def test_a_buffer_that_spoils_only_gradients_is_the_culprit() -> None:
    def reads(best: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        return torch.where(torch.zeros_like(out, dtype=torch.bool), out * best, out)

    failure = failed(lambda: remembering(COPIES["a clone"], reads), (X, Y))
    assert (failure.cause, failure.tensor) == ("the given weights", "best")


def test_a_rate_that_was_measured_is_believed_before_what_a_loop_may_have_computed() -> None:
    torch.manual_seed(0)
    net = mlp(outputs=1)
    optimizer = torch.optim.SGD(net.parameters(), 1.0)
    with watch(net, optimizer, stop=False, max_overhead=None) as health:
        while health.failure is None and health.steps < 9:
            optimizer.zero_grad()
            scores = net(X)
            (scores.exp() - 30 * scores).mean().backward()
            optimizer.step()
    assert health.failure is not None
    assert health.failure.cause == "learning rate"
    assert "of what it computes, exp can give nan or inf for finite numbers" in health.failure.evidence


def test_what_a_loop_may_have_computed_is_the_cause_where_nothing_was_measured() -> None:
    net = mlp(outputs=1)
    optimizer = torch.optim.SGD(net.parameters(), 1e-3)
    with watch(net, optimizer, stop=False) as health:
        net(X).relu().log().mean().backward()
        optimizer.step()
    assert health.failure is not None
    assert health.failure.cause == "domain error"
    assert "of what it computes, log can give nan or inf for finite numbers" in health.failure.evidence


LABELS = {
    "ignored": (torch.full((32,), -100), None, "every label of this step has the ignored index"),
    "of weight zero": (Y, torch.tensor([0.0, 0, 0, 0]), "class weights of zero, or there is no label"),
}


@pytest.mark.parametrize("name", LABELS)
def test_why_no_label_counts_is_told_as_it_is_known(name: str) -> None:
    labels, weight, said = LABELS[name]
    failure = failed(mlp, (X, labels), loss=lambda out, y: F.cross_entropy(out, y, weight=weight))
    assert failure.cause == "domain error"
    assert failure.evidence[0].startswith("aten.nll_loss_forward averages over no label at all: ")
    assert failure.evidence[0].endswith(said)


@pytest.mark.parametrize(("dim", "masked"), [(0, True), (1, False)])
def test_a_row_that_is_masked_throughout_is_one_that_the_softmax_normalises(dim: int, masked: bool) -> None:
    """A class without any sample: along the samples nothing is left, along the classes the others are."""
    first = torch.tensor([True, False, False, False])

    def forward(self: Any, inputs: torch.Tensor) -> Any:
        share = self.net(inputs).masked_fill(first, -math.inf).softmax(dim)
        return share if masked else share.log()[:, :1].neg().sqrt()

    failure = failed(lambda: Calling(forward, net=mlp()), (X, Y), loss=lambda out, _: out.sum())
    found = [each for each in failure.evidence if "-inf throughout" in each]
    assert bool(found) is masked
    assert failure.cause == "domain error"
