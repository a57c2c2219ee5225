import Engine
import Foundation
import Glibc
import StrictTOML
import Testing
import Wire

@testable import AuthServer

/// The configuration file is strict: each mistake is answered with file, line, key and what to write instead.
@Suite struct ConfigTests {
    /// Line 1 is `data`; a mistake is put in by replacing or adding lines.
    static let good = """
        data = "/var/lib/otpd/data"
        master_key = "/etc/otpd/master.key"
        issuer = "shop.example"
        [[tenant]]
        number = 1
        name = "shop"
        [tenant.limits]
        unverified_per_hour = 4
        [[tenant.purpose]]
        number = 1
        name = "login"
        life_seconds = 200
        [[tenant]]
        number = 2
        name = "other"
        [[listener]]
        path = "/run/otpd/1.sock"
        tenants = [1]
        [[listener]]
        path = "/run/otpd/2.sock"
        mode = "0600"
        tenants = [2]
        roles = ["verify"]
        [[peer]]
        uid = 33
        tenant = 1
        roles = ["verify", "redeem"]
        """

    private func failure(_ text: String) throws -> String {
        do throws(ConfigError) { _ = try Config.parse(text, name: "otpd.toml") } catch {
            return error.description
        }
        throw TestError("the configuration was taken:\n\(text)")
    }

