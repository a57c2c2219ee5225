import CLinuxShim
import Glibc

/// The system's words for an errno.
func message(of code: Int32) -> String {
    guard let text = strerror(code) else { return "error \(code)" }
    return String(cString: text)
}

/// An open file; closed when it goes.
struct FileDescriptor: ~Copyable {
    let fd: Int32
    let path: String

    /// Opens with O_CLOEXEC.
    init(_ path: String, _ flags: Int32, mode: mode_t = 0o600) throws(StoreError) {
        let fd = linux_open(path, flags, mode)
        guard fd >= 0 else { throw .io(operation: "open", path: path, code: -fd) }
        self.fd = fd
        self.path = path
    }

    deinit { close(fd) }

    func fail(_ operation: String) -> StoreError { .io(operation: operation, path: path, code: errno) }

    /// All of `bytes` at `offset`; interrupted and short writes go on.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(StoreError) {
        var done = 0
        while done < bytes.count {
            let count = pwrite(fd, bytes.baseAddress.map { $0 + done }, bytes.count - done, off_t(offset + done))
            if count < 0 {
                if errno == EINTR { continue }
                throw fail("write")
            }
            guard count > 0 else { throw .io(operation: "write", path: path, code: ENOSPC) }
            done += count
        }
    }

    /// Up to `buffer.count` bytes at `offset`; fewer at the end of the file.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(StoreError) -> Int {
        var done = 0
        while done < buffer.count {
            let count = pread(fd, buffer.baseAddress.map { $0 + done }, buffer.count - done, off_t(offset + done))
            if count < 0 {
                if errno == EINTR { continue }
                throw fail("read")
            }
            if count == 0 { break }
            done += count
        }
        return done
    }

    func syncData() throws(StoreError) {
        while fdatasync(fd) != 0 { if errno != EINTR { throw fail("fdatasync") } }
    }

    func sync() throws(StoreError) {
        while fsync(fd) != 0 { if errno != EINTR { throw fail("fsync") } }
    }

    var size: Int {
        get throws(StoreError) {
            var info = stat()
            guard fstat(fd, &info) == 0 else { throw fail("stat") }
            return Int(info.st_size)
        }
    }
}

/// Files and folders whose existence must survive a power cut.
enum FileSystem {
    static func syncFolder(_ path: String) throws(StoreError) {
        try FileDescriptor(path, O_RDONLY | O_DIRECTORY).sync()
    }

    static func makeFolder(_ path: String) throws(StoreError) {
        guard mkdir(path, 0o700) == 0, chmod(path, 0o700) == 0 else {
            throw .io(operation: "mkdir", path: path, code: errno)
        }
    }

    static func rename(_ old: String, _ new: String) throws(StoreError) {
        guard Glibc.rename(old, new) == 0 else { throw .io(operation: "rename", path: old, code: errno) }
    }

    static func remove(_ path: String) throws(StoreError) {
        guard unlink(path) == 0 else { throw .io(operation: "unlink", path: path, code: errno) }
    }

    /// A folder and what is in it; a symbolic link goes, not what it names.
    static func removeTree(_ path: String) throws(StoreError) {
        for name in try names(in: path) {
            let child = path + "/" + name
            var info = stat()
            guard lstat(child, &info) == 0 else { throw .io(operation: "stat", path: child, code: errno) }
            if info.st_mode & S_IFMT == S_IFDIR { try removeTree(child) } else { try remove(child) }
        }
        guard rmdir(path) == 0 else { throw .io(operation: "rmdir", path: path, code: errno) }
    }

    /// Writes beside, syncs, renames over, syncs the folder: the file is the old one or the new one, never a mix.
    static func replace(_ path: String, with bytes: [UInt8]) throws(StoreError) {
        let temporary = path + ".new"
        do {
            let file = try FileDescriptor(temporary, O_WRONLY | O_CREAT | O_TRUNC)
            guard fchmod(file.fd, 0o600) == 0 else { throw file.fail("chmod") }
            var result: StoreError?
            bytes.withUnsafeBytes { raw in
                do throws(StoreError) { try file.write(raw, at: 0) } catch { result = error }
            }
            if let result { throw result }
            try file.sync()
        }
        try rename(temporary, path)
        try syncFolder(parent(of: path))
    }

    static func contents(_ path: String, limit: Int = 16 << 20) throws(StoreError) -> [UInt8] {
        let file = try FileDescriptor(path, O_RDONLY)
        let size = try file.size
        guard size <= limit else { throw .damaged(path: path, detail: "the file is larger than otpd ever writes") }
        var bytes = [UInt8](repeating: 0, count: size)
        var result: StoreError?
        var count = 0
        bytes.withUnsafeMutableBytes { raw in
            do throws(StoreError) { count = try file.read(into: raw, at: 0) } catch { result = error }
        }
        if let result { throw result }
        return Array(bytes.prefix(count))
    }

    /// No room: on the disk, or of otpd's user. More may come.
    static func isFull(_ code: Int32) -> Bool { code == ENOSPC || code == EDQUOT }

    /// What can't be looked at isn't absent: whoever opens it is told why not.
    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR) }

    static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Names in a folder, sorted; without `.` and `..`.
    static func names(in path: String) throws(StoreError) -> [String] {
        guard let folder = opendir(path) else { throw .io(operation: "opendir", path: path, code: errno) }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                String(decoding: raw.prefix(while: { $0 != 0 }), as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Bytes free for otpd's user on the file system of `path`.
    static func freeBytes(at path: String) -> UInt64 {
        var info = statvfs()
        guard statvfs(path, &info) == 0 else { return 0 }
        return UInt64(info.f_bavail) * UInt64(info.f_frsize)
    }
}
