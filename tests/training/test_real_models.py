"""Nets that people train, beyond plain classifiers: healthy ones are not called sick, sick ones not wrongly."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pytest_gradcheck.errors import TrainingFailure, UsageProblem
from pytest_gradcheck.model import TrainingReport
from pytest_gradcheck.models.small import deep_mlp
from pytest_gradcheck.training import gradient_flow, train_smoke, watch


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


X, Y = drawn(32, 20), torch.arange(32) % 4


def mlp(inputs: int = 20, outputs: int = 4) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, outputs)
    )  # fmt: skip


class Calling(nn.Module):
    """Some layers, and what is done with them."""

    def __init__(self, does: Callable[..., Any], **layers: nn.Module) -> None:
        super().__init__()
        self.does = does
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, *inputs: Any) -> Any:
        return self.does(self, *inputs)


class Scaled(nn.Module):
    """A block that starts as the identity (ReZero)."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.gain = nn.Linear(64, 64), nn.Parameter(torch.zeros(()))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = inputs + self.gain * self.layer(inputs).relu()
        return out


def adapted() -> nn.Module:
    def layer(inputs: int, outputs: int) -> nn.Module:
        base, down, up = nn.Linear(inputs, outputs), nn.Linear(inputs, 4), nn.Linear(4, outputs)
        base.requires_grad_(False)
        nn.init.zeros_(up.weight)
        return Calling(lambda self, x: self.base(x) + self.up(self.down(x)), base=base, down=down, up=up)

    return nn.Sequential(layer(20, 64), nn.GELU(), layer(64, 64), nn.GELU(), layer(64, 4))


def zero_head() -> nn.Module:
    net = mlp()
    nn.init.zeros_(net[4].weight)  # type: ignore[arg-type]
    return net


def experts(dense: bool) -> nn.Module:
    """Eight experts of which every sample asks one: some get no sample."""

    def route(self: Any, inputs: torch.Tensor) -> torch.Tensor:
        hidden = self.stem(inputs).relu()
        weight, choice = self.router(hidden).softmax(1).max(1)
        out = hidden
        for place, expert in enumerate(self.experts):
            if dense:
                out = out + (weight * (choice == place))[:, None] * expert(hidden)
            else:
                mine = (choice == place).nonzero()[:, 0]
                out = out.index_add(0, mine, expert(hidden[mine]) * weight[mine, None])
        scores: torch.Tensor = self.head(out)
        return scores

    made = nn.ModuleList(nn.Sequential(nn.Linear(32, 32), nn.GELU(), nn.Linear(32, 32)) for _ in range(8))
    return Calling(route, stem=nn.Linear(20, 32), router=nn.Linear(32, 8), experts=made, head=nn.Linear(32, 4))


def policy() -> nn.Module:
    net = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 2))
    nn.init.orthogonal_(net[4].weight, 0.01)  # type: ignore[arg-type]
    return net


