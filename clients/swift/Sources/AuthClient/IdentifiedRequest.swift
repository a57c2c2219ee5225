import Wire

/// A write that carries a request id.
protocol IdentifiedRequest: RequestMessage {
    var requestID: Bytes16 { get set }
}

extension IdentifiedRequest {
    func identified(by id: Bytes16) -> Self {
        var copy = self
        copy.requestID = id
        return copy
    }
}

extension RequestCode: IdentifiedRequest {}
extension Resend: IdentifiedRequest {}
extension Verify: IdentifiedRequest {}
extension Cancel: IdentifiedRequest {}
extension RedeemGrant: IdentifiedRequest {}
extension Unblock: IdentifiedRequest {}
