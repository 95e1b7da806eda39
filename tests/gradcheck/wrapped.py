"""Any torch operator as a custom Function that is right: forward runs it, backward differentiates it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from pytest_gradcheck.subjects import tree
from tests.gradcheck.mutants.spec import FunctionClass
from tests.gradcheck.torch_samples import Sample


def operators(every: int) -> Iterator[Sample]:
    """The first sample of one operator in `every`, of those that are differentiable in float64 on the CPU."""
    from torch.testing._internal.common_methods_invocations import op_db

    for op in op_db[::every]:
        if not op.supports_autograd or torch.float64 not in op.supported_dtypes("cpu"):  # type: ignore[no-untyped-call]
            continue
        torch.manual_seed(0)
        for sample in islice(op.sample_inputs("cpu", torch.float64, requires_grad=True), 1):  # type: ignore[no-untyped-call]
            yield Sample(op.name, _callable(op, sample), (sample.input, *sample.args), dict(sample.kwargs))


def _callable(op: Any, sample: Any) -> Callable[..., Any]:
    return lambda *inputs, **named: sample.output_process_fn_grad(op.gradcheck_wrapper(op.get_op(), *inputs, **named))


def wrapped(sample: Sample) -> tuple[FunctionClass, list[Tensor]]:
    """The Function, and the sample's tensors as its inputs."""
    positions = [k for k, value in enumerate(sample.inputs) if isinstance(value, Tensor)]

    def call(*tensors: Tensor) -> tuple[Tensor, ...]:
        values = list(sample.inputs)
        for position, tensor in zip(positions, tensors, strict=True):
            values[position] = tensor
        return tuple(tensor for _, tensor in tree.tensors(sample.subject(*values, **sample.kwargs)))

    def forward(ctx: Any, *tensors: Tensor) -> Any:
        ctx.save_for_backward(*tensors)
        outputs = call(*(tensor.clone() for tensor in tensors))
        ctx.mark_non_differentiable(*(output for output in outputs if not _floating(output)))
        return outputs if len(outputs) != 1 else outputs[0]

    def backward(ctx: Any, *cotangents: Any) -> Any:
        needed = ctx.needs_input_grad
        with torch.enable_grad():
            inputs = [
                tensor.detach().requires_grad_(needs) for tensor, needs in zip(ctx.saved_tensors, needed, strict=True)
            ]
            outputs = call(*(tensor.clone() for tensor in inputs))
        pairs = [(y, v) for y, v in zip(outputs, cotangents, strict=True) if y.requires_grad]
        leaves = [tensor for tensor in inputs if tensor.requires_grad]
        found = iter(torch.autograd.grad([y for y, _ in pairs], leaves, [v for _, v in pairs], allow_unused=True))
        return tuple(next(found) if needs else None for needs in needed)

    body = {
        "forward": staticmethod(forward),
        "backward": staticmethod(torch.autograd.function.once_differentiable(backward)),
    }
    return type(sample.name, (torch.autograd.Function,), body), [sample.inputs[k] for k in positions]


def _floating(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()
