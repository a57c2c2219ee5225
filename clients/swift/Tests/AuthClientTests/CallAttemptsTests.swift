import Testing
import Wire

@testable import AuthClient

/// One call over its tries, as tables: failures in, verdicts out.
@Suite struct CallAttemptsTests {
    static let lost = ClientError.unknownOutcome("lost")
    static let absent = ClientError.notConnected("absent")
    static func refused(_ status: Status) -> ClientError { .refused(Refusal(status)) }

    struct Table: CustomTestStringConvertible, Sendable {
        let name: String
        let wasConnected: Bool
        let maxRetries: Int
        let steps: [(ClientError, CallAttempts.Verdict)]
        var testDescription: String { name }

        init(
            _ name: String, wasConnected: Bool = true, maxRetries: Int = 3,
            _ steps: [(ClientError, CallAttempts.Verdict)]
        ) {
            (self.name, self.wasConnected, self.maxRetries, self.steps) = (
                name, wasConnected, maxRetries, steps
            )
        }
    }

    static let tables: [Table] = [
        Table(
            "unknown: three more tries",
            [
                (lost, .again(step: 1)), (refused(.unknown), .again(step: 2)), (lost, .again(step: 3)),
                (lost, .fail(lost)),
            ]),
        Table(
            "the protocol's bound holds whatever the options say", maxRetries: 100,
            [
                (lost, .again(step: 1)), (lost, .again(step: 2)), (lost, .again(step: 3)),
                (lost, .fail(lost)),
            ]),
        Table("no retries wanted", maxRetries: 0, [(lost, .fail(lost))]),
        Table("a negative bound is none", maxRetries: -1, [(lost, .fail(lost))]),
        Table(
            "the status unknown is the error unknown", maxRetries: 0,
            [
                (refused(.unknown), .fail(.unknownOutcome("the server couldn't say")))
            ]),
        Table(
            "a server that never was there is given up", wasConnected: false,
            [
                (absent, .again(step: 1)), (absent, .again(step: 2)), (absent, .again(step: 3)),
                (absent, .fail(absent)),
            ]),
        Table(
            "a server that was there is waited for",
            [
                (absent, .again(step: 1)), (absent, .again(step: 2)), (absent, .again(step: 3)),
                (absent, .again(step: 4)),
                (.goodbye(.tooManyConnections, ""), .again(step: 5)),
                (.goodbye(.shuttingDown, ""), .again(step: 6)),
            ]),
        Table(
            "waiting for the server doesn't use up retries",
            [
                (lost, .again(step: 1)), (absent, .again(step: 2)), (absent, .again(step: 3)),
                (lost, .again(step: 4)),
                (lost, .again(step: 5)), (lost, .fail(lost)),
            ]),
        Table(
            "a verdict on this very request settles it",
            [(lost, .again(step: 1)), (refused(.wrongCode), .fail(refused(.wrongCode)))]),
        Table(
            "a refusal before the look at the id doesn't",
            [
                (lost, .again(step: 1)),
                (
                    refused(.draining),
                    .fail(.unknownOutcome("refused: draining, after a try of unknown outcome"))
                ),
            ]),
        Table(
            "neither does a server that won't have us any more",
            [
                (lost, .again(step: 1)),
                (
                    .goodbye(.notPermitted, "no"),
                    .fail(
                        .unknownOutcome(
                            "the server ended the connection: notPermitted: no, after a try of unknown outcome"
                        ))
                ),
            ]),
        Table(
            "nor closing the client",
            [
                (lost, .again(step: 1)),
                (.closed, .fail(.unknownOutcome("the client is closed, after a try of unknown outcome"))),
            ]),
        Table("not the protocol: at once", [(.protocolViolation("x"), .fail(.protocolViolation("x")))]),
        Table("closed: at once", [(.closed, .fail(.closed))]),
    ]

    @Test(arguments: tables) func table(_ table: Table) {
        var attempts = CallAttempts(maxRetries: table.maxRetries, wasConnected: table.wasConnected)
        for (number, (error, verdict)) in table.steps.enumerated() {
            #expect(attempts.after(error) == verdict, "step \(number)")
        }
    }

    @Test(arguments: Status.allCases.filter { $0 != .done && $0 != .unknown })
    func onlyTheStatusUnknownIsRetried(status: Status) {
        var attempts = CallAttempts(maxRetries: 3, wasConnected: true)
        #expect(attempts.after(Self.refused(status)) == .fail(Self.refused(status)))
    }

    @Test func pausesDoubleAreJitteredAndBounded() {
        var options = ClientOptions()
        options.backOff = .milliseconds(50)
        options.maxBackOff = .seconds(2)
        func pauses(_ jitter: Double) -> [Duration] {
            [1, 2, 3, 6, 7, 60, Int.max].map {
                CallAttempts.pause(step: $0, options: options, jitter: jitter)
            }
        }
        #expect(pauses(1) == [50, 100, 200, 1_600, 2_000, 2_000, 2_000].map { .milliseconds($0) })
        #expect(pauses(0.5) == [25, 50, 100, 800, 1_000, 1_000, 1_000].map { .milliseconds($0) })
        #expect(pauses(7).allSatisfy { $0 <= .seconds(2) })
    }
}
