"""A small synchronous client of otpd: standard library only, written from PROTOCOL.md.

    with Client("/run/otpd/otpd.sock") as otpd:
        challenge = otpd.request_code(b"alice", b"+33612345678", session)
        grant = otpd.verify(challenge["challenge"], session, b"123456")["grant"]
        otpd.redeem_grant(grant, 1, b"alice", session)

Every method returns a dict, or raises Refused (with the reason) or Unknown (the outcome isn't known and retries were used up).
"""

import os
import socket
import struct
import time

MAGIC = 0x6F747064
HEADER = struct.Struct(">IHHI")
MAX_FRAME = 4096
REPLY, PUSH = 1, 2

HELLO, PING, GOODBYE = 0x0001, 0x0002, 0x0003
REQUEST_CODE, RESEND, VERIFY, CANCEL, STATUS, QUOTA = 0x10, 0x11, 0x12, 0x13, 0x14, 0x15
CHECK_GRANT, REDEEM_GRANT = 0x20, 0x21
LEASE_MESSAGES, MESSAGE, REPORT_MESSAGE = 0x30, 0x31, 0x32
SUBSCRIBE, EVENT, ACKNOWLEDGE = 0x40, 0x41, 0x42
STATS, DRAIN = 0xF0, 0xF1

STATUSES = {
    0: "done", 0x100: "unsupportedOperation", 0x110: "unsupportedField", 0x120: "notPermitted", 0x130: "draining",
    0x140: "overloaded", 0x200: "unknownPurpose", 0x210: "invalidAccount", 0x220: "invalidPhone",
    0x230: "invalidSession", 0x240: "invalidCode", 0x300: "requestTooOld", 0x310: "requestFromFuture",
    0x320: "requestIdConflict", 0x330: "quarantined", 0x400: "blocked", 0x410: "factorDisabled", 0x420: "limited",
    0x500: "challengeNotOpen", 0x510: "wrongCode", 0x520: "alreadyVerified", 0x530: "grantInvalid",
    0x540: "leaseNotHeld", 0x550: "cursorGone", 0x560: "undeliverable", 0xF00: "unknown",
}
LIMITS = [
    "none", "resendGap", "challengeSends", "phoneUnverifiedHour", "phoneUnverifiedDay", "phoneTotalHour",
    "phoneTotalDay", "accountUnverifiedHour", "accountUnverifiedDay", "accountTotalHour", "accountTotalDay",
    "accountPhonesDay", "phoneAccountsDay", "phoneOpenChallenges", "phoneVerifyMinute", "failureStreak", "serverLoad",
]
EVENTS = [
    "", "codeRequested", "codeResent", "requestRefused", "codeSubmitted", "codeDelivered", "deliveryFailed",
    "codeVerified", "wrongCode", "attemptsExhausted", "challengeCancelled", "challengeSuperseded", "accountBlocked",
    "factorDisabled", "grantRedeemed", "clockStepped", "serverStarted", "serverDraining",
]


class Refused(Exception):
    """The server said no; `status` names the reason."""

    def __init__(self, body):
        status, self.limit, self.neutral, attempts, self.retry_after_ms = struct.unpack_from(">HBBBI", body)
        self.status = STATUSES.get(status, hex(status))
        self.limit = LIMITS[self.limit] if self.limit < len(LIMITS) else str(self.limit)
        self.attempts_left = None if attempts == 0xFF else attempts
        super().__init__(f"{self.status} limit={self.limit} attempts_left={self.attempts_left} "
                         f"retry_after_ms={self.retry_after_ms}")


class Unknown(Exception):
    """The connection was lost or the server couldn't say: the request may or may not have acted."""


class Closed(Exception):
    """The server ended the connection and said why."""


def frame(opcode, correlation, body, flags=0):
    """One frame's bytes."""
    return HEADER.pack(8 + len(body), opcode, flags, correlation) + body


def blob8(value):
    return bytes([len(value)]) + value


def tag(number, value, critical=False):
    return struct.pack(">BH", number | (0x80 if critical else 0), len(value)) + value


def tags(body):
    """The optional fields of a body's end: {number: value}."""
    found, offset, last = {}, 0, -1
    while offset < len(body):
        raw, length = struct.unpack_from(">BH", body, offset)
        number = raw & 0x7F
        if number <= last or offset + 3 + length > len(body):
            raise ValueError("bad tagged field")
        if raw & 0x80:
            raise ValueError(f"unknown critical field {number}")
        found[number], last = body[offset + 3:offset + 3 + length], number
        offset += 3 + length
    return found


