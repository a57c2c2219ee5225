/// What a target found: a sentence on the promise that the input broke. A trap in the product is a find of its own.
struct FuzzFailure: Error, CustomStringConvertible {
    let description: String
}

/// One thing to fuzz. libFuzzer calls `run` through `Entry.swift`; `make test` replays the corpus and old finds through it.
protocol FuzzTarget: SendableMetatype {
    /// The name of its folders under `corpus/`, `finds/`, `planted/`.
    static var name: String { get }
    /// Any bytes at all: returns, or says which promise is broken. Keeps nothing between calls that a later one could see.
    static func run(_ bytes: UnsafeRawBufferPointer) throws(FuzzFailure)
}

func expect(_ isRight: Bool, _ words: @autoclosure () -> String) throws(FuzzFailure) {
    if !isRight { throw FuzzFailure(description: words()) }
}

/// Takes an input apart from its front; past the end it reads zeros, so that every input means something.
struct FuzzInput {
    private(set) var rest: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) { rest = bytes }

    var isEmpty: Bool { rest.count == 0 }

    mutating func u8() -> UInt8 {
        guard let first = rest.first else { return 0 }
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst())
        return first
    }

    mutating func u16() -> Int { Int(u8()) << 8 | Int(u8()) }

    mutating func u64() -> UInt64 {
        var value: UInt64 = 0
        for _ in 0..<8 { value = value << 8 | UInt64(u8()) }
        return value
    }

    /// Up to `count` bytes; fewer at the end.
    mutating func take(_ count: Int) -> UnsafeRawBufferPointer {
        let taken = UnsafeRawBufferPointer(rebasing: rest.prefix(count))
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
        return taken
    }
}

/// Same bytes.
func isEqual(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    a.count == b.count && a.elementsEqual(b)
}

/// Scratch memory of a target. Fuzzing has one thread, and the replay is `.serialized`.
final class ScratchMemory: @unchecked Sendable {
    private let bytes: UnsafeMutableRawBufferPointer

    init(bytes count: Int) { bytes = .allocate(byteCount: count, alignment: 4096) }

    deinit { bytes.deallocate() }

    func slice(_ offset: Int, _ count: Int) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(rebasing: bytes[offset..<offset + count])
    }
}
