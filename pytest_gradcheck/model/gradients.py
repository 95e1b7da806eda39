"""What a gradient check found, as plain data: no tensors, no printing, nothing but the standard library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any

from pytest_gradcheck.model.evidence import Elements, Sweep
from pytest_gradcheck.model.jsonable import decode_number, encode, known
from pytest_gradcheck.settings import Settings

REPORT_VERSION = 1


class Verdict(str, Enum):
    """The answer about a gradient, ordered by how bad it is: GOOD < INCONCLUSIVE < SUSPICIOUS < WRONG."""

    GOOD = "GOOD"
    INCONCLUSIVE = "INCONCLUSIVE"
    SUSPICIOUS = "SUSPICIOUS"
    WRONG = "WRONG"

    @property
    def badness(self) -> int:
        """0 for GOOD up to 3 for WRONG."""
        return list(Verdict).index(self)

    def __str__(self) -> str:
        return self.value

    def __lt__(self, other: object) -> bool:
        return self.badness < other.badness if isinstance(other, Verdict) else NotImplemented

    def __le__(self, other: object) -> bool:
        return self.badness <= other.badness if isinstance(other, Verdict) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return self.badness > other.badness if isinstance(other, Verdict) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return self.badness >= other.badness if isinstance(other, Verdict) else NotImplemented


@dataclass(frozen=True)
class Worst:
    """The element whose two derivatives lie furthest apart.

    Attributes:
        index: Its index in the tensor; `()` for a scalar.
        autograd: Its derivative from autograd.
        numeric: Its derivative from finite differences.
        part: "real" or "imag" where the tensor is complex, else None.
    """

    index: tuple[int, ...]
    autograd: float
    numeric: float
    part: str | None = None


@dataclass(frozen=True)
class TensorCheck:
    """The verdict on the gradient of one tensor.

    Attributes:
        name: Such as "input0", "input1[0]", 'input0["mask"]', "weight" or "layers.0.bias".
        shape: Shape of the tensor.
        relative_error: `||numeric - autograd|| / (||numeric|| + ||autograd||)`, 2-norms over what was compared.
        error_bar: The numeric derivative's own error, divided by the same denominator: it compares with
            `relative_error` and with the bands.
        verdict: The answer.
        worst: The element with the largest difference, or None where no element was singled out.
        coverage: Share of the elements that were compared one by one, 0..1; the others were compared by projections.
        diagnosis: The likely cause of a difference, with its evidence, or None.
        proven: Whether the difference exceeds what the error bars and rounding can explain.
        reason: Why the verdict is INCONCLUSIVE, or None.
        confidence: That a gradient wrong in another way would not look like the diagnosis, 0..1, or None.
        elements: What was measured element by element, thinned for pictures, or None.
        sweep: The derivative of the worst probe over many steps, where the check took a sweep, or None.
    """

    name: str
    shape: tuple[int, ...]
    relative_error: float
    error_bar: float
    verdict: Verdict
    worst: Worst | None = None
    coverage: float = 1.0
    diagnosis: str | None = None
    proven: bool = False
    reason: str | None = None
    confidence: float | None = None
    elements: Elements | None = field(default=None, repr=False)
    sweep: Sweep | None = field(default=None, repr=False)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TensorCheck:
        """The inverse of what `Report.to_dict` makes of it; keys that are not known are left out."""
        worst, elements, sweep = data["worst"], data.get("elements"), data.get("sweep")
        return cls(
            **{
                **known(cls, data),
                "shape": tuple(data["shape"]),
                "relative_error": decode_number(data["relative_error"]),
                "error_bar": decode_number(data["error_bar"]),
                "verdict": Verdict(data["verdict"]),
                "worst": None
                if worst is None
                else Worst(
                    tuple(worst["index"]),
                    decode_number(worst["autograd"]),
                    decode_number(worst["numeric"]),
                    worst["part"],
                ),
                "elements": None if elements is None else Elements.from_dict(elements),
                "sweep": None if sweep is None else Sweep.from_dict(sweep),
            }
        )


@dataclass(frozen=True)
class Finding:
    """Something worth saying beside the verdicts.

    Attributes:
        kind: One word for what it is about, such as "kink", "precision", "cotangent" or "no-power".
        severity: "error" fails the check, "warning" is shown, "info" is for the curious.
        message: One or two sentences: what, where, how big.
    """

    kind: str
    severity: str
    message: str


@dataclass(frozen=True)
class Report:
    """All that one gradient check found, and how to repeat it.

    Attributes:
        subject: Name of what was checked.
        tensors: One entry per checked tensor.
        second_order: The same for the derivative of the backward pass, where it was checked.
        findings: Contract breaches, kinks, precision and power.
        seconds: Wall time of the check.
        forward_calls: How often the subject's forward ran.
        seed: Seed of every random draw.
        settings: The resolved options.
        dtype: Dtype in which the check computed.
        device: Device on which it computed.
        source: "file:line" of the backward (or forward) that was checked, or None.
        rerun: The command that repeats the check, or None outside pytest.
        sweep: The derivative along one random direction through all tensors over many steps, where it was asked for.
    """

    subject: str
    tensors: tuple[TensorCheck, ...]
    findings: tuple[Finding, ...]
    seconds: float
    forward_calls: int
    seed: int
    settings: Settings
    second_order: tuple[TensorCheck, ...] = ()
    dtype: str = "float64"
    device: str = "cpu"
    source: str | None = None
    rerun: str | None = field(default=None, compare=False)
    sweep: Sweep | None = field(default=None, repr=False)

    @property
    def verdict(self) -> Verdict:
        """The worst of all verdicts; a finding that is an error counts as WRONG."""
        verdicts = [check.verdict for check in (*self.tensors, *self.second_order)]
        verdicts += [Verdict.WRONG for finding in self.findings if finding.severity == "error"]
        return max(verdicts, default=Verdict.GOOD)

    @property
    def passed(self) -> bool:
        """False when WRONG, when a difference above the lower band is proven, or under strict when not all GOOD."""
        if self.verdict is Verdict.WRONG or any(map(self._proven, (*self.tensors, *self.second_order))):
            return False
        imprecise = any(finding.kind == "precision" for finding in self.findings)
        return not self.settings.strict or (self.verdict is Verdict.GOOD and not imprecise)

    @staticmethod
    def _proven(check: TensorCheck) -> bool:
        return check.proven and check.verdict is Verdict.SUSPICIOUS

    def to_dict(self) -> dict[str, Any]:
        """The report in JSON's own types, with a version; non-finite numbers are the strings "nan", "inf", "-inf"."""
        data: dict[str, Any] = encode({**asdict(self), "settings": self.settings.to_dict()})
        return {"version": REPORT_VERSION, **data, "verdict": self.verdict.value, "passed": self.passed}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Report:
        """The inverse of `to_dict`; keys that are not known are left out.

        Raises:
            ValueError: The data is of another version.
        """
        if data.get("version") != REPORT_VERSION:
            raise ValueError(f"this report has version {data.get('version')!r}; version {REPORT_VERSION} is understood")
        own, sweep = known(cls, data), data.get("sweep")
        return cls(
            **{
                **own,
                "tensors": tuple(map(TensorCheck.from_dict, own["tensors"])),
                "second_order": tuple(map(TensorCheck.from_dict, own["second_order"])),
                "findings": tuple(Finding(**known(Finding, finding)) for finding in own["findings"]),
                "settings": Settings.from_dict(own["settings"]),
                "sweep": None if sweep is None else Sweep.from_dict(sweep),
            }
        )

    def __str__(self) -> str:
        # The one upward import of this floor: a report prints itself, and the words live with the other renderers.
        from pytest_gradcheck.render.text import render_report

        return render_report(self)
