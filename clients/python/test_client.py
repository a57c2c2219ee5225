"""The client against a scripted server: replies that aren't its own, lost ones, stalls, restarts, cut flows, odd arguments.

`test_planted.py` runs tests of this file against clients with a planted fault: each must fail there.
"""

import contextlib
import os
import random
import signal
import socket
import threading
import time
import unittest
from unittest import mock

import otpd_client as otpd
import otpd_wire as wire
from fake_otpd import CLOSE, ENGINE_TIME, STALL, FakeOtpd, event, goodbye
from test_vectors import ROOT

SESSION = bytes(range(1, 33))
CHALLENGE = bytes(range(16))


class Scripted(unittest.TestCase):
    """Each test makes its server by `serve` and its client by `client`."""

    def serve(self, answer=None, **named):
        self.server = FakeOtpd(answer, **named)
        self.addCleanup(self.server.close)
        return self.server

    def client(self, timeout=2.0, **named):
        client = otpd.Client(self.server.path, timeout=timeout, **named)
        self.addCleanup(client.close)
        return client

    def raises(self, kind, call, *arguments, **named):
        with self.assertRaises(kind) as caught:
            call(*arguments, **named)
        return caught.exception


def only(opcode, *answers):
    """A script: the nth request with this opcode gets the nth answer, later ones the last; everything else passes."""
    count = iter(range(1 << 30))

    def answer(request):
        if request.opcode != opcode:
            return None
        said = answers[min(next(count), len(answers) - 1)]
        return said(request) if callable(said) else said
    return answer


def refused(status, *arguments, **named):
    return lambda request: request.refused(status, *arguments, **named)


class OwnReplies(Scripted):
    """A1: a reply is taken by correlation and opcode, from a connection of the call's own."""

    def test_crossed_correlation(self):
        def crossed(request):
            request.correlation ^= 1
            return request.done(grant=b"\x66" * 32)
        self.serve(only(wire.VERIFY, crossed))
        unknown = self.raises(otpd.Unknown, self.client().verify, CHALLENGE, SESSION, "123456")
        self.assertTrue(unknown.may_have_acted)
        self.assertEqual([r.connection for r in self.server.of(wire.VERIFY)], [0, 1, 2, 3], "each on a new connection")

    def test_crossed_opcode(self):
        def crossed(request):
            body = b"\0\0" + wire.encode("Verify reply", {"grant": b"\x66" * 32})
            return wire.frame(wire.CHECK_GRANT, request.correlation, body, wire.REPLY)
        self.serve(only(wire.VERIFY, crossed, lambda request: request.done(grant=b"\x77" * 32)))
        self.assertEqual(self.client().verify(CHALLENGE, SESSION, "123456")["grant"], b"\x77" * 32)
        self.assertEqual(self.server.accepted, 2)

    def test_an_echoed_request_is_no_reply(self):
        def echo(request):
            body = b"\0\0" + wire.encode("Verify reply", {"grant": b"\x66" * 32})
            return wire.frame(request.opcode, request.correlation, body, wire.REQUEST)
        self.serve(only(wire.VERIFY, echo))
        self.raises(otpd.Unknown, self.client(retries=0).verify, CHALLENGE, SESSION, "123456")

    def test_a_late_reply_finds_nobody(self):
        def late(request):
            if request.opcode == wire.VERIFY and request.fields()["code"] == b"111111":
                return [0.4, request.done(grant=b"\x66" * 32)]
        self.serve(late)
        client = self.client(timeout=0.2, retries=0)
        self.raises(otpd.Unknown, client.verify, CHALLENGE, SESSION, "111111")
        time.sleep(0.4)
        self.assertNotEqual(client.verify(CHALLENGE, SESSION, "222222")["grant"], b"\x66" * 32)

    def test_an_interrupted_call_gives_no_connection_back(self):
        self.serve(lambda request: [0.2, None] if request.opcode == wire.PING and request.body[-1] == 1 else None)
        client = self.client(retries=0)

        def interrupt(*_):
            raise InterruptedCall
        former = signal.signal(signal.SIGALRM, interrupt)
        self.addCleanup(signal.signal, signal.SIGALRM, former)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        self.raises(InterruptedCall, client.ping, 1)
        self.assertEqual(client.ping(2)["token"], 2)
        self.assertEqual(self.server.accepted, 2)

    def test_eight_threads(self):
        self.serve(lambda request: request.done(grant=request.body[-6:] + bytes(26))
                   if request.opcode == wire.VERIFY else None)
        client, wrong = self.client(connections=3, retries=0), []

        def work(thread):
            for n in range(60):
                token = thread << 32 | n
                code = b"%06d" % (thread * 1000 + n)
                if client.ping(token)["token"] != token:
                    wrong.append(token)
                if client.verify(CHALLENGE, SESSION, code)["grant"][:6] != code:
                    wrong.append(code)
        run_threads(8, work, wrong)
        self.assertEqual(wrong, [])
        self.assertLessEqual(self.server.accepted, 3, "the pool's bound")

    def test_a_stalled_call_holds_up_no_other(self):
        self.serve(lambda request: STALL if request.opcode == wire.VERIFY else None)
        client = self.client(timeout=1.0)
        stalled = threading.Thread(target=lambda: self.raises(otpd.Unknown, client.verify, CHALLENGE, SESSION, "1" * 6))
        stalled.start()
        while not self.server.of(wire.VERIFY):
            time.sleep(0.01)
        begun = time.monotonic()
        client.ping()
        self.assertLess(time.monotonic() - begun, 0.3)
        stalled.join()

    def test_pushes_that_nobody_asked_for(self):
        self.serve(only(wire.PING, lambda request: [wire.frame(0x7777, 0, b"new", wire.PUSH), None]))
        client = self.client()
        for token in range(3):
            self.assertEqual(client.ping(token)["token"], token)
        self.assertEqual(self.server.accepted, 1)
        self.assertEqual([len(connection.pushes) for connection in client._mine().pool._idle], [0])

    def test_all_connections_busy(self):
        self.serve(only(wire.VERIFY, STALL))
        client = self.client(timeout=0.6, connections=1)
        threading.Thread(target=lambda: self.raises(otpd.Unknown, client.verify, CHALLENGE, SESSION, "1" * 6)).start()
        while not self.server.of(wire.VERIFY):
            time.sleep(0.01)
        client.timeout = 0.2
        self.assertFalse(self.raises(otpd.Unknown, client.ping).may_have_acted)


