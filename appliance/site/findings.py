"""What a linter says about a site document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """`path` names the place in the document, `message` what is wrong and what would be right.
    An `error` is a document that would not work; a `warning` is one that callers will not like."""

    path: str
    severity: Literal["error", "warning"]
    message: str
