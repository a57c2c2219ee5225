"""A synchronous client of otpd: standard library only, written from PROTOCOL.md (frames and messages:
`otpd_wire`).

    otpd = Client("/run/otpd/otpd.sock")           # one for the whole process, made before or after a fork
    challenge = otpd.request_code("alice", "+33612345678", session)["challenge"]
    grant = otpd.verify(challenge, session, typed)["grant"]
    otpd.redeem_grant(grant, 1, "alice", session)

Every method returns the reply's fields as a dict, or raises one of three, and nothing else:
- `Refused`: the server said no, and why; or the client did, before anything was sent, where it is sure that
  the server would;
- `Unknown`: no answer came in time: the request acted or it didn't;
- `Closed`: the server doesn't want this client (tenant, version, role), or a subscription or lease was cut
  off.

Threads share a `Client`: each call has a connection of its own from a small pool. After a fork the child
opens its own connections and leaves its parent's alone. A request whose answer was lost is sent again with
the same bytes, so the same request id: it acts at most once. `timeout` bounds a whole call: its waiting,
connecting and all its tries.

Account, phone, code, locale, host and gateway are str (sent as UTF-8) or bytes; sessions, challenges, grants,
tokens and request ids are bytes of a fixed length.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import hmac
import math
import os
import random
import select
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import otpd_wire as wire

SMS = 1
ANONYMOUS, FIRST_FACTOR, KNOWN_DEVICE = 0, 1, 2
NOW, AFTER_CURSOR, OLDEST = 0, 1, 2
SUBMITTED, TRANSIENT_FAILURE, PERMANENT_FAILURE, DELIVERED, UNDELIVERED = 1, 2, 3, 4, 5

# Reasons of Goodbye after which another connection may do better.
_PASSING = {"helloTimeout", "inputOverflow", "outputOverflow", "tooManyConnections", "shuttingDown",
            "storageFailure", "frameTimeout", "eventsGone"}
# Answered before the server looks for the request id (as is `limited` by requestRate): they say nothing of an
# earlier try.
_BEFORE_THE_ID = {"unsupportedOperation", "notPermitted", "draining", "overloaded", "unknownPurpose",
                  "assuranceTooLow", "requestTooOld", "requestFromFuture", "quarantined"}
# What a field that can't be sent is refused as: by the server's rule for it, else `unsupportedField`.
_STATUS_OF_FIELD = {"account": "invalidAccount", "phone": "invalidPhone", "session": "invalidSession",
                    "code": "invalidCode", "challenge": "challengeNotOpen", "grant": "grantInvalid"}

# Seconds. Engine time is asked for again before its base is older: two clocks part by some ms in it, and 660
# s are allowed.
_RENEW_AFTER = 120.0
# Between tries of a request, and between tries to connect: the first pause and the longest; each is twice the
# last, jittered.
_TRY_PAUSES = (0.05, 1.0)
_DIAL_PAUSES = (0.02, 0.25)
# A push that another thread's request has read is noticed after this at the latest.
_PUSH_SLICE = 0.2
# A call that may last longer has lost its shopper.
_LONGEST_TIMEOUT = 3600.0


class Refused(Exception):
    """The server said no: the request did nothing (a wrong code is counted). `status` and `limit` are names
    of PROTOCOL.md; `neutral_class` (a number, its name is `neutral`) is what a shopper may be told;
    `attempts_left` None and `retry_after_ms` 0: don't apply."""

    def __init__(self, fields: dict[str, int], detail: str = "") -> None:
        self.status: str = wire.STATUSES.get(fields["status"], hex(fields["status"]))
        self.limit: str = wire.name_in(wire.LIMITS, fields["limit"])
        self.neutral_class: int = fields["neutral_class"]
        self.neutral: str = wire.name_in(wire.NEUTRAL, self.neutral_class)
        self.attempts_left: int | None = None if fields["attempts_left"] == 0xFF else fields["attempts_left"]
        self.retry_after_ms: int = fields["retry_after_ms"]
        # As it was made, so that it comes whole out of another process.
        super().__init__(fields, detail)

    def __str__(self) -> str:
        detail = self.args[1]
        return (f"{self.status} limit={self.limit} attempts_left={self.attempts_left} "
                f"retry_after_ms={self.retry_after_ms}" + (f": {detail}" if detail else ""))

    @property
    def is_retryable(self) -> bool:
        """The same request may pass after `retry_after_ms`."""
        return self.status in wire.RETRYABLE


class Unknown(Exception):
    """No answer within the deadline, or the server couldn't say. `may_have_acted` False: nothing of the
    request was sent. True: it acted or it didn't; only the same request id is safe to send again."""

    def __init__(self, why: str, may_have_acted: bool = True) -> None:
        self.may_have_acted = may_have_acted
        super().__init__(why, may_have_acted)

    def __str__(self) -> str:
        return str(self.args[0])


