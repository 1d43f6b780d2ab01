"""A request of ours with its answer, challenges included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from appliance.sip.context import Context
from appliance.sip.digest import authorize
from appliance.sip.flow import Hop
from appliance.sip.message import Message
from appliance.sip.transaction import Client, Handler, Transactions

_ATTEMPTS: Final = 3
"""Requests at most: plain, with credentials, and once more for a stale nonce."""


class Exchange:
    """Sends a request and answers 401 and 407 with `credentials` (user name, secret) by sending
    it again under the next CSeq. The handler hears of everything else."""

    def __init__(
        self,
        ctx: Context,
        request: Message,
        hop: Hop,
        handler: Handler,
        now: int,
        credentials: tuple[str, str] | None = None,
        next_cseq: Callable[[], int] | None = None,
        layer: Transactions | None = None,
    ) -> None:
        self.request = request
        self.hop = hop
        self.credentials = credentials
        self._ctx = ctx
        self._handler = handler
        self._next_cseq = next_cseq
        self._attempts = 1
        self._cancelled = False
        self._layer = layer or ctx.transactions
        self._client: Client = self._layer.request(request, hop, self._response, now)

    @property
    def cseq(self) -> int:
        return int((self.request.get("cseq") or "0").partition(" ")[0])

    @property
    def proceeding(self) -> bool:
        return self._client.proceeding

    def cancel(self, now: int) -> None:
        """Give an INVITE up: CANCEL if that is possible yet, and no answer to a challenge."""
        self._cancelled = True
        self._client.cancel(now)

    def _response(self, response: Message, now: int) -> None:
        again = self._again(response) if response.status in (401, 407) else None
        if again is None:
            self._handler(response, now)
            return
        self.request = again
        self._client = self._layer.request(again, self.hop, self._response, now)

    def _again(self, response: Message) -> Message | None:
        if self.credentials is None or self._cancelled or self._attempts >= _ATTEMPTS:
            return None
        field = authorize(self.request, response, *self.credentials, self._ctx.entropy)
        if field is None:
            return None
        name = field[0]
        if self.request.get(name) is not None and not _stale(response):
            return None
        self._attempts += 1
        cseq = self._next_cseq() if self._next_cseq is not None else self.cseq + 1
        request = Message(
            self.request.method,
            self.request.uri,
            headers=[p for p in self.request.headers if p[0] not in ("via", name)],
            body=self.request.body,
        )
        request.set("cseq", f"{cseq} {request.method}")
        request.headers.append(field)
        return request


def _stale(response: Message) -> bool:
    fields = response.all("www-authenticate") + response.all("proxy-authenticate")
    return any("stale=true" in value.lower().replace('"', "") for value in fields)
