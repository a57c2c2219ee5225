@testable import HTTPGateway
import LibCrypto
import Testing

/// JSON, escapes, Base64 and hashes, against the RFCs' own examples.
@Suite struct EncodingTests {
    private func json(_ text: String) -> JSONValue? { JSONValue(Array(text.utf8)) }

    @Test func jsonReads() {
        #expect(
            json(#" {"a":[1,-2.5e+3,true,null,"\u00e9\ud83d\ude00\n"]} "#)?.at(["a", "4"])?.text == "é😀\n")
        #expect(json(#"{"id":1234567890123456789}"#)?["id"]?.text == "1234567890123456789")
        for bad in [
            "", "{", "[1,]", "{\"a\"}", "01", "1.", "\"\\ud800\"", "\"\\x\"", "\"a\nb\"", "nul", "[1] 2",
            "\"", "-",
            "{\"a\":1,}", "\"\\u12", "[", "\u{FEFF}1",
        ] { #expect(json(bad) == nil, "\(bad)") }
        #expect(JSONValue([0x22, 0xFF, 0x22]) == nil, "no UTF-8")
        #expect(json(String(repeating: "[", count: 100_000)) == nil)
        #expect(json(String(repeating: "[", count: 32) + String(repeating: "]", count: 32)) != nil)
    }

    @Test func jsonWritesWhatItReads() {
        let value: JSONValue = ["a\"\\\n\u{1}": ["é", ["b": "😀"]]]
        #expect(JSONValue(Array(value.json.utf8)) == value)
    }

    @Test func escapes() {
        #expect(Escape.form([("a b", "é&=+")]) == "a+b=%C3%A9%26%3D%2B")
        #expect(Escape.percent("a b~") == "a%20b~")
        #expect(Escape.xml("<a b='&\">\u{0}") == "&lt;a b=&apos;&amp;&quot;&gt;")
    }

    /// RFC 4648, section 10.
    @Test func base64() {
        let texts = ["", "f", "fo", "foo", "foob", "fooba", "foobar"]
        let coded = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]
        for (text, coded) in zip(texts, coded) {
            #expect(Base64.encode(Array(text.utf8)) == coded)
            #expect(Base64.decode(coded) == Array(text.utf8))
        }
        #expect(Base64.decode("-_8") == [0xFB, 0xFF])
        for bad in ["A", "Zg=a", "Zg===", "Z*=="] { #expect(Base64.decode(bad) == nil, "\(bad)") }
    }

    /// RFC 2202 and RFC 4231, case 2; RFC 8032, test 2.
    @Test func hashes() {
        let (key, data) = (Array("Jefe".utf8), Array("what do ya want for nothing?".utf8))
        #expect(
            SigV4.hexadecimal(Hash.hmacSHA1(key: key, data)) == "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")
        #expect(
            SigV4.hexadecimal(Hash.hmacSHA256(key: key, data))
                == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        let publicKey = bytes("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
        var signature = bytes(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                + "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00")
        #expect(Ed25519.isValid(signature: signature, of: [0x72], publicKey: publicKey))
        #expect(!Ed25519.isValid(signature: signature, of: [0x73], publicKey: publicKey))
        signature[0] ^= 1
        #expect(!Ed25519.isValid(signature: signature, of: [0x72], publicKey: publicKey))
        #expect(!Ed25519.isValid(signature: [], of: [0x72], publicKey: publicKey))
    }

    private func bytes(_ hexadecimal: String) -> [UInt8] {
        let digits = hexadecimal.compactMap(\.hexDigitValue)
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }
}
