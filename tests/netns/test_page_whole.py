"""The status page in a browser, with a real daemon behind it; and with the answer of one of 10 000 real servers."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

import need
from fastha.cli.client import NoAnswer, ask
from fastha.lab.network import Network
from watch_document import document

FASTHA = (sys.executable, "-m", "fastha.cli")
CONF = """
vrrp_instance VI_1 {
    interface eth0
    virtual_router_id 51
    priority 150
    version 3
    advert_int 0.1
    virtual_ipaddress {
        10.9.0.100/24
    }
}
virtual_server 10.9.0.100 80 {
    protocol TCP
    lb_algo rr
    lb_kind NAT
    delay_loop 1
    quorum 1
    real_server 10.9.0.1 8099 {
        TCP_CHECK {
            connect_timeout 1
            warmup 0
            retry 0
        }
    }
    real_server 10.9.0.1 8098 {
        TCP_CHECK {
            connect_timeout 1
            warmup 0
            retry 0
        }
    }
}
"""
TOKEN = "a token of this test"
POOL = '[data-key="10.9.0.100:80/tcp"]'
OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage"
).split()


class Page:
    """`fastha page` in front of the control socket `control`."""

    def __init__(self, control: str, *options: str) -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port = sock.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self.process = subprocess.Popen(
            [*FASTHA, "page", "--listen", f"127.0.0.1:{self.port}", "--control", control, "--user", "nobody", *options],
            stderr=subprocess.DEVNULL,
        )
        need.wait_until(self.answers, 60, "the page is served")

    def answers(self) -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def post(self, fields: object, **headers: str) -> int:
        asked = urllib.request.Request(
            f"{self.url}override", json.dumps(fields).encode(),
            {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}},
        )  # fmt: skip
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(60)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    chromium, driver = need.tool("chromium"), need.tool("chromedriver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    for word in (*OPTIONS, f"--user-data-dir={tmp_path}/profile"):
        options.add_argument(word)
    options.binary_location = chromium
    one = webdriver.Chrome(options=options, service=Service(driver))
    one.set_page_load_timeout(120)
    one.set_script_timeout(120)
    yield one
    one.quit()


def look(browser: Any, width: int, dark: bool) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    value = "dark" if dark else "light"
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": value}]}
    )


def says(browser: Any, selector: str) -> str:
    """The text of the first element of that kind, "" if there is none."""
    return str(browser.execute_script(f"return document.querySelector({selector!r})?.innerText || ''"))


class Site:
    def __init__(self, network: Network, folder: Path) -> None:
        self.director = network.namespace("director")
        network.attach("lan", self.director, "eth0", "10.9.0.1/24")
        self.control = f"{folder}/control.sock"
        (folder / "conf").write_text(CONF)
        (folder / "token").write_text(TOKEN)
        self.servers = [
            self.director.popen(
                [sys.executable, "-m", "http.server", port, "--bind", "10.9.0.1"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
            for port in ("8099", "8098")
        ]  # fmt: skip
        self.daemon = self.director.popen(
            [*FASTHA, "run", "-f", folder / "conf", "--control", self.control, "--dataplane", "none"],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.page = Page(self.control, "--token-file", str(folder / "token"))


@pytest.fixture
def site(network: Network, tmp_path: Path) -> Iterator[Site]:
    need.passable(tmp_path)
    one = Site(network, tmp_path)
    yield one
    one.page.close()


def test_a_server_that_is_killed_turns_red(site: Site, browser: Any) -> None:
    look(browser, 1200, dark=False)
    browser.get(site.page.url)
    cells = f"return document.querySelector('{POOL}')?.dataset.cells || ''"
    need.wait_until(lambda: browser.execute_script(cells) == "uu", 90, "both are up")
    need.wait_until(lambda: says(browser, "#instances .state") == "master", 90, "the instance is master")
    browser.execute_script("window.same = true")
    red = (
        "const c = document.querySelector('#servers canvas');"
        "const p = c.getContext('2d').getImageData({}, 3, 1, 1).data; return p[0] > p[1]"
    )
    assert not browser.execute_script(red.format(3))
    site.servers[0].kill()
    need.wait_until(lambda: "d" in browser.execute_script(cells), 90, "the page shows it")
    shown = browser.execute_script(cells)
    assert sorted(shown) == ["d", "u"]
    need.wait_until(
        lambda: bool(browser.execute_script(red.format(3 + 10 * shown.index("d")))), 30, "it is painted red"
    )
    assert not browser.execute_script(red.format(3 + 10 * shown.index("u")))
    assert browser.execute_script("return window.same"), "the page was loaded again"
    browser.execute_script(f"document.querySelector('{POOL}').click()")
    need.wait_until(lambda: "10.9.0.1:8099" in says(browser, "#room"), 60, "the real servers are listed")
    assert "connection refused" in says(browser, '[data-name="10.9.0.1:8099"]')
    site.daemon.terminate()
    need.wait_until(lambda: "does not answer" in says(browser, "#alarm"), 90, "it says that the daemon is gone")


def test_a_page_that_begins_late_shows_the_past(site: Site) -> None:
    def state() -> str:
        try:
            return str(ask(site.control, "status")["vrrp"]["instances"]["VI_1"]["state"])
        except (NoAnswer, KeyError):
            return ""

    need.wait_until(lambda: state() == "master", 90, "the instance is master")
    late = Page(site.control)
    try:
        with urllib.request.urlopen(f"{late.url}events", timeout=60) as stream:
            first = next(line for line in stream if line.startswith(b"data: "))
        history = json.loads(first.removeprefix(b"data: "))["history"]
        assert [(name, state) for name, _, state in history][:2] == [("VI_1", "backup"), ("VI_1", "master")]
        assert history[0][1] < history[1][1]
    finally:
        late.close()


def test_only_who_has_the_token_decides(site: Site, browser: Any) -> None:
    look(browser, 1200, dark=False)
    browser.get(site.page.url + "#10.9.0.100%3A80%2Ftcp")
    row = '[data-name="10.9.0.1:8098"]'
    need.wait_until(lambda: "up for" in says(browser, row), 60, "the server is up")
    fields = {"action": "disable", "virtual_servers": ["10.9.0.100:80"], "real_servers": ["10.9.0.1:8098"]}
    bearer = f"Bearer {TOKEN}"
    assert site.page.post(fields) == 403
    assert site.page.post(fields, Authorization="Bearer wrong") == 403
    assert site.page.post(fields, Authorization=bearer, Origin="http://evil.example") == 403
    assert site.page.post(fields, Authorization=bearer, Host="evil.example") == 403
    assert site.page.post(fields, Authorization=bearer, Content_Type="text/plain") == 415
    assert says(browser, f"{row} button") == ""
    browser.execute_script("document.querySelector('#unlock').click()")
    browser.execute_script(
        f"document.querySelector('#token').value = {TOKEN!r}; document.querySelector('#ask .main').click()"
    )
    need.wait_until(lambda: says(browser, f"{row} button") == "drain", 60, "there is a button")
    browser.execute_script(
        f"document.querySelector('{row} button').click(); document.querySelector('#ask .main').click()"
    )
    need.wait_until(lambda: "drain" in says(browser, f"{row} small"), 60, "it drains")
    need.wait_until(lambda: says(browser, f"{row} button") == "enable", 60, "and can be enabled")
    assert site.page.post(fields | {"action": "enable"}, Authorization=bearer) == 200
    need.wait_until(lambda: "up for" in says(browser, row), 60, "it is back")


@pytest.fixture
def large(tmp_path: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """A status of 10 000 real servers behind a socket; change it, and the next answer has it."""
    need.passable(tmp_path)
    status, path = document(10, 1000), str(tmp_path / "large.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    os.chmod(path, 0o666)
    listener.listen(16)

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                if client.recv(65536):
                    client.sendall(orjson.dumps(status) + b"\n")

    thread = threading.Thread(target=serve)
    thread.start()
    yield status, path
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def test_ten_thousand_real_servers_on_a_phone_in_the_dark(large: tuple[dict[str, Any], str], browser: Any) -> None:
    need.root()
    status, path = large
    page = Page(path)
    try:
        look(browser, 390, dark=True)
        browser.get(page.url)
        need.wait_until(lambda: "of 10000" in says(browser, "#sums"), 90, "all are counted")
        light = "const p = getComputedStyle(document.body)[arguments[0]].match(/[0-9]+/g); return p[0] > 128"
        assert not browser.execute_script(light, "backgroundColor")
        assert browser.execute_script(light, "color")
        assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth"), (
            "it scrolls sideways"
        )
        assert browser.execute_script("return document.querySelectorAll('*').length") < 1000
        browser.execute_script("location.hash = encodeURIComponent('10.0.0.4:80/tcp')")
        need.wait_until(lambda: "1000 of 1000" in says(browser, "#count"), 90, "one of them is open")
        assert browser.execute_script("return document.querySelectorAll('.real').length") < 60
        browser.execute_script("document.querySelector('#list').scrollTop = 40000")
        need.wait_until(lambda: "10.2.4." in says(browser, "#room"), 60, "it scrolls")
        assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
        status["checker"]["virtual_servers"]["10.0.0.4:80/tcp"]["real_servers"]["10.2.4.0:8000"]["health"] = "down"
        browser.execute_script("document.querySelector('#list').scrollTop = 0")
        down = "return real['10.2.4.0:8000']?.cell"
        need.wait_until(lambda: browser.execute_script(down) == "d", 60, "a change arrives")
        foreign = browser.execute_script(
            "const all = performance.getEntriesByType('resource').map((e) => e.name);"
            "return all.filter((n) => !n.startsWith(location.origin))"
        )
        assert foreign == []
    finally:
        page.close()
