"""SSL_GET, SMTP_CHECK, GRPC_CHECK and regex from a configuration to the verdict, by the checker as a program."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import need
from fastha.checker.prepare import refusing
from fastha.config.load import load
from fastha.dataplane.none import NoneBackend
from fastha.model import Config
from oracles.real_servers import certificates, exim, grpc_health, nginx

pytestmark = pytest.mark.interop
COMMAND = [sys.executable, "-m", "fastha.checker", "--dataplane", "none", "-f"]

CONF = """
global_defs {{
    checker_log_all_failures
}}
SSL {{
    ca {certs}/ca.pem
    certificate {certs}/client.pem
    key {certs}/locked.key
    password sesame
}}
virtual_server 203.0.113.1 443 {{
    delay_loop 0.2
    warmup 0
    delay_before_retry 0.1
    lvs_sched rr
    lvs_method NAT
    protocol TCP
    virtualhost good.test
    real_server 127.0.0.1 {tls} {{
        SSL_GET {{
            enable_sni
            http2
            tls_verify
            tls_expiry_days 30
            url {{
                path /page
                regex "^ALL \\\\w+ well"
                regex_options caseless multiline
            }}
            url {{
                path /host
                status_code 200
            }}
        }}
    }}
    real_server 127.0.0.1 {client} {{
        SSL_GET {{
            url {{
                path /who
                tls_compliant
                regex "CN=client"
            }}
        }}
    }}
    real_server 127.0.0.1 {mail} {{
        SMTP_CHECK {{
            helo_name director.test
        }}
    }}
    real_server 127.0.0.1 {grpc} {{
        GRPC_CHECK {{
            service turning
            tls
            tls_verify
            sni_name good.test
        }}
    }}
    real_server 127.0.0.1 {plain} {{
        HTTP_GET {{
            url {{
                path /page
                regex "maintenance"
                regex_no_match
            }}
        }}
    }}
}}
"""


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates(tmp_path_factory.mktemp("certs"))


@contextmanager
def checker(conf: Path) -> Iterator[Path]:
    """The log of a checker that runs."""
    log = conf.with_suffix(".log")
    with open(log, "wb") as out:
        child = subprocess.Popen([*COMMAND, str(conf)], stderr=out)
    try:
        yield log
        child.terminate()
        assert child.wait(10) == 0
    finally:
        child.kill()
        child.wait()


def test_from_the_configuration_to_the_verdict(tmp_path: Path, certs: Path) -> None:
    with nginx(certs) as (root, ports), exim() as mail, grpc_health(certs) as health:
        page = root / "www" / "page"
        page.write_text("first\nAll is well\n")
        health.set("turning", "SERVING")
        conf = tmp_path / "keepalived.conf"
        conf.write_text(CONF.format(certs=certs, mail=mail, grpc=health.tls, **ports))
        with checker(conf) as log:

            def says(text: str) -> None:
                need.wait_until(lambda: text in log.read_text(), 20, f"the log says {text}")

            name = "203.0.113.1:443/tcp 127.0.0.1:"
            says(f"SSL_GET 127.0.0.1:{ports['tls']}: the certificate ends in 19 days (")
            page.write_text("first\nnothing is well: maintenance\n")
            says(f"{name}{ports['tls']}: down: /page: body not as wanted: lacks ^ALL \\w+ well")
            says(f"{name}{ports['plain']}: down: body not as wanted: has maintenance")
            page.write_text("All is well\n")
            says(f"{name}{ports['tls']}: up: /host: answered")
            says(f"{name}{ports['plain']}: up: answered")
            health.set("turning", "NOT_SERVING")
            says(f"{name}{health.tls}: down: reply not accepted: NOT_SERVING")
            health.set("turning", "SERVING")
            says(f"{name}{health.tls}: up: answered")
            assert f"{name}{mail}: down" not in log.read_text()
            assert f"{name}{ports['client']}: down" not in log.read_text()
        assert log.read_text().count("the certificate ends") == 1


def refused(config: Config) -> str:
    """What the checker says of each virtual server that it cannot run."""
    return "".join(said for server in config.virtual_servers for said in refusing(server, NoneBackend()))


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("client.pem", "gone.pem", "gone.pem: No such file or directory (certificate with key"),
        ("sesame", "guess", "cannot be used as certificate with key"),
        ("ca.pem", "client.csr", "cannot be used as certificates of authorities"),
        ("director.test", '"a b"', "error: 'a b' cannot stand in HELO"),
        ("CN=client", "CN=(client", "error: regex 'CN=(client': missing closing parenthesis"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, certs: Path, old: str, new: str, text: str) -> None:
    conf = tmp_path / "keepalived.conf"
    numbers = {name: port for port, name in enumerate(("tls", "client", "mail", "grpc", "plain"), 4000)}
    conf.write_text(CONF.format(certs=certs, **numbers))
    loaded = load(str(conf))
    assert refused(loaded.checked()) == ""
    conf.write_text(CONF.format(certs=certs, **numbers).replace(old, new))
    loaded = load(str(conf))
    said = "\n".join(map(str, loaded.faults)) + refused(loaded.config)
    assert text in said
