"""What the vendors' official SDKs send for one message, as JSON lines in Tests/Vectors/vendors.json, and whether each SDK parses what
the tests' answers say. The SDKs come from PyPI, pinned below, into an environment of their own; nothing leaves loopback.

  python3 scripts/vendor-goldens.py           makes the file again
  python3 scripts/vendor-goldens.py --check   makes it and compares
"""
import datetime, http.server, json, os, pathlib, socket, subprocess, sys, threading, urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILE = ROOT / "Tests/Vectors/vendors.json"
HOME = ROOT / ".build/goldens"
PACKAGES = ["twilio==9.13.0", "plivo==4.63.0", "telnyx==4.189.0", "messagebird==2.2.0",
            "infobip-api-python-client==6.0.0", "vonage==4.9.1", "botocore==1.44.5"]
PHONE, TEXT, SENDER, KEY = "+33612345678", "483920 is your Fleur code & <é>", "Fleur", "00ff"
CALLBACK = "https://shop.example/r?x=1"
LIFE = 300
NOW = 1764061200  # 2025-11-25T09:00:00Z

ANSWERS = {
    "twilio": (201, {"sid": "SM" + "1" * 32, "status": "queued"}),
    "vonage": (200, {"message-count": "1", "messages": [{"to": "33612345678", "message-id": "v-1", "status": "0",
               "remaining-balance": "1", "message-price": "0.1", "network": "1"}]}),
    "plivo": (202, {"message": "message(s) queued", "message_uuid": ["p-1"], "api_id": "a"}),
    "telnyx": (200, {"data": {"id": "t-1", "to": [{"phone_number": PHONE, "status": "queued"}]}}),
    "messagebird": (201, {"id": "m-1", "recipients": {"items": [{"recipient": 33612345678, "status": "sent"}]}}),
    "infobip": (200, {"messages": [{"messageId": "00ff", "status": {"groupId": 1, "groupName": "PENDING", "id": 26,
                "name": "PENDING_ACCEPTED", "description": "-"}, "destination": "33612345678"}]}),
}
captured = {}
current = None


class Sink(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        kept = ("authorization", "content-type", "idempotency-key")
        headers = {k.lower(): v for k, v in self.headers.items() if k.lower() in kept}
        kind = headers.get("content-type", "").split(";")[0]
        headers["content-type"] = kind
        fields = dict(urllib.parse.parse_qsl(body)) if "form" in kind else json.loads(body)
        captured[current] = {"path": self.path, "headers": headers, "fields": fields}
        status, answer = ANSWERS[current]
        raw = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_):
        pass


def twilio(base):
    from twilio.http.http_client import TwilioHttpClient
    from twilio.rest import Client

    class Loopback(TwilioHttpClient):
        def request(self, method, uri, *args, **more):
            return super().request(method, uri.replace("https://api.twilio.com", base), *args, **more)

    client = Client("AC1", "s3cret", http_client=Loopback())
    made = client.messages.create(to=PHONE, from_=SENDER, body=TEXT, validity_period=LIFE, status_callback=CALLBACK)
    return made.sid


def plivo(base):
    import plivo as sdk
    client = sdk.RestClient("MAMTAWMJIZZDYWNMVIZJ", "s3cret")
    send = client.session.send
    def turned(request, **more):
        request.url = request.url.replace("https://api.plivo.com", base)
        return send(request, **more)
    client.session.send = turned
    made = client.messages.create(src=SENDER, dst=PHONE[1:], text=TEXT, url=CALLBACK, message_expiry=LIFE, log="false")
    return made.message_uuid[0]


def telnyx(base):
    import telnyx as sdk
    client = sdk.Telnyx(api_key="s3cret", base_url=base + "/v2")
    made = client.messages.send(to=PHONE, from_=SENDER, text=TEXT, webhook_url=CALLBACK,
                                extra_headers={"Idempotency-Key": KEY})
    return made.data.id


def messagebird(base):
    import messagebird as sdk
    from messagebird import http_client
    http_client.ENDPOINT = base
    client = sdk.Client("s3cret", http_client=http_client.HttpClient(base, "s3cret", "t"))
    made = client.message_create(SENDER, PHONE[1:], TEXT, {"validity": LIFE, "reference": KEY, "reportUrl": CALLBACK,
                                                           "datacoding": "plain"})
    return made.id


