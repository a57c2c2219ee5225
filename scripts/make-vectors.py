#!/usr/bin/env python3
"""Writes Tests/Vectors/ (frames, sessions, request ids of forms) and the worked examples of Sources/Wire/PROTOCOL.md.

The encoder here is its own, on purpose: neither the server's nor a client's, so that an error in one of them shows.
Run it from anywhere; the files are committed, and a test fails if they differ from what the code does.
"""

import hashlib
import hmac
import pathlib
import struct

ROOT = pathlib.Path(__file__).resolve().parent.parent
FRAMES = ROOT / "Tests/Vectors/frames"
SESSIONS = ROOT / "Tests/Vectors/sessions"
FORMS = ROOT / "Tests/Vectors/form-request-ids.txt"
FLAGS = {"request": 0, "reply": 1, "refusal": 1, "push": 2}
INTEGERS = {"u8": ">B", "u16": ">H", "u32": ">I", "u64": ">Q"}


def field(kind, value):
    """The bytes of one field of a type of PROTOCOL.md §2."""
    if kind in INTEGERS:
        return struct.pack(INTEGERS[kind], value)
    if kind.startswith("bytes"):
        assert len(value) == int(kind[5:])
        return value
    prefix = {"blob8": ">B", "judged8": ">B", "blob16": ">H"}[kind]
    return struct.pack(prefix, len(value)) + value


def tagged(raw, value):
    """One tagged field; `raw` is the tag's byte."""
    return struct.pack(">BH", raw, len(value)) + value


def frame(opcode, flags, correlation, body):
    return struct.pack(">IHHI", 8 + len(body), opcode, flags, correlation) + body


def lines(name, why, pairs, folder):
    text = "".join(f"# {line}\n" for line in why.split("\n"))
    for key, value in pairs:
        text += f"{key}: {value}\n"
    (folder / f"{name}.txt").write_text(text)


def hex_lines(data):
    text = data.hex()
    return [("hex", text[i:i + 96]) for i in range(0, len(text), 96)] or [("hex", "")]


EXAMPLES = []


def vector(name, why, message, kind, opcode, fields=(), tags=(), correlation=7, expect="ok", mend=None, reencode=None,
           too_long="", example=False):
    """`fields`: (type, name, value); `tags`: (raw tag, type, name, value); `mend` changes the finished bytes; `too_long` names
    a field that exceeds its maximum, whose content a decoder needn't keep."""
    body = b"" if kind != "reply" else b"\0\0"
    pairs = []
    for type_, label, value in fields:
        body += field(type_, value)
        shown = value if isinstance(value, int) else value.hex()
        pairs.append((f"field {label}", f"too long ({len(value)})" if label == too_long else shown))
    for raw, type_, label, value in tags:
        body += tagged(raw, field(type_, value) if type_ in INTEGERS else value)
        if label:
            pairs.append((f"field {label}", value if isinstance(value, int) else value.hex()))
    correlation = 0 if kind == "push" else correlation
    data = frame(opcode, FLAGS[kind], correlation, body)
    if mend:
        data = mend(data)
    head = [("message", message), ("kind", kind), ("correlation", correlation), ("expect", expect)]
    if reencode is False:
        head.append(("reencode", "no"))
    lines(name, why, head + (pairs if expect == "ok" else []) + hex_lines(data), FRAMES)
    if example:
        EXAMPLES.append((name, message, kind, why, data))
    return data


TIME = 1_764_000_000_000
ID = TIME.to_bytes(6, "big") + bytes(range(0x01, 0x0B))
CHALLENGE = TIME.to_bytes(6, "big") + bytes(range(0xA0, 0xAA))
SESSION = bytes(range(0x40, 0x60))
GRANT = bytes(range(0x80, 0xA0))
TOKEN = bytes(range(0x10, 0x20))
SUBJECT = bytes(range(0xC0, 0xD0))
ACCOUNT, PHONE = b"alice@example.com", b"+33612345678"

HELLO = [("u32", "magic", 0x6F747064), ("u16", "min_version", 1), ("u16", "max_version", 1), ("u32", "tenant", 0),
         ("u16", "roles", 0)]
REQUEST_CODE = [("bytes16", "request_id", ID), ("u16", "purpose", 1), ("u8", "assurance", 1),
                ("judged8", "account", ACCOUNT), ("judged8", "phone", PHONE), ("bytes32", "session", SESSION)]
ON_CHALLENGE = [("bytes16", "request_id", ID), ("bytes16", "challenge", CHALLENGE), ("bytes32", "session", SESSION)]
CHALLENGE_REPLY = [("bytes16", "challenge", CHALLENGE), ("u8", "disposition", 1), ("u8", "code_length", 6),
                   ("u8", "alphabet", 1), ("u8", "attempts_left", 5), ("u8", "sends_left", 2),
                   ("u64", "expires_at_ms", TIME + 300_000), ("u64", "resend_at_ms", TIME + 30_000)]
CURSOR = [("u32", "epoch", 1), ("u64", "sequence", 4711), ("u16", "index", 2)]


def refusal(status, limit=0, neutral=6, left=255, retry=0):
    return [("u16", "status", status), ("u8", "limit", limit), ("u8", "neutral_class", neutral),
            ("u8", "attempts_left", left), ("u32", "retry_after_ms", retry)]


