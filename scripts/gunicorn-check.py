#!/usr/bin/env python3
"""Logins through gunicorn --preload, whose workers and threads share one otpd client, while otpd is stopped, restarted and
killed: no reply may be another's, no wrong code may get a grant, no right one may be refused, a form posted twice must
have one outcome, and the client may raise nothing but Refused, Unknown and Closed.

usage: scripts/gunicorn-check.py PROGRAMS PYTHON [--logins 10000] [--workers 4] [--threads 8] [--seed 1] [--planted]
"""
import argparse
import collections
import concurrent.futures
import http.client
import importlib.util
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

python_client = pathlib.Path(__file__).resolve().parent.parent / "clients/python"
sys.path.insert(0, str(python_client))
import otpd_client as otpd  # noqa: E402

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("programs", type=pathlib.Path)
parser.add_argument("python", type=pathlib.Path, help="from scripts/python-venv.sh gunicorn")
parser.add_argument("--logins", type=int, default=10_000)
parser.add_argument("--workers", type=int, default=4)
parser.add_argument("--threads", type=int, default=8)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--planted", action="store_true",
                    help="a client that inherits its parent's connections and takes any reply: the check must find it")
options = parser.parse_args()

# What a shopper does, and how often in 20.
KINDS = ["right"] * 8 + ["wrong, then right"] * 5 + ["wrong"] * 2 + ["right, posted twice"] * 3 + ["wrong, posted twice"] * 2
DISTURBANCES = ["stopped", "restarted", "killed", "away"]
PATIENCE = 90.0


class Otpd:
    """A development server; signals and restarts keep its folder."""

    def __init__(self, folder):
        self.folder, self.log, self.process = folder, open(folder / "otpd.log", "ab"), None
        self.path = folder / "dev/otpd.sock"

    def start(self):
        self.process = subprocess.Popen(
            [options.programs.resolve() / "otpd", "--dev", "--dev-folder", "dev", "--courier", "none"],
            cwd=self.folder, stdout=self.log, stderr=self.log)
        end = time.monotonic() + 30
        while True:
            try:
                return otpd.Client(self.path, retries=0).ping()
            except otpd.Unknown:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)

    def end(self, how):
        self.process.send_signal(how)
        self.process.wait(30)

    def disturb(self, what, rng):
        """Returns for how long, in seconds, nobody answered."""
        begun = time.monotonic()
        if what == "stopped":
            self.process.send_signal(signal.SIGSTOP)
            time.sleep(rng.uniform(1, 5))
            self.process.send_signal(signal.SIGCONT)
        else:
            self.end(signal.SIGKILL if what == "killed" else signal.SIGTERM)
            if what == "away":
                time.sleep(rng.uniform(1, 3))
            self.start()
        return time.monotonic() - begun


