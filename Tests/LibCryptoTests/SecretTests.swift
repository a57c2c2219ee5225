import Foundation
@testable import LibCrypto
import Testing

/// Key material: its bytes, where it lives, and that it can't be shown.
@Suite struct SecretTests {
    static let text = "correct horse battery staple 0123"

    static func secret() -> SecretBytes { HKDFTests.secret(Array(text.utf8)) }

    /// What a key sits in: classes and non-copyable structs of ours hold secrets as properties.
    final class Holder {
        let label = "holder"
        let secret = SecretTests.secret()
    }

    struct Refused: Error, Equatable {}

    @Test func content() throws {
        #expect(SecretBytes(count: 40).withUnsafeBytes { Array($0) } == [UInt8](repeating: 0, count: 40))
        #expect(Self.secret().withUnsafeBytes { String(decoding: $0, as: UTF8.self) } == Self.text)
        #expect(Self.secret().count == Self.text.utf8.count)
        let copied = Array(Self.text.utf8).withUnsafeBytes { bytes in
            SecretBytes(copying: bytes).withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        }
        #expect(copied == Self.text)
        let filled = SecretBytes(count: 5) { buffer in
            for index in 0..<buffer.count { buffer[index] = UInt8(index) }
        }
        #expect(filled.withUnsafeBytes { Array($0) } == [0, 1, 2, 3, 4])
        let large = SecretBytes(count: 10_000) { $0[9_999] = 7 }
        #expect(large.withUnsafeBytes { ($0.count, $0[9_999]) } == (10_000, 7))
    }

    @Test func errorsPass() {
        #expect(throws: Refused()) { _ = try SecretBytes(count: 8) { _ throws(Refused) in throw Refused() } }
        #expect(throws: Refused()) {
            try Self.secret().withUnsafeBytes { _ throws(Refused) in throw Refused() }
        }
    }

    private func isCopyable<T: ~Copyable>(_: T.Type) -> Bool { false }
    private func isCopyable<T>(_: T.Type) -> Bool { true }

    /// What isn't copyable converts to no `Any` and no existential: interpolation, `print` and `dump` don't
    /// compile.
    @Test func isNotCopyable() {
        #expect(!isCopyable(SecretBytes.self))
        #expect(isCopyable(Int.self), "the probe tells them apart")
    }

    /// Neither in clear, nor as hexadecimal or decimal bytes.
    private func reveals(_ shown: String, _ bytes: [UInt8]) -> Bool {
        let forms = [
            String(decoding: bytes, as: UTF8.self), hex(bytes), hex(bytes).uppercased(),
            bytes.prefix(4).map { String($0) }.joined(separator: ", "),
        ]
        return forms.contains { shown.contains($0) }
    }

    @Test func aHolderShowsNothing() {
        let holder = Holder()
        var shown = "\(holder) " + String(reflecting: holder)
        dump(holder, to: &shown)
        for child in Mirror(reflecting: holder).children { shown += " \(child)" }
        #expect(shown.contains("holder"), "something was shown")
        #expect(!reveals(shown, Array(Self.text.utf8)))
    }

    /// A MAC key's states are as good as the key; a digest may be what a code is made from.
    @Test func macKeysMACsAndDigestsShowNothing() {
        let key = MACKey(Self.secret())
        var mac = key.begin()
        mac.update(1)
        let digest = mac.finish()
        func shown(_ value: Any) -> String {
            var text = "\(value) " + String(reflecting: value)
            dump(value, to: &text)
            return text + " \(Mirror(reflecting: value).children.count)"
        }
        #expect(shown(key) == "<MAC key> <MAC key>- <MAC key> #0\n 0")
        #expect(shown(key.begin()) == "<MAC> <MAC>- <MAC>\n 0")
        #expect(shown(digest) == "<32 bytes> <32 bytes>- <32 bytes>\n 0")
        #expect(!shown([digest]).contains("\(digest.words.0)"))
    }

    /// Pages of a secret carry the kernel's "don't dump" flag.
    @Test func isNotDumped() throws {
        let secret = Self.secret()
        // Looked at while the secret is lent: afterwards it may be gone.
        let flags = secret.withUnsafeBytes { Self.flags(of: UInt(bitPattern: $0.baseAddress)) }
        let words = try #require(flags, "the secret's mapping is listed").split(separator: " ")
        #expect(words.contains("dd") && words.contains("lo"), "\(words)")
    }

    /// Secrets lie side by side, and the next one at the place of one that has ended begins with zeros.
    @Test func anEndedSecretIsGone() {
        let before = (try? String(contentsOfFile: "/proc/self/maps", encoding: .utf8))?.split(separator: "\n").count ?? 0
        for _ in 0..<2_000 {
            let secret = SecretBytes(count: 100) { $0.initializeMemory(as: UInt8.self, repeating: 0xA5) }
            #expect(secret.count == 100)
            let next = SecretBytes(count: 80)
            #expect(next.withUnsafeBytes { $0.allSatisfy { $0 == 0 } })
        }
        let keys = (0..<2_000).map { _ in MACKey(Self.secret()) }
        let after = (try? String(contentsOfFile: "/proc/self/maps", encoding: .utf8))?.split(separator: "\n").count ?? 0
        #expect(keys.count == 2_000 && after < before + 50, "\(before) mappings, then \(after)")
    }

    /// The line `VmFlags` of the mapping that holds `address`.
    private static func flags(of address: UInt) -> Substring? {
        // By a handle: a file of /proc says that it has no bytes.
        guard let data = try? FileHandle(forReadingAtPath: "/proc/self/smaps")?.readToEnd() else {
            return nil
        }
        let maps = String(decoding: data, as: UTF8.self)
        var isInside = false
        for line in maps.split(separator: "\n") {
            let range = line.prefix { $0 != " " }.split(separator: "-").compactMap { UInt($0, radix: 16) }
            if range.count == 2 { isInside = range[0] <= address && address < range[1] }
            if isInside, line.hasPrefix("VmFlags:") { return line }
        }
        return nil
    }
}
