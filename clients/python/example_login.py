#!/usr/bin/env python3
"""A login at the terminal, against a development server: run `make run` in another terminal, then this in the same folder.

The code shows up in the server's terminal, as the phone would get it.
"""

import hashlib
import sys

import otpd_client as otpd


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else ".otpd-dev/otpd.sock"
    session = hashlib.sha256(b"the browser's session cookie").digest()
    account, phone = "alice@example.com", "+33612345678"
    with otpd.Client(path) as client:
        try:
            challenge = client.request_code(account, phone, session)["challenge"]
        except otpd.Refused as no:
            sys.exit(f"no code now ({no.status}, {no.limit}); again in {no.retry_after_ms / 1000:.0f} s")
        while True:
            try:
                grant = client.verify(challenge, session, input("code: ").strip())["grant"]
                break
            except otpd.Refused as no:
                if no.status not in ("wrongCode", "invalidCode"):
                    sys.exit(f"start again ({no.status})")
                print(f"{no.status}; attempts left: {no.attempts_left}")
        client.redeem_grant(grant, 1, account, session)
        print("logged in")


if __name__ == "__main__":
    main()
