"""Reference nets for smoke runs: AlexNet, a deep multilayer perceptron and a small residual net."""

from pytest_gradcheck.models.alexnet import AlexNet, alexnet
from pytest_gradcheck.models.small import ResidualNet, deep_mlp, residual_net

__all__ = ["AlexNet", "ResidualNet", "alexnet", "deep_mlp", "residual_net"]
