/// Whom a TLS connection must reach.
package struct TLSSettings: Sendable {
    /// The name (or address) that the peer's certificate must bear.
    package var name: String
    /// Who may vouch for it, in PEM; `nil` = whom the system trusts.
    package var caFile: String?

    package init(name: String, caFile: String? = nil) {
        self.name = name
        self.caFile = caFile
    }
}
