"""A small synchronous client of otpd: standard library only, written from PROTOCOL.md (frames and messages: `otpd_wire`).

    with Client("/run/otpd/otpd.sock") as otpd:
        challenge = otpd.request_code(b"alice", b"+33612345678", session)
        grant = otpd.verify(challenge["challenge"], session, b"123456")["grant"]
        otpd.redeem_grant(grant, 1, b"alice", session)

Every method returns the reply's fields as a dict, or raises
- `Refused`: the server said no, and why;
- `Unknown`: no answer came and retries are used up: the request acted or it didn't;
- `Closed`: the server doesn't want this client (wrong tenant, version, role): its last frame says why.

One `Client` is one connection, used by one thread. A request whose answer was lost is sent again with the same bytes, so the same request
id: it acts at most once.
"""

import os
import socket
import time

import otpd_wire as wire

SMS = 1
ANONYMOUS, FIRST_FACTOR, KNOWN_DEVICE = 0, 1, 2
NOW, AFTER_CURSOR, OLDEST = 0, 1, 2
SUBMITTED, TRANSIENT_FAILURE, PERMANENT_FAILURE, DELIVERED, UNDELIVERED = 1, 2, 3, 4, 5
# Reasons of Goodbye after which another connection may do better.
_PASSING = {"helloTimeout", "inputOverflow", "outputOverflow", "tooManyConnections", "shuttingDown", "storageFailure",
            "frameTimeout", "eventsGone"}


class Refused(Exception):
    """The server said no. `status` and `limit` are names of PROTOCOL.md; `retry_after_ms` 0 and `attempts_left` None: don't apply."""

    def __init__(self, fields):
        self.status = wire.STATUSES.get(fields["status"], hex(fields["status"]))
        self.limit = wire.name_in(wire.LIMITS, fields["limit"])
        self.neutral_class = fields["neutral_class"]
        self.attempts_left = None if fields["attempts_left"] == 0xFF else fields["attempts_left"]
        self.retry_after_ms = fields["retry_after_ms"]
        super().__init__(f"{self.status} limit={self.limit} attempts_left={self.attempts_left} "
                         f"retry_after_ms={self.retry_after_ms}")

    @property
    def is_retryable(self):
        """The same request may pass after `retry_after_ms`."""
        return self.status in wire.RETRYABLE


class Unknown(Exception):
    """The connection was lost, or the server couldn't say: the request may or may not have acted."""


class Closed(Exception):
    """The server ended the connection; `reason` is a name of PROTOCOL.md §9."""

    def __init__(self, reason, text=""):
        self.reason = reason
        super().__init__(f"{reason}: {text}" if text else reason)


