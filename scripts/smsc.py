#!/usr/bin/env python3
"""An SMSC for tests and the demo. Framing, codec, binds, enquire_link and unbind are smpp.twisted3's and smpp.pdu3's (PyPI); what becomes of a
message is decided here.

usage: $(sh scripts/python-venv.sh) scripts/smsc.py --port 0 --log FILE

Listens on 127.0.0.1. Each event is a line of JSON in FILE, the first tells the port. The last four digits of a destination choose:
  0001 throttled twice, then taken            0002 queue full once, then taken
  0003 refused: no such destination           0004 refused: system error
  0005 receipt UNDELIV                        0006 receipt EXPIRED
  0007 taken, never a receipt                 0008 never an answer
  0009 the connection is reset, each time     0010 receipt before the answer
  0011 the receipt comes twice                0012 answered 300 ms late, so after what was sent later
  0013 no answer to the first, then taken     0014 reset at the first, then taken
  0015 taken, then the SMSC unbinds           0016 refused: our source address
  0017 ENROUTE first, then DELIVRD            others: taken, receipt DELIVRD
"""
import argparse
import itertools
import json
import sys
import time

from smpp.pdu import pdu_types as types
from smpp.pdu.operations import DeliverSM, SubmitSM, Unbind
from smpp.twisted.config import SMPPServerConfig
from smpp.twisted.protocol import DataHandlerResponse
from smpp.twisted.server import IAuthenticatedSMPP, SMPPServerFactory
from twisted.cred import checkers, portal
from twisted.internet import defer, reactor, task
from zope.interface import implementer

parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
parser.add_argument("--port", type=int, default=2775)
parser.add_argument("--user", default="otpd")
parser.add_argument("--password", default="secret")
parser.add_argument("--log", default="-")
parser.add_argument("--receipt-ms", type=int, default=30, help="from the answer to the receipt")
parser.add_argument("--answer-ms", type=int, default=0)
parser.add_argument("--ids", choices=["same", "hex-dec"], default="same",
                    help="hex-dec: hexadecimal in answers, decimal in receipts")
parser.add_argument("--no-tags", action="store_true", help="receipts without optional parameters")
parser.add_argument("--timer", type=float, default=10, help="seconds until this side sends enquire_link")
parser.add_argument("--tls", help="a PEM file with certificate and key")
parser.add_argument("--plain", action="store_true", help="destinations choose nothing: each is taken, receipt DELIVRD")
parser.add_argument("--quiet", action="store_true", help="log submits by number and text only")
arguments = parser.parse_args()
log = sys.stdout if arguments.log == "-" else open(arguments.log, "a", buffering=1)
numbers, seen = itertools.count(10), {}
Status, State = types.CommandStatus, types.MessageState


def note(**fields):
    log.write(json.dumps({"t": round(time.time(), 4), **fields}) + "\n")


def text(value):
    return value.decode("latin-1") if isinstance(value, bytes) else value


@implementer(portal.IRealm)
class Realm:
    def requestAvatar(self, name, mind, *interfaces):
        return IAuthenticatedSMPP, name, lambda: None


def receiver(session):
    """Where receipts go: any session of the same client that receives."""
    manager = session.factory.getBoundConnections(session.system_id)
    return manager.getNextBindingForDelivery() if manager else None


def receipt(session, message, number, state, error="000"):
    """A deliver_sm about a message; it echoes the text, as real ones do."""
    word = {State.DELIVERED: "DELIVRD", State.UNDELIVERABLE: "UNDELIV", State.EXPIRED: "EXPIRED", State.ENROUTE: "ENROUTE"}[state]
    session = receiver(session)
    if session is None:
        note(event="receipt lost", id=number, why="nobody to give it to")
        return
    now = time.strftime("%y%m%d%H%M", time.gmtime())
    identity = str(number) if arguments.ids == "hex-dec" else "%08x" % number
    body = f"id:{identity} sub:001 dlvrd:{'001' if word == 'DELIVRD' else '000'} submit date:{now} done date:{now} " \
           f"stat:{word} err:{error} text:{text(message['short_message'] or b'')[:20]}"
    tags = {} if arguments.no_tags else {"receipted_message_id": identity.encode(), "message_state": state}
    pdu = DeliverSM(
        source_addr_ton=message["dest_addr_ton"], source_addr_npi=message["dest_addr_npi"],
        source_addr=message["destination_addr"], dest_addr_ton=message["source_addr_ton"],
        dest_addr_npi=message["source_addr_npi"], destination_addr=message["source_addr"],
        esm_class=types.EsmClass(types.EsmClassMode.DEFAULT, types.EsmClassType.SMSC_DELIVERY_RECEIPT),
        registered_delivery=types.RegisteredDelivery(types.RegisteredDeliveryReceipt.NO_SMSC_DELIVERY_RECEIPT_REQUESTED),
        short_message=body.encode("latin-1"), **tags)
    session.sendDataRequest(pdu).addCallbacks(
        lambda answer: note(event="receipt answered", id=identity, state=word),
        lambda failure: note(event="receipt failed", id=identity, why=str(failure.value)))


