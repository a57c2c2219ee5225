import CLinuxShim
import Engine
import Glibc
import LibCrypto
import Store
import Wire

/// `otpd --dev`: everything under one stamped folder, so that nothing real can be taken for it or lost to it.
public enum DevFolder {
    /// Why a folder isn't taken.
    public struct Failure: Error, CustomStringConvertible {
        /// What happened and what to do.
        public let description: String
    }

    static let stamp = "otpd-dev-folder"

    /// Settings for a server in `folder`, which is made, or must carry the stamp.
    public static func settings(_ folder: String) throws -> ServerSettings {
        let path = folder.hasPrefix("/") ? folder : workingFolder() + "/" + folder
        if access(path, F_OK) == 0 {
            guard access(path + "/" + stamp, F_OK) == 0 else {
                throw Failure(
                    description: "\(path) exists and is not an otpd dev folder (no \(stamp) file in it). "
                        + "Name another with --dev-folder.")
            }
        } else {
            guard mkdir(path, 0o700) == 0 else {
                throw Failure(description: "\(path): \(String(cString: strerror(errno)))")
            }
            let fd = linux_open(path + "/" + stamp, O_WRONLY | O_CREAT | O_EXCL, 0o600)
            guard fd >= 0 else { throw Failure(description: "\(path)/\(stamp): \(String(cString: strerror(-fd)))") }
            close(fd)
        }
        let keyPath = path + "/master.key"
        if access(keyPath, F_OK) != 0 { _ = try MasterKey.create(at: keyPath) }
        if access(path + "/data", F_OK) != 0 {
            try Store.create(at: path + "/data", master: try MasterKey.load(keyPath))
        }
        return try settings(of: path)
    }

    private static func settings(of path: String) throws -> ServerSettings {
        try ServerSettings(
            dataPath: path + "/data", masterKeyPath: path + "/master.key", issuer: "dev",
            tenants: [TenantPolicy(number: 1, name: "shop", shop: "Example Shop")],
            listeners: [ListenerRule(path: path + "/otpd.sock", mode: 0o600)],
            peers: [PeerRule(uid: geteuid(), tenant: 1, roles: .all)])
    }

    /// The settings of a development server whose folder needn't be there: for looking at its texts.
    public static func preview() throws -> ServerSettings { try settings(of: "/nonexistent") }

    private static func workingFolder() -> String {
        guard let text = getcwd(nil, 0) else { return "." }
        defer { free(text) }
        return String(cString: text)
    }
}
