"""What the vendors' official SDKs send for one message, as JSON lines in Tests/Vectors/vendors.json, and whether each SDK parses what
the tests' answers say; and callbacks as the vendors sign them, by the SDKs' own code. The SDKs come from PyPI, pinned below, into an environment of their own; nothing leaves loopback.

  python3 scripts/vendor-goldens.py           makes the file again
  python3 scripts/vendor-goldens.py --check   makes it and compares
"""
import datetime, http.server, json, os, pathlib, socket, subprocess, sys, threading, urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILE = ROOT / "Tests/Vectors/vendors.json"
HOME = ROOT / ".build/goldens"
PACKAGES = ["twilio==9.13.0", "plivo==4.63.0", "telnyx==4.189.0", "messagebird==2.2.0",
            "infobip-api-python-client==6.0.0", "vonage==4.9.1", "botocore==1.44.5", "pynacl==1.5.0"]
PHONE, TEXT, SENDER, KEY = "+33612345678", "483920 is your Fleur code & <é>", "Fleur", "0" * 30 + "ff"
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
    "infobip": (200, {"messages": [{"messageId": KEY, "status": {"groupId": 1, "groupName": "PENDING", "id": 26,
                "name": "PENDING_ACCEPTED", "description": "-"}, "destination": "33612345678"}]}),
    "sns": (200, '<PublishResponse xmlns="https://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>94f20ce6-13c5-43a0-9a9e-ca52d816e90b'
                 "</MessageId></PublishResult><ResponseMetadata><RequestId>f187a3c1-376f-11df-8963-01868b7c937a</RequestId></ResponseMetadata>"
                 "</PublishResponse>"),
    "eum": (200, {"MessageId": "e-1"}),
}
captured = {}
current = None


