/// One vendor's callbacks: a request to what it says of messages. No clock, no socket.
public protocol ReceiptSource: Sendable {
    /// What an authentic request says; empty = nothing that settles a message.
    /// - Parameter unixSeconds: the wall clock, for signatures that end.
    func receipts(in call: ReceiptCall, unixSeconds: UInt64) throws(ReceiptRefusal) -> [VendorReceipt]
}

/// A vendor's word on a message that it took.
public struct VendorReceipt: Sendable, Equatable {
    /// The vendor's id of the message, as its answer to the submit named it.
    public var reference: String
    /// The handset has it; or it never will.
    public var isDelivered: Bool
    /// The vendor's code for a failure, never its prose. Empty when delivered or unsaid.
    public var reason: String

    /// `nil` for an id that no answer of ours can have named: longer than 64 bytes, or not visible ASCII.
    init?(_ reference: String?, isDelivered: Bool, reason: String? = nil) {
        guard let reference, SubmitVerdict.isTame(reference) else { return nil }
        self.reference = reference
        self.isDelivered = isDelivered
        self.reason = isDelivered ? "" : reason.flatMap { SubmitVerdict.isTame($0) ? $0 : nil } ?? ""
    }
}

/// Why a request is worth nothing. The text is for the operator: no part of the request is in it.
public enum ReceiptRefusal: Error, Equatable {
    /// Its signature or token is missing, wrong or too old.
    case forged(String)
    /// Authentic, but not of the form that the vendor documents.
    case malformed(String)
}

/// A request that came in, whole; bounded by who received it.
public struct ReceiptCall: Sendable {
    /// `GET` or `POST`.
    public var method: String
    /// After the `?`, as it came; empty = none.
    public var query: String
    /// In their order.
    public var headers: [(name: String, value: String)]
    /// Up to the receiver's bound.
    public var body: [UInt8]

    /// All of it.
    public init(method: String, query: String = "", headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
        self.method = method
        self.query = query
        self.headers = headers
        self.body = body
    }

    /// The first header of this name, in any case.
    func header(_ name: String) -> String? { HTTPHeaders.find(name, in: headers) }

    /// The url that the vendor called: ours as the vendor knows it, with the query that came.
    func url(_ base: String) -> String { query.isEmpty ? base : "\(base)?\(query)" }

    /// The names and values of the query.
    var queryFields: [(name: String, value: String)] { Form.fields(query) }

    /// The names and values of a form; empty when the body is something else.
    var formFields: [(name: String, value: String)] {
        guard let type = header("Content-Type"), type.lowercased().hasPrefix("application/x-www-form-urlencoded") else { return [] }
        return Form.fields(String(decoding: body, as: UTF8.self))
    }

    /// Query, form and the flat members of a JSON object: for vendors that leave the choice to their customers.
    var allFields: [(name: String, value: String)] {
        var fields = queryFields + formFields
        if case .object(let members) = JSONValue(body) {
            fields += members.compactMap { member in member.value.text.map { (member.key, $0) } }
        }
        return fields
    }
}

extension [(name: String, value: String)] {
    /// The value of a name that is there once: of two, nobody knows which one the vendor means.
    func only(_ name: String) -> String? {
        let found = filter { $0.name == name }
        return found.count == 1 ? found[0].value : nil
    }
}

/// application/x-www-form-urlencoded, read.
enum Form {
    /// In their order; a name without `=` has an empty value. What isn't UTF-8 becomes U+FFFD.
    static func fields(_ text: String) -> [(name: String, value: String)] {
        text.utf8.split(separator: 0x26).map { field in
            let parts = field.split(separator: 0x3D, maxSplits: 1, omittingEmptySubsequences: false)
            return (decode(parts[0]), parts.count > 1 ? decode(parts[1]) : "")
        }
    }

    private static func decode(_ text: Substring.UTF8View) -> String {
        var bytes: [UInt8] = []
        var rest = text[...]
        while let byte = rest.popFirst() {
            if byte == 0x25, let high = rest.first.flatMap(digit), let low = rest.dropFirst().first.flatMap(digit) {
                bytes.append(high << 4 | low)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte == 0x2B ? 0x20 : byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x37
        case 0x61...0x66: byte - 0x57
        default: nil
        }
    }
}
