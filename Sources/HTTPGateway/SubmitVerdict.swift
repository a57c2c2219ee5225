/// What a response says of a message. Reasons are for the operator: codes and statuses, never a vendor's prose, which may repeat the
/// text and its code.
public enum SubmitVerdict: Sendable, Equatable {
    /// The vendor has it; `id` is what its receipts will name, empty if it named none.
    case accepted(id: String)
    /// Never to this number, or never this text.
    case permanentNumber(String)
    /// Nothing through this route until somebody mends it.
    case permanentRoute(String)
    /// Not taken. Later, perhaps.
    case transient(String, retryAfterSeconds: UInt64?)
    /// It may be on its way.
    case ambiguous(String)

    /// By the status alone; `nil` for those that want a look at the body: 2xx, 400, 409, 422 and other 4xx.
    static func byStatus(_ response: HTTPResponse) -> SubmitVerdict? {
        let why = "HTTP \(response.status)"
        switch response.status {
        case 408, 425: return .transient(why, retryAfterSeconds: nil)
        case 429, 503: return .transient(why, retryAfterSeconds: retryAfter(response))
        case 401, 402, 403, 404, 405, 407: return .permanentRoute(why)
        case 300..<400: return .permanentRoute("\(why): redirects aren't followed")
        case 200..<300, 400..<500: return nil
        default: return .ambiguous(why)
        }
    }

    /// A refusal whose code nobody knows. It is taken for the number's: were it the route's, one odd number could shut the route for all.
    static func unknown(_ response: HTTPResponse, code: String? = nil) -> SubmitVerdict {
        if response.isSuccess { return .ambiguous("HTTP \(response.status), and its body can't be read") }
        return .permanentNumber(why(response, code))
    }

    /// `HTTP 400, code 21211`.
    static func why(_ response: HTTPResponse, _ code: String?) -> String {
        guard let code, isTame(code) else { return "HTTP \(response.status)" }
        return "HTTP \(response.status), code \(code)"
    }

    /// Accepted with an id that fits a report; a longer or a strange one can't be matched with a receipt and is left out.
    static func taken(_ id: String?) -> SubmitVerdict {
        guard let id, isTame(id) else { return .accepted(id: "") }
        return .accepted(id: id)
    }

    /// 1–64 visible ASCII characters.
    static func isTame(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
    }

    /// `Retry-After` in seconds; a date, which some send, says nothing to who trusts no wall clock.
    private static func retryAfter(_ response: HTTPResponse) -> UInt64? {
        let value = response.header("Retry-After") ?? response.header("x-ratelimit-reset")
        guard let digits = value.map({ $0.utf8.prefix(10) }), !digits.isEmpty,
            digits.allSatisfy({ (0x30...0x39).contains($0) })
        else { return nil }
        return digits.reduce(0) { $0 * 10 + UInt64($1 - 0x30) }
    }
}
