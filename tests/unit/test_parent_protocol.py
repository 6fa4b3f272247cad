"""Requests of the control socket."""

from __future__ import annotations

import orjson
import pytest

from fastha.parent.protocol import COMMANDS, BadRequest, answer, parse, refusal


def ask(**fields: object) -> bytes:
    return orjson.dumps({"v": 1, **fields})


def test_every_command_for_an_admin_and_some_for_everybody() -> None:
    for name, command in COMMANDS.items():
        assert parse(ask(command=name), admin=True).command == name
        if command.admin:
            with pytest.raises(BadRequest) as caught:
                parse(ask(command=name), admin=False)
            assert caught.value.code == "denied"
        else:
            assert parse(ask(command=name), admin=False).command == name


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"", "malformed"),
        (b"status", "malformed"),
        (b"[]", "malformed"),
        (b"null", "malformed"),
        (b"\xff\xfe", "malformed"),
        (b"[" * 60_000, "malformed"),
        (b"{}", "version"),
        (b'{"v":2,"command":"status"}', "version"),
        (b'{"v":"1","command":"status"}', "version"),
        (ask(command="nonsense"), "unknown"),
        (ask(command=["status"]), "unknown"),
        (ask(), "unknown"),
        (ask(command="status", extra=1), "malformed"),
        (ask(command="status", **{"x" * 50_000: 1}), "malformed"),
    ],
)
def test_bad_requests(line: bytes, code: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse(line, admin=True)
    assert caught.value.code == code
    said = refusal(caught.value)
    assert said.endswith(b"\n")
    assert len(said) < 400
    assert orjson.loads(said)["ok"] is False


def test_answers_are_lines() -> None:
    line = answer({"text": "a\nb"})
    assert line.count(b"\n") == 1
    assert orjson.loads(line) == {"v": 1, "ok": True, "text": "a\nb"}
