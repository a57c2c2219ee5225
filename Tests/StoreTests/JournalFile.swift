import Foundation
import Glibc

@testable import Store

/// The journal of a store that is open, with another file put in the place of its segment's descriptor.
enum JournalFile {
    /// What the journal's calls then meet.
    enum Device: String, CaseIterable, Sendable {
        /// Takes every write and can't be synced (EINVAL).
        case takesWritesAndCannotSync = "/dev/null"
        /// Takes no write (ENOSPC).
        case isFull = "/dev/full"
    }

    /// From here on the newest segment under `path` is `device` to this process.
    static func replace(under path: String, with device: Device) throws {
        let folder = URL(filePath: path).resolvingSymlinksInPath().path + "/journal/"
        var newest: (fd: Int32, path: String)?
        for name in try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
            guard let fd = Int32(name),
                let target = try? FileManager.default.destinationOfSymbolicLink(
                    atPath: "/proc/self/fd/\(name)"),
                target.hasPrefix(folder), target.hasSuffix(".seg")
            else { continue }
            if newest.map({ $0.path < target }) ?? true { newest = (fd, target) }
        }
        guard let newest else { throw StoreError.notADataFolder(path: path) }
        let other = Glibc.open(device.rawValue, O_RDWR)
        guard other >= 0, dup2(other, newest.fd) >= 0 else {
            throw StoreError.io(operation: "dup2", path: device.rawValue, code: errno)
        }
        Glibc.close(other)
    }
}
