"""Automatic call distribution: who gets which call, and when. Pure: time and ids come from outside.

`Acd` is one machine for all queues and all agents. The switch tells it what happened
(`acd.events`), it answers with facts for the ledger (`appliance.events`) and with what the switch
has to do (`acd.actions`), in the order in which they happened.
"""

from appliance.acd.machine import Acd

__all__ = ["Acd"]
