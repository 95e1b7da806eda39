"""Chains: every way of stacking layers gives the same links, and what is unknown breaks the chain."""

from __future__ import annotations

from textwrap import indent

import pytest
from gradlint.semantics.layers import Link, LinkKind, function_kind, layer_kind, method_kind

from tests.lint.linting import unit

HEAD = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\nfrom collections import OrderedDict\n"
SHORT = {"torch.nn.Linear": "L", "opaque": "?"}


def word(link: Link) -> str:
    """`L` linear, `C` conv, `N` norm, `+` residual, `?` opaque, an activation by name; bypassed ones in brackets."""
    letters = {
        LinkKind.LINEAR: "L", LinkKind.CONV: "C", LinkKind.NORM: "N", LinkKind.RESIDUAL: "+", LinkKind.OPAQUE: "?",
        LinkKind.POOL: "P", LinkKind.RESHAPE: "r", LinkKind.DROPOUT: "D", LinkKind.RNN: "R", LinkKind.OTHER: "o",
    }  # fmt: skip
    text = link.activation or letters.get(link.kind, link.kind.value)
    return f"[{text}]" if link.bypassed else text


def chains(code: str) -> list[str]:
    return [" ".join(map(word, chain.links)) for chain in unit(HEAD + code).chains.all]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("nn.Sequential(nn.Linear(2, 3), nn.Sigmoid())", "L sigmoid"),
        ("nn.Sequential(nn.Sequential(nn.Linear(2, 3)), nn.Sequential(nn.ReLU()))", "L relu"),
        ("nn.Sequential(OrderedDict([('a', nn.Linear(2, 3)), ('b', nn.Tanh())]))", "L tanh"),
        ("nn.Sequential(OrderedDict({'a': nn.Linear(2, 3), 'b': nn.Tanh()}))", "L tanh"),
        ("nn.Sequential(*[nn.Linear(2, 2), nn.ReLU()], nn.Tanh())", "L relu tanh"),
        ("nn.Sequential(*[nn.Linear(2, 2) for _ in range(3)])", "L L L"),
        ("nn.Sequential(*(nn.Linear(2, 2) for _ in range(3)))", "L L L"),
        ("nn.Sequential(*([nn.Linear(2, 2), nn.ReLU()] * 2))", "L relu L relu"),
        ("nn.Sequential(*(2 * [nn.ReLU()] + [nn.Tanh()]))", "relu relu tanh"),
        ("nn.Sequential(*[nn.Linear(2, 2) for _ in range(n)])", None),
        ("nn.Sequential(*[nn.Linear(2, 2) for i in range(3) if i], nn.ReLU())", "? relu"),
        ("nn.Sequential(nn.Linear(2, 2), make(), nn.ReLU())", "L ? relu"),
        ("nn.Sequential(nn.Linear(2, 2), nn.ReLU() if x else nn.Tanh())", "L ?"),
        ("act = nn.ReLU()\nnn.Sequential(nn.Linear(2, 2), act)", "L relu"),
        ("act = nn.ReLU()\nact = nn.Tanh()\nnn.Sequential(nn.Linear(2, 2), act)", "L ?"),
        ("def f(act): nn.Sequential(nn.Linear(2, 2), act)", "L ?"),
        ("layers = []\nlayers += [nn.Linear(2, 2)]\nlayers.append(nn.ReLU())\nnn.Sequential(*layers)", "L relu"),
        ("layers = [nn.Tanh()]\nfor i in range(2):\n    layers.append(nn.Linear(i, 2))\nnn.Sequential(*layers)",
         "tanh L L"),
        ("layers = []\nfor i in (1, 2):\n    for j in range(2):\n        layers.extend([nn.ReLU()])\n"
         "nn.Sequential(*layers)",
         "relu relu relu relu"),
        ("def f():\n    layers: list = [nn.ReLU()]\n    print(len(layers))\n    return nn.Sequential(*layers)", "relu"),
        ("def f(n):\n    layers = [nn.ReLU()]\n    if n:\n        return nn.Sequential(*layers)", "relu"),
        ("layers = [nn.ReLU()]\nlayers2 = layers\nnn.Sequential(nn.Tanh(), *layers)", "tanh ?"),
        ("layers = [nn.ReLU()]\nfill(layers)\nnn.Sequential(nn.Tanh(), *layers)", "tanh ?"),
        ("layers = [nn.ReLU()]\nif x:\n    layers.append(nn.Tanh())\nnn.Sequential(nn.Tanh(), *layers)", "tanh ?"),
        ("layers = [nn.ReLU()]\nlayers.insert(0, nn.Tanh())\nnn.Sequential(nn.Tanh(), *layers)", "tanh ?"),
        ("layers = [nn.ReLU()]\nfor i in range(n):\n    layers.append(nn.Tanh())\nnn.Sequential(nn.Tanh(), *layers)",
         "tanh ?"),
        ("layers = [nn.ReLU()]\nfor i in range(2):\n    if i: break\n    layers.append(nn.Tanh())\n"
         "nn.Sequential(nn.Tanh(), *layers)", "tanh ?"),
        ("def f(layers): nn.Sequential(nn.Tanh(), *layers)", "tanh ?"),
        ("nn.Sequential(*[m for _ in range(2) for m in (nn.Linear(2, 2), nn.ReLU())])", "L relu L relu"),
        ("d = [4, 3, n]\nnn.Sequential(*[nn.Linear(a, b) for a, b in zip(d[:-1], d[1:])])", "L L"),
        ("d = [4, 3]\nd.append(2)\nnn.Sequential(nn.ReLU(), *[nn.Linear(a, b) for a, b in zip(d[:-1], d[1:])])",
         "relu ?"),
        ("s = nn.Sequential()\nfor i in range(2):\n    s.add_module(f'l{i}', nn.Linear(2, 2))\ns.append(nn.ReLU())",
         "L L relu"),
        ("s = nn.Sequential(nn.ReLU())\nif x:\n    s.append(nn.Tanh())\nnn.Sequential(nn.Tanh(), s)", "tanh ?"),
        ("def f(n):\n    return nn.Sequential(nn.Linear(2, n), nn.ReLU())\nnn.Sequential(f(2), f(3))", "L relu L relu"),
        ("def f(n):\n    m = [nn.ReLU()]\n    for i in range(n):\n        if i < n - 1:\n"
         "            m.append(nn.Tanh())\n    return m\nnn.Sequential(*f(3))", "relu tanh tanh"),
        ("def f(n):\n    if n: return nn.ReLU()\n    return nn.Tanh()\nnn.Sequential(nn.GELU(), f(1))", "gelu ?"),
        ("def f(n):\n    return nn.Sequential(f(n))\nnn.Sequential(nn.GELU(), f(1))", "gelu ?"),
        ("class S(nn.Sequential):\n    def __init__(self):\n        super().__init__(nn.Linear(2, 2), nn.ReLU())",
         "L relu"),
    ],
)  # fmt: skip
def test_sequentials(code: str, expected: str | None) -> None:
    assert chains(code) == ([] if expected is None else [expected])


