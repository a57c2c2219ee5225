import Glibc

/// A small ext4 file system in a file, loop-mounted in a mount namespace of this process' own: nobody else sees it, and it goes with
/// the process.
final class DiskImage {
    let mountPoint: String
    private let image: String
    private var isMounted = false

    /// Whether this machine can do it; else why not.
    static func obstacle() throws -> String? {
        if geteuid() != 0 { return "it needs root" }
        if access("/dev/loop-control", F_OK) != 0 { return "there is no loop device" }
        for tool in ["mkfs.ext4", "mount", "umount", "unshare"] where try run("sh", "-c", "command -v \(tool) >/dev/null") != 0 {
            return "there is no \(tool)"
        }
        return try run("unshare", "-m", "true") == 0 ? nil : "a private mount namespace isn't allowed"
    }

    /// Runs this program again, alone in a mount namespace. Returns its exit code; `nil` = this is that program.
    static func enterNamespace() throws -> Int32? {
        guard getenv("OTP_CRASH_NAMESPACE") == nil else { return nil }
        var arguments: [String] = ["unshare", "-m", "--propagation", "private", try ownFolder() + "/otp-crash"]
        arguments += CommandLine.arguments.dropFirst()
        let kept = ["PATH", "TMPDIR", "OTPD_COMMIT"].compactMap { (name: String) in getenv(name).map { "\(name)=\(String(cString: $0))" } }
        let pid = spawn(["/usr/bin/env"] + arguments, environment: kept + ["OTP_CRASH_NAMESPACE=1"])
        guard case .exited(let code) = end(of: pid) else { return 1 }
        return code
    }

    /// - Parameter folder: on a tmpfs, so that the image's own disk isn't what is measured.
    init(in folder: String, mebibytes: Int) throws {
        image = folder + "/disk.img"
        mountPoint = folder + "/disk"
        guard mkdir(mountPoint, 0o700) == 0 else { throw CrashError("\(mountPoint): \(reason())") }
        try command("truncate", "-s", "\(mebibytes)M", image)
        try command("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1", image)
        try mount()
    }

    private func command(_ arguments: String...) throws {
        let environment = ["PATH=/usr/local/bin:/usr/bin:/usr/local/sbin:/usr/sbin:/bin:/sbin"]
        let ending = end(of: spawn(["/usr/bin/env"] + arguments, environment: environment))
        guard ending == .exited(0) else { throw CrashError("\(arguments.joined(separator: " ")): \(ending)") }
    }

    func mount() throws {
        try command("mount", "-o", "loop", image, mountPoint)
        isMounted = true
    }

    func unmount() throws {
        try command("umount", mountPoint)
        isMounted = false
    }

    /// The power goes: what the device doesn't have is lost, the file system's own log too; every call from now on fails with EIO.
    func cutPower() throws {
        let fd = open(mountPoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard fd >= 0 else { throw CrashError("\(mountPoint): \(reason())") }
        defer { close(fd) }
        // EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH: <linux/ext4.h>.
        var flag: UInt32 = 2
        guard ioctl(fd, 0x8004_587D, &flag) == 0 else { throw CrashError("EXT4_IOC_SHUTDOWN: \(reason())") }
    }

    deinit {
        guard isMounted else { return }
        do { try command("umount", "-l", mountPoint) } catch { say("left mounted: \(error)") }
    }

    /// A folder in memory for the image; TMPDIR when there is no tmpfs.
    static func folder() throws -> String {
        if access("/dev/shm", W_OK) == 0 { setenv("TMPDIR", "/dev/shm", 1) }
        return try temporaryFolder()
    }
}
