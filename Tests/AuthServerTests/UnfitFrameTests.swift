import Store
import Testing
import Wire

@testable import AuthServer

/// A reply of the server's own that doesn't fit its frame: one caller is told `unknown`, the operator reads
/// of it, everybody else is served.
@Suite struct UnfitFrameTests {
    /// Past the decoder, which refuses such a name: the desk stands for any place where a value is kept and
    /// told again.
    private func poison(_ hand: HandBatch, _ peer: HandPeer) {
        var report = ReportRoute()
        report.gateway = InlineBytes([UInt8](repeating: 0x67, count: 33))
        report.breaker = 1
        #expect(hand.batch.routes.report(report, peer.connection, now: 1) != nil)
    }

    @Test func isUnknownToWhoAskedAndAnErrorInTheLog() throws {
        let clock = StillClock()
        let hand = try HandBatch { settings in settings.clockSource = { clock.source } }
        var remarks: [String] = []
        hand.batch.unfit.remark = { remarks.append($0) }
        let (courier, operator_) = (try hand.peer(), try hand.peer())
        poison(hand, courier)
        for _ in 0..<3 {
            try operator_.send(ShowRoute())
            hand.turn()
            let reply = try #require(operator_.frames().first)
            #expect(reply.status == .unknown && reply.opcode == Opcode.showRoute.rawValue)
        }
        try courier.send(Ping())
        hand.turn()
        #expect(courier.frames().map(\.status) == [.done], "everybody else is served")
        #expect(remarks.count == 1, "at most once a minute: \(remarks)")
        clock.pass(UnfitFrames.remarkMs)
        try operator_.send(ShowRoute())
        hand.turn()
        #expect(remarks.count == 2 && remarks[1].contains("so were 2 since"), "\(remarks)")
        #expect(hand.batch.unfit.total == 4)
        try hand.close([courier, operator_])
    }

    /// A push that doesn't fit is left out: what follows it arrives whole.
    @Test func aPushIsLeftOut() throws {
        let hand = try HandBatch()
        let peer = try hand.peer()
        var push = MessagePush()
        push.text = InlineBytes([UInt8](repeating: 0x61, count: 641))
        peer.connection.send(isHeld: false) { try FieldEncoder.push(push, into: $0) }
        try peer.send(Ping())
        hand.turn()
        #expect(peer.frames().map(\.opcode) == [Opcode.ping.rawValue])
        try hand.close([peer])
    }
}