def infobip(base):
    import infobip_api_client as sdk
    from infobip_api_client import api
    from infobip_api_client import models as m
    configuration = sdk.Configuration(host=base, api_key="s3cret")
    message = m.SmsMessage(
        sender=SENDER, destinations=[m.SmsDestination(to=PHONE[1:], message_id=KEY)],
        content=m.SmsMessageContent(m.SmsTextContent(text=TEXT)),
        options=m.SmsMessageOptions(validity_period=m.ValidityPeriod(amount=LIFE, time_unit="SECONDS")),
        webhooks=m.SmsWebhooks(delivery=m.SmsMessageDeliveryReporting(url=CALLBACK)))
    with sdk.ApiClient(configuration) as client:
        made = api.SmsApi(client).send_sms_messages(m.SmsRequest(messages=[message]))
    return made.messages[0].message_id


def vonage(base):
    import vonage_http_client
    from vonage_sms import Sms, SmsMessage
    client = vonage_http_client.HttpClient(vonage_http_client.Auth(api_key="k", api_secret="s3cret"))
    plain = client.session.request if hasattr(client, "session") else client._session.request
    session = client.session if hasattr(client, "session") else client._session
    session.request = lambda method, url, *a, **k: plain(method, url.replace("https://rest.nexmo.com", base), *a, **k)
    made = Sms(client).send(SmsMessage(to=PHONE[1:], from_=SENDER, text=TEXT, ttl=LIFE * 1000, client_ref=KEY,
                                       callback=CALLBACK))
    return made.messages[0].message_id


def sigv4():
    """Authorization headers for requests to two services, at one time, by botocore."""
    from botocore import auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
    real = auth.get_current_datetime if hasattr(auth, "get_current_datetime") else None
    moment = datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc)
    if real:
        auth.get_current_datetime = lambda remove_tzinfo=True: moment.replace(tzinfo=None)
    else:
        class Frozen(datetime.datetime):
            @classmethod
            def utcnow(cls):
                return moment.replace(tzinfo=None)
        auth.datetime.datetime = Frozen
    signed = []
    for service, host, headers, body in [
        ("sns", "sns.eu-west-1.amazonaws.com", {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
         "Action=Publish&Message=x+%26"),
        ("sms-voice", "sms-voice.eu-west-1.amazonaws.com", {"Content-Type": "application/x-amz-json-1.0",
         "X-Amz-Target": "PinpointSMSVoiceV2.SendTextMessage"}, "{\"MessageBody\":\"é\"}"),
    ]:
        request = AWSRequest("POST", f"https://{host}/", headers=dict(headers), data=body.encode())
        auth.SigV4Auth(Credentials("AKID", "s3cret"), service, "eu-west-1").add_auth(request)
        signed.append({"service": service, "url": f"https://{host}/", "headers": headers, "body": body,
                       "date": request.headers["X-Amz-Date"], "authorization": request.headers["Authorization"]})
    return signed


def stay_on_loopback():
    """An SDK whose address we failed to turn must fail, not send: no name is looked up and no other address reached."""
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def guarded_connect(self, address):
        if address[0] != "127.0.0.1":
            raise OSError(f"{address[0]} isn't loopback")
        return connect(self, address)

    def guarded_look_up(host, *more, **named):
        if host != "127.0.0.1":
            raise OSError(f"{host} isn't loopback")
        return look_up(host, *more, **named)

    socket.socket.connect, socket.getaddrinfo = guarded_connect, guarded_look_up


def make():
    global current
    stay_on_loopback()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    for name in ANSWERS:
        current = name
        captured[name] = None
        captured[name + "_id"] = globals()[name](base)
    vectors = {"seconds": NOW, "sigv4": sigv4(), "vendors": []}
    for name, (status, answer) in ANSWERS.items():
        if captured[name] is None:
            sys.exit(f"vendor-goldens: {name}'s SDK sent nothing to the loopback server")
        vectors["vendors"].append({"vendor": name, **captured[name], "status": status, "answer": answer,
                                   "id": captured[name + "_id"]})
    return json.dumps(vectors, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def main():
    wanted = "\n".join(PACKAGES)
    marker = HOME / "packages"
    python = HOME / "bin/python3"
    if not marker.exists() or marker.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(HOME)], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *PACKAGES], check=True)
        marker.write_text(wanted)
    if pathlib.Path(sys.prefix) != HOME:
        os.execv(python, [str(python), *sys.argv])
    made = make()
    if "--check" not in sys.argv:
        FILE.write_text(made)
        print(f"vendor-goldens: wrote {len(ANSWERS)} SDKs' requests and 2 signatures")
    elif FILE.read_text() != made:
        sys.exit("vendor-goldens: the SDKs send something else than Tests/Vectors/vendors.json says; "
                 "make it again and look at the difference")
    else:
        print(f"vendor-goldens: {len(ANSWERS)} SDKs' requests and 2 signatures as committed; each SDK read its answer")


main()
