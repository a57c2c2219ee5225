import Testing
import Wire

@testable import Engine

/// Fields on bytes: phones, accounts, sessions, codes. Nothing is trimmed or folded, and a refusal writes nothing.
@Suite struct ValidationTests {
    @Test(arguments: [
        "+1234567", "+12345678", "+33612345678", "+123456789012345", "+9999999",
    ])
    func phonesThatPass(_ phone: String) {
        #expect(World().requestCode("alice", phone).text == "created")
    }

    @Test(arguments: [
        "", "+", "+1", "+123456", "+1234567890123456", "+12345678901234567", "+33 612345678", " +33612345678", "+33612345678 ",
        "0033612345678", "0612345678", "33612345678", "++33612345678", "+0612345678", "+03612345678", "-33612345678",
        "+33612-345678", "+33(0)612345678", "+3361234567a", "+33612345678\n", "+33612345678\0", "+\u{0663}\u{0663}61234567",
        "+\u{FF13}36123456", "\u{FF0B}33612345678", "+33.612.345678", "tel:+33612345",
    ])
    func phonesThatDoNot(_ phone: String) {
        let world = World()
        #expect(world.requestCode("alice", phone).text == "invalidPhone")
        #expect(world.quota("alice", phone).text == "invalidPhone")
        #expect(world.state.rows.isEmpty)
    }

    @Test(arguments: [(0, "invalidAccount"), (1, "created"), (128, "created"), (129, "invalidAccount")])
    func accountsByLength(_ length: Int, _ expected: String) {
        let world = World()
        #expect(world.requestCode(String(repeating: "a", count: length)).text == expected)
        #expect(world.state.rows.isEmpty == (expected != "created"))
    }

    @Test func accountsAreOpaque() throws {
        let world = World(tenants: [World.generous()])
        // Canonically equal as text, different as bytes.
        for account in ["\u{E9}", "e\u{301}", "a", "A", " a", "a "] {
            world.now += 120_000
            let reply = try #require(world.requestCode(account, "+3361234567\(account.utf8.count)").challenge)
            #expect(reply.disposition == ChallengeReply.Disposition.created.rawValue)
            #expect(world.accountRecord(account).classes[1].sends.count == 1)
        }
    }

    @Test func aSessionIsRequiredWhereThePurposeSaysSo() {
        let open = World.purpose(3) { $0.requiresSession = false }
        let world = World(tenants: [World.tenant { $0.purposes.append(open) }])
        #expect(world.requestCode(session: 0).text == "invalidSession")
        #expect(world.requestCode(session: 0, purpose: 3).text == "created")
    }

    @Test(arguments: [0, 3, 65_535]) func unknownPurposes(_ purpose: UInt16) {
        let world = World()
        #expect(world.requestCode(purpose: purpose).text == "unknownPurpose")
        #expect(world.quota(purpose: purpose).text == "unknownPurpose")
        #expect(world.state.rows.isEmpty)
    }

    @Test func unknownAssuranceAndChannel() {
        let world = World()
        var m = RequestCode()
        m.requestID = world.newID()
        m.purpose = 1
        m.account = AccountBytes("alice")
        m.phone = PhoneBytes(World.phone)
        m.session = World.session(1)
        m.assurance = 3
        #expect(world.send(.requestCode(m)).text == "unsupportedField")
        m.assurance = 2
        m.channel = 2
        #expect(world.send(.requestCode(m)).text == "unsupportedField")
        m.channel = 1
        #expect(world.send(.requestCode(m)).text == "created")
        // Saying the default and not saying it are the same request.
        m.channel = nil
        #expect(world.send(.requestCode(m)).text == "created")
    }

    @Test(arguments: [
        "", "1234 5", "12345\u{E9}", "123-456", "12345\u{0663}", "12345678901234567", "123456\n",
    ])
    func codesThatCannotBe(_ code: String) throws {
        let world = World()
        let id = try world.open()
        // Said before anything is read, so an unknown challenge answers the same.
        #expect(world.verify(id, CodeBytes(code)).text == "invalidCode")
        #expect(world.verify(world.newID(), CodeBytes(code)).text == "invalidCode")
        #expect(world.changes.isEmpty)
        #expect(try world.record(id).attemptsUsed == 0)
    }
}
