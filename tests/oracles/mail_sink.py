"""A mail server that takes everything: `mail_sink.py ADDRESS PORT FILE` writes a JSON line for each mail.

{"helo", "from", "to": [...], "lines": [...] of the message}. Not ours in any way: no smtplib, no email.
"""

from __future__ import annotations

import json
import socketserver
import sys


class Session(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.say("220 sink ESMTP")
        mail: dict[str, object] = {}
        to: list[str] = []
        helo = ""
        while line := self.rfile.readline().decode("latin-1").rstrip("\r\n"):
            verb = line[:4].upper()
            if verb in ("HELO", "EHLO"):
                helo = line[5:]
            elif verb == "MAIL":
                mail, to = {"helo": helo, "from": line[10:]}, []
            elif verb == "RCPT":
                to.append(line[8:])
            elif verb == "DATA":
                self.say("354 go on")
                lines = []
                while (text := self.rfile.readline().decode("latin-1")) not in (".\r\n", ""):
                    lines.append(text)
                if not text:
                    return
                with open(sys.argv[3], "a") as file:
                    file.write(json.dumps({**mail, "to": to, "lines": lines}) + "\n")
            elif verb == "QUIT":
                self.say("221 bye")
                return
            self.say("250 fine")

    def say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")
        self.wfile.flush()


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    Server((sys.argv[1], int(sys.argv[2])), Session).serve_forever()
