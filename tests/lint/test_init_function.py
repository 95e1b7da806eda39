"""Init calls, what they fill, under which type tests, and what their functions are applied to."""

from __future__ import annotations

import pytest
from gradlint.semantics.init_function import Subject

from tests.lint.linting import unit

CODE = """
    import functools
    import torch.nn as N
    from torch.nn import init as I
    from torch.nn.init import zeros_
    class Net(N.Module):
        def __init__(self):
            super().__init__()
            self.fc = N.Linear(2, 2)
            I.ones_(self.fc.weight)
            for m in self.modules():
                if isinstance(m, (N.Linear, N.Conv2d)):
                    I.kaiming_normal_(m.weight, nonlinearity="relu")
                elif type(m) is N.LayerNorm:
                    zeros_(m.bias.data)
            self.apply(self._init)
        def _init(self, module):
            if hasattr(module, "weight"):
                I.normal_(module.weight, std=0.02)
        @staticmethod
        def _static(module):
            I.zeros_(module.bias)
    def init(m, gain=1):
        I.xavier_uniform_(m.weight, gain)
        helper.fill(m.bias)
    fill = lambda m: I.zeros_(m.bias) if isinstance(m, N.Linear) else None
    net = Net()
    net.apply(init)
    net.fc.apply(fill)
    net.apply(lambda m: I.ones_(m[0].bias))
    net.apply(functools.partial(init, gain=2))
    net.apply(unknown)
    zeros_(net.fc.bias)
"""


def test_calls_know_what_they_fill() -> None:
    found = unit(CODE).inits.calls
    facts = [(call.scheme, call.attribute, call.root.value if call.root else None, call.subject) for call in found]
    assert facts == [
        ("ones_", "weight", "self", Subject.SELF),
        ("kaiming_normal_", "weight", "m", Subject.EACH_MODULE),
        ("zeros_", "bias", "m", Subject.EACH_MODULE),
        ("normal_", "weight", "module", Subject.PARAMETER),
        ("zeros_", "bias", "module", Subject.PARAMETER),
        ("xavier_uniform_", "weight", "m", Subject.PARAMETER),
        ("zeros_", "bias", "m", Subject.PARAMETER),
        ("ones_", "bias", "m", Subject.PARAMETER),
        ("zeros_", "bias", "net", Subject.OTHER),
    ]
    assert found[3].argument(2, "std") is not None
    assert found[5].argument(1, "gain") is not None
    assert found[0].argument(1, "gain") is None


def test_calls_know_the_type_tests_around_them() -> None:
    assert [call.types for call in unit(CODE).inits.calls] == [
        frozenset(),
        {"torch.nn.Linear", "torch.nn.Conv2d"},
        {"torch.nn.LayerNorm"},
        {None},
        frozenset(),
        frozenset(),
        {"torch.nn.Linear"},
        frozenset(),
        frozenset(),
    ]


def test_functions_know_their_parameter_and_where_they_are_applied() -> None:
    u = unit(CODE)
    facts = [
        (
            function.parameter.name.value if function.parameter else None,
            [call.scheme for call in function.calls],
            [u.source.slice(u.positions.range(place.receiver)) for place in function.applied],
            [place.owner.node.name.value if place.owner else None for place in function.applied],
        )
        for function in u.inits.functions
    ]
    assert facts == [
        (None, ["ones_", "kaiming_normal_", "zeros_"], [], []),
        ("module", ["normal_"], ["self"], ["Net"]),
        ("module", ["zeros_"], [], []),
        ("m", ["xavier_uniform_"], ["net", "net"], [None, None]),
        ("m", ["zeros_"], ["net.fc"], [None]),
        ("m", ["ones_"], ["net"], [None]),
    ]


@pytest.mark.parametrize(
    "code", ["init.zeros_(x)", "def f(init): init.zeros_(x)", "from a import init\ninit.zeros_(x)"]
)
def test_what_is_not_torch_is_no_init_call(code: str) -> None:
    assert unit(code).inits.calls == ()
