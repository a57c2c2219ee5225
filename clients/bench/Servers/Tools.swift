import CLinuxShim
import Glibc

/// Small C programs of the repository, built with `cc -O2` into `bench-results/tools` when their source is newer.
enum Tools {
    static func floor(_ sources: String) throws -> String {
        try build("\(sources)/floor/floor.c", "floor", [])
    }
    static func probe(_ sources: String) throws -> String {
        try build("\(sources)/probe/probe.c", "probe.so", ["-fPIC", "-shared", "-ldl"])
    }

    private static func build(_ source: String, _ name: String, _ flags: [String]) throws -> String {
        var made = stat()
        var written = stat()
        guard stat(source, &written) == 0 else {
            throw BenchError(
                "no \(source): run otp-bench from the repository's root, or give --sources clients/bench")
        }
        let folder = Report.folder + "/tools"
        try Report.makeFolder(folder)
        let output = try absolute(folder) + "/" + name
        if stat(output, &made) == 0, made.st_mtim.tv_sec > written.st_mtim.tv_sec { return output }
        try Child.run("cc", ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-o", output, source] + flags)
        return output
    }

    private static func absolute(_ path: String) throws -> String {
        guard let resolved = realpath(path, nil) else {
            throw BenchError("\(path): \(String(cString: strerror(errno)))")
        }
        defer { free(resolved) }
        return String(cString: resolved)
    }
}
