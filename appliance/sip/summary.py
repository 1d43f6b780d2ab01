"""How many messages wait for somebody, as phones light their lamp by it (RFC 3842)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MessageSummary:
    """Messages not heard yet, and those that were."""

    fresh: int = 0
    old: int = 0
    account: str = ""
    """What is dialled to hear them, without a host."""

    def body(self, version: int, entity: str) -> str:
        waiting = "yes" if self.fresh else "no"
        host = entity.partition("@")[2]
        account = f"Message-Account: sip:{self.account}@{host}\r\n" if self.account else ""
        counts = f"Voice-Message: {self.fresh}/{self.old} (0/0)\r\n"
        return f"Messages-Waiting: {waiting}\r\n{account}{counts}"
