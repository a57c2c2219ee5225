import CCurl
import Glibc
import HTTPGateway

/// One request on its way. libcurl calls back with its address, so it is an object that stays where it is until `CurlMulti` lets go of it.
final class CurlTransfer {
    /// A vendor's answer is an id and a code; more is not read.
    static let maxBodyBytes = 64 << 10
    static let maxHeaderBytes = 16 << 10
    static let maxHeaders = 100

    /// The caller's.
    let number: UInt64
    let easy: UnsafeMutableRawPointer
    private var headers: UnsafeMutablePointer<curl_slist>?
    /// Holds a code and credentials: overwritten when the transfer ends.
    private var body: [UInt8]
    private var sent = 0
    private(set) var response = HTTPResponse(status: 0)
    private var headerBytes = 0

    /// - Parameter answerMs: for all of it, the connection included.
    init(_ request: HTTPRequest, _ route: HTTPRoute, number: UInt64, answerMs: UInt64) throws(CourierError) {
        guard let easy = curl_easy_init() else { throw CourierError("libcurl has no memory") }
        self.number = number
        self.easy = easy
        body = request.body
        set(CURLOPT_URL, request.url)
        set(CURLOPT_PRIVATE, Unmanaged.passUnretained(self).toOpaque())
        secure(route)
        set(CURLOPT_CONNECTTIMEOUT_MS, Int(min(route.connectMs, answerMs)))
        set(CURLOPT_TIMEOUT_MS, Int(answerMs))
        if request.method == "POST" {
            post()
        } else {
            // Without a body, libcurl would repeat it when a used connection breaks: it gets one of its own.
            set(CURLOPT_FRESH_CONNECT, 1)
            set(CURLOPT_FORBID_REUSE, 1)
        }
        for (name, value) in request.headers { add("\(name): \(value)") }
        ccurl_set_headers(easy, headers)
        receive()
    }

    deinit {
        // A plain loop could be optimized away: nobody reads it again.
        body.withUnsafeMutableBytes { if let start = $0.baseAddress { explicit_bzero(start, $0.count) } }
        curl_easy_cleanup(easy)
        curl_slist_free_all(headers)
    }

    private func set(_ option: CURLoption, _ value: Int) { _ = ccurl_set_long(easy, option, value) }
    private func set(_ option: CURLoption, _ value: String) { ccurl_set_text(easy, option, value) }
    private func set(_ option: CURLoption, _ value: UnsafeMutableRawPointer) { ccurl_set_pointer(easy, option, value) }
    private func add(_ line: String) { headers = curl_slist_append(headers, line) ?? headers }

    /// The peer proves its name; nothing leads elsewhere, neither a redirect nor the environment.
    private func secure(_ route: HTTPRoute) {
        set(CURLOPT_PROTOCOLS_STR, "http,https")
        set(CURLOPT_FOLLOWLOCATION, 0)
        set(CURLOPT_SSL_VERIFYPEER, 1)
        set(CURLOPT_SSL_VERIFYHOST, 2)
        set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
        if let file = route.caFile { set(CURLOPT_CAINFO, file) }
        set(CURLOPT_PROXY, route.proxy ?? "")
        set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        set(CURLOPT_NOSIGNAL, 1)
        set(CURLOPT_TCP_NODELAY, 1)
        // Peers close connections that rest; one that closes while we write would leave the message in doubt.
        set(CURLOPT_MAXAGE_CONN, 15)
        set(CURLOPT_USERAGENT, "otp-courier")
    }

    /// The body is read from us and can't be rewound. libcurl sends a request again when a connection that it used before breaks without an
    /// answer; with the body out, that could be a second SMS, and this makes it an error instead.
    private func post() {
        set(CURLOPT_POST, 1)
        set(CURLOPT_POSTFIELDSIZE, body.count)
        ccurl_set_data(easy, CURLOPT_READFUNCTION) { bytes, size, count, context in
            guard let bytes, let context else { return 0 }
            return Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue().give(bytes, size * count)
        }
        set(CURLOPT_READDATA, Unmanaged.passUnretained(self).toOpaque())
        add("Expect:")
    }

    private func give(_ bytes: UnsafeMutablePointer<CChar>, _ room: Int) -> Int {
        let count = min(room, body.count - sent)
        body.withUnsafeBytes { whole in
            guard let start = whole.baseAddress else { return }
            memcpy(bytes, start + sent, count)
        }
        sent += count
        return count
    }

    private func receive() {
        let me = Unmanaged.passUnretained(self).toOpaque()
        ccurl_set_data(easy, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
            guard let bytes, let context else { return 0 }
            return Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue().take(bytes, size * count)
        }
        set(CURLOPT_WRITEDATA, me)
        ccurl_set_data(easy, CURLOPT_HEADERFUNCTION) { bytes, size, count, context in
            guard let bytes, let context else { return 0 }
            return Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue().takeHeader(bytes, size * count)
        }
        set(CURLOPT_HEADERDATA, me)
    }

    /// Another number than it was given ends the transfer.
    private func take(_ bytes: UnsafeMutablePointer<CChar>, _ count: Int) -> Int {
        guard response.body.count + count <= CurlTransfer.maxBodyBytes else { return 0 }
        response.body += UnsafeRawBufferPointer(start: bytes, count: count)
        return count
    }

    private func takeHeader(_ bytes: UnsafeMutablePointer<CChar>, _ count: Int) -> Int {
        headerBytes += count
        guard headerBytes <= CurlTransfer.maxHeaderBytes, response.headers.count < CurlTransfer.maxHeaders else { return 0 }
        let line = String(decoding: UnsafeRawBufferPointer(start: bytes, count: count), as: UTF8.self)
        // A status line begins the headers anew: those of a proxy, or of a 100.
        if line.hasPrefix("HTTP/") { response.headers = [] }
        guard let colon = line.firstIndex(of: ":") else { return count }
        let value = line[line.index(after: colon)...].drop { $0.isWhitespace }
        response.headers.append((String(line[..<colon]), String(value.prefix { !$0.isNewline })))
        return count
    }

    /// Call when it has ended.
    func result(_ code: CURLcode) -> CurlResult {
        guard code == CURLE_OK else {
            let why = String(cString: curl_easy_strerror(code))
            return ccurl_request_bytes(easy) > 0 ? .broken(why) : .notSent(why)
        }
        response.status = Int(ccurl_status(easy))
        return .answered(response)
    }
}

/// How a transfer ended.
enum CurlResult {
    case answered(HTTPResponse)
    /// Nothing of the request left.
    case notSent(String)
    /// Some of it left, and no whole answer came.
    case broken(String)
}
