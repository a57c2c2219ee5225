import Testing
import Wire

@testable import Engine

/// A look behind the port: the records, and the codes that nothing else shows.
extension World {
    func record(_ id: Bytes16, sourceLocation: SourceLocation = #_sourceLocation) throws -> ChallengeRecord {
        state.now = 0
        return try #require(engine.readChallenge(id, &state), sourceLocation: sourceLocation)
    }

    func message(_ id: Bytes16, send: UInt8 = 1) -> OutboxRecord? { engine.readMessage(id, send, &state) }

    func phoneRecord(_ phone: String = World.phone, tenant: UInt32 = 1) -> PhoneRecord {
        engine.readPhone(engine.phoneIndex(tenant, PhoneBytes(phone)), &state)
    }

    func accountRecord(_ account: String = "alice", tenant: UInt32 = 1) -> AccountRecord {
        engine.readAccount(engine.accountIndex(tenant, AccountBytes(account)), &state)
    }

    func streak(_ account: String = "alice", _ phone: String = World.phone, tenant: UInt32 = 1) -> StreakRecord {
        engine.readStreak(engine.streakIndex(tenant, AccountBytes(account), PhoneBytes(phone)), now, &state)
    }

    /// Puts a streak where failures would have led.
    func set(_ streak: StreakRecord, _ account: String = "alice", _ phone: String = World.phone) {
        engine.write(streak, engine.streakIndex(1, AccountBytes(account), PhoneBytes(phone)), &state)
    }

    func code(of id: Bytes16, sourceLocation: SourceLocation = #_sourceLocation) throws -> CodeBytes {
        CodeGenerator.code(of: try record(id, sourceLocation: sourceLocation), id: id, key: engine.keys.code)
    }

    /// A code of the right form that isn't the right one; another for each `number`.
    func wrongCode(of id: Bytes16, _ number: Int = 0, sourceLocation: SourceLocation = #_sourceLocation) throws -> CodeBytes {
        var bytes = try code(of: id, sourceLocation: sourceLocation).array
        let place = bytes.count - 1 - number / 7
        let step: Int = 1 + number % 7
        let symbol: Int = (Int(bytes[place]) - 0x32 + 8 + step) % 8
        bytes[place] = 0x32 + UInt8(symbol)
        return CodeBytes(bytes)
    }

    /// Opens a challenge and gives its right code.
    func grant(
        _ account: String = "alice", session: UInt64 = 1, purpose: UInt16 = 1,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> Bytes32 {
        let id = try open(account, session: session, purpose: purpose, sourceLocation: sourceLocation)
        let reply = verify(id, try code(of: id), session: session)
        return try #require(reply.verified, "\(reply.text)", sourceLocation: sourceLocation).grant
    }

    var kinds: [EventPush.Kind?] { events.map { EventPush.Kind(rawValue: $0.kind) } }
}

extension StreakRecord {
    /// Over all classes.
    var total: Int { (0..<3).reduce(0) { $0 + Int(classes[$1].failures) } }
}

extension PhoneRecord {
    /// As it is stored.
    var bytes: [UInt8] {
        let record = RecordBuffer()
        encode(into: record)
        return record.withBytes { Array($0) }
    }
}
