public import Engine
public import SMSText
import Wire

/// The wording of messages: one template per purpose, checked when the configuration is loaded.
public struct MessageTexts: Sendable {
    /// What is sent where a purpose names no text of its own.
    public static let standard = "{code} is your {shop} code. It expires in {minutes} minutes. Never share it."

    private var templates: [UInt64: SMSTemplate] = [:]
    private var shops: [UInt32: String] = [:]

    /// No tenant yet.
    public init() {}

    /// Adds a purpose's text; the worst case must fit one GSM-7 segment, or two in UCS-2.
    public mutating func add(_ text: String, tenant: TenantPolicy, purpose: PurposePolicy) throws(TemplateError) {
        templates[MessageTexts.key(tenant.number, purpose.number)] = try SMSTemplate(
            text, longestCode: Int(purpose.codeLength), longestShop: tenant.shop)
        shops[tenant.number] = tenant.shop
    }

    private static func key(_ tenant: UInt32, _ purpose: UInt16) -> UInt64 { UInt64(tenant) << 16 | UInt64(purpose) }

    /// The text of a message about to be pushed.
    func render(_ draft: Engine.MessageDraft) -> InlineBytes<640> {
        let minutes = max(1, Int((draft.lifeMs + 30_000) / 60_000))
        let client: ReceivingClient
        if !draft.webHost.isEmpty {
            client = .web(host: draft.webHost.text)
        } else if !draft.androidHash.isEmpty {
            client = .android(appHash: draft.androidHash.text)
        } else {
            client = .none
        }
        guard let template = templates[MessageTexts.key(draft.push.tenant, draft.push.purpose)] else {
            preconditionFailure("every configured purpose has a template")
        }
        let shop = shops[draft.push.tenant] ?? ""
        return InlineBytes(template.render(code: draft.code.text, shop: shop, minutes: minutes, client: client))
    }
}
