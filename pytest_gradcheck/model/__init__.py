"""The plain data that computing, judging, wording and printing pass to each other."""

from pytest_gradcheck.model.gradients import Finding, Report, TensorCheck, Verdict, Worst
from pytest_gradcheck.model.health import GradientFlow, LayerFlow, Symptom
from pytest_gradcheck.model.limits import Limits
from pytest_gradcheck.model.run_health import Health, HealthSample, Histogram, Update
from pytest_gradcheck.model.training import Failure, Remedy, Site, TrainingReport

__all__ = [
    "Failure",
    "Finding",
    "GradientFlow",
    "Health",
    "HealthSample",
    "Histogram",
    "LayerFlow",
    "Limits",
    "Remedy",
    "Report",
    "Site",
    "Symptom",
    "TensorCheck",
    "TrainingReport",
    "Update",
    "Verdict",
    "Worst",
]
