"""The eight vendors of Tests/Vectors/vendors.json on one HTTPS port of loopback: each request is compared with what the vendor's own SDK
sends for the same message, and gets the answer that the SDK read.

  python3 scripts/vendor-fake.py --tls PEM --log FILE

Lines of FILE are JSON: {"port": N} first, then {"vendor": NAME, "different": [...]} for each request."""
import argparse, http.server, json, pathlib, ssl, threading, urllib.parse

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "Tests/Vectors/vendors.json"
VENDORS = json.loads(GOLDEN.read_text())["vendors"]

parser = argparse.ArgumentParser(description="The SMS vendors' answers over HTTPS, on a port of loopback.")
parser.add_argument("--tls", required=True, help="a PEM file with certificate and key")
parser.add_argument("--log", required=True, help="gets a line of JSON per request")
arguments = parser.parse_args()
lock = threading.Lock()


def note(**fields):
    with lock, open(arguments.log, "a", encoding="utf-8") as log:
        log.write(json.dumps(fields) + "\n")


def flat(value, path=""):
    """Numbers as their text: what a form and a JSON object have in common."""
    if isinstance(value, dict):
        return {entry for key, item in value.items() for entry in flat(item, f"{path}/{key}")}
    if isinstance(value, list):
        return {entry for number, item in enumerate(value) for entry in flat(item, f"{path}/{number}")}
    return {f"{path}={str(value).lower() if isinstance(value, bool) else value}"}


class Vendors(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        kind = self.headers["Content-Type"].split(";")[0]
        matching = [v for v in VENDORS if v["path"] == self.path and v["headers"]["content-type"] == kind]
        if len(matching) != 1:
            note(vendor=self.path, different=["no vendor's path, or several"])
            self.send_error(404)
            return
        vendor = matching[0]
        headers = {**{name.lower(): value for name, value in self.headers.items()}, "content-type": kind}
        fields = dict(urllib.parse.parse_qsl(body, strict_parsing=True)) if "form" in kind else json.loads(body)
        different = sorted(flat(fields) ^ flat(vendor["fields"]))
        different += [f"{name}: {headers.get(name)}" for name, value in vendor["headers"].items() if headers.get(name) != value]
        note(vendor=vendor["vendor"], different=different)
        answer = vendor["answer"] if isinstance(vendor["answer"], str) else json.dumps(vendor["answer"])
        self.send_response(vendor["status"])
        self.send_header("Content-Length", str(len(answer.encode())))
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *_):
        pass


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(arguments.tls)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Vendors)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
note(port=server.server_port)
server.serve_forever()
