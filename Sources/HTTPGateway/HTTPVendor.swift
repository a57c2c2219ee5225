/// One vendor's API: a message to a request, a response to a verdict. No clock, no socket.
public protocol HTTPVendor: Sendable {
    /// The request that sends it.
    /// - Parameter unixSeconds: the wall clock, for signatures.
    func request(for sms: OutboundSMS, unixSeconds: UInt64) -> HTTPRequest
    /// What the answer to `sms` means.
    func verdict(on response: HTTPResponse, to sms: OutboundSMS) -> SubmitVerdict
}

/// A password, token or key. Not for logs.
public struct Credential: Sendable, CustomStringConvertible, CustomReflectable {
    let bytes: [UInt8]

    /// As it stands in its file.
    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// For a header.
    var text: String { String(decoding: bytes, as: UTF8.self) }
    /// RFC 7617.
    func basic(user: String) -> String { "Basic " + Base64.encode(Array(user.utf8) + [0x3A] + bytes) }

    /// Says nothing.
    public var description: String { "(secret)" }
    /// Shows nothing.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
