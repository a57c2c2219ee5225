import Foundation
import Testing
import Wire

@testable import AuthServer

/// A batch that was cut off while it was written: dropped, and told of once.
@Suite struct TornTailTests {
    /// The folder of a running server as a power cut leaves it: the last record lacks its second sector, and
    /// the crash note is an old one.
    private static func tear(_ server: TestServer) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        for name in ["data", "master.key"] {
            try FileManager.default.copyItem(
                atPath: server.folder.path + "/" + name, toPath: folder.path + "/" + name)
        }
        try FileManager.default.removeItem(atPath: folder.path + "/data/crash-note")
        let segment = URL(fileURLWithPath: folder.path + "/data/journal/0000000000000001.seg")
        var bytes = Array(try Data(contentsOf: segment))
        let last = stride(from: 0, to: bytes.count, by: 512).reversed().first {
            Array(bytes[$0..<$0 + 4]) == Array("OTPJ".utf8)
        }
        let start = try #require(last) + 512
        #expect(bytes[start..<start + 508].contains { $0 != 0 }, "the last record has two sectors")
        for index in start..<start + 512 { bytes[index] = 0 }
        try Data(bytes).write(to: segment)
        return folder
    }

    private func count(_ kind: EventPush.Kind, _ server: TestServer) throws -> Int {
        let peer = try server.peer()
        var subscribe = Subscribe()
        subscribe.start = Subscribe.Start.oldest.rawValue
        subscribe.credit = 1_000
        try peer.send(subscribe)
        var found = 0
        while !peer.isQuiet(), let frame = try peer.next() {
            if frame.flags == .push, try frame.decode(EventPush.self).kind == kind.rawValue { found += 1 }
        }
        return found
    }

    @Test func aTornTailIsToldOfOnce() throws {
        let first = try TestServer()
        let peer = try first.peer()
        #expect(try peer.exchange(peer.requestCode()).status == .done)
        let folder = try Self.tear(first)
        let server = try TestServer(in: folder.path)
        #expect(try server.statistic("torn_tails_dropped") == 1)
        for restarts in 0..<3 {
            #expect(try count(.tornTailDropped, server) == 1, "after \(restarts) restarts")
            #expect(try count(.codeRequested, server) == 0)
            try server.restart()
            #expect(try server.statistic("torn_tails_dropped") == 0)
        }
        #expect(try count(.requestsLost, server) == 0)
    }
}
