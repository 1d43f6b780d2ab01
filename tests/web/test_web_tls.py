"""The box's own certificate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from appliance.certificate import ensure_certificate

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_the_files_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    for path in ensure_certificate(tmp_path / "tls", (), NOW):
        assert path.stat().st_mode & 0o077 == 0


def test_the_certificate_names_localhost_and_what_the_site_lists(tmp_path: Path) -> None:
    certificate, _ = ensure_certificate(tmp_path, ("box.example", "10.9.8.7", "bü.ro"), NOW)
    parsed = x509.load_pem_x509_certificate(certificate.read_bytes())
    names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "box.example"} <= set(names.get_values_for_type(x509.DNSName))
    assert "10.9.8.7" in map(str, names.get_values_for_type(x509.IPAddress))


def test_a_good_certificate_is_kept(tmp_path: Path) -> None:
    certificate, key = ensure_certificate(tmp_path, (), NOW)
    before = certificate.read_bytes(), key.read_bytes()
    ensure_certificate(tmp_path, (), NOW + timedelta(days=30))
    assert (certificate.read_bytes(), key.read_bytes()) == before


def test_a_certificate_near_its_end_is_made_anew(tmp_path: Path) -> None:
    certificate, _ = ensure_certificate(tmp_path, (), NOW)
    before = certificate.read_bytes()
    ensure_certificate(tmp_path, (), NOW + timedelta(days=800))
    assert certificate.read_bytes() != before


def test_a_damaged_file_is_replaced(tmp_path: Path) -> None:
    certificate, key = ensure_certificate(tmp_path, (), NOW)
    key.write_text("garbage")
    ensure_certificate(tmp_path, (), NOW)
    assert b"PRIVATE KEY" in key.read_bytes()
    assert b"CERTIFICATE" in certificate.read_bytes()