    /// The example is a configuration, and what it says of defaults is true: with those lines written out it's the same one.
    @Test func theExample() throws {
        let path = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Sources/AuthServer/otpd.toml")
        let text = try String(contentsOf: path, encoding: .utf8)
        let plain = try Config.parse(text, name: "otpd.toml")
        var written = 0
        let full = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            guard line.hasPrefix("# "), line.dropFirst(2).prefix(while: { $0 != " " }).allSatisfy({ $0 == "_" || $0.isLowercase }),
                line.contains(" = ") else { return line }
            written += 1
            return line.dropFirst(2)
        }
        let same = try Config.parse(full.joined(separator: "\n"), name: "otpd.toml")
        #expect(written == 39 && plain.tenants == same.tenants)
        #expect(plain.listeners.map(\.mode) == same.listeners.map(\.mode) && plain.listeners.map(\.tenants) == same.listeners.map(\.tenants))
        #expect(plain.commit == same.commit && plain.segmentBytes == same.segmentBytes)
        #expect(plain.maxConnections == same.maxConnections && plain.connectionsPerUID == same.connectionsPerUID)
        let login = try #require(plain.tenants.first?.purposes.first), payment = try #require(plain.tenants.first?.purposes.last)
        #expect(login == .login && payment.codeLength == 8 && payment.streak == .psd2Payment && payment.priority == .high)
    }

    /// Each limit has a mode of its own, beside the one for all; what isn't free stays enforced.
    @Test func modesOfLimits() throws {
        let text = Self.good.replacing(
            "unverified_per_hour = 4", with: "mode = \"shadow\"\n[tenant.limits.modes]\nphone_total_day = \"off\"\naccount_phones_day = \"enforce\"")
        let modes = try Config.parse(text, name: "otpd.toml").tenants[0].modes
        for limit in Limit.allCases {
            let expected: LimitMode =
                switch limit {
                case .phoneTotalDay: .off
                case .accountPhonesDay: .enforce
                case _: LimitModes.limits.contains(limit) ? .shadow : .enforce
                }
            #expect(modes[limit] == expected, "\(limit)")
        }
        let blocks = Self.good.replacing("life_seconds = 200", with: "block_after = 24")
        #expect(try Config.parse(blocks, name: "otpd.toml").tenants[0].purposes[0].streak.blockAfter == 24)
    }

    @Test func takesAGoodFile() throws {
        let settings = try Config.parse(Self.good, name: "otpd.toml")
        #expect(settings.dataPath == "/var/lib/otpd/data")
        #expect(settings.issuer == "shop.example")
        #expect(settings.tenants.map(\.number) == [1, 2])
        #expect(settings.tenants[0].unverifiedPerHour == 4)
        #expect(settings.tenants[0].purposes.map(\.lifeMs) == [200_000])
        #expect(settings.tenants[1].purposes.map(\.name) == ["login", "payment"])
        #expect(settings.listeners.map(\.mode) == [0o660, 0o600])
        #expect(settings.listeners[1].roles == Roles(.verify))
        #expect(
            settings.peers == [PeerRule(uid: 33, tenant: 1, roles: Roles([Roles(.verify), Roles(.redeem)]))])
    }

    /// What is replaced by what, and what the error must begin with and hold.
    struct Mistake: CustomTestStringConvertible, Sendable {
        let old: String
        let new: String
        let prefix: String
        let hint: String
        var testDescription: String { "\(new.isEmpty ? "without \(old)" : new)" }

        init(_ old: String, _ new: String, _ prefix: String, _ hint: String) {
            (self.old, self.new, self.prefix, self.hint) = (old, new, prefix, hint)
        }
    }

    static let mistakes = [
        Mistake("issuer =", "isuer =", "otpd.toml:3: isuer:", "did you mean `issuer`?"),
        Mistake("issuer = \"shop.example\"", "issuer = 7", "otpd.toml:3: issuer:", "a string in quotes"),
        Mistake("shop.example", "dev", "otpd.toml:3: issuer:", "kept for development"),
        Mistake(
            "issuer =", "max_conections = 9\nissuer =", "otpd.toml:3: max_conections:",
            "did you mean `max_connections`?"),
        Mistake(
            "\"/run/otpd/1.sock\"", "\"otpd.sock\"", "otpd.toml:17: listener[0].path:",
            "write an absolute path, such as \"/run/otpd/otpd.sock\""),
        Mistake("\"/run/otpd/1.sock\"", "\"/run/otpd/\"", "otpd.toml:17: listener[0].path:", "an absolute path"),
        Mistake("\"/var/lib/otpd/data\"", "\"data\"", "otpd.toml:1: data:", "\"/var/lib/otpd/data\""),
        Mistake("\"/etc/otpd/master.key\"", "\"\"", "otpd.toml:2: master_key:", "absolute"),
        Mistake(
            "issuer =", "max_connections = 7\nissuer =", "otpd.toml:3: max_connections:", "from 8 to 16384"),
        Mistake("issuer =", "commit = \"inlin\"\nissuer =", "otpd.toml:3: commit:", "did you mean `inline`?"),
        Mistake(
            "issuer =", "commit = \"sometimes\"\nissuer =", "otpd.toml:3: commit:",
            "known are: auto, adaptive, inline, overlapped"),
        Mistake("issuer =", "zzzzzzzz = 1\nissuer =", "otpd.toml:3: zzzzzzzz:", "known are:"),
        Mistake("issuer =", "issuer", "otpd.toml:3:", "expected '='"),
        Mistake(
            "unverified_per_hour", "unverifed_per_hour", "otpd.toml:8: tenant[0].limits.unverifed_per_hour:",
            "`unverified_per_hour`"),
        Mistake(
            "unverified_per_hour = 4", "unverified_per_hour = 51",
            "otpd.toml:8: tenant[0].limits.unverified_per_hour:", "1 to 50"),
        Mistake(
            "unverified_per_hour = 4", "mode = \"shadw\"", "otpd.toml:8: tenant[0].limits.mode:", "`shadow`"),
        Mistake(
            "unverified_per_hour = 4", "[tenant.limits.modes]\nphone_total_hour = \"of\"",
            "otpd.toml:9: tenant[0].limits.modes.phone_total_hour:", "`off`"),
        Mistake(
            "unverified_per_hour = 4", "[tenant.limits.modes]\nphone_verify_minute = \"off\"",
            "otpd.toml:9: tenant[0].limits.modes.phone_verify_minute:", "unknown key"),
        Mistake(
            "life_seconds = 200", "block_after = 25", "otpd.toml:12: tenant[0].purpose[0].block_after:", "1 to 24: at 25 failures"),
        Mistake(
            "life_seconds = 200", "profile = \"psd2-payment\"\nblock_after = 6",
            "otpd.toml:13: tenant[0].purpose[0].block_after:", "at most 5 wrong payment codes"),
        Mistake(
            "life_seconds = 200", "life_seconds = 119", "otpd.toml:12: tenant[0].purpose[0].life_seconds:",
            "120 to 600"),
        Mistake(
            "life_seconds = 200", "life_seconds = 601", "otpd.toml:12: tenant[0].purpose[0].life_seconds:",
            "120 to 600"),
        Mistake(
            "life_seconds = 200", "life = 200", "otpd.toml:12: tenant[0].purpose[0].life:", "unknown key"),
        Mistake(
            "life_seconds = 200", "attempts = 6", "otpd.toml:12: tenant[0].purpose[0].attempts:", "1 to 5"),
        Mistake(
            "life_seconds = 200", "code_length = 5", "otpd.toml:12: tenant[0].purpose[0].code_length:",
            "6 to 10"),
        Mistake(
            "life_seconds = 200", "grant_seconds = 301", "otpd.toml:12: tenant[0].purpose[0].grant_seconds:",
            "10 to 300"),
        Mistake(
            "life_seconds = 200", "resend_gap_seconds = [19]",
            "otpd.toml:12: tenant[0].purpose[0].resend_gap_seconds:", "20 to 600"),
        Mistake(
            "life_seconds = 200", "resend_gap_seconds = 30",
            "otpd.toml:12: tenant[0].purpose[0].resend_gap_seconds:", "list of numbers"),
        Mistake(
            "life_seconds = 200", "require_session = 1",
            "otpd.toml:12: tenant[0].purpose[0].require_session:", "true or false"),
        Mistake(
            "life_seconds = 200", "alphabet = \"leters\"", "otpd.toml:12: tenant[0].purpose[0].alphabet:",
            "known are"),
        Mistake(
            "life_seconds = 200", "text = \"hello\"", "otpd.toml:12: tenant[0].purpose[0].text:", "{code}"),
        Mistake(
            "life_seconds = 200", "text = \"{amount} {payee} x {code}\"", "otpd.toml:12: tenant[0].purpose[0].text:",
            "only a payment's text"),
        Mistake(
            "life_seconds = 200", "payment_text = \"{code}\"", "otpd.toml:12: tenant[0].purpose[0].payment_text:",
            "psd2-payment"),
        Mistake(
            "life_seconds = 200", "profile = \"psd2-payment\"\npayment_text = \"{code}\"",
            "otpd.toml:13: tenant[0].purpose[0].payment_text:", "shows {amount} and {payee}"),
        Mistake(
            "life_seconds = 200", "text = \"{code} \(String(repeating: "a", count: 160))\"",
            "otpd.toml:12: tenant[0].purpose[0].text:", "locale en: it can take 179 septets with client android, which is 2 segments"),
        Mistake(
            "life_seconds = 200", "[tenant.purpose.texts]\nde = 1", "otpd.toml:13: tenant[0].purpose[0].texts.de:", "string"),
        Mistake(
            "life_seconds = 200", "[tenant.purpose.texts]\nde = \"{code}\"", "otpd.toml:12: tenant[0].purpose[0].texts:",
            "no text for the tenant's locale `en`"),
        Mistake("name = \"shop\"", "name = \"shop\"\nlocale = \"english\"", "otpd.toml:7: tenant[0].locale:", "pt-BR"),
        Mistake("name = \"shop\"", "name = \"shop\"\npayee_length = 41", "otpd.toml:7: tenant[0].payee_length:", "8 to 40"),
        Mistake("name = \"shop\"", "name = \"shop\"\namount_digits = 3", "otpd.toml:7: tenant[0].amount_digits:", "4 to 15"),
        Mistake(
            "name = \"shop\"", "name = \"shop\"\nhosts = [\"https://x.example\"]", "otpd.toml:7: tenant[0].hosts:", "no scheme"),
        Mistake("name = \"shop\"", "name = \"shop\"\nhosts = [\"Shop.example\"]", "otpd.toml:7: tenant[0].hosts:", "small letters"),
        Mistake(
            "name = \"shop\"", "name = \"shop\"\nandroid_hashes = [\"FA+9qCX9VS\"]",
            "otpd.toml:7: tenant[0].android_hashes:",
            "11 characters of base64"),
        Mistake(
            "name = \"other\"", "name = \"other\"\nshop = \"\(String(repeating: "x", count: 90))\"",
            "otpd.toml:16: tenant[1].shop:", "the built-in login text in hi"),
        Mistake(
            "life_seconds = 200", "text = \"{code}\"\n[tenant.purpose.texts]\nde = \"{code}\"\nfr = \"code\"",
            "otpd.toml:15: tenant[0].purpose[0].texts.fr:", "the place {code}"),
        Mistake(
            "life_seconds = 200", "profile = \"psd2-payment\"\ntext = \"{code}\"\npayment_text = \"{code}\"",
            "otpd.toml:14: tenant[0].purpose[0].payment_text:", "shows {amount} and {payee}"),
        Mistake(
            "life_seconds = 200", "text = \"{code}\"\n[tenant.purpose.texts]\npt-BR = \"{code}\"\npt-br = \"{code}!\"",
            "otpd.toml:13: tenant[0].purpose[0].texts:", "`pt-br` is the same language as another tag here"),
        Mistake(
            "life_seconds = 200", "text = \"{code}\"\n[tenant.purpose.texts]\nde = \"{code}\"\nde-x-shop = \"{code}!\"",
            "otpd.toml:13: tenant[0].purpose[0].texts:", "`de-x-shop` is the same language"),
        Mistake("number = 2", "number = 1", "otpd.toml:4: tenant:", "same number"),
        Mistake("number = 2", "number = 0", "otpd.toml:14: tenant[1].number:", "from 1 to"),
        Mistake("number = 2\n", "", "otpd.toml:13: tenant[1].number:", "is missing"),
        Mistake("/run/otpd/2.sock", "/run/otpd/1.sock", "otpd.toml:16: listener:", "same path"),
        Mistake("mode = \"0600\"", "mode = \"0999\"", "otpd.toml:21: listener[1].mode:", "0660"),
        Mistake(
            "tenants = [2]", "tenants = [3]", "otpd.toml:22: listener[1].tenants:",
            "no `[[tenant]]` with number 3"),
        Mistake("[\"verify\"]", "[\"verfy\"]", "otpd.toml:23: listener[1].roles:", "did you mean `verify`?"),
        Mistake("[\"verify\"]", "\"verify\"", "otpd.toml:23: listener[1].roles:", "list of strings"),
        Mistake("uid = 33", "uid = 65534", "otpd.toml:25: peer[0].uid:", "names nobody"),
        Mistake("uid = 33", "user = \"no-such-user\"", "otpd.toml:25: peer[0].user:", "no user"),
        Mistake("uid = 33\n", "", "otpd.toml:24: peer[0].uid:", "is missing"),
        Mistake(
            "tenant = 1\nroles", "tenant = 9\nroles", "otpd.toml:26: peer[0].tenant:",
            "no `[[tenant]]` with number 9"),
        Mistake(
            "[\"verify\", \"redeem\"]", "[\"verify\", \"read\"]", "otpd.toml:27: peer[0].roles:", "known are"),
        Mistake("\nroles = [\"verify\", \"redeem\"]", "", "otpd.toml:24: peer[0].roles:", "is missing"),
        Mistake("shop.example", "", "otpd.toml:3: issuer:", "1 to 64 bytes"),
        Mistake("shop.example", String(repeating: "x", count: 65), "otpd.toml:3: issuer:", "has 65 bytes"),
        Mistake("shop.example", "shop\\u001Bexample", "otpd.toml:3: issuer:", "control character"),
        Mistake("name = \"shop\"", "name = \"\"", "otpd.toml:6: tenant[0].name:", "1 to 64 bytes"),
        Mistake("name = \"shop\"", "name = \"shop\"\nshop = \" \"", "otpd.toml:7: tenant[0].shop:", "1 to 128 bytes"),
        Mistake("name = \"shop\"", "name = \"shop\"\nshop = \"a\\nb\"", "otpd.toml:7: tenant[0].shop:", "control character"),
        Mistake(
            "name = \"shop\"", "name = \"shop\"\nshop = \"\(String(repeating: "x", count: 129))\"",
            "otpd.toml:7: tenant[0].shop:", "has 129 bytes"),
        Mistake("name = \"other\"", "name = \"shop\"", "otpd.toml:15: tenant[1].name:", "another tenant is named `shop`"),
        Mistake(
            "life_seconds = 200", "[[tenant.purpose]]\nnumber = 2\nname = \"login\"", "otpd.toml:14: tenant[0].purpose[1].name:",
            "another purpose"),
        Mistake(
            "unverified_per_hour = 4", "unverified_per_day = 4", "otpd.toml:8: tenant[0].limits.unverified_per_day:",
            "below the hour's (5)"),
        Mistake(
            "unverified_per_hour = 4", "unverified_per_hour = 11", "otpd.toml:8: tenant[0].limits.unverified_per_hour:",
            "the day's limit (10) is below"),
        Mistake(
            "unverified_per_hour = 4", "total_per_day = 19", "otpd.toml:8: tenant[0].limits.total_per_day:",
            "below the hour's (20)"),
        Mistake(
            "life_seconds = 200", "resend_gap_seconds = []", "otpd.toml:12: tenant[0].purpose[0].resend_gap_seconds:", "is empty"),
        Mistake(
            "life_seconds = 200", "resend_gap_seconds = [30, 300]",
            "otpd.toml:12: tenant[0].purpose[0].resend_gap_seconds:", "no shorter than the code's life, 300 s"),
        Mistake(
            "life_seconds = 200", "life_seconds = 120\nsends_per_challenge = 4",
            "otpd.toml:12: tenant[0].purpose[0].life_seconds:", "120 s before a resend"),
        Mistake("mode = \"0600\"", "mode = \"0000\"", "otpd.toml:21: listener[1].mode:", "otpd's own user"),
        Mistake("mode = \"0600\"", "group = \"no-such-group\"", "otpd.toml:21: listener[1].group:", "groupadd --system no-such-group"),
        Mistake("uid = 33", "uid = 33\nuser = \"root\"", "otpd.toml:26: peer[0].user:", "leave one out"),
        Mistake(
            "tenants = [1]", "tenants = [1]\nroles = [\"verify\"]", "otpd.toml:28: peer[0].roles:",
            "lets `redeem` through"),
        Mistake("tenants = [1]", "tenants = [2]", "otpd.toml:26: peer[0].tenant:", "no `[[listener]]` serves tenant 1"),
        Mistake("[[peer]]", "[peer]", "otpd.toml:24: peer:", "[[peer]]"),
    ]

    @Test(arguments: mistakes) func namesFileLineAndKey(_ mistake: Mistake) throws {
        try #require(Self.good.contains(mistake.old))
        let range = try #require(Self.good.range(of: mistake.old))
        let text = try failure(Self.good.replacingCharacters(in: range, with: mistake.new))
        #expect(text.hasPrefix(mistake.prefix), "\(text)")
        #expect(text.contains(mistake.hint), "\(text)")
    }

    @Test(arguments: ["tenant", "listener", "peer"]) func aListThatMustHaveOneIsMissing(_ key: String) throws
    {
        var lines = Self.good.split(separator: "\n")
        lines =
            Array(lines.prefix(3)) + (key == "tenant" ? [] : ["[[tenant]]", "number = 1", "name = \"shop\""])
        if key == "peer" { lines += ["[[listener]]", "path = \"/run/otpd.sock\""] }
        #expect(try failure(lines.joined(separator: "\n")).contains("\(key): is missing; add a `[[\(key)]]`"))
    }

    @Test func aUidIsOneTenantAtAListener() throws {
        let second = "\n[[peer]]\nuid = 33\ntenant = 2\nroles = [\"verify\"]"
        // Each tenant has a listener of its own: no doubt who asks.
        #expect(try Config.parse(Self.good + second, name: "otpd.toml").peers.count == 2)
        let shared = Self.good.replacingOccurrences(of: "tenants = [1]\n", with: "")
        let text = try failure(shared + second)
        #expect(text.hasPrefix("otpd.toml:28: peer[1].uid:"), "\(text)")
        #expect(
            text.contains("tenant 1 and tenant 2 at /run/otpd/1.sock")
                || text.contains("at /run/otpd/2.sock"), "\(text)")
        let twice = try failure(Self.good + "\n[[peer]]\nuid = 33\ntenant = 1\nroles = [\"admin\"]")
        #expect(twice.hasPrefix("otpd.toml:29: peer[1].uid:"), "\(twice)")
        #expect(twice.contains("already"), "\(twice)")
    }

    @Test(arguments: [107, 108]) func aSocketPathFitsTheKernelsField(_ count: Int) throws {
        let path = "/" + String(repeating: "s", count: count - 1)
        let text = Self.good.replacingOccurrences(of: "/run/otpd/1.sock", with: path)
        if count == 107 {
            #expect(try Config.parse(text, name: "otpd.toml").listeners[0].path == path)
        } else {
            let error = try failure(text)
            #expect(error.hasPrefix("otpd.toml:17: listener[0].path: has 108 bytes"), "\(error)")
        }
    }

    /// What fits is measured with the file's own hosts and texts, and with nothing else.
    @Test func aDevelopmentServersHostsDontCount() throws {
        let name = { (count: Int) in "name = \"other\"\nshop = \"" + String(repeating: "x", count: count) + "\"" }
        func fits(_ count: Int, hosts: String = "") -> Bool {
            let text = Self.good.replacingOccurrences(of: "name = \"other\"", with: name(count) + hosts)
            return (try? Config.parse(text, name: "otpd.toml")) != nil
        }
        let longest = (1...160).last { fits($0) } ?? 0
        #expect(longest > 40)
        #expect(!fits(longest, hosts: "\nhosts = [\"shop.example\"]"), "it is the last line that takes the room")
    }

    /// A tenant without hosts gets no last lines for browsers: said, because it may have been forgotten.
    @Test func aTenantWithoutHostsIsRemarkedOn() throws {
        let text = Self.good.replacingOccurrences(of: "name = \"other\"", with: "name = \"other\"\nhosts = [\"x.example\"]")
        let remarks = try Config.parse(text, name: "otpd.toml").remarks.filter { $0.contains("no `hosts`") }
        #expect(remarks.count == 1)
        #expect(remarks.first?.hasPrefix("tenant 1 (shop) has no `hosts`: no message gets the last line") ?? false, "\(remarks)")
    }

    @Test func aTenantWithoutAndroidHashesIsRemarkedOn() throws {
        let text = Self.good.replacingOccurrences(
            of: "name = \"other\"", with: "name = \"other\"\nandroid_hashes = [\"FA+9qCX9VSu\"]")
        let settings = try Config.parse(text, name: "otpd.toml")
        let remarks = settings.remarks.filter { $0.contains("no `android_hashes`") }
        #expect(remarks.count == 1)
        #expect(
            remarks.first?.hasPrefix("tenant 1 (shop) has no `android_hashes`: no message gets an app's hash")
                ?? false, "\(remarks)")
        let other = settings.tenants[1]
        #expect(
            settings.texts.rules(tenant: other, purpose: other.purposes[0]).androidHashes == ["FA+9qCX9VSu"])
    }

    /// Whoever breaks into a shop's web tier must not be every tenant's courier.
    @Test(arguments: ["courier", "receipts", "admin", "observer"])
    func aShopsUserWithARoleOfTheHostIsRemarkedOn(_ role: String) throws {
        let roles = "[\"verify\", \"redeem\"]"
        func remarks(_ new: String) throws -> [String] {
            try Config.parse(Self.good.replacingOccurrences(of: roles, with: new), name: "otpd.toml").remarks
                .filter {
                $0.contains("roles of the host")
            }
        }
        let found = try remarks("[\"redeem\", \"\(role)\"]")
        #expect(found.count == (role == "observer" ? 0 : 1))
        #expect(
            found.allSatisfy { $0.contains("uid 33") && $0.contains("`redeem` and `\(role)`") }, "\(found)")
        #expect(try remarks("[\"\(role)\"]") == [], "a user of its own")
    }

    @Test func codesWithoutASessionAreRemarkedOn() throws {
        func remarks(_ new: String, roles: String = "[\"verify\", \"redeem\"]") throws -> [String] {
            let text = Self.good.replacingOccurrences(of: "life_seconds = 200", with: new)
                .replacingOccurrences(of: "[\"verify\", \"redeem\"]", with: roles)
            return try Config.parse(text, name: "otpd.toml").remarks.filter {
                $0.contains("require_session = false")
            }
        }
        #expect(try remarks("life_seconds = 200") == [])
        let found = try remarks("require_session = false")
        #expect(found.count == 1)
        #expect(found.first?.contains("uid 33") ?? false, "\(found)")
        #expect(try remarks("require_session = false", roles: "[\"redeem\"]") == [], "it asks for no codes")
    }

    @Test func linesAreCountedInFilesFromOtherEditors() throws {
        let text = Self.good.replacingOccurrences(of: "uid = 33", with: "uid = 65534")
        let error = try failure(text.replacingOccurrences(of: "\n", with: "\r\n"))
        #expect(error.hasPrefix("otpd.toml:25: peer[0].uid:"), "\(error)")
    }

    @Test func filesThatCantBeRead() throws {
        let folder = try TemporaryFolder()
        for (path, hint) in [(folder.path + "/none.toml", "No such file"), (folder.path, "Is a directory")] {
            do throws(ConfigError) {
                _ = try Config.load(path)
                Issue.record("\(path) was taken")
            } catch {
                #expect(error.description.hasPrefix(path), "\(error)")
                #expect(error.description.contains(hint), "\(error)")
            }
        }
        let large = try folder.write(String(repeating: "#", count: 1 << 20), to: "large.toml")
        #expect(throws: ConfigError(description: "\(large): larger than 1 MiB")) { try Config.load(large) }
        let latin = folder.path + "/latin.toml"
        try Data([0x23, 0xE9]).write(to: URL(fileURLWithPath: latin))
        #expect(throws: ConfigError(description: "\(latin): is not UTF-8 text")) { try Config.load(latin) }
        let good = try folder.write(Self.good, to: "good.toml")
        #expect(try Config.load(good).tenants.count == 2)
    }

    /// Without a courier no message leaves; with an open socket everybody of the machine may queue at it.
    @Test func whatNobodyWouldMeanIsRemarkedOn() throws {
        let remarks = try Config.parse(Self.good, name: "otpd.toml").remarks
        #expect(remarks.contains { $0.hasPrefix("otpd.toml:24: peer: none has the role `courier`") }, "\(remarks)")
        let other = Self.good.replacing("mode = \"0600\"", with: "mode = \"0666\"")
            .replacing("[\"verify\", \"redeem\"]", with: "[\"courier\"]")
        let found = try Config.parse(other, name: "otpd.toml").remarks
        #expect(found.contains { $0.hasPrefix("otpd.toml:21: listener[1].mode: every user of the machine") }, "\(found)")
        #expect(!found.contains { $0.contains("none has the role") })
    }

    @Test func aSocketsGroup() throws {
        let text = Self.good.replacing("mode = \"0600\"", with: "group = \"root\"")
        #expect(try Config.parse(text, name: "otpd.toml").listeners.map(\.group) == [nil, 0])
    }
}
