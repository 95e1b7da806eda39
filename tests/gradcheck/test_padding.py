"""Embeddings with a padding row: torch gives it no gradient on purpose, and that is no alarm; a real fault still is."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

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
