import ArgumentParser
import AuthClient
import Glibc
import Wire

/// What becomes of calls that are given up while otpd stands still: the Swift client may have written no more
/// of them than otpd's bound, and says of none that acted that it wasn't sent.
struct Stall: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Stop otpd under calls of the Swift client that run out of time or are cancelled.")

    @Option(help: "Calls whose deadline runs out.")
    var deadlines = 2_000
    @Option(help: "Calls that are cancelled.")
    var cancellations = 1_000
    @Option(help: "Milliseconds until they run out or are cancelled.")
    var patience = 300

    /// What a call was told.
    private enum Told: String, CaseIterable {
        case unknownOutcome, cancelled, notConnected, other
    }

    func run() async throws {
        let calls = 1...100_000
        guard calls.contains(deadlines), calls.contains(cancellations), (1...60_000).contains(patience) else {
            throw ValidationError("--deadlines and --cancellations are 1 to 100000, --patience 1 to 60000")
        }
        let server = try BenchServer()
        defer { server.remove() }
        try server.start()
        // Numbers of a kind's shoppers begin at its own million.
        try await round("deadlines", calls: deadlines, from: 1_000_000, server)
        try await round("cancellations", calls: cancellations, from: 2_000_000, isCancelled: true, server)
        _ = try server.stop()
        print("passed: otpd acted on no more than its bound, and on none that was told as not sent")
    }

    private func round(
        _ name: String, calls: Int, from first: Int, isCancelled: Bool = false, _ server: BenchServer
    ) async throws {
        var options = ClientOptions()
        options.deadline = isCancelled ? .seconds(600) : .milliseconds(patience)
        let client = AuthClient(path: server.socket, options: options)
        try await client.connect()
        let bound = Int(await client.server?.maxInFlight ?? 0)
        kill(server.pid, SIGSTOP)
        var status: Int32 = 0
        // Returns once it stands still.
        guard waitpid(server.pid, &status, WUNTRACED) == server.pid else {
            throw BenchError("otpd can't be stopped")
        }
        let told = await give(up: first..<first + calls, client, cancelAfter: isCancelled ? patience : nil)
        kill(server.pid, SIGCONT)
        let acted = try await shoppersWithACode(first..<first + calls, server)
        let counts = Told.allCases.map { kind in (kind, told.values.count { $0 == kind }) }.filter { $0.1 > 0 }
        let verdicts = counts.map { "\($0.1) \($0.0)" }.joined(separator: ", ")
        print("\(name): \(calls) calls, \(verdicts); otpd acted on \(acted.count)")
        // A round in which nothing was sent would prove nothing.
        guard acted.count > 0, acted.count <= bound else {
            throw BenchError("\(acted.count) acted; the bound is \(bound)")
        }
        for shopper in acted where told[shopper] != (isCancelled ? .cancelled : .unknownOutcome) {
            let words = told[shopper]?.rawValue ?? "nothing"
            throw BenchError("\(shopper) has a code, and the caller was told: \(words)")
        }
        guard !told.values.contains(.other) else { throw BenchError("a call was told something else") }
        await client.close()
    }

    private func give(
        up shoppers: Range<Int>, _ client: AuthClient, cancelAfter: Int?
    ) async -> [Int: Told] {
        await withTaskGroup(of: (Int, Told).self) { group in
            for shopper in shoppers {
                group.addTask {
                    do {
                        _ = try await client.requestCode(Stall.request(shopper))
                    } catch ClientError.unknownOutcome {
                        return (shopper, .unknownOutcome)
                    } catch ClientError.notConnected {
                        return (shopper, .notConnected)
                    } catch is CancellationError {
                        return (shopper, .cancelled)
                    } catch { print("a call was told: \(error)") }
                    return (shopper, .other)
                }
            }
            if let cancelAfter {
                usleep(UInt32(cancelAfter) * 1_000)
                group.cancelAll()
            }
            return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
    }

    /// Whose quota says that a code was sent, once nothing changes any more.
    private func shoppersWithACode(_ shoppers: Range<Int>, _ server: BenchServer) async throws -> Set<Int> {
        var options = ClientOptions()
        options.deadline = .seconds(60)
        let client = AuthClient(path: server.socket, options: options)
        var (before, now) = ("", try await Stall.created(client))
        while now != before {
            try await Task.sleep(for: .milliseconds(500))
            (before, now) = (now, try await Stall.created(client))
        }
        // Nobody's.
        let fresh = try await client.quota(Stall.quota(shoppers.upperBound)).sendsLeftHour
        var acted: Set<Int> = []
        for shopper in shoppers {
            let left = try await client.quota(Stall.quota(shopper)).sendsLeftHour
            if left != fresh { acted.insert(shopper) }
        }
        await client.close()
        return acted
    }

    private static func created(_ client: AuthClient) async throws -> String {
        let lines = try await client.stats().split(separator: "\n")
        return lines.first { $0.hasPrefix("challenges_created_total ") }.map(String.init) ?? ""
    }

    private static func request(_ shopper: Int) -> RequestCode {
        var message = RequestCode()
        message.purpose = 1
        message.assurance = Assurance.firstFactor.rawValue
        message.account = AccountBytes("stall-\(shopper)")
        message.phone = PhoneBytes("+3361\(shopper)")
        message.session = Bytes32(head: Bytes16(high: UInt64(shopper), low: 1), tail: .zero)
        return message
    }

    private static func quota(_ shopper: Int) -> Quota {
        let request = request(shopper)
        var message = Quota()
        message.purpose = request.purpose
        message.assurance = request.assurance
        message.account = request.account
        message.phone = request.phone
        message.session = request.session
        return message
    }
}