class Client:
    """One connection; requests one after another; reconnects, and retries with the same request id."""

    def __init__(self, path, tenant=0, roles=0, timeout=5.0, retries=3):
        self.path, self.tenant, self.roles, self.timeout, self.retries = path, tenant, roles, timeout, retries
        self.sock, self.correlation, self.pushes, self.hello = None, 0, [], None

    def __enter__(self):
        self.connect()
        return self

    def __exit__(self, *_):
        self.close()

    def connect(self):
        """Connects and says Hello."""
        self.close()
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)
        self.buffer = b""
        body = struct.pack(">IHHIH", MAGIC, 1, 1, self.tenant, self.roles) + tag(1, b"otpd-python")
        reply = self._exchange(HELLO, body)
        names = ("version", "tenant", "roles", "engine_time_ms", "epoch", "max_frame_bytes", "max_in_flight",
                 "request_age_seconds")
        self.hello = dict(zip(names, struct.unpack_from(">HIHQIIHH", reply)))
        extra = tags(reply[28:])
        self.hello["issuer"] = extra.get(1, b"").decode()
        self.base = time.monotonic()

    def close(self):
        if self.sock:
            self.sock.close()
        self.sock = None

    def request_id(self):
        """6 bytes of engine time, 10 random."""
        now = self.hello["engine_time_ms"] + int((time.monotonic() - self.base) * 1000)
        return now.to_bytes(6, "big") + os.urandom(10)

    # -- frames

    def _receive(self):
        while True:
            if len(self.buffer) >= 12:
                length, opcode, flags, correlation = HEADER.unpack_from(self.buffer)
                if not 8 <= length <= MAX_FRAME - 4:
                    raise Closed(f"bad frame length {length}")
                if len(self.buffer) >= 4 + length:
                    body, self.buffer = self.buffer[12:4 + length], self.buffer[4 + length:]
                    return opcode, flags, correlation, body
            data = self.sock.recv(65536)
            if not data:
                raise Unknown("the server closed the connection")
            self.buffer += data

    def _exchange(self, opcode, body):
        self.correlation = (self.correlation + 1) & 0xFFFFFFFF
        self.sock.sendall(frame(opcode, self.correlation, body))
        while True:
            got, flags, correlation, answer = self._receive()
            if got == GOODBYE:
                reason = struct.unpack_from(">H", answer)[0]
                raise Closed(f"goodbye {reason}: {tags(answer[2:]).get(1, b'').decode()}")
            if flags == PUSH:
                self.pushes.append((got, answer))
            elif correlation == self.correlation:
                if struct.unpack_from(">H", answer)[0] != 0:
                    raise Refused(answer)
                return answer[2:]

    def call(self, opcode, body):
        """Sends a request; after a lost connection or *unknown*, again with the same bytes, so the same request id."""
        for attempt in range(self.retries + 1):
            try:
                if self.sock is None:
                    self.connect()
                return self._exchange(opcode, body)
            except Refused as refusal:
                if refusal.status != "unknown" or attempt == self.retries:
                    raise
            except (OSError, Unknown, Closed) as error:
                self.close()
                if attempt == self.retries:
                    raise Unknown(str(error)) from error
            time.sleep(0.05 * 2 ** attempt)
        raise Unknown("retries used up")

    # -- operations

    def ping(self, token=1):
        return dict(zip(("token", "engine_time_ms"), struct.unpack(">QQ", self.call(PING, struct.pack(">Q", token)))))

    @staticmethod
    def _challenge(body):
        names = ("challenge", "disposition", "code_length", "alphabet", "attempts_left", "sends_left", "expires_at_ms",
                 "resend_at_ms")
        return dict(zip(names, struct.unpack_from(">16sBBBBBQQ", body)))

    def request_code(self, account, phone, session, purpose=1, assurance=1, request_id=None, web_host=b""):
        body = (request_id or self.request_id()) + struct.pack(">HB", purpose, assurance)
        body += blob8(account) + blob8(phone) + session + (tag(4, web_host) if web_host else b"")
        return self._challenge(self.call(REQUEST_CODE, body))

    def resend(self, challenge, session, request_id=None):
        return self._challenge(self.call(RESEND, (request_id or self.request_id()) + challenge + session))

    def verify(self, challenge, session, code, request_id=None):
        body = self.call(VERIFY, (request_id or self.request_id()) + challenge + session + blob8(code))
        return dict(zip(("grant", "purpose", "expires_at_ms", "expires_at_wall_ms"), struct.unpack(">32sHQQ", body)))

    def cancel(self, challenge, session, request_id=None):
        self.call(CANCEL, (request_id or self.request_id()) + challenge + session)
        return {}

    def status(self, challenge, session):
        names = ("state", "delivery", "attempts_left", "sends_left", "expires_at_ms", "resend_at_ms")
        return dict(zip(names, struct.unpack_from(">BBBBQQ", self.call(STATUS, challenge + session))))

    def quota(self, account, phone, session, purpose=1, assurance=1):
        body = struct.pack(">HB", purpose, assurance) + blob8(account) + blob8(phone) + session
        return dict(zip(("sends_left_hour", "sends_left_day", "open_left"), self.call(QUOTA, body)))

    @staticmethod
    def _grant(body):
        return dict(zip(("verified_at_ms", "expires_at_ms", "challenge"), struct.unpack_from(">QQ16s", body)))

    def check_grant(self, grant, purpose, account, session):
        return self._grant(self.call(CHECK_GRANT, grant + struct.pack(">H", purpose) + blob8(account) + session))

    def redeem_grant(self, grant, purpose, account, session, request_id=None):
        body = (request_id or self.request_id()) + grant + struct.pack(">H", purpose) + blob8(account) + session
        return self._grant(self.call(REDEEM_GRANT, body))

    def lease(self, credit, lease_ms=0):
        return dict(zip(("credit", "lease_ms"), struct.unpack(">HI", self.call(LEASE_MESSAGES, struct.pack(">HI", credit, lease_ms)))))

    def report(self, message, outcome):
        """outcome: 1 submitted, 2 transient failure, 3 permanent failure, 4 delivered, 5 undelivered."""
        self.call(REPORT_MESSAGE, message["challenge"] + bytes([message["send"]]) + message["token"] + bytes([outcome]))

    def subscribe(self, start=0, cursor=(0, 0, 0), credit=64):
        """start: 0 now, 1 after cursor, 2 oldest. Returns the head."""
        return struct.unpack(">IQH", self.call(SUBSCRIBE, struct.pack(">BIQHH", start, *cursor, credit)))

    def acknowledge(self, cursor, credit):
        self.call(ACKNOWLEDGE, struct.pack(">IQHH", *cursor, credit))

    def push(self, timeout=None):
        """The next pushed message or event as a dict; None after `timeout` seconds."""
        if not self.pushes:
            self.sock.settimeout(timeout or self.timeout)
            try:
                opcode, _, _, body = self._receive()
            except (socket.timeout, TimeoutError):
                return None
            finally:
                self.sock.settimeout(self.timeout)
            self.pushes.append((opcode, body))
        opcode, body = self.pushes.pop(0)
        if opcode == GOODBYE:
            raise Closed("goodbye")
        if opcode == EVENT:
            names = ("epoch", "sequence", "index", "kind", "engine_time_ms", "wall_time_ms", "tenant", "purpose",
                     "challenge", "subject", "status", "limit", "attempts_left")
            event = dict(zip(names, struct.unpack_from(">IQHHQQIH16s16sHBB", body)))
            event["cursor"] = (event["epoch"], event["sequence"], event["index"])
            event["kind"] = EVENTS[event["kind"]] if event["kind"] < len(EVENTS) else str(event["kind"])
            return event
        names = ("challenge", "send", "token", "attempt", "lease_until_ms", "expires_at_ms", "engine_time_ms",
                 "idempotency_key", "tenant", "purpose")
        message = dict(zip(names, struct.unpack_from(">16sB16sBQQQ16sIH", body)))
        offset = struct.calcsize(">16sB16sBQQQ16sIH")
        length = body[offset]
        message["phone"] = body[offset + 1:offset + 1 + length]
        offset += 1 + length
        length = struct.unpack_from(">H", body, offset)[0]
        message["text"] = body[offset + 2:offset + 2 + length].decode()
        return message

    def stats(self):
        lines = self.call(STATS, b"")[2:].decode()
        return {name: int(value) for name, value in (line.split() for line in lines.splitlines())}

    def drain(self):
        self.call(DRAIN, b"")
