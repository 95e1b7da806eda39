"""A suppression comment that suppressed nothing.

## What it does
Reports `# gradlint: ignore[...]` and the codes of gradlint in `# noqa: ...` that suppressed no violation. Only codes of
rules that ran are judged; a bare `ignore` only when every rule of the default set ran. A bare `# noqa` belongs to other
tools as well and is never reported.

## Why is this bad
The comment hides the next real violation on its line, and tells the reader of a problem that is not there.

## Example
```python
bn = nn.BatchNorm2d(8, momentum=0.01)  # gradlint: ignore[GRD205]
```

## Use instead
```python
bn = nn.BatchNorm2d(8, momentum=0.01)
```

## Fix safety
Safe: only the comment, or the unused code in it, is removed.

## References
- https://docs.astral.sh/ruff/rules/unused-noqa/
"""
