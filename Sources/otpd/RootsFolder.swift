import Glibc
import Permissions

/// In a folder of otpd's user, root would make a data folder that otpd can't open; or nobody can make one there.
struct RootsFolder: Error, CustomStringConvertible {
    let description: String

    /// - Parameter command: otpd's arguments, quoted.
    static func refuse(_ data: String, _ command: String) throws {
        var info = stat()
        guard geteuid() == 0, stat(Access.parent(data), &info) == 0, info.st_uid != 0 else { return }
        let user = Account.userName(info.st_uid)
        throw RootsFolder(
            description: "\(data) would be root's, in a folder of \(user)'s. Run this as otpd's user: "
                + "`runuser -u \(user) -- otpd \(command)`.")
    }
}