class InterruptedCall(BaseException):
    pass


def run_threads(count, work, wrong):
    def guarded(thread):
        try:
            work(thread)
        except BaseException as error:
            wrong.append(error)
    threads = [threading.Thread(target=guarded, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Outcomes(Scripted):
    """A2: what a caller is told after tries whose outcome isn't known."""

    def verify(self, client=None):
        return (client or self.client()).verify(CHALLENGE, SESSION, "123456")

    def test_lost_then_refused_before_the_id(self):
        for refusal in (refused("draining"), refused("overloaded"), refused("notPermitted"), refused("quarantined"),
                        refused("requestTooOld"), refused("limited", "requestRate"), refused("of a later version"),
                        goodbye("notPermitted")):
            self.serve(only(wire.VERIFY, CLOSE, refusal))
            self.assertTrue(self.raises(otpd.Unknown, self.verify).may_have_acted)

    def test_lost_then_not_welcome(self):
        self.serve(lambda request: CLOSE if request.opcode == wire.VERIFY else goodbye("notPermitted")
                   if request.connection else None)
        self.raises(otpd.Unknown, self.verify)

    def test_lost_then_decided(self):
        self.serve(only(wire.VERIFY, CLOSE, refused("wrongCode", attempts_left=3)))
        refusal = self.raises(otpd.Refused, self.verify)
        self.assertEqual((refusal.status, refusal.attempts_left), ("wrongCode", 3))
        bodies = [request.body for request in self.server.of(wire.VERIFY)]
        self.assertEqual(len(bodies), 2)
        self.assertEqual(bodies[0], bodies[1], "the same request id")

    def test_refused_at_once(self):
        for status in ("overloaded", "notPermitted", "limited", "quarantined", "0x7777"):
            self.serve(only(wire.VERIFY, refused(status)))
            self.assertEqual(self.raises(otpd.Refused, self.verify).status, status)
            self.assertEqual(len(self.server.requests), 1)

    def test_draining_is_tried_elsewhere(self):
        self.serve(only(wire.VERIFY, refused("draining"), lambda request: request.done(grant=b"\x77" * 32)))
        self.assertEqual(self.verify()["grant"], b"\x77" * 32)
        self.assertEqual(self.server.accepted, 2)

    def test_always_draining(self):
        self.serve(only(wire.VERIFY, refused("draining")))
        self.assertEqual(self.raises(otpd.Refused, self.verify).status, "draining")

    def test_four_unknowns(self):
        self.serve(only(wire.VERIFY, refused("unknown")))
        self.assertTrue(self.raises(otpd.Unknown, self.verify).may_have_acted)
        self.assertEqual(len({request.body for request in self.server.of(wire.VERIFY)}), 1)
        self.assertEqual(len(self.server.requests), 4)

    def test_drain_is_sent_once(self):
        self.serve(only(wire.DRAIN, CLOSE))
        self.raises(otpd.Unknown, self.client().drain)
        self.assertEqual(len(self.server.requests), 1)

    def test_half_replies(self):
        def half(request):
            return [request.done(grant=b"\x66" * 32)[:20], CLOSE]

        def in_bytes(request):
            frame = request.done(grant=b"\x77" * 32)
            return [frame[n:n + 1] for n in range(len(frame))]
        self.serve(only(wire.VERIFY, half, in_bytes))
        self.assertEqual(self.verify()["grant"], b"\x77" * 32)

    def test_bytes_that_are_no_reply(self):
        for body in (b"", b"\0", b"\0\0short", b"\x05"):
            self.serve(only(wire.VERIFY, lambda request: wire.frame(request.opcode, request.correlation, body, 1)))
            self.raises(otpd.Unknown, self.verify, self.client(retries=1))
        for frame in (b"\xff" * 16, b"\0\0\0\x08\0\0\0\x09\0\0\0\0"):
            self.serve(only(wire.VERIFY, frame))
            self.raises(otpd.Unknown, self.verify, self.client(retries=1))

    def test_repeated(self):
        self.serve(only(wire.VERIFY, lambda r: r.done(repeated=1), lambda r: r.done(repeated=0), lambda r: r.done()))
        client = self.client()
        self.assertEqual([self.verify(client)["repeated"] for _ in range(3)], [True, False, False])


class Deadlines(Scripted):
    """A2: one deadline for a call, over its waiting, connecting and tries."""

    def lasts(self, seconds, call, *arguments):
        begun = time.monotonic()
        unknown = self.raises(otpd.Unknown, call, *arguments)
        self.assertLess(time.monotonic() - begun, seconds + 0.25)
        return unknown

    def test_a_stopped_server(self):
        self.serve(only(wire.PING, STALL))
        self.assertTrue(self.lasts(0.4, self.client(timeout=0.4).ping).may_have_acted)

    def test_stops_before_hello(self):
        self.serve(lambda request: STALL)
        self.assertFalse(self.lasts(0.4, self.client(timeout=0.4).ping).may_have_acted)

    def test_a_reply_in_drops(self):
        def drops(request):
            reply = request.done()
            return [part for n in range(0, len(reply), 4) for part in (0.1, reply[n:n + 4])]
        self.serve(only(wire.PING, drops))
        self.lasts(0.4, self.client(timeout=0.4).ping)

    def test_nobody_accepts(self):
        with socket.socket(socket.AF_UNIX) as listener:
            self.serve()
            path = self.server.path + "-full"
            listener.bind(path)
            listener.listen(0)
            fillers = [socket.socket(socket.AF_UNIX) for _ in range(4)]
            for filler in fillers:
                self.addCleanup(filler.close)
                filler.setblocking(False)
                filler.connect_ex(path)
            self.assertFalse(self.lasts(0.3, otpd.Client(path, timeout=0.3).ping).may_have_acted)

    def test_a_late_loss_then_a_stall(self):
        self.serve(only(wire.PING, [0.5, CLOSE], STALL))
        self.lasts(0.6, self.client(timeout=0.6).ping)


class Restarts(Scripted):
    def test_a_restart_costs_no_call(self):
        self.serve()
        client = self.client(timeout=3.0)
        client.ping()
        for _ in range(3):
            self.server.stop()
            threading.Timer(0.3, self.server.restart).start()
            self.assertEqual(client.ping(5)["token"], 5)

    def test_dead_idle_connections_cost_no_try(self):
        self.serve()
        client = self.client(retries=0)
        client.ping()
        self.server.hang_up()
        client.ping()
        self.assertEqual(self.server.accepted, 2)

    def test_a_server_that_never_was_isnt_waited_for(self):
        begun = time.monotonic()
        unknown = self.raises(otpd.Unknown, otpd.Client("/nonexistent/otpd.sock").ping)
        self.assertFalse(unknown.may_have_acted)
        self.assertLess(time.monotonic() - begun, 1.5)


class EngineTime(Scripted):
    """A2: request ids carry engine time, however long the machine slept."""

    def setUp(self):
        self.now = 50_000.0
        self.skew = 0
        self.serve(engine_time=lambda: ENGINE_TIME + int((self.now - 50_000) * 1000) + self.skew)
        self.clock_client = self.client(clock=lambda: self.now)

    def sent_time(self):
        self.clock_client.verify(CHALLENGE, SESSION, "123456")
        return int.from_bytes(self.server.of(wire.VERIFY)[-1].body[:6], "big")

    def test_counted(self):
        self.assertEqual(self.sent_time(), ENGINE_TIME)
        self.now += 100
        self.assertEqual(self.sent_time(), ENGINE_TIME + 100_000)
        self.assertEqual(self.server.of(wire.PING), [])

    def test_renewed(self):
        self.sent_time()
        self.now += 121
        self.skew = 7_000_000
        self.assertEqual(self.sent_time(), ENGINE_TIME + 121_000 + self.skew)
        self.assertEqual(len(self.server.of(wire.PING)), 1)
        self.skew += 1_000_000
        self.assertEqual(self.sent_time(), ENGINE_TIME + 121_000 + 7_000_000, "not again at once")

    def test_a_night_asleep(self):
        self.sent_time()
        self.now += 8 * 3600
        self.assertEqual(self.sent_time(), ENGINE_TIME + 8 * 3600_000)
        self.assertEqual(int.from_bytes(self.clock_client.request_id()[:6], "big"), ENGINE_TIME + 8 * 3600_000)

    def test_another_server(self):
        self.sent_time()
        self.skew = 5_000_000
        self.server.hang_up()
        self.assertEqual(self.sent_time(), ENGINE_TIME + self.skew)

    def test_the_clock_runs_in_suspend(self):
        with mock.patch("time.clock_gettime", side_effect=lambda clock: 77.0 if clock == time.CLOCK_BOOTTIME else 0.0):
            client = otpd.Client(self.server.path)
            self.addCleanup(client.close)
            client.connect()
            self.assertEqual(client._clock._seconds(), 77.0)


class Flows(Scripted):
    """A2: a subscription or lease that ends is told."""

    def begun(self, **named):
        client = self.client(**named)
        client.subscribe()
        return client

    def test_what_came_then_the_end(self):
        self.serve()
        client = self.begun()
        self.server.send(event(1) + wire.frame(0x7777, 0, b"new", wire.PUSH) + event(2))
        self.server.hang_up()
        self.assertEqual([client.push(1)["cursor"] for _ in range(2)], [(1, 1, 0), (1, 2, 0)])
        self.assertEqual(self.raises(otpd.Closed, client.push, 1).reason, "connectionLost")
        self.assertEqual(self.raises(otpd.Closed, client.push, 1).reason, "notBegun")
        self.assertEqual(self.raises(otpd.Closed, client.acknowledge, (1, 2, 0), 2).reason, "notBegun")
        client.subscribe(otpd.AFTER_CURSOR, (1, 2, 0))
        self.server.send(event(3))
        self.assertEqual(client.push(1)["cursor"], (1, 3, 0))

    def test_the_reason_is_told(self):
        self.serve()
        client = self.begun()
        self.server.send(goodbye("eventsGone"))
        self.assertEqual(self.raises(otpd.Closed, client.push, 1).reason, "eventsGone")

    def test_acknowledge_on_a_cut_flow(self):
        self.serve()
        client = self.begun()
        self.server.hang_up()
        self.assertEqual(self.raises(otpd.Closed, client.acknowledge, (1, 1, 0), 1).reason, "connectionLost")

    def test_a_lease_doesnt_hide_a_cut(self):
        self.serve()
        client = self.begun()
        client.lease(4)
        self.assertEqual(self.server.accepted, 1, "one flow")
        self.server.hang_up()
        self.raises(otpd.Closed, client.lease, 4)
        client.lease(4)
        self.assertIsNone(client.push(0.05))

    def test_a_refused_subscription_can_begin_again(self):
        self.serve(only(wire.SUBSCRIBE, refused("cursorGone"), None))
        client = self.client()
        self.assertEqual(self.raises(otpd.Refused, client.subscribe, otpd.AFTER_CURSOR, (1, 1, 1)).status, "cursorGone")
        self.assertEqual(client.subscribe(otpd.OLDEST), (0, 0, 0))

    def test_a_push_that_isnt_one(self):
        self.serve()
        client = self.begun()
        self.server.send(wire.frame(wire.EVENT, 0, b"short", wire.PUSH))
        self.raises(otpd.Closed, client.push, 1)

    def test_pushes_during_a_request(self):
        self.serve(lambda request: [event(1), None] if request.opcode == wire.ACKNOWLEDGE else None)
        client = self.begun()
        got = []
        reader = threading.Thread(target=lambda: got.append(client.push(2)))
        reader.start()
        client.acknowledge((1, 0, 0), 1)
        reader.join()
        self.assertEqual(got[0]["cursor"], (1, 1, 0))

    def test_calls_go_on_beside_a_waiting_push(self):
        self.serve()
        client = self.begun()
        reader = threading.Thread(target=client.push, args=(0.6,))
        reader.start()
        begun = time.monotonic()
        client.ping()
        client.acknowledge((1, 0, 0), 1)
        self.assertLess(time.monotonic() - begun, 0.4)
        reader.join()


class OnlyThree(Scripted):
    """A2: nothing but Refused, Unknown and Closed is raised."""

    def test_a_shoppers_long_code(self):
        self.serve()
        for code in ("1" * 300, b"1" * 300, "1" * 70_000, "\ud800", ["123456"], 123456):
            refusal = self.raises(otpd.Refused, self.client().verify, CHALLENGE, SESSION, code)
            self.assertEqual((refusal.status, refusal.neutral), ("invalidCode", "tryAgain"))
        self.assertEqual(self.server.requests, [], "nothing was sent")

    def test_odd_arguments(self):
        self.serve()
        client = self.client()
        verify, ask = client.verify, client.request_code
        table = [
            ("challengeNotOpen", verify, b"short", SESSION, "123456"),
            ("challengeNotOpen", verify, "00" * 8, SESSION, "123456"),
            ("invalidSession", verify, CHALLENGE, "cookie", "123456"),
            ("invalidSession", verify, CHALLENGE, b"", "123456"),
            ("unsupportedField", verify, CHALLENGE, SESSION, "123456", b"short id"),
            ("invalidAccount", ask, "a" * 300, "+33612345678", SESSION),
            ("invalidAccount", ask, 7, "+33612345678", SESSION),
            ("invalidPhone", ask, "a", "+" + "3" * 300, SESSION),
            ("invalidPhone", ask, "a", 33612345678, SESSION),
            ("unsupportedField", ask, "a", "+33612345678", SESSION, "login"),
            ("unsupportedField", ask, "a", "+33612345678", SESSION, 70_000),
            ("unsupportedField", ask, "a", "+33612345678", SESSION, -1),
            ("grantInvalid", client.redeem_grant, b"grant", 1, "a", SESSION),
            ("grantInvalid", client.check_grant, "g" * 32, 1, "a", SESSION),
            ("unsupportedField", client.ping, "token"), ("unsupportedField", client.ping, 1 << 64),
            ("unsupportedField", client.report, {}, 1), ("unsupportedField", client.report, None, 1),
            ("unsupportedField", client.subscribe, otpd.NOW, (1, 2)), ("unsupportedField", client.subscribe, otpd.NOW, 7),
            ("unsupportedField", client.push, "soon"), ("unsupportedField", client.push, float("nan")),
            ("unsupportedOperation", client.call, 0x7777, {}), ("unsupportedField", client.call, None, {}),
            ("unsupportedField", client.call, wire.PING, None), ("unsupportedField", client.call, wire.PING, {"colour": 1}),
            ("unsupportedField", otpd.Client, None), ("unsupportedField", otpd.Client, "s", -1),
            ("unsupportedField", otpd.Client, "s", 0, "verify"), ("unsupportedField", otpd.Client, "s", 0, 0, 0),
            ("unsupportedField", otpd.Client, "s", 0, 0, float("nan")), ("unsupportedField", otpd.Client, "s", 0, 0, 5, 9),
            ("unsupportedField", otpd.Client, "s", 0, 0, 5, 3, "n" * 65), ("unsupportedField", otpd.Client, "s", 0, 0, 5, 3, "n", 0),
            ("challengeNotOpen", otpd.form_request_id, b"short", SESSION, "123456"),
            ("invalidSession", otpd.form_request_id, CHALLENGE, b"short", "123456"),
            ("invalidCode", otpd.form_request_id, CHALLENGE, SESSION, 123456),
            ("unsupportedField", otpd.form_request_id, CHALLENGE, SESSION, "123456", "not an address"),
            ("unsupportedField", otpd.form_request_id, CHALLENGE, SESSION, "123456", None, -1),
            ("grantInvalid", otpd.form_request_id_for_grant, b"short", SESSION),
        ]
        for status, call, *arguments in table:
            with self.subTest(call=getattr(call, "__name__", call), arguments=arguments):
                self.assertEqual(self.raises(otpd.Refused, call, *arguments).status, status)
        for optional in ({"client_ip": "300.1.1.1"}, {"locale": "d" * 36}, {"colour": "red"}, {"channel": "sms"}):
            self.assertEqual(self.raises(otpd.Refused, ask, "a", "+33612345678", SESSION, **optional).status,
                             "unsupportedField")
        self.assertEqual(self.server.requests, [], "nothing was sent")

    def test_places_without_a_server(self):
        self.serve()
        file = self.server.path + "-file"
        open(file, "w").close()
        for path in ("/nonexistent/s", file, self.server.folder, "/tmp/" + "x" * 200, "nul\0", b"/nonexistent/s", "\ud800"):
            with self.subTest(path=path):
                self.assertFalse(self.raises(otpd.Unknown, otpd.Client(path, retries=0).ping).may_have_acted)
                self.raises(otpd.Unknown, otpd.Client(path, retries=0).subscribe)
                self.raises(otpd.Unknown, otpd.Client(path, retries=0).request_id)

    def test_a_server_that_doesnt_want_us(self):
        for said, reason in ((goodbye("notPermitted"), "notPermitted"),
                             (lambda request: request.refused("unsupportedField"), "unsupportedField")):
            self.serve(lambda request: said(request) if callable(said) else said)
            for call in (self.client().ping, self.client().subscribe, self.client().connect):
                self.assertEqual(self.raises(otpd.Closed, call).reason, reason)

    def test_statistics_that_arent(self):
        self.serve(only(wire.STATS, lambda request: request.done(lines=b"what\xff is this\n")))
        self.raises(otpd.Unknown, self.client().stats)

    def test_whatever_a_server_says(self):
        seed = int.from_bytes(os.urandom(4), "big")
        rng = random.Random(seed)

        def damaged(request):
            data = bytearray(rng.choice([
                request.done(), request.refused("wrongCode"), event(1), goodbye("eventsGone"), rng.randbytes(40)]))
            for _ in range(rng.randrange(3)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            return [bytes(data[:rng.randrange(len(data) + 1)]) if rng.randrange(2) else bytes(data), CLOSE]
        self.serve(lambda request: damaged(request) if request.opcode not in (wire.HELLO, wire.SUBSCRIBE)
                   or rng.randrange(4) == 0 else None)
        client = self.client(retries=0, timeout=0.5)
        calls = [client.ping, client.stats, client.subscribe, lambda: client.push(0.05), client.drain,
                 lambda: client.verify(CHALLENGE, SESSION, "123456"), lambda: client.acknowledge((1, 1, 1), 1)]
        for n in range(300):
            with self.subTest(seed=seed, n=n), contextlib.suppress(otpd.Refused, otpd.Unknown, otpd.Closed):
                rng.choice(calls)()

    def test_they_come_whole_out_of_another_process(self):
        self.serve(only(wire.VERIFY, refused("limited", "phoneVerifyMinute", 3)))
        for error in (self.raises(otpd.Refused, self.client().verify, CHALLENGE, SESSION, "123456"),
                      otpd.Unknown("why", may_have_acted=False), otpd.Closed("notPermitted", "no such tenant")):
            # By name: a planted fault's classes aren't those that pickle finds.
            again = type(error)(*error.args)
            self.assertEqual((str(again), vars(again)), (str(error), vars(error)))

    def test_no_descriptors_left(self):
        self.serve()
        client = self.client(retries=0)
        with mock.patch("socket.socket", side_effect=OSError(24, "Too many open files")):
            self.assertFalse(self.raises(otpd.Unknown, client.ping).may_have_acted)
        client.ping()

    def test_a_missing_permission_says_what_to_do(self):
        self.serve()
        with mock.patch("socket.socket.connect", side_effect=PermissionError(13, "Permission denied")):
            error = self.raises(otpd.Unknown, self.client(retries=0).ping)
        self.assertIn(": Permission denied; this user must be a member of the `group`", str(error))


class Texts(Scripted):
    def test_str_and_bytes_are_the_same(self):
        self.serve()
        client, identity = self.client(), bytes(16)
        bodies = []
        for kind in (str, str.encode):
            client.request_code(kind("zoé@example.com"), kind("+33612345678"), SESSION, request_id=b"\1" * 16,
                                locale=kind("pt-BR"), web_host=kind("shop.example"), client_ip="192.0.2.7")
            client.verify(CHALLENGE, SESSION, kind("123456"), request_id=b"\2" * 16, client_ip="2001:db8::7")
            client.redeem_grant(bytes(32), 1, kind("zoé@example.com"), SESSION, request_id=b"\3" * 16)
            bodies.append([request.body for request in self.server.requests[-3:]])
        self.assertEqual(*bodies)
        self.assertIn("zoé@example.com".encode(), bodies[0][0])
        self.assertIn(bytes([192, 0, 2, 7]), bodies[0][0])
        self.assertNotEqual(identity, bodies[0][0][:16])

    def test_an_address_left_empty(self):
        self.serve()
        self.client().verify(CHALLENGE, SESSION, "123456", client_ip="")
        self.assertNotIn("client_ip", self.server.requests[0].fields())

    def test_no_code_at_all(self):
        self.serve()
        self.client().verify(CHALLENGE, SESSION, None)
        self.assertEqual(self.server.requests[0].fields()["code"], b"")


class Tables(unittest.TestCase):
    def test_statuses_are_those_of_the_document(self):
        rows = {}
        for line in (ROOT / "Sources/Wire/PROTOCOL.md").read_text().splitlines():
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if line.startswith("| 0x") and len(cells) == 5 and cells[2] in ("yes", "no"):
                rows[cells[1]] = (int(cells[0], 16), cells[2] == "yes", cells[3])
        self.assertGreater(len(rows), 20)
        self.assertEqual({name: number for number, name in wire.STATUSES.items()},
                         {name: row[0] for name, row in rows.items()})
        self.assertEqual(wire.RETRYABLE, {name for name, row in rows.items() if row[1]})
        for name, neutral in wire.NEUTRAL_HERE.items():
            self.assertEqual(rows[name][2], neutral, name)


if __name__ == "__main__":
    unittest.main()
