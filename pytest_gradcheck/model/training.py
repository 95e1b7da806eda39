"""What a smoke run found, as plain data: no tensors, no printing, nothing but the standard library."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_gradcheck.model.jsonable import decode_number, encode
from pytest_gradcheck.model.run_health import Health

if TYPE_CHECKING:
    from collections.abc import Mapping

TRAINING_VERSION = 1
_DERIVED = frozenset({"version", "passed"})


@dataclass(frozen=True)
class Site:
    """An operation that gave a non-finite result.

    Attributes:
        op: "aten.log", or in backward the name of the autograd node, "LogBackward0".
        module: Qualified name of the innermost module it ran in, "" for the model itself, None outside the model.
        source: "file.py:line" of the user's code, or None where only torch's code lies between it and the run.
        value: "nan", "inf" or "-inf".
    """

    op: str
    module: str | None
    source: str | None
    value: str


@dataclass(frozen=True)
class Remedy:
    """One change to a failing run, and how the run went with it.

    Attributes:
        name: The change.
        passed: Whether the run was finite and learned.
        finite: Whether it met no nan and no infinity.
        learns: Whether its last three losses average at least 10 % below its first one.
        steps: Steps that were run.
        detail: The losses, or what failed.
    """

    name: str
    passed: bool
    finite: bool
    learns: bool
    steps: int
    detail: str


@dataclass(frozen=True)
class Failure:
    """The first thing that went wrong in a run.

    Attributes:
        step: Step in which it happened, from 0.
        phase: "data", "forward", "backward" or "optimizer".
        quantity: "input", "loss", "activation" (the result of an operation in the model), "gradient" or "parameter".
        value: "nan", "inf", "collapse" (no learning: the loss sits where guessing puts it and most gradients are
            exactly zero) or "underfit" (one batch could not be memorised).
        module: Qualified name of the module, "" for the model itself, None where no module is to blame.
        tensor: Name of the tensor: a parameter or buffer ("features.0.weight"), "inputs" or "targets".
        op: The operation, such as "aten.log", or in backward the autograd node, such as "LogBackward0".
        source: "file.py:line" of the user's code that ran it (in backward: whose forward did), or None.
        first: The first operation of the step's forward with a non-finite result, where that is another one: its result
            did not reach the loss.
        reproduced: Whether the step, run again, gave the same loss and the same kind of failure; None where it was not
            run again.
        cause: The likely cause by measured evidence: "the batch", "the given weights", "reduced precision", "domain
            error", "unscaled input", "initialisation", "learning rate", or None.
        evidence: Facts that were measured, one sentence each.
        remedies: What was tried, in the order tried.
    """

    step: int
    phase: str
    quantity: str
    value: str
    module: str | None = None
    tensor: str | None = None
    op: str | None = None
    source: str | None = None
    first: Site | None = None
    reproduced: bool | None = None
    cause: str | None = None
    evidence: tuple[str, ...] = ()
    remedies: tuple[Remedy, ...] = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Failure:
        """The inverse of `dataclasses.asdict` after a trip through JSON."""
        first = None if data["first"] is None else Site(**data["first"])
        remedies = tuple(Remedy(**remedy) for remedy in data["remedies"])
        return cls(**{**data, "first": first, "evidence": tuple(data["evidence"]), "remedies": remedies})


@dataclass(frozen=True)
class TrainingReport:
    """One smoke run: what was trained on what, how it went, and what stopped it.

    Attributes:
        model: Class name of the model.
        parameters: Number of trainable numbers in it.
        data: One line that says which data were used.
        device: Device on which the run computed.
        optimizer: Name of the optimizer's class.
        seed: Seed of the run.
        steps: Steps asked for.
        loss: Loss of every step that ran, the failing one included.
        gradient_norm: Euclidean norm over all gradients of every such step, before clipping; nan where it was not read,
            because watching every gradient would have cost more than was allowed.
        learning_rate: The first parameter group's rate at every such step.
        clip: Gradient norm to which steps were clipped, or None.
        amp: Reduced precision of the forward pass, or None.
        seconds: Wall time of the run.
        failure: None, or what went wrong.
        health: Gradients by parameter, step and depth, update ratios, and the health rules that were broken.
        bundle: Path of the script that repeats the failing step, or None.
        interrupted: Whether Ctrl-C ended the run early.
        notes: What the reader should know besides, one sentence each.
        seeds: With several seeds, the report of each one in the order asked; else empty.
        rerun: The command that repeats the run, or None outside pytest.
    """

    model: str
    parameters: int
    data: str
    device: str
    optimizer: str
    seed: int
    steps: int
    loss: list[float]
    gradient_norm: list[float]
    learning_rate: list[float]
    clip: float | None = None
    amp: str | None = None
    seconds: float = 0.0
    failure: Failure | None = None
    health: Health = field(default_factory=Health)
    bundle: str | None = None
    interrupted: bool = False
    notes: tuple[str, ...] = ()
    seeds: tuple[TrainingReport, ...] = ()
    rerun: str | None = field(default=None, compare=False)

    @property
    def passed(self) -> bool:
        """Whether nothing went wrong, over all seeds, and the run was not interrupted."""
        return self.failure is None and not self.interrupted and all(run.passed for run in self.seeds)

    def to_dict(self) -> dict[str, Any]:
        """The report in JSON's own types, with a version; non-finite numbers are the strings "nan", "inf", "-inf"."""
        data: dict[str, Any] = encode(asdict(self))
        data["health"] = self.health.to_dict()
        data["seeds"] = [run.to_dict() for run in self.seeds]
        return {"version": TRAINING_VERSION, **data, "passed": self.passed}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TrainingReport:
        """The inverse of `to_dict`.

        Raises:
            ValueError: The data is of another version.
        """
        if data.get("version") != TRAINING_VERSION:
            raise ValueError(f"this run has version {data.get('version')!r}; version {TRAINING_VERSION} is understood")
        own = {key: value for key, value in data.items() if key not in _DERIVED}
        curves = {key: list(map(decode_number, own[key])) for key in ("loss", "gradient_norm", "learning_rate")}
        return cls(
            **{
                **own,
                **curves,
                "failure": None if own["failure"] is None else Failure.from_dict(own["failure"]),
                "health": Health.from_dict(own["health"]),
                "notes": tuple(own["notes"]),
                "seeds": tuple(map(cls.from_dict, own["seeds"])),
            }
        )

    def __str__(self) -> str:
        # The one upward import of this floor: a report prints itself, and the words live with the other renderers.
        from pytest_gradcheck.render.training_text import render_training

        return render_training(self)
