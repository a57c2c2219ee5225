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

    /// Credentials and codes travel in clear over http: only within this machine, unless somebody has said that the way is safe.
    /// A proxy elsewhere gets an http request whole, wherever it leads; through one, https stays sealed to its end.
    package static func isPlain(_ url: String, proxy: String? = nil) -> Bool {
        guard url.lowercased().hasPrefix("http://") else { return false }
        // `http://127.0.0.1@elsewhere`, `http://[::1].elsewhere`.
        return !Loopback.holds(authority: url.dropFirst(7)) || !(proxy.map(isNear) ?? true)
    }

    /// `scheme://user:password@host:port`, of which all but the host may be missing.
    private static func isNear(_ proxy: String) -> Bool {
        let address = proxy.firstRange(of: "://").map { proxy[$0.upperBound...] } ?? proxy[...]
        // Who logs in to a proxy sends a password as well; curl takes the last `@`.
        return Loopback.holds(authority: address.lastIndex(of: "@").map { address[address.index(after: $0)...] } ?? address)
    }
}