def whole_frames():
    """Every frame of the protocol, the optional fields both ways."""
    hello = vector("hello", "Any tenant, all roles, with the client's name", "Hello", "request", 1, HELLO,
                   [(1, "bytes", "client", b"example 1.0")], example=True)
    vector("hello-bare", "Without the optional field", "Hello", "request", 1, HELLO)
    vector("hello-reply", "All optional fields", "Hello reply", "reply", 1,
           [("u16", "version", 1), ("u32", "tenant", 1), ("u16", "roles", 3), ("u64", "engine_time_ms", TIME),
            ("u32", "epoch", 1), ("u32", "max_frame_bytes", 4096), ("u16", "max_in_flight", 64),
            ("u16", "request_age_seconds", 660)],
           [(1, "bytes", "issuer", b"dev"), (2, "bytes", "server", b"otpd 0.1")], example=True)
    vector("ping", "A token comes back", "Ping", "request", 2, [("u64", "token", 0x1122334455667788)], example=True)
    vector("ping-reply", "The token and the engine's time", "Ping reply", "reply", 2,
           [("u64", "token", 0x1122334455667788), ("u64", "engine_time_ms", TIME)], example=True)
    vector("goodbye", "The last frame says why", "Goodbye", "push", 3, [("u16", "reason", 4)],
           [(1, "bytes", "text", b"the first frame must be Hello")], example=True)
    vector("request-code", "For a login, nothing optional", "RequestCode", "request", 0x10, REQUEST_CODE, example=True)
    vector("request-code-full", "Every optional field", "RequestCode", "request", 0x10, REQUEST_CODE,
           [(0x81, "u8", "channel", 1), (2, "bytes", "client_ip", bytes([192, 0, 2, 7])),
            (3, "bytes", "locale", b"fr-CA"), (4, "bytes", "web_host", b"shop.example"),
            (5, "bytes", "android_hash", b"FA+9qCX9VSu")])
    vector("request-code-ipv6", "An address of 16 bytes", "RequestCode", "request", 0x10, REQUEST_CODE,
           [(2, "bytes", "client_ip", bytes.fromhex("20010db8000000000000000000000001"))])
    vector("request-code-longest", "The longest account and phone", "RequestCode", "request", 0x10,
           REQUEST_CODE[:3] + [("judged8", "account", b"a" * 128), ("judged8", "phone", b"+123456789012345"),
                               ("bytes32", "session", SESSION)])
    vector("challenge-reply", "Opened: five attempts, two more messages", "Challenge reply", "reply", 0x10,
           CHALLENGE_REPLY, example=True)
    vector("resend", "One more message", "Resend", "request", 0x11, ON_CHALLENGE, example=True)
    vector("resend-reply", "Resent", "Challenge reply", "reply", 0x11,
           [CHALLENGE_REPLY[0], ("u8", "disposition", 3)] + CHALLENGE_REPLY[2:], example=True)
    vector("verify", "What the shopper typed", "Verify", "request", 0x12,
           ON_CHALLENGE + [("judged8", "code", b"483920")], example=True)
    vector("verify-ip", "With the shopper's address", "Verify", "request", 0x12,
           ON_CHALLENGE + [("judged8", "code", b"7K2MQX")], [(2, "bytes", "client_ip", bytes([192, 0, 2, 7]))])
    vector("verify-reply", "The grant", "Verify reply", "reply", 0x12,
           [("bytes32", "grant", GRANT), ("u16", "purpose", 1), ("u64", "expires_at_ms", TIME + 120_000),
            ("u64", "expires_at_wall_ms", TIME + 121_500)], [(1, "bytes", "issuer", b"dev")], example=True)
    vector("verify-reply-bare", "Without the optional field", "Verify reply", "reply", 0x12,
           [("bytes32", "grant", GRANT), ("u16", "purpose", 1), ("u64", "expires_at_ms", TIME + 120_000),
            ("u64", "expires_at_wall_ms", TIME + 121_500)])
    vector("refusal-wrong-code", "Four attempts left", "Refusal", "refusal", 0x12, refusal(0x510, 0, 1, 4), example=True)
    vector("verify-reply-repeated", "The grant, told to a retry", "Verify reply", "reply", 0x12,
           [("bytes32", "grant", GRANT), ("u16", "purpose", 1), ("u64", "expires_at_ms", TIME + 120_000),
            ("u64", "expires_at_wall_ms", TIME + 121_500)],
           [(1, "bytes", "issuer", b"shop.example"), (2, "u8", "repeated", 1)])
    vector("refusal-limited", "Asked again within the gap", "Refusal", "refusal", 0x10,
           refusal(0x420, 1, 2, 255, 21_000), example=True)
    vector("refusal-start-anew", "Too little of the code's life is left: ask for a new one, at once", "Refusal", "refusal", 0x11,
           refusal(0x430, 0, 3), example=True)
    vector("refusal-start-anew-later", "The sixth unverified send in the hour: a new request passes in 49 minutes", "Refusal",
           "refusal", 0x10, refusal(0x430, 3, 2, 255, 2_940_000))
    vector("cancel", "The shopper gave up", "Cancel", "request", 0x13, ON_CHALLENGE, example=True)
    vector("cancel-reply", "No fields: the status alone", "Empty", "reply", 0x13, example=True)
    vector("status", "How does it stand?", "Status", "request", 0x14, ON_CHALLENGE[1:], example=True)
    vector("status-reply", "Open, delivered", "Status reply", "reply", 0x14,
           [("u8", "state", 1), ("u8", "delivery", 3), ("u8", "attempts_left", 4), ("u8", "sends_left", 2),
            ("u64", "expires_at_ms", TIME + 300_000), ("u64", "resend_at_ms", TIME + 30_000)], example=True)
    vector("status-of-a-message", "How does it stand, and its first message?", "Status", "request", 0x14, ON_CHALLENGE[1:],
           [(1, "u8", "send", 1)])
    vector("status-reply-of-a-message", "Failed at the second gateway", "Status reply", "reply", 0x14,
           [("u8", "state", 1), ("u8", "delivery", 4), ("u8", "attempts_left", 4), ("u8", "sends_left", 2),
            ("u64", "expires_at_ms", TIME + 300_000), ("u64", "resend_at_ms", TIME + 30_000)],
           [(1, "u8", "send", 1), (2, "u8", "send_delivery", 4), (3, "u8", "submits", 2), (4, "u64", "queued_at_ms", TIME),
            (5, "u64", "leased_at_ms", TIME + 6_000), (6, "u64", "submitted_at_ms", TIME + 6_250),
            (7, "u64", "settled_at_ms", TIME + 9_000), (8, "bytes", "gateway", b"fleur-smpp"),
            (9, "bytes", "reference", b"gw-123456"), (10, "u8", "segments", 2), (11, "u64", "price_micros", 90_000),
            (12, "bytes", "currency", b"EUR"), (13, "bytes", "reason", b"UNDELIV, error 34")], example=True)
    vector("quota", "A dry run", "Quota", "request", 0x15, REQUEST_CODE[1:], example=True)
    vector("quota-ip", "With the shopper's address", "Quota", "request", 0x15, REQUEST_CODE[1:],
           [(2, "bytes", "client_ip", bytes([192, 0, 2, 7]))])
    vector("quota-reply", "What is left", "Quota reply", "reply", 0x15,
           [("u8", "sends_left_hour", 5), ("u8", "sends_left_day", 10), ("u8", "open_left", 3)], example=True)
    vector("quota-reply-left", "What each limit has left", "Quota reply", "reply", 0x15,
           [("u8", "sends_left_hour", 1), ("u8", "sends_left_day", 9), ("u8", "open_left", 255)],
           [(1, "bytes", "left", bytes([3, 4, 4, 9, 5, 1, 6, 31]))])
    check = [("bytes32", "grant", GRANT), ("u16", "purpose", 1), ("blob8", "account", ACCOUNT),
             ("bytes32", "session", SESSION)]
    vector("check-grant", "Is it good?", "CheckGrant", "request", 0x20, check, example=True)
    grant = [("u64", "verified_at_ms", TIME), ("u64", "expires_at_ms", TIME + 120_000), ("bytes16", "challenge", CHALLENGE)]
    vector("check-grant-reply", "It is", "Grant reply", "reply", 0x20, grant, example=True)
    vector("redeem-grant", "Spend it", "RedeemGrant", "request", 0x21, [("bytes16", "request_id", ID)] + check,
           example=True)
    vector("redeem-grant-reply-repeated", "Spent before, by the same request", "Grant reply", "reply", 0x21, grant,
           [(1, "bytes", "issuer", b"dev"), (2, "u8", "repeated", 1)])
    vector("redeem-grant-reply", "Spent", "Grant reply", "reply", 0x21, grant, [(1, "bytes", "issuer", b"dev")],
           example=True)
    vector("lease-messages", "Sixteen, for ten seconds each", "LeaseMessages", "request", 0x30,
           [("u16", "credit", 16), ("u32", "lease_ms", 10_000)], example=True)
    vector("lease-messages-reply", "As accepted", "LeaseMessages reply", "reply", 0x30,
           [("u16", "credit", 16), ("u32", "lease_ms", 10_000)], example=True)
    text = "Example Shop: 483920 is your code to log in. It expires in 5 minutes."
    vector("message", "A leased message", "Message", "push", 0x31,
           [("bytes16", "challenge", CHALLENGE), ("u8", "send", 1), ("bytes16", "token", TOKEN), ("u8", "attempt", 1),
            ("u64", "lease_until_ms", TIME + 10_000), ("u64", "expires_at_ms", TIME + 240_000),
            ("u64", "engine_time_ms", TIME), ("bytes16", "idempotency_key", SUBJECT), ("u32", "tenant", 1),
            ("u16", "purpose", 1), ("blob8", "phone", PHONE), ("blob16", "text", text.encode())], example=True)
    report = [("bytes16", "challenge", CHALLENGE), ("u8", "send", 1), ("bytes16", "token", TOKEN), ("u8", "outcome", 1)]
    vector("report-message", "The gateway has it", "ReportMessage", "request", 0x32, report,
           [(1, "bytes", "reference", b"gw-123456")], example=True)
    vector("report-message-failed", "Permanent failure with a reason", "ReportMessage", "request", 0x32,
           report[:3] + [("u8", "outcome", 3)], [(2, "bytes", "reason", b"unknown subscriber")])
    vector("report-message-priced", "The gateway has it, in two segments for 0.09 EUR", "ReportMessage", "request", 0x32, report,
           [(1, "bytes", "reference", b"gw-123456"), (3, "bytes", "gateway", b"fleur-smpp"), (4, "u8", "segments", 2),
            (5, "u64", "price_micros", 90_000), (6, "bytes", "currency", b"EUR")], example=True)
    vector("report-message-ambiguous", "No answer came; the last one named another gateway", "ReportMessage", "request", 0x32,
           report[:3] + [("u8", "outcome", 7)], [(7, "u8", "has_other", 1)])
    vector("report-receipt", "The handset has it, says the gateway hours later", "ReportReceipt", "request", 0x33,
           [("blob8", "gateway", b"fleur-smpp"), ("blob8", "reference", b"gw-123456"), ("u8", "outcome", 4)], example=True)
    vector("report-message-reply", "No fields", "Empty", "reply", 0x32, example=True)
    vector("subscribe", "After a cursor", "Subscribe", "request", 0x40,
           [("u8", "start", 1)] + CURSOR + [("u16", "credit", 100)], example=True)
    vector("subscribe-reply", "The head", "Subscribe reply", "reply", 0x40, CURSOR, example=True)
    vector("event", "A wrong code", "Event", "push", 0x41,
           CURSOR + [("u16", "kind", 8), ("u64", "engine_time_ms", TIME), ("u64", "wall_time_ms", TIME + 1_500),
                     ("u32", "tenant", 1), ("u16", "purpose", 1), ("bytes16", "challenge", CHALLENGE),
                     ("bytes16", "subject", SUBJECT), ("u16", "status", 0), ("u8", "limit", 0),
                     ("u8", "attempts_left", 4)], example=True)
    vector("event-counted", "Refusals of a minute that have no event of their own", "Event", "push", 0x41,
           CURSOR + [("u16", "kind", 19), ("u64", "engine_time_ms", TIME), ("u64", "wall_time_ms", TIME + 1_500),
                     ("u32", "tenant", 1), ("u16", "purpose", 0), ("bytes16", "challenge", bytes(16)),
                     ("bytes16", "subject", bytes(16)), ("u16", "status", 0x420), ("u8", "limit", 3),
                     ("u8", "attempts_left", 255)], [(1, "u64", "count", 4_711)])
    vector("event-shadow", "It passed; two limits in shadow mode would have refused it", "Event", "push", 0x41,
           CURSOR + [("u16", "kind", 3), ("u64", "engine_time_ms", TIME), ("u64", "wall_time_ms", TIME + 1_500),
                     ("u32", "tenant", 1), ("u16", "purpose", 1), ("bytes16", "challenge", bytes(16)),
                     ("bytes16", "subject", SUBJECT), ("u16", "status", 0x430), ("u8", "limit", 4),
                     ("u8", "attempts_left", 255)],
           [(2, "u64", "uid", 33), (3, "u8", "assurance", 1), (4, "bytes", "shadow_limits", bytes([3, 4]))])
    vector("event-unblocked", "Somebody of support acted", "Event", "push", 0x41,
           CURSOR + [("u16", "kind", 20), ("u64", "engine_time_ms", TIME), ("u64", "wall_time_ms", TIME + 1_500),
                     ("u32", "tenant", 1), ("u16", "purpose", 0), ("bytes16", "challenge", bytes(16)),
                     ("bytes16", "subject", SUBJECT), ("u16", "status", 0), ("u8", "limit", 0),
                     ("u8", "attempts_left", 255)],
           [(2, "u64", "uid", 1004), (5, "bytes", "actor", b"maria"), (6, "bytes", "reason", b"called back, ticket 4711")])
    vector("unblock", "Support ends what a stranger began", "Unblock", "request", 0x60,
           [("bytes16", "request_id", ID), ("blob8", "account", ACCOUNT), ("blob8", "phone", PHONE), ("blob8", "actor", b"maria"),
            ("blob8", "reason", b"called back, ticket 4711")], example=True)
    vector("unblock-account", "Its payments only", "Unblock", "request", 0x60,
           [("bytes16", "request_id", ID), ("blob8", "account", ACCOUNT), ("blob8", "phone", b""), ("blob8", "actor", b"maria"),
            ("blob8", "reason", b"called back, ticket 4711")])
    vector("refusal-quarantined", "This very request has crashed the server twice", "Refusal", "refusal", 0x12,
           refusal(0x330, 0, 5))
    vector("acknowledge", "Handled, ten more", "Acknowledge", "request", 0x42, CURSOR + [("u16", "credit", 10)],
           example=True)
    vector("acknowledge-reply", "No fields", "Empty", "reply", 0x42, example=True)
    route = [("blob8", "gateway", b"fleur-smpp"), ("u8", "breaker", 1), ("u8", "drained", 0), ("u32", "room", 7),
             ("u64", "taken", 12_345), ("u64", "failed", 6)]
    price = [(1, "u64", "price_micros", 45_000), (2, "bytes", "currency", b"EUR")]
    vector("report-route", "A gateway at work", "ReportRoute", "request", 0x34, route, price, example=True)
    vector("report-route-reply", "The operator wants it drained", "ReportRoute reply", "reply", 0x34, [("u8", "drained", 1)],
           example=True)
    vector("show-route", "The first one", "ShowRoute", "request", 0xF9, [("u16", "index", 0)], example=True)
    vector("show-route-reply", "Of two", "ShowRoute reply", "reply", 0xF9,
           [("u16", "count", 2), ("u64", "age_ms", 850), ("u32", "uid", 998)] + route, price, example=True)
    vector("show-route-reply-none", "No courier tells of any", "ShowRoute reply", "reply", 0xF9,
           [("u16", "count", 0), ("u64", "age_ms", 0), ("u32", "uid", 0), ("blob8", "gateway", b""), ("u8", "breaker", 0),
            ("u8", "drained", 0), ("u32", "room", 0), ("u64", "taken", 0), ("u64", "failed", 0)])
    vector("drain-route", "Nothing new through it", "DrainRoute", "request", 0xFA,
           [("blob8", "gateway", b"fleur-smpp"), ("u8", "drained", 1)], example=True)
    vector("drain-route-reply", "No fields", "Empty", "reply", 0xFA, example=True)
    vector("stats", "No fields", "Stats", "request", 0xF0, example=True)
    vector("stats-reply", "Lines", "Stats reply", "reply", 0xF0,
           [("blob16", "lines", b"requests_total 12\nconnections 3\n")], example=True)
    vector("drain", "No fields", "Drain", "request", 0xF1, example=True)
    vector("drain-reply", "No fields", "Empty", "reply", 0xF1, example=True)
    return hello


