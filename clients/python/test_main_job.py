"""The client against a running otpd: the main job, each refusal, retries over lost connections."""

import os
import re
import signal
import socket
import tempfile
import threading
import time
import unittest

import otpd_client as otpd
import otpd_wire as wire
from test_vectors import ROOT, Server

SESSION = bytes(range(1, 33))


@unittest.skipUnless(os.environ.get("OTPD") or (ROOT / ".build/debug/otpd").exists(), "otpd isn't built")
class MainJob(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def setUp(self):
        self.client = otpd.Client(self.server.path)
        self.courier = otpd.Client(self.server.path)
        self.courier.lease(16)
        self.addCleanup(self.client.close)
        self.addCleanup(self.courier.close)

    def refused(self, status, call, *arguments, **named):
        with self.assertRaises(otpd.Refused) as caught:
            call(*arguments, **named)
        self.assertEqual(caught.exception.status, status)
        return caught.exception

    def code(self, account, phone):
        challenge = self.client.request_code(account, phone, SESSION, web_host=b"shop.example")
        message = self.courier.push(5)
        self.assertEqual(message["challenge"], challenge["challenge"])
        self.assertTrue(message["text"].endswith("@shop.example #" + message["text"][:6]))
        self.courier.report(message, otpd.SUBMITTED, reference=b"gw-1")
        return challenge["challenge"], message["text"][:6].encode()

    def test_login(self):
        start = self.client.subscribe(otpd.NOW)
        challenge, code = self.code(b"alice", b"+33612345678")
        self.assertEqual(self.client.status(challenge, SESSION)["delivery"], 2)
        wrong = bytes((c - 0x30 + 1) % 10 + 0x30 for c in code)
        self.assertEqual(self.refused("wrongCode", self.client.verify, challenge, SESSION, wrong).attempts_left, 4)
        self.assertIsNone(self.refused("invalidCode", self.client.verify, challenge, SESSION, b"12 34").attempts_left)
        request_id = self.client.request_id()
        grant = self.client.verify(challenge, SESSION, code, request_id=request_id)["grant"]
        self.assertEqual(self.client.verify(challenge, SESSION, code, request_id=request_id)["grant"], grant)
        self.refused("requestIdConflict", self.client.verify, challenge, SESSION, wrong, request_id=request_id)
        self.refused("challengeNotOpen", self.client.verify, challenge, SESSION, code)
        self.client.check_grant(grant, 1, b"alice", SESSION)
        self.refused("grantInvalid", self.client.redeem_grant, grant, 1, b"mallory", SESSION)
        self.assertEqual(self.client.redeem_grant(grant, 1, b"alice", SESSION)["challenge"], challenge)
        self.refused("grantInvalid", self.client.redeem_grant, grant, 1, b"alice", SESSION)
        kinds, cursor = [], start
        while "grantRedeemed" not in kinds:
            event = self.client.push(5)
            self.assertGreater(event["cursor"], cursor)
            cursor = event["cursor"]
            kinds.append(event["kind"])
        # Refusals of grants may have events, too.
        kinds = [kind for kind in kinds if kind != "requestRefused"]
        self.assertEqual(kinds, ["codeRequested", "codeSubmitted", "wrongCode", "codeVerified", "grantRedeemed"])
        self.client.acknowledge(cursor, len(kinds))
        self.assertGreater(self.client.stats()["verified_total"], 0)

    def test_limits_say_which_and_when(self):
        challenge, _ = self.code(b"bob", b"+33612345679")
        refusal = self.refused("limited", self.client.resend, challenge, SESSION)
        self.assertEqual(refusal.limit, "resendGap")
        self.assertTrue(0 < refusal.retry_after_ms <= 30_000)
        self.assertTrue(refusal.is_retryable)
        other = bytes(32 - i for i in range(32))
        self.assertEqual(self.refused("limited", self.client.quota, b"bob", b"+33612345679", other).limit, "resendGap")
        self.client.cancel(challenge, SESSION)
        self.assertEqual(self.client.status(challenge, SESSION)["state"], 3)

    def test_bad_input(self):
        for phone in (b"0612345678", b"+33 612345678", b"0033612345678", "+٣٣٦١٢٣٤٥٦٧٨".encode(), b"+" + b"1" * 16, b""):
            self.refused("invalidPhone", self.client.request_code, b"eve", phone[:255], SESSION)
        for account in (b"", b"a" * 129):
            self.refused("invalidAccount", self.client.request_code, account, b"+33612345670", SESSION)
        for code in ("1" * 17, "1" * 255, "1" * 300, "12 34", "١٢٣٤٥٦", "", None):
            refusal = self.refused("invalidCode", self.client.verify, bytes(16), SESSION, code)
            self.assertEqual(refusal.neutral, "tryAgain")
        self.refused("invalidSession", self.client.request_code, b"eve", b"+33612345670", bytes(32))
        self.refused("unknownPurpose", self.client.request_code, b"eve", b"+33612345670", SESSION, purpose=99)

    def test_wrong_tenant_is_said(self):
        with self.assertRaises(otpd.Closed) as caught:
            otpd.Client(self.server.path, tenant=99).ping()
        self.assertEqual(caught.exception.reason, "notPermitted")

    def test_no_server(self):
        with self.assertRaises(otpd.Unknown):
            otpd.Client(self.server.path + "-not", retries=0).ping()


@unittest.skipUnless(os.environ.get("OTPD") or (ROOT / ".build/debug/otpd").exists(), "otpd isn't built")
class Restarts(unittest.TestCase):
    def test_six_restarts_cost_no_call(self):
        server = Server()
        self.addCleanup(server.stop)
        client = otpd.Client(server.path)
        self.addCleanup(client.close)
        client.subscribe()
        wrong, counts, is_over = [], [], threading.Event()

        def work(thread):
            count = 0
            while not is_over.is_set():
                try:
                    client.ping()
                    client.verify(bytes(16), SESSION, "123456")
                except otpd.Refused as refused:
                    if refused.status != "challengeNotOpen":
                        wrong.append(refused)
                except Exception as error:
                    wrong.append(error)
                count += 1
            counts.append(count)
        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for how in (signal.SIGTERM, signal.SIGKILL) * 3:
            server.restart(how)
            time.sleep(0.1)
        is_over.set()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertGreater(sum(counts), 50)
        with self.assertRaises(otpd.Closed):
            while client.push(1):
                pass


@unittest.skipUnless(os.environ.get("OTPD") or (ROOT / ".build/debug/otpd").exists(), "otpd isn't built")
class Readme(unittest.TestCase):
    def test_its_blocks_run(self):
        server = Server()
        self.addCleanup(server.stop)
        text = (ROOT / "clients/python/README.md").read_text()
        blocks = re.findall(r"```python\n(.*?)```", text, re.S)
        self.assertEqual(len(blocks), 2)
        page = {}
        exec("\n".join(blocks).replace("/run/otpd/otpd.sock", server.path), page)
        self.addCleanup(page["client"].close)
        courier = otpd.Client(server.path)
        self.addCleanup(courier.close)
        courier.lease(1)
        cookie = b"a browser"
        challenge = page["ask"]("alice", "+33612345678", cookie)
        code = courier.push(5)["text"][:6]
        wrong = f"{(int(code) + 1) % 1_000_000:06d}"
        for typed in (wrong, "1" * 300):
            self.assertIn("Try again", page["log_in"]("alice", cookie, challenge, typed))
        self.assertEqual(page["log_in"]("alice", cookie, b"forged", code), "Start again.")
        for post in range(2):
            self.assertIsNone(page["log_in"]("alice", cookie, challenge, code, 1))
        kinds = []

        def handle(event):
            kinds.append(event["kind"])
            if event["kind"] == "grantRedeemed":
                raise InterruptedError
            return True
        with self.assertRaises(InterruptedError):
            page["follow"](None, handle)
        self.assertIn("codeVerified", kinds)


class Retries(unittest.TestCase):
    """A scripted server that loses answers: the same bytes come again."""

    def test_same_bytes_after_a_lost_connection(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "s")
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(path)
            listener.listen()
            listener.settimeout(10)
            bodies = []

            def frames(sock):
                buffer = b""
                while True:
                    found = wire.next_frame(buffer)
                    if found:
                        buffer = buffer[found[4]:]
                        yield found
                        continue
                    data = sock.recv(4096)
                    if not data:
                        return
                    buffer += data

            def serve():
                for connection in range(3):
                    sock, _ = listener.accept()
                    with sock:
                        for opcode, _, correlation, body, _ in frames(sock):
                            if opcode == wire.HELLO:
                                answer = wire.encode("Hello reply", {"version": 1, "engine_time_ms": 1_764_000_000_000})
                                sock.sendall(wire.frame(opcode, correlation, b"\0\0" + answer, wire.REPLY))
                                continue
                            bodies.append(body)
                            if connection < 2:
                                break
                            refusal = wire.encode("Refusal", {"status": 0x510, "attempts_left": 3})
                            sock.sendall(wire.frame(opcode, correlation, refusal, wire.REPLY))

            thread = threading.Thread(target=serve)
            thread.start()
            client = otpd.Client(path)
            with self.assertRaises(otpd.Refused) as caught:
                client.verify(bytes(16), SESSION, b"123456")
            client.close()
            thread.join(10)
            listener.close()
            self.assertEqual(caught.exception.attempts_left, 3)
            self.assertEqual(len(bodies), 3)
            self.assertEqual(len(set(bodies)), 1, "the same request id each time")
            self.assertEqual(int.from_bytes(bodies[0][:6], "big") // 1000, 1_764_000_000)


class Errors(unittest.TestCase):
    def test_fields_are_checked_before_anything_is_sent(self):
        client = otpd.Client("/nonexistent")
        for status, call in (
                ("challengeNotOpen", lambda: client.verify(b"short", SESSION, b"123456", request_id=bytes(16))),
                ("unsupportedField", lambda: client.verify(bytes(16), SESSION, b"123456", colour=b"red")),
                ("unsupportedField", lambda: otpd.Client("/nonexistent", retries=9))):
            with self.assertRaises(otpd.Refused) as caught:
                call()
            self.assertEqual(caught.exception.status, status)


if __name__ == "__main__":
    unittest.main()