def policy_loss(scores: torch.Tensor, played: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    action, advantage = played
    return -(scores.log_softmax(1).gather(1, action[:, None])[:, 0] * advantage).mean()


def half(inputs: int, outputs: int) -> nn.Module:
    return deep_mlp(4, 64, inputs, outputs, activation="tanh", init="xavier")


def timed() -> nn.Module:
    def noise(self: Any, inputs: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        angles = time[:, None] * torch.exp(-torch.arange(16) / 2)
        out: torch.Tensor = self.out(self.data(inputs) + self.time(torch.cat([angles.sin(), angles.cos()], 1)))
        return out

    out = nn.Sequential(nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 2))
    return Calling(
        noise, data=nn.Linear(2, 64), time=nn.Sequential(nn.Linear(32, 64), nn.SiLU(), nn.Linear(64, 64)), out=out
    )


def heads() -> nn.Module:
    return Calling(lambda self, x: (self.first(x), self.second(x)), first=mlp(), second=mlp())


def teacher() -> nn.Module:
    def both(self: Any, inputs: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            keys = F.normalize(self.key(inputs), dim=1)
        scores: torch.Tensor = F.normalize(self.query(inputs), dim=1) @ keys.T / 0.2
        return scores

    return Calling(both, query=mlp(outputs=16), key=mlp(outputs=16))


PLAYED = [
    (drawn(64, 4, seed=step), (torch.arange(64) % 2, F.layer_norm(drawn(64, seed=step + 50), (64,))))
    for step in range(20)
]
WORDS = torch.zeros(32, 2000)
WORDS[torch.arange(32)[:, None], torch.arange(32 * 20).view(32, 20) % 400] = 1.0
TRIPLET = (X, X + 0.01 * drawn(32, 20, seed=1), 4 * drawn(32, 20, seed=2))
SQUARES = torch.nn.functional.mse_loss
HEALTHY: dict[str, tuple[Callable[[], nn.Module], list[Any], dict[str, Any]]] = {
    "low-rank adapters": (adapted, [(X, Y)], {"optimizer": "adam"}),
    "a last layer of zeros": (zero_head, [(X, Y)], {"lr": 0.1}),
    "residual branches of zeros": (lambda: nn.Sequential(nn.Linear(20, 64), *(Scaled() for _ in range(6)), nn.Linear(64, 4)), [(X, Y)], {"lr": 0.05}),  # noqa: E501
    "a head that the loss does not read": (heads, [(X, Y)], {"loss": lambda out, y: F.cross_entropy(out[0], y)}),
    "experts without samples": (lambda: experts(dense=False), [(X[:8], Y[:8])], {}),
    "experts weighted by zero": (lambda: experts(dense=True), [(X[:8], Y[:8])], {}),
    "a policy whose last layer starts small": (policy, PLAYED, {"loss": policy_loss, "lr": 0.05}),
    "a policy under Adam": (policy, PLAYED, {"loss": policy_loss, "optimizer": "adam", "lr": 3e-4}),
    "a classifier that ends sure": (
        lambda: nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 1), nn.Sigmoid()),
        [(X, (Y % 2).float()[:, None])],
        {"loss": F.binary_cross_entropy, "optimizer": "adam", "lr": 0.03, "steps": 33},
    ),
    "batches of one": (mlp, [(drawn(1, 20, seed=each), torch.tensor([each % 4])) for each in range(8)], {}),
    "a norm before all else": (lambda: nn.Sequential(nn.BatchNorm1d(20), mlp()), [(X * 80, Y)], {}),
    "time steps up to 1000": (
        timed, [((drawn(32, 2), torch.arange(32) * 31.0), drawn(32, 2, seed=3))],
        {"loss": SQUARES, "optimizer": "adam", "lr": 1e-3},
    ),
    "a teacher that is not trained": (teacher, [(X, torch.arange(32))], {"lr": 0.05}),
    "words that no sample has": (lambda: mlp(2000), [(WORDS, Y)], {"lr": 1e-3}),
    "triplets that are far apart": (
        lambda: Calling(lambda self, *each: tuple(map(self.net, each)), net=mlp(outputs=16)), [(TRIPLET, Y)],
        {"loss": lambda out, _: F.triplet_margin_loss(out[0], out[1], out[2], margin=0.01)},
    ),
    "an embedding with sparse gradients": (
        lambda: nn.Sequential(nn.EmbeddingBag(50, 16, sparse=True), nn.Linear(16, 4)),
        [(torch.arange(96).view(32, 3) % 50, Y)], {"lr": 0.05},
    ),
    "a sparse adjacency matrix": (
        lambda: Calling(lambda self, x, near: near @ self.net(x), net=mlp()), [((X, torch.eye(32).to_sparse()), Y)], {},
    ),
    "a mask among the inputs": (
        lambda: Calling(lambda self, x, mask: self.net(torch.softmax(x @ x.T + mask, 1) @ x), net=mlp()),
        [((X, torch.full((32, 32), -1e9).triu(1)), Y), ((X, torch.full((32, 32), -math.inf).triu(1)), Y)], {},
    ),
    "one large step between two halves": (
        lambda: Calling(lambda self, x: self.last(0.01 * self.first(x)), first=half(20, 64), last=half(64, 4)),
        [(X, Y)], {"lr": 0.01},
    ),
}  # fmt: skip


