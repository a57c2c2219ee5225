import Testing

/// A real otpd is stopped under calls that are given up.
@Suite struct StallTests {
    /// `otp-bench stall` checks: of each round otpd acted on at least one and at most its bound, and on none
    /// that was told as not sent.
    @Test func nothingIsSentForCallsThatWereGivenUp() throws {
        let folder = try TemporaryFolder()
        let outcome = try Program.bench.run("stall", in: folder)
        #expect(outcome.code == 0, "\(outcome)")
        #expect(outcome.out.contains("deadlines: 2000 calls, "), "\(outcome)")
        #expect(outcome.out.contains("cancellations: 1000 calls, 1000 cancelled; "), "\(outcome)")
    }
}
