"""Frames and messages of the otpd protocol, version 1: tables written from PROTOCOL.md, and one coder that
walks them.

A message is a list of fixed fields (type, name) and a dict of tagged fields {raw tag: (type, name)}. Nothing
here knows a socket or a clock. Raises `WireError` for bytes of a peer, `FieldError` for values of a caller.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import Any

MAGIC = 0x6F747064
HEADER = struct.Struct(">IHHI")
MAX_FRAME = 4096
REQUEST, REPLY, PUSH = 0, 1, 2
_FORMATS = {"u8": ">B", "u16": ">H", "u32": ">I", "u64": ">Q"}
# Byte strings that are text to people: a str is taken, too, and sent as UTF-8. All others are bytes.
TEXTS = {"account", "phone", "code", "locale", "web_host", "android_hash", "client", "gateway", "reference",
         "reason", "currency"}

HELLO, PING, GOODBYE = 0x0001, 0x0002, 0x0003
REQUEST_CODE, RESEND, VERIFY, CANCEL, STATUS, QUOTA = 0x10, 0x11, 0x12, 0x13, 0x14, 0x15
CHECK_GRANT, REDEEM_GRANT = 0x20, 0x21
LEASE_MESSAGES, MESSAGE, REPORT_MESSAGE, REPORT_RECEIPT, REPORT_ROUTE = 0x30, 0x31, 0x32, 0x33, 0x34
SUBSCRIBE, EVENT, ACKNOWLEDGE = 0x40, 0x41, 0x42
UNBLOCK = 0x60
STATS, DRAIN, SHOW_ROUTE, DRAIN_ROUTE = 0xF0, 0xF1, 0xF9, 0xFA

_CHALLENGE = [("bytes16", "request_id"), ("bytes16", "challenge"), ("bytes32", "session")]
_CURSOR = [("u32", "epoch"), ("u64", "sequence"), ("u16", "index")]
_GRANT = [("bytes32", "grant"), ("u16", "purpose"), ("blob8(128)", "account"), ("bytes32", "session")]
_WHO = [("u16", "purpose"), ("u8", "assurance"), ("judged8(128)", "account"), ("judged8(16)", "phone"), ("bytes32", "session")]
_ROUTE = [("u8", "breaker"), ("u8", "drained"), ("u32", "room"), ("u64", "taken"), ("u64", "failed")]
_PRICE = {0x01: ("u64", "price_micros"), 0x02: ("bytes(3)", "currency")}
_IP = {0x02: ("bytes(16)", "client_ip")}

MESSAGES = {
    "Hello": ([("u32", "magic"), ("u16", "min_version"), ("u16", "max_version"), ("u32", "tenant"), ("u16", "roles")],
              {0x01: ("bytes(64)", "client")}),
    "Hello reply": ([("u16", "version"), ("u32", "tenant"), ("u16", "roles"), ("u64", "engine_time_ms"), ("u32", "epoch"),
                     ("u32", "max_frame_bytes"), ("u16", "max_in_flight"), ("u16", "request_age_seconds")],
                    {0x01: ("bytes(64)", "issuer"), 0x02: ("bytes(64)", "server")}),
    "Ping": ([("u64", "token")], {}),
    "Ping reply": ([("u64", "token"), ("u64", "engine_time_ms")], {}),
    "Goodbye": ([("u16", "reason")], {0x01: ("bytes(200)", "text")}),
    "Refusal": ([("u16", "status"), ("u8", "limit"), ("u8", "neutral_class"), ("u8", "attempts_left"),
                 ("u32", "retry_after_ms")], {}),
    "Empty": ([], {}),
    "RequestCode": ([("bytes16", "request_id")] + _WHO,
                    {0x81: ("u8", "channel"), **_IP, 0x03: ("bytes(35)", "locale"), 0x04: ("bytes(60)", "web_host"),
                     0x05: ("bytes(11)", "android_hash")}),
    "Challenge reply": ([("bytes16", "challenge"), ("u8", "disposition"), ("u8", "code_length"), ("u8", "alphabet"),
                         ("u8", "attempts_left"), ("u8", "sends_left"), ("u64", "expires_at_ms"),
                         ("u64", "resend_at_ms")], {}),
    "Resend": (_CHALLENGE, {}),
    "Verify": (_CHALLENGE + [("judged8(16)", "code")], _IP),
    "Verify reply": ([("bytes32", "grant"), ("u16", "purpose"), ("u64", "expires_at_ms"),
                      ("u64", "expires_at_wall_ms")], {0x01: ("bytes(64)", "issuer"), 0x02: ("u8", "repeated")}),
    "Cancel": (_CHALLENGE, {}),
    "Status": (_CHALLENGE[1:], {0x01: ("u8", "send")}),
    "Status reply": ([("u8", "state"), ("u8", "delivery"), ("u8", "attempts_left"), ("u8", "sends_left"),
                      ("u64", "expires_at_ms"), ("u64", "resend_at_ms")],
                     {0x01: ("u8", "send"), 0x02: ("u8", "send_delivery"), 0x03: ("u8", "submits"), 0x04: ("u64", "queued_at_ms"),
                      0x05: ("u64", "leased_at_ms"), 0x06: ("u64", "submitted_at_ms"), 0x07: ("u64", "settled_at_ms"),
                      0x08: ("bytes(32)", "gateway"), 0x09: ("bytes(64)", "reference"), 0x0A: ("u8", "segments"),
                      0x0B: ("u64", "price_micros"), 0x0C: ("bytes(3)", "currency"), 0x0D: ("bytes(64)", "reason")}),
    "Quota": (_WHO, _IP),
    "Quota reply": ([("u8", "sends_left_hour"), ("u8", "sends_left_day"), ("u8", "open_left")], {0x01: ("bytes(32)", "left")}),
    "CheckGrant": (_GRANT, {}),
    "RedeemGrant": ([("bytes16", "request_id")] + _GRANT, {}),
    "Grant reply": ([("u64", "verified_at_ms"), ("u64", "expires_at_ms"), ("bytes16", "challenge")],
                    {0x01: ("bytes(64)", "issuer"), 0x02: ("u8", "repeated")}),
    "LeaseMessages": ([("u16", "credit"), ("u32", "lease_ms")], {}),
    "LeaseMessages reply": ([("u16", "credit"), ("u32", "lease_ms")], {}),
    "Message": ([("bytes16", "challenge"), ("u8", "send"), ("bytes16", "token"), ("u8", "attempt"),
                 ("u64", "lease_until_ms"), ("u64", "expires_at_ms"), ("u64", "engine_time_ms"),
                 ("bytes16", "idempotency_key"), ("u32", "tenant"), ("u16", "purpose"), ("blob8(16)", "phone"),
                 ("blob16(640)", "text")], {0x01: ("bytes(32)", "last_gateway")}),
    "ReportMessage": ([("bytes16", "challenge"), ("u8", "send"), ("bytes16", "token"), ("u8", "outcome")],
                      {0x01: ("bytes(64)", "reference"), 0x02: ("bytes(64)", "reason"),
                       0x03: ("bytes(32)", "gateway"), 0x04: ("u8", "segments"), 0x05: ("u64", "price_micros"),
                       0x06: ("bytes(3)", "currency"), 0x07: ("u8", "has_other")}),
    "ReportReceipt": ([("blob8(32)", "gateway"), ("blob8(64)", "reference"), ("u8", "outcome")],
                      {0x01: ("bytes(64)", "reason")}),
    "Subscribe": ([("u8", "start")] + _CURSOR + [("u16", "credit")], {}),
    "Subscribe reply": (_CURSOR, {}),
    "Event": (_CURSOR + [("u16", "kind"), ("u64", "engine_time_ms"), ("u64", "wall_time_ms"), ("u32", "tenant"),
                         ("u16", "purpose"), ("bytes16", "challenge"), ("bytes16", "subject"), ("u16", "status"),
                         ("u8", "limit"), ("u8", "attempts_left")],
              {0x01: ("u64", "count"), 0x02: ("u64", "uid"), 0x03: ("u8", "assurance"), 0x04: ("bytes(16)", "shadow_limits"),
               0x05: ("bytes(64)", "actor"), 0x06: ("bytes(128)", "reason")}),
    "Acknowledge": (_CURSOR + [("u16", "credit")], {}),
    "ReportRoute": ([("blob8(32)", "gateway")] + _ROUTE, _PRICE),
    "ReportRoute reply": ([("u8", "drained")], {}),
    "ShowRoute": ([("u16", "index")], {}),
    "ShowRoute reply": ([("u16", "count"), ("u64", "age_ms"), ("u32", "uid"), ("blob8(32)", "gateway")] + _ROUTE, _PRICE),
    "DrainRoute": ([("blob8(32)", "gateway"), ("u8", "drained")], {}),
    "Unblock": ([("bytes16", "request_id"), ("judged8(128)", "account"), ("judged8(16)", "phone"), ("blob8(64)", "actor"),
                 ("blob8(128)", "reason")], {}),
    "Stats": ([], {}),
    "Stats reply": ([("blob16(3500)", "lines")], {}),
    "Drain": ([], {}),
}

# Opcode: (request, reply); a push has no reply.
OPERATIONS = {
    HELLO: ("Hello", "Hello reply"), PING: ("Ping", "Ping reply"), REQUEST_CODE: ("RequestCode", "Challenge reply"),
    RESEND: ("Resend", "Challenge reply"), VERIFY: ("Verify", "Verify reply"), CANCEL: ("Cancel", "Empty"),
    STATUS: ("Status", "Status reply"), QUOTA: ("Quota", "Quota reply"), CHECK_GRANT: ("CheckGrant", "Grant reply"),
    REDEEM_GRANT: ("RedeemGrant", "Grant reply"), LEASE_MESSAGES: ("LeaseMessages", "LeaseMessages reply"),
    REPORT_MESSAGE: ("ReportMessage", "Empty"),
    REPORT_RECEIPT: ("ReportReceipt", "Empty"), SUBSCRIBE: ("Subscribe", "Subscribe reply"),
    ACKNOWLEDGE: ("Acknowledge", "Empty"), UNBLOCK: ("Unblock", "Empty"), STATS: ("Stats", "Stats reply"), DRAIN: ("Drain", "Empty"),
    REPORT_ROUTE: ("ReportRoute", "ReportRoute reply"), SHOW_ROUTE: ("ShowRoute", "ShowRoute reply"),
    DRAIN_ROUTE: ("DrainRoute", "Empty"),
}
PUSHES = {GOODBYE: "Goodbye", MESSAGE: "Message", EVENT: "Event"}

STATUSES = {
    0: "done", 0x100: "unsupportedOperation", 0x110: "unsupportedField", 0x120: "notPermitted", 0x130: "draining",
    0x140: "overloaded", 0x200: "unknownPurpose", 0x210: "invalidAccount", 0x220: "invalidPhone",
    0x230: "invalidSession", 0x240: "invalidCode", 0x250: "assuranceTooLow", 0x300: "requestTooOld", 0x310: "requestFromFuture",
    0x320: "requestIdConflict", 0x330: "quarantined", 0x400: "blocked", 0x410: "factorDisabled", 0x420: "limited", 0x430: "startAnew",
    0x500: "challengeNotOpen", 0x510: "wrongCode", 0x520: "alreadyVerified", 0x530: "grantInvalid",
    0x540: "leaseNotHeld", 0x550: "cursorGone", 0x560: "undeliverable", 0x570: "referenceUnknown", 0xF00: "unknown",
}
RETRYABLE = {"draining", "overloaded", "limited", "unknown"}
LIMITS = [
    "none", "resendGap", "challengeSends", "phoneUnverifiedHour", "phoneUnverifiedDay", "phoneTotalHour",
    "phoneTotalDay", "accountUnverifiedHour", "accountUnverifiedDay", "accountTotalHour", "accountTotalDay",
    "accountPhonesDay", "phoneAccountsDay", "phoneOpenChallenges", "phoneVerifyMinute", "failureStreak", "serverLoad",
    "requestRate", "paymentStreak", "accountUnblocksDay",
]
EVENTS = [
    "", "codeRequested", "codeResent", "requestRefused", "codeSubmitted", "codeDelivered", "deliveryFailed",
    "codeVerified", "wrongCode", "attemptsExhausted", "challengeCancelled", "challengeSuperseded", "accountBlocked",
    "factorDisabled", "grantRedeemed", "clockStepped", "serverStarted", "serverDraining",
    "requestQuarantined", "refusalsCounted", "accountUnblocked", "tornTailDropped", "requestsLost",
]
REASONS = [
    "", "badFrameLength", "badFlags", "badBody", "helloExpected", "helloTwice", "badMagic", "unsupportedVersion",
    "notPermitted", "helloTimeout", "inputOverflow", "outputOverflow", "tooManyConnections", "shuttingDown",
    "storageFailure", "frameTimeout", "eventsGone",
]


NEUTRAL = ["none", "tryAgain", "wait", "restart", "otherFactor", "unavailable", "invalidRequest"]
# The neutral class of what a client refuses by itself, because the server would.
NEUTRAL_HERE = {
    "unsupportedOperation": "invalidRequest", "unsupportedField": "invalidRequest", "invalidAccount": "invalidRequest",
    "invalidPhone": "invalidRequest", "invalidSession": "invalidRequest", "invalidCode": "tryAgain",
    "challengeNotOpen": "restart", "grantInvalid": "restart",
}


class WireError(Exception):
    """Bytes that aren't a frame or a message; `reason` as the vectors name it."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class FieldError(ValueError):
    """A value that its field can't hold. `name`: the field's; the value itself isn't repeated: it may be a
    secret."""

    def __init__(self, message: str, name: str, why: str) -> None:
        self.name = name
        super().__init__(f"{name} of {message} {why}")


