import Wire

/// A stream of frames that arrives in pieces gives the same frames, and the same error at the same place, as the whole; each frame is
/// what a second decoder, written from PROTOCOL.md, reads.
/// Input: two bytes that choose the pieces, then the stream.
enum FramesFuzz: FuzzTarget {
    static let name = "frames"

    private enum Outcome: Equatable {
        case frame(opcode: UInt16, flags: UInt16, correlation: UInt32, total: Int)
        case needsMore
        case badLength(UInt32)
        case badFlags(UInt16)
    }

    static func run(_ bytes: UnsafeRawBufferPointer) throws(FuzzFailure) {
        var input = FuzzInput(bytes)
        var choice = UInt32(input.u16())
        let stream = input.rest
        // `read` is where the connection's buffer begins, `arrived` where it ends.
        var (read, arrived) = (0, 0)
        var isOver = false
        while !isOver, arrived < stream.count {
            choice = choice &* 1_664_525 &+ 1_013_904_223
            // Few large pieces or many small ones, as the input says.
            let piece = 1 + Int(choice >> 16) % (choice & 1 == 0 ? 16 : 1_500)
            arrived = min(stream.count, arrived + piece)
            while true {
                let part = outcome(UnsafeRawBufferPointer(rebasing: stream[read..<arrived]))
                let whole = UnsafeRawBufferPointer(rebasing: stream[read...])
                if part == .needsMore { break }
                try expect(part == outcome(whole), "pieces give \(part), the whole \(outcome(whole)), at byte \(read)")
                try expect(part == reference(whole), "the decoder says \(part), PROTOCOL.md \(reference(whole))")
                guard case .frame(_, _, _, let total) = part else {
                    isOver = true
                    break
                }
                read += total
            }
        }
        guard !isOver else { return }
        let rest = UnsafeRawBufferPointer(rebasing: stream[read...])
        try expect(outcome(rest) == .needsMore, "all bytes are there, and the last piece gave nothing")
        try expect(reference(rest) == .needsMore, "the decoder waits for more than PROTOCOL.md asks")
    }

    private static func outcome(_ buffer: UnsafeRawBufferPointer) -> Outcome {
        do throws(WireError) {
            guard let frame = try Frame.next(in: buffer) else { return .needsMore }
            let body = buffer[12..<max(12, min(frame.totalBytes, buffer.count))]
            guard isEqual(frame.body, UnsafeRawBufferPointer(rebasing: body)) else { return .needsMore }
            return .frame(
                opcode: frame.opcode, flags: frame.flags.rawValue, correlation: frame.correlation, total: frame.totalBytes)
        } catch {
            switch error {
            case .badFrameLength(let length): return .badLength(length)
            case .badFlags(let flags): return .badFlags(flags)
            case .truncatedBody, .badBody, .unsupportedField: return .needsMore
            }
        }
    }

    /// PROTOCOL.md, "Frames", byte by byte.
    private static func reference(_ bytes: UnsafeRawBufferPointer) -> Outcome {
        func number(_ range: Range<Int>) -> UInt32 { range.reduce(0) { $0 << 8 | UInt32(bytes[$1]) } }
        guard bytes.count >= 4 else { return .needsMore }
        let length = number(0..<4)
        if length < 8 || length > 4_092 { return .badLength(length) }
        guard bytes.count >= 12 else { return .needsMore }
        let flags = UInt16(number(6..<8))
        if flags > 2 { return .badFlags(flags) }
        guard bytes.count - 4 >= Int(length) else { return .needsMore }
        return .frame(
            opcode: UInt16(number(4..<6)), flags: flags, correlation: number(8..<12), total: 4 + Int(length))
    }
}
