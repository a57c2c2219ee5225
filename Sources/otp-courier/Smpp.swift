import ArgumentParser
import CLinuxShim
import Courier
import Glibc
import SMPP
import StrictTOML

/// `otp-courier smpp`: one route to one SMSC.
struct Smpp: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Send through an SMSC that speaks SMPP 3.4.",
        discussion: """
            Messages are asked of otpd only while the SMSC holds a session with us. Reports follow each message: submitted, then what its
            receipt says. SIGTERM ends the courier when what is in flight is answered, for 10 s at most.
            """)

    @Option(help: "otpd's socket.")
    var socket: String
    @Option(help: "The SMSC's host name or address.")
    var host: String
    @Option(help: "Its port.")
    var port: UInt16 = 2775
    @Flag(help: "Speak TLS; the SMSC's certificate must bear its name.")
    var tls = false
    @Flag(help: "Codes and the password may go to another machine in clear: the way there is safe, a tunnel or a line of your own.")
    var allowPlainSmpp = false
    @Option(help: "The name in its certificate, where it isn't the host.")
    var tlsName: String?
    @Option(help: "A PEM file with whom to trust for it; the system's authorities by default.")
    var caFile: String?
    @Option(help: "Our system id there.")
    var systemId: String
    @Option(help: "A file with the password alone, readable by its owner only.")
    var passwordFile: String
    @Option(help: "Our system type, where the provider wants one.")
    var systemType = ""
    @Option(
        help:
            "Connections: transceiver (one), pair (one to send, one to receive), transmitter (one, no receipts)."
    )
    var bind = SMPPRoute.Bind.transceiver
    @Option(help: "The sender that phones show: +number, short code, or a name of up to 11 characters.")
    var source = ""
    @Option(help: "Submits without an answer at any time.")
    var window = 10
    @Option(help: "Seconds until a submit without an answer is in doubt.")
    var responseSeconds: UInt64 = 10
    @Option(help: "Seconds of silence until the connection is checked.")
    var enquireLinkSeconds: UInt64 = 30
    @Option(help: "What the SMSC takes texts in that need no UCS-2: gsm, latin1, ascii.")
    var alphabet = MessageText.Alphabet.gsm
    @Option(
        help: "The data_coding of such texts, where it isn't the alphabet's own (gsm 0, latin1 3, ascii 1).")
    var dataCoding: UInt8?
    @Option(help: "How the SMSC writes message ids in its answers: text, decimal, hexadecimal.")
    var responseIds = MessageIDForm.text
    @Option(help: "And in its receipts.")
    var receiptIds = MessageIDForm.text
    @Option(
        name: .customLong("status"),
        help:
            "What a status number of this provider means, as 0x417=number: transient, throttle, number or route. May be repeated."
    )
    var statuses: [VendorStatus] = []

    func run() throws {
        do {
            let route = try route()
            var loop = try CourierLoop(
                socketPath: socket, gateway: RoutedGateway(alone: SMPPGateway(route), name: route.name))
            loop.run()
        } catch { throw fail(error) }
    }

    func validate() throws {
        guard tls || (tlsName == nil && caFile == nil) else {
            throw ValidationError("--tls-name and --ca-file go with --tls")
        }
    }

    private func route() throws -> SMPPRoute {
        var route = SMPPRoute(host: host, port: port)
        if tls { route.tls = TLSSettings(name: tlsName ?? host, caFile: caFile) }
        route.allowsPlain = allowPlainSmpp
        route.bind = bind
        route.session.bind.systemID = Array(systemId.utf8)
        route.session.bind.password = try SecretFile.read(passwordFile)
        route.session.bind.systemType = Array(systemType.utf8)
        route.session.window = window
        route.session.responseMs = responseSeconds.multipliedReportingOverflow(by: 1_000).partialValue
        route.session.enquireLinkMs = enquireLinkSeconds.multipliedReportingOverflow(by: 1_000).partialValue
        for status in statuses { route.session.vendorStatuses[status.number] = status.meaning }
        try route.setSource(source)
        route.alphabet = alphabet
        route.dataCoding = dataCoding
        route.responseIDs = responseIds
        route.receiptIDs = receiptIds
        try route.check()
        return route
    }
}

/// `0x417=number`.
struct VendorStatus: ExpressibleByArgument {
    let number: UInt32
    let meaning: CommandStatus.Meaning

    init?(argument: String) {
        let parts = argument.split(separator: "=", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].hasPrefix("0x"),
            let number = UInt32(parts[0].dropFirst(2), radix: 16)
        else { return nil }
        self.number = number
        switch parts[1] {
        case "transient": meaning = .transient
        case "throttle": meaning = .throttle
        case "number": meaning = .permanentNumber
        case "route": meaning = .permanentRoute
        default: return nil
        }
    }
}

extension SMPPRoute.Bind: ExpressibleByArgument {}
extension MessageText.Alphabet: ExpressibleByArgument {}
extension MessageIDForm: ExpressibleByArgument {}
