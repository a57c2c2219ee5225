import Testing
import Wire

@testable import Engine

/// Records of older schemas, written here by hand as SCHEMA.md says they were.
@Suite struct OlderRecordTests {
    private func record(_ bytes: [UInt8], expiresAt: UInt64 = 0) -> RecordBuffer {
        let record = RecordBuffer()
        _ = record.fill { buffer in
            buffer.copyBytes(from: bytes)
            return bytes.count
        }
        record.expiresAt = expiresAt
        return record
    }

    private func streak(_ bytes: [UInt8], expiresAt: UInt64 = 0) -> StreakRecord? {
        let record = record(bytes, expiresAt: expiresAt)
        return StreakRecord(from: record)
    }

    private func ms(_ value: UInt64) -> [UInt8] {
        (0..<6).map { UInt8(truncatingIfNeeded: value >> (40 - 8 * UInt64($0))) }
    }
    private func u16(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(truncatingIfNeeded: value)] }

    /// Failures by class and blocks; a class that was on stays on.
    @Test func streaks() throws {
        let now: UInt64 = 1_780_000_000_000
        let bytes = [1] + u16(46) + u16(30) + ms(0) + u16(16) + ms(now + 60_000) + u16(0) + ms(0)
        let streak = try #require(self.streak(bytes, expiresAt: now + RuleBounds.streakKeepMs))
        #expect((0..<3).map { streak.classes[$0].failures } == [30, 16, 0])
        #expect((0..<3).map { streak.classes[$0].blockedUntil } == [0, now + 60_000, 0])
        #expect((0..<2).map { streak.classes[$0].failedAt } == [now, now])
        #expect((0..<3).map { streak.isOff($0) } == [false, false, false])
        let many = [1] + u16(90) + u16(60) + ms(0) + u16(30) + ms(0) + u16(0) + ms(0)
        let clamped = try #require(self.streak(many, expiresAt: now))
        #expect((0..<3).map { clamped.classes[$0].failures } == [49, 24, 0])
        let off = [1] + u16(100) + u16(70) + ms(0) + u16(30) + ms(0) + u16(0) + ms(0)
        let disabled = try #require(self.streak(off))
        #expect(
            (0..<3).map { disabled.isOff($0) } == [true, true, false],
            "what was off stays off in the classes that used their share up")
        #expect(self.streak(bytes + [0]) == nil && self.streak([3, 0]) == nil)
        // One that is kept for ever doesn't say since when: what it counts isn't forgotten at its first reading.
        let world = World()
        let index = world.engine.streakIndex(1, AccountBytes("alice"), PhoneBytes(World.phone))
        world.state.put(.streak, world.engine.key(index), record(off), expiresAt: 0)
        world.state.now = world.now
        #expect(world.streak().total == 100)
    }

    /// One window of guesses for all classes becomes one for each.
    @Test func phones() {
        let now: UInt64 = 1_780_000_000_000
        let empty: [UInt8] = [0, 0, 0, 0]
        let verifies: [UInt8] = [3, 0] + ms(now - 70_000) + ms(now - 10_000) + ms(now)
        let bytes = [1] + empty + empty + empty + verifies
        let buffer = record(bytes)
        let phone = PhoneRecord(from: buffer)
        let isWhole = buffer.isWhole
        #expect(isWhole)
        for index in 0..<3 {
            let (count, wait) = (
                phone.classes[index].verifies.count,
                phone.classes[index].verifies.retryAfter(limit: 2, now: now)
            )
            #expect(count == 2 && wait == 50_000)
        }
    }

    @Test func accountsGrantsAndEvents() throws {
        let subject = [UInt8](repeating: 9, count: 16)
        let account = record([1] + subject + [0, 0, 0, 0, 0, 0, 0, 0, 0])
        let read = AccountRecord(from: account)
        let (isWhole, payments, name) = (account.isWhole, read.payments, read.subject)
        #expect(
            isWhole && payments == PaymentStreak()
                && name == Bytes16(high: 0x0909_0909_0909_0909, low: 0x0909_0909_0909_0909))
        let grant =
            [1] + [0, 0, 0, 1, 0, 2] + [UInt8](repeating: 1, count: 16 + 32 + 16 + 16) + ms(5) + ms(6)
            + [UInt8](repeating: 0, count: 32)
        let bytes = record(grant)
        let found = GrantRecord(from: bytes)
        let old = try #require(found)
        #expect(old.asker == GrantRecord.unknownAsker && old.expiresAt == 6)
        let key = [UInt8](repeating: 0, count: 13) + [1]
        let common: [UInt8] =
            [0, 19] + ms(7) + ms(8) + [0, 0, 0, 1, 0, 1] + [UInt8](repeating: 2, count: 32) + [
                4, 0x20, 3, 255,
            ]
        for (bytes, count): ([UInt8], UInt64?) in [
            ([1] + common, nil), ([2] + common + [0, 0, 0, 0, 0, 0, 0, 12], 12),
            ([2] + common + [UInt8](repeating: 0, count: 8), nil),
        ] {
            let event = key.withUnsafeBytes { key in
                bytes.withUnsafeBytes { EventRecord.decode(key: key, value: $0) }
            }
            #expect(
                event?.count == count && event?.status == 0x420 && event?.uid == nil
                    && event?.assurance == nil)
        }
    }

    /// The slot of the first schema names one challenge, whose own record tells the class.
    @Test func slots() throws {
        let world = World()
        let id = try world.open()
        let index = world.engine.slotIndex(1, AccountBytes("alice"), 1, .zero, World.session(1))
        let bytes = withUnsafeBytes(of: (id.high.bigEndian, id.low.bigEndian)) { Array($0) }
        world.state.put(.slot, world.engine.key(index), record(bytes), expiresAt: world.now + 300_000)
        world.now += 1
        #expect(world.requestCode().challenge?.challenge == id)
        _ = try world.open(as: .knownDevice)
        #expect(world.requestCode().challenge?.challenge == id, "beside another class's")
        #expect(world.verify(id, try world.code(of: id)).text == "verified")
        #expect(world.requestCode(as: .knownDevice).text == "joined")
    }

    /// What is written now is read back.
    @Test func roundTrips() throws {
        var streak = StreakRecord()
        for number: UInt64 in 0..<23 {
            _ = streak.fail(Int(number) % 2 == 0 ? 0 : 2, policy: .shopLogin, now: 1_000 + number)
        }
        let buffer = RecordBuffer()
        streak.encode(into: buffer)
        let read = StreakRecord(from: buffer)
        let again = try #require(read)
        for index in 0..<3 { #expect(again.classes[index] == streak.classes[index]) }
        let world = World()
        _ = world.unblock()
        let id = try world.open(purpose: 2)
        for number in 0..<3 { _ = world.verify(id, try world.wrongCode(of: id, number)) }
        let account = world.accountRecord()
        let (payments, unblocks) = (account.payments, account.unblocks)
        #expect(payments != PaymentStreak() && unblocks.retryAfter(now: world.now) == 0)
        #expect(world.verify(id, try world.wrongCode(of: id, 3)).text == "wrongCode left 1")
        #expect(world.verify(id, try world.wrongCode(of: id, 4)).text == "wrongCode left 0")
        #expect(world.kinds.contains(.accountBlocked), "five, over as many writes and reads")
    }
}
