import Glibc

/// Big-endian integers at byte offsets.
extension UnsafeRawBufferPointer {
    func u16(_ offset: Int) -> UInt16 { UInt16(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt16.self)) }
    func u32(_ offset: Int) -> UInt32 { UInt32(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt32.self)) }
    func u64(_ offset: Int) -> UInt64 { UInt64(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt64.self)) }
    func u48(_ offset: Int) -> UInt64 { UInt64(u16(offset)) << 32 | UInt64(u32(offset + 2)) }
    func slice(_ offset: Int, _ count: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: self[offset..<offset + count])
    }
}

extension UnsafeMutableRawBufferPointer {
    func set(_ offset: Int, _ value: some FixedWidthInteger) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: type(of: value))
    }
    func set48(_ offset: Int, _ value: UInt64) {
        set(offset, UInt16(truncatingIfNeeded: value >> 32))
        set(offset + 2, UInt32(truncatingIfNeeded: value))
    }
    func slice(_ offset: Int, _ count: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: self[offset..<offset + count])
    }
    func copy(_ offset: Int, _ bytes: UnsafeRawBufferPointer) {
        slice(offset, bytes.count).copyMemory(from: bytes)
    }
}

/// Unsigned, bytewise, as LMDB orders keys.
func isLess(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    guard let left = a.baseAddress, let right = b.baseAddress else { return a.count < b.count }
    let order = memcmp(left, right, min(a.count, b.count))
    return order != 0 ? order < 0 : a.count < b.count
}

func isEqual(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    guard a.count == b.count, let left = a.baseAddress, let right = b.baseAddress else { return a.count == b.count }
    return memcmp(left, right, a.count) == 0
}
