#!/usr/bin/env python3
"""Messages through otpd, otp-courier smpp and the simulator, while the courier or otpd is killed with SIGKILL again and again. None may be lost, no
more may come twice than were in flight at the kills, and none may come after its code's life. Without a victim none may come twice.

usage: scripts/courier-kills.py PROGRAMS PYTHON [--messages 300] [--every 1.0] [--rate 100] [--victim courier|core|both|none]
"""
import argparse
import collections
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

scripts = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(scripts.parent / "clients/python"))
import otpd_client as otpd  # noqa: E402

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("programs", type=pathlib.Path)
parser.add_argument("python", type=pathlib.Path, help="from scripts/python-venv.sh")
parser.add_argument("--messages", type=int, default=300)
parser.add_argument("--every", type=float, default=1.0, help="seconds between kills")
parser.add_argument("--rate", type=float, default=100, help="requests a second")
parser.add_argument("--victim", choices=["courier", "core", "both", "none"], default="courier")
parser.add_argument("--prefill", action="store_true", help="all requests first, then the courier, and no kill: how fast a queue empties")
parser.add_argument("--window", type=int, default=10)
options = parser.parse_args()
programs, python = options.programs.resolve(), options.python.absolute()
processes = []


def start(*arguments):
    process = subprocess.Popen([str(a) for a in arguments], stdout=subprocess.DEVNULL, stderr=open("said.log", "ab"))
    processes.append(process)
    return process


def wait_for(what, test, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if test():
            return
        time.sleep(0.02)
    sys.exit(f"courier-kills: {what} didn't come true in {seconds} s\n{open('said.log').read()[-2000:]}")


def submits():
    with open("smsc.log", encoding="ascii") as log:
        return [event for event in map(json.loads, log) if event["event"] == "submit"]


def request(client, account, phone):
    """Until the outcome is known, for 20 s at most: the server may just have been killed."""
    session, end, number = hashlib.sha256(b"browser").digest(), time.monotonic() + 20, client.request_id()
    while True:
        try:
            return client.request_code(account, phone, session, request_id=number)
        except otpd.Unknown:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def run():
    open("smsc.log", "w").close()
    start(python, scripts / "smsc.py", "--port", 0, "--log", "smsc.log", "--quiet")
    wait_for("the simulator", lambda: os.path.getsize("smsc.log"), 30)
    port = json.loads(open("smsc.log", encoding="ascii").readline())["port"]
    server = [programs / "otpd", "--dev", "--courier", "none"]
    core = start(*server)
    wait_for("otpd", lambda: os.path.exists(".otpd-dev/otpd.sock"), 30)
    os.close(os.open("password", os.O_CREAT | os.O_WRONLY, 0o600))
    pathlib.Path("password").write_text("secret\n", encoding="ascii")
    courier = [programs / "otp-courier", "smpp", "--socket", ".otpd-dev/otpd.sock", "--host", "127.0.0.1", "--port", port,
               "--system-id", "otpd", "--password-file", "password", "--window", options.window, "--response-seconds", 3]
    sender = None if options.prefill else start(*courier)
    victims = {"courier": [[sender, courier]], "core": [[core, server]], "both": [[sender, courier], [core, server]], "none": []}[options.victim]
    over = threading.Event()
    kills = []

    def killer():
        while not over.wait(options.every):
            running = victims[len(kills) % len(victims)]
            running[0].kill()
            running[0].wait()
            kills.append(time.time())
            running[0] = start(*running[1])

    thread = threading.Thread(target=killer, daemon=True)
    if not options.prefill and victims:
        thread.start()
    phones, answered, ends, began = [], {}, {}, time.monotonic()
    with otpd.Client(".otpd-dev/otpd.sock") as client:
        for number in range(options.messages):
            time.sleep(max(0, began + number / options.rate - time.monotonic()))
            phone = f"+336120{number:05d}0"
            reply = request(client, f"account-{number}".encode(), phone.encode())
            answered[phone[1:]] = time.time()
            # By the wall clock, as the simulator's times are.
            ends[phone[1:]] = time.time() + (reply["expires_at_ms"] - int.from_bytes(client.request_id()[:6], "big")) / 1000
            phones.append(phone[1:])
        requested = time.monotonic() - began
        if options.prefill:
            start(*courier)
        else:
            over.set()
            if victims:
                thread.join()
        wait_for("every message at the SMSC", lambda: len({s["to"] for s in submits()}) == len(phones), 60)
        if kills:
            time.sleep(20)  # leases that the last kill left behind end within 15 s: what was submitted already would come again
    copies = collections.Counter(s["to"] for s in submits())
    extra = sum(copies.values()) - len(copies)
    lost = set(phones) - set(copies)
    times = sorted(s["t"] for s in submits())
    who = "" if not kills else " of both in turns" if options.victim == "both" else f" of the {options.victim}"
    print(f"courier-kills: {len(phones)} messages asked for in {requested:.1f} s, {len(kills)} kills{who}, window {options.window}: "
          f"{len(lost)} lost, {extra} duplicates, at most {max(copies.values())} copies of one; "
          f"first to last submit {times[-1] - times[0]:.1f} s")
    late = sum(s["t"] > ends[s["to"]] for s in submits() if s["to"] in ends)
    waits = sorted(max(0, s["t"] - answered[s["to"]]) * 1000 for s in submits())
    if not kills and not options.prefill:
        at = {share: waits[min(len(waits) - 1, int(len(waits) * share))] for share in (0.5, 0.99, 0.999)}
        print(f"courier-kills: from the reply to the submit at the SMSC: p50 {at[0.5]:.1f} ms, p99 {at[0.99]:.1f} ms, p99.9 {at[0.999]:.1f} ms, "
              f"max {waits[-1]:.1f} ms")
    if late:
        sys.exit(f"courier-kills: {late} messages were submitted after their codes' life")
    if lost or extra > options.window * len(kills) or max(copies.values()) > 3:
        sys.exit("courier-kills: a message was lost, or repeated more often than a kill explains")


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    try:
        run()
    finally:
        for process in processes:
            process.kill()
            process.wait()
        os.chdir("/")
