"""Calls, legs and bridges: drives the doors and the media from the decisions of acd and ivr.

Everything but `run.py` is a pure machine: an event and `now` go in, facts and actions come out.
`run.py` writes the facts to the ledger first and carries the actions out after.
"""
