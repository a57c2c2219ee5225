#!/bin/bash
# Codes through HTTP gateways that are real: AWS's SNS as moto (PyPI) plays it, and Kannel 1.4 (Debian) before an SMSC simulator (smpp.twisted3,
# PyPI). otpd and one otp-courier with routes, all in a temp folder and on loopback. Any step that doesn't come true fails.
set -euo pipefail
bin=$(cd "$1" && pwd)
scripts=$(cd "$(dirname "$0")" && pwd)
python=$(sh "$scripts/python-venv.sh")
moto=$(sh "$scripts/python-venv.sh" moto)
here=$(mktemp -d)
cd "$here"
pids=()
finish() {
    status=$?
    for pid in "${pids[@]}"; do
        kill -9 "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    [ $status -ne 0 ] && { echo "gateways: failed; what was said:"; tail -n 20 ./*.log; }
    rm -rf "$here"
    exit $status
}
trap finish EXIT

step() { echo; echo "== $*"; }
show() { sed 's/^/        /'; }
ctl() { "$bin/otpctl" "$@" --socket .otpd-dev/otpd.sock 2>&1; }
until_true() { # until_true COMMAND...: for 30 s at most
    for _ in $(seq 600); do "$@" >/dev/null 2>&1 && return; sleep 0.05; done
    echo "gateways: never came true: $*"
    [ -z "${challenge:-}" ] || ctl message show "$challenge"
    exit 1
}
has_status() { ctl status "$1" | grep -q "delivery: *$2"; }
request() { # request ACCOUNT PHONE: sets challenge
    local out
    out=$(ctl request --account "$1" --phone "$2")
    echo "$out" | show
    challenge=$(echo "$out" | sed -n 's/^challenge: *//p')
    [ -n "$challenge" ]
}
verify() { ctl verify "$challenge" "$1" | tee verified | show; grep -q 'accepted\|grant' verified; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
listens() { python3 -c 'import socket, sys; socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1)' "$1"; }

step "Peers on loopback: moto (SNS), the SMSC simulator, Kannel's bearerbox and smsbox"
sns=$(free_port)
"$(dirname "$moto")/moto_server" -H 127.0.0.1 -p "$sns" >moto.log 2>&1 &
pids+=($!)
touch smsc.log
"$python" "$scripts/smsc.py" --port 0 --log smsc.log >smsc-out.log 2>&1 &
pids+=($!)
until_true grep -q listening smsc.log
smpp=$(sed -n 's/.*"port": \([0-9]*\).*/\1/p' smsc.log)
sendsms=$(free_port) admin=$(free_port) inner=$(free_port)
cat >kannel.conf <<END
group = core
admin-port = $admin
admin-interface = 127.0.0.1
admin-password = $RANDOM$RANDOM
smsbox-port = $inner
smsbox-interface = 127.0.0.1
store-type = file
store-location = "$here/kannel.store"
dlr-storage = internal

group = smsc
smsc = smpp
smsc-id = sim
host = 127.0.0.1
port = $smpp
transceiver-mode = true
smsc-username = "otpd"
smsc-password = "secret"
system-type = ""
source-addr-autodetect = true
reconnect-delay = 1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = $sendsms
sendsms-interface = 127.0.0.1
sendsms-chars = "0123456789+"

group = sendsms-user
username = otpd
password = kannel-secret
max-messages = 3
concatenation = true

group = sms-service
keyword = default
text = "ignored"
max-messages = 0
END
/usr/sbin/bearerbox kannel.conf >bearerbox.log 2>&1 &
pids+=($!)
until_true listens "$inner"
start_smsbox() {
    /usr/sbin/smsbox kannel.conf >smsbox.log 2>&1 &
    smsbox=$!
    pids+=("$smsbox")
    until_true listens "$sendsms"
}
start_smsbox
until_true listens "$sns"
until_true grep -q established smsc-out.log
echo "        SNS at 127.0.0.1:$sns, Kannel's sendsms at 127.0.0.1:$sendsms, SMPP at 127.0.0.1:$smpp"

step "otpd, otp-receipts for Kannel's and a signed vendor's callbacks, and a courier with four gateways"
"$bin/otpd" --dev --courier none >otpd.log 2>&1 &
otpd=$!
pids+=("$otpd")
until_true ctl ping
(umask 077 && echo aws-secret >aws && echo kannel-secret >kannel && echo mistaken >wrong && echo a-token-of-32-bytes-0123456789ab >token)
cat >receipts.toml <<END
socket = "$here/.otpd-dev/otpd.sock"
listen = "127.0.0.1:0"
[[receipts]]
gateway = "kannel"
vendor = "kannel"
path = "/sms/kannel"
secret_file = "$here/token"
[[receipts]]
gateway = "kannel"
vendor = "twilio"
path = "/sms/twilio"
url = "https://shop.example/sms/twilio"
secret_file = "$here/token"
END
"$bin/otp-receipts" --config receipts.toml --check
"$bin/otp-receipts" --config receipts.toml >receipts.log 2>&1 &
receiver=$!
pids+=("$receiver")
until_true grep -q listening receipts.log
receipts=$(sed -n 's/.*listening on 127.0.0.1:\([0-9]*\),.*/\1/p' receipts.log)
cat >courier.toml <<END
socket = "$here/.otpd-dev/otpd.sock"
[[gateways]]
name = "sns"
kind = "http"
vendor = "sns"
base = "http://127.0.0.1:$sns"
region = "eu-west-1"
account = "AKIDEXAMPLE"
secret_file = "$here/aws"
price = "0.06"
currency = "USD"
[[gateways]]
name = "kannel"
kind = "http"
vendor = "kannel"
base = "http://127.0.0.1:$sendsms"
account = "otpd"
secret_file = "$here/kannel"
sender = "33700"
callback = "http://127.0.0.1:$receipts/sms/kannel?token=a-token-of-32-bytes-0123456789ab"
[[gateways]]
name = "mistaken"
kind = "http"
vendor = "kannel"
base = "http://127.0.0.1:$sendsms"
account = "otpd"
secret_file = "$here/wrong"
[[gateways]]
name = "written"
kind = "http"
vendor = "generic"
account = "otpd"
secret_file = "$here/kannel"
sender = "33701"
[gateways.request]
url = "http://127.0.0.1:$sendsms/cgi-bin/sendsms?username={user}&password={secret}&from={sender}&to={phone}&text={text}&charset=UTF-8&coding=0&validity={life_minutes}"
method = "GET"
[gateways.answer]
success = [202]
contains = "0: Accepted"
[[routes]]
prefixes = ["+33"]
gateways = ["sns"]
[[routes]]
prefixes = ["+44"]
gateways = ["kannel"]
[[routes]]
prefixes = ["+49"]
gateways = ["mistaken", "kannel"]
[[routes]]
prefixes = ["+34"]
gateways = ["written"]
END
"$bin/otp-courier" run --config courier.toml --check
"$bin/otp-courier" run --config courier.toml >courier.log 2>&1 &
courier=$!
pids+=("$courier")

step "SNS: Alice in France"
request alice@example.org +33612345678
until_true has_status "$challenge" submitted
python3 - "$sns" >sent <<'END'
import json, sys, urllib.request
for sms in json.load(urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/moto-api/data.json"))["sns"]["SMS"]:
    print(sms["phone_number"], "|", sms["message"].replace("\n", " / "), "|", sms["message_id"])
END
echo "        -- what SNS was asked to send:"; show <sent
echo "        -- what otpd knows of it:"; ctl message show "$challenge" | show
ctl message show "$challenge" | grep -q "price: *0.06 USD"
[ "$(wc -l <sent)" -eq 1 ]
verify "$(sed -n 's/^+33612345678 | \([0-9]\{6\}\) .*/\1/p' sent)"

code_to() { sed -n "s/.*\"to\": \"$1\", \"text\": \"\([0-9]\{6\}\).*/\1/p" smsc.log | tail -1; }
reached() { grep -q "\"event\": \"submit\".*\"to\": \"$1\"" smsc.log; }

step "Kannel: Bob in Britain; Kannel hands it to the SMSC over SMPP"
request bob@example.org +447700900123
until_true has_status "$challenge" "\(submitted\|delivered\)"
until_true reached 447700900123
grep '"event": "submit".*447700900123' smsc.log | cut -c 1-200 | show
until_true has_status "$challenge" delivered
echo "        -- the SMSC's receipt, through Kannel's dlr-url and otp-receipts:"; ctl message show "$challenge" | tee history | show
verify "$(code_to 447700900123)"

answer() { # answer PATH [CURL'S ARGUMENTS]: the HTTP status
    curl -s -o /dev/null -w '%{http_code}' "${@:2}" "http://127.0.0.1:$receipts$1"
}
step "Receipts that others make up are refused; a vendor's signature is checked; what otpd hasn't on disk isn't answered 200"
reference=$(sed -n 's/^reference: *//p' history)
[ -n "$reference" ]
[ "$(answer "/sms/kannel?token=a-token-of-32-bytes-0123456789aX&reference=$reference&state=2")" = 403 ]
[ "$(answer "/sms/kannel?reference=$reference&state=2")" = 403 ]
form="MessageSid=$reference&MessageStatus=delivered"
signature=$(python3 -c 'import base64, hashlib, hmac, sys; print(base64.b64encode(hmac.new(b"a-token-of-32-bytes-0123456789ab", ("https://shop.example/sms/twilioMessageSid" + sys.argv[1] + "MessageStatusdelivered").encode(), hashlib.sha1).digest()).decode())' "$reference")
[ "$(answer /sms/twilio -d "$form" -H "X-Twilio-Signature: $signature")" = 200 ]
[ "$(answer /sms/twilio -d "$form&x=1" -H "X-Twilio-Signature: $signature")" = 403 ]
[ "$(answer "/sms/kannel?token=a-token-of-32-bytes-0123456789ab&reference=nobody&state=1")" = 404 ]
ctl message show "$challenge" | grep -q 'delivered'
kill -STOP "$otpd"
[ "$(answer "/sms/kannel?token=a-token-of-32-bytes-0123456789ab&reference=$reference&state=1" -m 15)" = 503 ]
kill -CONT "$otpd"
[ "$(answer "/sms/kannel?token=a-token-of-32-bytes-0123456789ab&reference=$reference&state=1")" = 200 ]
show <receipts.log

step "A gateway whose password is wrong: 403, its breaker opens, and Kannel with the right one has Carla's message"
request carla@example.org +4915112345678
until_true has_status "$challenge" "\(submitted\|delivered\)"
until_true reached 4915112345678
verify "$(code_to 4915112345678)"
ctl message show "$challenge" | tee history | show
grep -q "submits: *2" history && grep -q "gateway: *kannel" history
grep -q 'mistaken: HTTP 403' courier.log
show <courier.log

step "A vendor written in the configuration: Diego in Spain"
request diego@example.org +34612345678
until_true has_status "$challenge" "\(submitted\|delivered\)"
until_true reached 34612345678
verify "$(code_to 34612345678)"

step "Kannel's smsbox is gone: the message waits, costs no attempt, and leaves when it is back"
kill "$smsbox"
wait "$smsbox" 2>/dev/null || true
request erin@example.org +447700900456
until_true grep -q "kannel: Couldn't connect\|kannel: .*connect" courier.log
has_status "$challenge" queued
start_smsbox
until_true has_status "$challenge" "\(submitted\|delivered\)"
until_true reached 447700900456
[ "$(grep -c '"event": "submit".*447700900456' smsc.log)" -eq 1 ]
verify "$(code_to 447700900456)"

step "otpctl routes drain: nothing new through Kannel, until it is undrained"
ctl routes drain kannel | show
is_drained() { ctl routes --json | grep '"gateway":"kannel"' | grep -q '"drained":"yes"'; }
until_true is_drained
request frank@example.org +447700900789
sleep 2
has_status "$challenge" queued
! reached 447700900789
ctl routes undrain kannel | show
until_true has_status "$challenge" "\(submitted\|delivered\)"
until_true reached 447700900789
ctl routes | show

step "No code and no secret in what was logged"
cat courier.log otpd.log receipts.log >said
for secret in aws-secret a-token-of  kannel-secret mistaken-secret $(sed -n 's/.*"text": "\([0-9]\{6\}\).*/\1/p' smsc.log); do
    ! grep -q "$secret" said || { echo "gateways: $secret was logged"; exit 1; }
done
show <courier.log

step "SIGTERM: courier and receiver end"
kill -TERM "$courier" "$receiver"
wait "$courier"
wait "$receiver"
echo
echo "gateways: done"
