import Foundation
import Testing
import Wire

/// One file of `Tests/Vectors/frames`. Reading refuses keys that it doesn't know.
struct Vector: CustomTestStringConvertible {
    /// The file's name without `.txt`.
    var name = ""
    var message = ""
    var kind = ""
    var correlation: UInt32 = 0
    var expect = ""
    var reencodes = true
    /// `name: value`, in wire order.
    var fields: [String] = []
    var bytes: [UInt8] = []

    var testDescription: String { name }

    struct BadFile: Error { var line: String }

    static let folder = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Vectors/frames")

    static let all: [Vector] = {
        let files = (try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? []
        return files.sorted { $0.path < $1.path }.map { file in
            do { return try Vector(file) } catch { preconditionFailure("\(file.lastPathComponent): \(error)") }
        }
    }()

    init(_ file: URL) throws {
        name = file.deletingPathExtension().lastPathComponent
        for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") where !line.hasPrefix("#") {
            let parts = line.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            guard parts.count >= 1, line.contains(":") else { throw BadFile(line: String(line)) }
            let value = parts.count == 2 ? parts[1] : ""
            switch parts[0] {
            case "message": message = value
            case "kind": kind = value
            case "correlation": correlation = UInt32(value) ?? .max
            case "expect": expect = value
            case "reencode" where value == "no": reencodes = false
            case "hex": bytes += try Self.unhex(value)
            case let key where key.hasPrefix("field "): fields.append("\(key.dropFirst(6)): \(value)")
            default: throw BadFile(line: String(line))
            }
        }
    }

    static func unhex(_ text: String) throws -> [UInt8] {
        let digits = text.compactMap(\.hexDigitValue)
        guard digits.count == text.count, digits.count % 2 == 0 else { throw BadFile(line: text) }
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }
}

/// Walks a decoded message and writes its fields as a vector does; absent optional fields are left out.
struct FieldPrinter: FieldCoder {
    var lines: [String] = []

    static func print<M: Message>(_ message: M) throws -> [String] {
        var (copy, printer) = (message, FieldPrinter())
        try copy.fields(&printer)
        return printer.lines
    }

    private mutating func add(_ name: StaticString, _ value: some CustomStringConvertible) {
        lines.append("\(name): \(value)")
    }
    private func hex(_ bytes: [UInt8]) -> String { bytes.map { String(format: "%02x", $0) }.joined() }

    mutating func u8(_ name: StaticString, _ value: inout UInt8) { add(name, value) }
    mutating func u16(_ name: StaticString, _ value: inout UInt16) { add(name, value) }
    mutating func u32(_ name: StaticString, _ value: inout UInt32) { add(name, value) }
    mutating func u64(_ name: StaticString, _ value: inout UInt64) { add(name, value) }
    mutating func bytes16(_ name: StaticString, _ value: inout Bytes16) {
        add(name, String(format: "%016lx%016lx", value.high, value.low))
    }
    mutating func bytes32(_ name: StaticString, _ value: inout Bytes32) {
        add(
            name,
            String(format: "%016lx%016lx%016lx%016lx", value.head.high, value.head.low, value.tail.high, value.tail.low))
    }
    mutating func blob8<let n: Int>(_ name: StaticString, _ value: inout InlineBytes<n>) {
        add(name, value.isTooLong ? "too long (\(value.declaredCount))" : hex(value.array))
    }
    mutating func judged8<let n: Int>(_ name: StaticString, _ value: inout InlineBytes<n>) {
        blob8(name, &value)
    }
    mutating func blob16<let n: Int>(_ name: StaticString, _ value: inout InlineBytes<n>) { blob8(name, &value) }
    mutating func tagged(_ tag: Wire.Tag, _ name: StaticString, _ value: inout UInt8?) { if let value { add(name, value) } }
    mutating func tagged(_ tag: Wire.Tag, _ name: StaticString, _ value: inout UInt64?) { if let value { add(name, value) } }
    mutating func tagged<let n: Int>(_ tag: Wire.Tag, _ name: StaticString, _ value: inout InlineBytes<n>) {
        if !value.isEmpty { add(name, hex(value.array)) }
    }
}
