import CLinuxShim

/// LMDB maps its file and trusts it: where a page is cut off, or a length is wrong, the process dies. While one
/// is opened, such a death says so.
enum MappedFile {
    /// Until `opened`.
    static func opening(_ path: String) {
        linux_say_at_crash(
            "otpd: \(path) is damaged or was cut: LMDB died of it. Nothing was changed. Look for disk errors (dmesg), keep "
                + "a copy of the folder, and restore the newest backup that `otpd restore` takes.\n")
    }

    static func opened() { linux_say_at_crash(nil) }
}
