/// Limits of the protocol, in bytes. They are part of version 1.
public enum FrameLimits {
    /// Length prefix, opcode, flags, correlation id.
    public static let headerBytes = 12
    /// A whole frame, prefix included.
    public static let maxFrameBytes = 4096
    /// What the length prefix may say at most: it doesn't count itself.
    public static let maxLengthField = UInt32(maxFrameBytes - 4)
    /// What the length prefix may say at least.
    public static let minLengthField = UInt32(headerBytes - 4)
}

/// The flags of a frame; all other bits are reserved and zero.
public struct FrameFlags: OptionSet, Sendable, Hashable {
    /// The bits.
    public let rawValue: UInt16
    /// From the wire.
    public init(rawValue: UInt16) { self.rawValue = rawValue }
    /// The frame answers a request; the body starts with a status.
    public static let reply = FrameFlags(rawValue: 1)
    /// The frame answers no request; its correlation id is zero.
    public static let push = FrameFlags(rawValue: 2)
}

/// One frame in a receive buffer: lends the body, valid until that buffer is consumed.
public struct Frame {
    /// The opcode's number; may be one that this version doesn't know.
    public let opcode: UInt16
    /// What kind of frame.
    public let flags: FrameFlags
    /// Chosen by the client, repeated in the reply.
    public let correlation: UInt32
    /// The bytes after the header.
    public let body: UnsafeRawBufferPointer
    /// Header and body: how far to consume.
    public let totalBytes: Int

    /// What the first frame of `buffer` is about, whole or not; `nil` when its header isn't there, or the opcode isn't known.
    public static func opcode(in buffer: UnsafeRawBufferPointer) -> Opcode? {
        guard buffer.count >= FrameLimits.headerBytes else { return nil }
        return Opcode(rawValue: UInt16(bigEndian: buffer.loadUnaligned(fromByteOffset: 4, as: UInt16.self)))
    }

    /// The first frame of `buffer`; `nil` when more bytes are needed.
    /// - Throws: `badFrameLength` as soon as the prefix is there, `badFlags` as soon as the header is.
    public static func next(in buffer: UnsafeRawBufferPointer) throws(WireError) -> Frame? {
        guard buffer.count >= 4 else { return nil }
        let length = UInt32(bigEndian: buffer.loadUnaligned(fromByteOffset: 0, as: UInt32.self))
        guard length >= FrameLimits.minLengthField, length <= FrameLimits.maxLengthField else {
            throw .badFrameLength(length)
        }
        guard buffer.count >= FrameLimits.headerBytes else { return nil }
        let flags = UInt16(bigEndian: buffer.loadUnaligned(fromByteOffset: 6, as: UInt16.self))
        guard flags & ~3 == 0, flags != 3 else { throw .badFlags(flags) }
        let total = Int(length) + 4
        guard buffer.count >= total else { return nil }
        return Frame(
            opcode: UInt16(bigEndian: buffer.loadUnaligned(fromByteOffset: 4, as: UInt16.self)),
            flags: FrameFlags(rawValue: flags),
            correlation: UInt32(bigEndian: buffer.loadUnaligned(fromByteOffset: 8, as: UInt32.self)),
            body: UnsafeRawBufferPointer(rebasing: buffer[FrameLimits.headerBytes..<total]),
            totalBytes: total)
    }
}
