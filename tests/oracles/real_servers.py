"""Servers we did not write, on loopback ports of their own, and certificates made by openssl for them."""

from __future__ import annotations

import contextlib
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import need

GRPC = """
import sys, time
from concurrent import futures
import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
server = grpc.server(futures.ThreadPoolExecutor(2))
servicer = health.HealthServicer()
health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
S = health_pb2.HealthCheckResponse
servicer.set("", S.SERVING); servicer.set("up", S.SERVING); servicer.set("down", S.NOT_SERVING)
read = lambda name: open(name, "rb").read()
keys = grpc.ssl_server_credentials([(read(sys.argv[1]), read(sys.argv[2]))])
print(server.add_insecure_port("127.0.0.1:0"), server.add_secure_port("127.0.0.1:0", keys), flush=True)
server.start()
for line in sys.stdin:
    service, status = line.split()
    servicer.set(service, S.ServingStatus.Value(status))
    print("set", flush=True)
"""

NGINX = """
daemon off; worker_processes 1; pid {root}/nginx.pid; error_log {root}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log {root}/access.log; default_type text/plain;
  client_body_temp_path {root}; proxy_temp_path {root}; fastcgi_temp_path {root}; uwsgi_temp_path {root};
  scgi_temp_path {root}; gzip on; gzip_min_length 1; gzip_types text/plain; root {root}/www;
  server {{ listen 127.0.0.1:{plain}; location = /sni {{ return 200 "none"; }} location = /500 {{ return 500; }} }}
  server {{ listen 127.0.0.1:{tls} ssl http2 default_server; server_name default;
    ssl_certificate {certs}/good.pem; ssl_certificate_key {certs}/good.key;
    location = /host {{ return 200 "$host $server_protocol $ssl_server_name $ssl_session_reused"; }}
    location = /500 {{ return 500 "ouch"; }} }}
  server {{ listen 127.0.0.1:{tls} ssl http2; server_name named.test;
    ssl_certificate {certs}/named.pem; ssl_certificate_key {certs}/named.key;
    location = /host {{ return 200 "named $http_host"; }} }}
  server {{ listen 127.0.0.1:{expired} ssl;
    ssl_certificate {certs}/expired.pem; ssl_certificate_key {certs}/expired.key; }}
  server {{ listen 127.0.0.1:{client} ssl;
    ssl_certificate {certs}/good.pem; ssl_certificate_key {certs}/good.key;
    ssl_client_certificate {certs}/ca.pem; ssl_verify_client on;
    location = /who {{ return 200 "$ssl_client_s_dn"; }} }}
  server {{ listen 127.0.0.1:{old} ssl; ssl_protocols TLSv1.2;
    ssl_certificate {certs}/good.pem; ssl_certificate_key {certs}/good.key; }}
}}
"""

EXIM = """
primary_hostname = mx.test
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
spool_directory = {root}/spool
log_file_path = {root}/%slog
pid_file_path = {root}/exim.pid
keep_environment =
smtp_banner = "mx.test ESMTP\\nsecond line"
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts =
{more}
begin acl
refuse:
  deny message = not you
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def openssl(where: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=where, check=True, capture_output=True)


def certificates(where: Path) -> Path:
    """ca.pem; good, named (other names), client, locked (its key has the password `sesame`): .pem and .key; expired."""
    need.tool("openssl")
    ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    openssl(where, "req", "-x509", *ec, "-nodes", "-days", "100", "-subj", "/CN=test CA", "-keyout", "ca.key",
            "-out", "ca.pem", "-addext", "basicConstraints=critical,CA:TRUE")  # fmt: skip
    for name, san, days in (
        ("good", "DNS:good.test,DNS:*.apps.test,IP:127.0.0.1", "20"),
        ("named", "DNS:named.test", "90"),
        ("client", "DNS:director.test", "90"),
    ):
        _signed(where, name, san, ["-days", days])
    _signed(where, "expired", "DNS:good.test", ["-days", "-1"])
    openssl(where, "pkey", "-in", "client.key", "-aes256", "-passout", "pass:sesame", "-out", "locked.key")
    return where


def _signed(where: Path, name: str, san: str, days: list[str]) -> None:
    openssl(where, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
            "-keyout", f"{name}.key", "-out", f"{name}.csr")  # fmt: skip
    (where / f"{name}.ext").write_text(f"subjectAltName={san}\n")
    openssl(where, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", f"{name}.pem", "-extfile", f"{name}.ext", *days)  # fmt: skip


@contextlib.contextmanager
def running(argv: list[str], **options: object) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(argv, text=True, **options)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                pipe.close()


@contextlib.contextmanager
def nginx(certs: Path) -> Iterator[tuple[Path, dict[str, int]]]:
    """(its root with `www`, {server: port})."""
    program = need.tool("nginx")
    root = Path(tempfile.mkdtemp(prefix="fastha-nginx-"))
    root.chmod(0o755)
    try:
        (root / "www").mkdir()
        ports = {name: free_port() for name in ("plain", "tls", "expired", "client", "old")}
        (root / "nginx.conf").write_text(NGINX.format(root=root, certs=certs, **ports))
        with running([program, "-p", str(root), "-c", str(root / "nginx.conf")], stderr=subprocess.DEVNULL):
            need.wait_until(lambda: all(map(listens, ports.values())), 20, "nginx listens")
            yield root, ports
    finally:
        shutil.rmtree(root)


# Delivers into `mail`; over TLS with a certificate of `certificates`, in which AUTH is offered: user
# `director`, password `open sesame`. Port {tls} is TLS from the first byte.
POST = """
tls_advertise_hosts = *
tls_certificate = {root}/good.pem
tls_privatekey = {root}/good.key
daemon_smtp_ports = {port} : {tls}
tls_on_connect_ports = {tls}
domainlist local_domains = example.com
acl_smtp_rcpt = check
acl_smtp_data = read
qualify_domain = example.com
deliver_drop_privilege
{more}
begin acl
check:
  deny local_parts = nobody
       message = no such user
  defer local_parts = later
       message = come back later
  deny condition = {condition}
       message = log in first
  accept domains = +local_domains
