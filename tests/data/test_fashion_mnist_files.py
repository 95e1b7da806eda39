"""Where Fashion-MNIST is looked for, what its files must agree on, and what its batches hold."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pytest_gradcheck.data.loader import CLASSES, fashion_mnist
from pytest_gradcheck.data.roots import cache_root, summary
from pytest_gradcheck.errors import UsageProblem

Write = Callable[..., Path]


@pytest.mark.parametrize("packed", [True, False], ids=["gzip", "plain"])
@pytest.mark.parametrize("below", ["", "FashionMNIST", "FashionMNIST/raw"])
def test_the_root_may_be_any_level_of_torchvisions_layout(
    tmp_path: Path, write_split: Write, below: str, packed: bool
) -> None:
    write_split(tmp_path / "FashionMNIST/raw", packed=packed)
    data = fashion_mnist(root=tmp_path / below)
    assert data.real
    assert len(data.labels) == 6


def test_the_root_is_looked_for_in_argument_then_environment_then_cache(
    tmp_path: Path, write_split: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not fashion_mnist().real
    write_split(cache_root() / "FashionMNIST/raw", 3)
    assert len(fashion_mnist().labels) == 3
    monkeypatch.setenv("FASHION_MNIST_ROOT", str(write_split(tmp_path / "from-env", 4)))
    assert len(fashion_mnist().labels) == 4
    assert len(fashion_mnist(root=write_split(tmp_path / "named", 5)).labels) == 5


def test_an_empty_environment_variable_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASHION_MNIST_ROOT", "")
    assert not fashion_mnist().real


def test_a_named_root_without_files_says_what_was_looked_for(
    tmp_path: Path, write_split: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = write_split(tmp_path / "FashionMNIST/raw")
    (raw / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(UsageProblem) as caught:
        fashion_mnist(root=tmp_path)
    said = str(caught.value)
    assert said.startswith(f"the Fashion-MNIST root is {tmp_path}, but that folder lacks files: looked for ")
    assert "train-images-idx3-ubyte[.gz], train-labels-idx1-ubyte[.gz] in " in said
    assert "drawn stand-in" in said
    monkeypatch.setenv("FASHION_MNIST_ROOT", str(tmp_path / "nowhere"))
    with pytest.raises(
        UsageProblem, match=r"^the environment variable FASHION_MNIST_ROOT is .*nowhere, but that folder does not"
    ):
        fashion_mnist()


def test_counts_labels_and_picture_size_must_be_fashion_mnists(tmp_path: Path, write_split: Write) -> None:
    with pytest.raises(UsageProblem, match=r"holds 6 images, but .*train-labels-idx1-ubyte\.gz holds 2 labels"):
        fashion_mnist(root=write_split(tmp_path / "count", labels=[0, 1]))
    with pytest.raises(UsageProblem, match="holds the label 10, but Fashion-MNIST's labels are 0 to 9"):
        fashion_mnist(root=write_split(tmp_path / "range", labels=[0, 1, 2, 3, 4, 10]))
    with pytest.raises(UsageProblem, match="holds no images"):
        fashion_mnist(root=write_split(tmp_path / "none", 0))


def test_a_damaged_file_names_its_path(tmp_path: Path, write_split: Write) -> None:
    path = write_split(tmp_path) / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UsageProblem, match=r"train-images-idx3-ubyte\.gz is cut off"):
        fashion_mnist(root=tmp_path)


def test_batches_have_the_contracts_shapes_and_ranges(tmp_path: Path, write_split: Write) -> None:
    root = write_split(tmp_path, 6)
    batches = list(fashion_mnist(4, 32, root=root, shuffle=False))
    assert [(tuple(x.shape), x.dtype, y.dtype) for x, y in batches] == [
        ((4, 1, 32, 32), torch.float32, torch.int64),
        ((2, 1, 32, 32), torch.float32, torch.int64),
    ]
    assert len(fashion_mnist(4, root=root)) == 2
    raw, _ = next(iter(fashion_mnist(6, 28, root=root, shuffle=False, scale=False)))
    scaled, _ = next(iter(fashion_mnist(6, 28, root=root, shuffle=False)))
    assert raw.amax().item() == 5
    assert torch.equal(scaled, raw / 255)


def test_sizes_are_resized_bilinearly() -> None:
    data = fashion_mnist(2, 56, shuffle=False)
    pictures, _ = next(iter(data))
    wanted = torch.nn.functional.interpolate(data.images[:2, None].float(), (56, 56), mode="bilinear") / 255
    assert torch.equal(pictures, wanted)
    small, _ = next(iter(fashion_mnist(2, 14, shuffle=False)))
    assert small.shape[-1] == 14


def test_the_seed_decides_the_order_and_each_pass_has_another_one(tmp_path: Path, write_split: Write) -> None:
    data = fashion_mnist(6, root=write_split(tmp_path, 6))
    torch.manual_seed(3)
    first, second = next(iter(data))[1].tolist(), next(iter(data))[1].tolist()
    torch.manual_seed(3)
    assert [next(iter(data))[1].tolist() for _ in range(2)] == [first, second]
    assert first != second
    assert sorted(first) == sorted(second) == list(range(6))


def test_arguments_out_of_range_are_named() -> None:
    with pytest.raises(UsageProblem, match=r'split is \'validation\', but it must be "train" or "test"'):
        fashion_mnist(split="validation")
    with pytest.raises(UsageProblem, match="batch_size is 0, but it must be a whole number of at least 1"):
        fashion_mnist(0)
    with pytest.raises(UsageProblem, match=r"size is 2\.5, but"):
        fashion_mnist(size=2.5)  # type: ignore[arg-type]


def test_descriptions_say_which_data_these_are(tmp_path: Path, write_split: Write) -> None:
    assert (
        fashion_mnist().description == "drawn stand-in for Fashion-MNIST, 1000 train silhouettes (no data files found)"
    )
    root = write_split(tmp_path, 6)
    described = fashion_mnist(root=root, scale=False).description
    assert described == f"Fashion-MNIST, 6 train images from {tmp_path}, pixels 0..255"
    assert summary() == "Fashion-MNIST: no files found, a drawn stand-in is used"
    assert summary(root) == f"Fashion-MNIST: {tmp_path}"
    assert summary(tmp_path / "nowhere") == f"Fashion-MNIST: none in {tmp_path / 'nowhere'}, which is set as its root"
    assert len(CLASSES) == 10


def test_asking_for_the_roots_loads_neither_torch_nor_numpy() -> None:
    code = (
        "import sys; from pytest_gradcheck.data.roots import summary; summary();"
        "assert not {'torch', 'numpy'} & set(sys.modules), 'heavy'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
