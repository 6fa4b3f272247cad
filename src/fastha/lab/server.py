"""A real server of the laboratory: `/` answers with its name, `/health` with `ok`. `python -m fastha.lab.server`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal

PATIENCE_S = 5.0  # with a client that does not send its request
LARGEST_REQUEST = 8192


def respond(request: bytes, name: str) -> bytes:
    """The whole response (HTTP/1.1, connection closed after it) to the head of a request."""
    words = request.split(b"\r\n", 1)[0].split(b" ")
    if len(words) != 3 or not words[2].startswith(b"HTTP/"):
        status, body = "400 Bad Request", b"bad request\n"
    elif words[0] not in (b"GET", b"HEAD"):
        status, body = "405 Method Not Allowed", b"only GET and HEAD\n"
    elif words[1].split(b"?", 1)[0] == b"/":
        status, body = "200 OK", f"{name}\n".encode()
    elif words[1] == b"/health":
        status, body = "200 OK", b"ok\n"
    else:
        status, body = "404 Not Found", b"not found\n"
    head = (
        f"HTTP/1.1 {status}\r\nServer: {name}\r\nContent-Type: text/plain\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (b"" if words[0] == b"HEAD" else body)


async def serve(name: str, ip: str, port: int) -> None:
    """Listen until SIGTERM or SIGINT."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                writer.write(respond(await reader.readuntil(b"\r\n\r\n"), name))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a TCP_CHECK connects and says nothing; a client went away
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = await asyncio.start_server(answer, ip, port, limit=LARGEST_REQUEST, backlog=1024)
    async with server:
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m fastha.lab.server", description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--ip", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=8080)
    options = parser.parse_args()
    asyncio.run(serve(options.name, options.ip, options.port))


if __name__ == "__main__":
    main()
