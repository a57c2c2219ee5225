/// How long the SMSC may try, relative to its own clock (specification, 7.1.1): no clock has to agree.
package enum ValidityPeriod {
    /// `YYMMDDhhmmss000R`, of at most 99 days. Rounded down, so that nothing is delivered after its life; a message with less than a second
    /// left gets that one second, because a period of zero may mean "the SMSC's default".
    package static func relative(seconds: UInt64) -> [UInt8] {
        let whole = max(1, min(seconds, 99 * 86_400 - 1))
        let parts = [0, 0, whole / 86_400, whole / 3_600 % 24, whole / 60 % 60, whole % 60]
        return parts.flatMap { [UInt8(0x30 + $0 / 10), UInt8(0x30 + $0 % 10)] } + Array("000R".utf8)
    }
}
