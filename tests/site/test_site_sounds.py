"""Where a site document plays the office's sounds."""

from __future__ import annotations

from appliance.site.model import Site
from appliance.site.sounds import used_sounds


def test_every_place_of_a_sound_is_found() -> None:
    site = Site.model_validate(
        {
            "office": {"name": "A", "timezone": "UTC"},
            "people": {"ana": {"name": "Ana", "extension": "201"}},
            "queues": {
                "sales": {
                    "name": "Sales",
                    "extension": "301",
                    "agents": ["ana"],
                    "welcome": {"file": "hello.wav"},
                    "music": "jazz.wav",
                }
            },
            "menus": {
                "main": {
                    "prompt": {"file": "hello.wav"},
                    "default": "queue:sales",
                    "keys": {"1": {"go": "queue:sales"}},
                }
            },
        }
    )
    assert used_sounds(site) == {
        "hello.wav": ["queues.sales.welcome", "menus.main.prompt"],
        "jazz.wav": ["queues.sales.music"],
    }