class Closed(Exception):
    """`reason` is a name of PROTOCOL.md §9: the server refuses this client, and this call did nothing. From
    `push`, `acknowledge`, `subscribe` and `lease`: the flow of pushes has ended; `connectionLost` when no
    Goodbye came, `notBegun` when there is none in this process."""

    def __init__(self, reason: str, text: str = "") -> None:
        self.reason = reason
        super().__init__(reason, text)

    def __str__(self) -> str:
        return ": ".join(part for part in self.args if part)


def _refused_here(status: str, detail: str) -> Refused:
    """A refusal that needs no server, as the server would say it."""
    number = next(number for number, name in wire.STATUSES.items() if name == status)
    neutral = wire.NEUTRAL.index(wire.NEUTRAL_HERE[status])
    return Refused({"status": number, "limit": 0, "neutral_class": neutral, "attempts_left": 0xFF,
                    "retry_after_ms": 0}, detail)


def _refused_field(error: wire.FieldError) -> Refused:
    return _refused_here(_STATUS_OF_FIELD.get(error.name, "unsupportedField"), str(error))


def _encode(message: str, fields: dict[str, Any]) -> bytes:
    try:
        return wire.encode(message, fields)
    except wire.FieldError as error:
        raise _refused_field(error) from None


def _argument(name: str, value: Any, test: Callable[[Any], bool], wanted: str) -> Any:
    """An argument that isn't a field of a message: `value`, or a refusal."""
    try:
        if test(value):
            return value
    except (TypeError, ValueError):
        pass
    raise _refused_here("unsupportedField", f"{name} must be {wanted}")


def _boot_seconds() -> float:
    """Counts while the machine is suspended, too; never set, never back. It is the machine's: a fork keeps
    it."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


# -- request ids of browser forms

def _form_mac(session: bytes, *fields: bytes) -> bytes:
    data = b"".join(len(field).to_bytes(4, "big") + field for field in fields)
    return hmac.digest(session, data, hashlib.sha256)[:10]


def _form_octets(name: str, value: Any, size: int | None = None) -> bytes:
    try:
        data = wire.octets("a form", name, value)
        if size is not None and len(data) != size:
            raise wire.FieldError("a form", name, f"must be {size} bytes, not {len(data)}")
    except wire.FieldError as error:
        raise _refused_field(error) from None
    return data


def form_request_id(challenge: bytes, session: bytes, code: str | bytes, client_ip: str | bytes | None = None,
                    generation: int = 0) -> bytes:
    """The request id (16 bytes) of a Verify that a browser's form asks for: posted twice, in whatever
    processes, the form is one request, acts once, and both posts get its outcome.

    Give `verify` the same challenge, session, code and client_ip. `generation`, 0…2³²−1: counts the times
    that the form was shown for this challenge (a hidden field of it, say); the same wrong code in a form
    shown anew is another attempt.

    It is the challenge's first 6 bytes (its engine time: a challenge lives for at most 600 s, an id is good
    for 660), then the first 10 bytes of HMAC-SHA-256, key: the session's 32 bytes, data: five fields, each
    behind its length as u32 big-endian:
        1. the 18 bytes `otpd-form-verify-1`, ASCII;
        2. the challenge, 16 bytes;
        3. the generation, u32 big-endian, 4 bytes;
        4. the code as it is sent, not normalized; UTF-8 where it was text;
        5. the client address as it is sent: 4 or 16 bytes, none where there is none.
    Vectors: Tests/Vectors/form-request-ids.txt.

    Never log it: whoever has it and the session can try all codes against it. Raises `Refused`."""
    _argument("generation", generation, lambda n: isinstance(n, int) and 0 <= n < 1 << 32, "in 0…2³²−1")
    challenge = _form_octets("challenge", challenge, 16)
    mac = _form_mac(_form_octets("session", session, 32), b"otpd-form-verify-1", challenge,
                    generation.to_bytes(4, "big"), _form_octets("code", code),
                    _form_octets("client_ip", client_ip))
    return challenge[:6] + mac


def form_request_id_for_grant(grant: bytes, session: bytes) -> bytes:
    """The request id (16 bytes) of the RedeemGrant that follows a browser's form: the same in all processes
    that hold the grant. `repeated` in the reply is False once: act (open the session, start the payment) then
    only.

    It is the grant's first 6 bytes (its engine time), then the first 10 bytes of HMAC-SHA-256, key: the
    session's 32 bytes, data: two fields, each behind its length as u32 big-endian: the 18 bytes
    `otpd-form-redeem-1`, the grant's 32 bytes. Raises `Refused`."""
    grant = _form_octets("grant", grant, 32)
    return grant[:6] + _form_mac(_form_octets("session", session, 32), b"otpd-form-redeem-1", grant)


