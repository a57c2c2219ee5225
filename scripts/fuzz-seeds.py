#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets from what the repository holds: scripts/fuzz-seeds.py OUT"""
import json
import pathlib
import re
import struct
import sys

root = pathlib.Path(__file__).resolve().parent.parent
out = pathlib.Path(sys.argv[1])


def seed(target, name, data):
    folder = out / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


vectors = {}
for path in sorted((root / "Tests/Vectors/frames").glob("*.txt")):
    digits = "".join(re.findall(r"^hex: *(.*)$", path.read_text(), re.M))
    vectors[path.stem] = bytes.fromhex(digits.replace(" ", ""))

MESSAGES = 29  # codecs in MessagesFuzz
for name, frame in vectors.items():
    seed("frames", name, b"\x00\x01" + frame + frame[:20])
    body = frame[14:] if frame[6:8] == b"\x00\x01" else frame[12:]  # a reply's status isn't part of its message
    for number in range(MESSAGES):
        seed("messages", f"{name}-{number}", bytes([number]) + body)
seed("frames", "pipeline", b"\x03\x00" + b"".join(list(vectors.values())[:8]))

# Steps at the desks: a peer is the low three bits, what it does the others.
for name, steps in {
    "routes": [40, 5, 4, 41, 9, 0, 72, 0, 72, 1, 64, 5, 1, 40, 5, 4], "long": [40, 35, 0, 72, 0],
    "empty": [40, 0, 0, 64, 0, 1], "stale": [112, 1, 113, 2, 24, 3, 112, 3, 72, 0, 24, 4, 64, 7, 1],
    "leases": [80, 9, 88, 90, 24, 1, 104, 1, 24, 2, 104, 5, 16],
    "unread": [120, 72, 0, 40, 5, 5, 120, 80, 200, 88, 120, 24, 5],
    "flow": [160, 17, 2, *bytes(14), 0, 9, 88, 168, 16, *bytes(14), 0, 9, 24, 5],
}.items():
    seed("desks", name, bytes(steps))

# A journal record of each payload length around the edges; the target sets magic, format and checksum.
for payload in (0, 1, 10, 352, 368, 369, 900):
    header = struct.pack(">IHHQQQQQQIIQI", 0x4F54504A, 1, 0, 1, 2, 3, 4, 5, 6, payload, 1, 7, 1).ljust(128, b"\x11")
    for mode in (0, 1, 3):
        seed("journal", f"record-{payload}-{mode}", bytes([mode]) + header + b"p" * payload + b"t" * 16)

ms = bytes([1, 0x9F, 0, 0, 0, 1])


def blob(data):
    return bytes([len(data)]) + data


