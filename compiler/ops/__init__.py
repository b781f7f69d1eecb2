"""Operators: one file each, or one a family. Importing this package registers them all."""

import pkgutil
from importlib import import_module

from .registry import Operator, find_operator, needed_constants

__all__ = ["Operator", "find_operator", "needed_constants"]

for _module in pkgutil.iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
