"""What the site document means for the doors and the audio, each in its own terms."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

from appliance.media import protocol as p
from appliance.sip.events import SipConfig, TrunkConfig
from appliance.site.model import Site
from appliance.site.secrets import Secrets


def tls_context(site: Site, data: Path) -> ssl.SSLContext | None:
    """Our side of SIP over TLS; None when the site wants none."""
    if not site.sip.tls:
        return None
    # Cryptography is a large library that a box without TLS does without.
    from appliance.certificate import ensure_certificate

    certificate, key = ensure_certificate(data / "tls", site.web.hosts, datetime.now(UTC))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def media_setup(site: Site) -> p.Setup:
    """What a media process is told first: all lines, before they are shared out."""
    return p.Setup(
        lines=tuple(
            p.LineSetup(
                line_id,
                "modem",
                site.office.country,
                {
                    "device": line.device,
                    "profile": line.profile,
                    "cid_wait_s": str(line.cid_wait_s),
                },
            )
            for line_id, line in site.lines.items()
            if line.kind == "modem"
        ),
        country=site.office.country,
    )


def sip_config(site: Site, secrets: Secrets) -> SipConfig:
    """Phones, trunks and ports of the SIP door."""
    return SipConfig(
        host=site.sip.host,
        port=site.sip.port,
        udp=site.sip.udp,
        tcp=site.sip.tcp,
        realm=site.sip.realm,
        tls=site.sip.tls,
        tls_port=site.sip.tls_port,
        sha256=site.sip.sha256,
        phones={
            extension: secret
            for extension in site.phones
            if (secret := secrets.phone(extension)) is not None
        },
        tls_only=frozenset(e for e, phone in site.phones.items() if phone.srtp == "required"),
        trunks={
            trunk_id: TrunkConfig(
                host=trunk.host,
                port=trunk.port,
                transport=trunk.transport,
                username=trunk.username,
                secret=secrets.trunk(trunk_id),
                registration=trunk.registration,
                identity=trunk.identity,
                verify=trunk.verify,
                tls_only=trunk.srtp == "required",
            )
            for trunk_id, trunk in site.lines.items()
            if trunk.kind == "trunk"
        },
    )