class Sink(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        kept = ("authorization", "content-type", "idempotency-key", "x-amz-target", "x-amz-date")
        headers = {k.lower(): v for k, v in self.headers.items() if k.lower() in kept}
        if current in ("sns", "eum"):  # signed for the loopback address; `sigv4` below compares signatures
            del headers["authorization"], headers["x-amz-date"]
        kind = headers.get("content-type", "").split(";")[0]
        headers["content-type"] = kind
        fields = dict(urllib.parse.parse_qsl(body)) if "form" in kind else json.loads(body)
        captured[current] = {"path": self.path, "headers": headers, "fields": fields}
        status, answer = ANSWERS[current]
        raw = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/xml" if isinstance(answer, str) else "application/json")
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


def aws(service, base):
    import botocore.session
    return botocore.session.Session().create_client(
        service, region_name="eu-west-1", endpoint_url=base, aws_access_key_id="AKID", aws_secret_access_key="s3cret")


def sns(base):
    word = lambda value: {"DataType": "String", "StringValue": value}
    return aws("sns", base).publish(PhoneNumber=PHONE, Message=TEXT, MessageAttributes={
        "AWS.SNS.SMS.SMSType": word("Transactional"), "AWS.SNS.SMS.SenderID": word(SENDER)})["MessageId"]


def eum(base):
    return aws("pinpoint-sms-voice-v2", base).send_text_message(
        DestinationPhoneNumber=PHONE, OriginationIdentity=SENDER, MessageBody=TEXT, MessageType="TRANSACTIONAL", TimeToLive=LIFE,
        ConfigurationSetName="otp")["MessageId"]


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


HOOK = "https://shop.example/sms"
AT = 1764061200


def callbacks():
    """Delivery receipts, signed; where the SDK checks signatures, it has checked these."""
    import base64, hashlib, time
    import jwt, nacl.signing, telnyx, vonage_http_client
    from messagebird.request_validator import RequestValidator as MessageBirdValidator
    from plivo.utils import signature_v3
    from twilio.request_validator import RequestValidator as TwilioValidator
    secret = "0123456789abcdef" * 4 + "-s3cret"
    made = []

    def add(vendor, receipts, secret=secret, query="", headers=(), body="", method="POST", **more):
        made.append({"vendor": vendor, "method": method, "query": query, "headers": dict(headers), "body": body,
                     "secret": secret, "receipts": receipts, **more})

    form = {"Content-Type": "application/x-www-form-urlencoded"}
    validator = TwilioValidator(secret)
    for query, fields, receipts in [
        ("", {"MessageSid": "SM1", "MessageStatus": "delivered", "To": "+33612345678", "AccountSid": "AC1"}, [["SM1", True, ""]]),
        ("x=1&y=a%20b", {"MessageSid": "SM2", "MessageStatus": "undelivered", "ErrorCode": "30003", "To": "é & =+"},
         [["SM2", False, "30003"]]),
        ("", {"MessageSid": "SM3", "MessageStatus": "sent", "RawDlrDoneDate": ""}, []),
        ("", {"MessageSid": "SM4", "MessageStatus": "failed", "ErrorCode": "30007"}, [["SM4", False, "30007"]]),
    ]:
        url = HOOK + ("?" + query if query else "")
        add("twilio", receipts, query=query, body=urllib.parse.urlencode(fields),
            headers={**form, "X-Twilio-Signature": validator.compute_signature(url, fields)})
    for query, fields, receipts in [
        ("", {"MessageUUID": "p-1", "Status": "delivered", "To": "33612345678"}, [["p-1", True, ""]]),
        ("b=2&a=1%2B1", {"MessageUUID": "p-2", "Status": "undelivered", "ErrorCode": "30", "Text": "é & ="}, [["p-2", False, "30"]]),
        ("", {"MessageUUID": "p-3", "Status": "rejected", "ErrorCode": "000"}, [["p-3", False, "000"]]),
        ("", {"MessageUUID": "p-4", "Status": "queued"}, []),
    ]:
        url = HOOK + ("?" + query if query else "")
        signed = signature_v3.get_signature_v3(
            secret.encode(), signature_v3.construct_post_url(url, dict(fields)).decode(), b"12345").decode()
        assert signature_v3.validate_v3_signature("POST", url, "12345", secret, signed, dict(fields))
        add("plivo", receipts, query=query, body=urllib.parse.urlencode(fields),
            headers={**form, "X-Plivo-Signature-V3": "b3RoZXI=," + signed, "X-Plivo-Signature-V3-Nonce": "12345"})
    for algorithm in "sha256", "sha512":
        for place, fields, receipts in [
            ("query", {"messageId": "v-1", "status": "delivered", "to": "a&b=c", "err-code": "0"}, [["v-1", True, ""]]),
            ("form", {"messageId": "v-2", "status": "failed", "err-code": "5", "message-timestamp": "2025-11-25 09:00:00"},
             [["v-2", False, "5"]]),
            ("json", {"messageId": "v-3", "status": "accepted", "err-code": "0"}, []),
        ]:
            fields = {**fields, "timestamp": str(AT)}
            auth = vonage_http_client.Auth(api_key="k", signature_secret=secret, signature_method=algorithm)
            signed = {**fields, "sig": auth.sign_params(dict(fields))}
            assert auth.check_signature(dict(signed))
            if place == "query":
                add("vonage", receipts, query=urllib.parse.urlencode(signed), method="GET", algorithm=algorithm)
            elif place == "form":
                add("vonage", receipts, body=urllib.parse.urlencode(signed), headers=form, algorithm=algorithm)
            else:
                add("vonage", receipts, body=json.dumps(signed), headers={"Content-Type": "application/json"}, algorithm=algorithm)
    key = nacl.signing.SigningKey(bytes(range(32)))
    public = base64.b64encode(bytes(key.verify_key)).decode()
    for status, errors, receipts in [
        ("delivered", [], [["t-1", True, ""]]), ("delivery_failed", [{"code": "40008", "title": "Undeliverable"}], [["t-1", False, "40008"]]),
        ("delivery_unconfirmed", [], []), ("sent", [], []),
    ]:
        body = json.dumps({"data": {"event_type": "message.finalized", "id": "e", "occurred_at": "2025-11-25T09:00:00Z", "record_type": "event",
                           "payload": {"id": "t-1", "to": [{"phone_number": PHONE, "status": status}], "errors": errors, "text": "é"}}},
                          ensure_ascii=False)
        headers = {"telnyx-timestamp": str(AT), "Content-Type": "application/json",
                   "telnyx-signature-ed25519": base64.b64encode(key.sign(f"{AT}|{body}".encode()).signature).decode()}
        clock, time.time = time.time, lambda: AT + 60
        telnyx.Telnyx(api_key="k").webhooks.unwrap(body, headers=headers, key=public)
        time.time = clock
        add("telnyx", receipts, secret=public, headers=headers, body=body)
    for algorithm, query, body, receipts in [
        ("HS256", "id=m-1&status=delivered&reference=00ff&recipient=33612345678", "", [["m-1", True, ""]]),
        ("HS384", "id=m-2&status=delivery_failed&statusErrorCode=1&x=a%20b", "", [["m-2", False, "1"]]),
        ("HS512", "id=m-3&status=sent", "", []), ("HS256", "id=m-4&status=expired", "x", [["m-4", False, ""]]),
    ]:
        digest = lambda text: hashlib.sha256(text.encode()).hexdigest()
        claims = {"iss": "MessageBird", "nbf": AT - 1, "exp": AT + 60, "jti": "j", "url_hash": digest(f"{HOOK}?{query}")}
        if body:
            claims["payload_hash"] = digest(body)
        token = jwt.encode(claims, secret, algorithm=algorithm)
        checked = jwt.decode
        jwt.decode = lambda **named: checked(**{**named, "options": {**named["options"], "verify_exp": False}})
        MessageBirdValidator(secret).validate_signature(token, f"{HOOK}?{query}", body.encode())
        jwt.decode = checked
        add("messagebird", receipts, query=query, body=body, method="GET", headers={"MessageBird-Signature-JWT": token})
    return made


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
    vectors = {"seconds": NOW, "sigv4": sigv4(), "callbacks": callbacks(), "vendors": []}
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
        print(f"vendor-goldens: wrote {len(ANSWERS)} SDKs' requests, 2 signatures and the callbacks")
    elif FILE.read_text() != made:
        sys.exit("vendor-goldens: the SDKs send something else than Tests/Vectors/vendors.json says; "
                 "make it again and look at the difference")
    else:
        print(f"vendor-goldens: {len(ANSWERS)} SDKs' requests, 2 signatures and the callbacks as committed; each SDK read its answer")


main()
