@testable import Courier
import Testing
import Wire

/// The console's boxes, as they stand on the screen.
@Suite struct ConsoleGatewayTests {
    struct Golden: Sendable {
        let name: String
        var phone = "+33612345678"
        let text: String
        let box: String
    }

    static let texts = [
        Golden(
            name: "one line", text: "483920 is your Fleur code.",
            box: """
                ╭─ SMS to +33612345678 ────────────────────────╮
                │ 483920 is your Fleur code.                   │
                ╰─────────────────────────── GSM-7, 1 segment ─╯
                """),
        Golden(
            name: "several rows and the last line",
            text:
                "483920 is your Example Shop Ltd code. It expires in 5 minutes. Never share it.\n@shop.example #483920",
            box: """
                ╭─ SMS to +33612345678 ────────────────────────╮
                │ 483920 is your Example Shop Ltd code. It     │
                │ expires in 5 minutes. Never share it.        │
                │ @shop.example #483920                        │
                ╰─────────────────────────── GSM-7, 1 segment ─╯
                """),
        Golden(
            name: "an empty line stays", text: "a\n\nb",
            box: """
                ╭─ SMS to +33612345678 ────────────────────────╮
                │ a                                            │
                │                                              │
                │ b                                            │
                ╰─────────────────────────── GSM-7, 1 segment ─╯
                """),
        Golden(
            name: "the longest number", phone: "+123456789012345", text: "1",
            box: """
                ╭─ SMS to +123456789012345 ────────────────────╮
                │ 1                                            │
                ╰─────────────────────────── GSM-7, 1 segment ─╯
                """),
        Golden(
            name: "UCS-2",
            text: "Ваш код Fleur: 483920. Никому его не говорите, даже нам: он действует 5 минут.",
            box: """
                ╭─ SMS to +33612345678 ────────────────────────╮
                │ Ваш код Fleur: 483920. Никому его не         │
                │ говорите, даже нам: он действует 5 минут.    │
                ╰────────────────────────── UCS-2, 2 segments ─╯
                """),
        Golden(
            name: "characters of two columns", text: "您的验证码是 483920，请勿告诉他人。五分钟内有效，过期请重新获取。🙂",
            box: """
                ╭─ SMS to +33612345678 ────────────────────────╮
                │ 您的验证码是                                 │
                │ 483920，请勿告诉他人。五分钟内有效，过期请重 │
                │ 新获取。🙂                                   │
                ╰─────────────────────────── UCS-2, 1 segment ─╯
                """),
        Golden(
            name: "a word longer than a row",
            text: "1\n@a-very-long-host-name.of-a-shop.somewhere.in-the-world.example #483920",
            box: """
                ╭─ SMS to +33612345678 ────────────────────────╮
                │ 1                                            │
                │ @a-very-long-host-name.of-a-shop.somewhere.i │
                │ n-the-world.example #483920                  │
                ╰─────────────────────────── GSM-7, 1 segment ─╯
                """),
        Golden(
            name: "exactly a row, and one more",
            text: String(repeating: "m", count: 44) + "\n" + String(repeating: "m", count: 45),
            box: """
                ╭─ SMS to +33612345678 ────────────────────────╮
                │ mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm │
                │ mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm │
                │ m                                            │
                ╰─────────────────────────── GSM-7, 1 segment ─╯
                """),
        Golden(
            name: "161 septets",
            text: String(repeating: "8", count: 20) + String(repeating: " 48392", count: 23) + " 12",
            box: """
                ╭─ SMS to +33612345678 ────────────────────────╮
                │ 88888888888888888888 48392 48392 48392 48392 │
                │ 48392 48392 48392 48392 48392 48392 48392    │
                │ 48392 48392 48392 48392 48392 48392 48392    │
                │ 48392 48392 48392 48392 48392 12             │
                ╰────────────────────────── GSM-7, 2 segments ─╯
                """),
        Golden(
            name: "nothing that steers the terminal", phone: "+336\u{1B}[2J",
            text: "\u{1B}[31mred\u{07} \r\nnext\u{9B}1m",
            box: """
                ╭─ SMS to +336�[2J ────────────────────────────╮
                │ �[31mred� �                                  │
                │ next�1m                                      │
                ╰─────────────────────────── UCS-2, 1 segment ─╯
                """),
    ]

    @Test(arguments: texts) func box(_ golden: Golden) {
        #expect(ConsoleGateway.box(to: golden.phone, text: golden.text) == golden.box)
    }

    @Test func submitPrintsOneBox() throws {
        let boxes = Lines()
        var gateway = try ConsoleGateway(allowPlaintext: true) { boxes.add($0) }
        let outcome = gateway.submit(sampleMessage("1", phone: "+447700900123"), expiresAtWallMs: 1)
        gateway.sweep(nowWallMs: .max)
        #expect(outcome == .submitted)
        #expect(boxes.all == [ConsoleGateway.box(to: "+447700900123", text: "1")])
    }

    @Test func withoutConsent() {
        let boxes = Lines()
        let error = #expect(throws: CourierError.self) {
            try ConsoleGateway(allowPlaintext: false) { boxes.add($0) }
        }
        #expect(
            error?.description
                == "the console gateway shows codes in clear to anyone who can read its output. Use it for development only, "
                + "and say so: --allow-plaintext (allow_plaintext = true).")
        #expect(boxes.all.isEmpty)
    }
}
