"""The voice menu: what a caller hears before the queue, and what their keys mean. Pure."""

from appliance.ivr.run import MenuRun

__all__ = ["MenuRun"]
