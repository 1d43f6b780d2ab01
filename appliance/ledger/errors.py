"""What can go wrong with the ledger, in words for people."""

from __future__ import annotations


class LedgerError(Exception):
    """The ledger cannot be opened, read or written; the text says why and what to do."""


class LedgerFull(LedgerError):
    """The disk is full or does not take writes. Nothing of the refused group was written; the same
    facts may be appended again."""


class LedgerInUse(LedgerError):
    """Another process writes this ledger."""
