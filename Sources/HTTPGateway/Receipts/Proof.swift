import LibCrypto

/// How requests prove who sent them.
enum Proof {
    /// How far the vendor's clock may be from ours, seconds: Telnyx's own bound.
    static let maxAge: UInt64 = 300

    /// Compares in a time that tells nothing of where they differ, nor of the wanted one's length.
    static func isEqual(_ given: [UInt8], _ wanted: [UInt8]) -> Bool {
        Hash.isEqual(Hash.sha256(given), Hash.sha256(wanted))
    }

    static func isEqual(_ given: String, _ wanted: String) -> Bool { isEqual(Array(given.utf8), Array(wanted.utf8)) }

    static func isNear(_ seconds: UInt64, _ unixSeconds: UInt64) -> Bool {
        max(seconds, unixSeconds) - min(seconds, unixSeconds) <= maxAge
    }

    /// Lower-case hexadecimal.
    static func hexadecimal(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// A secret that stands in the url's query, for vendors that sign nothing.
    static func checkToken(_ call: ReceiptCall, _ secret: Credential) throws(ReceiptRefusal) {
        guard let token = call.queryFields.only("token") else { throw .forged("no token in the url") }
        guard isEqual(Array(token.utf8), secret.bytes) else { throw .forged("the token is wrong") }
    }
}
