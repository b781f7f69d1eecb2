"""Tilewright: a co-design kit for tensor accelerators."""
