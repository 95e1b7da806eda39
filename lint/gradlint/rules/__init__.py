"""The registry: one line a rule. Loading it imports no rule and no libcst; `load` imports the one asked for.

Adding a rule is a line here, a file `grdNNN_slug.py` beside this one and a fixture folder.
"""

from __future__ import annotations

from typing import Final

from gradlint.model import Level, RuleInfo, Safety

_OF_A_MODULE: Final = ("parameters", "modules", "children", "buffers")

RULES: Final[tuple[RuleInfo, ...]] = (
    RuleInfo("GRD101", "xavier-before-relu", Level.WARNING, Safety.UNSAFE, ("xavier_", ".apply(", "init")),
    RuleInfo(
        "GRD102",
        "constant-weight",
        Level.ERROR,
        Safety.UNSAFE,
        ("constant_", "ones_", "zeros_", "fill_", "zero_", ".apply(", "init"),
    ),
    RuleInfo("GRD103", "tiny-std-deep", Level.WARNING, Safety.UNSAFE, ("normal_", "uniform_", ".apply(", "init")),
    RuleInfo("GRD104", "unit-normal", Level.WARNING, None, ("normal_",)),
    RuleInfo("GRD105", "missing-init", Level.WARNING, None, ("Linear", "Conv")),
    RuleInfo("GRD106", "deprecated-init", Level.WARNING, Safety.SAFE, ("init",)),
    RuleInfo("GRD107", "init-overwritten", Level.WARNING, Safety.UNSAFE, ("init", "_(")),
    RuleInfo("GRD109", "init-not-applied", Level.ERROR, Safety.UNSAFE, ("init", ".apply")),
    RuleInfo("GRD110", "exact-type-test", Level.PEDANTIC, Safety.SAFE, ("type(",)),
    RuleInfo("GRD111", "uninitialised-parameter", Level.ERROR, None, ("Parameter", "register_parameter")),
    RuleInfo(
        "GRD201",
        "deep-saturating-stack",
        Level.WARNING,
        Safety.UNSAFE,
        ("igmoid", "anh", "expit"),
    ),
    RuleInfo("GRD202", "no-activation", Level.WARNING, None, ("Linear",)),
    RuleInfo("GRD203", "double-output-act", Level.ERROR, Safety.UNSAFE, ("oftmax", "igmoid", "expit")),
    RuleInfo(
        "GRD205", "bn-momentum-convention", Level.ERROR, Safety.UNSAFE, ("atchNorm", "batch_norm", "InstanceNorm")
    ),
    RuleInfo("GRD207", "bn-eps-positional", Level.ERROR, Safety.UNSAFE, ("BatchNorm", "InstanceNorm")),
    RuleInfo("GRD208", "rnn-no-clip", Level.INFO, Safety.UNSAFE, ("RNN", "LSTM", "GRU")),
    RuleInfo(
        "GRD210",
        "inplace-on-saved",
        Level.WARNING,
        Safety.SAFE,
        ("igmoid", "anh", "elu", "ELU", "ReLU", "oftmax", "oftmin", "sqrt", "reciprocal", "logsumexp", "expit"),
        words=("exp", "exp_", "exp2", "exp2_", "expm1", "expm1_", "tan", "tan_"),
    ),
    RuleInfo("GRD211", "deep-plain-stack", Level.INFO, None, ("Linear", "Conv")),
    RuleInfo("GRD212", "saturating-hidden-activation", Level.INFO, Safety.UNSAFE, ("igmoid", "anh", "expit")),
    RuleInfo("GRD301", "grad-count", Level.ERROR, Safety.UNSAFE, ("Function",)),
    RuleInfo("GRD302", "output-on-ctx", Level.ERROR, Safety.UNSAFE, ("Function",)),
    RuleInfo("GRD303", "not-static", Level.ERROR, Safety.SAFE, ("Function",)),
    RuleInfo("GRD304", "save-non-tensor", Level.ERROR, Safety.UNSAFE, ("save_for_backward",)),
    RuleInfo("GRD305", "saved-misuse", Level.ERROR, Safety.SAFE, ("saved_tensors",)),
    RuleInfo("GRD306", "not-apply", Level.ERROR, Safety.SAFE, ("Function",)),
    RuleInfo("GRD401", "missing-zero-grad", Level.ERROR, Safety.UNSAFE, (".backward", "autograd"), also=("backward",)),
    RuleInfo("GRD402", "zero-between", Level.ERROR, Safety.SAFE, ("zero_grad",)),
    RuleInfo("GRD403", "clip-misplaced", Level.ERROR, Safety.SAFE, ("clip_grad_",)),
    RuleInfo("GRD404", "clip-before-unscale", Level.ERROR, Safety.SAFE, ("clip_grad_",)),
    RuleInfo(
        "GRD405", "step-before-backward", Level.ERROR, Safety.UNSAFE, (".backward", "autograd"), also=("backward",)
    ),
    RuleInfo("GRD406", "graph-retained", Level.WARNING, Safety.SAFE, ("loss", "backward")),
    RuleInfo(
        "GRD407",
        "loss-activation-mismatch",
        Level.ERROR,
        Safety.UNSAFE,
        ("ross_entropy", "nll_loss", "CrossEntropyLoss", "NLLLoss", "BCE"),
    ),
    RuleInfo("GRD408", "functional-dropout", Level.ERROR, Safety.SAFE, ("dropout", "Dropout")),
    RuleInfo("GRD409", "loss-rewrapped", Level.ERROR, Safety.UNSAFE, ("requires_grad",)),
    RuleInfo("GRD410", "loss-ctor-with-data", Level.ERROR, Safety.SAFE, ("Loss",)),
    RuleInfo("GRD411", "no_grad-uncalled", Level.ERROR, Safety.SAFE, ("_grad", "inference_mode", "anomaly")),
    RuleInfo(
        "GRD414",
        "swapped-loss-args",
        Level.WARNING,
        Safety.UNSAFE,
        ("ross_entropy", "nll_loss", "CrossEntropyLoss", "NLLLoss", "BCE", "KLDiv", "kl_div"),
    ),
    RuleInfo("GRD416", "eval-no-nograd", Level.WARNING, Safety.SAFE, (".eval()",)),
    RuleInfo("GRD417", "eval-no-eval", Level.WARNING, Safety.UNSAFE, ("no_grad", "inference_mode")),
    RuleInfo("GRD501", "log-of-softmax", Level.ERROR, Safety.SAFE, ("oftmax", "igmoid", "expit")),
    RuleInfo("GRD502", "sqrt-at-zero", Level.WARNING, Safety.UNSAFE, ("sqrt", "0.5", "pow")),
    RuleInfo("GRD503", "hand-bce", Level.WARNING, Safety.UNSAFE, words=("log",)),
    RuleInfo("GRD505", "softmax-no-dim", Level.ERROR, Safety.UNSAFE, ("oftmax", "oftmin")),
    RuleInfo("GRD506", "where-nan", Level.WARNING, Safety.UNSAFE, words=("where",)),
    RuleInfo("GRD601", "module-list", Level.ERROR, Safety.SAFE, ("self.",), of_modules=True),
    RuleInfo("GRD602", "tensor-not-buffer", Level.WARNING, Safety.UNSAFE, ("Module",), of_modules=True),
    RuleInfo("GRD603", "layer-in-forward", Level.ERROR, None, words=("forward",), of_modules=True),
    RuleInfo("GRD604", "no-super-init", Level.ERROR, Safety.SAFE, ("__init__",), of_modules=True),
    RuleInfo("GRD605", "assign-before-super", Level.ERROR, Safety.SAFE, ("__init__",), of_modules=True),
    RuleInfo("GRD606", "param-moved", Level.ERROR, Safety.SAFE, ("Parameter",), of_modules=True),
    RuleInfo("GRD607", "module-requires-grad", Level.ERROR, Safety.SAFE, ("requires_grad",)),
    RuleInfo("GRD608", "shadow-api", Level.WARNING, None, ("Module",), of_modules=True),
    RuleInfo("GRD610", "ctor-with-data", Level.ERROR, Safety.SAFE, words=("forward",), of_modules=True),
    RuleInfo(
        "GRD613",
        "graph-break-in-forward",
        Level.WARNING,
        None,
        ("numpy", "ensor("),
        words=(".data", ".item", ".tolist"),
        also=("forward",),
        of_modules=True,
    ),
    RuleInfo(
        "GRD614", "running-stat-with-graph", Level.ERROR, Safety.SAFE, ("self.",), also=("forward",), of_modules=True
    ),
    RuleInfo("GRD701", "init-param-typo", Level.ERROR, Safety.SAFE, ("init", ".apply(")),
    RuleInfo("GRD702", "init-uses-global", Level.ERROR, Safety.UNSAFE, ("init", ".apply(")),
    RuleInfo("GRD703", "require-grad-typo", Level.ERROR, Safety.SAFE, ("require_grad",)),
    RuleInfo(
        "GRD704",
        "missing-call",
        Level.ERROR,
        Safety.SAFE,
        ("optim", "backward", ".eval", ".train", "cuda", "requires_grad_", "detach_"),
    ),
    RuleInfo("GRD705", "assign-inplace-method", Level.ERROR, Safety.SAFE, ("_ =", "_=")),
    RuleInfo("GRD706", "super-wrong-class", Level.ERROR, Safety.SAFE, ("super(",), of_modules=True),
    RuleInfo(
        "GRD707",
        "parameters-uncalled",
        Level.ERROR,
        Safety.SAFE,
        words=tuple(f".{prefix}{name}" for prefix in ("", "named_") for name in _OF_A_MODULE),
    ),
    RuleInfo(
        "GRD708", "undefined-self-attr", Level.ERROR, Safety.UNSAFE, ("self.",), also=("__init__",), of_modules=True
    ),
)

# The linter's own, reported by the engine and where suppressions are read; the first two cannot be deselected.
UNREADABLE: Final = RuleInfo("GRD001", "unreadable-file", Level.ERROR)
CRASH: Final = RuleInfo("GRD002", "rule-crash", Level.ERROR)
UNUSED: Final = RuleInfo("GRD003", "unused-suppression", Level.WARNING, Safety.SAFE)
OWN: Final = (UNREADABLE, CRASH, UNUSED)
UNDESELECTABLE: Final = frozenset((UNREADABLE.code, CRASH.code))


def module_name(info: RuleInfo) -> str:
    """The module that holds a rule: `gradlint.rules.grd703_require_grad_typo`."""
    return f"{__name__}.{info.code.lower()}_{info.name.replace('-', '_')}"
