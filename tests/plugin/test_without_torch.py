"""Where torch is missing everything but a check works, and a check is one clear sentence."""

from __future__ import annotations

import sys

import pytest

#: Runs pytest where torch (and numpy, for the argument "both") cannot be imported.
BLOCKED = """
import sys
import pytest

MISSING = {"torch"} if sys.argv[1] == "torch" else {"torch", "numpy"}

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in MISSING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
sys.exit(pytest.main(["-p", "no:hypothesispytest", *sys.argv[2:]]))
"""
TESTS = """
import pytest
from pytest_gradcheck import UsageProblem, marks

def test_fixture(gradcheck):
    gradcheck(abs, 3.0)

@pytest.mark.gradcheck((3,))
def test_marked():
    return abs

def test_function():
    with pytest.raises(UsageProblem, match="^check_gradients needs [a-z]+, which is not installed: pip install"):
        from pytest_gradcheck import check_gradients

@marks.gradcheck((3,))
class Layer:
    pass

def test_plain():
    pass
"""


@pytest.mark.parametrize("missing", ["torch", "both"])
@pytest.mark.parametrize("options", [[], ["--gradcheck-device=cpu"]])
def test_a_check_says_how_to_install_it(pytester: pytest.Pytester, missing: str, options: list[str]) -> None:
    pytester.makepyfile(blocked=BLOCKED, test_it=TESTS)
    result = pytester.run(sys.executable, "blocked.py", missing, "--gradcheck", *options)
    # A device is found by a fixture, so that its failure is an error of the set-up.
    result.assert_outcomes(**({"passed": 2, "failed": 1, "errors": 1} if options else {"passed": 2, "failed": 2}))
    what = "--gradcheck-device" if options else "a gradient check"
    which = "torch" if missing == "torch" else "*"
    said = f"*{what} needs {which}, which is not installed: pip install 'pytest-gradcheck?torch?'"
    found = [line for line in result.outlines if line.endswith("pip install 'pytest-gradcheck[torch]'")]
    assert len(found) == 2
    result.stdout.fnmatch_lines([said, said])


def test_what_is_marked_is_skipped_as_ever(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(blocked=BLOCKED, test_it=TESTS)
    result = pytester.run(sys.executable, "blocked.py", "both", "-k", "not fixture")
    result.assert_outcomes(passed=2, skipped=1, deselected=1)