def name_in(names: list[str], number: int) -> str:
    """The name of `number`, or the number as text: newer servers may know more."""
    return names[number] if 0 < number < len(names) or number == 0 and names[0] else str(number)


def frame(opcode: int, correlation: int, body: bytes, flags: int = REQUEST) -> bytes:
    """One frame's bytes."""
    return HEADER.pack(8 + len(body), opcode, flags, correlation) + body


def next_frame(buffer: bytes | bytearray) -> tuple[int, int, int, bytes, int] | None:
    """(opcode, flags, correlation, body, bytes used) of the first whole frame; None: more bytes are
    needed."""
    if len(buffer) < 4:
        return None
    length = int.from_bytes(buffer[:4], "big")
    if not 8 <= length <= MAX_FRAME - 4:
        raise WireError("badFrameLength")
    if len(buffer) < HEADER.size:
        return None
    _, opcode, flags, correlation = HEADER.unpack_from(buffer)
    if flags not in (REQUEST, REPLY, PUSH):
        raise WireError("badFlags")
    if len(buffer) < 4 + length:
        return None
    return opcode, flags, correlation, bytes(buffer[HEADER.size:4 + length]), 4 + length


def _maximum(kind: str) -> int:
    return int(kind[kind.index("(") + 1:-1])


def octets(message: str, name: str, value: Any) -> bytes:
    """A field's value as bytes: bytes as they are, text (`TEXTS`) as UTF-8, None as nothing; `client_ip` may
    be written as people do (`192.0.2.7`), then it is 4 or 16 bytes."""
    if value is None:
        return b""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, str) and name == "client_ip":
        try:
            return ipaddress.ip_address(value).packed if value else b""
        except ValueError:
            raise FieldError(message, name, "isn't an IP address") from None
    if not isinstance(value, str) or name not in TEXTS:
        raise FieldError(message, name, f"can't be a {type(value).__name__}")
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise FieldError(message, name, "isn't Unicode text") from None


