"""Tuning: schedules found by search with a clock that is handed in, and kept in a database."""

from .database import DatabaseError, NetworkEntry, TuningDatabase
from .measure import Measure
from .search import QUICK, THOROUGH, Effort, Tuner

__all__ = [
    "QUICK", "THOROUGH", "DatabaseError", "Effort", "Measure", "NetworkEntry", "Tuner", "TuningDatabase",
]  # fmt: skip
