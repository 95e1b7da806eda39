"""The pictures of docs/explanation, drawn from numbers that this package measures.

`python -m tests.docs.pictures` draws them into docs/pictures, with their numbers beside them in numbers.json, by which
a test sees a picture that is no longer true: the drawing itself differs between versions of matplotlib.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from pytest_gradcheck import gradient_flow
from pytest_gradcheck.models.small import deep_mlp
from tests.docs.snippets import ROOT

FOLDER = ROOT / "docs" / "pictures"
#: Curves by their label: each a list of x and one of y.
Curves = dict[str, tuple[list[float], list[float]]]
#: Nets of the picture "norms by depth": 20 layers of 128 units, as in the health rules' validation.
NETS = {
    "sigmoid, default init": ("sigmoid", "default"),
    "sigmoid, Xavier": ("sigmoid", "xavier"),
    "ReLU, default init": ("relu", "default"),
    "ReLU, He": ("relu", "he"),
    "tanh, Xavier": ("tanh", "xavier"),
    "ReLU, N(0, 1)": ("relu", "normal:1"),
}


def sigmoid() -> Curves:
    """The sigmoid and its derivative, by autograd: never above 1/4, and next to nothing away from zero."""
    x = torch.linspace(-8, 8, 161, dtype=torch.float64, requires_grad=True)
    y = torch.sigmoid(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    at = x.tolist()
    return {"sigmoid": (at, y.tolist()), "its derivative": (at, slope.tolist())}


def powers() -> Curves:
    """What fifty equal factors make of 1: 1.5 and 0.5."""
    depth = [float(number) for number in range(51)]
    return {f"{factor}**depth": (depth, [factor**number for number in depth]) for factor in (1.5, 1.0, 0.5)}


def matrices() -> Curves:
    """The largest entry of a product of up to fifty 4 x 4 matrices from N(0, 1), for three seeds."""
    curves = {}
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        product, sizes = torch.eye(4, dtype=torch.float64), []
        for _ in range(50):
            product = torch.randn(4, 4, generator=generator, dtype=torch.float64) @ product
            sizes.append(float(product.abs().amax()))
        curves[f"seed {seed}"] = ([float(number) for number in range(1, 51)], sizes)
    return curves


def depth() -> Curves:
    """Norm of the weight gradient of each of 20 layers after one backward pass, as `gradient_flow` measures it."""
    curves = {}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        batch = torch.randn(64, 784), torch.randint(10, (64,))
        for label, (activation, init) in NETS.items():
            torch.manual_seed(0)
            layers = gradient_flow(deep_mlp(activation=activation, init=init), batch).layers
            norms = [layer.gradient for layer in layers if layer.gradient is not None]
            curves[label] = ([float(number) for number in range(1, len(norms) + 1)], norms)
    return curves


def quotient() -> Curves:
    """Relative error of three difference quotients of sin at 1 by their step: truncation falls, roundoff rises."""
    right = math.cos(1.0)
    steps = [10 ** (-number / 4) for number in range(2, 53)]
    quotients: dict[str, Callable[[float], float]] = {
        "one-sided": lambda h: (math.sin(1 + h) - math.sin(1)) / h,
        "central": lambda h: (math.sin(1 + h) - math.sin(1 - h)) / (2 * h),
        "order 4": lambda h: (
            (8 * (math.sin(1 + h) - math.sin(1 - h)) - (math.sin(1 + 2 * h) - math.sin(1 - 2 * h))) / (12 * h)
        ),
    }
    # An error of exactly zero has no place on a log axis: it is drawn at the resolution of the numbers themselves.
    return {
        label: (steps, [max(abs(function(step) - right) / right, 2.0**-53) for step in steps])
        for label, function in quotients.items()
    }


#: Each picture: its curves, its title, the labels of its axes, and which of them are logarithmic.
PICTURES: dict[str, tuple[Callable[[], Curves], str, str, str, str]] = {
    "sigmoid": (sigmoid, "The sigmoid's derivative is at most 1/4", "x", "", ""),
    "powers": (powers, "Fifty equal factors", "depth", "product", "y"),
    "matrices": (matrices, "Products of 4 x 4 matrices from N(0, 1)", "factors", "largest entry", "y"),
    "depth": (depth, "Weight gradients of 20 layers at initialisation", "layer", "gradient norm", "y"),
    "quotient": (quotient, "Difference quotients of sin at 1", "step h", "relative error", "xy"),
}


def numbers(name: str) -> Curves:
    """The curves of a picture, to three digits: more cannot be seen."""
    curves = PICTURES[name][0]()
    return {label: ([_shown(value) for value in x], [_shown(value) for value in y]) for label, (x, y) in curves.items()}


def _shown(value: float) -> float:
    return float(f"{value:.3g}")


def draw(name: str, curves: Curves, path: Path) -> None:
    """Draw one picture as SVG."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot
    from matplotlib.ticker import MaxNLocator

    _, title, across, up, logarithmic = PICTURES[name]
    style: Any = {"svg.hashsalt": name, "svg.fonttype": "path", "axes.grid": True, "grid.alpha": 0.3}
    with mpl.rc_context({**style, "axes.spines.top": False, "axes.spines.right": False}):
        figure, axes = pyplot.subplots(figsize=(6.4, 3.6), layout="constrained")
        for label, (x, y) in curves.items():
            axes.plot(x, y, label=label, linewidth=1.8)
        axes.set(title=title, xlabel=across, ylabel=up)
        axes.set_xscale("log" if "x" in logarithmic else "linear")
        axes.set_yscale("log" if "y" in logarithmic else "linear")
        if "x" not in logarithmic:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.legend(frameon=False, fontsize="small", loc="outside right upper")
        figure.savefig(path, metadata={"Date": None, "Title": title})
        pyplot.close(figure)


def main() -> None:
    """Draws every picture."""
    FOLDER.mkdir(exist_ok=True)
    found = {name: numbers(name) for name in PICTURES}
    for name, curves in found.items():
        draw(name, curves, FOLDER / f"{name}.svg")
    (FOLDER / "numbers.json").write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