def _integer(message: str, name: str, kind: str, value: Any) -> bytes:
    size = struct.calcsize(_FORMATS[kind])
    value = 0 if value is None else value
    if not isinstance(value, int):
        raise FieldError(message, name, f"can't be a {type(value).__name__}")
    if not 0 <= value < 1 << 8 * size:
        raise FieldError(message, name, f"isn't in 0…{(1 << 8 * size) - 1}")
    return int(value).to_bytes(size, "big")


def _fixed(message: str, kind: str, name: str, value: Any) -> bytes:
    if kind in _FORMATS:
        return _integer(message, name, kind, value)
    data = octets(message, name, value)
    if "8(" in kind or "16(" in kind:
        prefix = 2 if kind.startswith("blob16") else 1
        if len(data) >= 1 << 8 * prefix:
            raise FieldError(message, name, f"is longer than {_maximum(kind)} bytes")
        return len(data).to_bytes(prefix, "big") + data
    size = int(kind[5:])
    if value is not None and len(data) != size:
        raise FieldError(message, name, f"must be {size} bytes, not {len(data)}")
    return data or bytes(size)


def encode(message: str, fields: dict[str, Any]) -> bytes:
    """The body of `message`. Fixed fields default to zero or empty; absent or empty tagged ones aren't sent.
    A string beyond its maximum that its length can still say is sent: the server refuses it by the rule of
    that field, or as `unsupportedField` (PROTOCOL.md §2). Raises `FieldError` for what can't be said, before anything of it is."""
    fixed, tagged = MESSAGES[message]
    for name in fields:
        if all(name != known for _, known in fixed) and all(name != known for _, known in tagged.values()):
            raise FieldError(message, str(name), "doesn't exist")
    parts = [_fixed(message, kind, name, fields.get(name)) for kind, name in fixed]
    for raw, (kind, name) in sorted(tagged.items(), key=lambda item: item[0] & 0x7F):
        value = fields.get(name)
        if value is None:
            continue
        data = _integer(message, name, kind, value) if kind in _FORMATS else octets(message, name, value)
        if kind not in _FORMATS and len(data) > _maximum(kind):
            raise FieldError(message, name, f"is longer than {_maximum(kind)} bytes")
        if data:
            parts.append(struct.pack(">BH", raw, len(data)) + data)
    return b"".join(parts)


