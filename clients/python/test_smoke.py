"""The client's encoding, against hand-worked bytes of PROTOCOL.md."""

import unittest

import otpd_client as otpd


class Encoding(unittest.TestCase):
    def test_frame(self):
        self.assertEqual(otpd.frame(2, 7, b"\0" * 8).hex(), "000000100002000000000007" + "00" * 8)

    def test_tags_skip_unknown_and_refuse_critical(self):
        self.assertEqual(otpd.tags(bytes.fromhex("01000161")), {1: b"a"})
        with self.assertRaises(ValueError):
            otpd.tags(bytes.fromhex("ff0000"))
        with self.assertRaises(ValueError):
            otpd.tags(bytes.fromhex("0200000100 00".replace(" ", "")))

    def test_refusal(self):
        refusal = otpd.Refused(bytes.fromhex("0420070 2ff00001388".replace(" ", "")))
        self.assertEqual((refusal.status, refusal.limit, refusal.retry_after_ms), ("limited", "accountUnverifiedHour", 5000))
        self.assertIsNone(refusal.attempts_left)


if __name__ == "__main__":
    unittest.main()
