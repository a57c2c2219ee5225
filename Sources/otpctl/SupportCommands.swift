import ArgumentParser
import AuthClient
import Foundation
import Wire

struct UnblockCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unblock",
        abstract: "End an account's blocks and forget the wrong codes that led to them.",
        discussion: """
            Ends the block of its payments, and with --phone what wrong codes did on that phone: blocks of log-ins, and classes whose share of \
            failures in a row is used up. At most three times an account and day. Be sure who asks: each time is a new round of guesses. Actor and \
            reason are kept in an event.
            """)
    @OptionGroup var common: Common
    @OptionGroup var requestID: RequestIDOption
    @Option(help: "The account, as the web tier names it.")
    var account: String
    @Option(help: "The phone, E.164: +33612345678. Without it only payments are unblocked.")
    var phone: String?
    @Option(help: "Why: a sentence or a ticket's number, up to 128 bytes.")
    var reason: String
    @Option(help: "Who acts, up to 64 bytes (default: your user name).")
    var actor: String?

    func run() async throws {
        var message = Unblock()
        message.requestID = try requestID.value()
        message.account = AccountBytes(account)
        if let phone { message.phone = PhoneBytes(phone) }
        message.actor = try text(actor ?? NSUserName(), "--actor")
        message.reason = try text(reason, "--reason")
        let request = message
        try await common.run { client in
            try await client.unblock(request)
            common.show([
                ("unblocked", .text(account)), ("phone", .text(phone ?? "none named: payments only")),
            ])
        }
    }

    private func text<let n: Int>(_ text: String, _ option: String) throws -> InlineBytes<n> {
        guard (1...n).contains(text.utf8.count), Array(text.utf8).withUnsafeBytes(PlainText.isValid) else {
            throw ValidationError("\(option) takes one line of 1 to \(n) bytes of text, without control characters")
        }
        return InlineBytes(text)
    }
}
