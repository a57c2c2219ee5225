import ArgumentParser
import CLinuxShim
import Glibc
import Wire

/// Clocks that jump under a real otpd, running and between two starts.
struct Times: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "time", abstract: "Turn the wall clock, the boot clock and the boot id; limits and ends of life must hold.")

    @OptionGroup var common: Common

    private static let hour: Int64 = 3_600_000
    private static let day: Int64 = 24 * hour
    private static let year: Int64 = 365 * day

    func run() throws {
        var session: Session?
        try ending("time --seed \(common.seed)", { session?.folder }) {
            let work = try temporaryFolder()
            let library = try CrashServer.buildLibrary(in: work)
            say("otp-crash time: seed \(common.seed), commit \(commitName())")
            let tests: [(String, (Session) throws -> Void)] = [
                ("same boot, the wall an hour back and ten years ahead", sameBoot), ("the wall steps while it runs", steps),
                ("the machine sleeps for an hour", sleeps), ("another boot, an hour behind", anotherBootBehind),
                ("another boot, later", anotherBootLater), ("another boot, over 400 days ahead", farAhead),
            ]
            for (number, (name, test)) in tests.enumerated() {
                let made = try Session(
                    library: library, folder: try temporaryFolder(), commit: common.mode(number),
                    seed: common.seed &+ UInt64(number))
                session = made
                made.server.control.setBootID(1)
                try made.start()
                try test(made)
                try made.server.remove()
                say("  passed: \(name)")
            }
            session = nil
            try removeTree(work)
            say("passed: \(tests.count) of \(tests.count)")
        }
    }

    /// An open challenge with a wrong attempt on it, and what asks about it.
    private struct Shopper {
        var request: RequestCode
        var challenge: Bytes16
        var code: CodeBytes
        var expiresAtMs: UInt64
    }

    private func open(_ session: Session) throws -> Shopper {
        let peer = try session.peer()
        var lease = LeaseMessages()
        lease.credit = 64
        _ = try peer.exchange(lease)
        let request = session.request(peer)
        let reply = try peer.exchange(request).decode(ChallengeReply.self)
        while peer.pushed[reply.challenge] == nil {
            guard peer.hasInput(milliseconds: 5_000), !peer.isDead else { throw Violation("no message came") }
            _ = try peer.receive()
        }
        guard let message = peer.pushed[reply.challenge] else { throw Violation("no message came") }
        _ = try peer.exchange(reportOn(message, .submitted))
        let shopper = Shopper(
            request: request, challenge: reply.challenge, code: code(of: message), expiresAtMs: reply.expiresAtMs)
        try expect(.wrongCode, verify(session, shopper, CodeBytes(shopper.code.array.map { ($0 - 0x30 + 1) % 10 + 0x30 })), "a wrong code")
        return shopper
    }

    private func verify(_ session: Session, _ shopper: Shopper, _ code: CodeBytes? = nil) throws -> LoggedFrame {
        let peer = try session.peer()
        var message = Verify()
        message.requestID = session.id(peer)
        message.challenge = shopper.challenge
        message.session = shopper.request.session
        message.code = code ?? shopper.code
        return try peer.exchange(message)
    }

    /// The same account and phone again, in another session: one more send.
    private func another(_ session: Session, _ shopper: Shopper) throws -> LoggedFrame {
        let peer = try session.peer()
        var message = shopper.request
        message.requestID = session.id(peer)
        message.session = Bytes32(head: message.session.tail, tail: message.session.head)
        return try peer.exchange(message)
    }

    private func expect(_ status: Status, _ frame: LoggedFrame, _ what: String) throws {
        guard frame.status == status else { throw Violation("\(what): \(String(describing: frame.status)), not \(status)") }
    }

    private func now(_ session: Session) throws -> UInt64 {
        try session.peer().exchange(Ping()).decode(Ping.Reply.self).engineTimeMs
    }

    private func restart(_ session: Session, _ extra: [String] = []) throws {
        session.server.kill9()
        try session.start(extra)
    }

    /// Nothing has changed: the gap stands, the attempt counts, the code is good once, its end is where it was.
    private func expectUnchanged(_ session: Session, _ shopper: Shopper, _ what: String) throws {
        try expect(.limited, try another(session, shopper), "\(what): the resend gap")
        let peer = try session.peer()
        var status = StatusRequest()
        status.challenge = shopper.challenge
        status.session = shopper.request.session
        let stored = try peer.exchange(status).decode(StatusRequest.Reply.self)
        guard stored.state == StatusRequest.State.open.rawValue, stored.attemptsLeft == 4, stored.expiresAtMs == shopper.expiresAtMs
        else { throw Violation("\(what): state \(stored.state), \(stored.attemptsLeft) attempts, end \(stored.expiresAtMs)") }
    }

    /// The code is good a second before its end and dead at it, by the boot clock alone.
    private func expectExactEnd(_ session: Session, _ shoppers: (Shopper, Shopper), _ what: String) throws {
        let left = Int64(shoppers.0.expiresAtMs) - Int64(try now(session))
        guard (250_000...300_000).contains(left) else { throw Violation("\(what): \(left) ms of life left") }
        session.server.control.boottimeShiftMs += left - 1_500
        try expect(.done, try verify(session, shoppers.0), "\(what): a right code before the end")
        let rest = Int64(shoppers.1.expiresAtMs) - Int64(try now(session))
        session.server.control.boottimeShiftMs += max(0, rest)
        try expect(.challengeNotOpen, try verify(session, shoppers.1), "\(what): a right code at the end")
    }

    private func sameBoot(_ session: Session) throws {
        for (what, shift) in [("an hour back", -Times.hour), ("ten years ahead", 10 * Times.year), ("as it was", 0)] {
            let shoppers = (try open(session), try open(session))
            let before = try now(session)
            session.server.control.realtimeShiftMs = shift
            try restart(session)
            let after = try now(session)
            guard after >= before, after < before + 30_000 else {
                throw Violation("\(what): engine time went from \(before) to \(after)")
            }
            try expectUnchanged(session, shoppers.0, what)
            try expectExactEnd(session, shoppers, what)
            let wrong = try open(session)
            try expect(.done, try verify(session, wrong), "\(what): a new code")
        }
    }

    private func steps(_ session: Session) throws {
        for shift in [-Times.hour, 10 * Times.year, 0] {
            let shoppers = (try open(session), try open(session))
            let before = try now(session)
            session.server.control.realtimeShiftMs = shift
            let after = try now(session)
            guard after >= before, after < before + 5_000 else { throw Violation("a step of \(shift) ms moved engine time by \(after - before) ms") }
            try expectUnchanged(session, shoppers.0, "a step of \(shift) ms")
            try expectExactEnd(session, shoppers, "a step of \(shift) ms")
        }
    }

    private func sleeps(_ session: Session) throws {
        let shopper = try open(session)
        let before = try now(session)
        session.server.control.boottimeShiftMs += Times.hour
        guard try now(session) >= before + UInt64(Times.hour) else { throw Violation("engine time slept too") }
        try expect(.challengeNotOpen, try verify(session, shopper), "a code after an hour's sleep")
        try expect(.done, try another(session, shopper), "a send when its window has moved on")
    }

    private func anotherBootBehind(_ session: Session) throws {
        let shopper = try open(session)
        let spent = try open(session)
        let grant = try verify(session, spent).decode(Verify.Reply.self).grant
        let before = try now(session)
        let control = session.server.control
        control.setBootID(2)
        control.realtimeShiftMs = -Times.hour
        control.boottimeShiftMs = 0
        for turn in 1...2 {
            try restart(session)
            guard try now(session) >= before else { throw Violation("engine time went back with the boot") }
            try expect(.challengeNotOpen, try verify(session, shopper), "start \(turn): a void challenge's code")
            try expect(.limited, try another(session, shopper), "start \(turn): the resend gap after a step back")
            let peer = try session.peer()
            var redeem = RedeemGrant()
            redeem.requestID = session.id(peer)
            redeem.grant = grant
            redeem.purpose = 1
            redeem.account = spent.request.account
            redeem.session = spent.request.session
            try expect(.grantInvalid, try peer.exchange(redeem), "start \(turn): a void grant")
        }
        guard try events(session).contains(.clockStepped) else { throw Violation("no event tells of the step back") }
        try expect(.done, try verify(session, try open(session)), "a new code after a step back")
    }

    private func anotherBootLater(_ session: Session) throws {
        let shoppers = (try open(session), try open(session))
        let control = session.server.control
        control.setBootID(2)
        // Another boot's clock counts from another start; the wall went on for ten seconds.
        control.boottimeShiftMs = 5_000
        control.realtimeShiftMs += 10_000
        try restart(session)
        try expectUnchanged(session, shoppers.0, "ten seconds later in another boot")
        let now = try now(session)
        guard now >= shoppers.0.expiresAtMs - 291_000 else { throw Violation("engine time missed the time between boots: \(now)") }
        try expectExactEnd(session, shoppers, "ten seconds later in another boot")
        guard try !events(session).contains(.clockStepped) else { throw Violation("clockStepped without a step") }
    }

    private func farAhead(_ session: Session) throws {
        let shopper = try open(session)
        let control = session.server.control
        control.setBootID(2)
        control.realtimeShiftMs = 401 * Times.day
        session.server.kill9()
        for _ in 0..<2 {
            try session.launch()
            guard let ended = try session.server.awaitReady() else { throw Violation("a clock 401 days ahead was taken") }
            guard ended == .exited(1), session.server.said().contains("--accept-clock") else {
                throw Violation("401 days ahead: \(ended): \(session.server.said())")
            }
        }
        control.realtimeShiftMs = 399 * Times.day
        try session.start()
        try expect(.challengeNotOpen, try verify(session, shopper), "a code of 399 days ago")
        control.setBootID(3)
        control.realtimeShiftMs += 401 * Times.day
        session.server.kill9()
        try session.start(["--accept-clock"])
        try expect(.done, try verify(session, try open(session)), "a new code after --accept-clock")
        try restart(session)
        try expect(.done, try verify(session, try open(session)), "a new code in the start after it")
    }

    private func events(_ session: Session) throws -> Set<EventPush.Kind> {
        let peer = try session.peer()
        var subscribe = Subscribe()
        subscribe.start = Subscribe.Start.oldest.rawValue
        subscribe.credit = 10_000
        try peer.queue(subscribe)
        peer.flush()
        var kinds: Set<EventPush.Kind> = []
        while peer.hasInput(milliseconds: 50), !peer.isDead {
            for frame in try peer.receive() where frame.opcode == Opcode.event.rawValue {
                if let kind = EventPush.Kind(rawValue: try frame.decode(EventPush.self).kind) { kinds.insert(kind) }
            }
        }
        return kinds
    }
}
