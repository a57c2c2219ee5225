#!/bin/bash
# Fail-over between two SMSCs (smpp.twisted3, PyPI), seen from the shop's side: one that misbehaves by destination (scripts/smsc.py tells how),
# then dies and comes back, and one that takes everything. In a temp folder and on loopback. Any step that doesn't come true fails.
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
    [ $status -ne 0 ] && { echo "failover: failed; what was said:"; tail -n 20 ./*.log; }
    rm -rf "$here"
    exit $status
}
trap finish EXIT

step() { echo; echo "== $*"; }
show() { sed 's/^/        /'; }
ctl() { "$bin/otpctl" "$@" --socket .otpd-dev/otpd.sock 2>&1; }
until_true() { # until_true COMMAND...: for 30 s at most
    for _ in $(seq 600); do "$@" >/dev/null 2>&1 && return; sleep 0.05; done
    echo "failover: never came true: $*"
    [ -z "${challenge:-}" ] || ctl message show "$challenge"
    exit 1
}
has_status() { ctl status "$1" | grep -q "delivery: *$2"; }
request() { # request PHONE: sets challenge
    challenge=$(ctl request --account "account-$1" --phone "$1" | sed -n 's/^challenge: *//p')
    [ -n "$challenge" ]
}
submits() { grep '"event": "submit"' "$1.log" | grep -c "\"to\": \"${2#+}\"" || true; } # submits SMSC PHONE
saw() { # saw PHONE FIRST SECOND: submits at each
    [ "$(submits first "$1")" = "$2" ] && [ "$(submits second "$1")" = "$3" ] ||
        { echo "failover: $1: $(submits first "$1") submits at the first, $(submits second "$1") at the second, not $2 and $3"; exit 1; }
}
smsc() { # smsc NAME PORT [OPTION]
    touch "$1.log"
    "$python" "$scripts/smsc.py" --port "$2" --log "$1.log" "${@:3}" >"$1-out.log" 2>&1 &
    pids+=($!)
}
port() { sed -n 's/.*"port": \([0-9]*\).*/\1/p' "$1.log" | tail -1; }
breaker() { ctl routes --json | grep '"gateway":"first"' | grep -q "\"breaker\":\"$1\""; }

step "Two SMSCs, otpd, a courier whose route has both"
smsc first 0
first=$!
smsc second 0 --plain
until_true grep -q listening first.log
until_true grep -q listening second.log
"$bin/otpd" --dev --courier none >otpd.log 2>&1 &
pids+=($!)
until_true ctl ping
(umask 077 && echo secret >password)
{
    echo "socket = \"$here/.otpd-dev/otpd.sock\""
    for name in first second; do
        printf '[[gateways]]\nname = "%s"\nkind = "smpp"\nhost = "127.0.0.1"\nport = %s\nsystem_id = "otpd"\npassword_file = "%s"\nsender = "Example"\n' \
            "$name" "$(port "$name")" "$here/password"
    done
    printf '[[routes]]\ngateways = ["first", "second"]\n'
} >courier.toml
"$bin/otp-courier" run --config courier.toml >courier.log 2>&1 &
courier=$!
pids+=("$courier")

step "Taken by the first: the second sees nothing"
request +33612341000
until_true has_status "$challenge" delivered
saw +33612341000 1 0

step "No answer: in doubt after 5 s, then once through the second"
request +33612340008
until_true has_status "$challenge" delivered
saw +33612340008 1 1
ctl message show "$challenge" | tee history | show
grep -q 'submits: *2' history
grep -q 'gateway: *second' history

step "The connection is reset with the message under way: in doubt, then once through the second"
request +33612340009
until_true has_status "$challenge" delivered
saw +33612340009 1 1

step "The network gives up (UNDELIV, then EXPIRED): one fail-over each"
for phone in +33612340005 +33612340006; do
    request "$phone"
    until_true has_status "$challenge" delivered
    saw "$phone" 1 1
done
ctl message show "$challenge" | show

step "A transient refusal: the second has it"
request +33612340004
until_true has_status "$challenge" delivered
saw +33612340004 1 1

step "No such number: final, the second is never asked"
request +33612340003
until_true has_status "$challenge" failed
saw +33612340003 1 0

step "A receipt that comes twice, or before the answer: once, delivered"
for phone in +33612340010 +33612340011; do
    request "$phone"
    until_true has_status "$challenge" delivered
    saw "$phone" 1 0
done

step "Sixteen messages while the first SMSC is killed: none lost, then all through the second"
for number in $(seq 10 25); do
    request "+336123420$number"
    challenges+=("$challenge")
    if [ "$number" = 17 ]; then kill -9 "$first"; wait "$first" 2>/dev/null || true; fi
done
# A receipt that died with the SMSC never comes: such a message stays submitted.
for challenge in "${challenges[@]}"; do until_true has_status "$challenge" '\(submitted\|delivered\)'; done
twice=0
for number in $(seq 10 25); do
    at_first=$(submits first "+336123420$number") at_second=$(submits second "+336123420$number")
    [ $((at_first + at_second)) -ge 1 ] && [ $((at_first + at_second)) -le 2 ]
    [ $((at_first + at_second)) -eq 1 ] || twice=$((twice + 1))
done
echo "        $(grep -c '"event": "submit".*"336123420' first.log) submits at the first, $(grep -c '"event": "submit".*"336123420' second.log) at the second, $twice messages at both (in flight at the kill)"
[ "$twice" -le 10 ]

step "It comes back on its port: messages go through it again"
at=$(port first)
mv first.log first-before.log
smsc first "$at"
until_true grep -q listening first.log
until_true breaker closed
goes_first() { request "+336123430$((counter += 1))" && sleep 0.3 && [ "$(submits first "+336123430$counter")" = 1 ]; }
counter=10
until_true goes_first
until_true has_status "$challenge" delivered
ctl routes | show

step "SIGTERM: the courier ends"
show <courier.log
kill -TERM "$courier"
wait "$courier"
echo
echo "failover: done"
