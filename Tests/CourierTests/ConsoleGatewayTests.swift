@testable import Courier
import Testing
import Wire

/// The console's boxes, as they stand on the screen.
@Suite struct ConsoleGatewayTests {
    @Test func oneLine() {
        #expect(
            ConsoleGateway.box(to: "+33612345678", text: "483920 is your Fleur code.") == """
                ╭─ SMS to +33612345678 ────────────────────────╮
                │ 483920 is your Fleur code.                   │
                ╰────────────────────────── GSM-7, 1 segment ─╯
                """)
    }
}
