/// FNV-1a over everything that a run sent, received and left on disk: the same seed must give the same one.
struct Digest {
    private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325
    var isOn = false

    mutating func add(_ bytes: ArraySlice<UInt8>) {
        guard isOn else { return }
        for byte in bytes { value = (value ^ UInt64(byte)) &* 0x100_0000_01B3 }
    }
}