NET = """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 2)
    def forward(self, x):
        return F.gelu(self.fc(x))
class Odd(nn.Module):
    def forward(self, x):
        return make(x)
class Net(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.fc1 = nn.Linear(2, 3)
        self.fc2 = nn.Linear(3, 3, bias=False)
        self.act = nn.Tanh()
        self.norm = nn.LayerNorm(3)
        self.body = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
        self.rest = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])
        self.grown = nn.ModuleList([nn.Linear(3, 3)])
        self.grown.append(nn.Linear(3, 3))
        self.many = nn.ModuleList([nn.Linear(3, 3) for _ in range(n)])
        self.block = Block()
        self.odd = Odd()
        self.given = n
        for i in range(2):
            self.add_module(f"made{i}", nn.Linear(3, 3))
        self.built = self.build(3)
        self.deep = nn.Sequential(nn.Sequential(nn.Linear(3, 3), nn.Tanh()), nn.ReLU())
        self.plain = torch.sigmoid
        self.w = nn.Parameter(torch.ones(3, 3))
        self.b = nn.Parameter(torch.ones(3))
        self.table = nn.ModuleDict({"one": nn.Linear(3, 3)})
        if n:
            self.maybe = nn.ReLU()
    def build(self, n):
        return nn.Sequential(nn.Linear(n, n), nn.ReLU())
    def helper(self, y):
        return self.act(self.fc2(y))
    def two(self, y):
        if y:
            return y
        return self.fc1(y)
    def forward(self, x, other=None):
{forward}
"""