def decode(message: str, body: bytes) -> dict[str, Any]:
    """The fields of a body; absent tagged ones are left out. A `judged8` may be longer than its
    maximum (PROTOCOL.md §2)."""
    fixed, tagged = MESSAGES[message]
    fields: dict[str, Any] = {}
    offset = 0

    def take(count: int) -> bytes:
        nonlocal offset
        if len(body) - offset < count:
            raise WireError("truncatedBody")
        offset += count
        return body[offset - count:offset]

    for kind, name in fixed:
        if kind in _FORMATS:
            fields[name] = int.from_bytes(take(struct.calcsize(_FORMATS[kind])), "big")
        elif "8(" in kind or "16(" in kind:
            fields[name] = take(int.from_bytes(take(2 if kind.startswith("blob16") else 1), "big"))
            # Of a judged8, the rules say what is wrong.
            if kind.startswith("blob") and len(fields[name]) > _maximum(kind):
                raise WireError("unsupportedField")
        else:
            fields[name] = take(int(kind[5:]))
    last = -1
    while offset < len(body):
        raw, size = struct.unpack(">BH", take(3))
        value = take(size)
        if raw & 0x7F <= last:
            raise WireError("badBody")
        last = raw & 0x7F
        # The number is the name; the critical bit is for those who don't know it.
        known = tagged.get(raw) or tagged.get(raw ^ 0x80)
        if not known:
            if raw & 0x80:
                raise WireError("unsupportedField")
            continue
        kind, name = known
        if kind in _FORMATS:
            if size != struct.calcsize(_FORMATS[kind]):
                raise WireError("unsupportedField")
            fields[name] = int.from_bytes(value, "big")
        else:
            if size > _maximum(kind):
                raise WireError("unsupportedField")
            if value:
                fields[name] = value
    return fields
