// The code of README.md: compiled here, run by SnippetTests, compared with the document there.

// snippet.import
import AuthClient
import Wire
// snippet.end

enum Snippets {
    static func connect(path: String) async throws -> AuthClient {
        // snippet.connect
        var options = ClientOptions()
        options.roles = [Roles(.verify), Roles(.redeem)]
        options.deadline = .seconds(3)
        options.name = "shop-web 4.2"
        let otpd = AuthClient(path: path, options: options)
        try await otpd.connect()
        // snippet.end
        return otpd
    }

    // snippet.session
    /// `session` of all calls: a digest of what tells this browser's session from all others.
    static func session(ofCookie value: String) -> Bytes32 { Bytes32(sha256Of: value) }

    /// The same from bytes that some other library has digested (`SHA256.hash(data:)` of swift-crypto, say).
    static func session(ofDigest digest: some Sequence<UInt8>) -> Bytes32? { Bytes32(bytes: digest) }
    // snippet.end

    // snippet.request
    /// After the password: sends the code; what it returns stays with the browser session.
    static func requestCode(
        _ otpd: AuthClient, account: String, phone: String, session: Bytes32
    ) async throws -> Bytes16 {
        var request = RequestCode()
        request.purpose = 1
        request.assurance = Assurance.firstFactor.rawValue
        request.account = AccountBytes(account)
        request.phone = PhoneBytes(phone)
        request.session = session
        request.webHost = InlineBytes("shop.example")
        return try await otpd.requestCode(request).challenge
    }
    // snippet.end

    // snippet.verify
    /// The form with the code has come back. Returns normally for the right code only: she is logged in.
    /// `true` for the post that acted, `false` for the same form posted again.
    static func logIn(
        _ otpd: AuthClient, account: String, session: Bytes32, challenge: Bytes16, typed: String,
        generation: UInt32 = 0
    ) async throws -> Bool {
        var verify = Verify()
        verify.challenge = challenge
        verify.session = session
        verify.code = CodeBytes(typed)
        verify.requestID = AuthClient.formRequestID(
            challenge: challenge, session: session, code: typed, generation: generation)
        let grant = try await otpd.verify(verify).grant

        var redeem = RedeemGrant()
        redeem.grant = grant
        redeem.purpose = 1
        redeem.account = AccountBytes(account)
        redeem.session = session
        redeem.requestID = AuthClient.formRequestID(grant: grant, session: session)
        return try await otpd.redeemGrant(redeem).repeated == nil
    }
    // snippet.end

    // snippet.outcomes
    /// What the shopper is shown instead of the next page.
    static func page(for error: ClientError) -> String {
        switch error {
        case .refused(let refusal):
            switch refusal.status {
            case .wrongCode: "That code didn't work. \(refusal.attemptsLeft) tries left."
            case .limited, .blocked: "Ask again in \((refusal.retryAfterMs + 999) / 1_000) seconds."
            case .draining, .overloaded: "Please try again in a moment."
            case .some, .none: neutralPage(NeutralClass(rawValue: refusal.neutral))
            }
        case .unknownOutcome:
            // The code may or may not have been spent. The same request with the same id finds out; anything
            // else starts again.
            "We couldn't check that. Please try again in a moment."
        case .invalidRequest, .notConnected, .goodbye, .protocolViolation, .closed:
            "Something went wrong on our side."
        }
    }

    /// Says the same for accounts and numbers that exist and for those that don't.
    static func neutralPage(_ neutral: NeutralClass?) -> String {
        switch neutral {
        case .tryAgain: "That code didn't work. Try again."
        case .wait: "Wait a little before you ask again."
        case .restart: "Please start again."
        case .otherFactor: "Use another way to sign in, or contact us."
        case .unavailable, .invalidRequest, .some(.none), nil: "Something went wrong on our side."
        }
    }
    // snippet.end

    static func verifySurely(_ otpd: AuthClient, _ message: Verify) async throws -> Verify.Reply {
        var verify = message
        // snippet.repeat
        verify.requestID = try await otpd.newRequestID()
        do {
            return try await otpd.verify(verify)
        } catch ClientError.unknownOutcome {
            // Three retries have failed. Later, with the same id: the same verdict, no second attempt spent.
            return try await otpd.verify(verify)
        }
        // snippet.end
    }

    static func follow(
        _ otpd: AuthClient, from stored: Cursor?, handle: (EventPush) async throws -> Void
    ) async throws {
        // snippet.events
        let start: Subscribe.Start = stored == nil ? .oldest : .afterCursor
        let events = try await otpd.events(from: start, cursor: stored ?? .zero)
        for await event in events {
            try await handle(event)  // and store event.cursor with what you did
            try await otpd.acknowledge(event.cursor, count: 1)
        }
        if let failure = events.failure { throw failure }
        // snippet.end
    }

    static func close(_ otpd: AuthClient) async {
        // snippet.close
        await otpd.close()
        // snippet.end
    }
}
