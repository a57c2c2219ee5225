import Wire

extension Goodbye {
    /// The last frame after a broken one.
    init(_ error: WireError) {
        switch error {
        case .badFrameLength(let length):
            self.init(
                .badFrameLength,
                "length \(length) isn't in \(FrameLimits.minLengthField)...\(FrameLimits.maxLengthField)")
        case .badFlags(let flags): self.init(.badFlags, "flags 0x\(String(flags, radix: 16)) in a request")
        case .truncatedBody: self.init(.badBody, "the body ends inside a field")
        case .badBody: self.init(.badBody, "a length or the order of tags in the body is impossible")
        case .unsupportedField(let tag): self.init(.badBody, "Hello's field \(tag & 0x7F) is unknown and critical, or of an impossible length")
        }
    }
}
