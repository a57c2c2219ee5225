import COpenSSL
import Foundation
import Glibc
import LibCrypto
import Testing

@testable import Store

/// Where a running server keeps what must not reach a disk. Needs root, who alone may read its memory.
@Suite(.serialized, .enabled(if: geteuid() == 0)) struct SecretMemoryTests {
    /// Every key that the server derives from the master key's file and its keyring, and the states that MACs begin with.
    private func needles(_ server: DevServer) throws -> [(what: String, bytes: [UInt8])] {
        let folder = server.folder.path + "/.otpd-dev"
        let bytes = try Data(contentsOf: URL(fileURLWithPath: folder + "/master.key"))
        let master = SecretBytes(count: 32) { $0.copyBytes(from: bytes) }
        var needles: [(what: String, bytes: [UInt8])] = [("master key", Array(bytes))]
        for use in ["wrap", "code", "index", "id", "request-digest", "grant", "crash-note"] {
            let key = HKDF.sha256(key: master, info: "otpd/1/" + use, count: 32).withUnsafeBytes { Array($0) }
            needles.append(("\(use) key", key))
            needles += states(key).map { ("\(use) \($0)", $1) }
        }
        let copy = server.folder.path + "/keyring"
        try FileManager.default.copyItem(atPath: folder + "/data/keyring", toPath: copy)
        let keyring = try Keyring(opening: copy, master: master)
        for id in 1..<UInt32(keyring.count) {
            for (use, key) in try #require(try keyring.key(id)).bytes() { needles.append(("data key \(id) \(use)", key)) }
        }
        return needles
    }

    /// HMAC's inner and outer state, as they lie in memory.
    private func states(_ key: [UInt8]) -> [(String, [UInt8])] {
        [("inner", UInt8(0x36)), ("outer", 0x5C)].map { name, pad in
            var context = SHA256_CTX()
            SHA256_Init(&context)
            let block = (0..<64).map { ($0 < key.count ? key[$0] : 0) ^ pad }
            SHA256_Update(&context, block, 64)
            return (name, withUnsafeBytes(of: context.h) { Array($0) })
        }
    }

    @Test func everyKeyByteIsLockedAndLeftOutOfDumps() throws {
        let server = try DevServer()
        for number in 0..<3 {
            let challenge = try server.request(account: "key-\(number)", phone: "+3361234567\(number)")
            _ = try server.ctl("verify", challenge, try server.code(challenge))
        }
        // Records that another start sealed are read, too.
        _ = try server.stop()
        try server.startAgain()
        let challenge = try server.request(account: "key-0", phone: "+33612345670")
        _ = try server.ctl("verify", challenge, try server.code(challenge))
        // A checkpoint.
        usleep(1_500_000)
        let needles = try needles(server)
        let hits = try ProcessMemory(of: server.pid).find(needles)
        for hit in hits where !hit.isSafe {
            Issue.record("\(hit.what) lies in \(hit.region.name) \(String(hit.region.start, radix: 16)), \(hit.region.flags.sorted())")
        }
        // The scan sees what is there.
        for use in ["code inner", "code outer", "index inner", "data key 2 table", "data key 2 journal", "wrap key"] {
            #expect(hits.contains { $0.what == use && $0.isSafe }, "no \(use)")
        }
        print("keys: \(needles.count) looked for, \(hits.count) places, all in \(Set(hits.map(\.region.start)).count) regions")
    }

    @Test func codesThatAreOverAreNowhere() throws {
        let server = try DevServer()
        var needles: [(what: String, bytes: [UInt8])] = []
        for number in 0..<4 {
            let challenge = try server.request(account: "canary-account-\(number)", phone: "+3361234567\(number)")
            let code = try server.code(challenge)
            let wrong = wrongCode(for: code)
            _ = try server.ctl("verify", challenge, wrong)
            if number > 0 { #expect(try server.ctl("verify", challenge, code).code == 0) }
            needles += [("code \(number)", Array(code.utf8)), ("wrong code \(number)", Array(wrong.utf8))]
        }
        usleep(300_000)
        let memory = try ProcessMemory(of: server.pid)
        let hits = try memory.find(needles)
        #expect(hits.isEmpty, "\(hits.map { ($0.what, $0.region.name, String($0.region.start, radix: 16)) })")
        #expect(try !memory.find([("account", Array("canary-account-1".utf8))]).isEmpty, "the scan sees nothing")
    }
}

extension DataKey {
    /// The subkeys that seal.
    fileprivate func bytes() -> [(String, [UInt8])] {
        ["journal", "table"].map { use in
            (use, subkey(use).withUnsafeBytes { Array($0) })
        }
    }
}
