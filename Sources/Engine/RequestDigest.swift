import LibCrypto
import Wire

/// Keyed digests of whole requests: with a request id they tell a retry from another request. The code goes in too, so a
/// digest at rest is a MAC of it, never the code.
extension Engine {
    private func begin(_ opcode: Opcode, _ caller: Caller) -> MAC {
        var mac = keys.digest.begin()
        mac.update(u16: opcode.rawValue)
        mac.update(u32: caller.tenant)
        mac.update(u32: caller.uid)
        return mac
    }

    func digest(_ m: RequestCode, _ caller: Caller) -> Bytes16 {
        var mac = begin(.requestCode, caller)
        mac.update(m.requestID)
        mac.update(u16: m.purpose)
        mac.update(m.assurance)
        mac.update(m.account)
        mac.update(m.phone)
        mac.update(m.session)
        mac.update(m.channel ?? 1)
        mac.update(m.clientIP)
        mac.update(m.locale)
        mac.update(m.webHost)
        mac.update(m.androidHash)
        return mac.finish().first16
    }

    func digest(_ m: Resend, _ caller: Caller) -> Bytes16 {
        var mac = begin(.resend, caller)
        mac.update(m.requestID)
        mac.update(m.challenge)
        mac.update(m.session)
        return mac.finish().first16
    }

    func digest(_ m: Verify, _ caller: Caller) -> Bytes16 {
        var mac = begin(.verify, caller)
        mac.update(m.requestID)
        mac.update(m.challenge)
        mac.update(m.session)
        mac.update(m.code)
        mac.update(m.clientIP)
        return mac.finish().first16
    }

    func digest(_ m: Cancel, _ caller: Caller) -> Bytes16 {
        var mac = begin(.cancel, caller)
        mac.update(m.requestID)
        mac.update(m.challenge)
        mac.update(m.session)
        return mac.finish().first16
    }

    func digest(_ m: Unblock, _ caller: Caller) -> Bytes16 {
        var mac = begin(.unblock, caller)
        mac.update(m.requestID)
        mac.update(m.account)
        mac.update(m.phone)
        mac.update(m.actor)
        mac.update(m.reason)
        return mac.finish().first16
    }

    func digest(_ m: RedeemGrant, _ caller: Caller) -> Bytes16 {
        var mac = begin(.redeemGrant, caller)
        mac.update(m.requestID)
        mac.update(m.grant)
        mac.update(u16: m.purpose)
        mac.update(m.account)
        mac.update(m.session)
        return mac.finish().first16
    }

    /// The random part of a request id, as a verdict keeps it.
    func tag(_ requestID: Bytes16, _ tenant: UInt32) -> UInt64 {
        var mac = keys.id.begin()
        mac.update(u32: tenant)
        mac.update(requestID)
        return mac.finish().words.1
    }

    /// The challenge that a RequestCode of this id makes: the id's time ‖ 10 bytes of HMAC(K_id, tenant ‖ request id).
    func challengeID(_ requestID: Bytes16, _ tenant: UInt32) -> Bytes16 {
        var mac = keys.id.begin()
        mac.update(u32: tenant)
        mac.update(requestID)
        let digest = mac.finish()
        return Bytes16(
            timeMs: requestID.timeMs, tailHigh: UInt16(truncatingIfNeeded: digest.words.2), tailLow: digest.words.0)
    }
}
