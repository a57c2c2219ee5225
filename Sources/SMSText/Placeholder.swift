public enum ReceivingClient: Sendable, Equatable { case none, web(host: String), android(appHash: String) }
public struct TemplateError: Error {}
public struct SMSTemplate: Sendable {
    let t: String
    public init(_ text: String) throws(TemplateError) { t = text }
    public func render(code: String, shop: String, minutes: Int, client: ReceivingClient) -> String { code }
}