def set_length(value):
    return lambda data: struct.pack(">I", value) + data[4:]


def set_flags(value):
    return lambda data: data[:6] + struct.pack(">H", value) + data[8:]


def broken_frames():
    """Every way in which a frame can be wrong."""
    ping = ("Ping", "request", 2, [("u64", "token", 1)])
    for length in (0, 7, 4093, 0xFFFFFFFF):
        vector(f"bad-length-{length}", "The length isn't in 8...4092", *ping, expect="badFrameLength",
               mend=set_length(length))
    vector("length-least", "The least frame there is: a body of nothing", "Stats", "request", 0xF0)
    for flags in (3, 4, 0x8000):
        vector(f"bad-flags-{flags:04x}", "Reserved flags, or reply and push at once", *ping, expect="badFlags",
               mend=set_flags(flags))
    vector("truncated-frame", "The last byte hasn't come", *ping, expect="needMore", mend=lambda d: d[:-1])
    vector("truncated-header", "Half a header", *ping, expect="needMore", mend=lambda d: d[:6])
    vector("nothing", "No byte at all", *ping, expect="needMore", mend=lambda d: b"")
    vector("body-short", "The body ends inside a fixed field", *ping, expect="truncatedBody",
           mend=lambda d: set_length(15)(d[:-1]))
    code = ("RequestCode", "request", 0x10)

    def inside(offset, value):
        return lambda d: d[:12 + offset] + bytes([value]) + d[13 + offset:]

    vector("account-length-beyond", "The account's length says more than the body holds", *code, REQUEST_CODE,
           expect="truncatedBody", mend=inside(19, 255))
    vector("account-too-long", "129 bytes: whole, so not a broken frame; the rules answer invalidAccount", *code,
           REQUEST_CODE[:3] + [("judged8", "account", b"a" * 129)] + REQUEST_CODE[4:], expect="ok", reencode=False,
           too_long="account")
    beyond_their_bounds()
    vector("tag-length-beyond", "A tagged field's length says more than the body holds", *code, REQUEST_CODE,
           [(4, "bytes", "web_host", b"shop.example")], expect="truncatedBody",
           mend=lambda d: d[:-13] + bytes([200]) + d[-12:])
    vector("tag-cut", "Two bytes of a tagged field's header", *ping, expect="truncatedBody",
           mend=lambda d: set_length(18)(d + b"\x09\x00"))
    vector("tag-order", "Tags descend", *code, REQUEST_CODE,
           [(4, "bytes", "web_host", b"a.b"), (3, "bytes", "locale", b"fr")], expect="badBody")
    vector("tag-twice", "A tag comes twice", *code, REQUEST_CODE,
           [(4, "bytes", "web_host", b"a.b"), (4, "bytes", "web_host", b"a.b")], expect="badBody")
    vector("tag-unknown", "Unknown and not critical: skipped", *ping, [(0x7E, "bytes", "", b"future")], reencode=False)
    vector("tag-unknown-between", "Unknown between known ones: skipped", "ReportMessage", "request", 0x32,
           [("bytes16", "challenge", CHALLENGE), ("u8", "send", 1), ("bytes16", "token", TOKEN), ("u8", "outcome", 1)],
           [(1, "bytes", "reference", b"r"), (0x7D, "bytes", "", b"future")], reencode=False)
    vector("tag-critical", "Unknown and critical: the request is refused, the connection stays", *ping,
           [(0xFE, "bytes", "", b"future")], expect="unsupportedField")
    vector("tag-known-critical", "A known number with the critical bit: the same field", *code, REQUEST_CODE,
           [(0x84, "bytes", "web_host", b"shop.example")], reencode=False)
    vector("tag-known-ignorable", "A critical field without its bit: the same field, not an unknown one that is skipped", *code, REQUEST_CODE,
           [(0x01, "u8", "channel", 2)], reencode=False)
    vector("tag-empty", "An empty byte string that is sent all the same: as if it were absent", *code, REQUEST_CODE,
           [(4, "bytes", "", b"")], reencode=False)
    vector("tag-size", "A channel of two bytes", *code, REQUEST_CODE, [(0x81, "bytes", "", b"\0\1")],
           expect="unsupportedField")
    vector("tag-too-long", "A host of 61 bytes", *code, REQUEST_CODE, [(4, "bytes", "", b"h" * 61)],
           expect="unsupportedField")
    vector("refusal-short", "A refusal is 9 bytes", "Refusal", "refusal", 0x12, refusal(0x510, 0, 1, 4),
           expect="truncatedBody", mend=lambda d: set_length(16)(d[:-1]))


