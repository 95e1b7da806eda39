"""`watch` around Lightning's and Hugging Face's Trainer, where they are installed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pytest_gradcheck.errors import TrainingFailure
from pytest_gradcheck.training import watch

X = torch.randn(24, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(24) % 3


class Net(nn.Module):
    def __init__(self, breaks_at: int) -> None:
        super().__init__()
        self.hidden, self.out, self.at, self.calls = nn.Linear(6, 6), nn.Linear(6, 3), breaks_at, 0

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        hidden = self.hidden(inputs)
        out: torch.Tensor = self.out((hidden * 0).sqrt() if self.calls > self.at else hidden)
        return out


def lightning_run(breaks_at: int, folder: Path, **options: Any) -> tuple[Any, Any, Any]:
    lightning = pytest.importorskip("lightning", reason="lightning is not installed")

    class Module(lightning.LightningModule):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.net = Net(breaks_at)

        def training_step(self, batch: Any, _: int) -> torch.Tensor:
            return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, Y), batch_size=4)
    trainer = lightning.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=folder, **options,
    )  # fmt: skip
    return Module(), trainer, loader


@pytest.mark.filterwarnings("ignore")
def test_lightning_steps_are_seen_and_its_culprit_is_named(tmp_path: Path) -> None:
    module, trainer, loader = lightning_run(99, tmp_path)
    with watch(module) as seen:
        trainer.fit(module, loader)
    assert seen.steps == 6
    assert all(map(math.isfinite, seen.loss))
    module, trainer, loader = lightning_run(2, tmp_path)
    with pytest.raises(TrainingFailure) as caught, watch(module):
        trainer.fit(module, loader)
    failure = caught.value.report.failure
    assert failure is not None
    assert (failure.step, failure.phase, failure.module, failure.op) == (2, "backward", "net", "SqrtBackward0")
    assert failure.reproduced is True
    assert failure.source is not None and "test_watch_frameworks.py" in failure.source


@pytest.mark.filterwarnings("ignore")
def test_lightning_accumulates(tmp_path: Path) -> None:
    module, trainer, loader = lightning_run(99, tmp_path, accumulate_grad_batches=2)
    with watch(module) as seen:
        trainer.fit(module, loader)
    assert seen.steps == 3


def trainer_of(model: nn.Module, folder: Path, **options: Any) -> Any:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    pytest.importorskip("accelerate", reason="accelerate is not installed")
    rows = [{"inputs": X[i], "labels": Y[i]} for i in range(len(Y))]
    arguments = transformers.TrainingArguments(
        output_dir=str(folder), max_steps=6, per_device_train_batch_size=4, report_to=[], save_strategy="no",
        use_cpu=True, disable_tqdm=True, logging_strategy="no", remove_unused_columns=False, **options,
    )  # fmt: skip
    return transformers.Trainer(model=model, args=arguments, train_dataset=rows)


class WithLoss(Net):
    def forward(self, inputs: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:  # type: ignore[override]
        logits = super().forward(inputs)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


@pytest.mark.filterwarnings("ignore")
def test_hugging_face_steps_are_seen_and_its_culprit_is_named(tmp_path: Path) -> None:
    with watch(model := WithLoss(99)) as seen:
        trainer_of(model, tmp_path).train()
    assert seen.steps == 6
    assert all(map(math.isfinite, seen.loss))
    with pytest.raises(TrainingFailure) as caught, watch(model := WithLoss(2)):
        trainer_of(model, tmp_path).train()
    failure = caught.value.report.failure
    assert failure is not None
    assert (failure.step, failure.phase, failure.module, failure.op) == (2, "backward", "", "SqrtBackward0")
    assert failure.reproduced is True


@pytest.mark.filterwarnings("ignore")
def test_hugging_face_accumulates(tmp_path: Path) -> None:
    with watch(model := WithLoss(99)) as seen:
        trainer_of(model, tmp_path, gradient_accumulation_steps=2).train()
    assert seen.steps == 6
    assert model.calls == 12