# -- one connection

class _Lost(Exception):
    """A connection is of no more use. `reason`: of its Goodbye, None if there was none."""

    def __init__(self, why: str, reason: str | None = None) -> None:
        self.reason = reason
        super().__init__(why)


class _Connection:
    """A socket used by one thread at a time, with at most one request under way. Times are `time.monotonic()`
    seconds."""

    def __init__(self, path: str | bytes, deadline: float) -> None:
        self._buffer = bytearray()
        # Pushes that came while a reply was waited for.
        self.pushes: collections.deque[tuple[int, bytes]] = collections.deque()
        self._socket: socket.socket | None = None
        try:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.settimeout(_left(deadline))
            self._socket.connect(path)
        except (OSError, ValueError) as error:
            self.close()
            hint = ""
            if isinstance(error, PermissionError):
                hint = "; this user must be a member of the `group` of otpd's `[[listener]]`, and be started again"
            raise _Lost(f"{os.fsdecode(path)}: {getattr(error, 'strerror', None) or error}{hint}") from error

    def close(self) -> None:
        """Closes this process's descriptor and doesn't shut the connection down: a parent may still be using
        it."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def is_quiet(self) -> bool:
        """Nothing has come, not even the end: what comes unasked on a connection without pushes is its
        end."""
        return not self._buffer and not self.wait(0)

    def wait(self, seconds: float) -> bool:
        """Whether something, or the end, comes within so many seconds."""
        try:
            poll = select.poll()
            poll.register(self._sock(), select.POLLIN)
            return bool(poll.poll(math.ceil(seconds * 1000)))
        except (OSError, ValueError, _Lost):
            return True

    def exchange(self, opcode: int, body: bytes, deadline: float) -> dict[str, Any]:
        """Sends a request and waits for its reply. Raises `Refused`, or `_Lost`: then it may have acted, and
        the connection must go, for its reply may still come."""
        # Drawn at random for each request: whoever else got hold of this socket wouldn't guess it.
        correlation = int.from_bytes(os.urandom(4), "big")
        self._send(wire.frame(opcode, correlation, body), deadline)
        while True:
            got = self._frame(deadline)
            if got is None:
                continue
            if got[1] == wire.PUSH:
                self.pushes.append((got[0], got[3]))
                continue
            if not self._answers(got, opcode, correlation):
                raise _Lost("a reply to another request")
            return self._outcome(opcode, got[3])

    @staticmethod
    def _answers(frame: tuple[int, int, int, bytes], opcode: int, correlation: int) -> bool:
        return frame[:3] == (opcode, wire.REPLY, correlation)

    @staticmethod
    def _outcome(opcode: int, answer: bytes) -> dict[str, Any]:
        try:
            if answer[:2] != b"\0\0":
                raise Refused(wire.decode("Refusal", answer))
            return wire.decode(wire.OPERATIONS[opcode][1], answer[2:])
        except wire.WireError as error:
            raise _Lost(f"a reply that isn't one: {error}") from error

    def next_push(self) -> tuple[int, bytes] | None:
        """(opcode, body) of a push that is there already; doesn't wait."""
        while not self.pushes:
            got = self._frame(None)
            if got is None:
                return None
            if got[1] != wire.PUSH:
                raise _Lost("a reply to no request")
            self.pushes.append((got[0], got[3]))
        return self.pushes.popleft()

    def _sock(self) -> socket.socket:
        sock = self._socket
        if sock is None:
            raise _Lost("closed by this process")
        return sock

    def _send(self, data: bytes, deadline: float) -> None:
        try:
            self._sock().settimeout(_left(deadline))
            self._sock().sendall(data)
        except BrokenPipeError:
            pass  # The server closed; what it said last may still be read.
        except OSError as error:
            raise _Lost(f"sending: {error}") from error

    def _frame(self, deadline: float | None) -> tuple[int, int, int, bytes] | None:
        """The next frame: (opcode, flags, correlation, body). None when there is none yet; waits once for
        bytes, until `deadline`, or not at all if that is None. Goodbye and the end are `_Lost`."""
        try:
            found = wire.next_frame(self._buffer)
            if found is None and self._read(deadline):
                found = wire.next_frame(self._buffer)
            if found is None:
                return None
            opcode, flags, correlation, body, used = found
            del self._buffer[:used]
            if flags != wire.PUSH or opcode != wire.GOODBYE:
                return opcode, flags, correlation, body
            said = wire.decode("Goodbye", body)
        except wire.WireError as error:
            raise _Lost(f"bytes that aren't a frame: {error}") from error
        reason = wire.name_in(wire.REASONS, said["reason"])
        text = said.get("text", b"").decode("utf-8", "replace")
        raise _Lost(f"the server said goodbye, {reason}" + (f": {text}" if text else ""), reason)

    def _read(self, deadline: float | None) -> bool:
        try:
            self._sock().settimeout(0 if deadline is None else _left(deadline))
            data = self._sock().recv(65536)
        except TimeoutError:
            raise _Lost("no answer within the deadline") from None
        except BlockingIOError:
            return False
        except OSError as error:
            raise _Lost(str(error)) from error
        if not data:
            raise _Lost("the server closed the connection")
        self._buffer += data
        return True


