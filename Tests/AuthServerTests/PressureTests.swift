import Dispatch
import Engine
import Foundation
import Glibc
import Testing
import Wire

@testable import AuthServer
@testable import Store

/// Peers that ask too much, read too little, or go away: bounded, and nobody else suffers.
@Suite struct PressureTests {
    /// `count` accounts and phones that share no limit.
    private func requests(_ peer: RawPeer, _ count: Int, from first: Int = 0) -> [RequestCode] {
        (first..<first + count).map { number in
            let digits = String(number)
            let phone = "+336" + String(repeating: "0", count: 8 - digits.count) + digits
            return peer.requestCode(account: "account-\(number)", phone: phone)
        }
    }

    @Test func manyMoreThanTheCapAreAllAnsweredInOrder() throws {
        let server = try TestServer()
        let peer = try server.peer()
        // 64 in flight are promised; a few hundred short ones fit the input bound, and wait there.
        let all = requests(peer, 300)
        var bytes: [UInt8] = []
        for request in all { bytes += try peer.frame(request) }
        #expect(bytes.count < Bounds.maxInputBytes)
        peer.send(bytes)
        for request in all {
            let reply = try #require(try peer.next()).decode(ChallengeReply.self)
            #expect(reply.challenge.timeMs == request.requestID.timeMs)
        }
        #expect(try server.statistic("challenges_created_total") == 300)
        let batches = try server.statistic("batches_total")
        #expect(
            batches >= 300 / UInt64(Bounds.maxInFlight), "no batch has more than the cap of one connection")
    }

    /// The overlay holds a few dozen requests, and checkpoints take longer than requests (also under ThreadSanitizer, which slows requests
    /// alone): writes wait, none is refused.
    @Test func admissionSlowsToTheCheckpointsSpeed() throws {
        let server = try TestServer { settings in settings.overlayRecords = 256 }
        let served = try #require(server.server.served)
        try served.loop.submit {
            served.store.checkpointer.cutsOff = { step in
                if step == .keysWritten { usleep(20_000) }
                return false
            }
        }
        let peer = try server.peer()
        for round in 0..<10 {
            let all = requests(peer, 100, from: round * 100)
            for request in all { try peer.send(request) }
            for _ in all { #expect(try #require(try peer.next()).status == .done) }
        }
        #expect(try server.statistic("overloaded_total") == 0)
        #expect(try server.statistic("stalls_total") > 0, "the overlay was full at least once")
        #expect(try server.statistic("checkpoints_total") > 10)
    }

    @Test func aPeerThatPipelinesAndLeavesHarmsNobody() throws {
        let server = try TestServer()
        let other = try server.peer()
        let watcher = try server.peer()
        var subscribe = Subscribe()
        subscribe.credit = 2_000
        try watcher.send(subscribe)
        let peer = try server.peer()
        let all = requests(peer, 1_000)
        var bytes: [UInt8] = []
        for request in all { bytes += try peer.frame(request) }
        let taken = peer.send(bytes, seconds: 2)
        #expect(taken > 0)
        peer.close()
        #expect(try other.exchange(other.requestCode(account: "other")).status == .done)
        #expect(try eventually { try server.statistic("connections") == 3 })

        // What was decided is there after a restart, and the same request ids find it.
        let created = try server.statistic("challenges_created_total") - 1
        try server.restart()
        let next = try server.peer()
        var found: UInt64 = 0
        for request in all {
            var status = StatusRequest()
            status.session = testSession
            let reply = try next.exchange(request)
            guard reply.status == .done else { continue }
            status.challenge = try reply.decode(ChallengeReply.self).challenge
            if try next.exchange(status).status == .done { found += 1 }
        }
        #expect(found == 1_000, "each is there or can be made anew: \(found)")
        #expect(created <= 1_000)
    }

    @Test func overlappedCommitsHoldWritesAndLetLookupsPass() throws {
        let server = try TestServer { $0.commit = .overlapped }
        let peer = try server.peer()
        var bytes: [UInt8] = []
        for request in requests(peer, 200) { bytes += try peer.frame(request) + peer.frame(Ping()) }
        peer.send(bytes)
        var done = 0
        for _ in 0..<400 where try peer.next()?.status == .done { done += 1 }
        #expect(done == 400)
    }

    /// More than one journal record holds, all at once: the next batch takes the rest, and nobody is refused.
    @Test(arguments: [CommitMode.inline, .overlapped, .adaptive]) func aFullBatchIsNotOverload(_ mode: CommitMode) throws
    {
        let server = try TestServer {
            $0.commit = mode
            $0.overlayRecords = 65_536
            $0.overlayBytes = 32 << 20
        }
        let peers = try (0..<48).map { _ in try server.peer() }
        // All of it is there when the loop looks.
        let (isSent, isBusy) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        try #require(server.server.served).loop.execute {
            isBusy.signal()
            isSent.wait()
        }
        isBusy.wait()
        for (index, peer) in peers.enumerated() {
            var bytes: [UInt8] = []
            for (number, request) in requests(peer, Bounds.maxInFlight, from: 1_000 * index).enumerated() {
                // Long ones: taken as one batch, their records would be more than a journal record holds.
                var request = request
                let name = "\(index)-\(number)-"
                request.account = AccountBytes(name + String(repeating: "a", count: 128 - name.utf8.count))
                request.webHost = InlineBytes(String(repeating: "w", count: 60))
                bytes += try peer.frame(request)
            }
            peer.send(bytes)
        }
        isSent.signal()
        for peer in peers {
            for _ in 0..<Bounds.maxInFlight { #expect(try peer.next()?.status == .done) }
        }
        #expect(try server.statistic("overloaded_total") == 0)
        let made = UInt64(peers.count * Bounds.maxInFlight)
        #expect(try server.statistic("challenges_created_total") == made)
        #expect(try server.statistic("batches_total") < made / 64, "they did come together")
    }

    @Test func inputWithoutReadingRepliesIsCutOff() throws {
        let server = try TestServer()
        let other = try server.peer()
        let peer = try server.peer()
        // Stats has the longest reply: the output bound is met first, then decisions pause and input fills up.
        let frame = try encoded(Stats())
        let flood = Array(repeatElement(frame, count: 40_000).joined())
        let taken = peer.send(flood, seconds: 5)
        #expect(taken < flood.count, "the server reads no more: \(taken) of \(flood.count) bytes")
        #expect(
            try eventually { try server.statistic("connections") == 2 },
            "cut off, though it doesn't read its Goodbye")
        #expect(try other.exchange(other.requestCode()).status == .done)
        // Whole replies, then the reason if the kernel still had room for it.
        var replies = 0
        while let frame = try peer.next() {
            if frame.flags == .push {
                #expect(try frame.decode(Goodbye.self).reason == Goodbye.Reason.inputOverflow.rawValue)
            } else {
                replies += 1
            }
        }
        #expect(replies > 0 && replies < 40_000)
    }

    @Test func moreThan64KiBOfUndecidedInputIsGoodbye() throws {
        let server = try TestServer { $0.commit = .overlapped }
        let (other, peer) = (try server.peer(), try server.peer())
        // Fills the kernel's buffers and the output bound, so that decisions pause; then 64 KiB of input, then it reads.
        let frame = try encoded(Stats())
        var sent = 0
        while sent < 60_000 {
            if peer.send(frame, seconds: 0.02) < frame.count {
                // Another peer's round trip: the loop has looked at its sockets since. If there is no room yet, it reads no more.
                #expect(try other.exchange(Ping()).status == .done)
                guard peer.send(frame, seconds: 0.02) == frame.count else { break }
            }
            sent += 1
        }
        #expect(sent < 60_000)
        var reason: UInt16?
        while let frame = try peer.next() {
            if frame.flags == .push { reason = try frame.decode(Goodbye.self).reason }
        }
        #expect(reason == Goodbye.Reason.inputOverflow.rawValue)
    }

    @Test func outputThatIsNotReadPausesAndGoesOn() throws {
        let server = try TestServer()
        let peer = try server.peer()
        // Fewer requests than the input bound: nobody is cut off, the rest waits until the replies are read.
        let frame = try encoded(Stats())
        let count = 4_000
        #expect(count * frame.count < Bounds.maxInputBytes)
        peer.send(Array(repeatElement(frame, count: count).joined()))
        let other = try server.peer()
        let before = try residentBytes()
        let served = try server.statistic("requests_total")
        #expect(served < UInt64(count), "decisions pause while output isn't read: \(served)")
        #expect(try residentBytes() < before + (16 << 20))
        for _ in 0..<count { #expect(try peer.next()?.status == .done) }
        #expect(try other.exchange(Ping()).status == .done)
    }

    @Test func aSubscriberThatDoesNotReadLosesNothing() throws {
        let server = try TestServer()
        let watcher = try server.peer()
        var subscribe = Subscribe()
        subscribe.start = Subscribe.Start.now.rawValue
        subscribe.credit = 5
        #expect(try watcher.exchange(subscribe).status == .done)
        let peer = try server.peer()
        for request in requests(peer, 40) { #expect(try peer.exchange(request).status == .done) }
        var cursors: [Cursor] = []
        for _ in 0..<5 { cursors.append(try #require(try watcher.next()).decode(EventPush.self).cursor) }
        #expect(watcher.isQuiet(), "no credit, no event")
        var acknowledge = Acknowledge()
        acknowledge.cursor = cursors[4]
        acknowledge.credit = 1_000
        try watcher.send(acknowledge)
        while cursors.count < 40 {
            let frame = try #require(try watcher.next())
            if frame.flags == .push { cursors.append(try frame.decode(EventPush.self).cursor) }
        }
        #expect(cursors == cursors.sorted() && Set(cursors).count == 40)
    }

    private func residentBytes() throws -> Int {
        let text = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
        guard let pages = text.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else {
            throw TestError("statm")
        }
        return pages * 4_096
    }
}
