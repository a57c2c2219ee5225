import Foundation
import Testing
import Wire

@testable import AuthClient

/// Request ids of browser forms, against the vectors that all clients share.
@Suite struct FormRequestIDTests {
    private struct Vector {
        var fields: [String: String] = [:]

        var name: String { fields["name"] ?? "" }

        func bytes(_ key: String) throws -> [UInt8] { try hex(#require(fields[key], "\(name): \(key)")) }

        private func hex(_ text: String) throws -> [UInt8] {
            let digits = Array(text)
            return try stride(from: 0, to: digits.count, by: 2).map {
                try #require(UInt8(String(digits[$0..<$0 + 2]), radix: 16), "\(name): \(text)")
            }
        }
    }

    private static func vectors() throws -> [Vector] {
        let here = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        let file = here.appendingPathComponent("../../../../Tests/Vectors/form-request-ids.txt")
        let text = try String(contentsOf: file, encoding: .utf8)
        let keys: Set = ["name", "session", "challenge", "generation", "code", "client_ip", "grant", "id"]
        return try text.components(separatedBy: "\n\n").compactMap { block in
            var vector = Vector()
            for line in block.split(separator: "\n") where !line.hasPrefix("#") {
                let colon = try #require(line.firstIndex(of: ":"), "\(line)")
                let key = String(line[..<colon])
                #expect(keys.contains(key) && vector.fields[key] == nil, "\(line)")
                vector.fields[key] = line[colon...].dropFirst().trimmingCharacters(in: .whitespaces)
            }
            return vector.fields.isEmpty ? nil : vector
        }
    }

    @Test func vectors() throws {
        let vectors = try Self.vectors()
        #expect(vectors.count == 14)
        for vector in vectors {
            let session = try #require(Bytes32(bytes: vector.bytes("session")))
            let expected = try #require(Bytes16(hexadecimal: vector.fields["id"] ?? ""))
            if vector.fields["grant"] != nil {
                let grant = try #require(Bytes32(bytes: vector.bytes("grant")))
                #expect(AuthClient.formRequestID(grant: grant, session: session) == expected, "\(vector.name)")
                continue
            }
            let challenge = try #require(Bytes16(hexadecimal: vector.fields["challenge"] ?? ""))
            let code = try vector.bytes("code")
            let address = InlineBytes<16>(try vector.bytes("client_ip"))
            let generation = try #require(UInt32(vector.fields["generation"] ?? ""))
            let id = AuthClient.formRequestID(
                challenge: challenge, session: session, code: code, clientIP: address, generation: generation)
            #expect(id == expected, "\(vector.name)")
            guard let text = String(validating: code, as: UTF8.self) else { continue }
            let same = AuthClient.formRequestID(
                challenge: challenge, session: session, code: text, clientIP: address, generation: generation)
            #expect(same == expected, "\(vector.name), as text")
        }
    }

    @Test func sessionFromADigest() throws {
        // FIPS 180-2, appendix B.1.
        let abc = try #require(
            Bytes32(hexadecimal: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"))
        #expect(Bytes32(sha256Of: "abc") == abc)
        let bytes = (0..<32).map { UInt8($0) }
        #expect(
            Bytes32(bytes: bytes)?.revealedHexadecimal
                == "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
        for count in [0, 16, 31, 33, 64] {
            #expect(Bytes32(bytes: [UInt8](repeating: 1, count: count)) == nil)
        }
    }
}
