"""The one exception for what cannot be done now."""

from __future__ import annotations


class Cannot(Exception):
    """Everything stays as it is; the text is for the person who asked."""
