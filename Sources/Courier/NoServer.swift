import Glibc
package import Permissions

/// Why the socket couldn't be connected to, and what to do.
package enum NoServer {
    /// A missing permission is nothing that a running otpd mends.
    package static func why(_ path: String, _ code: Int32, by account: Account = .current()) -> String {
        let reason = "\(path): \(String(cString: strerror(code)))"
        guard code == EACCES || code == EPERM else { return "\(reason). Is otpd running?" }
        return "\(reason): \(Access.obstacle(path, needs: .connect, by: account) ?? "\(account.text) may not connect")."
    }
}
