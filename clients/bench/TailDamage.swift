import CLinuxShim
import Glibc

/// Damage to the journal's end, aimed at each part of the last record, and at its segment as a whole. It
/// reads the record by SCHEMA.md §3.
struct TailDamage: FolderDamage {
    private enum Part: String, CaseIterable {
        case header, checksum, headersChecksum, payload, tag, stamp, displaced
        case twoBits, sector, cutAtItsBorder, zeroed, emptied, removed, spareInItsPlace
    }

    private let path: String
    private let part: Part
    private let record: (offset: Int, bytes: Int, payload: Int)
    private let random: UInt64

    var description: String {
        "\(part.rawValue) of the record at \(record.offset) of \(path.split(separator: "/").last ?? "")"
    }

    /// `nil`: the segment holds no record.
    init?(segment path: String, _ generator: inout SeededGenerator) throws {
        guard let found = try TailDamage.lastRecord(path) else { return nil }
        self.path = path
        record = found
        part = Part.allCases[Int(generator.next() % UInt64(Part.allCases.count))]
        random = generator.next()
    }

    func apply() throws {
        switch part {
        case .header: try flip(random % 76)
        case .checksum: try flip(76 + random % 4)
        case .headersChecksum: try flip(124 + random % 4)
        case .payload: try flip(128 + random % UInt64(max(1, record.payload)), isContent: true)
        case .tag: try flip(UInt64(128 + record.payload) + random % 16, isContent: true)
        case .stamp: try flip(random % UInt64(record.bytes / 512) * 512 + 508 + (random >> 32) % 4)
        case .displaced: try flip(UInt64(content) + random % UInt64(max(4, content / 512 * 4)))
        case .twoBits:
            try flip(random % UInt64(record.bytes))
            try flip((random >> 32) % UInt64(record.bytes))
        case .sector:
            try write(
                [UInt8](repeating: 0, count: 512),
                at: record.offset + Int(random >> 32) % (record.bytes / 512) * 512)
        case .cutAtItsBorder: try succeed(truncate(path, off_t(record.offset)))
        case .zeroed: try write([UInt8](repeating: 0, count: record.bytes), at: record.offset)
        case .emptied: try succeed(truncate(path, 0))
        case .removed: try succeed(unlink(path))
        case .spareInItsPlace: try succeed(rename(String(path.dropLast(20)) + "spare", path))
        }
    }

    private var content: Int { (144 + record.payload + 3) / 4 * 4 }

    private func succeed(_ code: Int32) throws {
        guard code == 0 else { throw BenchError("\(self): \(String(cString: strerror(errno)))") }
    }

    /// A byte of the record; one of its content that a stamp stands in the place of is another.
    private func flip(_ place: UInt64, isContent: Bool = false) throws {
        var place = Int(place)
        if isContent, place % 512 >= 508 { place -= 4 }
        let file = linux_open(path, O_RDWR, 0)
        guard file >= 0 else { throw BenchError("\(path): \(String(cString: strerror(-file)))") }
        defer { close(file) }
        var byte: UInt8 = 0
        guard pread(file, &byte, 1, off_t(record.offset + place)) == 1 else {
            throw BenchError("\(self): can't be read")
        }
        byte ^= 1 << UInt8(random >> 61)
        guard pwrite(file, &byte, 1, off_t(record.offset + place)) == 1 else {
            throw BenchError("\(self): can't be written")
        }
    }

    private func write(_ bytes: [UInt8], at offset: Int) throws {
        let file = linux_open(path, O_RDWR, 0)
        guard file >= 0 else { throw BenchError("\(path): \(String(cString: strerror(-file)))") }
        defer { close(file) }
        guard pwrite(file, bytes, bytes.count, off_t(offset)) == bytes.count else {
            throw BenchError("\(self): can't be written")
        }
    }

    /// The one of the highest sequence that says it is this segment's.
    private static func lastRecord(_ path: String) throws -> (offset: Int, bytes: Int, payload: Int)? {
        let file = linux_open(path, O_RDONLY, 0)
        guard file >= 0 else { throw BenchError("\(path): \(String(cString: strerror(-file)))") }
        defer { close(file) }
        let number = UInt64(path.dropLast(4).suffix(16))
        var newest: (sequence: UInt64, offset: Int, payload: Int)?
        var header = [UInt8](repeating: 0, count: 128)
        func field(_ offset: Int, _ count: Int) -> UInt64 {
            header[offset..<offset + count].reduce(0) { $0 << 8 | UInt64($1) }
        }
        var offset = 0
        while pread(file, &header, 128, off_t(offset)) == 128 {
            defer { offset += 512 }
            guard field(0, 4) == 0x4F54_504A, field(24, 8) == number, field(32, 8) > newest?.sequence ?? 0
            else { continue }
            newest = (field(32, 8), offset, Int(field(56, 4)))
        }
        return newest.map { ($0.offset, ((144 + $0.payload + 3) / 4 * 4 + 507) / 508 * 512, $0.payload) }
    }
}