def _left(deadline: float) -> float:
    """Seconds until `deadline`. A socket's time-out of 0 would mean something else: none left is `_Lost`."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise _Lost("no answer within the deadline")
    return left


# -- what threads and tries share

class _Pool:
    """At most `bound` connections, lent to one call at a time."""

    def __init__(self, bound: int) -> None:
        self._bound, self._is_closed = bound, False
        self._idle: list[_Connection] = []
        self._lent: set[_Connection] = set()
        # Places taken, those that have no connection yet included.
        self._taken = 0
        self._room = threading.Condition()

    def take(self, deadline: float) -> _Connection | None:
        """A place, with the connection that was used last if one is idle; None: the caller makes one. Raises
        `_Lost`."""
        with self._room:
            while self._taken >= self._bound:
                left = deadline - time.monotonic()
                if left <= 0 or not self._room.wait(left) and self._taken >= self._bound:
                    raise _Lost(f"all {self._bound} connections were busy until the deadline")
            self._taken += 1
            if not self._idle:
                return None
            connection = self._idle.pop()
            self._lent.add(connection)
            return connection

    def lend(self, connection: _Connection) -> None:
        """A connection that was made in a place taken."""
        with self._room:
            self._lent.add(connection)

    def put(self, connection: _Connection | None, is_good: bool) -> None:
        """Gives the place back, with its connection if that can be used again."""
        with self._room:
            self._taken -= 1
            if connection is not None:
                self._lent.discard(connection)
                if is_good and not self._is_closed:
                    self._idle.append(connection)
                else:
                    connection.close()
            self._room.notify()

    def close(self) -> None:
        """Closes what is idle; what is lent is closed when it comes back."""
        with self._room:
            self._is_closed = True
            while self._idle:
                self._idle.pop().close()

    def forget(self) -> None:
        """In a child: closes its descriptors of its parent's connections. Takes no lock: who held it may not
        exist here."""
        for connection in [*self._idle, *self._lent]:
            connection.close()


class _Process:
    """What a `Client` has in one process: none of it survives a fork."""

    def __init__(self, connections: int) -> None:
        self.pool = _Pool(connections)
        # The one connection on which pushes come: made by `subscribe` or `lease`, in a place of its own.
        self.flow: _Connection | None = None
        self.flow_pool = _Pool(1)
        self.flow_lock = threading.Lock()

    def forget(self) -> None:
        self.pool.forget()
        self.flow_pool.forget()


class _EngineClock:
    """Engine time: as the server told it last, and counted on since by a clock that runs in suspend."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        # Engine time in ms, and when it was told. One value: threads see both or neither.
        self._base: tuple[int, float] | None = None

    def told(self, engine_time_ms: int) -> None:
        self._base = (engine_time_ms, self._seconds())

    def is_stale(self) -> bool:
        base = self._base
        return base is None or self._seconds() - base[1] > _RENEW_AFTER

    def now_ms(self) -> int:
        base = self._base
        return 0 if base is None else base[0] + int((self._seconds() - base[1]) * 1000)


class _Tries:
    """One call's life over its tries, as a value: what a failed try means. It knows no socket and no
    clock."""

    def __init__(self, retries: int) -> None:
        self._left = retries
        self.may_have_acted = False

    def after(self, error: Refused | _Lost) -> None:
        """Returns if the same bytes are to be sent again, else raises what the caller is told."""
        if isinstance(error, _Lost):
            self.may_have_acted = True
            again = error.reason is None or error.reason in _PASSING
        elif error.status == "unknown":
            self.may_have_acted = again = True
        else:
            again = error.status == "draining" or error.is_retryable and self._says_nothing(error)
        if not again or self._left == 0:
            self.give_up(error)
        self._left -= 1

    def give_up(self, error: Refused | _Lost | Unknown | Closed) -> NoReturn:
        told = self._final(error)
        if told is error:
            raise told
        raise told from error

    def _final(self, error: Refused | _Lost | Unknown | Closed) -> Refused | Unknown | Closed:
        """What the caller is told: never "refused" or "nothing was sent" while an earlier try may have
        acted."""
        if isinstance(error, Refused):
            if error.status == "unknown":
                return Unknown(f"the server couldn't say ({error})")
            if self._says_nothing(error):
                return Unknown(f"{error}, after a try of unknown outcome")
            return error
        if isinstance(error, (Unknown, Closed)):
            return Unknown(f"{error}, after a try of unknown outcome") if self.may_have_acted else error
        return Unknown(str(error), self.may_have_acted)

    def _says_nothing(self, refused: Refused) -> bool:
        """An earlier try may have acted, and this refusal was decided without looking for it."""
        is_before = refused.status in _BEFORE_THE_ID or refused.limit == "requestRate"
        is_new = refused.status not in wire.STATUSES.values()
        return self.may_have_acted and (is_before or is_new)


