#!/usr/bin/env python3
"""PDUs made by an independent codec, smpp.pdu3 (PyPI), for Tests/SMPPTests: fields and bytes, from a fixed seed.

usage: $(sh scripts/python-venv.sh) scripts/smpp-vectors.py [--check]

Without --check writes Tests/Vectors/smpp/pdus.txt; with it, makes them again and compares. Text fields and values are in hexadecimal.
"""
import contextlib
import io
import pathlib
import random
import sys

from smpp.pdu import operations, pdu_encoding as encoding, pdu_types as types

SEED = 34
COUNT = 250
PATH = pathlib.Path(__file__).resolve().parent.parent / "Tests/Vectors/smpp/pdus.txt"
rng = random.Random(SEED)
ENCODERS = encoding.PDUEncoder.DefaultRequiredParamEncoders

BIND = ["system_id", "password", "system_type", "interface_version", "addr_ton", "addr_npi", "address_range"]
MESSAGE = [
    "service_type", "source_addr_ton", "source_addr_npi", "source_addr", "dest_addr_ton", "dest_addr_npi",
    "destination_addr", "esm_class", "protocol_id", "priority_flag", "schedule_delivery_time", "validity_period",
    "registered_delivery", "replace_if_present_flag", "data_coding", "sm_default_msg_id", "short_message"]
CHOICES = {
    "interface_version": [0x33, 0x34], "addr_ton": [0, 1, 2, 5], "addr_npi": [0, 1, 8],
    "source_addr_ton": [0, 1, 3, 5], "source_addr_npi": [0, 1], "dest_addr_ton": [0, 1, 2], "dest_addr_npi": [0, 1],
    "esm_class": [0, 3, 0x40, 0x43, 0x04, 0x80], "protocol_id": [0, 0x40], "priority_flag": [0, 1, 2, 3],
    "registered_delivery": [0, 1, 2, 0x11], "replace_if_present_flag": [0, 1], "data_coding": [0, 1, 3, 4, 8],
    "sm_default_msg_id": [0, 7]}
LONGEST = {"system_id": 15, "password": 8, "system_type": 12, "address_range": 40, "service_type": 5,
           "source_addr": 20, "destination_addr": 20, "message_id": 64}
STATUSES = [0x01, 0x08, 0x0B, 0x14, 0x45, 0x58, 0x64, 0xC4]


def text(longest):
    length = rng.choice([0, 1, longest, rng.randint(0, longest)])
    return bytes(rng.randint(0x21, 0x7E) for _ in range(length))


def fields(names):
    values = {}
    for name in names:
        if name in CHOICES:
            values[name] = rng.choice(CHOICES[name])
        elif name in LONGEST:
            values[name] = text(LONGEST[name])
        elif name == "validity_period":
            values[name] = rng.choice([b"", b"%06d%02d%02d%02d000R" % (
                rng.randint(0, 28), rng.randint(0, 23), rng.randint(0, 59), rng.randint(0, 59))])
        elif name == "schedule_delivery_time":
            values[name] = b""
        elif name == "short_message":
            values[name] = rng.randbytes(rng.choice([0, 1, 160, 254, rng.randint(0, 254)]))
    return values


def theirs(name, value):
    """The codec's own object for a value, so that its encoder makes the bytes."""
    if name == "short_message":
        return value
    coder = ENCODERS[name]
    if isinstance(value, int):
        # A number's object by way of the codec's names; encoding is another way.
        return coder.decode(io.BytesIO(bytes([value])))
    if name in ("validity_period", "schedule_delivery_time"):
        with contextlib.redirect_stdout(None):  # the codec prints a letter for each
            return coder.decode(io.BytesIO(value + b"\0")) if value else None
    return value


def optional(kind):
    chosen = {}
    if kind == "deliver_sm":
        if rng.random() < 0.5:
            chosen["receipted_message_id"] = (0x001E, text(64) + b"\0")
        if rng.random() < 0.5:
            chosen["message_state"] = (0x0427, bytes([rng.randint(1, 8)]))
    if kind in ("deliver_sm", "submit_sm") and rng.random() < 0.2:
        chosen["message_payload"] = (0x0424, rng.randbytes(rng.choice([1, 255, 1000])))
    if kind.startswith("bind") and rng.random() < 0.5:
        chosen["sc_interface_version"] = (0x0210, b"\x34")
    return chosen


def their_option(name, value):
    if name == "message_state":
        return encoding.MessageStateEncoder().decode(io.BytesIO(value))
    if name == "sc_interface_version":
        return value[0]
    return value[:-1] if name == "receipted_message_id" else value


def pdu():
    kind, names = rng.choice([
        ("bind_transmitter", BIND), ("bind_receiver", BIND), ("bind_transceiver", BIND),
        ("bind_transmitter_resp", ["system_id"]), ("bind_receiver_resp", ["system_id"]),
        ("bind_transceiver_resp", ["system_id"]),
        ("submit_sm", MESSAGE), ("submit_sm", MESSAGE), ("submit_sm", MESSAGE), ("submit_sm_resp", ["message_id"]),
        ("deliver_sm", MESSAGE), ("deliver_sm", MESSAGE), ("deliver_sm_resp", ["message_id"]), ("enquire_link", []),
        ("enquire_link_resp", []), ("unbind", []), ("unbind_resp", []), ("generic_nack", [])])
    made = next(k for k in vars(operations).values() if getattr(k, "commandId", None) == types.CommandId[kind])
    values, tags, status = fields(names), {}, 0
    if kind == "deliver_sm_resp":
        values["message_id"] = b""
    if kind.endswith(("_resp", "_nack")) and rng.random() < 0.4:
        status = rng.choice(STATUSES)
        # A refusal that leaves its body out where the specification lets it.
        if made.noBodyOnError:
            values = {}
    if status == 0 and kind in ("deliver_sm", "submit_sm", "bind_transmitter_resp", "bind_receiver_resp", "bind_transceiver_resp"):
        tags = optional(kind)
    if "message_payload" in tags:
        values["short_message"] = b""
    sequence = rng.choice([1, 0x7FFFFFFF, rng.randint(1, 0x7FFFFFFF)])
    name = next((v["name"] for k, v in encoding.constants.command_status_value_map.items() if k == status))
    their = {k: theirs(k, v) for k, v in values.items()}
    if kind == "deliver_sm_resp":
        their["message_id"] = None
    ordered = [n for n in getattr(made, "optionalParams", []) if n in tags]
    their |= {n: their_option(n, tags[n][1]) for n in ordered}
    data = encoding.PDUEncoder().encode(made(sequence, types.CommandStatus[name], **their))
    lines = [f"pdu: {kind}", f"sequence: {sequence}", f"status: {status}"]
    lines += [f"{k}: {v if isinstance(v, int) else v.hex()}" for k, v in values.items()]
    lines += [f"tlv: {tags[n][0]:04x} {tags[n][1].hex()}" for n in ordered]
    return "\n".join(lines + [f"hex: {data.hex()}"]) + "\n"


made = (f"# Made by scripts/smpp-vectors.py with smpp.pdu3 0.6, seed {SEED}: {COUNT} PDUs. Texts and values in hexadecimal.\n\n"
        + "\n".join(pdu() for _ in range(COUNT)))
if "--check" in sys.argv:
    if PATH.read_text() != made:
        sys.exit(f"{PATH}: not what smpp.pdu3 makes from seed {SEED}; run scripts/smpp-vectors.py and look at the difference")
    print(f"smpp-vectors: {COUNT} PDUs are as smpp.pdu3 makes them (seed {SEED})")
else:
    PATH.write_text(made)