def beyond_their_bounds():
    """Byte strings that are whole but longer than they may be: refused where the decoder meets them, but for those that the rules judge."""
    long_name, route = b"g" * 33, [("u8", "breaker", 1), ("u8", "drained", 0), ("u32", "room", 7), ("u64", "taken", 1), ("u64", "failed", 0)]
    grant = [("bytes32", "grant", GRANT), ("u16", "purpose", 1), ("blob8", "account", b"a" * 129), ("bytes32", "session", SESSION)]
    for name, message, opcode, fields in (
            ("report-route-name-too-long", "ReportRoute", 0x34, [("blob8", "gateway", long_name)] + route),
            ("drain-route-name-too-long", "DrainRoute", 0xFA, [("blob8", "gateway", long_name), ("u8", "drained", 1)]),
            ("report-receipt-name-too-long", "ReportReceipt", 0x33,
             [("blob8", "gateway", long_name), ("blob8", "reference", b"r"), ("u8", "outcome", 4)]),
            ("report-receipt-reference-too-long", "ReportReceipt", 0x33,
             [("blob8", "gateway", b"g"), ("blob8", "reference", b"r" * 65), ("u8", "outcome", 4)]),
            ("check-grant-account-too-long", "CheckGrant", 0x20, grant),
            ("redeem-grant-account-too-long", "RedeemGrant", 0x21, [("bytes16", "request_id", ID)] + grant)):
        vector(name, "A byte string beyond its bound: the request is refused, the connection stays", message, "request", opcode, fields,
               expect="unsupportedField")
    vector("verify-code-too-long", "17 characters: the rules answer invalidCode", "Verify", "request", 0x12,
           ON_CHALLENGE + [("judged8", "code", b"1" * 17)], reencode=False, too_long="code")


