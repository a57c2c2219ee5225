import Wire

/// The protocol's client side as a value: bytes in, outcomes out. It knows no socket.
struct ClientStateMachine {
    /// What a receive found.
    enum Output {
        /// The body of a reply, status first.
        case reply(correlation: UInt32, body: [UInt8])
        case message(MessagePush)
        case event(EventPush)
        case goodbye(Goodbye)
        case violation(String)
    }

    private var input: [UInt8] = []
    private var correlation: UInt32 = 0

    /// The bytes of a request and the number that its reply will carry.
    mutating func encode<M: RequestMessage>(_ message: M) -> Result<(bytes: [UInt8], correlation: UInt32), WireError> {
        correlation &+= 1
        var bytes = [UInt8](repeating: 0, count: FrameLimits.maxFrameBytes)
        let number = correlation
        var failure: WireError?
        let count = bytes.withUnsafeMutableBytes { buffer -> Int in
            do throws(WireError) { return try FieldEncoder.request(message, correlation: number, into: buffer) } catch {
                failure = error
                return 0
            }
        }
        if let failure { return .failure(failure) }
        return .success((Array(bytes.prefix(count)), number))
    }

    /// Takes bytes as they come, whole frames or not.
    mutating func receive(_ bytes: some Collection<UInt8>) -> [Output] {
        input += bytes
        var outputs: [Output] = []
        var consumed = 0
        input.withUnsafeBytes { raw in
            do throws(WireError) {
                while let frame = try Frame.next(in: UnsafeRawBufferPointer(rebasing: raw[consumed...])) {
                    consumed += frame.totalBytes
                    outputs.append(try output(frame))
                }
            } catch { outputs.append(.violation("\(error)")) }
        }
        input.removeFirst(consumed)
        return outputs
    }

    private func output(_ frame: Frame) throws(WireError) -> Output {
        if frame.flags == .reply { return .reply(correlation: frame.correlation, body: Array(frame.body)) }
        guard frame.flags == .push else { return .violation("a frame that is neither reply nor push") }
        switch Opcode(rawValue: frame.opcode) {
        case .message: return .message(try FieldDecoder.decode(MessagePush.self, from: frame.body))
        case .event: return .event(try FieldDecoder.decode(EventPush.self, from: frame.body))
        case .goodbye: return .goodbye(try FieldDecoder.decode(Goodbye.self, from: frame.body))
        case .some, .none: return .violation("a push of opcode \(frame.opcode)")
        }
    }

    /// The typed reply, or the refusal.
    static func decode<Reply: Message>(_ type: Reply.Type, _ body: [UInt8]) -> Result<Reply, ClientError> {
        body.withUnsafeBytes { raw in
            do throws(WireError) {
                guard raw.count >= 2 else { throw .truncatedBody }
                if raw[0] == 0, raw[1] == 0 {
                    return .success(
                        try FieldDecoder.decode(Reply.self, from: UnsafeRawBufferPointer(rebasing: raw[2...])))
                }
                return .failure(.refused(try FieldDecoder.decode(Refusal.self, from: raw)))
            } catch { return .failure(.protocolViolation("\(error)")) }
        }
    }
}
