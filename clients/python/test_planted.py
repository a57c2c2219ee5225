"""Faults planted in the client, one at a time: the test named beside each must fail with it, or it proves nothing.

A row: what is broken, the client's text and what takes its place, and the test that catches it. The text must be there
exactly once: who changes such a line plants its fault anew.
"""

import importlib
import io
import sys
import types
import unittest
from unittest import mock

from test_vectors import ROOT

FAULTS = [
    ("a child goes on with its parent's connections",
     "        pid = os.getpid()\n        mine = self._processes.get(pid)",
     "        pid = next(iter(self._processes), os.getpid())\n        mine = self._processes.get(pid)",
     "test_forks.Forks.test_a_child_has_its_own_connection"),
    ("a child that was forked behind Python's back goes on with its parent's connections",
     "        pid = os.getpid()\n        mine = self._processes.get(pid)",
     "        pid = next(iter(self._processes), os.getpid())\n        mine = self._processes.get(pid)",
     "test_forks.Forks.test_without_the_hook"),
    ("a child shuts its parent's connection down",
     "            self._socket.close()\n        self._socket = None",
     "            self._socket.shutdown(socket.SHUT_RDWR)\n            self._socket.close()\n        self._socket = None",
     "test_forks.Forks.test_a_child_has_its_own_connection"),
    ("a child keeps its parent's descriptors open",
     "                inherited.forget()\n", "                _kept.append(inherited)\n",
     "test_forks.Forks.test_a_child_has_its_own_connection"),
    ("a child keeps the descriptor of its parent's subscription",
     "        self.flow_pool.forget()\n", "        _kept.append(self.flow_pool)\n",
     "test_forks.Forks.test_a_subscription_leaves_no_descriptor"),
    ("a child waits for a lock whose holder it doesn't have",
     "        for connection in [*self._idle, *self._lent]:\n            connection.close()",
     "        with self._room:\n            for connection in [*self._idle, *self._lent]:\n                connection.close()",
     "test_forks.Forks.test_a_fork_in_the_midst_of_calls"),
    ("the correlation isn't looked at",
     "return frame[:3] == (opcode, wire.REPLY, correlation)", "return frame[:2] == (opcode, wire.REPLY)",
     "test_client.OwnReplies.test_crossed_correlation"),
    ("the opcode isn't looked at",
     "return frame[:3] == (opcode, wire.REPLY, correlation)", "return frame[1:3] == (wire.REPLY, correlation)",
     "test_client.OwnReplies.test_crossed_opcode"),
    ("a request that comes back passes for a reply",
     "return frame[:3] == (opcode, wire.REPLY, correlation)", "return frame[::2][:2] == (opcode, correlation)",
     "test_client.OwnReplies.test_an_echoed_request_is_no_reply"),
    ("a reply that isn't one's own is skipped",
     '                raise _Lost("a reply to another request")', "                continue",
     "test_client.OwnReplies.test_crossed_opcode"),
    ("a connection is kept after a call that was interrupted",
     "        good = False\n        try:\n            reply = connection.exchange(opcode, body, deadline)\n"
     "            good = True\n            #",
     "        good = True\n        try:\n            reply = connection.exchange(opcode, body, deadline)\n"
     "            #",
     "test_client.OwnReplies.test_an_interrupted_call_gives_no_connection_back"),
    ("threads share a connection without waiting for it",
     "            while self._taken >= self._bound:",
     "            if self._taken >= self._bound and self._lent:\n                self._taken += 1\n"
     "                return next(iter(self._lent))\n            while self._taken >= self._bound:",
     "test_client.OwnReplies.test_eight_threads"),
    ("the pool has no bound",
     "            while self._taken >= self._bound:", "            while self._taken >= 1000:",
     "test_client.OwnReplies.test_eight_threads"),
    ("one connection for all threads: a call waits for another's deadline",
     "retries: int = 3, name: str = \"otpd-python 2\", connections: int = 8,",
     "retries: int = 3, name: str = \"otpd-python 2\", connections: int = 1,",
     "test_client.OwnReplies.test_a_stalled_call_holds_up_no_other"),
    ("engine time is counted by a clock that stops in suspend",
     'getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)', "time.CLOCK_MONOTONIC",
     "test_client.EngineTime.test_the_clock_runs_in_suspend"),
    ("engine time isn't counted on",
     "        return 0 if base is None else base[0] + int((self._seconds() - base[1]) * 1000)",
     "        return 0 if base is None else base[0]",
     "test_client.EngineTime.test_counted"),
    ("engine time is never renewed",
     "        if self._clock.is_stale():\n            with", "        if False:\n            with",
     "test_client.EngineTime.test_renewed"),
    ("engine time is kept over reconnects",
     '            self._clock.told(hello["engine_time_ms"])\n            return connection',
     '            if self._clock.is_stale(): self._clock.told(hello["engine_time_ms"])\n            return connection',
     "test_client.EngineTime.test_another_server"),
    ("a flow's end is no push, for ever",
     "                except _Lost as lost:\n                    raise self._cut(mine, lost) from lost\n            left",
     "                except _Lost as lost:\n                    return None\n            left",
     "test_client.Flows.test_what_came_then_the_end"),
    ("a lease on a cut flow makes another in silence",
     "            except _Lost as lost:\n                raise self._cut(mine, lost) from lost\n            finally:",
     "            except _Lost as lost:\n                self._drop(mine)\n"
     "                return self._begin(mine, opcode, body, deadline)\n            finally:",
     "test_client.Flows.test_a_lease_doesnt_hide_a_cut"),
    ("a flow's end hides what came before it",
     "        while not self.pushes:\n            got = self._frame(None)",
     "        while not self.pushes or not self.is_quiet():\n            got = self._frame(None)",
     "test_client.Flows.test_what_came_then_the_end"),
    ("after a lost try a refusal that knows nothing of it is told as one",
     "        return self.may_have_acted and (is_before or is_new)", "        return False",
     "test_client.Outcomes.test_lost_then_refused_before_the_id"),
    ("after a lost try the reconnect's refusal is told as one",
     'return Unknown(f"{error}, after a try of unknown outcome") if self.may_have_acted else error',
     "return error",
     "test_client.Outcomes.test_lost_then_not_welcome"),
    ("after a lost try a status of a later version is told as a verdict",
     "(is_before or is_new)", "is_before",
     "test_client.Outcomes.test_lost_then_refused_before_the_id"),
    ("a verdict after a lost try is doubted",
     'is_before = refused.status in _BEFORE_THE_ID or refused.limit == "requestRate"', "is_before = True",
     "test_client.Outcomes.test_lost_then_decided"),
    ("pushes that nobody reads are kept",
     "            connection.pushes.clear()\n", "",
     "test_client.OwnReplies.test_pushes_that_nobody_asked_for"),
    ("four times unknown is a refusal",
     "                return Unknown(f\"the server couldn't say ({error})\")", "                return error",
     "test_client.Outcomes.test_four_unknowns"),
    ("a retry has a request id of its own",
     "            if needs_id:\n                body, needs_id = self._fresh_id() + body[16:], False",
     "            if needs_id:\n                body = self._fresh_id() + body[16:]",
     "test_client.Outcomes.test_lost_then_decided"),
    ("a draining server is asked again",
     '            good = refused.status != "draining"', "            good = True",
     "test_client.Outcomes.test_draining_is_tried_elsewhere"),
    ("Drain is sent twice",
     "return self._call(wire.DRAIN, {}, 0)", "return self._call(wire.DRAIN, {}, 1)",
     "test_client.Outcomes.test_drain_is_sent_once"),
    ("each read has the whole deadline",
     "self._sock().settimeout(0 if deadline is None else _left(deadline))",
     "self._sock().settimeout(0 if deadline is None else 0.4)",
     "test_client.Deadlines.test_a_reply_in_drops"),
    ("each try has a deadline of its own",
     "                return self._try(pool, connection, opcode, body, deadline)\n            except",
     "                return self._try(pool, connection, opcode, body, time.monotonic() + self.timeout)\n            except",
     "test_client.Deadlines.test_a_late_loss_then_a_stall"),
    ("a restart is waited for by tries, not by time",
     "is_given_up = self.hello is None and step > self.retries", "is_given_up = step > self.retries",
     "test_client.Restarts.test_a_restart_costs_no_call"),
    ("a dead idle connection costs a try",
     "                elif not connection.is_quiet():", "                elif False:",
     "test_client.Restarts.test_dead_idle_connections_cost_no_try"),
    ("an odd field is an exception of its own",
     "    except wire.FieldError as error:\n        raise _refused_field(error) from None\n\n\ndef _argument",
     "    except ZeroDivisionError as error:\n        raise _refused_field(error) from None\n\n\ndef _argument",
     "test_client.OnlyThree.test_a_shoppers_long_code"),
    ("an overlong code is the web tier's mistake",
     '"code": "invalidCode", ', "",
     "test_client.OnlyThree.test_a_shoppers_long_code"),
    ("a missing socket is an OSError",
     "        except (OSError, ValueError) as error:\n            self.close()",
     "        except ConnectionRefusedError as error:\n            self.close()",
     "test_client.OnlyThree.test_places_without_a_server"),
    ("a refusal doesn't come whole out of another process",
     "        super().__init__(fields, detail)", "        super().__init__(str(fields))",
     "test_client.OnlyThree.test_they_come_whole_out_of_another_process"),
    ("a form's id is drawn at random",
     "    return challenge[:6] + mac\n", "    return challenge[:6] + os.urandom(10)\n",
     "test_forms.Vectors.test_all"),
    ("a form's MAC doesn't part its fields",
     'b"".join(len(field).to_bytes(4, "big") + field for field in fields)', 'b"".join(fields)',
     "test_forms.Vectors.test_all"),
    ("a form's MAC leaves the address out",
     '\n                    _form_octets("client_ip", client_ip))', ')',
     "test_forms.Vectors.test_all"),
    ("a grant's form id is drawn at random",
     '_form_mac(_form_octets("session", session, 32), b"otpd-form-redeem-1", grant)', "os.urandom(10)",
     "test_forms.Vectors.test_all"),
    ("a repeated outcome isn't told as one",
     'reply["repeated"] = bool(reply.get("repeated", 0))', 'reply["repeated"] = False',
     "test_client.Outcomes.test_repeated"),
]


def planted(old, new):
    """The client with a fault, as a module."""
    source = (ROOT / "clients/python/otpd_client.py").read_text()
    if source.count(old) != 1:
        raise AssertionError(f"the text to change is there {source.count(old)} times: {old}")
    module = types.ModuleType("otpd_client")
    module.__dict__["_kept"] = []
    exec(compile(source.replace(old, new), "planted", "exec"), module.__dict__)
    return module


class Planted(unittest.TestCase):
    def test_each_is_caught(self):
        for what, old, new, test in FAULTS:
            with self.subTest(what):
                tests = importlib.import_module(test.split(".")[0])
                # What a fault leaves on threads is no news here.
                with mock.patch.object(tests, "otpd", planted(old, new)), mock.patch("sys.stderr", io.StringIO()):
                    result = unittest.TestResult()
                    unittest.defaultTestLoader.loadTestsFromName(test).run(result)
                self.assertEqual(result.testsRun, 1)
                self.assertTrue(result.failures or result.errors, f"{test} passes with it")


if __name__ == "__main__":
    sys.exit(unittest.main())
