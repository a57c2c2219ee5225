import Foundation
import Testing

/// Every command that a program or the README prints for a newcomer is run as it is printed.
@Suite struct PrintedCommandTests {
    /// The words of a line, its comment left out.
    private func words(_ line: some StringProtocol, _ places: [String: String]) -> [String] {
        let command = line.components(separatedBy: "   ").first { !$0.isEmpty } ?? ""
        return command.split(separator: " ").map { places[String($0)] ?? String($0) }
    }

    private func runAll(_ lines: [String], _ server: DevServer, grant: Bool) throws {
        var places: [String: String] = [:]
        for line in lines {
            var arguments = words(line, places)
            try #require(arguments.removeFirst().hasSuffix("otpctl"), "\(line)")
            if let follow = arguments.firstIndex(of: "--follow") { arguments.remove(at: follow) }
            let outcome = try Program.otpctl.run(arguments, in: server.folder)
            #expect(outcome.code == 0, "\(line): \(outcome)")
            if arguments.contains("request") {
                let challenge = try outcome.field("challenge")
                places["CHALLENGE"] = challenge
                places["CODE"] = try server.code(challenge)
            }
            if arguments.contains("verify") { places["GRANT"] = try outcome.field("grant") }
        }
        #expect(places.count == 3)
    }

    @Test func whatADevelopmentServerPrints() throws {
        let server = try DevServer()
        let hint = { try server.log(".out").split(separator: "\n").filter { $0.hasPrefix("  otpctl ") }.map(String.init) }
        #expect(try eventually { try hint().count == 3 })
        try runAll(try hint(), server, grant: false)
    }

    @Test func whatTheReadmePrints() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let readme = try String(contentsOf: root.appending(path: "README.md"), encoding: .utf8)
        let lines = readme.split(separator: "\n").filter { $0.hasPrefix("$otpctl ") }.map(String.init)
        #expect(lines.count == 3)
        try runAll(lines, try DevServer(), grant: true)
    }

    /// Options that every subcommand takes may stand before it, between it and its group, and after it.
    @Test func theSocketInEachPlace() throws {
        let server = try DevServer()
        let elsewhere = try TemporaryFolder()
        for arguments in [
            ["--socket", server.socket, "ping"], ["--socket=\(server.socket)", "--json", "--timeout", "3", "ping"],
            ["ping", "--socket", server.socket], ["--tenant", "1", "routes", "--socket", server.socket, "list"],
            ["routes", "--json", "--socket", server.socket],
        ] {
            let outcome = try Program.otpctl.run(arguments, in: elsewhere)
            #expect(outcome.code == 0, "\(arguments): \(outcome)")
        }
        let none = try Program.otpctl.run(["--socket"], in: elsewhere)
        #expect(none.code == 2 && none.err.contains("--socket"), "\(none)")
    }

    @Test func routesAreAListWithNoneToo() throws {
        let server = try DevServer(courier: "none")
        let outcome = try server.ctl("routes", "--json")
        #expect(outcome.out == "[]\n", "\(outcome)")
    }

    /// A date beside the milliseconds, for people; programs get the number alone.
    @Test func timesForPeople() throws {
        let server = try DevServer()
        let outcome = try server.both("request", "--account", "a", "--phone", "+33612345678")
        let field = try outcome.text.field("expires_at_ms")
        let date = try #require(field.split(separator: "(").last?.dropLast())
        let time = try Date(String(date), strategy: .iso8601).timeIntervalSinceNow
        #expect((290...301).contains(time), "\(field)")
        #expect(try outcome.json.objects().first?["expires_at_ms"] as? Int == Int(field.prefix { $0 != " " }))
        let wrong = try server.ctl("request", "--account", "a", "--phone", "0612345678")
        #expect(try wrong.field("advice").contains("E.164"))
    }
}
