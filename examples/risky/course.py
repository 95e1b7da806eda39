"""Code that trains badly, or not at all: what gradlint is for. Do not copy it."""

import torch
from torch import nn


def xavier(m):
    if type(m) == nn.Linear:
        nn.init.xavier_uniform_(n.weight)


class Deep(nn.Module):
    """Eight sigmoids: the gradient at the first layer is at most 0.25**8 of that at the last."""

    def __init__(self):
        super().__init__()
        layers = []
        for _ in range(8):
            layers += [nn.Linear(64, 64), nn.Sigmoid()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(64, 10)
        self.apply(xavier)

    def forward(self, x):
        return torch.log(torch.softmax(self.head(self.body(x)), dim=-1))
