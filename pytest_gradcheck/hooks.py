"""Hooks that a conftest.py or another plugin may implement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

    from pytest_gradcheck.model import Finding, Report


def pytest_gradcheck_findings(
    item: pytest.Item, subject: Any, inputs: tuple[Any, ...], kwargs: Mapping[str, Any], report: Report
) -> Iterable[Finding] | None:
    """Checks of your own: called after every gradient check of a test, with what was checked and what was found.

    Args:
        item: The test.
        subject: What was checked: the Function, module or callable.
        inputs: Positional inputs as the test gave them, or as they were drawn.
        kwargs: Keyword inputs.
        report: The report so far.

    Returns:
        Findings to add to the report, or None. One of severity "error" fails the test.
    """
