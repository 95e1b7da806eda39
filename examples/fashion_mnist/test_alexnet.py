"""AlexNet on Fashion-MNIST: it trains, a forgotten scaling is caught, and batch normalisation cures it.

    pytest examples/fashion_mnist

Runs on the data set's own files where `FASHION_MNIST_ROOT` (or `--fashion-mnist-root`) names their folder, else on a
drawn stand-in with the same mean and deviation.
"""

from __future__ import annotations

import pytest

from pytest_gradcheck import TrainingFailure, alexnet


def test_alexnet_learns(smoke_train, fashion_mnist):
    run = smoke_train(lambda: alexnet(norm="batch"), fashion_mnist(batch_size=32, size=96), lr=0.02, steps=20)
    assert run.loss[-1] < 0.9 * run.loss[0]


def test_the_forgotten_scaling_is_caught(smoke_train, fashion_mnist):
    """Pixels in 0..255 instead of 0..1: the loss is nan within six steps, and the failure says so."""
    unscaled = fashion_mnist(batch_size=32, size=224, scale=False)
    with pytest.raises(TrainingFailure, match=r"AlexNet failed at step [1-6]: ") as caught:
        smoke_train(lambda: alexnet(init="xavier"), unscaled, lr=0.01, remedies=None)  # expected: nothing to try
    assert "the inputs of this step span 0 to 2" in str(caught.value)


def test_batch_normalisation_cures_it(smoke_train, fashion_mnist):
    """The same unscaled pixels, the same rate: with BatchNorm after each convolution the net is finite and learns."""
    unscaled = fashion_mnist(batch_size=32, size=224, scale=False)
    run = smoke_train(lambda: alexnet(init="xavier", norm="batch"), unscaled, lr=0.01, steps=12)
    assert min(run.loss[-3:]) < 0.9 * run.loss[0]
