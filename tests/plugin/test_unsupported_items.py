"""Marks where no check could run: they fail with what to do, never pass in silence."""

from __future__ import annotations

import pytest


def test_unittest_methods_and_async_tests_say_what_to_do(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import unittest
        import pytest

        class Suite(unittest.TestCase):
            @pytest.mark.gradcheck((3,))
            def test_method(self):
                return abs

        @pytest.mark.gradcheck((3,))
        async def test_async():
            return abs
    """)
    result = pytester.runpytest_inprocess("--gradcheck")
    result.assert_outcomes(failed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*test_method is a method of a unittest.TestCase, whose return value is dropped*",
            "*test_async is an async test: a gradcheck mark takes the subject that a plain test returns*",
        ]
    )


def test_a_marks_own_device_skips_where_the_machine_lacks_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest, torch

        @pytest.mark.gradcheck((3,), device="xpu")
        def test_device():
            return torch.sin
    """)
    result = pytester.runpytest_inprocess("--gradcheck", "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*device 'xpu' is not available on this machine*"])