def _pause(step: int, pauses: tuple[float, float], deadline: float) -> bool:
    """Sleeps before try `step` (from 1) + 1; False: there is no time left for another."""
    first, longest = pauses
    seconds = min(first * 2 ** min(step - 1, 16), longest) * random.uniform(0.5, 1)
    if time.monotonic() + seconds >= deadline:
        return False
    time.sleep(seconds)
    return True


_clients: weakref.WeakSet[Client] = weakref.WeakSet()


def _after_fork() -> None:
    for client in list(_clients):
        client._mine()


os.register_at_fork(after_in_child=_after_fork)


class Client:
    """otpd at a socket. Connects at the first call, and again whenever it must. Threads share it; a fork may
    follow at any time, in the midst of other threads' calls, too.

    `path`: the socket's. `tenant`: its number, 0 = the only one that this user may use. `roles`: wanted, 0 =
    all that this user may have. `timeout`: seconds for one call, over its retries; 2 at least is wise.
    `retries`: times that a request of unknown outcome is sent again, 3 at most by the protocol.
    `connections`: at most so many at a time in each process, for calls; more calls wait. A good number is the
    process's threads. `clock`: seconds, for tests."""

    def __init__(self, path: str | bytes | os.PathLike[str], tenant: int = 0, roles: int = 0,
                 timeout: float = 5.0, retries: int = 3, name: str = "otpd-python 2", connections: int = 8,
                 clock: Callable[[], float] = _boot_seconds) -> None:
        self.path: str | bytes = os.fspath(
            _argument("path", path, lambda p: isinstance(p, (str, bytes, os.PathLike)), "a path"))
        self.timeout: float = _argument(
            "timeout", timeout, lambda t: 0 < t <= _LONGEST_TIMEOUT, "seconds, 3600 at most")
        self.retries: int = _argument("retries", retries, lambda n: n in range(4), "0 to 3")
        self._connections: int = _argument(
            "connections", connections, lambda n: n in range(1, 1025), "1 to 1024")
        self._hello = _encode("Hello", {"magic": wire.MAGIC, "min_version": 1, "max_version": 1,
                                        "tenant": tenant, "roles": roles, "client": name})
        # The newest reply to Hello, as a dict; None before the first.
        self.hello: dict[str, Any] | None = None
        self._clock = _EngineClock(clock)
        # By process id; a child finds only its parent's in it. `setdefault` makes one of it however many
        # threads come.
        self._processes: dict[int, _Process] = {}
        _clients.add(self)

    def __enter__(self) -> Client:
        self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def connect(self) -> None:
        """Finds out early whether the server is there; the first call would connect as well."""
        pool = self._mine().pool
        pool.put(self._connection(pool, time.monotonic() + self.timeout), True)

    def close(self) -> None:
        """Ends all connections, the flow of pushes, too; those of calls under way when they are done. The
        next call makes another."""
        mine = self._processes.pop(os.getpid(), None)
        if mine is not None:
            mine.pool.close()
            mine.flow_pool.close()
            self._drop(mine)

    def request_id(self) -> bytes:
        """A fresh one: 6 bytes of engine time, 10 random. Bring it to a write to be able to send that again
        yourself."""
        if self._clock.is_stale():
            self.connect()
        return self._fresh_id()

    def _fresh_id(self) -> bytes:
        return (self._clock.now_ms() & (1 << 48) - 1).to_bytes(6, "big") + os.urandom(10)

    def _mine(self) -> _Process:
        """This process's connections. In a child its parent's are dropped first."""
        pid = os.getpid()
        mine = self._processes.get(pid)
        if mine is not None:
            return mine
        for other in [known for known in list(self._processes) if known != pid]:
            inherited = self._processes.pop(other, None)
            if inherited is not None:
                inherited.forget()
        return self._processes.setdefault(pid, _Process(self._connections))

    # -- connecting

    def _dial(self, deadline: float) -> _Connection:
        connection = _Connection(self.path, deadline)
        try:
            self.hello = hello = connection.exchange(wire.HELLO, self._hello, deadline)
            self._clock.told(hello["engine_time_ms"])
            return connection
        except Refused as refused:
            connection.close()
            reason = None if refused.is_retryable else refused.status
            raise _Lost(f"Hello was refused: {refused}", reason) from refused
        except BaseException:
            connection.close()
            raise

    def _renew(self, connection: _Connection, deadline: float) -> None:
        if self._clock.is_stale():
            with contextlib.suppress(Refused):
                self._clock.told(connection.exchange(wire.PING, bytes(8), deadline)["engine_time_ms"])

    def _take(self, pool: _Pool, deadline: float) -> _Connection:
        """One try to get a connection that is good and whose server has told its time lately. Raises
        `_Lost`."""
        while True:
            connection = pool.take(deadline)
            good = False
            try:
                if connection is None:
                    connection = self._dial(deadline)
                    pool.lend(connection)
                elif not connection.is_quiet():
                    continue
                self._renew(connection, deadline)
                good = True
                return connection
            finally:
                if not good:
                    pool.put(connection, False)

    def _connection(self, pool: _Pool, deadline: float) -> _Connection:
        """A server that was there once is waited for until the deadline; one that never was is given up after
        `retries` more tries. Raises `Unknown`, `Closed`: nothing of the request was sent."""
        step = 0
        while True:
            try:
                return self._take(pool, deadline)
            except _Lost as lost:
                if lost.reason is not None and lost.reason not in _PASSING:
                    raise Closed(lost.reason, str(lost)) from lost
                step += 1
                is_given_up = self.hello is None and step > self.retries
                if is_given_up or not _pause(step, _DIAL_PAUSES, deadline):
                    raise Unknown(f"{os.fsdecode(self.path)}: {lost}", may_have_acted=False) from lost

    # -- calls

    def call(self, opcode: int, fields: dict[str, Any]) -> dict[str, Any]:
        """Sends a request of `wire.OPERATIONS` and returns its reply's fields. Sends the same bytes again
        after a lost connection, the status *unknown*, and *draining*."""
        _argument("opcode", opcode, lambda it: isinstance(it, int), "a number")
        _argument("fields", fields, lambda it: isinstance(it, dict), "a dict")
        return self._call(opcode, fields, self.retries)

    def _call(self, opcode: int, fields: dict[str, Any], retries: int) -> dict[str, Any]:
        deadline = time.monotonic() + self.timeout
        message = wire.OPERATIONS.get(opcode, ("", ""))[0]
        if not message or opcode == wire.HELLO:
            raise _refused_here("unsupportedOperation", f"opcode {opcode}")
        body = _encode(message, fields)
        # The id is the first field of every message that has one.
        needs_id = ("bytes16", "request_id") in wire.MESSAGES[message][0] and not fields.get("request_id")
        tries, step = _Tries(retries), 0
        while True:
            pool = self._mine().pool
            try:
                connection = self._connection(pool, deadline)
            except (Unknown, Closed) as error:
                tries.give_up(error)
            if needs_id:
                body, needs_id = self._fresh_id() + body[16:], False
            try:
                return self._try(pool, connection, opcode, body, deadline)
            except (Refused, _Lost) as error:
                tries.after(error)
                step += 1
                if not _pause(step, _TRY_PAUSES, deadline):
                    tries.give_up(error)

    @staticmethod
    def _try(pool: _Pool, connection: _Connection, opcode: int, body: bytes,
             deadline: float) -> dict[str, Any]:
        good = False
        try:
            reply = connection.exchange(opcode, body, deadline)
            good = True
            # None was asked for here; a later version's are skipped.
            connection.pushes.clear()
            return reply
        except Refused as refused:
            good = refused.status != "draining"
            raise
        finally:
            # Whatever ended the exchange, a signal's exception included: a reply that may still come must
            # find nobody.
            pool.put(connection, good)

    # -- operations

    def ping(self, token: int = 1) -> dict[str, Any]:
        """Asks whether the server is there."""
        reply = self.call(wire.PING, {"token": token})
        self._clock.told(reply["engine_time_ms"])
        return reply

    def request_code(self, account: str | bytes, phone: str | bytes, session: bytes, purpose: int = 1,
                     assurance: int = FIRST_FACTOR, request_id: bytes | None = None,
                     **optional: Any) -> dict[str, Any]:
        """Asks for a code; `challenge` in the reply names what `verify` takes. `session`: 32 bytes, a digest
        of the browser session. `optional`: channel, client_ip, locale, web_host, android_hash."""
        who = _who(account, phone, session, purpose, assurance)
        return self.call(wire.REQUEST_CODE, {"request_id": request_id, **who, **optional})

    def resend(self, challenge: bytes, session: bytes, request_id: bytes | None = None) -> dict[str, Any]:
        """One more message with the same code."""
        return self.call(wire.RESEND, {"request_id": request_id, "challenge": challenge, "session": session})

    def verify(self, challenge: bytes, session: bytes, code: str | bytes, request_id: bytes | None = None,
               **optional: Any) -> dict[str, Any]:
        """Offers what the shopper typed; the reply has the `grant` (32 bytes), and `repeated` True if this
        request id was accepted before. A wrong code is `Refused` with `attempts_left`; what can't be a code,
        however long, is `Refused` with *invalidCode*. For a browser's form bring `form_request_id`.
        `optional`: client_ip."""
        return _told(self.call(wire.VERIFY, {"request_id": request_id, "challenge": challenge,
                                             "session": session, "code": code, **optional}))

    def cancel(self, challenge: bytes, session: bytes, request_id: bytes | None = None) -> dict[str, Any]:
        """Closes an open challenge."""
        return self.call(wire.CANCEL, {"request_id": request_id, "challenge": challenge, "session": session})

    def status(self, challenge: bytes, session: bytes, **optional: Any) -> dict[str, Any]:
        """How a challenge stands; `send=1` tells of its first message, too, 0 of its newest."""
        return self.call(wire.STATUS, {"challenge": challenge, "session": session, **optional})

    def quota(self, account: str | bytes, phone: str | bytes, session: bytes, purpose: int = 1,
              assurance: int = FIRST_FACTOR, **optional: Any) -> dict[str, Any]:
        """A dry run of `request_code`: raises what would refuse it now, and debits nothing. `optional`:
        client_ip."""
        return self.call(wire.QUOTA, {**_who(account, phone, session, purpose, assurance), **optional})

    def check_grant(self, grant: bytes, purpose: int, account: str | bytes, session: bytes) -> dict[str, Any]:
        """Whether a grant is good; it isn't spent."""
        return _told(self.call(wire.CHECK_GRANT, {
            "grant": grant, "purpose": purpose, "account": account, "session": session}))

    def redeem_grant(self, grant: bytes, purpose: int, account: str | bytes, session: bytes,
                     request_id: bytes | None = None) -> dict[str, Any]:
        """Spends a grant: the one time that it opens anything. `repeated` True in the reply: this request id
        spent it before, and whoever acts on the first reply only (a payment must) does nothing now. For a
        browser's form bring `form_request_id_for_grant`."""
        return _told(self.call(wire.REDEEM_GRANT, {
            "request_id": request_id, "grant": grant, "purpose": purpose, "account": account, "session": session}))

    def report(self, message: dict[str, Any], outcome: int, **optional: Any) -> dict[str, Any]:
        """As a courier: what became of a leased message. `optional`: reference, reason, gateway, segments,
        price_micros, currency, has_other."""
        _argument("message", message, lambda m: isinstance(m, dict) and set(_OF_LEASE) <= set(m), "a push")
        lease = {name: message[name] for name in _OF_LEASE}
        return self.call(wire.REPORT_MESSAGE, {**lease, "outcome": outcome, **optional})

    def stats(self) -> dict[str, int]:
        """The server's counters and gauges: {name: number}."""
        lines = self.call(wire.STATS, {})["lines"].decode("ascii", "replace")
        try:
            return {name: int(value) for name, value in (line.split() for line in lines.splitlines())}
        except ValueError:
            raise Unknown("statistics that aren't lines of a name and a number") from None

    def drain(self) -> dict[str, Any]:
        """Stops the server in good order. Never sent twice: the second might stop the next one."""
        return self._call(wire.DRAIN, {}, 0)

    # -- pushes

    def lease(self, credit: int, lease_ms: int = 0) -> dict[str, Any]:
        """As a courier: takes up to `credit` messages; `push` returns them. Again: replaces the credit."""
        return self._on_flow(wire.LEASE_MESSAGES, {"credit": credit, "lease_ms": lease_ms}, begins=True)

    def subscribe(self, start: int = NOW, cursor: tuple[int, int, int] = (0, 0, 0),
                  credit: int = 64) -> tuple[int, int, int]:
        """Begins the flow of events; `push` returns them. Returns the head's cursor."""
        fields = {"start": start, "credit": credit, **_cursor(cursor)}
        head = self._on_flow(wire.SUBSCRIBE, fields, begins=True)
        return head["epoch"], head["sequence"], head["index"]

    def acknowledge(self, cursor: tuple[int, int, int], credit: int) -> dict[str, Any]:
        """All events up to `cursor` are handled: `credit` more may come."""
        return self._on_flow(wire.ACKNOWLEDGE, {"credit": credit, **_cursor(cursor)}, begins=False)

    def push(self, timeout: float | None = None) -> dict[str, Any] | None:
        """The next pushed message or event as a dict (`opcode` tells which); None after `timeout` seconds.
        `Closed` when the flow was cut off (what had come is returned before): begin again, with `subscribe`
        after the last cursor or with `lease`. One thread reads pushes."""
        seconds = self.timeout if timeout is None else timeout
        end = time.monotonic() + _argument("timeout", seconds, lambda t: t > -math.inf, "a number of seconds")
        while True:
            mine = self._mine()
            with self._held(mine, time.monotonic() + self.timeout):
                flow = self._flow(mine)
                try:
                    got = flow.next_push()
                    if got is not None and got[0] in wire.PUSHES:
                        return _pushed(*got)
                except _Lost as lost:
                    raise self._cut(mine, lost) from lost
            left = end - time.monotonic()
            if got is None and left <= 0:
                return None
            if got is None:
                flow.wait(min(left, _PUSH_SLICE))

    def _on_flow(self, opcode: int, fields: dict[str, Any], begins: bool) -> dict[str, Any]:
        """A request on the connection of pushes. Where there is none, one that `begins` the flow makes it,
        with retries. A flow that is cut off is told by `Closed`, once: what else ran on it has ended, too."""
        deadline = time.monotonic() + self.timeout
        body = _encode(wire.OPERATIONS[opcode][0], fields)
        mine = self._mine()
        with self._held(mine, deadline):
            if mine.flow is None and begins:
                return self._begin(mine, opcode, body, deadline)
            flow = self._flow(mine)
            whole = False
            try:
                reply = flow.exchange(opcode, body, deadline)
                whole = True
                return reply
            except Refused:
                whole = True
                raise
            except _Lost as lost:
                raise self._cut(mine, lost) from lost
            finally:
                if not whole:
                    self._drop(mine)

    def _begin(self, mine: _Process, opcode: int, body: bytes, deadline: float) -> dict[str, Any]:
        tries, step = _Tries(self.retries), 0
        while True:
            try:
                connection = self._connection(mine.flow_pool, deadline)
            except (Unknown, Closed) as error:
                tries.give_up(error)
            good = False
            try:
                reply = connection.exchange(opcode, body, deadline)
                mine.flow, good = connection, True
                return reply
            except (Refused, _Lost) as error:
                tries.after(error)
                step += 1
                if not _pause(step, _TRY_PAUSES, deadline):
                    tries.give_up(error)
            finally:
                if not good:
                    mine.flow_pool.put(connection, False)

    @staticmethod
    @contextlib.contextmanager
    def _held(mine: _Process, deadline: float) -> Iterator[None]:
        if not mine.flow_lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise Unknown("another thread used the flow of pushes until the deadline", may_have_acted=False)
        try:
            yield
        finally:
            mine.flow_lock.release()

    @staticmethod
    def _flow(mine: _Process) -> _Connection:
        if mine.flow is None:
            raise Closed("notBegun", "no subscription or lease is open in this process")
        return mine.flow

    @classmethod
    def _cut(cls, mine: _Process, lost: _Lost) -> Closed:
        cls._drop(mine)
        return Closed(lost.reason or "connectionLost", str(lost))

    @staticmethod
    def _drop(mine: _Process) -> None:
        flow, mine.flow = mine.flow, None
        if flow is not None:
            mine.flow_pool.put(flow, False)


