import Wire

extension ClientStateMachine {
    /// The bytes of a request.
    static func encode<M: RequestMessage>(_ message: M, correlation: UInt32) -> Result<[UInt8], WireError> {
        var bytes = [UInt8](repeating: 0, count: FrameLimits.maxFrameBytes)
        let count: Result<Int, WireError> = bytes.withUnsafeMutableBytes { buffer in
            Result { () throws(WireError) in
                try FieldEncoder.request(message, correlation: correlation, into: buffer)
            }
        }
        return count.map { Array(bytes.prefix($0)) }
    }

    static func body<M: Message>(_ type: M.Type, _ bytes: ArraySlice<UInt8>) throws(WireError) -> M {
        try reading(bytes) { raw throws(WireError) in try FieldDecoder.decode(M.self, from: raw) }
    }

    /// The typed reply, or the refusal.
    static func decode<Reply: Message>(_ type: Reply.Type, _ body: [UInt8]) -> Result<Reply, ClientError> {
        do throws(WireError) {
            guard body.count >= 2 else { throw .truncatedBody }
            if body.starts(with: [0, 0]) { return .success(try self.body(Reply.self, body[2...])) }
            return .failure(.refused(try self.body(Refusal.self, body[...])))
        } catch { return .failure(.protocolViolation("\(error)")) }
    }
}

/// `withUnsafeBytes` that keeps the type of the error.
func reading<R>(
    _ bytes: ArraySlice<UInt8>, _ body: (UnsafeRawBufferPointer) throws(WireError) -> R
) throws(WireError) -> R {
    let result: Result<R, WireError> = bytes.withUnsafeBytes { raw in
        Result { () throws(WireError) in try body(raw) }
    }
    return try result.get()
}