def session(name, why, steps):
    lines(name, why, steps, SESSIONS)


def sessions(hello):
    """What the server says to whole connections."""
    ping = frame(2, 0, 9, struct.pack(">Q", 5))
    greet = [("send", hello.hex()), ("receive", "reply Hello reply")]
    pong = [("send", ping.hex()), ("receive", "reply Ping reply")]

    def bad_hello(**change):
        values = {"magic": 0x6F747064, "low": 1, "high": 1, "tenant": 0, "roles": 0} | change
        return frame(1, 0, 1, struct.pack(">IHHIH", *values.values()))

    def end(data, reason):
        return [("send", data.hex()), ("receive", f"goodbye {reason}"), ("receive", "closed")]

    session("hello-and-ping", "The least conversation", greet + pong)
    session("pipelined", "Requests right behind Hello, without waiting", greet + pong * 8)
    session("hello-missing", "The first frame isn't Hello", end(ping, "helloExpected"))
    session("hello-missing-unknown", "The first frame has an unknown opcode", end(frame(0x7777, 0, 1, b""), "helloExpected"))
    session("hello-twice", "Hello comes once", greet + end(hello, "helloTwice"))
    session("hello-magic", "Another protocol", end(bad_hello(magic=0x48545450), "badMagic"))
    session("hello-version-newer", "Versions 2...9", end(bad_hello(low=2, high=9), "unsupportedVersion"))
    session("hello-version-older", "Version 0", end(bad_hello(low=0, high=0), "unsupportedVersion"))
    session("hello-version-range", "Versions 1...9: 1 is spoken",
            [("send", bad_hello(high=9).hex()), ("receive", "reply Hello reply")] + pong)
    session("hello-tenant", "A tenant that this peer doesn't have", end(bad_hello(tenant=999), "notPermitted"))
    session("hello-critical", "A critical field in Hello that nobody knows",
            end(frame(1, 0, 1, bad_hello()[12:] + tagged(0xFE, b"x")), "badBody"))
    session("hello-short", "Hello ends inside a field", end(frame(1, 0, 1, bad_hello()[12:-1]), "badBody"))
    session("http", "A stray HTTP client: its first bytes are an impossible length",
            end(b"GET / HTTP/1.1\r\n\r\n", "badFrameLength"))
    session("oversize", "A length of 4093", greet + end(struct.pack(">I", 4093), "badFrameLength"))
    session("undersize", "A length of 7", greet + end(struct.pack(">I", 7), "badFrameLength"))
    session("reply-flag", "A client sends a reply", greet + end(frame(2, 1, 1, struct.pack(">Q", 5)), "badFlags"))
    session("push-flag", "A client sends a push", greet + end(frame(2, 2, 0, struct.pack(">Q", 5)), "badFlags"))
    session("body-short", "A Ping of seven bytes", greet + pong + end(frame(2, 0, 1, b"\0" * 7), "badBody"))
    session("tags-descend", "Tags out of order",
            greet + end(frame(2, 0, 1, b"\0" * 8 + tagged(9, b"") + tagged(8, b"")), "badBody"))
    session("unknown-opcode", "Answered, and the connection goes on",
            greet + [("send", frame(0x7777, 0, 3, b"abc").hex()), ("receive", "refusal unsupportedOperation")] + pong)
    session("reserved-opcode", "A later version's operation",
            greet + [("send", frame(0x17, 0, 3, b"").hex()), ("receive", "refusal unsupportedOperation")] + pong)
    session("push-opcode", "An opcode that only the server sends",
            greet + [("send", frame(0x41, 0, 3, b"").hex()), ("receive", "refusal unsupportedOperation")] + pong)
    session("critical-field", "A request's unknown critical field: refused, and the connection goes on",
            greet + [("send", frame(2, 0, 3, b"\0" * 8 + tagged(0xFE, b"x")).hex()),
                     ("receive", "refusal unsupportedField")] + pong)
    session("role-missing", "A connection that asked for verify alone asks for statistics",
            [("send", bad_hello(roles=1).hex()), ("receive", "reply Hello reply"),
             ("send", frame(0xF0, 0, 3, b"").hex()), ("receive", "refusal notPermitted")] + pong)
    old = frame(0x12, 0, 3, bytes(64) + b"\x06123456")
    session("request-too-old", "A request id of 1970", greet + [("send", old.hex()), ("receive", "refusal requestTooOld")])
    lookup = frame(0x14, 0, 3, bytes(48))
    session("unknown-challenge", "Nobody's challenge",
            greet + [("send", lookup.hex()), ("receive", "refusal challengeNotOpen")] + pong)


    fields_that_are_refused(greet, pong)
    flows(greet, pong)
    request_ids(greet)


