import Glibc
import LibCrypto
import Testing

@testable import AuthServer

/// The master key's file: 32 bytes, 0400, the server's own.
@Suite struct MasterKeyTests {
    private func failure(_ path: String) throws -> String {
        do { _ = try MasterKey.load(path) } catch let error as MasterKey.Failure { return error.description }
        throw TestError("\(path) was taken")
    }

    @Test func isMadeOnceWithMode0400() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/key"
        let made = try MasterKey.create(at: path)
        var info = stat()
        #expect(stat(path, &info) == 0)
        #expect(info.st_mode & 0o7777 == 0o400)
        #expect(info.st_size == 32)
        let loaded = try MasterKey.load(path)
        #expect(made.withUnsafeBytes { Array($0) } == loaded.withUnsafeBytes { Array($0) })
        #expect(throws: MasterKey.Failure.self) { _ = try MasterKey.create(at: path) }
        let other = try MasterKey.create(at: folder.path + "/other")
        #expect(made.withUnsafeBytes { Array($0) } != other.withUnsafeBytes { Array($0) })
    }

    @Test(arguments: [0o600, 0o500, 0o440, 0o404, 0o420, 0o401, 0o644, 0o777] as [mode_t])
    func aLooserModeIsRefused(_ mode: mode_t) throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(String(repeating: "k", count: 32), to: "key", mode: mode)
        let text = try failure(path)
        #expect(text.hasPrefix("\(path): the mode is looser than 0400"), "\(text)")
        #expect(text.contains("chmod 0400"), "\(text)")
        #expect(chmod(path, 0o400) == 0)
        _ = try MasterKey.load(path)
    }

    @Test(arguments: [0, 31, 33, 64]) func aWrongLengthIsRefused(_ count: Int) throws {
        let folder = try TemporaryFolder()
        let path = try folder.write(String(repeating: "k", count: count), to: "key", mode: 0o400)
        let text = try failure(path)
        #expect(text.contains("exactly 32 bytes; this file has \(count)"), "\(text)")
    }

    @Test func whatIsNotAFileIsRefused() throws {
        let folder = try TemporaryFolder()
        #expect(try failure(folder.path + "/none").contains("No such file"))
        let real = try folder.write(String(repeating: "k", count: 32), to: "key", mode: 0o400)
        let link = folder.path + "/link"
        #expect(symlink(real, link) == 0)
        #expect(try failure(link).hasPrefix(link))
        #expect(try failure(folder.path).hasPrefix(folder.path))
    }
}
