"""The bundle of a failing step: its script, run in a process of its own, fails as the run did."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pytest_gradcheck.errors import UsageProblem
from pytest_gradcheck.models.alexnet import alexnet
from pytest_gradcheck.training import train_smoke

X = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(8) % 3


class Moody(nn.Module):
    """Breaks by a draw of dropout, the third count, and batch statistics: only the exact state repeats it."""

    calls: torch.Tensor

    def __init__(self, how: str = "forward") -> None:
        super().__init__()
        self.inner, self.norm, self.how = nn.Linear(6, 3), nn.BatchNorm1d(6), how
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, inputs: torch.Tensor, shift: float = 0.0) -> torch.Tensor:
        self.calls += 1
        noise = torch.rand(())
        out: torch.Tensor = self.inner(nn.functional.dropout(self.norm(inputs), 0.5)) + noise + shift
        if int(self.calls) != 3:
            return out
        return (out * 0).sqrt() if self.how == "backward" else out / 0


def moody() -> nn.Module:
    return Moody()


def moody_backward() -> nn.Module:
    return Moody("backward")


def squares(outputs: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    return outputs.square().mean()


def small_alexnet() -> nn.Module:
    return alexnet(init="normal:1.0")


def repeated(run: Any, folder: Path) -> tuple[str, str]:
    """What the script prints, and its text."""
    assert run.failure is not None
    script = folder / "reproduce.py"
    assert f"bundle       python {run.bundle}" in str(run)
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, cwd=folder, timeout=120, check=False
    )
    assert not done.stderr, done.stderr
    return done.stdout, script.read_text()


@pytest.mark.parametrize(
    "model,loss",
    [(moody, None), (moody_backward, None), (Moody, squares), (Moody(), None)],
    ids=["function", "backward", "class and loss", "module"],
)
def test_the_script_repeats_the_failing_step(model: Any, loss: Any, tmp_path: Path) -> None:
    batches = [(X + shift, Y) for shift in (0.0, 1.0, 2.0)]
    run = train_smoke(model, batches, loss=loss, bundle=tmp_path / "made", remedies=None)
    said, script = repeated(run, tmp_path / "made")
    assert run.failure is not None
    assert run.failure.step == 2
    if run.failure.phase == "forward":
        assert said.startswith("loss nan; " if math.isnan(run.loss[-1]) else "loss inf; ")
    else:
        assert said.startswith(f"loss {run.loss[-1]:.6g}; gradients that are not finite: ")  # the same draw and batch
    assert "none" not in said
    assert len(script.splitlines()) <= 18
    assert ("weights_only=True" in script) is not isinstance(model, nn.Module)


def test_a_file_that_holds_only_tensors_and_numbers_is_safe_to_load(tmp_path: Path) -> None:
    run = train_smoke(moody, [((X, 0.5), Y)], bundle=tmp_path, optimizer="adam", remedies=None)
    kept = torch.load(tmp_path / "step.pt", weights_only=True)
    assert kept["step"] == 2
    assert kept["lr"] == run.learning_rate[-1]
    assert kept["losses"][:2] == run.loss[:2]
    assert set(kept["last_norms"]) == {"inner.weight", "inner.bias", "norm.weight", "norm.bias"}
    assert int(kept["state"]["calls"]) == 2  # before the failing forward
    assert kept["optimizer"]["state"]
    assert 'model(*kept["inputs"])' in (tmp_path / "reproduce.py").read_text()


def test_a_net_that_fits_itself_is_rebuilt(tmp_path: Path) -> None:
    pictures = [(torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 1e4, torch.tensor([1, 2]))]
    run = train_smoke(small_alexnet, pictures, lr=1.0, bundle=tmp_path, remedies=None)
    said, script = repeated(run, tmp_path)
    assert "fits itself" in script
    assert re.match(r"loss (nan|inf)", said)


def test_float16_is_repeated_under_autocast_with_its_scale(tmp_path: Path) -> None:
    run = train_smoke(lambda: nn.Linear(6, 3), [(X * 1e6, Y)], amp="float16", bundle=tmp_path, remedies=None)
    said, script = repeated(run, tmp_path)
    assert 'with torch.autocast("cpu", dtype=torch.float16):' in script
    assert re.match(r"loss (nan|inf)", said)


def test_a_model_of_a_local_class_needs_a_line_by_hand_and_that_is_said(tmp_path: Path) -> None:
    class Local(nn.Linear):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return super().forward(inputs) * math.nan

    run = train_smoke(lambda: Local(6, 3), [(X, Y)], bundle=tmp_path, remedies=None)
    assert run.notes == ("the bundle's script needs a line of yours that builds the model",)
    assert "model = ...  # build the model here" in (tmp_path / "reproduce.py").read_text()
    torch.load(tmp_path / "step.pt", weights_only=True)


def test_nothing_is_written_where_nothing_is_nan(tmp_path: Path) -> None:
    assert train_smoke(lambda: nn.Linear(6, 3), [(X, Y)], bundle=tmp_path / "made").bundle is None
    run = train_smoke(lambda: nn.Linear(6, 3), [(X, Y)], bundle=tmp_path / "made", overfit=True, lr=1e-9, steps=2)
    assert run.failure is not None
    assert not (tmp_path / "made").exists()


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageProblem, match=r"the bundle cannot be written to .*file: "):
        train_smoke(moody, [(X, Y)], bundle=tmp_path / "file", remedies=None)


def test_each_seed_has_its_own_folder(tmp_path: Path) -> None:
    run = train_smoke(moody, [(X, Y)], bundle=tmp_path, seeds=(0, 1), remedies=None)
    assert [Path(str(each.bundle)).parent.name for each in run.seeds] == ["seed-0", "seed-1"]


class Scored:
    """A loss in an attribute."""

    def __init__(self, loss: torch.Tensor) -> None:
        self.loss = loss


class Labelled(nn.Module):
    """Computes its own loss, and returns it in one way or the other."""

    def __init__(self, plain: bool) -> None:
        super().__init__()
        self.net, self.plain = nn.Linear(6, 3), plain

    def forward(self, features: torch.Tensor, labels: torch.Tensor) -> Any:
        loss = nn.functional.cross_entropy(self.net(features), labels) * math.inf
        return {"loss": loss} if self.plain else Scored(loss)


def in_a_dict() -> nn.Module:
    return Labelled(plain=True)


def in_an_attribute() -> nn.Module:
    return Labelled(plain=False)


@pytest.mark.parametrize("model", [in_a_dict, in_an_attribute])
def test_the_models_own_loss_is_read_as_the_run_reads_it(model: Any, tmp_path: Path) -> None:
    run = train_smoke(model, [{"features": X, "labels": Y}], remedies=None, bundle=tmp_path)
    said, _ = repeated(run, tmp_path)
    assert said.startswith("loss inf; ")
