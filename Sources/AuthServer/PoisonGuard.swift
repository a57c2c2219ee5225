import LibCrypto
import Store
import Wire

/// Keeps a request that has crashed the server twice from doing it again: says to the crash note what is about to be decided, and that
/// it was. The note's digest is keyed, because a body holds codes and grants.
package final class PoisonGuard {
    private let note: CrashNote
    private let key: MACKey
    /// Requests refused as `quarantined`.
    private(set) var refused: UInt64 = 0

    init(note: CrashNote, master: borrowing SecretBytes) {
        self.note = note
        key = MACKey(HKDF.sha256(key: master, info: "otpd/1/crash-note", count: 32))
    }

    var quarantined: Int { note.quarantined }
    var remembered: Int { note.remembered }
    /// This start found a request that crashed the server for the second time.
    var hasNews: Bool { note.newlyQuarantined != nil }

    /// Before a frame's body is decoded, not only before it is decided: the trap may be in the decoder. A retry has the same bytes, so
    /// the same digest. False: refuse it.
    func enter(_ frame: Frame, tenant: UInt32) -> Bool {
        var mac = key.begin()
        mac.update(u32: tenant)
        mac.update(u16: frame.opcode)
        mac.update(frame.body)
        let digest = mac.finish().words
        if note.enter(kind: frame.opcode, digest: (digest.0, digest.1)) { return true }
        refused += 1
        return false
    }

    func leave() { note.leave() }
}
