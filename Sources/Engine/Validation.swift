import Wire

/// Checks of single fields, on bytes: no Unicode, no trimming, no number parsing.
enum Validation {
    /// ASCII E.164: `+[1-9][0-9]{6,14}`.
    static func isPhone(_ phone: PhoneBytes) -> Bool {
        guard phone.count >= 8, phone.count <= 16, phone[0] == 0x2B else { return false }
        guard phone[1] >= 0x31, phone[1] <= 0x39 else { return false }
        for index in 2..<phone.count where phone[index] < 0x30 || phone[index] > 0x39 { return false }
        return true
    }

    /// 1–128 opaque bytes.
    static func isAccount(_ account: AccountBytes) -> Bool { account.count >= 1 }

    /// Could be a code of some purpose: 1–16 ASCII letters and digits.
    static func isCode(_ code: CodeBytes) -> Bool {
        guard code.count >= 1 else { return false }
        for index in 0..<code.count {
            switch code[index] {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: continue
            default: return false
            }
        }
        return true
    }

    /// A shopper's address: 4 bytes, 16, or none.
    static func isAddress(_ address: InlineBytes<16>) -> Bool {
        address.isEmpty || address.count == 4 || address.count == 16
    }

    /// As `PlainText`.
    static func isText<let n: Int>(_ text: InlineBytes<n>) -> Bool { text.withBytes { PlainText.isValid($0) } }

    /// Whether a request id's time is near enough to `now`; `nil` = yes.
    static func age(_ requestID: Bytes16, now: UInt64) -> Status? {
        let time = requestID.timeMs
        if time + RuleBounds.maxRequestAgeMs < now { return .requestTooOld }
        if time > now + RuleBounds.maxRequestAgeMs { return .requestFromFuture }
        return nil
    }
}
