"""A scripted otpd for tests: a thread that says what a test tells it to, on a socket in a temporary folder."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

import otpd_wire as wire

ENGINE_TIME = 1_764_000_000_000
# What a script may answer instead of bytes.
CLOSE, STALL = "close", "stall"


class Request:
    """One that came: on which connection (from 0), and what the script needs to answer it."""

    def __init__(self, connection: int, opcode: int, correlation: int, body: bytes) -> None:
        self.connection, self.opcode, self.correlation, self.body = connection, opcode, correlation, body
        self.time = time.monotonic()

    def fields(self) -> dict[str, Any]:
        return wire.decode(wire.OPERATIONS[self.opcode][0], self.body)

    def done(self, **fields: Any) -> bytes:
        """The reply's frame."""
        body = b"\0\0" + wire.encode(wire.OPERATIONS[self.opcode][1], fields)
        return wire.frame(self.opcode, self.correlation, body, wire.REPLY)

    def refused(self, status: str, limit: str = "none", attempts_left: int = 0xFF) -> bytes:
        number = next((number for number, name in wire.STATUSES.items() if name == status), 0x7777)
        body = wire.encode("Refusal", {"status": number, "limit": wire.LIMITS.index(limit),
                                       "attempts_left": attempts_left})
        return wire.frame(self.opcode, self.correlation, body, wire.REPLY)


def goodbye(reason: str) -> bytes:
    body = wire.encode("Goodbye", {"reason": wire.REASONS.index(reason)})
    return wire.frame(wire.GOODBYE, 0, body, wire.PUSH)


def event(sequence: int) -> bytes:
    body = wire.encode("Event", {"epoch": 1, "sequence": sequence, "kind": 1})
    return wire.frame(wire.EVENT, 0, body, wire.PUSH)


class FakeOtpd:
    """`answer` takes each `Request` and returns what to send, a list of it and of seconds to sleep, CLOSE or
    STALL. None: Hello is welcomed, everything else is done with the reply's fields zero and a ping's token
    echoed."""

    def __init__(self, answer: Callable[[Request], Any] | None = None,
                 engine_time: Callable[[], int] = lambda: ENGINE_TIME) -> None:
        self.answer, self.engine_time = answer or (lambda request: None), engine_time
        self.folder = tempfile.mkdtemp(prefix="otpd-fake-")
        self.path = os.path.join(self.folder, "s")
        self.requests: list[Request] = []
        self.accepted = 0
        self._sockets: list[socket.socket] = []
        self.start()

    def start(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(64)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop(self) -> None:
        """Ends as a killed server does: the socket's file stays, nobody listens."""
        for sock in [self._listener, *self._sockets]:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()
        self._sockets.clear()

    def restart(self) -> None:
        if os.path.exists(self.path):  # Else the test is over.
            os.unlink(self.path)
            self.start()

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def of(self, opcode: int) -> list[Request]:
        return [request for request in self.requests if request.opcode == opcode]

    def send(self, data: bytes) -> None:
        """To the newest connection."""
        self._sockets[-1].sendall(data)

    def hang_up(self) -> None:
        """Ends the newest connection."""
        sock = self._sockets.pop()
        sock.shutdown(socket.SHUT_RDWR)
        sock.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            self._sockets.append(sock)
            number, self.accepted = self.accepted, self.accepted + 1
            threading.Thread(target=self._serve, args=(sock, number), daemon=True).start()

    def _serve(self, sock: socket.socket, connection: int) -> None:
        buffer = b""
        try:
            while True:
                found = wire.next_frame(buffer)
                if found is None:
                    data = sock.recv(4096)
                    if not data:
                        return
                    buffer += data
                    continue
                opcode, _, correlation, body, used = found
                buffer = buffer[used:]
                request = Request(connection, opcode, correlation, body)
                if opcode != wire.HELLO:
                    self.requests.append(request)
                if not self._say(sock, request):
                    return
        except OSError:
            return
        finally:
            sock.close()

    def _say(self, sock: socket.socket, request: Request) -> bool:
        said = self.answer(request)
        for part in said if isinstance(said, list) else [said]:
            if part == CLOSE:
                return False
            if isinstance(part, float):
                time.sleep(part)
            elif isinstance(part, bytes):
                sock.sendall(part)
            elif part is None:
                fields = {"engine_time_ms": self.engine_time()}
                if request.opcode == wire.HELLO:
                    fields["version"] = 1
                elif request.opcode == wire.PING:
                    fields.update(request.fields())
                else:
                    fields = {}
                sock.sendall(request.done(**fields))
        return True
