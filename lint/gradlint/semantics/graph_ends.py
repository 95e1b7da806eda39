"""What ends a graph: attributes, methods and functions whose value has none, whatever goes into them."""

from __future__ import annotations

from typing import Final

from gradlint.words import words

# Attributes and methods of a tensor. `type` is none of them: `x.type(torch.half)` keeps the graph.
ENDING: Final = words(
    "argmax argmin argsort backward bool data detach detach_ device dim dtype eq ge grad gt int isfinite isinf isnan"
    " item itemsize le long lt ndim ndimension ne nelement new_empty new_full new_ones new_zeros nonzero numel numpy"
    " requires_grad shape size tolist"
)
ENDING_FUNCTIONS: Final = words(
    "builtins.bool builtins.float builtins.int builtins.isinstance builtins.len builtins.range builtins.str"
    " torch.argmax torch.argmin torch.empty_like torch.full_like torch.isfinite torch.isnan torch.no_grad"
    " torch.ones_like torch.rand_like torch.randn_like torch.tensor torch.zeros_like"
)
