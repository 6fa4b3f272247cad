"""Names and ends of certificates."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest

import need
from fastha.checker.talk.certificate import names, not_after

CERTIFICATE = {
    "subject": ((("commonName", "old.example.com"),),),
    "subjectAltName": (
        ("DNS", "www.example.com"),
        ("DNS", "*.apps.example.com"),
        ("DNS", "*"),
        ("DNS", "*.com"),
        ("IP Address", "192.0.2.7"),
        ("IP Address", "2001:DB8:0:0:0:0:0:1"),
    ),
}


@pytest.mark.parametrize("name", ["www.example.com", "WWW.Example.COM", "www.example.com.", "a.apps.example.com",
                                  "192.0.2.7", "2001:db8::1"])  # fmt: skip
def test_names_it_is_for(name: str) -> None:
    assert names(CERTIFICATE, name)


@pytest.mark.parametrize("name", ["example.com", "old.example.com", "a.b.apps.example.com", "apps.example.com",
                                  "anything", "192.0.2.8", "2001:db8::2", ""])  # fmt: skip
def test_names_it_is_not_for(name: str) -> None:
    assert not names(CERTIFICATE, name)
    assert not names({}, name)


@pytest.mark.parametrize("days", ["1", "9000", "20000"])  # UTCTime and GeneralizedTime (from 2050 on)
def test_the_end_is_what_openssl_says(tmp_path: Path, days: str) -> None:
    need.tool("openssl")
    pem = tmp_path / "c.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", days,
         "-subj", "/CN=x", "-keyout", str(tmp_path / "k.pem"), "-out", str(pem)],
        check=True, capture_output=True,
    )  # fmt: skip
    said = subprocess.run(
        ["openssl", "x509", "-in", str(pem), "-noout", "-enddate"], check=True, capture_output=True, text=True
    ).stdout
    der = ssl.PEM_cert_to_DER_cert(pem.read_text())
    assert not_after(der) == ssl.cert_time_to_seconds(said.removeprefix("notAfter=").strip())
    for size in range(len(der)):
        try:
            not_after(der[:size])
        except ValueError:
            continue
        assert size > 60, "the beginning alone has no end"
    for at in range(len(der)):
        broken = bytearray(der)
        broken[at] ^= 0xFF
        try:
            not_after(bytes(broken))
        except ValueError:
            pass
