"""The hashes against the published examples."""

from __future__ import annotations

import pytest

from appliance.sip.digest import response_hash

# RFC 7616 section 3.9.1.
PARAMS = {
    "uri": "/dir/index.html",
    "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
    "nc": "00000001",
    "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    "qop": "auth",
}


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_examples_of_rfc_7616(algorithm: str, expected: str) -> None:
    realm = "http-auth@example.org"
    assert response_hash(algorithm, "Mufasa", realm, "Circle of Life", "GET", PARAMS) == expected


def test_example_of_rfc_2617() -> None:
    params = {
        "uri": "/dir/index.html",
        "nonce": "dcd98b7102dd2f0e8b11d0f600bfb0c093",
        "nc": "00000001",
        "cnonce": "0a4f113b",
        "qop": "auth",
    }
    made = response_hash("MD5", "Mufasa", "testrealm@host.com", "Circle Of Life", "GET", params)
    assert made == "6629fae49393a05397450978507c4ef1"