def fields_that_are_refused(greet, pong):
    """Requests of a right form that no rule takes: refused, and the connection goes on."""
    def refused(name, why, opcode, body, status="unsupportedField"):
        session(name, why, greet + [("send", frame(opcode, 0, 3, body).hex()), ("receive", f"refusal {status}")] + pong)

    def name(length):
        return bytes([length]) + b"g" * length

    route = bytes([1, 0]) + bytes(20)
    refused("route-name-too-long", "A gateway's name of 33 bytes", 0x34, name(33) + route)
    refused("route-name-longest", "A gateway's name of 255 bytes", 0x34, name(255) + route)
    refused("route-name-empty", "A gateway without a name", 0x34, name(0) + route)
    refused("route-breaker-unknown", "A breaker of 4", 0x34, name(1) + bytes([4, 0]) + bytes(20))
    refused("drain-name-empty", "A gateway without a name can't be drained", 0xFA, name(0) + b"\1")
    refused("receipt-name-empty", "No message has a gateway without a name", 0x33, name(0) + b"\1r\4", "referenceUnknown")
    refused("check-account-too-long", "No account has 129 bytes", 0x20, GRANT + b"\0\1\x81" + b"a" * 129 + SESSION)
    code = b"\0\1\1\5alice\x0c" + PHONE + SESSION + tagged(1, b"\2")
    session("channel-unknown-ignorable", "Channel 2 without the critical bit isn't sent by SMS instead",
            greet + [("id", "a"), ("send", struct.pack(">IHHI", 24 + len(code), 0x10, 0, 3).hex() + "{a}" + code.hex()),
                     ("receive", "refusal unsupportedField")] + pong)


