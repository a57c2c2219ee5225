import ArgumentParser
import AuthServer
import Engine
import Foundation
import SMSText

struct TemplateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "template", abstract: "The texts of messages.", subcommands: [PreviewCommand.self])
}

/// Asks no server: the texts come from the configuration file, or are the built-in ones.
struct PreviewCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "preview", abstract: "Show an SMS, its encoding, its segments and what it costs. Needs no server.",
        discussion: """
            otpctl template preview --locale de --client web --host shop.example
            otpctl template preview --purpose payment --amount 49.90 --currency EUR --payee "Café Rose" --price 0.075
            """)

    @Option(help: "otpd's configuration file (default: the built-in texts of a development server).")
    var config: String?
    @Option(help: "The tenant's number; 0 = the first.")
    var tenant: UInt32 = 0
    @Option(help: "The purpose's name or number.")
    var purpose = "login"
    @Option(help: "The request's language, such as pt-BR (default: none, which gets the tenant's).")
    var locale = ""
    @Option(help: "The code (default: one of the purpose's length).")
    var code: String?
    @Option(help: "What is paid, with a point: 49.90. With --currency and --payee.")
    var amount: String?
    @Option(help: "ISO 4217: EUR.")
    var currency: String?
    @Option(help: "Who is paid, as the web tier would say it.")
    var payee: String?
    @Option(help: "Who receives: none, web (with --host) or android (with --app-hash).")
    var client = "none"
    @Option(help: "The host of the last line `@HOST #code`.")
    var host: String?
    @Option(help: "The app's hash of 11 characters.")
    var appHash: String?
    @Option(help: "Price of one segment, such as 0.075.")
    var price: String?
    @Flag(help: "One JSON object.")
    var json = false

    func run() throws {
        let settings = try loaded()
        let (tenant, purpose) = try chosen(settings)
        let rules = settings.texts.rules(tenant: tenant, purpose: purpose)
        let language = settings.texts.paymentLanguage(tenant: tenant, purpose: purpose, locale: locale)
        let payment = try payment(rules, purpose, language)
        let client = try receiver(rules)
        let preview = settings.texts.preview(
            tenant: tenant, purpose: purpose, locale: locale, code: try codeText(purpose), payment: payment, client: client)
        let count = SegmentCount(of: preview.text)
        let isGSM = count.encoding == .gsm7
        let most = count.segments == 1 ? (isGSM ? 160 : 70) : (isGSM ? 153 : 67) * count.segments
        var fields: [(String, Field)] = [
            ("text", .text(preview.text)), ("language", .text(preview.locale)), ("encoding", .text(isGSM ? "GSM-7" : "UCS-2")),
            (isGSM ? "septets" : "units", .number(UInt64(count.units))), ("of", .number(UInt64(most))),
            ("segments", .number(UInt64(count.segments))),
        ]
        if let price { fields.append(("cost", .text(try cost(price, count.segments)))) }
        if let payment { fields.append(("payee", .text(payment.payee.text))) }
        if json { Common.print(json: fields) } else { show(fields) }
    }

    /// The message as a telephone shows it, then the figures.
    private func show(_ fields: [(String, Field)]) {
        print(fields[0].1.plain + "\n")
        Common.print(lines: Array(fields.dropFirst()))
    }

    private func loaded() throws -> ServerSettings {
        guard let config else { return try DevFolder.preview() }
        do { return try Config.load(config) } catch { throw ValidationError("\(error)") }
    }

    private func chosen(_ settings: ServerSettings) throws -> (TenantPolicy, PurposePolicy) {
        guard let tenant = settings.tenants.first(where: { tenant == 0 || $0.number == tenant }) else {
            throw ValidationError("--tenant: the configuration has no tenant \(tenant)")
        }
        guard let found = tenant.purposes.first(where: { $0.name == purpose || String($0.number) == purpose }) else {
            let known = tenant.purposes.map { "\($0.name) (\($0.number))" }.joined(separator: ", ")
            throw ValidationError("--purpose: tenant \(tenant.number) has no `\(purpose)`; it has \(known)")
        }
        return (tenant, found)
    }

    private func codeText(_ purpose: PurposePolicy) throws -> String {
        let length = Int(purpose.codeLength)
        guard let code else { return String((purpose.alphabet == .digits ? "4839201756" : "K7QX2M9P4R").prefix(length)) }
        guard code.utf8.count == length, code.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber) }) else {
            throw ValidationError("--code: codes of `\(purpose.name)` are \(length) letters or digits")
        }
        return code
    }

    private func receiver(_ rules: TextRules) throws -> ReceivingClient {
        switch (client, host, appHash) {
        case ("none", nil, nil): return .none
        case ("web", let host?, nil):
            guard rules.hosts.contains(host) else {
                let known = rules.hosts.isEmpty ? "it has none" : "it has \(rules.hosts.joined(separator: ", "))"
                throw ValidationError("--host: `\(host)` isn't in the tenant's `hosts` (\(known)); such a request gets no last line")
            }
            return .web(host: host)
        case ("android", nil, let hash?):
            guard LastLine.isAppHash(hash) else { throw ValidationError("--app-hash has 11 characters of base64, such as FA+9qCX9VSu") }
            guard rules.androidHashes.contains(hash) else {
                let known =
                    rules.androidHashes.isEmpty
                    ? "it has none" : "it has \(rules.androidHashes.joined(separator: ", "))"
                throw ValidationError(
                    "--app-hash: `\(hash)` isn't in the tenant's `android_hashes` (\(known)); "
                        + "such a request gets no last line")
            }
            return .android(appHash: hash)
        case _: throw ValidationError("--client is none, web with --host HOST, or android with --app-hash HASH")
        }
    }

    private func payment(_ rules: TextRules, _ purpose: PurposePolicy, _ language: String) throws -> Payment? {
        guard amount != nil || currency != nil || payee != nil else { return nil }
        guard let amount, let currency, let payee else {
            throw ValidationError("a payment has all of --amount, --currency and --payee")
        }
        guard MessageTexts.isPayment(purpose) else {
            throw ValidationError("`\(purpose.name)` isn't a payment: its profile isn't psd2-payment")
        }
        guard let known = Currency(currency) else { throw ValidationError("--currency: ISO 4217 has no `\(currency)`; write EUR") }
        guard let minor = Decimals.units(amount, digits: known.digits) else {
            throw ValidationError("--amount: write \(currency) with a point and at most \(known.digits) digits after it")
        }
        let money = Amount(minorUnits: minor, currency: known)
        guard rules.maxima(purpose).admits(money) else {
            throw ValidationError("--amount: `amount_digits` admits \(rules.amountDigits) digits, those after the point counted")
        }
        do throws(PayeeError) {
            let cleaned = try Payee(cleaning: payee, maximum: rules.payeeLength, language: language)
            return Payment(amount: money, payee: cleaned)
        } catch { throw ValidationError("--payee: \(error.explanation)") }
    }

    private func cost(_ price: String, _ segments: Int) throws -> String {
        let digits = price.split(separator: ".", omittingEmptySubsequences: false).dropFirst().first?.count ?? 0
        guard digits <= 6, let units = Decimals.units(price, digits: digits), units < 1_000_000_000_000 else {
            throw ValidationError("--price: write 0.075, with at most 6 digits after the point")
        }
        return Decimals.text(units * UInt64(segments), digits: digits)
    }
}

/// Decimal numbers as people type them, without binary fractions.
enum Decimals {
    /// `49.9` with 2 digits: 4990; `nil` for signs, other digits, or more digits than there are.
    static func units(_ text: String, digits: Int) -> UInt64? {
        let parts = text.utf8.split(separator: 0x2E, omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), !parts[0].isEmpty, text.utf8.count <= 20,
            parts.allSatisfy({ $0.allSatisfy { (0x30...0x39).contains($0) } })
        else { return nil }
        let fraction = parts.count == 2 ? Array(parts[1]) : []
        guard parts.count == 1 || !fraction.isEmpty, fraction.count <= digits else { return nil }
        let padded = Array(parts[0]) + fraction + Array(repeating: 0x30, count: digits - fraction.count)
        return UInt64(String(decoding: padded, as: UTF8.self))
    }

    static func text(_ units: UInt64, digits: Int) -> String {
        guard digits > 0 else { return String(units) }
        let all = String(units)
        let padded = String(repeating: "0", count: max(0, digits + 1 - all.count)) + all
        return padded.dropLast(digits) + "." + padded.suffix(digits)
    }
}
