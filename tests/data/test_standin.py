"""The drawn stand-in: deterministic, of Fashion-MNIST's mean and deviation, and something a small net can learn."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pytest_gradcheck.data import standin
from pytest_gradcheck.data.loader import fashion_mnist
from pytest_gradcheck.models.small import residual_net


@pytest.mark.parametrize("split", ["train", "test"])
def test_mean_and_deviation_are_fashion_mnists(split: str) -> None:
    pixels = standin.draw(split).pixels / 255
    assert abs(pixels.mean() - 0.286) < 0.0005
    assert abs(pixels.std() - 0.353) < 0.0005
    assert 0.4 < (pixels == 0).mean() < 0.6  # background, as in the real set


def test_it_is_balanced_and_the_splits_differ() -> None:
    train, test = standin.draw("train"), standin.draw("test")
    assert np.bincount(train.labels).tolist() == [100] * 10
    assert np.bincount(test.labels).tolist() == [20] * 10
    seen = {picture.tobytes() for picture in train.pixels}
    assert len(seen) == 1000
    assert not seen & {picture.tobytes() for picture in test.pixels}


def test_it_is_the_same_every_time_and_touches_no_global_generator() -> None:
    np.random.seed(1)
    standin.draw.cache_clear()
    first = hashlib.sha256(standin.draw("test").pixels.tobytes()).hexdigest()
    after = np.random.random()
    standin.draw.cache_clear()
    assert hashlib.sha256(standin.draw("test").pixels.tobytes()).hexdigest() == first
    np.random.seed(1)
    assert np.random.random() == after


def test_a_small_convolutional_net_learns_it() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = residual_net(blocks=2)
        optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
        for _ in range(2):
            for images, labels in fashion_mnist(50):
                optimizer.zero_grad()
                torch.autograd.backward(F.cross_entropy(net(images), labels))
                optimizer.step()
        images, labels = next(iter(fashion_mnist(200, split="test")))
        # in train mode, whose batch statistics need no long average
        accuracy = (net(images).argmax(1) == labels).float().mean().item()
    assert accuracy > 0.9
