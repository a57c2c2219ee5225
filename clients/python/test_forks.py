"""One client before a fork, many processes after it: none reads another's replies, none ends another's connection."""

import contextlib
import os
import threading
import time
import unittest
from unittest import mock

import otpd_client as otpd
import otpd_wire as wire
from children import Child
from fake_otpd import STALL, FakeOtpd, event


def sockets():
    """Descriptors of connections that this process has, by their inodes."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            link = os.readlink(f"/proc/self/fd/{name}")
            if link.startswith("socket:"):
                found[link] = int(name)
    return found


class Forks(unittest.TestCase):
    def setUp(self):
        self.script = lambda request: None
        self.server = FakeOtpd(lambda request: self.script(request))
        self.addCleanup(self.server.close)
        self.client = otpd.Client(self.server.path, timeout=2.0)
        self.addCleanup(self.client.close)

    def test_a_child_has_its_own_connection(self):
        before = sockets()
        self.client.ping()
        mine = [link for link in sockets() if link not in before]

        def child():
            # The server's end is in this process, too: two of these are this client's doing.
            kept = len([link for link in mine if link in sockets()])
            return self.client.ping(7)["token"], kept
        token, kept = Child(child).result()
        self.assertEqual(token, 7)
        self.assertEqual(self.server.accepted, 2)
        self.assertEqual((len(mine), kept), (2, 1), "the child closed its descriptor of the client's end at once")
        self.client.ping()
        self.assertEqual(self.server.accepted, 2, "the parent's was not shut down")

    def test_without_the_hook(self):
        self.client.ping()
        with mock.patch.object(otpd, "_clients", set()):
            self.assertEqual(Child(lambda: self.client.ping(7)["token"]).result(), 7)
        self.assertEqual(self.server.accepted, 2)
        self.client.ping()
        self.assertEqual(self.server.accepted, 2)

    def test_no_reply_is_crossed(self):
        self.client.ping()
        go = time.monotonic() + 0.2

        def work(process):
            time.sleep(max(0, go - time.monotonic()))
            tokens = [process << 32 | n for n in range(150)]
            return [token for token in tokens if self.client.ping(token)["token"] != token]
        children = [Child(lambda process=process: work(process)) for process in range(1, 5)]
        self.assertEqual(work(0), [])
        for child in children:
            self.assertEqual(child.result(), [])
        self.assertEqual(self.server.accepted, 5)

    def test_a_fork_in_the_midst_of_calls(self):
        self.script = lambda request: STALL if request.opcode == wire.STATS else None
        self.client.subscribe()
        stalled = threading.Thread(target=lambda: self.assertRaises(otpd.Unknown, self.client.stats))
        stalled.start()
        while not self.server.of(wire.STATS):
            time.sleep(0.01)
        mine, held, done = self.client._mine(), threading.Event(), threading.Event()

        def hold():
            with mine.pool._room, mine.flow_lock:
                held.set()
                done.wait()
        holder = threading.Thread(target=hold)
        holder.start()
        held.wait()

        def child():
            self.client.lease(1)
            return self.client.ping(7)["token"]
        try:
            self.assertEqual(Child(child, seconds=1.5).result(), 7)
        finally:
            done.set()
            holder.join()
            stalled.join()

    def test_a_subscription_stays_with_its_process(self):
        self.client.subscribe()

        def child():
            try:
                self.client.push(0.1)
            except otpd.Closed as closed:
                return closed.reason
        self.assertEqual(Child(child).result(), "notBegun")
        self.server.send(event(1))
        self.assertEqual(self.client.push(1)["cursor"], (1, 1, 0))

    def test_a_subscription_leaves_no_descriptor(self):
        before = sockets()
        self.client.subscribe()
        mine = [link for link in sockets() if link not in before]
        self.assertEqual(len(mine), 2)
        self.assertEqual(Child(lambda: len([link for link in mine if link in sockets()])).result(), 1)

    def test_engine_time_goes_along(self):
        parents = int.from_bytes(self.client.request_id()[:6], "big")
        childs = Child(lambda: self.client.request_id()).result()
        self.assertLess(abs(int.from_bytes(childs[:6], "big") - parents), 5000)
        self.assertNotEqual(childs[6:], self.client.request_id()[6:])

    def test_children_of_children(self):
        self.client.ping()

        def child():
            self.client.ping()
            return Child(lambda: self.client.ping(9)["token"]).result()
        self.assertEqual(Child(child).result(), 9)
        self.assertEqual(self.server.accepted, 3)


if __name__ == "__main__":
    unittest.main()
