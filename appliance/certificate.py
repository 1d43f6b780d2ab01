"""The certificate of the box in the office's own network, for its pages and for SIP over TLS.

Made by the box for itself on its first start: a browser warns once and the person confirms. The
microphone of a page works only over HTTPS or on the box itself, so there is always one.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
import socket
import struct
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID_DAYS: Final = 825
"""The longest that Apple's systems accept, also for certificates a user trusts by hand."""
RENEW_DAYS: Final = 60
_SIOCGIFADDR: Final = 0x8915


def own_addresses() -> list[str]:
    """IPv4 addresses of this machine's interfaces, loopback first."""
    found = ["127.0.0.1"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                reply = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
            except OSError:  # an interface without an address
                continue
            address = socket.inet_ntoa(reply[20:24])
            if address not in found:
                found.append(address)
    return found


def ensure_certificate(folder: Path, names: tuple[str, ...], now: datetime) -> tuple[Path, Path]:
    """Paths of certificate and key in `folder`, made new when missing, broken or nearly over.

    `names` are further DNS names or addresses of the box. Both files are readable by their
    owner only. Several processes may ask at once. Raises OSError when the folder cannot be
    written.
    """
    certificate, key = folder / "cert.pem", folder / "key.pem"
    if not _usable(certificate, key, now):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _usable(certificate, key, now):
                key_pem, certificate_pem = _make(names, now)
                _write(key, key_pem)
                _write(certificate, certificate_pem)
    return certificate, key


def _usable(certificate: Path, key: Path, now: datetime) -> bool:
    try:
        parsed = x509.load_pem_x509_certificate(certificate.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), None)
        return (
            parsed.public_key() == private.public_key()
            and parsed.not_valid_after_utc - now > timedelta(days=RENEW_DAYS)
        )
    except (OSError, ValueError, TypeError):
        return False


def _make(names: tuple[str, ...], now: datetime) -> tuple[bytes, bytes]:
    host = socket.gethostname().split(".")[0].lower() or "centrala"
    alternatives: list[x509.GeneralName] = []
    for name in dict.fromkeys(("localhost", host, f"{host}.local", *own_addresses(), *names)):
        try:
            alternatives.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            try:
                alternatives.append(x509.DNSName(name))
            except ValueError:  # not ASCII: the certificate is good without this name
                continue
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        # A box without a clock battery may start a little in the past.
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=VALID_DAYS - 2))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )
    key_pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return key_pem, certificate.public_bytes(serialization.Encoding.PEM)


def _write(path: Path, content: bytes) -> None:
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)
