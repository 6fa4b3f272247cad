"""A reading process for a configuration in JSON: python reading.py FILE --channel FD.

With {"reading": "hang" | "crash" | "garbage" | "exit" | "halfway"} in the file it does that.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from fastha.channel.stream import encode
from fastha.errors import Fault, Severity
from fastha.model import Config
from fastha.model.codec import read
from fastha.reading.__main__ import items


def main(path: str, fd: int) -> None:
    faults: tuple[Fault, ...] = ()
    config = Config()
    try:
        plain = json.loads(Path(path).read_text())
        word = plain.pop("reading", "")
        config = read(Config, plain)
    except json.JSONDecodeError as error:
        faults = (Fault(Severity.ERROR, path, error.lineno, error.colno, error.msg),)
        word = ""
    if word == "hang":
        time.sleep(60)
    if word == "exit":
        print("this is what I have to say", file=sys.stderr, flush=True)
        os._exit(3)
    if word == "garbage":
        os.write(fd, b'{"part": 1}\n')
        time.sleep(60)
    written = list(items(config, faults, (path,), 0))
    with open(fd, "wb") as out:
        for item in written if word not in ("halfway", "crash") else written[:1]:
            out.write(encode(item))
    if word == "crash":
        os.abort()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[sys.argv.index("--channel") + 1]))
