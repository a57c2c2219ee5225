public import Engine
public import SMSText
import Wire

/// What a tenant says about its messages.
public struct TextRules: Sendable, Equatable {
    /// The language of requests that name none, or one that has no text.
    public var locale = "en"
    /// The hosts that `@host #code` may name: a request for another gets no last line, because browsers would fill the code in there.
    public var hosts: [String] = []
    /// The apps whose hash may be the last line: with another's, the code would be delivered to that app.
    public var androidHashes: [String] = []
    /// UTF-16 units; longer payees are cut.
    public var payeeLength = TextMaxima().payee
    /// Digits of the largest amount in its smallest unit.
    public var amountDigits = TextMaxima().amountDigits

    /// The defaults.
    public init() {}

    /// For `--dev` and tests.
    public static let development: TextRules = {
        var rules = TextRules()
        rules.hosts = ["shop.example", "localhost"]
        // Of the examples in Google's documentation.
        rules.androidHashes = ["FA+9qCX9VSu"]
        return rules
    }()

    /// What the worst case is computed from.
    public func maxima(_ purpose: PurposePolicy) -> TextMaxima {
        var maxima = TextMaxima()
        maxima.code = Int(purpose.codeLength)
        maxima.payee = payeeLength
        maxima.amountDigits = amountDigits
        maxima.host = hosts.map(\.utf8.count).max() ?? 0
        return maxima
    }
}

/// The wording of messages: texts per purpose and language, each checked when the configuration is loaded.
public struct MessageTexts: Sendable {
    /// A purpose's own wording; without it the built-in texts are sent.
    public struct Own: Sendable {
        /// For every language that `texts` lacks.
        public var text: String?
        public var texts: [String: String]

        /// None, unless given.
        public init(text: String? = nil, texts: [String: String] = [:]) { (self.text, self.texts) = (text, texts) }

        var isEmpty: Bool { text == nil && texts.isEmpty }
    }

    private struct PurposeTexts: Sendable {
        let plain: TextSet
        /// For requests that say what is paid to whom.
        let payment: TextSet?
        let rules: TextRules
    }

    private var purposes: [UInt64: PurposeTexts] = [:]

    /// No tenant yet.
    public init() {}

    /// What a purpose's messages are, by its profile and name.
    public static func isPayment(_ purpose: PurposePolicy) -> Bool { purpose.isPayment }

    /// Adds a purpose's texts; the worst case of each must fit one GSM-7 segment, or two in UCS-2.
    public mutating func add(
        _ own: Own = Own(), payment: Own = Own(), tenant: TenantPolicy, purpose: PurposePolicy, rules: TextRules
    ) throws(TemplateError) {
        let maxima = rules.maxima(purpose)
        let kind = purpose.name == "login" && !MessageTexts.isPayment(purpose) ? TextKind.login : .code
        let plain = try TextSet(
            kind, own: own.texts, ownDefault: own.text, locale: rules.locale, shop: tenant.shop, maxima: maxima)
        var shown: TextSet?
        if MessageTexts.isPayment(purpose) {
            shown = try TextSet(
                .payment, own: payment.texts, ownDefault: payment.text, locale: rules.locale, shop: tenant.shop, maxima: maxima)
        }
        purposes[MessageTexts.key(tenant.number, purpose.number)] = PurposeTexts(
            plain: plain, payment: shown, rules: rules)
    }

    private static func key(_ tenant: UInt32, _ purpose: UInt16) -> UInt64 { UInt64(tenant) << 16 | UInt64(purpose) }

    private func texts(_ tenant: UInt32, _ purpose: UInt16) -> PurposeTexts {
        guard let texts = purposes[MessageTexts.key(tenant, purpose)] else {
            preconditionFailure("the engine leases messages of configured purposes alone, and each has its texts")
        }
        return texts
    }

    /// What messages are rendered in, one after the other. Never grown: memory that an array grew out of would go back to the heap with a
    /// code in it.
    struct Scratch {
        /// Bytes of the longest push.
        static let textBytes = 640
        fileprivate(set) var text: [UInt8] = []
        fileprivate(set) var code: [UInt8] = []
        fileprivate var field: [UInt8] = []

        init() {
            text.reserveCapacity(Scratch.textBytes)
            code.reserveCapacity(MemoryLayout<CodeBytes>.size)
            field.reserveCapacity(128)
        }

        /// A code doesn't stay in memory for longer than its message takes.
        fileprivate mutating func cleanse() {
            for index in text.indices { text[index] = 0 }
            for index in code.indices { code[index] = 0 }
        }
    }

    /// Minutes to tell a shopper: rounded, never none.
    private static func minutes(_ lifeMs: UInt64) -> Int { max(1, Int((lifeMs + 30_000) / 60_000)) }

    /// The text of a message about to be pushed.
    func render(_ draft: Engine.MessageDraft, _ scratch: inout Scratch) -> InlineBytes<640> {
        let texts = texts(draft.push.tenant, draft.push.purpose)
        MessageTexts.copy(draft.code, &scratch.code)
        MessageTexts.copy(draft.locale, &scratch.field)
        let template = texts.plain.template(for: scratch.field)
        scratch.text.removeAll(keepingCapacity: true)
        template.append(code: scratch.code, minutes: MessageTexts.minutes(draft.lifeMs), payment: nil, to: &scratch.text)
        if !draft.webHost.isEmpty {
            MessageTexts.copy(draft.webHost, &scratch.field)
            if texts.rules.hosts.contains(where: { $0.utf8.elementsEqual(scratch.field) }) {
                LastLine.append(host: scratch.field, code: scratch.code, to: &scratch.text)
            }
        } else if !draft.androidHash.isEmpty {
            MessageTexts.copy(draft.androidHash, &scratch.field)
            if texts.rules.androidHashes.contains(where: { $0.utf8.elementsEqual(scratch.field) }) {
                LastLine.append(appHash: scratch.field, to: &scratch.text)
            }
        }
        defer { scratch.cleanse() }
        return scratch.text.withUnsafeBytes { InlineBytes($0) }
    }

    private static func copy<let n: Int>(_ field: InlineBytes<n>, _ bytes: inout [UInt8]) {
        bytes.removeAll(keepingCapacity: true)
        for index in 0..<field.count { bytes.append(field[index]) }
    }

    /// What the tenant says about the purpose's messages.
    public func rules(tenant: TenantPolicy, purpose: PurposePolicy) -> TextRules { texts(tenant.number, purpose.number).rules }

    /// The language of the text that a payment gets whose request names `locale`: the payee is judged by what its readers take for granted.
    public func paymentLanguage(tenant: TenantPolicy, purpose: PurposePolicy, locale: String) -> String {
        let texts = texts(tenant.number, purpose.number)
        return (texts.payment ?? texts.plain).template(for: locale).locale
    }

    /// The message that a request would get, by the same texts, and its language: for `otpctl template
    /// preview`, which refuses hosts and hashes that `rules` don't list.
    public func preview(
        tenant: TenantPolicy, purpose: PurposePolicy, locale: String, code: String, payment: Payment?, client: ReceivingClient
    ) -> (text: String, locale: String) {
        let texts = texts(tenant.number, purpose.number)
        let set = payment == nil ? texts.plain : texts.payment ?? texts.plain
        let template = set.template(for: locale)
        let text = template.render(
            code: code, minutes: MessageTexts.minutes(purpose.lifeMs), payment: texts.payment == nil ? nil : payment, locale: locale,
            client: client)
        return (text, template.locale)
    }
}
