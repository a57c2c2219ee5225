import Wire

/// A grant: no token at rest, only what it opens and whether it has been spent.
struct GrantRecord {
    /// Schema 1 didn't say who had asked.
    static let schema: UInt8 = 2
    static let unknownAsker: UInt8 = 0xFF

    var tenant: UInt32 = 0
    var purpose: UInt16 = 0
    /// The challenge's `Assurance`, or `unknownAsker`.
    var asker = GrantRecord.unknownAsker
    var challenge = Bytes16.zero
    var session = Bytes32.zero
    /// Keyed digest of the account.
    var account = Bytes16.zero
    var subject = Bytes16.zero
    var verifiedAt: UInt64 = 0
    var expiresAt: UInt64 = 0
    /// Zero until redeemed, then the request that did it.
    var redeemedBy = Bytes16.zero
    var redeemDigest = Bytes16.zero
    /// The store's epoch when the record was written; not part of its bytes.
    var epoch: UInt32 = 0

    init() {}

    /// `nil` when the bytes aren't a record of this schema.
    init?(from record: borrowing RecordBuffer) {
        let schema = record.schema(upTo: GrantRecord.schema)
        epoch = record.epoch
        tenant = record.u32()
        purpose = record.u16()
        challenge = record.bytes16()
        session = record.bytes32()
        account = record.bytes16()
        subject = record.bytes16()
        verifiedAt = record.ms()
        expiresAt = record.ms()
        redeemedBy = record.bytes16()
        redeemDigest = record.bytes16()
        if schema > 1 { asker = record.u8() }
        if !record.isWhole { return nil }
    }

    func encode(into record: borrowing RecordBuffer) {
        record.clear()
        record.put(GrantRecord.schema)
        record.put(tenant)
        record.put(purpose)
        record.put(challenge)
        record.put(session)
        record.put(account)
        record.put(subject)
        record.put(ms: verifiedAt)
        record.put(ms: expiresAt)
        record.put(redeemedBy)
        record.put(redeemDigest)
        record.put(asker)
    }
}
