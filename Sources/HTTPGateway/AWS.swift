/// Amazon SNS, Publish to a phone number. It has no life field: End User Messaging is the better choice.
public struct AmazonSNS: HTTPVendor {
    private let base: String
    private let signer: SigV4

    /// - Parameter base: another endpoint than the region's.
    public init(base: String? = nil, region: String, accessKey: String, secret: Credential) {
        self.base = base ?? "https://sns.\(region).amazonaws.com"
        signer = SigV4(region: region, service: "sns", accessKey: accessKey, secret: secret)
    }

    public func request(for sms: OutboundSMS, unixSeconds: UInt64) -> HTTPRequest {
        var fields = [
            ("Action", "Publish"), ("Version", "2010-03-31"), ("PhoneNumber", sms.phone),
            ("Message", sms.text),
            // Else SNS may treat the code as an advertisement.
            ("MessageAttributes.entry.1.Name", "AWS.SNS.SMS.SMSType"),
            ("MessageAttributes.entry.1.Value.DataType", "String"),
            ("MessageAttributes.entry.1.Value.StringValue", "Transactional"),
        ]
        if !sms.sender.isEmpty {
            let name = sms.sender.hasPrefix("+") ? "AWS.MM.SMS.OriginationNumber" : "AWS.SNS.SMS.SenderID"
            fields += [
                ("MessageAttributes.entry.2.Name", name),
                ("MessageAttributes.entry.2.Value.DataType", "String"),
                ("MessageAttributes.entry.2.Value.StringValue", sms.sender),
            ]
        }
        var request = HTTPRequest(
            url: base + "/", contentType: "application/x-www-form-urlencoded; charset=utf-8",
            body: Escape.form(fields))
        signer.sign(&request, unixSeconds: unixSeconds)
        return request
    }

    public func verdict(on response: HTTPResponse, to sms: OutboundSMS) -> SubmitVerdict {
        let body = String(decoding: response.body, as: UTF8.self)
        if response.isSuccess {
            guard let id = AWSError.element("MessageId", in: body) else { return .unknown(response) }
            return .taken(id)
        }
        return AWSError.verdict(response, AWSError.element("Code", in: body))
    }
}

/// AWS End User Messaging SMS (PinpointSMSVoiceV2), SendTextMessage.
public struct AWSEndUserMessaging: HTTPVendor {
    private let base: String
    private let signer: SigV4
    private let configurationSet: String?

    /// - Parameters:
    ///   - base: another endpoint than the region's.
    ///   - configurationSet: its event destination is where receipts go.
    public init(
        base: String? = nil, region: String, accessKey: String, secret: Credential, configurationSet: String?
    ) {
        self.base = base ?? "https://sms-voice.\(region).amazonaws.com"
        self.configurationSet = configurationSet
        signer = SigV4(region: region, service: "sms-voice", accessKey: accessKey, secret: secret)
    }

    public func request(for sms: OutboundSMS, unixSeconds: UInt64) -> HTTPRequest {
        let body = JSONValue.compact([
            ("DestinationPhoneNumber", .string(sms.phone)),
            ("OriginationIdentity", sms.sender.isEmpty ? nil : .string(sms.sender)),
            ("MessageBody", .string(sms.text)), ("MessageType", "TRANSACTIONAL"),
            ("TimeToLive", .number(sms.life(in: 5...259_200))),
            ("ConfigurationSetName", configurationSet.map { .string($0) }),
        ])
        var request = HTTPRequest(
            url: base + "/", contentType: "application/x-amz-json-1.0", body: body.json)
        request.headers.append(("X-Amz-Target", "PinpointSMSVoiceV2.SendTextMessage"))
        signer.sign(&request, unixSeconds: unixSeconds)
        return request
    }

    public func verdict(on response: HTTPResponse, to sms: OutboundSMS) -> SubmitVerdict {
        let json = JSONValue(response.body)
        if response.isSuccess {
            guard let id = json?["MessageId"]?.text else { return .unknown(response) }
            return .taken(id)
        }
        // `com.amazonaws…#ThrottlingException` in some versions.
        let type = json?["__type"]?.text?.split(separator: "#").last.map(String.init)
        return AWSError.verdict(response, type)
    }
}

/// AWS answers most errors with 400: the code decides, then the status.
private enum AWSError {
    static func verdict(_ response: HTTPResponse, _ code: String?) -> SubmitVerdict {
        let why = SubmitVerdict.why(response, code)
        switch code {
        case "InvalidParameter", "InvalidParameterValue", "ValidationException", "ConflictException",
            "OptedOut":
            return .permanentNumber(why)
        case "AuthorizationError", "AccessDenied", "AccessDeniedException", "ServiceQuotaExceededException",
            "InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException",
            "ResourceNotFoundException", "IncompleteSignature", "ExpiredToken", "ExpiredTokenException":
            return .permanentRoute(why)
        case "Throttling", "ThrottlingException", "ThrottledException", "ServiceUnavailable":
            return .transient(why, retryAfterSeconds: nil)
        default: return SubmitVerdict.byStatus(response) ?? .unknown(response, code: code)
        }
    }

    /// The text of the first such element; SNS's answers nest nothing of the same name.
    static func element(_ name: String, in xml: String) -> String? {
        guard let start = xml.range(of: "<\(name)>"),
            let end = xml[start.upperBound...].range(of: "</\(name)>")
        else { return nil }
        return String(xml[start.upperBound..<end.lowerBound])
    }
}
