import CLinuxShim
import SMPP
import StrictTOML

/// The courier's configuration file: gateways, and the routes that lead to them. TOML, strict; `courier.toml` in this folder shows every key.
package struct CourierConfig {
    /// One `[[gateways]]`.
    package struct Entry {
        package enum Kind {
            case smpp(SMPPRoute)
            case http(HTTPRoute)
            case spool(folder: String)
            case console
        }

        package var name: String
        package var kind: Kind
        package var perSecond: Int?
        package var priceMicros: UInt64
        package var currency: String
        package var allowPlaintext: Bool
        /// Nothing goes through it until somebody changes this, or says so to otpd.
        package var isDrained: Bool
    }

    /// otpd's.
    package var socket: String
    package var gateways: [Entry] = []
    package var router = Router([])

    /// Reads and checks a file, and the passwords that it names.
    package static func load(_ path: String) throws -> CourierConfig {
        try CourierConfig(ConfigFile.read(path))
    }

    /// The same from text.
    package static func parse(_ text: String, name: String) throws -> CourierConfig {
        try CourierConfig(ConfigFile.parse(text, name: name))
    }

    /// Its gateways, begun.
    package func gateway() throws -> RoutedGateway {
        RoutedGateway(
            router,
            try gateways.map { entry in
                let gateway: any Gateway =
                    switch entry.kind {
                    case .smpp(let route): SMPPGateway(route)
                    case .http(let route): try VendorGateway(route)
                    case .spool(let folder):
                        try SpoolGateway(
                            folder: folder, allowPlaintext: entry.allowPlaintext,
                            nowWallMs: linux_realtime_nanos() / 1_000_000)
                    case .console: try ConsoleGateway(allowPlaintext: entry.allowPlaintext)
                    }
                return RoutedGateway.Lane(
                    name: entry.name, gateway: gateway, perSecond: entry.perSecond,
                    priceMicros: entry.priceMicros,
                    currency: entry.currency, isDrained: entry.isDrained)
            })
    }

    private init(_ root: ConfigReader) throws {
        socket = try root.required("socket")
        for reader in try root.tables("gateways") {
            let entry = try CourierConfig.gateway(reader)
            guard !gateways.contains(where: { $0.name == entry.name }) else {
                throw reader.fail(
                    "name", "`\(entry.name)` is there already; each gateway has a name of its own")
            }
            gateways.append(entry)
            try reader.finish()
        }
        guard !gateways.isEmpty else { throw root.missing("gateways", "add a `[[gateways]]`") }
        for reader in try root.tables("routes") {
            router.routes.append(try CourierConfig.route(reader, gateways.map(\.name)))
            try reader.finish()
        }
        guard !router.routes.isEmpty else {
            throw root.missing("routes", "add a `[[routes]]` with `gateways = [\"…\"]`")
        }
        try root.finish()
    }

    private static func gateway(_ r: ConfigReader) throws -> Entry {
        let name = try r.required("name")
        guard (1...32).contains(name.utf8.count), name.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw r.fail("name", "must be 1 to 32 ASCII characters without a space")
        }
        let kind = try r.choice("kind", ["smpp", "http", "spool", "console"])
        guard let kind else { throw r.missing("kind", "add `kind = \"smpp\"`") }
        let price = try r.string("price")
        let currency = try r.string("currency") ?? ""
        if price != nil, currency.utf8.count != 3 || !currency.utf8.allSatisfy({ (0x41...0x5A).contains($0) })
        {
            throw r.fail("currency", "must be the price's ISO 4217 code, such as `EUR`")
        }
        var entry = Entry(
            name: name, kind: .console, perSecond: try r.integer("rate", 1...10_000), priceMicros: 0,
            currency: currency, allowPlaintext: try r.bool("allow_plaintext") ?? false, isDrained: try r.bool("drained") ?? false)
        if let price {
            guard let micros = CourierConfig.micros(price) else {
                throw r.fail(
                    "price",
                    "must be an amount for one segment in quotes, such as `\"0.045\"`, with at most six digits after the point"
                )
            }
            entry.priceMicros = micros
        }
        switch kind {
        case "smpp": entry.kind = .smpp(try smpp(r, name))
        case "http": entry.kind = .http(try http(r, name))
        case "spool": entry.kind = .spool(folder: try r.required("folder"))
        default: entry.kind = .console
        }
        return entry
    }

    /// Millionths, exactly.
    static func micros(_ text: String) -> UInt64? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count),
            parts.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }),
            (1...6).contains(parts[0].utf8.count), parts.count == 1 || (1...6).contains(parts[1].utf8.count),
            let whole = UInt64(parts[0])
        else { return nil }
        let fraction = parts.count == 1 ? "" : String(parts[1])
        guard let rest = UInt64(fraction + String(repeating: "0", count: 6 - fraction.utf8.count)) else {
            return nil
        }
        return whole * 1_000_000 + rest
    }

    private static func smpp(_ r: ConfigReader, _ name: String) throws -> SMPPRoute {
        var route = SMPPRoute(
            host: try r.required("host"), port: UInt16(try r.integer("port", 1...65_535) ?? 2_775))
        route.name = name
        if try r.bool("tls") ?? false {
            route.tls = TLSSettings(
                name: try r.string("tls_name") ?? route.host, caFile: try r.string("ca_file"))
        }
        route.allowsPlain = try r.bool("allow_plain_smpp") ?? false
        if let bind = try r.choice("bind", SMPPRoute.Bind.allCases.map(\.rawValue)).flatMap(
            SMPPRoute.Bind.init)
        {
            route.bind = bind
        }
        route.session.bind.systemID = Array(try r.required("system_id").utf8)
        route.session.bind.password = try SecretFile.read(try r.required("password_file"))
        route.session.bind.systemType = Array((try r.string("system_type") ?? "").utf8)
        route.session.window = try r.integer("window", 1...1_000) ?? 10
        // Another gateway has the message 5 s after this one didn't take it.
        route.session.responseMs = UInt64(try r.integer("response_seconds", 1...10) ?? 5) * 1_000
        route.session.enquireLinkMs = UInt64(try r.integer("enquire_link_seconds", 5...600) ?? 30) * 1_000
        if let sender = try r.string("sender") {
            guard SMPPRoute.source(sender) != nil else { throw r.fail("sender", senderRule) }
            try route.setSource(sender)
        }
        if let alphabet = try r.choice("alphabet", MessageText.Alphabet.allCases.map(\.rawValue))
            .flatMap(MessageText.Alphabet.init)
        {
            route.alphabet = alphabet
        }
        route.dataCoding = try r.integer("data_coding", 0...255).map { UInt8($0) }
        let forms = MessageIDForm.allCases.map(\.rawValue)
        route.responseIDs = try r.choice("response_ids", forms).flatMap(MessageIDForm.init) ?? .text
        route.receiptIDs = try r.choice("receipt_ids", forms).flatMap(MessageIDForm.init) ?? .text
        for (number, meaning) in try r.stringTable("statuses") {
            guard number.hasPrefix("0x"), let status = UInt32(number.dropFirst(2), radix: 16),
                let known = meanings[meaning]
            else {
                throw r.fail(
                    number, in: "statuses",
                    "must be as `0x417 = \"number\"`: transient, throttle, number or route")
            }
            route.session.vendorStatuses[status] = known
        }
        do { try route.check() } catch { throw r.fail("host", "\(error)") }
        return route
    }

    private static let senderRule = "must be +number, a short code, or a name of up to 11 ASCII characters"
    private static let meanings: [String: CommandStatus.Meaning] = [
        "transient": .transient, "throttle": .throttle, "number": .permanentNumber, "route": .permanentRoute,
    ]

    private static func route(_ r: ConfigReader, _ known: [String]) throws -> Router.Route {
        var route = Router.Route()
        route.prefixes = try r.strings("prefixes") ?? []
        for prefix in route.prefixes {
            let digits = prefix.utf8.dropFirst()
            guard prefix.hasPrefix("+"), (1...14).contains(digits.count), digits.first != 0x30,
                digits.allSatisfy({ (0x30...0x39).contains($0) })
            else { throw r.fail("prefixes", "`\(prefix)` must be as `+33` or `+1425`") }
        }
        route.purposes = (try r.integers("purposes", 1...65_535) ?? []).map { UInt16($0) }
        guard let gateways = try r.strings("gateways"), !gateways.isEmpty else {
            throw r.missing("gateways", "add `gateways = [\"…\"]`, in the order of fail-over")
        }
        for name in gateways where !known.contains(name) {
            throw r.fail("gateways", "`\(name)` is unknown; \(ConfigReader.suggestion(name, known))")
        }
        guard Set(gateways).count == gateways.count else {
            throw r.fail("gateways", "names one gateway twice")
        }
        route.gateways = gateways
        route.weights = (try r.integers("weights", 0...1_000) ?? []).map { UInt32($0) }
        guard
            route.weights.isEmpty
                || (route.weights.count == gateways.count && route.weights.contains { $0 > 0 })
        else {
            throw r.fail("weights", "must be one number for each gateway, and not all zero")
        }
        route.sender = try r.string("sender") ?? ""
        guard SMPPRoute.source(route.sender) != nil else { throw r.fail("sender", senderRule) }
        return route
    }
}
