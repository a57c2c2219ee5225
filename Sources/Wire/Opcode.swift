/// What a frame is about. Numbers are never reused; `PROTOCOL.md` §6 lists those that are reserved.
public enum Opcode: UInt16, Sendable, CaseIterable {
    case hello = 0x0001
    case ping = 0x0002
    case goodbye = 0x0003

    case requestCode = 0x0010
    case resend = 0x0011
    case verify = 0x0012
    case cancel = 0x0013
    case status = 0x0014
    case quota = 0x0015

    case checkGrant = 0x0020
    case redeemGrant = 0x0021

    case leaseMessages = 0x0030
    case message = 0x0031
    case reportMessage = 0x0032
    case reportReceipt = 0x0033
    case reportRoute = 0x0034

    case subscribe = 0x0040
    case event = 0x0041
    case acknowledge = 0x0042

    case unblock = 0x0060

    case stats = 0x00F0
    case drain = 0x00F1
    case showRoute = 0x00F9
    case drainRoute = 0x00FA

    /// One of these roles the caller must hold; `nil`: any caller may.
    public var roles: Roles? {
        switch self {
        case .hello, .ping, .goodbye: nil
        case .requestCode, .resend, .verify, .cancel, .status, .quota: Roles(.verify)
        case .checkGrant, .redeemGrant: Roles(.redeem)
        case .leaseMessages, .message, .reportMessage, .reportRoute: Roles(.courier)
        case .reportReceipt: [Roles(.courier), Roles(.receipts)]
        case .subscribe, .event, .acknowledge: Roles(.observer)
        case .unblock: Roles(.support)
        case .stats, .drain, .showRoute, .drainRoute: Roles(.admin)
        }
    }

    /// A frame of this opcode only ever travels from server to client.
    public var isPush: Bool {
        switch self {
        case .goodbye, .message, .event: true
        case .hello, .ping, .requestCode, .resend, .verify, .cancel, .status, .quota, .checkGrant,
            .redeemGrant,
            .leaseMessages, .reportMessage, .reportReceipt, .reportRoute, .subscribe, .acknowledge, .unblock, .stats, .drain, .showRoute,
            .drainRoute:
            false
        }
    }
}
