"""A control socket with answers that a test gives: {command: fields}. It runs in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from fastha.parent import protocol
from fastha.parent.control import Server
from fastha.parent.loop import Loop


class Answering:
    """`status` with `only` gives these parts alone, as the daemon does. `asked`: every request."""

    def __init__(self, path: str, answers: Mapping[str, dict[str, Any]]) -> None:
        self.path, self.answers = path, answers
        self.asked: list[protocol.Request] = []
        self.loop = Loop()
        self.server = Server(self.loop, path, self._answer)
        self._over = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _answer(self, request: protocol.Request, reply: Callable[[bytes], None]) -> None:
        self.asked.append(request)
        found = self.answers.get(request.command)
        if found is None:
            reply(protocol.refusal(protocol.BadRequest("unmatched", f"no answer to {request.command}")))
            return
        only = request.fields.get("only")
        reply(protocol.answer({k: v for k, v in found.items() if only is None or k in only}))

    def _run(self) -> None:
        while not self._over:
            self.loop.turn(0.02)

    def __enter__(self) -> Answering:
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._thread.join()
        self.server.close()
        self.loop.close()
