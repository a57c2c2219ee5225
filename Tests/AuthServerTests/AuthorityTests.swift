import Testing
import Wire

@testable import AuthServer

/// Authority = what was asked ∩ the uid's `[[peer]]` ∩ the listener.
@Suite struct AuthorityTests {
    static let peers = [
        PeerRule(uid: 33, tenant: 1, roles: [Roles(.verify), Roles(.redeem), Roles(.admin)]),
        PeerRule(uid: 33, tenant: 2, roles: Roles(.verify)),
        PeerRule(uid: 34, tenant: 2, roles: Roles(.courier)),
    ]

    private func decide(
        uid: UInt32, tenant: UInt32 = 0, roles: Roles = Roles(), tenants: [UInt32] = [1],
        listener: Roles = .all,
        peers: [PeerRule] = peers
    ) -> Authority? {
        var hello = Hello()
        hello.tenant = tenant
        hello.roles = roles.rawValue
        let rule = ListenerRule(path: "/s", tenants: tenants, roles: listener)
        return Authority.decide(hello, uid: uid, listener: rule, peers: peers)
    }

    @Test func rolesAreTheMeetOfAllThree() {
        #expect(decide(uid: 33)?.roles == [Roles(.verify), Roles(.redeem), Roles(.admin)])
        #expect(decide(uid: 33, roles: [Roles(.verify), Roles(.courier)])?.roles == Roles(.verify))
        #expect(decide(uid: 33, listener: [Roles(.redeem), Roles(.courier)])?.roles == Roles(.redeem))
        #expect(decide(uid: 33, roles: Roles(.verify), listener: Roles(.redeem)) == nil)
        #expect(decide(uid: 33, roles: Roles(.courier)) == nil)
    }

    @Test func theTenantIsTheListenersAndTheUids() {
        #expect(decide(uid: 33)?.tenant == 1)
        #expect(decide(uid: 33, tenants: [2])?.tenant == 2)
        #expect(decide(uid: 33, tenant: 2, tenants: [1]) == nil, "a foreign tenant")
        #expect(decide(uid: 34, tenants: [1]) == nil)
        #expect(decide(uid: 35, tenants: [1]) == nil, "a uid that nobody named")
        #expect(decide(uid: 33, tenants: []) == nil, "two tenants and no word on which")
    }

    @Test func theOverflowUidIsNobody() {
        let open = [
            PeerRule(uid: nil, tenant: 1, roles: .all), PeerRule(uid: 65_534, tenant: 1, roles: .all),
        ]
        #expect(decide(uid: 65_534, peers: open) == nil)
        #expect(decide(uid: 12, peers: [open[0]])?.uid == 12)
    }

    @Test func aNamedUidIsNotAnybody() {
        let rules = [
            PeerRule(uid: nil, tenant: 1, roles: .all), PeerRule(uid: 33, tenant: 1, roles: Roles(.verify)),
        ]
        #expect(decide(uid: 33, peers: rules)?.roles == Roles(.verify))
        #expect(decide(uid: 34, peers: rules)?.roles == .all)
    }
}