@pytest.mark.parametrize(
    ("forward", "expected"),
    [
        ("x = self.fc1(x)\nx = torch.sigmoid(x)\nreturn self.fc2(x)", ["L sigmoid L"]),
        ("return self.act(self.fc1(x))", ["L tanh"]),
        ("return F.relu(self.fc1(input=x))", ["L relu"]),
        ("return self.fc1(x).sigmoid().view(1)", ["L sigmoid r"]),
        ("return x.flatten(1).relu_()", ["r relu"]),
        ("return self.body(x)", ["L relu"]),
        ("return nn.Tanh()(self.fc1(x))", ["L tanh"]),
        ("return self.act(self.built[0](x))", ["L tanh"]),
        ("return self.act(self.deep[1](x))", ["relu tanh"]),
        (
            "for i, layer in enumerate(self.rest):\n    x = layer(x)\n    if i < len(self.rest) - 1:\n"
            "        x = x.relu()\nreturn x",
            ["L relu L"],
        ),
        ("for layer in self.rest[:-1]:\n    x = layer(x).relu()\nreturn self.rest[-1](x)", ["L relu L"]),
        ("for layer in (self.fc1, self.fc2):\n    x = layer(x)\nreturn x", ["L L"]),
        ("for i in range(2):\n    x = getattr(self, f'made{i}')(x)\nreturn self.act(x)", ["L L tanh"]),
        ("return self.plain(self.built(x))", ["L relu sigmoid"]),
        ("return self.act(x @ self.w + self.b)", ["L tanh"]),
        ("return self.act(self.table['one'](x))", ["L tanh"]),
        ("for layer in self.rest:\n    x = F.relu(layer(x))\nreturn x", ["L relu L relu"]),
        ("for i in range(2):\n    x = self.rest[i](x)\nreturn x", ["L L"]),
        ("for _ in range(3):\n    x = self.fc2(x)\nreturn x", ["L L L"]),
        ("for layer in self.rest:\n    x = x + layer(x)\nreturn x", ["[L] + [L] +"]),
        ("return self.body(x) + x", ["[L] [relu] +"]),
        ("y = self.fc1(x)\nx = x + y\nreturn self.act(x)", ["[L] + tanh"]),
        ("x += self.fc1(x)\nreturn x", ["[L] +"]),
        ("return self.fc1(x) + self.fc2(x)", ["L +", "L"]),
        ("x = self.fc1(x)\nreturn self.fc2(x * 2)", ["L", "? L"]),
        ("x = self.fc1(x)\nreturn self.fc2(x + 1)", ["? L", "L"]),
        ("x = self.fc1(x)\nreturn self.fc2(torch.cat([x, x]))", ["L", "? L"]),
        ("return self.act(self.fc1(x)) * self.fc2(x)", ["L tanh", "L"]),
        ("x = self.fc1(x)\nx = self.given(x)\nreturn self.fc2(x)", ["L ? L"]),
        ("return self.fc2(self.maybe(self.fc1(x)))", ["L ? L"]),
        ("if other:\n    x = self.fc1(x)\nreturn self.fc2(x)", ["? L", "L"]),
        ("if other:\n    x = self.fc1(x)\nelse:\n    x = self.act(x)\nreturn x", ["L", "tanh"]),
        ("if other:\n    return self.fc1(x)\nreturn self.act(x)", ["L", "tanh"]),
        ("if other:\n    raise E\nx = self.fc1(x)\nreturn x", ["L"]),
        ("if other:\n    print(1)\nreturn self.act(self.fc1(x))", ["L tanh"]),
        ("with torch.no_grad():\n    x = self.fc1(x)\nreturn self.act(x)", ["L tanh"]),
        ("while other:\n    x = self.fc1(x)\nreturn self.act(x)", ["? tanh"]),
        ("try:\n    x = self.fc1(x)\nexcept E:\n    pass\nreturn self.act(x)", ["? tanh"]),
        ("for layer in self.many:\n    x = layer(x)\nreturn self.act(x)", ["? tanh"]),
        ("for layer in self.grown:\n    x = layer(x)\nreturn self.act(x)", ["L L tanh"]),
        ("x = self.helper(self.fc1(x))\nreturn x", ["L L tanh"]),
        ("x = self.two(x)\nreturn self.act(x)", ["? tanh", "L"]),
        ("return self.act(self.block(x))", ["L gelu tanh"]),
        ("return self.act(self.odd(x))", ["? tanh"]),
        ("return self.act(unknown(x))", ["? tanh"]),
        ("return self.act(self.fc1(other))", ["? L tanh"]),
        ("return self.act(x), self.fc1(x)", ["tanh", "L"]),
        ("return self.act(x if other else self.fc1(x))", ["? tanh", "L"]),
        ("return self.norm(x[:, 0])", ["r N"]),
        ("if (y := self.fc1(x)) is None:\n    pass\nreturn self.act(y)", ["? tanh"]),
        ("y = (z := self.fc1(x))\nreturn self.act(z)", ["L tanh"]),
        ("layer = self.fc1\nreturn self.act(layer(x))", ["L tanh"]),
        ("x, y = self.fc1(x), x\nreturn self.act(x)", ["? tanh", "L"]),
        ("del x\nreturn self.act(x)", ["? tanh"]),
        ("self.kept = self.fc1(x)\nreturn self.act(x)", ["L", "tanh"]),
    ],
)
def test_forward(forward: str, expected: list[str]) -> None:
    code = HEAD + NET.replace("{forward}", indent(forward, " " * 8))
    found = [chain for chain in unit(code).chains.all if chain.owner and chain.owner.node.name.value == "Net"]
    assert sorted(" ".join(map(word, chain.links)) for chain in found) == sorted(expected)


