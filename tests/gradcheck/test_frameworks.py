"""Models of Hugging Face and Lightning as subjects; skipped where they are not installed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from pytest_gradcheck import Verdict, check_gradients


def test_a_hugging_face_model_raises_no_alarm() -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    config = transformers.BertConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        vocab_size=20,
        max_position_embeddings=16,
    )
    report = check_gradients(transformers.BertModel(config), torch.tensor([[0, 3, 5, 5], [7, 0, 1, 19]]))
    assert report.passed
    # A key's bias moves all scores of a row alike, which softmax does not see: its gradient is zero but for rounding.
    undecided = [tensor.name for tensor in report.tensors if tensor.verdict is not Verdict.GOOD]
    assert undecided == ["encoder.layer.0.attention.self.key.bias"]


def test_a_hugging_face_loss_by_keyword_is_checked() -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    config = transformers.GPT2Config(n_embd=8, n_layer=1, n_head=2, vocab_size=11, n_positions=8)
    model = transformers.GPT2LMHeadModel(config).eval()
    tokens = torch.tensor([[1, 4, 2, 9]])
    report = check_gradients(model, kwargs={"input_ids": tokens, "labels": tokens, "use_cache": False}, budget=60)
    assert report.passed
    assert any(tensor.name == "transformer.wte.weight" for tensor in report.tensors)


def test_a_lightning_module_is_a_module() -> None:
    lightning = pytest.importorskip("lightning.pytorch", reason="lightning is not installed")

    class Net(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = torch.tanh(self.layer(x))
            return found

        def training_step(self, batch: Any) -> torch.Tensor:
            x, y = batch
            return torch.nn.functional.mse_loss(self(x), y)

    net = Net()
    assert check_gradients(net, torch.randn(4, 3)).verdict is Verdict.GOOD
    step = check_gradients(net.training_step, (torch.randn(4, 3), torch.randn(4, 2)))
    assert {tensor.name for tensor in step.tensors} >= {"layer.weight", "layer.bias"}
    assert step.verdict is Verdict.GOOD
