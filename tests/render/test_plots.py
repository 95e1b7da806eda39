"""Each plot shows what it is for: a right gradient beside a wrong one, a healthy run beside a sick one."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from xml.etree import ElementTree

import pytest

pytest.importorskip("matplotlib")

from pytest_gradcheck.model.evidence import Elements
from pytest_gradcheck.render.plots import curves, elements, layers, svg, sweep
from tests.render import samples

TINY = 1e-9


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    with svg.own_style():
        yield


def points(drawn: str, name: str) -> list[tuple[float, float]]:
    """The coordinates of everything with a class."""
    paths = re.findall(rf'<path class="{name}" d="([^"]*)"', drawn)
    return [(float(x), float(y)) for path in paths for x, y in re.findall(r"[ML] ?(-?[\d.]+) (-?[\d.]+)", path)]


def parsed(drawn: str | None) -> str:
    assert drawn is not None
    ElementTree.fromstring(drawn)
    return drawn


def swept(factor: float) -> str:
    return parsed(sweep.Sweeps().draw(samples.sweep(factor), "axes"))


def band(name: str) -> tuple[float, float]:
    """Top and bottom of a band, in pixels."""
    heights = [y for _, y in points(sweep.frame((1e-5, 1e-3), "axes"), f"band {name}")]
    return min(heights), max(heights)


def test_a_right_gradient_draws_a_v_down_into_the_good_band_and_a_wrong_one_stays_up() -> None:
    top, bottom = band("good")
    right, wrong = points(swept(1.0), "fourth"), points(swept(2.0), "fourth")
    assert sum(top < y <= bottom for _, y in right) > 20
    assert all(y < band("wrong")[1] for _, y in wrong)
    lowest = max(right, key=lambda point: point[1])[0]
    assert min(x for x, _ in right) + 50 < lowest  # noise takes over at small steps: the left arm rises again


def test_the_error_of_a_quotient_is_drawn_where_it_belongs() -> None:
    wrong = points(swept(1.0002), "second")
    top, bottom = band("suspicious")
    assert sum(top < y < bottom for _, y in wrong) > 20


def test_error_bars_and_the_estimate_that_was_used() -> None:
    drawn = swept(1.0)
    assert len(points(drawn, "bars")) == 2 * 17 and len(points(drawn, "best")) == 1
    none = replace(samples.sweep(), numeric=math.nan, error_bar=math.inf, step=math.nan)
    assert not points(parsed(sweep.Sweeps().draw(none, "axes")), "best")


def test_a_sweep_off_its_domain_and_of_nothing() -> None:
    plain = samples.sweep()
    half = replace(plain, quotients=(math.nan,) * 20 + plain.quotients[20:])
    assert 0 < len(points(sweep.Sweeps().draw(half, "axes"), "second")) <= 14
    empty = replace(plain, quotients=(math.nan,) * 34, autograd=0.0, numeric=0.0, noise=0.0)
    assert not points(parsed(sweep.Sweeps().draw(empty, "axes")), "second")


def test_plots_after_each_other_do_not_mix() -> None:
    drawer = sweep.Sweeps()
    first = drawer.draw(samples.sweep(), "axes")
    drawer.draw(samples.sweep(2.0), "axes")
    assert drawer.draw(samples.sweep(), "axes") == first


def test_wrong_elements_leave_the_line() -> None:
    drawn = parsed(elements.Scatters().draw(samples.elements(40, 1.1, range(3)), "weight", 1e-5, "axes"))
    assert len(points(drawn, "dot")) == 37 and len(points(drawn, "dot off")) == 3
    assert "3 off the line" in drawn


def test_noise_inside_its_bar_is_no_difference() -> None:
    noisy = Elements((0, 1), (1.0, 1.0), (1e-3, 1e-3), (1e-2, 1e-9))
    drawn = elements.Scatters().draw(noisy, "weight", 1e-5, "axes")
    assert len(points(drawn, "dot")) == len(points(drawn, "dot off")) == 1


def test_values_that_are_no_numbers_are_left_out() -> None:
    broken = Elements((0, 1, 2), (math.nan, 1.0, math.inf), (0.0, math.nan, 0.0), (0.0, 0.0, 0.0))
    assert not points(parsed(elements.Scatters().draw(broken, "weight", 1e-5, "axes")), "dot")
    assert "<image" in parsed(elements.HeatMaps().draw(broken, (3,), "weight"))


@pytest.mark.parametrize(
    ("shape", "grid", "said"),
    [
        ((7,), (1, 7), "element"),
        ((3, 5), (3, 5), "axis 1"),
        ((4, 3, 2, 2), (4, 12), "axes 1 to 3, one after the other"),
    ],
)
def test_a_map_has_the_tensors_shape(shape: tuple[int, ...], grid: tuple[int, int], said: str) -> None:
    assert elements.grid(shape) == grid
    drawn = parsed(elements.HeatMaps().draw(samples.elements(math.prod(shape)), shape, "weight"))
    assert f'width="{grid[1]}" height="{grid[0]}"' in drawn and f">{said}</text>" in drawn
    assert (">axis 0</text>" in drawn) == (len(shape) > 1)


def test_a_map_shows_where() -> None:
    right = elements.HeatMaps().draw(samples.elements(64), (8, 8), "weight")
    wrong = elements.HeatMaps().draw(samples.elements(64, 2.0, range(8)), (8, 8), "weight")
    assert right is not None and wrong is not None and right != wrong
    assert elements._colour(1.0) == len(elements.COLOURS) - 1 == elements._colour(math.inf)
    assert elements._colour(0.0) == 0 < elements._colour(1e-6) < elements._colour(1e-2)


@pytest.mark.parametrize("shape", [(), (1,), (1000, 1000)])
def test_no_map_where_there_is_nothing_to_map(shape: tuple[int, ...]) -> None:
    assert elements.HeatMaps().draw(samples.elements(1), shape, "weight") is None


def test_the_loss_breaks_off_where_it_is_nan() -> None:
    run = samples.training()
    drawn = parsed(curves.loss(run))
    assert len(points(drawn, "curve")) == 19 and len(points(drawn, "failed")) == 2
    assert "loss, log axis" in drawn
    healthy = parsed(curves.loss(samples.training(failing=False)))
    assert len(points(healthy, "curve")) == 20 and not points(healthy, "failed") and "log axis" not in healthy
    assert curves.loss(replace(run, loss=[math.nan])) is None


def test_one_curve_a_seed() -> None:
    runs = tuple(replace(samples.training(failing=False), seed=seed) for seed in range(3))
    drawn = parsed(curves.loss(replace(runs[0], seeds=runs)))
    assert len(points(drawn, "curve")) == 20 and len(points(drawn, "curve other")) == 40


def test_gradient_norms_by_layer_are_ordered_by_depth() -> None:
    run = samples.training()
    drawn = parsed(curves.gradient_norms(run, run.health))
    first, last = points(drawn, "shade0"), points(drawn, "shade7")
    assert len(first) == len(last) == 20
    assert min(y for _, y in first) > max(y for _, y in last)  # the first layer's gradient is the smallest
    assert parsed(curves.gradient_norms(run, None)) != drawn


def test_updates_cross_their_limits() -> None:
    drawn = parsed(curves.updates(samples.health()))
    (_, limit), *_ = points(drawn, "limit")
    curve = [y for _, y in points(drawn, "curve")]
    assert curve[0] > limit > curve[-1]
    assert curves.updates(replace(samples.health(), updates=())) is None


def test_norms_by_depth_rise_towards_the_output_where_gradients_vanish() -> None:
    sample = samples.health().samples[0]
    drawn = parsed(layers.by_depth([("last", sample.layers)]))
    heights = [y for _, y in points(drawn, "curve last")]
    assert len(heights) == 8 and heights == sorted(heights, reverse=True)
    assert layers.by_depth([("last", sample.layers[:1])]) is None


def test_histograms_of_every_weight_and_none_of_nothing() -> None:
    sample = samples.health().samples[0]
    drawn = parsed(layers.histograms(sample.histograms))
    assert all(f">features.{2 * k}.weight</text>" in drawn for k in range(8))
    assert layers.histograms([replace(each, counts=()) for each in sample.histograms]) is None


def test_dead_and_saturated_units_stand_out() -> None:
    drawn = parsed(layers.units(samples.health().samples[0].layers))
    assert points(drawn, "filled dead") and points(drawn, "filled dead sick")
    assert points(parsed(layers.units(samples.flow().layers)), "filled saturated sick")
    assert layers.units([samples.layer(0, 1, 0.0)]) is None


def test_a_deep_net_does_not_flood_the_page() -> None:
    health = samples.health(layers=300)
    run = replace(samples.training(), health=health)
    assert len(parsed(curves.gradient_norms(run, health))) < 60_000
    assert len(parsed(layers.histograms(health.samples[0].histograms))) < 20_000
    assert len(parsed(layers.units(health.samples[0].layers))) < 10_000