def half_dead() -> nn.Module:
    """Looks at ten places of each sample; most units of its first layer are dead."""
    net = mlp()
    with torch.no_grad():
        net[0].bias[:48] = -100.0  # type: ignore[operator]
    return Calling(lambda self, x: self.net(x).mean(1), net=net)


def detached() -> nn.Module:
    def both(self: Any, inputs: torch.Tensor) -> torch.Tensor:
        hidden = self.first(inputs).relu()
        scores: torch.Tensor = self.last(hidden + self.branch(hidden).relu().detach())
        return scores

    return Calling(both, first=nn.Linear(20, 64), branch=nn.Linear(64, 64), last=nn.Linear(64, 4))


def routed() -> nn.Module:
    def route(self: Any, inputs: torch.Tensor) -> torch.Tensor:
        choice = self.router(inputs).argmax(1)[:, None]
        return torch.where(choice == 0, self.first(inputs), self.second(inputs))

    return Calling(route, router=nn.Linear(20, 2), first=nn.Linear(20, 4), second=nn.Linear(20, 4))


def recurrent() -> nn.Module:
    def unroll(self: Any, inputs: torch.Tensor) -> torch.Tensor:
        state = inputs
        for _ in range(80):
            state = self.again(state) + self.fed(inputs)
        scores: torch.Tensor = self.out(state)
        return scores

    again = nn.Linear(20, 20)
    nn.init.normal_(again.weight)
    return Calling(unroll, again=again, fed=nn.Linear(20, 20), out=nn.Linear(20, 4))


def masked() -> nn.Module:
    mask = torch.arange(32)[:, None] == 5
    return Calling(lambda self, x: self.net(x.masked_fill(mask, -math.inf).softmax(1)), net=mlp())


def half_held(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters[4:], lr=0.1)


def spelled(transcript: int) -> Callable[[torch.Tensor, Any], torch.Tensor]:
    letters, frames = torch.ones(1, transcript, dtype=torch.long), torch.tensor([4])
    return lambda out, _: F.ctc_loss(out, letters, frames, torch.tensor([transcript]))


