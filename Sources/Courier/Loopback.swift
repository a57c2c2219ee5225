/// What never leaves this machine, judged by its name alone: a name that DNS resolves may lead anywhere tomorrow.
enum Loopback {
    /// `localhost`, 127.x.x.x or ::1.
    static func holds(host: some StringProtocol) -> Bool {
        if host == "localhost" || host == "::1" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }

    /// `host:port/path` of a URL, without a user.
    static func holds(authority: Substring) -> Bool {
        let authority = authority.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        if authority.contains("@") { return false }
        if authority == "[::1]" || authority.hasPrefix("[::1]:") { return true }
        return holds(host: authority.prefix { $0 != ":" })
    }
}
