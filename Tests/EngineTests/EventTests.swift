import Testing
import Wire

@testable import Engine

/// Events: every one is a record of the same commit, under its cursor, and reads back as it was pushed.
@Suite struct EventTests {
    /// What the commit holds, decoded from its records.
    func stored(_ changes: [MemoryState.Change]) throws -> [EventPush] {
        try changes.filter { $0.table == .event }.map { change in
            let value = try #require(change.value)
            let event = change.key.withUnsafeBytes { key in
                value.withUnsafeBytes { EventRecord.decode(key: key, value: $0) }
            }
            return try #require(event)
        }
    }

    @Test func everyEventIsInItsCommit() throws {
        let world = World(tenants: [World.generous()])
        var kinds: [EventPush.Kind?] = []
        func step(_ reply: Reply? = nil) throws {
            kinds += world.kinds
            #expect(
                try stored(world.changes).map { "\($0)" } == world.events.map { "\($0)" },
                "\(reply?.text ?? "lease")")
            for (index, event) in world.events.enumerated() {
                #expect(event.cursor == Cursor(epoch: 1, sequence: world.sequence, index: UInt16(index)))
                #expect(event.engineTimeMs == world.now)
            }
        }
        let id = try world.open()
        try step()
        let token = try #require(world.lease(id).draft).push.token
        try step()
        try step(world.report(id, token, .submitted))
        try step(world.report(id, token, .delivered))
        try step(world.requestCode("alice", session: 2))
        world.now += 30_000
        try step(world.resend(id))
        try step(world.verify(id, try world.wrongCode(of: id)))
        let reply = world.verify(id, try world.code(of: id))
        try step(reply)
        try step(world.redeem(try #require(reply.verified).grant))
        try step(world.cancel(try world.open(session: 3), session: 3))
        #expect(
            kinds == [
                .codeRequested, .codeSubmitted, .codeDelivered, .requestRefused, .codeResent, .wrongCode,
                .codeVerified,
                .grantRedeemed, .challengeCancelled,
            ])
    }

    /// A subject stands for its account in all its events, and tells nothing of it.
    @Test func oneSubjectAnAccount() throws {
        let world = World(tenants: [World.generous()])
        let id = try world.open()
        let subject = try #require(world.events.first).subject
        #expect(subject.timeMs == world.now, "records of new accounts lie side by side")
        _ = world.verify(id, try world.code(of: id))
        #expect(world.events.map(\.subject) == [subject])
        _ = try world.open("bob", "+33612345679")
        #expect(world.events.first?.subject != subject)
    }

    /// A message that is given up in a lease tells its challenge's class; what the server says after it is nobody's.
    @Test func theServersEventsAreNobodys() throws {
        let world = World()
        let id = try world.open(as: .knownDevice)
        world.now += 299_000
        #expect(world.lease(id).text == "gone")
        #expect(world.events.first?.assurance == Assurance.knownDevice.rawValue && world.events.first?.uid == nil)
        world.engine.beginBatch()
        world.engine.note(.serverDraining, context: world.context, state: &world.state)
        #expect(world.engine.events.first?.assurance == nil && world.engine.events.first?.uid == nil)
    }
}
