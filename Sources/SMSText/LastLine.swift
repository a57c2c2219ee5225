/// Who receives the message: decides its last line, and nothing comes after that line.
public enum ReceivingClient: Sendable, Equatable {
    /// No last line.
    case none
    /// `@host #code`: origin-bound one-time codes (WICG), for autofill in browsers.
    case web(host: String)
    /// The app's hash of 11 characters (Android SMS Retriever).
    case android(appHash: String)
}

/// The line that browsers and apps act on: ours alone. A host or hash of impossible form gets none, and is never repaired: it would be another's.
public enum LastLine {
    /// Appends `@host #code` as a line of its own.
    public static func append(host: [UInt8], code: [UInt8], to bytes: inout [UInt8]) {
        guard isHost(host) else { return }
        bytes.append(0x0A)
        bytes.append(0x40)
        bytes.append(contentsOf: host)
        bytes.append(0x20)
        bytes.append(0x23)
        bytes.append(contentsOf: code)
    }

    /// Appends the app's hash as a line of its own.
    public static func append(appHash: [UInt8], to bytes: inout [UInt8]) {
        guard isAppHash(appHash) else { return }
        bytes.append(0x0A)
        bytes.append(contentsOf: appHash)
    }

    /// A host name in ASCII.
    public static func isHost(_ host: String) -> Bool { isHost(Array(host.utf8)) }
    /// 11 characters of base64.
    public static func isAppHash(_ hash: String) -> Bool { isAppHash(Array(hash.utf8)) }

    private static func isHost(_ host: [UInt8]) -> Bool {
        !host.isEmpty && host.allSatisfy { isLetterOrDigit($0) || $0 == 0x2D || $0 == 0x2E }
    }

    private static func isAppHash(_ hash: [UInt8]) -> Bool {
        hash.count == 11 && hash.allSatisfy { isLetterOrDigit($0) || $0 == 0x2B || $0 == 0x2F }
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: false
        }
    }
}