def test_an_instance_with_literal_arguments_gives_its_depth() -> None:
    code = """
class Net(nn.Module):
    def __init__(self, depth, width=4):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(depth)])
    def forward(self, x):
        for layer in self.layers:
            x = layer(x).relu()
        return x
"""
    assert chains(code) == []
    assert chains(code + "Net(2)\nNet(depth=3)\nNet(n)") == ["L relu L relu", "L relu L relu L relu"]
    assert chains(code + "nn.Sequential(*[Net(1) for _ in range(2)], nn.Tanh())")[-1] == "L relu L relu tanh"


def test_a_sequential_that_a_class_passes_is_not_listed_again() -> None:
    code = NET.replace("{forward}", "        return self.deep(self.built(self.body(x)))")
    found = unit(HEAD + code).chains
    assert [chain.owner.node.name.value if chain.owner else "" for chain in found.all] == ["Block", "Net"]
    assert [len(chain.links) for chain in found.of(unit(HEAD + code).classes.all[0])] == []


def test_links_know_dims_bias_names_and_places() -> None:
    code = """
n = 4
nn.Sequential(nn.Linear(n, 2 * n, bias=False), nn.Conv2d(3, out_channels=m, kernel_size=3), nn.Linear(*a), nn.ReLU())
"""
    u = unit(HEAD + code)
    (chain,) = u.chains.all
    linear, conv, starred, relu = chain.links
    assert (linear.in_features, linear.out_features, linear.bias, linear.name) == (4, 8, False, "torch.nn.Linear")
    assert (conv.in_features, conv.out_features, conv.bias) == (3, None, True)
    assert (starred.in_features, starred.out_features) == (None, None)
    assert (relu.kind, relu.activation, relu.bias) == (LinkKind.ACTIVATION, "relu", None)
    assert u.source.slice(u.positions.range(relu.node)) == "nn.ReLU()"
    assert linear.has_weight and conv.has_weight and not relu.has_weight


def test_runs_break_at_norms_residuals_and_the_unknown() -> None:
    (chain,) = unit(HEAD + "nn.Sequential(nn.ReLU(), nn.BatchNorm1d(2), nn.Tanh(), nn.GELU(), make())").chains.all
    assert [" ".join(map(word, run)) for run in chain.runs()] == ["relu", "tanh gelu"]
    assert [len(run) for run in chain.runs(lambda link: link.kind is LinkKind.OPAQUE)] == [4]


def test_a_chain_without_end_is_cut_and_opaque_there() -> None:
    (chain,) = unit(HEAD + "nn.Sequential(*[nn.Sequential(*(900 * [nn.ReLU()])) for _ in range(900)])").chains.all
    assert len(chain.links) == 1001
    assert chain.links[-1].kind is LinkKind.OPAQUE


@pytest.mark.parametrize(
    ("name", "kind", "activation"),
    [
        ("torch.nn.LazyLinear", LinkKind.LINEAR, None),
        ("torch.nn.ConvTranspose2d", LinkKind.CONV, None),
        ("torch.nn.BatchNorm2d", LinkKind.NORM, None),
        ("torch.nn.SyncBatchNorm", LinkKind.NORM, None),
        ("torch.nn.AdaptiveAvgPool2d", LinkKind.POOL, None),
        ("torch.nn.Dropout2d", LinkKind.DROPOUT, None),
        ("torch.nn.GRUCell", LinkKind.RNN, None),
        ("torch.nn.LeakyReLU", LinkKind.ACTIVATION, "leaky_relu"),
        ("torch.nn.Embedding", LinkKind.OTHER, None),
    ],
)
def test_layer_kinds(name: str, kind: LinkKind, activation: str | None) -> None:
    assert layer_kind(name) == (kind, activation)


def test_functions_and_methods_of_torch() -> None:
    assert function_kind("torch.nn.functional.leaky_relu_") == (LinkKind.ACTIVATION, "leaky_relu")
    assert function_kind("torch.special.expit") == (LinkKind.ACTIVATION, "sigmoid")
    assert function_kind("torch.nn.functional.batch_norm") == (LinkKind.NORM, None)
    assert function_kind("torch.nn.functional.bilinear") is None
    assert function_kind("torch.gelu") is None
    assert function_kind("numpy.tanh") is None
    assert method_kind("tanh_") == (LinkKind.ACTIVATION, "tanh")
    assert method_kind("detach") is None
    assert layer_kind("other.nn.Linear") is None
