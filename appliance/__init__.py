"""Centrala: a call centre on a box."""

__version__ = "0.1.0"