def flows(greet, pong):
    """What a subscriber and a courier may say."""
    def subscribe(start, epoch=0, sequence=0):
        return frame(0x40, 0, 3, struct.pack(">BIQHH", start, epoch, sequence, 0, 0)).hex()

    acknowledge = frame(0x42, 0, 4, struct.pack(">IQHH", 1, 1, 0, 10)).hex()
    session("acknowledge-without-subscribe", "There is no flow to give credit to",
            greet + [("send", acknowledge), ("receive", "refusal cursorGone")] + pong)
    session("subscribe-after-zero", "The cursor of zeros is before every event: the oldest that is kept comes first",
            greet + [("send", subscribe(1)), ("receive", "reply Subscribe reply")] + pong)
    session("subscribe-after-nothing", "A cursor of another epoch, and credit for the flow that wasn't begun",
            greet + [("send", subscribe(1, 99, 1)), ("receive", "refusal cursorGone"),
                     ("send", acknowledge), ("receive", "refusal cursorGone")] + pong)
    lease = frame(0x30, 0, 3, struct.pack(">HI", 0, 1))
    session("lease-of-a-millisecond", "Taken as half a second; no credit, so nothing is leased",
            greet + [("send", lease.hex()), ("receive", "reply LeaseMessages reply"), ("expect", "lease_ms 500")])


def request_ids(greet):
    """What a request id names, and what it doesn't. Each session has an account and a telephone of its own: the server counts."""
    def code(number, id_, session_=SESSION, account=b""):
        account = account or b"shopper-%d" % number
        body = b"\0\1\1" + bytes([len(account)]) + account + bytes([12]) + b"+3361200%04d" % number + session_
        return request(0x10, "{%s}" % id_, body)

    def request(opcode, *parts):
        body = "".join(part if isinstance(part, str) else part.hex() for part in parts)
        length = sum(len(part) if isinstance(part, bytes) else 16 for part in parts)
        return ("send", struct.pack(">IHHI", 8 + length, opcode, 0, 3).hex() + body)

    def verify(id_, challenge="{c}", guess=b"000000", session_=SESSION):
        return request(0x12, "{%s}" % id_, challenge, session_, bytes([len(guess)]) + guess)

    def cancel(id_, challenge="{c}"):
        return request(0x13, "{%s}" % id_, challenge, SESSION)

    def ids(*names):
        return [("id", name) for name in names]

    made, wrong, done = ("receive", "reply Challenge reply"), ("receive", "refusal wrongCode"), ("receive", "reply Empty")
    conflict, challenge = ("receive", "refusal requestIdConflict"), ("capture", "c challenge")
    session("request-id-of-a-code-verifies", "The id of a RequestCode in a Verify is another request: it spends an attempt",
            greet + ids("a") + [code(1, "a"), made, challenge, verify("a"), wrong])
    session("request-id-of-a-code-cancels", "The id of a RequestCode in a Cancel is another request: it closes the challenge",
            greet + ids("a", "b") + [code(2, "a"), made, challenge, cancel("a"), done, verify("b"), ("receive", "refusal challengeNotOpen"),
                                     cancel("a"), done])
    other = bytes(range(0x60, 0x80))
    session("request-id-on-another-challenge", "The id of a Verify on another challenge is another request: it spends an attempt there",
            greet + ids("a", "b", "v") + [code(3, "a"), made, challenge, code(4, "b", other, b"bob"), made, ("capture", "d challenge"),
                                          verify("v"), wrong, verify("v", "{d}", session_=other), wrong])
    session("request-id-conflict-of-a-code", "The id of a RequestCode with another account",
            greet + ids("a") + [code(5, "a"), made, code(5, "a"), made, code(5, "a", account=b"bob"), conflict])
    session("request-id-conflict-of-a-verify", "The id of a Verify with another code; repeated, it has the same outcome",
            greet + ids("a", "v") + [code(6, "a"), made, challenge, verify("v"), wrong, verify("v", guess=b"000001"), conflict,
                                     verify("v"), wrong])
    session("request-id-of-a-verify-cancels", "Verify and Cancel of one challenge share their ids",
            greet + ids("a", "v") + [code(7, "a"), made, challenge, verify("v"), wrong, cancel("v"), conflict])
    plain = "".join(part if isinstance(part, str) else part.hex() for part in ("{v}", "{c}", SESSION, b"\x06000000"))
    unknown = tagged(0x7E, b"future")
    head = struct.pack(">IHHI", 8 + 71 + len(unknown), 0x12, 0, 3).hex()
    session("request-id-with-an-unknown-tag", "Unknown tags aren't in the digest: with and without one, it is the same request",
            greet + ids("a", "v") + [code(8, "a"), made, challenge, verify("v"), wrong, ("send", head + plain + unknown.hex()), wrong])


