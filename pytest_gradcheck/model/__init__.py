"""The plain data that computing, judging, wording and printing pass to each other."""

from pytest_gradcheck.model.gradients import Finding, Report, TensorCheck, Verdict, Worst

__all__ = ["Finding", "Report", "TensorCheck", "Verdict", "Worst"]
