"""The vectors of Tests/Vectors: frames against the codec, sessions against a running otpd."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

import otpd_wire as wire

ROOT = pathlib.Path(__file__).resolve().parents[2]
KEYS = {"message", "kind", "correlation", "expect", "reencode", "hex"}


def read(path):
    """The lines `key: value` of a vector, in order; comments dropped."""
    pairs = []
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            key, _, value = line.partition(":")
            pairs.append((key.strip(), value.strip()))
    return pairs


def splits(data):
    """Whole, byte by byte, and cut at each offset."""
    yield [data]
    yield [data[i:i + 1] for i in range(len(data))]
    for cut in range(len(data)):
        yield [data[:cut], data[cut:]]


class Frames(unittest.TestCase):
    def outcome(self, vector, chunks):
        buffer = b""
        for chunk in [b""] + chunks:
            buffer += chunk
            try:
                found = wire.next_frame(buffer)
                if found is None:
                    continue
                opcode, flags, correlation, body, _ = found
                self.assertEqual(correlation, int(vector["correlation"]))
                prefix = body[:2] if vector["kind"] == "reply" else b""
                fields = wire.decode(vector["message"], body[len(prefix):])
            except wire.WireError as error:
                return error.reason, None, None
            again = wire.frame(opcode, correlation, prefix + wire.encode(vector["message"], fields), flags)
            return "ok", self.shown(vector["message"], fields), again
        return "needMore", None, None

    @staticmethod
    def shown(message, fields):
        """The fields as a vector writes them."""
        kinds = {name: kind for kind, name in wire.MESSAGES[message][0]}
        lines = []
        for name, value in fields.items():
            kind = kinds.get(name, "")
            if isinstance(value, int):
                lines.append((name, str(value)))
            elif kind.startswith("judged") and len(value) > wire._maximum(kind):
                lines.append((name, f"too long ({len(value)})"))
            else:
                lines.append((name, value.hex()))
        return lines

    def test_all(self):
        files = sorted((ROOT / "Tests/Vectors/frames").glob("*.txt"))
        self.assertGreater(len(files), 60)
        for path in files:
            with self.subTest(path.stem):
                pairs = read(path)
                fields = [(key[6:], value) for key, value in pairs if key.startswith("field ")]
                unknown = {key for key, _ in pairs if not key.startswith("field ")} - KEYS
                self.assertFalse(unknown, "keys that this runner doesn't know")
                vector = dict(pairs)
                data = bytes.fromhex("".join(value for key, value in pairs if key == "hex"))
                for chunks in splits(data):
                    result, shown, again = self.outcome(vector, chunks)
                    self.assertEqual(result, vector["expect"])
                    if result == "ok":
                        self.assertEqual(shown, fields)
                        if vector.get("reencode") != "no":
                            self.assertEqual(again, data)

    def test_every_message_has_a_vector(self):
        covered = {dict(read(path))["message"] for path in (ROOT / "Tests/Vectors/frames").glob("*.txt")}
        self.assertEqual(covered, set(wire.MESSAGES))


class Server:
    """A development server of its own in a temporary folder."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="otpd-py-")
        self.dev = os.path.join(self.folder, "dev")
        self.path = os.path.join(self.dev, "otpd.sock")
        self.log = open(os.path.join(self.folder, "log"), "wb")
        self.start()

    def start(self):
        binary = os.environ.get("OTPD", ROOT / ".build/debug/otpd")
        self.process = subprocess.Popen([binary, "--dev", "--dev-folder", self.dev, "--courier", "none"],
                                        cwd=self.folder, stdout=self.log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 20
        while True:
            try:
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.connect(self.path)
                return
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    self.stop()
                    raise RuntimeError("otpd didn't start; run `swift build` first")
                time.sleep(0.02)

    def restart(self, how=signal.SIGTERM):
        """Ends it in this way and starts it anew on the same data."""
        self.process.send_signal(how)
        self.process.wait(10)
        self.start()

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@unittest.skipUnless(os.environ.get("OTPD") or (ROOT / ".build/debug/otpd").exists(), "otpd isn't built")
class Sessions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def expect(self, sock, buffer, what):
        """Reads until one frame or the end, and compares it with a `receive` line; returns the rest."""
        while True:
            found = wire.next_frame(buffer)
            if found:
                break
            try:
                data = sock.recv(4096)
            except ConnectionResetError:
                data = b""
            if not data:
                self.assertEqual(what, "closed")
                return b""
            buffer += data
        opcode, flags, _, body, used = found
        if flags == wire.PUSH:
            fields = wire.decode(wire.PUSHES[opcode], body)
            got = f"goodbye {wire.name_in(wire.REASONS, fields['reason'])}" if opcode == wire.GOODBYE else "push"
        elif body[:2] == b"\0\0":
            message = wire.OPERATIONS[opcode][1]
            wire.decode(message, body[2:])
            got = f"reply {message}"
        else:
            got = f"refusal {wire.STATUSES[wire.decode('Refusal', body)['status']]}"
        self.assertEqual(got, what)
        self.body = body[2:]
        return buffer[used:]

    def told(self, what):
        """The bytes of a field of the last reply."""
        message, name = what
        kind = dict((name, kind) for kind, name in wire.MESSAGES[message][0])[name]
        value = wire.decode(message, self.body)[name]
        return value if isinstance(value, bytes) else value.to_bytes(int(kind[1:]) // 8, "big")

    def run_script(self, pairs):
        """A session whose bytes depend on what the server said: in order, each `send` byte by byte."""
        names, message = {}, None
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(5)
            sock.connect(self.server.path)
            buffer = b""
            for key, value in pairs:
                if key == "send":
                    for name, known in names.items():
                        value = value.replace("{" + name + "}", known.hex())
                    for byte in bytes.fromhex(value):
                        sock.sendall(bytes([byte]))
                elif key == "receive":
                    buffer = self.expect(sock, buffer, value)
                    message = value.partition(" ")[2]
                    if message == "Hello reply":
                        engine_time = self.told((message, "engine_time_ms"))
                elif key == "expect":
                    name, number = value.split()
                    self.assertEqual(int.from_bytes(self.told((message, name)), "big"), int(number))
                elif key == "capture":
                    name, field = value.split()
                    names[name] = self.told((message, field))
                else:
                    names[value] = engine_time[2:] + os.urandom(10)

    def run_steps(self, groups):
        """`groups`: (chunks to send, lines to receive) in turn, on one connection."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(5)
            sock.connect(self.server.path)
            buffer = b""
            for chunks, receives in groups:
                for chunk in chunks:
                    try:
                        sock.sendall(chunk)
                    except BrokenPipeError:
                        break
                for what in receives:
                    buffer = self.expect(sock, buffer, what)

    def test_all(self):
        files = sorted((ROOT / "Tests/Vectors/sessions").glob("*.txt"))
        self.assertGreater(len(files), 20)
        for path in files:
            with self.subTest(path.stem):
                pairs = read(path)
                keys = {key for key, _ in pairs}
                self.assertFalse(keys - {"send", "receive", "expect", "capture", "id"}, "keys that this runner doesn't know")
                if keys - {"send", "receive"}:
                    self.run_script(pairs)
                    continue
                sent = b"".join(bytes.fromhex(value) for key, value in pairs if key == "send")
                receives = [value for key, value in pairs if key == "receive"]
                turns = []
                for key, value in pairs:
                    if key == "send":
                        turns.append(([bytes.fromhex(value)], []))
                    else:
                        turns[-1][1].append(value)
                self.run_steps(turns)
                for chunks in splits(sent):
                    self.run_steps([(chunks, receives)])


if __name__ == "__main__":
    unittest.main()