def refusal(key, count):
    if key == "0001" and count <= 2:
        return Status.ESME_RTHROTTLED
    if key == "0002" and count <= 1:
        return Status.ESME_RMSGQFUL
    return {"0003": Status.ESME_RINVDSTADR, "0004": Status.ESME_RSYSERR, "0016": Status.ESME_RINVSRCADR}.get(key)


def on_message(system_id, session, pdu):
    message = pdu.params
    if not isinstance(pdu, SubmitSM):
        return Status.ESME_RINVCMDID
    destination = text(message["destination_addr"])
    key = "" if arguments.plain else destination[-4:]
    count = seen[destination] = seen.get(destination, 0) + 1
    fields = {} if arguments.quiet else {
        "sequence": pdu.seqNum, "source": text(message["source_addr"]), "source_ton": message["source_addr_ton"].name,
        "ton": message["dest_addr_ton"].name, "data_coding": str(message["data_coding"]),
        "header": any(f.name == "UDHI_INDICATOR_SET" for f in message["esm_class"].gsmFeatures),
        "validity": str(message["validity_period"]), "receipt": message["registered_delivery"].receipt.name}
    note(event="submit", to=destination, text=text(message["short_message"] or b""), count=count, **fields)
    if status := refusal(key, count):
        return status
    if key == "0008" or (key == "0013" and count == 1):
        return defer.Deferred()
    if key == "0009" or (key == "0014" and count == 1):
        session.transport.abortConnection()
        return defer.Deferred()
    number = next(numbers)
    wants = message["registered_delivery"].receipt != types.RegisteredDeliveryReceipt.NO_SMSC_DELIVERY_RECEIPT_REQUESTED
    delay = arguments.answer_ms / 1000 + (0.3 if key == "0012" else 0)
    if wants and key != "0007":
        state, error = {"0005": (State.UNDELIVERABLE, "011"), "0006": (State.EXPIRED, "000")}.get(key, (State.DELIVERED, "000"))
        later = arguments.receipt_ms / 1000
        times = [0.0] if key == "0010" else [delay + later, delay + later + 0.05] if key == "0011" else [delay + later]
        if key == "0010":
            delay += 0.1
        if key == "0017":
            reactor.callLater(delay + later, lambda: receipt(session, message, number, State.ENROUTE))
            times = [delay + later + 0.05]
        for moment in times:
            reactor.callLater(moment, lambda: receipt(session, message, number, state, error))
    if key == "0015":
        reactor.callLater(0.05, session.sendRequest, Unbind(), 5)
    answer = DataHandlerResponse(Status.ESME_ROK, message_id="%08x" % number)
    return task.deferLater(reactor, delay, lambda: answer) if delay else answer


entrance = portal.Portal(Realm())
users = checkers.InMemoryUsernamePasswordDatabaseDontUse()
for user, password in [(arguments.user, arguments.password), (arguments.user.encode(), arguments.password.encode())]:
    users.addUser(user, password)
entrance.registerChecker(users)
factory = SMPPServerFactory(
    SMPPServerConfig(systems={arguments.user: {"max_bindings": 8}}, msgHandler=on_message,
                     enquireLinkTimerSecs=arguments.timer), entrance)
if arguments.tls:
    from twisted.internet import ssl
    with open(arguments.tls, encoding="ascii") as pem:
        port = reactor.listenSSL(arguments.port, factory, ssl.PrivateCertificate.loadPEM(pem.read()).options(), interface="127.0.0.1")
else:
    port = reactor.listenTCP(arguments.port, factory, interface="127.0.0.1")
note(event="listening", port=port.getHost().port, tls=bool(arguments.tls))
reactor.run()
