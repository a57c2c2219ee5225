"""A shop's login over otpd, as a WSGI application without a framework. Beside a development server (`make run`):

    cd clients/python/examples
    OTPD_SOCKET=../../../.otpd-dev/otpd.sock gunicorn --preload --workers 4 --threads 8 shop:application

POST /ask with account and phone sends a code; POST /login with account, challenge, generation and code logs in. Answers
are JSON. The browser's session is the cookie `session`; a real shop sets it, and checks the password before /ask.
"""

import hashlib
import http.cookies
import json
import os
import pathlib
import sys
import urllib.parse

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))
import otpd_client as otpd  # noqa: E402

# One for all workers and threads, connected before the fork. As many connections as a worker has threads: none waits.
client = otpd.Client(os.environ.get("OTPD_SOCKET", ".otpd-dev/otpd.sock"), timeout=3.0,
                     connections=int(os.environ.get("OTPD_CONNECTIONS", "8")))
client.connect()

SAY = {"tryAgain": "That code didn't work. Try again.", "wait": "Wait a little before you ask again.",
       "restart": "Start again.", "otherFactor": "Use another way to sign in, or contact us."}
OUR_SIDE = "Something went wrong on our side."
LONGEST_FORM = 4096


def ask(form, session, address):
    reply = client.request_code(form.get("account", ""), form.get("phone", ""), session, client_ip=address)
    return {"challenge": reply["challenge"].hex()}


def log_in(form, session, address):
    try:
        challenge, generation = bytes.fromhex(form.get("challenge", "")), int(form.get("generation", "0"))
    except ValueError:
        return {"say": SAY["restart"]}
    code, account = form.get("code", ""), form.get("account", "")
    # Both posts of one form carry the same request id, whichever workers get them.
    number = otpd.form_request_id(challenge, session, code, address, generation)
    grant = client.verify(challenge, session, code, number, client_ip=address)["grant"]
    # From here on the code was right; what fails now is no wrong code.
    try:
        spent = client.redeem_grant(grant, 1, account, session, otpd.form_request_id_for_grant(grant, session))
    except otpd.Refused as no:
        return {"refused": no.status, "of": "grant", "say": SAY["restart"]}
    # A payment would be made here, unless it is told again: `spent["repeated"]`.
    return {"in": True, "challenge": spent["challenge"].hex(), "repeated": spent["repeated"]}


def answer(environ):
    page = {"/ask": ask, "/login": log_in}.get(environ["PATH_INFO"])
    if page is None or environ["REQUEST_METHOD"] != "POST":
        return "404 Not Found", {"say": "There is no such page."}
    size = min(int(environ.get("CONTENT_LENGTH") or 0), LONGEST_FORM)
    form = dict(urllib.parse.parse_qsl(environ["wsgi.input"].read(size).decode("utf-8", "replace")))
    cookie = http.cookies.SimpleCookie(environ.get("HTTP_COOKIE", "")).get("session")
    session = hashlib.sha256((cookie.value if cookie else "").encode()).digest()
    try:
        return "200 OK", page(form, session, environ.get("REMOTE_ADDR", ""))
    except otpd.Refused as no:
        return "200 OK", {"refused": no.status, "left": no.attempts_left, "say": SAY.get(no.neutral, OUR_SIDE)}
    except otpd.Unknown:
        # The same form may be sent again: it acts once.
        return "503 Service Unavailable", {"unknown": True, "say": "Please try again in a moment."}
    except otpd.Closed as closed:
        return "503 Service Unavailable", {"closed": closed.reason, "say": OUR_SIDE}


def application(environ, start_response):
    status, said = answer(environ)
    body = json.dumps({**said, "worker": os.getpid()}).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
