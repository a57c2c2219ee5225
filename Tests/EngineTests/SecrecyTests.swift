import Testing
import Wire

@testable import Engine

/// What the records must not tell: no code, and nothing from which one follows without the key.
@Suite struct SecrecyTests {
    /// Whether a code stands in `bytes` as text, or as a number of any byte order.
    static func holds(_ bytes: [UInt8], _ code: CodeBytes) -> Bool {
        let text = code.array
        func contains(_ needle: [UInt8]) -> Bool {
            bytes.count >= needle.count
                && bytes.indices.dropLast(needle.count - 1).contains {
                    Array(bytes[$0..<$0 + needle.count]) == needle
                }
        }
        let number = text.reduce(0 as UInt64) { $0 * 10 + UInt64($1 & 15) }
        let big = withUnsafeBytes(of: number.bigEndian) { Array($0) }
        return contains(text) || contains(text.reversed()) || contains(big) || contains(big.reversed())
            || contains(text.map { $0 & 15 })
    }

    /// After every step of a challenge's life with a message on its way.
    @Test func noCodeIsAtRest() throws {
        let world = World(seed: 3, tenants: [World.generous()])
        let id = try world.open(purpose: 2)
        let code = try world.code(of: id)
        func look(_ step: String) {
            for (place, row) in world.state.rows
            where Self.holds(row.value, code) || Self.holds(place.key, code) {
                Issue.record("table \(place.table) holds the code after \(step)")
            }
        }
        look("RequestCode")
        let token = try #require(world.lease(id).draft).push.token
        look("a lease")
        _ = world.report(id, token, .submitted)
        look("a report")
        world.now += 30_000
        _ = world.resend(id)
        look("a resend")
        _ = world.verify(id, try world.wrongCode(of: id))
        look("a wrong guess")
        _ = world.verify(id, code)
        look("the verify")
    }

    @Test func everyChallengeHasItsOwnNonce() throws {
        let world = World(tenants: [World.generous()])
        var nonces = Set<Bytes32>()
        for session in 1...5 as ClosedRange<UInt64> {
            let nonce = try world.record(try world.open(session: session)).nonce
            #expect(nonce.head != .zero && nonce.tail != .zero && nonce.head != nonce.tail)
            nonces.insert(nonce)
            world.now += 120_000
        }
        #expect(nonces.count == 5)
    }

    /// The nonce, the grant's id, the subject and a lease's token are different parts of a request's random bytes.
    @Test func entropyIsUsedOnce() {
        let words = (1...8 as ClosedRange<UInt64>).map { $0 }
        let entropy = words.withUnsafeBytes { Entropy($0) }
        let parts = [entropy.nonce.head, entropy.nonce.tail, entropy.subject(at: 0), entropy.tail]
        #expect(Set(parts).count == 4)
    }

    /// At rest a phone and an account stand in the challenge and in the subject's record alone; events and keys have neither.
    @Test func eventsAndKeysNameNobody() throws {
        let world = World(tenants: [World.generous()])
        let id = try world.open("alice-the-account")
        _ = world.verify(id, try world.wrongCode(of: id))
        _ = world.verify(id, try world.code(of: id))
        for (place, row) in world.state.rows {
            for secret in [Array("alice-the-account".utf8), Array(World.phone.utf8)] {
                let text = String(decoding: secret, as: UTF8.self)
                #expect(!String(decoding: place.key, as: UTF8.self).contains(text))
                if place.table == Table.challenge.rawValue || place.table == Table.subject.rawValue {
                    continue
                }
                #expect(!String(decoding: row.value, as: UTF8.self).contains(text), "table \(place.table)")
            }
        }
    }
}
