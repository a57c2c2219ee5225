/// A dry run of RequestCode: what would refuse it now? Answers the same refusal, and debits nothing. Lookup.
public struct Quota: RequestMessage {
    public static let opcode = Opcode.quota
    /// The purpose's number.
    public var purpose: UInt16 = 0
    /// An `Assurance`.
    public var assurance: UInt8 = 0
    /// As in RequestCode.
    public var account = AccountBytes()
    /// As in RequestCode.
    public var phone = PhoneBytes()
    /// As in RequestCode.
    public var session = Bytes32.zero
    /// The shopper's address: 4 or 16 bytes.
    public var clientIP = InlineBytes<16>()

    public init() {}

    @specialized(where C == FieldDecoder)
    public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
        try c.u16("purpose", &purpose)
        try c.u8("assurance", &assurance)
        try c.judged8("account", &account)
        try c.judged8("phone", &phone)
        try c.bytes32("session", &session)
        try c.tagged(.ignorable(2), "client_ip", &clientIP)
    }

    /// Nothing would refuse now.
    public struct Reply: Message, Equatable {
        /// No limit says how many.
        public static let unlimited: UInt8 = 0xFF

        /// Sends left this hour: the least over the enforced limits of an hour. `unlimited` = none is enforced.
        public var sendsLeftHour: UInt8 = 0
        /// Sends left this day, likewise.
        public var sendsLeftDay: UInt8 = 0
        /// Challenges that may still be opened on the phone, likewise.
        public var openLeft: UInt8 = 0
        /// What each limit that isn't off has left: its `Limit`, then how many, for each.
        public var left = InlineBytes<32>()

        public init() {}

        @specialized(where C == FieldEncoder)
        public mutating func fields<C: FieldCoder>(_ c: inout C) throws(WireError) {
            try c.u8("sends_left_hour", &sendsLeftHour)
            try c.u8("sends_left_day", &sendsLeftDay)
            try c.u8("open_left", &openLeft)
            try c.tagged(.ignorable(1), "left", &left)
        }
    }
}
