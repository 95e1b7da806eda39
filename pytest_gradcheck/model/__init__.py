"""The plain data that computing, judging, wording and printing pass to each other."""

from pytest_gradcheck.model.gradients import Finding, Report, TensorCheck, Verdict, Worst
from pytest_gradcheck.model.training import Failure, TrainingReport

__all__ = ["Failure", "Finding", "Report", "TensorCheck", "TrainingReport", "Verdict", "Worst"]