class Phones(threading.Thread):
    """The courier: what each challenge's phone got. Its lease is cut off by each restart, and it is told."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.codes, self.arrived, self.cuts, self.path = {}, threading.Condition(), 0, path

    def run(self):
        client = otpd.Client(self.path, timeout=5)
        while True:
            try:
                client.lease(64, 3000)
                for _ in range(32):
                    message = client.push(0.5)
                    if message is None:
                        break
                    with self.arrived:
                        self.codes[message["challenge"].hex()] = message["text"][:6]
                        self.arrived.notify_all()
                    client.report(message, otpd.SUBMITTED)
            except otpd.Closed:
                self.cuts += 1
            except (otpd.Refused, otpd.Unknown):
                pass

    def code(self, challenge):
        with self.arrived:
            self.arrived.wait_for(lambda: challenge in self.codes, PATIENCE)
            return self.codes.get(challenge)


class Shoppers:
    def __init__(self, web, phones):
        self.web, self.phones, self.lock = web, phones, threading.Lock()
        self.faults, self.counts, self.workers, self.done = [], collections.Counter(), set(), 0

    def fault(self, what):
        with self.lock:
            self.faults.append(what)

    def post(self, page, session, **form):
        """Until the outcome is known; the same form each time."""
        end = time.monotonic() + PATIENCE
        while True:
            connection = http.client.HTTPConnection("shop", timeout=30)
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(30)
            try:
                connection.sock.connect(str(self.web))
                connection.request("POST", page, urllib.parse.urlencode(form), {"Cookie": f"session={session}"})
                reply = connection.getresponse()
                body = reply.read()
            finally:
                connection.close()
            if reply.status not in (200, 503):
                raise RuntimeError(f"{page} answered {reply.status}: something else than the three was raised")
            said = json.loads(body)
            with self.lock:
                self.workers.add(said.pop("worker"))
                self.counts["posts"] += 1
                self.counts["unknown"] += "unknown" in said
            passing = "unknown" in said or said.get("refused") in ("draining", "overloaded")
            if not passing:
                return said
            if time.monotonic() > end:
                raise RuntimeError(f"{page} is still {said} after {PATIENCE:.0f} s")
            time.sleep(0.1)

    def expect(self, what, said, wanted):
        if any(said.get(key) != value for key, value in wanted.items()):
            self.fault(f"{what}: wanted {wanted}, got {said}")

    def log_in(self, number):
        rng = random.Random(f"{options.seed} {number}")
        kind, account, session = rng.choice(KINDS), f"shopper {number}", f"{rng.getrandbits(128):032x}"
        who = f"login {number} ({kind})"
        asked = self.post("/ask", session, account=account, phone=f"+3361{options.seed % 10}{number:07d}")
        if "challenge" not in asked:
            return self.fault(f"{who}: no code: {asked}")
        challenge = asked["challenge"]
        code = self.phones.code(challenge)
        if code is None:
            return self.fault(f"{who}: no message came")
        form = {"account": account, "challenge": challenge}
        wrong = f"{(int(code) + rng.randrange(1, 1_000_000)) % 1_000_000:06d}"
        is_in, is_wrong = {"in": True, "challenge": challenge}, {"refused": "wrongCode", "left": 4}
        typed, wanted = (wrong, is_wrong) if kind.startswith("wrong") else (code, is_in)
        if kind.endswith("posted twice"):
            with concurrent.futures.ThreadPoolExecutor(2) as both:
                posts = [both.submit(self.post, "/login", session, code=typed, **form) for _ in range(2)]
            for post in posts:
                self.expect(who, post.result(), wanted)
            if wanted is is_in and [post.result().get("repeated") for post in posts].count(False) > 1:
                self.fault(f"{who}: both posts were told that they acted")
        else:
            self.expect(who, self.post("/login", session, code=typed, **form), wanted)
        if kind == "wrong, then right":
            self.expect(who, self.post("/login", session, code=code, generation=1, **form), is_in)
        with self.lock:
            self.counts[kind] += 1

    def run(self, number):
        if options.planted and self.faults:
            return
        try:
            self.log_in(number)
        except Exception as error:
            self.fault(f"login {number}: {type(error).__name__}: {error}")
        with self.lock:
            self.done += 1


def plant(folder):
    """The shop with a client that mixes people up as its first version did, out of three faults of test_planted."""
    spec = importlib.util.spec_from_file_location("test_planted", python_client / "test_planted.py")
    planted = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(planted)
    source = (python_client / "otpd_client.py").read_text()
    for name in ("a child goes on with its parent's connections", "the correlation isn't looked at",
                 "threads share a connection without waiting for it"):
        _, old, new, _ = next(fault for fault in planted.FAULTS if fault[0] == name)
        source = source.replace(old, new)
    (folder / "otpd_client.py").write_text(source)
    shutil.copy(python_client / "otpd_wire.py", folder)


def disturb(server, shoppers, rng, said):
    """One of each kind at least, spread over the logins."""
    count = max(len(DISTURBANCES), options.logins // 250)
    plan = [DISTURBANCES[n % len(DISTURBANCES)] for n in range(count)]
    rng.shuffle(plan)
    for n, what in enumerate(plan):
        while shoppers.done < (n + 1) * options.logins // (count + 1):
            if options.planted and shoppers.faults:
                return
            time.sleep(0.01)
        said.append((what, server.disturb(what, rng)))


def run(folder):
    begun = time.monotonic()
    server = Otpd(folder)
    server.start()
    phones = Phones(server.path)
    phones.start()
    web, log = folder / "web.sock", folder / "gunicorn.log"
    if options.planted:
        plant(folder)
    gunicorn = subprocess.Popen(
        [options.python.absolute(), "-m", "gunicorn", "--preload", "--workers", str(options.workers),
         "--worker-class", "gthread", "--threads", str(options.threads), "--bind", f"unix:{web}", "--log-file", log,
         "--chdir", python_client / "examples", "shop:application"],
        env={**os.environ, "OTPD_SOCKET": str(server.path), "PYTHONPATH": str(folder),
             "OTPD_CONNECTIONS": "1" if options.planted else str(options.threads)})
    try:
        end = time.monotonic() + 20
        while not web.exists() and time.monotonic() < end and gunicorn.poll() is None:
            time.sleep(0.02)
        shoppers, disturbances = Shoppers(web, phones), []
        disturber = threading.Thread(target=disturb, daemon=True,
                                     args=(server, shoppers, random.Random(options.seed), disturbances))
        disturber.start()
        with concurrent.futures.ThreadPoolExecutor(options.workers * options.threads) as pool:
            list(pool.map(shoppers.run, range(options.logins)))
        disturber.join(60)
    finally:
        gunicorn.terminate()
        gunicorn.wait(40)
        server.process.send_signal(signal.SIGCONT)
        server.end(signal.SIGTERM)
    for trace in re.findall(r"(?:Error handling request|Exception in worker|WORKER TIMEOUT|Traceback).*", log.read_text()):
        shoppers.fault(f"gunicorn: {trace}")
    return report(shoppers, phones, disturbances, time.monotonic() - begun)


def report(shoppers, phones, disturbances, seconds):
    counts = shoppers.counts
    print(f"gunicorn --preload, {options.workers} workers of {options.threads} threads, seed {options.seed}: "
          f"{shoppers.done} logins in {seconds:.1f} s, {counts.pop('posts')} posts to {len(shoppers.workers)} workers, "
          f"{counts.pop('unknown')} of them told unknown and sent again; the courier's lease was cut {phones.cuts} times")
    for what in DISTURBANCES:
        times = [taken for name, taken in disturbances if name == what]
        if times:
            print(f"  otpd {what} {len(times)} times, {sum(times):.1f} s")
    for kind, count in sorted(counts.items()):
        print(f"  {kind}: {count}")
    for fault in shoppers.faults[:10]:
        print(f"  FAULT {fault}")
    print(f"faults: {len(shoppers.faults)}")
    if options.planted:
        print("the planted fault was found" if shoppers.faults else "the planted fault was NOT found")
        return not shoppers.faults
    return bool(shoppers.faults) or len(shoppers.workers) < options.workers


with tempfile.TemporaryDirectory(prefix="otpd-gunicorn-") as temporary:
    sys.exit(run(pathlib.Path(temporary)))
