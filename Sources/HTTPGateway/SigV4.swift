import LibCrypto

/// AWS Signature Version 4 of a POST to `/` without a query, which is all that SNS and End User Messaging take.
struct SigV4: Sendable {
    let region: String
    let service: String
    let accessKey: String
    let secret: Credential

    /// Adds `X-Amz-Date` and `Authorization`; every header that is there by now is signed.
    func sign(_ request: inout HTTPRequest, unixSeconds: UInt64) {
        let stamp = SigV4.stamp(unixSeconds)
        request.headers.append(("X-Amz-Date", stamp))
        let host = request.url.dropFirst(request.url.hasPrefix("https://") ? 8 : 7).prefix { $0 != "/" }
        let signed = (request.headers + [("Host", String(host))])
            .map { (name: $0.name.lowercased(), value: $0.value) }.sorted { $0.name < $1.name }
        let names = signed.map(\.name).joined(separator: ";")
        let canonical = """
            \(request.method)
            /

            \(signed.map { "\($0.name):\($0.value)\n" }.joined())
            \(names)
            \(SigV4.hexadecimal(Hash.sha256(request.body)))
            """
        let scope = "\(stamp.prefix(8))/\(region)/\(service)/aws4_request"
        let toSign = """
            AWS4-HMAC-SHA256
            \(stamp)
            \(scope)
            \(SigV4.hexadecimal(Hash.sha256(Array(canonical.utf8))))
            """
        var key = Array("AWS4".utf8) + secret.bytes
        for part in [String(stamp.prefix(8)), region, service, "aws4_request"] {
            key = Hash.hmacSHA256(key: key, Array(part.utf8))
        }
        let signature = SigV4.hexadecimal(Hash.hmacSHA256(key: key, Array(toSign.utf8)))
        let credential = "Credential=\(accessKey)/\(scope), SignedHeaders=\(names), Signature=\(signature)"
        request.headers.append(("Authorization", "AWS4-HMAC-SHA256 \(credential)"))
    }

    static func hexadecimal(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// `20261125T085900Z`, by the proleptic Gregorian calendar (days to civil date after H. Hinnant).
    static func stamp(_ unixSeconds: UInt64) -> String {
        let days = Int(unixSeconds / 86_400) + 719_468
        let (era, dayOfEra) = (days / 146_097, days % 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * month + 2) / 5 + 1
        let civilMonth = month < 10 ? month + 3 : month - 9
        let year = yearOfEra + era * 400 + (civilMonth <= 2 ? 1 : 0)
        let second = Int(unixSeconds % 86_400)
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return
            "\(year)\(two(civilMonth))\(two(day))T\(two(second / 3_600))\(two(second / 60 % 60))\(two(second % 60))Z"
    }
}
