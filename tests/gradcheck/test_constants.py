"""What torch gives no gradient on purpose is no alarm; a real fault beside it still is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from pytest_gradcheck import Verdict, check_gradients

TOKENS = torch.tensor([[0, 1, 2], [3, 0, 4]])


def test_a_padding_row_that_is_looked_up_is_no_alarm() -> None:
    report = check_gradients(nn.Embedding(5, 3, padding_idx=0), TOKENS)
    assert report.verdict is Verdict.GOOD
    (finding,) = [finding for finding in report.findings if finding.kind == "padding"]
    assert finding.severity == "info"
    assert finding.message == (
        "the embedding: torch gives the row padding_idx no gradient on purpose; its lookups were held constant"
    )


class TiedScores(nn.Module):
    """Scores by the embedding's own weight, as language models have them: the padding row has a gradient there."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 3, padding_idx=0)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.embedding(tokens)) @ self.embedding.weight.t()


def test_other_uses_of_the_weight_are_checked_in_every_row() -> None:
    report = check_gradients(TiedScores(), TOKENS)
    assert report.verdict is Verdict.GOOD
    assert any(finding.message.startswith("embedding: ") for finding in report.findings)


class _LosesARow(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x * 1

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.zeros_like(cotangents[0][:1]), cotangents[0][1:]])


class Losing(TiedScores):
    """Its scores lose the gradient of row 0, which is not the lookup's doing."""

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.embedding(tokens) @ _LosesARow.apply(self.embedding.weight).t()  # type: ignore[no-untyped-call]
        return scores


def test_a_gradient_lost_elsewhere_in_that_row_is_caught() -> None:
    assert check_gradients(Losing(), TOKENS).verdict is Verdict.WRONG


def test_an_embedding_without_padding_gets_no_note() -> None:
    report = check_gradients(nn.Embedding(5, 3), TOKENS)
    assert report.verdict is Verdict.GOOD
    assert not report.findings


def test_the_module_keeps_no_hook() -> None:
    embedding = nn.Embedding(5, 3, padding_idx=0)
    check_gradients(embedding, TOKENS)
    check_gradients(lambda tokens: embedding(tokens), TOKENS)  # captured: the very module is used, not a copy
    assert not embedding._forward_hooks


SPECTRAL: dict[str, Callable[[nn.Module], nn.Module]] = {
    "parametrization": parametrizations.spectral_norm,
    "hook": lambda layer: nn.utils.spectral_norm(layer),
}


def far_from_converged(norm: str, layer: nn.Module) -> nn.Module:
    """A normalised layer whose vectors are a random start of the power iteration."""
    layer = SPECTRAL[norm](layer)
    vectors = [buffer for name, buffer in layer.named_buffers() if name.endswith(("_u", "_v"))]
    assert len(vectors) == 2
    for vector in vectors:
        vector.copy_(nn.functional.normalize(torch.randn_like(vector), dim=0))
    return layer


@pytest.mark.parametrize("norm", SPECTRAL)
def test_spectral_norm_is_no_alarm_before_its_vectors_have_converged(norm: str) -> None:
    layer = far_from_converged(norm, nn.Linear(5, 4))
    report = check_gradients(layer, torch.randn(3, 5))
    assert report.verdict is Verdict.GOOD, str(report)
    (finding,) = report.findings
    assert (finding.kind, finding.severity) == ("power-iteration", "info")
    assert finding.message.endswith(
        ": spectral_norm does not differentiate its power iteration, on purpose; its vectors were held constant"
    )


@pytest.mark.parametrize("norm", SPECTRAL)
def test_spectral_norm_in_eval_mode_gets_no_note_and_a_captured_module_iterates_on_afterwards(norm: str) -> None:
    layer = far_from_converged(norm, nn.Linear(5, 4))
    assert not check_gradients(layer.eval(), torch.randn(3, 5)).findings
    layer.train()
    assert check_gradients(lambda x: layer(x), torch.randn(3, 5)).verdict is Verdict.GOOD
    before = {name: buffer.clone() for name, buffer in layer.named_buffers()}
    layer(torch.randn(3, 5))
    assert any(not torch.equal(before[name], buffer) for name, buffer in layer.named_buffers())


class LosingLinear(nn.Linear):
    """A layer that loses the gradient of the first row of its weight."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = x @ _LosesARow.apply(self.weight).t()  # type: ignore[no-untyped-call]
        return scores


@pytest.mark.parametrize("norm", SPECTRAL)
def test_a_fault_behind_spectral_norm_is_caught(norm: str) -> None:
    assert check_gradients(far_from_converged(norm, LosingLinear(5, 4)), torch.randn(3, 5)).verdict is Verdict.WRONG
