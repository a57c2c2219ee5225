#!/bin/bash
# The story of one shopper and one attacker, told by otpctl against a development server in a temp folder.
set -euo pipefail
bin=$(cd "$1" && pwd)
here=$(mktemp -d)
cd "$here"
server=""
finish() {
    status=$?
    [ -n "$server" ] && kill -9 "$server" 2>/dev/null || true
    [ $status -ne 0 ] && { echo "demo: failed; the server said:"; cat otpd.log; }
    rm -rf "$here"
    exit $status
}
trap finish EXIT

last=$EPOCHREALTIME
lap() { # prints how long the step took
    local now=$EPOCHREALTIME
    echo "        ($(( (${now/./} - ${last/./}) / 1000 )) ms)"
    last=$EPOCHREALTIME
}
step() { echo; echo "== $*"; last=$EPOCHREALTIME; }
ctl() { local sub=$1; shift; "$bin/otpctl" "$sub" "$@" --socket .otpd-dev/otpd.sock 2>&1; }
expect() { # expect EXITCODE PATTERN command...: shows the output; the wrong outcome fails the demo
    local code=$1 pattern=$2 got=0 out
    shift 2
    out=$(ctl "$@") || got=$?
    echo "$out" | sed 's/^/        /'
    [ "$got" = "$code" ] || { echo "demo: exit code $got, expected $code"; exit 1; }
    echo "$out" | grep -q "$pattern" || { echo "demo: expected '$pattern'"; exit 1; }
    result=$out
}
field() { echo "$result" | sed -n "s/^$1: *//p"; }
start() {
    "$bin/otpd" --dev >>otpd.log 2>&1 &
    server=$!
    for _ in $(seq 400); do ctl ping >/dev/null && return; sleep 0.02; done
    echo "demo: the server didn't come up"; exit 1
}
sms() { # the newest box to this phone
    for _ in $(seq 250); do
        grep -q "^╭─ SMS to $1 .*" otpd.log && break
        sleep 0.02
    done
    sleep 0.02
    awk -v to="SMS to $1 " '/^╭/ {box=""; wanted=index($0, to)} {box=box "        " $0 "\n"} /^╰/ {if (wanted) last=box} END {printf "%s", last}' otpd.log
}

step "otpd starts with an empty store and a console courier beside it"
start
lap

step "Mallory asks for codes to three phones of one account, one after another"
bob=(--account bob@example.org --assurance anonymous)
expect 0 created request "${bob[@]}" --phone +33700000001 >/dev/null
expect 0 created request "${bob[@]}" --phone +33700000002 >/dev/null
expect 0 created request "${bob[@]}" --phone +33700000003
bobs=$(field challenge)
mallory=$EPOCHSECONDS
lap

step "... and for one more message at once: too early"
expect 4 resendGap resend "$bobs"
lap

step "Alice logs in: the web tier asks for a code to +33612345678"
expect 0 created request --account alice@example.org --phone +33612345678 --web-host shop.example
challenge=$(field challenge)
lap

step "The SMS, as her phone shows it"
sms +33612345678
code=$(sms +33612345678 | sed -n 's/.*│ \([0-9]\{6\}\) is your.*/\1/p')
lap

step "A wrong code: refused, and counted before the answer"
expect 5 "attempts_left: *4" verify "$challenge" "$(printf %06d $(( (10#$code + 1) % 1000000 )))"
lap

step "A code that can't be one (letters): refused, no attempt burnt"
expect 3 invalidCode verify "$challenge" abcdef
lap

step "The right code: accepted, once, with a grant"
expect 0 grant verify "$challenge" "$code"
grant=$(field grant)
lap

step "The shop redeems the grant"
expect 0 verified_at_ms grant redeem "$grant" --account alice@example.org
lap

step "The same code again, and the same grant again: refused"
expect 3 challengeNotOpen verify "$challenge" "$code"
expect 3 grantInvalid grant redeem "$grant" --account alice@example.org
lap

step "kill -9, in the middle of everything; then started again"
kill -9 "$server"
wait "$server" 2>/dev/null || true
start
lap

step "After the crash: the used code is still used, the spent grant still spent, Mallory's sends still debited"
expect 3 challengeNotOpen verify "$challenge" "$code"
expect 3 grantInvalid grant redeem "$grant" --account alice@example.org
expect 0 "sends_left_hour: *2" quota "${bob[@]}" --phone +33700000003
lap

left=$(( mallory + 31 - EPOCHSECONDS ))
step "Mallory waits until the resend gap of 30 s is over ($left s) ..."
[ "$left" -gt 0 ] && sleep "$left"
echo "        ... and gets a fourth and a fifth message"
expect 0 created request "${bob[@]}" --phone +33700000001 >/dev/null
expect 0 created request "${bob[@]}" --phone +33700000002 >/dev/null
lap

step "The sixth unverified send within the hour: refused, with the time to wait"
expect 4 accountUnverifiedHour request "${bob[@]}" --phone +33700000003
lap

step "The events, as a subscriber saw them"
ctl events --from oldest | sed 's/^/        /'
lap

step "A clean stop: SIGTERM, what is in flight is answered, exit 0"
kill -TERM "$server"
wait "$server"
server=""
lap

if command -v mdb_stat >/dev/null; then
    step "LMDB's own tools read what is left (mdb_stat -e, mdb_copy)"
    mdb_stat -e .otpd-dev/data/lmdb | sed -n '1,9s/^/        /p'
    mdb_copy .otpd-dev/data/lmdb >copy.mdb
    echo "        mdb_copy: $(wc -c <copy.mdb) bytes"
    lap
fi
echo
echo "demo: done"