read:
  accept
begin routers
all:
  driver = accept
  transport = file
begin transports
file:
  driver = appendfile
  directory = {root}/mail
  maildir_format
  envelope_to_add
  user = Debian-exim
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_condition = ${{if and{{{{eq{{$auth2}}{{director}}}}{{eq{{$auth3}}{{open sesame}}}}}}}}
  server_advertise_condition = ${{if def:tls_in_cipher}}
  server_set_id = $auth2
"""


@contextlib.contextmanager
def exim_post(certs: Path, must_log_in: bool = False) -> Iterator[tuple[int, int, Path]]:
    """(port with STARTTLS, port with TLS, folder of the mail that came: `new/*`, with Envelope-to). It refuses nobody@
    for good, and later@ for now."""
    root = Path(tempfile.mkdtemp(prefix="fastha-exim-"))
    try:
        user = pwd.getpwnam("Debian-exim")
        for name in ("good.pem", "good.key"):
            shutil.copy(certs / name, root)
        port, tls = free_port(), free_port()
        condition = "${if !def:authenticated_id}" if must_log_in else "no"
        head = (
            EXIM.split("begin acl")[0]
            .replace("tls_advertise_hosts =\n", "")
            .replace("daemon_smtp_ports = {port}\n", "")
        )
        text = head.format(root=root, port=port, more="") + POST.format(
            root=root, port=port, tls=tls, condition=condition, more=""
        )
        (root / "exim.conf").write_text(text)
        (root / "exim.conf").chmod(0o644)
        for path in (root, root / "spool", root / "mail"):
            path.mkdir(exist_ok=True)
            path.chmod(0o755)
        for path in (root, root / "spool", root / "mail", root / "good.pem", root / "good.key"):
            shutil.chown(path, user.pw_uid, user.pw_gid)
        with running([need.tool("exim4"), "-C", str(root / "exim.conf"), "-bdf"], stderr=subprocess.DEVNULL):
            need.wait_until(lambda: listens(port) and listens(tls), 20, "exim listens")
            yield port, tls, root / "mail"
    finally:
        shutil.rmtree(root)


@contextlib.contextmanager
def exim(more: str = "") -> Iterator[int]:
    """The port of a mail server that greets in two lines."""
    need.root()
    program = need.tool("exim4")
    root = Path(tempfile.mkdtemp(prefix="fastha-exim-"))
    try:
        user = pwd.getpwnam("Debian-exim")
        (root / "spool").mkdir()
        for path in (root, root / "spool"):
            path.chmod(0o755)
            shutil.chown(path, user.pw_uid, user.pw_gid)
        port = free_port()
        (root / "exim.conf").write_text(EXIM.format(root=root, port=port, more=more))
        (root / "exim.conf").chmod(0o644)
        with running([program, "-C", str(root / "exim.conf"), "-bdf"], stderr=subprocess.DEVNULL):
            need.wait_until(lambda: listens(port), 20, "exim listens")
            yield port
    finally:
        shutil.rmtree(root)


class GrpcServer:
    """A health server by grpcio, in a process of its own. `clear`, `tls`: its ports."""

    def __init__(self, process: subprocess.Popen[str], clear: int, tls: int) -> None:
        self.clear, self.tls = clear, tls
        self._process = process

    def set(self, service: str, status: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{service} {status}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "set\n"


@contextlib.contextmanager
def grpc_health(certs: Path) -> Iterator[GrpcServer]:
    argv = [sys.executable, "-W", "ignore", "-c", GRPC, str(certs / "good.key"), str(certs / "good.pem")]
    with running(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        clear, tls = map(int, process.stdout.readline().split())
        yield GrpcServer(process, clear, tls)