def window(count):
    return bytes([count, count // 2]) + ms * count


def tagged(count):
    return bytes([count]) + (b"\xaa" * 8 + ms) * count


def opened(count):
    return bytes([count]) + (b"\xbb" * 16 + ms) * count


def challenge(state, verdicts):
    fixed = bytes([1, state]) + struct.pack(">IH", 1, 2) + bytes([1, 1, 1, 6, 5, 2, 1, 2, 3, 1])
    ids = ms * 3 + b"n" * 32 + b"s" * 32 + bytes(32) + b"d" * 16 + b"t" * 16 + ms
    fields = blob(b"alice") + blob(b"+33612345678") + blob(b"shop.example") + blob(b"") + blob(b"fr-FR")
    verdict = b"\x01" * 8 + b"\x02" * 8 + struct.pack(">H", 45) + bytes([3, 2]) + ms
    return fixed + ids + fields + bytes([verdicts]) + verdict * verdicts


for state in (1, 2, 3, 4, 5, 7):
    seed("records", f"challenge-{state}", b"\x00" + challenge(state, state % 4))
seed("records", "challenge-12", b"\x00" + challenge(1, 12))
for count in (0, 2, 5):
    full = count * 10
    seed("records", f"phone-{count}", b"\x01\x01" + (window(full) + tagged(count) + opened(count)) * 3 + window(full))
    seed("records", f"account-{count}", b"\x02\x01" + b"s" * 16 + (window(full) + tagged(count)) * 3)
seed("records", "streak", b"\x03\x01" + struct.pack(">H", 7) + (struct.pack(">H", 3) + ms) * 3)
seed("records", "grant", b"\x04\x01" + struct.pack(">IH", 1, 2) + b"g" * 80 + ms * 2 + b"r" * 32)
for state in range(1, 6):
    seed("records", f"outbox-{state}", bytes([5, 1, state]) + struct.pack(">I", 1) + bytes([1, 2]) + b"k" * 16 + ms * 3)
event = b"\x01" + struct.pack(">H", 7) + ms * 2 + struct.pack(">IH", 1, 2) + b"c" * 32 + struct.pack(">H", 45) + bytes([2, 4])
seed("records", "event-1", b"\x06" + bytes(range(14)) + event)
seed("records", "event-2", b"\x06" + bytes(range(14)) + b"\x02" + event[1:] + struct.pack(">Q", 9))
seed("records", "slot", b"\x07" + b"i" * 16)

times = struct.pack(">QQ", 1_780_000_000_000, 1_780_000_660_000)
for number in (b"+33612345678", b"+1234567", b"+12345678", b"+123456789012345", b"+1234567890123456", b"0033612345678", b"+0123456789"):
    seed("fields", "phone-" + number.decode().strip("+"), b"\x00" + times + number)
for form, code in ((0, b"123456"), (8, b"1234567890"), (1, b"ABC234"), (1, b"abc234"), (1, b"ABCIO0"), (5, b"WXYZ2345"), (0, b"12345a")):
    seed("fields", f"code-{form}-{code.decode()}", bytes([form]) + times + code)
seed("fields", "account", b"\x00" + times + b"a" * 128)

texts = ["{code} is your {shop} code. It expires in {minutes} minutes.", "{shop}: {code}", "Код {code}", "{code} {minutes}",
         "{code} " + "x" * 70, "{code} {{}", "{ code }", "€^{}[]~|\\ " * 20, "\U0001F511" * 40, "a" * 161, "@£$¥èéùìòÇ\n\r\x1b{code}"]
for number, text in enumerate(texts):
    data = text.encode()[:255]
    for host in (b"shop.example", b"FA+9qCX9VSu", b"shop.example\n@evil #1"):
        seed("texts", f"text-{number}-{len(host)}", bytes([len(data), 12]) + data + b"Example Shop" + host.ljust(60, b"\0")[:60] + b"\x1b\x1b\x65ab")
        seed("texts", f"text-{number}-{len(host)}-end", bytes([len(data), 12]) + data + b"Example Shop" + host)

for number in range(2):
    seed("store", f"position-{number}", b"\x03" + bytes([number]) * 160)
envelope = b"\x00\x00\x00\x00\x10" + b"\x10" + b"k" * 16 + b"\x00\x20" + b"v" * 32
seed("store", "sealed", b"\x0a\x02" + envelope)
seed("store", "flipped", b"\x0a\x02\x00\x01\x00\x28" + envelope[4:])
seed("store", "cut", b"\x0a\x02\x00\xff\x00\x05" + envelope[4:])
seed("store", "other-table", b"\x0a\x02\x23" + envelope[1:])
seed("store", "other-key", b"\x0a\x02\x50" + envelope[1:] + b"K" * 16)
seed("store", "raw", b"\x0a\x02\x80" + bytes(3) + b"\x00\x00\x00" + b"\x01" + bytes(3) + b"\x01" + bytes(80))
for number in range(4):
    seed("store", f"keyring-{number}", b"\x00" + bytes([number]) + b"\x00\x28\x01" * number)
seed("store", "keyring-cut", b"\x00\x40\x00\x48")
seed("store", "keyring-long", b"\x00\x20" + b"z" * 72)
seed("store", "format", b"\x01otpd-store 1\n" + b"0123456789abcdef" * 2 + b"\n")
seed("store", "format-2", b"\x01otpd-store 2\n" + b"0123456789abcdef" * 2 + b"\n")
for text in (b"1\n", b"4294967295\n", b"4294967296\n", b"+1\n", b"007\n", b"1"):
    seed("store", "epoch-" + text.decode().strip(), b"\x02" + text)

for reached in range(7):
    seed("recovery", f"reached-{reached}", bytes([reached, 1]))
for kind in range(10):
    seed("recovery", f"change-{kind}", bytes([kind % 3, 1, kind, 3, 0, 3, 9]))
    seed("recovery", f"change-last-{kind}", bytes([0, 1, kind, 5, 0, 130, 9]))

OPEN, VERIFY, RESEND, CANCEL, LOOK, REDEEM, REPORT, LEASE, RETRY, WAIT = 0, 3, 7, 8, 9, 10, 11, 12, 13, 14
right, wrong = 0x00, 0x18
scripts = {
    "login": [(OPEN, 0, 0, 1), (LEASE, 0, 0, 0), (REPORT, 0, 0, 1), (VERIFY, 0, right, 2), (REDEEM, 0, 0, 3), (RETRY, 1, 0, 0)],
    "guesses": [(OPEN, 0, 0, 1)] + [(VERIFY, 0, wrong, n) for n in range(6)] + [(VERIFY, 0, right, 9)],
    "resends": [(OPEN, 0, 0, 1)] + [(WAIT, 8, 0, 0), (RESEND, 0, 0, 1), (LEASE, 0, 1, 0), (LEASE, 0, 2, 0)] * 2 + [(VERIFY, 0, right, 2)],
    "join": [(OPEN, 0, 0, 1), (OPEN, 0, 0, 2), (WAIT, 4, 0, 0), (OPEN, 0, 0, 3), (CANCEL, 0, 0, 4), (RETRY, 3, 0, 0)],
    "supersede": [(OPEN, 0, 0, 1), (OPEN, 4, 0, 2), (VERIFY, 4, right, 3), (VERIFY, 0, right, 4), (LOOK, 0, 0, 0), (LOOK, 0, 0, 1)],
    "streak": ([(OPEN, 64, 128, 1)] + [(VERIFY, 0, wrong, n) for n in range(5)] + [(WAIT, 12, 0, 0)]) * 3,
    "restore": [(OPEN, 0, 0, 1), (15, 0, 255, 0), (VERIFY, 0, right, 2), (RETRY, 0, 0, 0), (LEASE, 0, 0, 0)],
    "failed": [(OPEN, 0, 0, 1), (LEASE, 0, 0, 0), (REPORT, 0, 0, 2), (WAIT, 1, 0, 0), (LEASE, 0, 0, 0), (REPORT, 0, 0, 3)],
}
for name, steps in scripts.items():
    seed("engine", name, b"".join(bytes(step) for step in steps))

# The configurations that the tests and the README hold.
for path in ("Tests/AuthServerTests/ConfigTests.swift", "README.md", "Sources/AuthServer/DevFolder.swift"):
    text = (root / path).read_text()
    for number, block in enumerate(re.findall(r'(?:"""|```\w*)\n(.*?)\n *(?:"""|```)', text, re.S)):
        if "[[tenant]]" in block or "master_key" in block:
            seed("config", f"{pathlib.Path(path).stem}-{number}", re.sub(r"^ +", "", block, flags=re.M).encode())
purpose = ('[[tenant.purpose]]\nnumber=7\nname="pay"\nprofile="psd2-payment"\nalphabet="letters-and-digits"\ncode_length=10\n'
           'life_seconds=600\nattempts=3\nsends_per_challenge=2\nresend_gap_seconds=[20,40]\ngrant_seconds=60\n'
           'require_session=false\ntext="{code} {shop} {minutes}"\n')
limits = ('[tenant.limits]\nunverified_per_hour=1\nunverified_per_day=2\ntotal_per_hour=3\ntotal_per_day=50\n'
          'phones_per_account_day=1\naccounts_per_phone_day=2\nopen_per_phone=5\nverifies_per_phone_minute=9\nmode="shadow"\n')
full = ('data="/d"\nmaster_key="/k"\nissuer="i"\ncommit="inline"\nmax_connections=64\nmax_connections_per_uid=9\n[[tenant]]\nnumber=1\nname="a"\n'
        'shop="A"\n' + limits + purpose + '[[listener]]\npath="/s"\nmode="0600"\ntenants=[1]\nroles=["verify"]\n'
        '[[peer]]\nuid=33\ntenant=1\nroles=["verify","redeem"]\n')
seed("config", "full", full.encode())
seed("config", "full-root", full.replace("uid=33", 'user="root"').encode())

# What the SDKs' vendors answer and call, and an SMSC's PDUs.
golden = json.loads((root / "Tests/Vectors/vendors.json").read_text())
for number, entry in enumerate(golden["vendors"]):
    answer = entry["answer"] if isinstance(entry["answer"], str) else json.dumps(entry["answer"])
    for status in (entry["status"], 400, 429, 500):
        for whom in range(9):
            seed("vendors", f"answer-{number}-{status}-{whom}", bytes([whom]) + struct.pack(">HH", status, 1) + b"7" + answer.encode())
for number, call in enumerate(golden["callbacks"]):
    query = call["query"].encode()
    for whom in range(6):
        seed("vendors", f"call-{number}-{whom}", bytes([whom]) + struct.pack(">HH", 200, len(query)) + query + call["body"].encode())
for text in (b'{"messages":[{"status":"1"}]}', b'{"error":{"code":21211}}', b'{"errors":[{"code":"10009"}]}', b"0: Accepted", b'["\\ud83d\\ude00",1e9,[[]]]'):
    for whom in range(9):
        seed("vendors", f"text-{len(text)}-{whom}", bytes([whom]) + struct.pack(">HH", 400, 0) + text)


def pdu(command, status, sequence, body=b""):
    return struct.pack(">IIII", 16 + len(body), command, status, sequence) + body


def tlv(tag, value):
    return struct.pack(">HH", tag, len(value)) + value


receipt = b"id:17 sub:001 dlvrd:001 submit date:2511250900 done date:2511250900 stat:DELIVRD err:000 text:x"
deliver = b"\0\1\x0133612345678\0\5\0Fleur\0\4\0\0\0\0\0\0\0\0" + bytes([len(receipt)]) + receipt
pdus = {
    "bind": pdu(0x80000009, 0, 1, b"SMSC\0"), "refused": pdu(0x80000009, 14, 1), "answer": pdu(0x80000004, 0, 2, b"17\0"),
    "throttled": pdu(0x80000004, 0x58, 2), "receipt": pdu(5, 0, 9, deliver), "tagged": pdu(5, 0, 9, deliver + tlv(0x1E, b"17\0") + tlv(0x427, b"\2")),
    "link": pdu(0x15, 0, 3), "link-answer": pdu(0x80000015, 0, 3), "unbind": pdu(6, 0, 4), "unbind-answer": pdu(0x80000006, 0, 4),
    "nack": pdu(0x80000000, 3, 2), "unknown": pdu(0x102, 0, 5), "bind-request": pdu(9, 0, 1, b"otpd\0secret\0\0\x34\0\0\0"), "short": b"\0\0\0\1xx",
}
for name, data in pdus.items():
    seed("smpp", f"stream-{name}", b"\0" + data + pdus["link"])
    said = bytes([0, len(data)]) + data
    hello = bytes([4, 0, 0, len(pdus["bind"])]) + pdus["bind"] + b"\6\5\6\6\4\0"
    seed("smpp", f"talk-{name}", b"\1\2" + hello + said + b"\5\x70" + said)
    seed("smpp", f"talk-{name}-drain", b"\1\2" + hello + b"\7\0" + said + b"\5\xff" + said)
    seed("smpp", f"talk-{name}-first", b"\1\2" + said + hello)
