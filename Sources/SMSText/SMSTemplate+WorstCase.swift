/// The longest message that a template can become.
extension SMSTemplate {
    struct WorstCase {
        let client: String
        let count: SegmentCount
        /// Septets or units of the widest amount.
        let amount: Int
        let isPayeeForeign: Bool

        var isTooLong: Bool { count.segments > (count.encoding == .gsm7 ? 1 : 2) }
    }

    /// What is too long, by how much, what it is made of, and what of that can be shortened.
    func complaint(_ worst: WorstCase, shop: String, maxima: TextMaxima) -> String {
        let isGSM = worst.count.encoding == .gsm7
        var pieces = ["code \(maxima.code)"]
        var remedies = ["the text"]
        if showsShop {
            pieces.insert("shop name \(shop.utf16.count)", at: 0)
            remedies.append("the shop's name")
        }
        if isPayment {
            pieces += ["payee \(maxima.payee)", "amount \(worst.amount)"]
            remedies += ["payee_length", "amount_digits"]
        }
        if worst.client == "web" {
            pieces.append("host \(maxima.host)")
            remedies.append("the hosts")
        }
        let last = remedies.removeLast()
        return "it can take \(worst.count.units) \(isGSM ? "septets" : "UCS-2 units") with client \(worst.client)"
            + (worst.isPayeeForeign ? " and a payee outside GSM 03.38" : "")
            + ", which is \(worst.count.segments) segments; \(isGSM ? 160 : 134) are allowed. It counts: " + pieces.joined(separator: ", ")
            + ". Shorten " + (remedies.isEmpty ? last : remedies.joined(separator: ", ") + " or " + last)
            + (isGSM || worst.isPayeeForeign ? "." : ", or keep to GSM 03.38 characters.")
    }

    /// Over the last lines and, for payments, over a payee in the alphabet and outside it: each cost is promised.
    func worst(_ maxima: TextMaxima) -> [WorstCase] {
        var clients: [(String, ReceivingClient)] = [("none", .none), ("android", .android(appHash: "FA+9qCX9VSu"))]
        if maxima.host > 0 { clients.append(("web", .web(host: String(repeating: "h", count: maxima.host)))) }
        let code = String(repeating: "8", count: maxima.code)
        let widest = isPayment ? widestAmount(maxima) : nil
        var found: [WorstCase] = []
        for payee in (isPayment ? ["x", "щ"] : ["x"]) as [Character] {
            let payment = widest.map { Payment(amount: $0.amount, payee: Payee(uncleaned: payee, count: maxima.payee)) }
            for (name, client) in clients {
                let text = render(code: code, minutes: 10, payment: payment, locale: nil, client: client)
                // The text is written in its own style; a region's may be wider.
                var extra = (widest?.length ?? 0) - (widest?.plain ?? 0)
                // A character of two units that would lie across the parts' border goes whole into the second, and leaves a unit of the first empty.
                let mayStraddle = payee == "щ" || text.unicodeScalars.contains { $0.value > 0xFFFF }
                if mayStraddle { extra += 1 }
                let count = SegmentCount(of: text + String(repeating: "8", count: extra))
                found.append(WorstCase(client: name, count: count, amount: widest?.length ?? 0, isPayeeForeign: payee == "щ"))
            }
        }
        return found.sorted { $0.count.units > $1.count.units }
    }

    /// The widest amount in any style of the language, and its length in the text's own.
    private func widestAmount(_ maxima: TextMaxima) -> (amount: Amount, length: Int, plain: Int)? {
        var widest: (amount: Amount, length: Int, plain: Int)?
        for currency in Currency.samples {
            let amount = Amount(minorUnits: maxima.largest, currency: currency)
            let length = AmountStyle.all(of: locale).map { $0.string(amount).utf16.count }.max() ?? 0
            if length > (widest?.length ?? 0) { widest = (amount, length, AmountStyle(locale: locale).string(amount).utf16.count) }
        }
        return widest
    }
}

extension Payee {
    /// The longest payee, for the worst case.
    init(uncleaned character: Character, count: Int) { text = String(repeating: character, count: count) }
}
