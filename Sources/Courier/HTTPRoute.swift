package import HTTPGateway

/// Everything about one HTTP vendor's route that isn't its API: how many requests at a time, for how long, over whom.
package struct HTTPRoute: Sendable {
    /// What reports call it: at most 32 bytes.
    package var name = "http"
    package var vendor: any HTTPVendor
    /// What phones show, unless the route to the number says otherwise.
    package var sender = ""
    /// Where the vendor reports delivery; empty = nowhere.
    package var callback = ""
    /// Requests without an answer at any time.
    package var window = 10
    /// Milliseconds until a connection stands, and until the answer is whole. Another gateway has the message next.
    package var connectMs: UInt64 = 3_000
    package var answerMs: UInt64 = 5_000
    /// `http://host:port`; `nil` = straight. The environment's variables for proxies aren't read.
    package var proxy: String?
    /// Who may vouch for the vendor, in PEM; `nil` = whom the system trusts.
    package var caFile: String?

    package init(vendor: any HTTPVendor) { self.vendor = vendor }

    /// Credentials and codes travel in clear over http: only to this machine, unless somebody has said that the way is safe.
    package static func isPlain(_ url: String) -> Bool {
        guard url.lowercased().hasPrefix("http://") else { return false }
        let host = url.dropFirst(7).prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        // `http://127.0.0.1@elsewhere`, `http://[::1].elsewhere`.
        if host.contains("@") { return true }
        if host == "[::1]" || host.hasPrefix("[::1]:") { return false }
        let name = host.prefix { $0 != ":" }
        return name != "localhost" && !isLoopbackAddress(name)
    }

    private static func isLoopbackAddress(_ name: Substring) -> Bool {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }
}
