#!/bin/bash
# A login whose SMS goes through a real SMPP 3.4 peer: otpd, otp-courier smpp and the simulator of scripts/smsc.py (smpp.twisted3), all in a
# temp folder and on loopback.
set -euo pipefail
bin=$(cd "$1" && pwd)
scripts=$(cd "$(dirname "$0")" && pwd)
python=$(sh "$scripts/python-venv.sh")
here=$(mktemp -d)
cd "$here"
pids=()
finish() {
    status=$?
    for pid in "${pids[@]}"; do
        kill -9 "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    [ $status -ne 0 ] && { echo "demo: failed; what was said:"; tail -n 20 ./*.log; }
    rm -rf "$here"
    exit $status
}
trap finish EXIT

step() { echo; echo "== $*"; }
ctl() { local sub=$1; shift; "$bin/otpctl" "$sub" "$@" --socket .otpd-dev/otpd.sock 2>&1; }
until_true() { # until_true COMMAND...: for 10 s at most
    for _ in $(seq 500); do "$@" >/dev/null 2>&1 && return; sleep 0.02; done
    echo "demo: never came true: $*"; exit 1
}
has_status() { ctl status "$1" | grep -q "delivery: *$2"; }
request() { # request ACCOUNT PHONE: sets challenge
    local out
    out=$(ctl request --account "$1" --phone "$2")
    echo "$out" | sed 's/^/        /'
    challenge=$(echo "$out" | sed -n 's/^challenge: *//p')
    [ -n "$challenge" ]
}
code_to() { sed -n "s/.*\"to\": \"$1\", \"text\": \"\([0-9]\{6\}\).*/\1/p" smsc.log | tail -1; }

step "The SMSC simulator listens on loopback"
touch smsc.log
"$python" "$scripts/smsc.py" --port 0 --log smsc.log --receipt-ms 1500 >smsc-out.log 2>&1 &
pids+=($!)
until_true grep -q listening smsc.log
port=$(sed -n 's/.*"port": \([0-9]*\).*/\1/p' smsc.log)
sed 's/^/        /' smsc.log

step "otpd starts, without a courier of its own"
"$bin/otpd" --dev --courier none >otpd.log 2>&1 &
pids+=($!)
until_true ctl ping

step "otp-courier binds to the SMSC as transceiver"
(umask 077 && echo secret >password)
"$bin/otp-courier" smpp --socket .otpd-dev/otpd.sock --host 127.0.0.1 --port "$port" --system-id otpd \
    --password-file password --source Fleur >courier.log 2>&1 &
courier=$!
pids+=("$courier")

step "Alice logs in: a code to +33612345678"
request alice@example.org +33612345678
until_true has_status "$challenge" submitted
echo "        -- a moment later:"; ctl status "$challenge" | grep delivery | sed 's/^/        /'
echo "        -- the submit_sm, as the SMSC saw it:"; grep '"event": "submit"' smsc.log | sed 's/^/        /'

step "The receipt comes"
until_true has_status "$challenge" delivered
grep '"receipt answered"' smsc.log | sed 's/^/        /'
ctl status "$challenge" | grep delivery | sed 's/^/        /'

step "She types the code"
ctl verify "$challenge" "$(code_to 33612345678)" | sed 's/^/        /'

step "A phone that is off (its number ends in 0005): the receipt says UNDELIV"
request bob@example.org +33612340005
until_true has_status "$challenge" failed
ctl status "$challenge" | grep delivery | sed 's/^/        /'

step "An SMSC that throttles twice (0001): slower, and then submitted"
request carol@example.org +33612340001
until_true has_status "$challenge" submitted
grep 33612340001 smsc.log | sed 's/^\(.\{200\}\).*/        \1.../'

step "SIGTERM: the courier unbinds and ends"
kill -TERM "$courier"
wait "$courier"
[ -s courier.log ] && sed 's/^/        /' courier.log

step "The events, as a subscriber saw them"
ctl events --from oldest | sed 's/^/        /'
echo
echo "demo: done"
