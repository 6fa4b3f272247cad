"""`python -m fastha.reading FILE --channel FD`: read FILE and write channel/stream.py to the descriptor.

It ends with 0 also for a configuration that is refused. It runs with less priority than the daemon: adverts come first.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
import time
from collections.abc import Iterable

from fastha.channel.stream import End, Item, encode
from fastha.config.load import load
from fastha.errors import Fault, Severity
from fastha.model import Config
from fastha.model.parts import split
from fastha.reading.steady import steadily

NICE = 5
LIFE_S = 600  # nobody waits so long: if the parent died while we hang, nobody else would end us
WRITE_BYTES = 1 << 16
NAMED_FAULTS = 200  # handed over; errors first


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m fastha.reading", description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--config-id", default="", help="what @ lines compare with (default: the host's name)")
    parser.add_argument("--channel", type=int, required=True, metavar="FD")
    options = parser.parse_args(argv)
    signal.alarm(LIFE_S)
    os.nice(NICE)
    gc.disable()  # it will not live long enough
    began_ns = time.monotonic_ns()
    loaded, unsteady = steadily(lambda: load(options.file, options.config_id, native=True), time.time_ns, time.sleep)
    faults = (*loaded.faults, *unsteady)
    with open(options.channel, "wb", buffering=WRITE_BYTES) as out:
        for item in items(loaded.config, faults, loaded.files, time.monotonic_ns() - began_ns):
            out.write(encode(item))
    return 0


def items(config: Config, faults: tuple[Fault, ...], files: tuple[str, ...], read_ns: int) -> Iterable[Item]:
    """All that the parent is told."""
    errors = [fault for fault in faults if fault.severity is Severity.ERROR]
    if len(faults) > NAMED_FAULTS:  # none of the errors may be lost to a crowd of warnings
        others = [fault for fault in faults if fault.severity is not Severity.ERROR]
        yield (*errors, *others)[:NAMED_FAULTS]
    elif faults:
        yield faults
    if not errors:
        yield from split(config)
    yield End(not errors, len(errors), len(faults) - len(errors), files, read_ns)


if __name__ == "__main__":
    try:
        status = main()
    except BrokenPipeError:
        status = 0  # the daemon does not want it any more
    sys.stderr.flush()
    os._exit(status)  # to free a million small objects takes longer than to have them freed