PLACES = (drawn(16, 10, 20), torch.arange(16) % 4)
SICK: dict[str, tuple[Callable[[], nn.Module], list[Any], dict[str, Any]]] = {
    "a branch that is detached": (detached, [(X, Y)], {}),
    "a router that only argmax reads": (routed, [(X, Y)], {}),
    "layers that no optimizer holds": (mlp, [(X, Y)], {"optimizer": half_held}),
    "dead units of places": (half_dead, [PLACES], {}),
    "a net that feeds on itself": (recurrent, [(X, Y)], {}),
    "a row that is masked throughout": (masked, [(X, Y)], {}),
    "labels that are all ignored": (mlp, [(X, torch.full((32,), -100))], {}),
    "a mean over nothing": (
        mlp, [(X, Y)], {"loss": lambda out, y: F.cross_entropy(out, y, reduction="none")[y > 9].mean()},
    ),
    "a transcript longer than its recording": (
        lambda: Calling(lambda self, x: self.net(x)[:4].log_softmax(1)[:, None], net=mlp()), [(X, Y)],
        {"loss": spelled(6)},
    ),
    "an overflow of exp": (
        lambda: Calling(lambda self, x: self.net(x) + 200, net=mlp()), [(X, Y)],
        {"loss": lambda out, _: out.exp().mean()},
    ),
    "a distance of zero": (
        lambda: Calling(lambda self, x: (self.net(x) - self.net(x)).square().sum(1).sqrt(), net=mlp()), [(X, Y)],
        {"loss": lambda out, _: out.mean()},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HEALTHY)
def test_no_healthy_net_is_called_sick(name: str) -> None:
    make, batches, options = HEALTHY[name]
    run = train_smoke(make, batches, **{"remedies": None, "max_overhead": None, **options})
    assert run.passed, str(run)
    assert run.health.findings == ()
    torch.manual_seed(0)
    flow = gradient_flow(make(), batches[0], loss=options.get("loss"))
    assert flow.symptoms == ()


def watched(net: nn.Module, inputs: Any, loss: Callable[[Any], torch.Tensor], stop: bool = False) -> Any:
    """A plain loop under `watch`."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    with watch(net, optimizer, stop=stop, max_overhead=None) as health:
        for _ in range(4):
            optimizer.zero_grad()
            loss(net(inputs)).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if health.failure:
                break
    return health


def test_a_branch_that_was_detached_is_named_in_flows_runs_and_watched_loops() -> None:
    (symptom,) = gradient_flow(detached(), (X, Y)).symptoms
    assert (symptom.rule, symptom.module) == ("detached", "branch")
    assert symptom.message.startswith("the loss depends on its output, but no gradient comes back")
    run = train_smoke(detached(), [(X, Y)], steps=4, remedies=None)
    assert [(each.rule, each.module) for each in run.health.findings] == [("detached", "branch")]
    seen = watched(detached(), X, lambda scores: F.cross_entropy(scores, Y))
    assert [(each.rule, each.module) for each in seen.health.findings] == [("detached", "branch")]


def test_a_router_that_only_argmax_reads_is_named() -> None:
    assert [(each.rule, each.module) for each in gradient_flow(routed(), (X, Y)).symptoms] == [("detached", "router")]


def test_looking_for_detached_layers_changes_no_number() -> None:
    """The dropout draws as it would have, the counters of BatchNorm stand where they would."""

    def net() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.BatchNorm1d(20), nn.Dropout(0.5), detached(), nn.Dropout(0.5))

    def trained(look: bool) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        model = net()
        torch.manual_seed(1)
        if look:
            watched(model, X, lambda scores: F.cross_entropy(scores, Y))
        else:
            optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
            for _ in range(4):
                optimizer.zero_grad()
                F.cross_entropy(model(X), Y).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        return model.state_dict(), torch.get_rng_state()

    (seen, after), (bare, wanted) = trained(look=True), trained(look=False)
    assert all(torch.equal(seen[name], bare[name]) for name in bare)
    assert torch.equal(after, wanted)
    kept = net()
    run = train_smoke(kept, [(X, Y)], steps=4, lr=0.05, keep=True, remedies=None)
    assert [each.rule for each in run.health.findings] == ["detached"]
    assert int(kept[0].num_batches_tracked) == 4  # type: ignore[index]


def test_a_generator_that_is_cut_off_from_its_loss_is_named() -> None:
    maker, judge = mlp(8, 2), mlp(2, 1)
    steps = [torch.optim.Adam(net.parameters(), 1e-3) for net in (judge, maker)]

    def play(cut: bool) -> list[str]:
        with watch(nn.ModuleList([maker, judge]), steps, max_overhead=None) as seen:
            for turn in range(8):
                made = maker(drawn(32, 8, seed=turn))
                for optimizer in steps:
                    optimizer.zero_grad()
                F.softplus(judge(made.detach())).mean().backward()  # type: ignore[no-untyped-call]
                steps[0].step()
                F.softplus(-judge(made.detach().requires_grad_() if cut else made)).mean().backward()  # type: ignore[no-untyped-call]
                steps[1].step()
        return [each.message for each in seen.health.findings if each.rule == "detached"]

    assert play(cut=False) == []
    (said,) = play(cut=True)
    assert said.startswith("Adam stepped, but none of its parameters got a gradient: 0.0.weight, 0.0.bias, 0.2.weight")


def test_parameters_that_no_optimizer_holds_are_named() -> None:
    run = train_smoke(mlp, [(X, Y)], optimizer=half_held, remedies=None)
    said = "4 parameters get gradients, but no optimizer holds them: 0.weight, 0.bias, 2.weight and 1 more"
    assert [(each.rule, each.level, each.message) for each in run.health.findings] == [("left out", "warning", said)]
    net = mlp()
    optimizer = torch.optim.SGD(net[4].parameters(), lr=0.1)
    with watch(net, optimizer) as seen:
        F.cross_entropy(net(X), Y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert said in {each.message for each in seen.health.findings}


def test_a_frozen_part_and_one_that_another_optimizer_moves_are_not_left_out() -> None:
    frozen = mlp()
    frozen[0].requires_grad_(False)
    net = mlp()
    halves = [torch.optim.SGD(each.parameters(), lr=0.1) for each in (net[:2], net[2:])]
    with watch(net, halves[0], max_overhead=None) as seen:
        for _ in range(3):
            F.cross_entropy(net(X), Y).backward()  # type: ignore[no-untyped-call]
            for half in halves:
                half.step()
    assert seen.health.findings == ()
    assert train_smoke(frozen, [(X, Y)], remedies=None).health.findings == ()


def test_dead_units_are_found_where_the_last_dimension_holds_them() -> None:
    """Positions come before features in sequences and point sets: a position is no unit."""
    flow = gradient_flow(half_dead(), PLACES)
    assert [(each.rule, each.module) for each in flow.symptoms] == [("dead ReLU", "net.1")]
    assert next(layer.dead for layer in flow.layers if layer.module == "net.1") == pytest.approx(0.75, abs=0.05)
    run = train_smoke(half_dead, [PLACES], steps=1, remedies=None)
    assert [(each.rule, each.module) for each in run.health.findings] == [("dead ReLU", "net.1")]


def test_a_layer_that_is_silent_is_dead_however_few_samples_there_are() -> None:
    net = mlp()
    nn.init.constant_(net[0].bias, -100.0)  # type: ignore[arg-type]
    dead = {each.module for each in gradient_flow(net, (X[:2], Y[:2])).symptoms if each.rule == "dead ReLU"}
    assert "1" in dead


def test_each_group_has_its_own_learning_rate() -> None:
    def grouped(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD([{"params": parameters[:2], "lr": 1e-6}, {"params": parameters[2:], "lr": 3.0}])

    updates = train_smoke(mlp, [(X, Y)], optimizer=grouped, steps=1, remedies=None).health.updates
    assert [(update.rate, update.tensor[0] in "24") for update in updates] == [(3.0, True)]


SAID = {
    "a row that is masked throughout":
        "a row that aten._softmax was given is -inf throughout: its mask leaves nothing to attend to",
    "labels that are all ignored":
        "aten.nll_loss_forward averages over no label at all: every label of this step has the ignored index",
    "a mean over nothing": "aten.mean averages over an empty tensor",
    "a transcript longer than its recording": "aten._ctc_loss found no alignment",
    "an overflow of exp": "aten.exp overflowed: its inputs reach 200",
    "a distance of zero": "the derivative of sqrt is not finite where its forward was evaluated",
}  # fmt: skip


@pytest.mark.parametrize("name", ["labels that are all ignored", "a mean over nothing"])
def test_a_flow_whose_loss_is_nan_says_so_and_does_not_call_it_vanishing(name: str) -> None:
    make, batches, options = SICK[name]
    (symptom,) = gradient_flow(make(), batches[0], loss=options.get("loss")).symptoms
    assert symptom.rule == "initial loss"
    assert symptom.message.startswith("the loss is nan")


@pytest.mark.parametrize("name", SAID)
def test_each_domain_error_says_which(name: str) -> None:
    make, batches, options = SICK[name]
    run = train_smoke(make, batches, remedies=None, **options)
    assert run.failure is not None
    assert run.failure.cause == "domain error"
    assert SAID[name] in " | ".join(run.failure.evidence)


def test_a_net_that_feeds_on_itself_is_badly_initialised() -> None:
    run = train_smoke(recurrent, [(X, Y)], remedies=None)
    assert run.failure is not None
    assert (run.failure.cause, run.failure.module) == ("initialisation", "again")


def test_an_error_over_a_number_that_was_not_finite_names_the_number() -> None:
    """As binary cross entropy does, which on a CPU raises where its input is nan."""
    net = Calling(lambda self, x: (self.net(x) - 200).log().sigmoid(), net=mlp(outputs=1))
    targets = torch.zeros(32, 1)
    run = train_smoke(net, [(X, targets)], loss=F.binary_cross_entropy, remedies=None)
    assert run.failure is not None
    assert (run.failure.op, run.failure.value, run.failure.module) == ("aten.log", "nan", "")
    assert run.failure.cause == "domain error"
    assert "then the step raised RuntimeError: all elements of input should be between 0 and 1" in run.failure.evidence
    fine = Calling(lambda self, x: self.net(x) - 5, net=mlp(outputs=1))
    with pytest.raises(UsageProblem, match="the loss raised RuntimeError at step 0: all elements of input"):
        train_smoke(fine, [(X, targets)], loss=F.binary_cross_entropy)


def factors(scores: torch.Tensor) -> Any:
    rows = scores.view(-1, 2, 2)
    return torch.linalg.cholesky(rows @ rows.mT + torch.eye(2)).flatten(1)


def test_a_cholesky_factor_of_a_nan_is_no_matter_of_positive_definite_matrices() -> None:
    """Torch says so by the code of another operation, and a matrix of zeros has no factor either."""
    net = Calling(lambda self, x: factors((self.net(x) - 200).sqrt()), net=mlp(outputs=4))
    run = train_smoke(net, [(X, Y.clamp(max=3))], remedies=None)
    assert run.failure is not None
    assert (run.failure.op, run.failure.value, run.failure.cause) == ("aten.sqrt", "nan", "domain error")
    assert run.failure.evidence[0].startswith("then the step raised _LinAlgError: linalg.cholesky: ")


def test_a_finite_matrix_without_a_cholesky_factor_is_the_users_to_mend() -> None:
    def factor(self: Any, x: torch.Tensor) -> Any:
        unused = (self.net(x) - 200).sqrt()  # nan, and nothing reads it
        return torch.linalg.cholesky(-torch.eye(2).expand(len(unused), 2, 2)).flatten(1)

    with pytest.raises(UsageProblem, match="raised _LinAlgError at step 0"):
        train_smoke(Calling(factor, net=mlp(outputs=4)), [(X, Y.clamp(max=3))])


def test_a_loop_that_raises_over_a_nan_fails_with_its_origin_and_one_that_raises_otherwise_raises() -> None:
    net = Calling(lambda self, x: (self.net(x) - 200).log().sigmoid(), net=mlp(outputs=1))
    with pytest.raises(TrainingFailure, match=r"in forward, aten\.log in the model itself gives nan") as failure:
        watched(net, X, lambda chances: F.binary_cross_entropy(chances, torch.zeros(32, 1)), stop=True)
    assert "then the step raised RuntimeError: all elements of input should be between 0 and 1" in str(failure.value)
    assert isinstance(failure.value.__context__, RuntimeError)
    kept = [item.detach().clone() for item in net.parameters()]
    with pytest.raises(RuntimeError, match="all elements of input"):
        watched(net, X, lambda chances: F.binary_cross_entropy(chances, torch.zeros(32, 1)))
    assert all(torch.equal(item, was) for item, was in zip(net.parameters(), kept, strict=True))


def test_an_infinity_that_reaches_no_output_is_no_reason_for_an_error() -> None:
    net = Calling(lambda self, x: torch.where(x[:, :4] > 9, 1 / (x[:, :4] * 0), self.net(x)), net=mlp())
    with pytest.raises(RuntimeError, match="shape"):
        watched(net, X, lambda scores: scores.reshape(7), stop=True)
    with pytest.raises(UsageProblem, match="the loss raised RuntimeError at step 0: shape"):
        train_smoke(net, [(X, Y)], loss=lambda scores, _: scores.reshape(7))


def test_what_a_watched_loop_computes_its_loss_from_is_named() -> None:
    seen = watched(mlp(), X, lambda scores: scores.relu().log().mean())
    assert seen.failure.cause == "domain error"
    assert "of what it computes, log can give nan or inf for finite numbers" in seen.failure.evidence

    def spread(scores: torch.Tensor) -> torch.Tensor:
        return (scores - scores.detach()).square().sum(1).sqrt().mean()

    seen = watched(mlp(), X, spread)
    assert seen.failure.phase == "backward"
    assert seen.failure.cause == "domain error"
    assert "sqrt" in seen.failure.evidence[-1]


def test_a_huge_rate_is_not_taken_for_a_loss_that_leaves_its_domain() -> None:
    net = mlp()
    optimizer = torch.optim.SGD(net.parameters(), lr=1e6)
    with watch(net, optimizer, stop=False) as seen:
        for _ in range(9):
            optimizer.zero_grad()
            net(X).pow(2).mean().backward()
            optimizer.step()
    assert seen.failure is not None
    assert seen.failure.cause == "learning rate"


class Reporting(nn.Module):
    """Takes its labels among its arguments and returns its loss with its outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.net = mlp()

    def forward(self, features: torch.Tensor, labels: torch.Tensor | None = None) -> Any:
        scores = self.net(features)
        return SimpleNamespace(logits=scores, loss=None if labels is None else F.cross_entropy(scores, labels))


def test_a_batch_that_is_a_dict_holds_all_arguments_of_a_model_that_returns_its_loss() -> None:
    batch = {"features": X, "labels": Y}
    run = train_smoke(Reporting, [batch], optimizer="adam", lr=0.01)
    plain = train_smoke(mlp, [(X, Y)], optimizer="adam", lr=0.01)
    assert run.loss == plain.loss
    assert gradient_flow(Reporting(), batch).healthy
    with pytest.raises(UsageProblem, match=r"the batch of step 0 has no targets, and the model returned a Simple"):
        train_smoke(Reporting, [{"features": X}])
    with pytest.raises(UsageProblem, match=r"a tuple of 3, .* as in \(\(first, second\), targets\)"):
        train_smoke(mlp, [(X, X, Y)])


def test_the_bundle_of_a_dict_batch_takes_the_model_s_own_loss(tmp_path: Path) -> None:
    batch = {"features": X, "labels": torch.full((32,), -100)}
    run = train_smoke(Reporting, [batch], remedies=None, bundle=tmp_path)
    assert run.bundle is not None
    done = subprocess.run([sys.executable, run.bundle], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("loss nan; ")


def test_a_dict_batch_is_scaled_and_blamed_like_any_other() -> None:
    run: TrainingReport = train_smoke(Reporting, [{"features": X * math.nan, "labels": Y}], remedies=None)
    assert run.failure is not None
    assert run.failure.phase == "data"
    tried = train_smoke(Reporting, [{"features": X * 1e6, "labels": Y}], lr=1e3, steps=6, remedies="all")
    assert tried.failure is not None
    assert "scale the input to 0..1" in {each.name for each in tried.failure.remedies}


def test_a_remedy_that_does_not_suit_the_model_is_left_out() -> None:
    def squares(scores: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return scores.square().mean()

    run = train_smoke(mlp, [(X[:1], Y[:1])], loss=squares, lr=1e5, remedies="all")  # BatchNorm takes no batch of one
    assert run.failure is not None
    names = {each.name for each in run.failure.remedies}
    assert "learning rate / 10" in names
    assert "BatchNorm after convolutions and linear layers" not in names


def test_sparse_gradients_are_not_clipped_and_that_is_said() -> None:
    def net() -> nn.Module:
        return nn.Sequential(nn.EmbeddingBag(50, 16, sparse=True), nn.Linear(16, 4))

    with pytest.raises(UsageProblem, match="torch clips no sparse gradients"):
        train_smoke(net, [(torch.arange(96).view(32, 3) % 50, Y)], clip=1.0)


def test_an_optimizer_that_raises_is_told_with_its_name_and_step() -> None:
    def net() -> nn.Module:
        return nn.Sequential(nn.EmbeddingBag(50, 16, sparse=True), nn.Linear(16, 4))

    batch = (torch.arange(96).view(32, 3) % 50, Y)
    with pytest.raises(UsageProblem, match=r"the step of Adam raised RuntimeError at step 0: .*sparse"):
        train_smoke(net, [batch], optimizer="adam")
    run = train_smoke(net, [batch], lr=1e30, remedies="all")  # weight decay does not suit it either
    assert run.failure is not None
    assert "learning rate / 10" in {each.name for each in run.failure.remedies}


def test_a_nan_among_the_values_of_a_sparse_input_is_the_batch() -> None:
    near = torch.eye(32).to_sparse()
    near.values()[3] = math.nan
    net = Calling(lambda self, x, near: near @ self.net(x), net=mlp())
    run = train_smoke(net, [((X, near), Y)], remedies=None)
    assert run.failure is not None
    assert run.failure.cause == "the batch"
    assert "inputs[1] of the batch: 1 nan of 32 stored" in run.failure.evidence


class Remembering(nn.Module):
    """Keeps the best loss and the range of its inputs, which begin at infinity, and a list of what it saw."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.net, self.seen, self.sums = mlp(), [0.0], {"calls": 0}
        self.low: torch.Tensor
        self.scale: torch.Tensor
        self.register_buffer("best", torch.tensor(math.inf))
        self.register_buffer("low", torch.tensor(math.inf))
        self.register_buffer("scale", torch.tensor(scale))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.low = torch.minimum(self.low, inputs.min())
        self.seen.append(float(self.low))
        self.sums["calls"] += 1
        out: torch.Tensor = self.net(inputs * self.scale).relu().log()
        return out


def test_a_buffer_that_begins_at_infinity_is_not_to_blame_unless_it_spoils_the_forward() -> None:
    run = train_smoke(Remembering, [(X, Y)], remedies=None)
    assert run.failure is not None
    assert (run.failure.op, run.failure.tensor, run.failure.cause) == ("aten.log", None, "domain error")
    seen = watched(Remembering(), X, lambda scores: F.cross_entropy(scores, Y))
    assert (seen.failure.op, seen.failure.tensor) == ("aten.log", None)
    spoilt = train_smoke(lambda: Remembering(math.inf), [(X, Y)], remedies=None)
    assert spoilt.failure is not None
    assert spoilt.failure.cause == "the given weights"


def test_lists_and_dicts_of_a_module_get_their_elements_back() -> None:
    net = Remembering()
    held = net.seen, net.sums
    train_smoke(net, [(X, Y)], loss=lambda scores, _: scores.exp().mean(), steps=2, remedies=None)
    gradient_flow(net, (X, Y))
    assert (net.seen, net.sums) == ([0.0], {"calls": 0})
    assert held[0] is net.seen
    assert held[1] is net.sums


def test_lazy_layers_flow() -> None:
    net = nn.Sequential(nn.LazyLinear(64), nn.ReLU(), nn.LazyLinear(4))
    assert [layer.module for layer in gradient_flow(net, (X, Y)).layers] == ["0", "1", "2"]


def test_a_loss_around_zero_does_not_diverge() -> None:
    losses = [1e-6, -0.2, 0.1] + [3.0] * 9
    run = train_smoke(
        lambda: nn.Linear(20, 1), [(X, loss) for loss in losses], steps=12, remedies=None,
        loss=lambda out, wanted: out.mean() * 0 + wanted,
    )  # fmt: skip
    assert run.loss == pytest.approx(losses)
    assert "divergence" not in {each.rule for each in run.health.findings}


@pytest.mark.parametrize(
    "steps,lr,said",
    [(4, 0.02, "more of them may do"), (200, 0.02, "it had stopped falling"), (9, 1e-9, "it has hardly fallen")],
)
def test_what_was_not_memorised_says_whether_more_steps_may_do(steps: int, lr: float, said: str) -> None:
    def smoothed(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(scores, labels, label_smoothing=0.2)

    run = train_smoke(mlp, [(X, Y)], loss=smoothed, optimizer="adam", lr=lr, steps=steps, overfit=True)
    assert run.failure is not None
    assert run.failure.value == "underfit"
    assert said in run.failure.evidence[1]