FORMS_HEAD = """\
# Request ids of browser forms: what makes them, in blocks of `key: value`, parted by an empty line. Bytes are hex.
# Of a Verify: challenge[0..<6] + HMAC-SHA-256(session, P("otpd-form-verify-1") + P(challenge) + P(u32 generation)
#   + P(code) + P(client_ip))[0..<10], where P(x) = u32 length of x + x, all integers big-endian.
# Of a RedeemGrant: grant[0..<6] + HMAC-SHA-256(session, P("otpd-form-redeem-1") + P(grant))[0..<10].
# Made by scripts/make-vectors.py. Keys: name, session, challenge, generation (decimal), code, client_ip, grant, id.
"""


def forms():
    """The request ids that both clients make of a browser's form."""
    def mac(key, *parts):
        return hmac.new(key, b"".join(struct.pack(">I", len(part)) + part for part in parts), hashlib.sha256).digest()

    session, other = bytes(range(0x40, 0x60)), hashlib.sha256(b"another browser").digest()
    challenge = bytes.fromhex("019ab697e800a0a1a2a3a4a5a6a7a8a9")
    grant = bytes(range(0x80, 0xA0))
    ipv4, ipv6 = bytes([192, 0, 2, 7]), bytes.fromhex("20010db8000000000000000000000007")
    text = FORMS_HEAD
    for name, key, number, code, address in [
        ("a code", session, 0, b"483920", b""),
        ("from an IPv4 address", session, 0, b"483920", ipv4),
        ("from an IPv6 address", session, 0, b"483920", ipv6),
        ("the form shown anew", session, 1, b"483920", ipv4),
        ("shown very often", session, 0xFFFFFFFF, b"483920", ipv4),
        ("another code", session, 0, b"483921", ipv4),
        ("another browser", other, 0, b"483920", ipv4),
        ("no code", session, 0, b"", ipv4),
        ("letters are taken as typed", session, 0, b"ab23 cd45", ipv4),
        ("not ASCII: UTF-8", session, 0, "٤٨٣".encode(), ipv4),
        ("too long to be sent", session, 0, b"1" * 300, b""),
        ("a code that ends like an address", session, 0, b"483920" + ipv4, b""),
    ]:
        got = mac(key, b"otpd-form-verify-1", challenge, struct.pack(">I", number), code, address)
        text += (f"\nname: {name}\nsession: {key.hex()}\nchallenge: {challenge.hex()}\ngeneration: {number}\n"
                 f"code: {code.hex()}\nclient_ip: {address.hex()}\nid: {(challenge[:6] + got[:10]).hex()}\n"
                 ).replace(": \n", ":\n")
    for name, key in (("a grant", session), ("the grant in another browser", other)):
        got = mac(key, b"otpd-form-redeem-1", grant)
        text += (f"\nname: {name}\nsession: {key.hex()}\ngrant: {grant.hex()}\n"
                 f"id: {(grant[:6] + got[:10]).hex()}\n")
    FORMS.write_text(text)


def document():
    """The worked examples at the end of PROTOCOL.md."""
    path = ROOT / "Sources/Wire/PROTOCOL.md"
    head = path.read_text().split("One per frame, from the vectors of the same name.\n")[0]
    text = head + "One per frame, from the vectors of the same name.\n"
    for name, message, kind, why, data in EXAMPLES:
        text += f"\n`{name}`: {message}. {why}.\n```\n"
        raw = data.hex()
        parts = [raw[0:8], raw[8:12], raw[12:16], raw[16:24]]
        body = raw[24:]
        if kind in ("reply", "refusal"):
            parts.append(body[:4])
            body = body[4:]
        text += " ".join(parts) + "\n"
        text += "".join(f"  {body[i:i + 64]}\n" for i in range(0, len(body), 64))
        text += "```\n"
    path.write_text(text)


def main():
    for folder in (FRAMES, SESSIONS):
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.txt"):
            old.unlink()
    hello = whole_frames()
    broken_frames()
    sessions(hello)
    forms()
    document()
    print(f"{len(list(FRAMES.glob('*.txt')))} frames, {len(list(SESSIONS.glob('*.txt')))} sessions, "
          f"{len(EXAMPLES)} examples")


if __name__ == "__main__":
    main()
