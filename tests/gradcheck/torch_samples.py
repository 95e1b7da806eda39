"""torch's own samples as questions: every module of `module_db`, every differentiable operator of `op_db`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

#: Samples per module and mode, and per operator, in the tests; `python -m tests.gradcheck.false_alarms --all` runs all.
SAMPLES = 2


@dataclass(frozen=True)
class Sample:
    """One question: a name, a subject and its inputs."""

    name: str
    subject: Callable[..., Any]
    inputs: tuple[Any, ...]
    kwargs: dict[str, Any]


def module_samples(most: int | None) -> Iterator[Sample]:
    """Samples of torch's module database in float64 on the CPU, in train and eval mode."""
    from torch.testing._internal.common_modules import module_db

    for info in module_db:
        for training in (True, False):
            made = info.module_inputs_func(
                info, device="cpu", dtype=torch.float64, requires_grad=True, training=training
            )
            for k, sample in enumerate(_spread(list(made), most)):
                if sample.forward_input is None:
                    continue
                constructor, forward = sample.constructor_input, sample.forward_input
                torch.manual_seed(0)
                module = info.module_cls(*constructor.args, **constructor.kwargs).double().train(training)
                name = f"{info.name}[{'train' if training else 'eval'}-{k}]"
                yield Sample(name, module, tuple(forward.args), dict(forward.kwargs))


def operator_samples(most: int | None) -> Iterator[Sample]:
    """Samples of torch's operators that are differentiable in float64 on the CPU."""
    from torch.testing._internal.common_methods_invocations import op_db

    for op in op_db:
        if not op.supports_autograd or torch.float64 not in op.supported_dtypes("cpu"):  # type: ignore[no-untyped-call]
            continue
        torch.manual_seed(0)
        made = list(op.sample_inputs("cpu", torch.float64, requires_grad=True))  # type: ignore[no-untyped-call]
        for k, sample in enumerate(_spread(made, most)):
            name = ".".join(part for part in (op.name, op.variant_test_name) if part)
            yield Sample(f"{name}[{k}]", _callable(op, sample), (sample.input, *sample.args), dict(sample.kwargs))


def _callable(op: Any, sample: Any) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        return sample.output_process_fn_grad(op.gradcheck_wrapper(op.get_op(), *args, **kwargs))

    return call


def _spread(samples: list[Any], most: int | None) -> list[Any]:
    """The first, the last, and some between."""
    if most is None or len(samples) <= most:
        return samples
    return [samples[round(k * (len(samples) - 1) / max(1, most - 1))] for k in range(most)]