class Client:
    """A connection that is made at the first call, and made again when it was lost."""

    def __init__(self, path, tenant=0, roles=0, timeout=5.0, retries=3, name="otpd-python 1"):
        """`timeout`: seconds for one try of one request. `retries`: further tries, 3 at most by the protocol."""
        if not 0 <= retries <= 3:
            raise ValueError("retries must be 0 to 3")
        self.path, self.tenant, self.roles, self.timeout, self.retries, self.name = path, tenant, roles, timeout, retries, name
        self.sock, self.hello = None, None
        self._correlation, self._pushes, self._buffer, self._base = 0, [], b"", 0.0

    def __enter__(self):
        self.connect()
        return self

    def __exit__(self, *_):
        self.close()

    def connect(self):
        """Connects and says Hello; its reply's fields are in `hello`."""
        self.close()
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)
        self._buffer, self._pushes = b"", []
        hello = {"magic": wire.MAGIC, "min_version": 1, "max_version": 1, "tenant": self.tenant, "roles": self.roles,
                 "client": self.name.encode()}
        self.hello = self._exchange(wire.HELLO, wire.encode("Hello", hello))
        self._base = time.monotonic()

    def close(self):
        """Ends the connection; the next call makes another."""
        if self.sock:
            self.sock.close()
        self.sock = None

    def request_id(self):
        """A fresh one: 6 bytes of engine time, 10 random."""
        if self.hello is None:
            self.connect()
        now = self.hello["engine_time_ms"] + int((time.monotonic() - self._base) * 1000)
        return now.to_bytes(6, "big") + os.urandom(10)

    # -- frames

    def _receive(self, deadline):
        while True:
            found = wire.next_frame(self._buffer)
            if found:
                opcode, flags, correlation, body, used = found
                self._buffer = self._buffer[used:]
                if flags == wire.PUSH and opcode == wire.GOODBYE:
                    said = wire.decode("Goodbye", body)
                    raise Closed(wire.name_in(wire.REASONS, said["reason"]), said.get("text", b"").decode("utf-8", "replace"))
                return opcode, flags, correlation, body
            self.sock.settimeout(max(0.001, deadline - time.monotonic()))
            data = self.sock.recv(65536)
            if not data:
                raise Unknown("the server closed the connection")
            self._buffer += data

    def _exchange(self, opcode, body):
        deadline = time.monotonic() + self.timeout
        self._correlation = (self._correlation + 1) & 0xFFFFFFFF
        self.sock.settimeout(self.timeout)
        try:
            self.sock.sendall(wire.frame(opcode, self._correlation, body))
        except BrokenPipeError:
            pass  # The server closed; what it said last may still be read.
        while True:
            got, flags, correlation, answer = self._receive(deadline)
            if flags == wire.PUSH:
                self._pushes.append((got, answer))
            elif correlation == self._correlation:
                if answer[:2] != b"\0\0":
                    raise Refused(wire.decode("Refusal", answer))
                return wire.decode(wire.OPERATIONS[opcode][1], answer[2:])

    def call(self, opcode, fields):
        """Sends a request of `wire.OPERATIONS`; again with the same bytes after a lost connection or the status *unknown*."""
        if "request_id" in dict(map(reversed, wire.MESSAGES[wire.OPERATIONS[opcode][0]][0])) and not fields.get("request_id"):
            fields = {**fields, "request_id": self.request_id()}
        body = wire.encode(wire.OPERATIONS[opcode][0], fields)
        for attempt in range(self.retries + 1):
            is_last = attempt == self.retries
            try:
                if self.sock is None:
                    self.connect()
                return self._exchange(opcode, body)
            except Refused as refusal:
                if refusal.status != "unknown" or is_last:
                    raise
            except Closed as closed:
                self.close()
                if closed.reason not in _PASSING:
                    raise
                if is_last:
                    raise Unknown(str(closed)) from closed
            except (OSError, Unknown, wire.WireError) as error:
                self.close()
                if is_last:
                    raise Unknown(f"{self.path}: {error}") from error
            time.sleep(0.05 * 2 ** attempt)
        raise Unknown("retries used up")

    # -- operations

    def ping(self, token=1):
        """Asks whether the server is there."""
        return self.call(wire.PING, {"token": token})

    def request_code(self, account, phone, session, purpose=1, assurance=FIRST_FACTOR, request_id=None, **optional):
        """Asks for a code. `session`: 32 bytes, a digest of the browser session. `optional`: channel, client_ip, locale, web_host,
        android_hash."""
        return self.call(wire.REQUEST_CODE, {"request_id": request_id, "purpose": purpose, "assurance": assurance,
                                             "account": account, "phone": phone, "session": session, **optional})

    def resend(self, challenge, session, request_id=None):
        """One more message with the same code."""
        return self.call(wire.RESEND, {"request_id": request_id, "challenge": challenge, "session": session})

    def verify(self, challenge, session, code, request_id=None, **optional):
        """Offers what the shopper typed; the reply has the grant. A wrong code is `Refused` with `attempts_left`."""
        return self.call(wire.VERIFY, {"request_id": request_id, "challenge": challenge, "session": session, "code": code,
                                       **optional})

    def cancel(self, challenge, session, request_id=None):
        """Closes an open challenge."""
        return self.call(wire.CANCEL, {"request_id": request_id, "challenge": challenge, "session": session})

    def status(self, challenge, session, **optional):
        """How a challenge stands; `send=1` tells of its first message, too, 0 of its newest."""
        return self.call(wire.STATUS, {"challenge": challenge, "session": session, **optional})

    def quota(self, account, phone, session, purpose=1, assurance=FIRST_FACTOR, **optional):
        """A dry run of `request_code`: raises what would refuse it now, and debits nothing."""
        return self.call(wire.QUOTA, {"purpose": purpose, "assurance": assurance, "account": account, "phone": phone,
                                      "session": session, **optional})

    def check_grant(self, grant, purpose, account, session):
        """Whether a grant is good; it isn't spent."""
        return self.call(wire.CHECK_GRANT, {"grant": grant, "purpose": purpose, "account": account, "session": session})

    def redeem_grant(self, grant, purpose, account, session, request_id=None):
        """Spends a grant: the one time that it opens anything."""
        return self.call(wire.REDEEM_GRANT, {"request_id": request_id, "grant": grant, "purpose": purpose,
                                             "account": account, "session": session})

    def lease(self, credit, lease_ms=0):
        """As a courier: takes up to `credit` messages; `push` returns them."""
        return self.call(wire.LEASE_MESSAGES, {"credit": credit, "lease_ms": lease_ms})

    def report(self, message, outcome, **optional):
        """As a courier: what became of a leased message. `optional`: reference, reason."""
        names = ("challenge", "send", "token")
        return self.call(wire.REPORT_MESSAGE, {**{name: message[name] for name in names}, "outcome": outcome, **optional})

    def subscribe(self, start=NOW, cursor=(0, 0, 0), credit=64):
        """Begins the flow of events; `push` returns them. Returns the head's cursor."""
        epoch, sequence, index = cursor
        head = self.call(wire.SUBSCRIBE, {"start": start, "epoch": epoch, "sequence": sequence, "index": index,
                                          "credit": credit})
        return head["epoch"], head["sequence"], head["index"]

    def acknowledge(self, cursor, credit):
        """All events up to `cursor` are handled: `credit` more may come."""
        epoch, sequence, index = cursor
        return self.call(wire.ACKNOWLEDGE, {"epoch": epoch, "sequence": sequence, "index": index, "credit": credit})

    def push(self, timeout=None):
        """The next pushed message or event as a dict (`opcode` tells which); None after `timeout` seconds. A lost connection is
        `Unknown`: begin again with `subscribe` after the last cursor, or `lease`."""
        if not self._pushes:
            try:
                opcode, _, _, body = self._receive(time.monotonic() + (self.timeout if timeout is None else timeout))
            except (socket.timeout, TimeoutError):
                return None
            self._pushes.append((opcode, body))
        opcode, body = self._pushes.pop(0)
        fields = {"opcode": opcode, **wire.decode(wire.PUSHES[opcode], body)}
        if opcode == wire.EVENT:
            fields["cursor"] = (fields["epoch"], fields["sequence"], fields["index"])
            fields["kind"] = wire.name_in(wire.EVENTS, fields["kind"])
        else:
            fields["text"] = fields["text"].decode()
        return fields

    def stats(self):
        """The server's counters and gauges: {name: number}."""
        lines = self.call(wire.STATS, {})["lines"].decode()
        return {name: int(value) for name, value in (line.split() for line in lines.splitlines())}

    def drain(self):
        """Stops the server in good order."""
        return self.call(wire.DRAIN, {})