_OF_LEASE = ("challenge", "send", "token")


def _who(account: Any, phone: Any, session: Any, purpose: Any, assurance: Any) -> dict[str, Any]:
    return {"account": account, "phone": phone, "session": session, "purpose": purpose,
            "assurance": assurance}


def _told(reply: dict[str, Any]) -> dict[str, Any]:
    """Of a Verify or a grant: whether it acted now (False) or its outcome is told again."""
    reply["repeated"] = bool(reply.get("repeated", 0))
    return reply


def _cursor(cursor: Any) -> dict[str, int]:
    def is_cursor(it: Any) -> bool:
        return len(it) == 3
    return dict(zip(("epoch", "sequence", "index"), _argument("cursor", cursor, is_cursor, "three numbers")))


def _pushed(opcode: int, body: bytes) -> dict[str, Any]:
    try:
        fields = {"opcode": opcode, **wire.decode(wire.PUSHES[opcode], body)}
    except wire.WireError as error:
        raise _Lost(f"a push that isn't one: {error}") from error
    if opcode == wire.EVENT:
        fields["cursor"] = (fields["epoch"], fields["sequence"], fields["index"])
        fields["kind"] = wire.name_in(wire.EVENTS, fields["kind"])
    else:
        fields["text"] = fields["text"].decode("utf-8", "replace")
    return fields
