/// A request as a vendor's API wants it. It carries credentials and a code: its description shows neither, nor the query.
public struct HTTPRequest: Sendable, Equatable, CustomStringConvertible, CustomReflectable {
    /// `GET` or `POST`.
    public var method = "POST"
    /// Absolute, with its query.
    public var url: String
    /// Names as the vendor writes them.
    public var headers: [(name: String, value: String)] = []
    /// Empty for GET.
    public var body: [UInt8] = []

    /// A POST without headers.
    public init(url: String) { self.url = url }

    /// A POST of a body of this type.
    init(url: String, contentType: String, body: String) {
        self.url = url
        headers = [("Content-Type", contentType)]
        self.body = Array(body.utf8)
    }

    /// The first header of this name, in any case.
    public func header(_ name: String) -> String? { HTTPHeaders.find(name, in: headers) }

    /// Method, host and path; a path may name an account, never a secret.
    public var description: String {
        "\(method) \(url.prefix { $0 != "?" })"
    }
    /// Nothing.
    public var customMirror: Mirror { Mirror(self, children: []) }

    /// Field by field.
    public static func == (a: HTTPRequest, b: HTTPRequest) -> Bool {
        a.method == b.method && a.url == b.url && a.body == b.body
            && a.headers.elementsEqual(b.headers, by: ==)
    }
}

/// What came back, whole; bounded by who received it.
public struct HTTPResponse: Sendable {
    /// 100–599, or whatever the peer sent.
    public var status: Int
    /// In their order.
    public var headers: [(name: String, value: String)]
    /// Up to the receiver's bound.
    public var body: [UInt8]

    /// All of it.
    public init(status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// The first header of this name, in any case.
    public func header(_ name: String) -> String? { HTTPHeaders.find(name, in: headers) }

    /// 2xx.
    var isSuccess: Bool { (200..<300).contains(status) }
}

enum HTTPHeaders {
    static func find(_ name: String, in headers: [(name: String, value: String)]) -> String? {
        let name = name.lowercased()
        return headers.first { $0.name.lowercased() == name }?.value
    }
}
