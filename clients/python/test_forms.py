"""Request ids of browser forms: the vectors, and a form posted twice, in two processes, to a running otpd."""

import ipaddress
import os
import threading
import unittest

import otpd_client as otpd
from children import Child
from test_vectors import ROOT, Server, read

SESSION = bytes(range(1, 33))
KEYS = {"name", "session", "challenge", "generation", "code", "client_ip", "grant", "id"}


class Vectors(unittest.TestCase):
    def blocks(self):
        block = {}
        for key, value in read(ROOT / "Tests/Vectors/form-request-ids.txt") + [("", "")]:
            if key:
                self.assertIn(key, KEYS, "a key that this runner doesn't know")
                block[key] = value if key in ("name", "generation") else bytes.fromhex(value)
            elif block:
                yield block
                block = {}

    def test_all(self):
        count = 0
        for block in self.blocks():
            with self.subTest(block["name"]):
                count += 1
                if "grant" in block:
                    made = otpd.form_request_id_for_grant(block["grant"], block["session"])
                    self.assertEqual(made, block["id"])
                    continue
                number, code, address = int(block["generation"]), block["code"], block["client_ip"]
                fixed = block["challenge"], block["session"]
                self.assertEqual(otpd.form_request_id(*fixed, code, address, number), block["id"])
                written = str(ipaddress.ip_address(address)) if address else None
                if "ends like" not in block["name"]:
                    self.assertEqual(otpd.form_request_id(*fixed, code.decode(), written, number), block["id"])
        self.assertGreater(count, 12)


@unittest.skipUnless(os.environ.get("OTPD") or (ROOT / ".build/debug/otpd").exists(), "otpd isn't built")
class TwoPosts(unittest.TestCase):
    """One client, made before the fork, as `gunicorn --preload` has it; each post in a worker of its own."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.phones = iter(range(33_612_000_000, 33_613_000_000))

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def setUp(self):
        self.client = otpd.Client(self.server.path)
        self.addCleanup(self.client.close)
        courier = otpd.Client(self.server.path)
        self.addCleanup(courier.close)
        courier.lease(4)
        phone = f"+{next(self.phones)}"
        self.account = f"zoé {phone}"
        self.challenge = self.client.request_code(self.account, phone, SESSION)["challenge"]
        message = courier.push(5)
        courier.report(message, otpd.SUBMITTED)
        self.code = message["text"][:6]
        self.wrong = f"{(int(self.code) + 1) % 1_000_000:06d}"

    def post(self, code, generation=0):
        """What a web tier does with the form."""
        number = otpd.form_request_id(self.challenge, SESSION, code, "192.0.2.7", generation)
        try:
            verified = self.client.verify(self.challenge, SESSION, code, number, client_ip="192.0.2.7")
        except otpd.Refused as no:
            return no.status, no.attempts_left
        number = otpd.form_request_id_for_grant(verified["grant"], SESSION)
        redeemed = self.client.redeem_grant(verified["grant"], 1, self.account, SESSION, number)
        return verified["grant"], redeemed["challenge"], redeemed["repeated"]

    def both(self, code):
        children = [Child(lambda: self.post(code)) for _ in range(2)]
        return [child.result() for child in children]

    def test_the_right_code_twice(self):
        first, second = self.both(self.code)
        self.assertEqual(first[:2], second[:2], "the same grant")
        self.assertEqual(first[1], self.challenge)
        self.assertEqual({first[2], second[2]}, {False, True}, "one of them is told that it acted")
        self.assertEqual(self.client.status(self.challenge, SESSION)["attempts_left"], 5)

    def test_a_wrong_code_twice_costs_one_attempt(self):
        self.assertEqual(self.both(self.wrong), [("wrongCode", 4)] * 2)
        self.assertEqual(self.post(self.wrong, generation=1), ("wrongCode", 3), "the form shown anew")
        self.assertEqual(self.client.status(self.challenge, SESSION)["attempts_left"], 3)

    def test_in_two_threads(self):
        said = []
        threads = [threading.Thread(target=lambda: said.append(self.post(self.code))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(said[0][:2], said[1][:2])


if __name__ == "__main__":
    unittest.main()
