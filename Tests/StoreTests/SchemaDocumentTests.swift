import Foundation
import Testing

@testable import Store

/// SCHEMA.md is normative: its numbers and the code must say the same.
@Suite struct SchemaDocumentTests {
    static let document: String = {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return (try? String(contentsOf: root.appending(path: "Sources/Store/SCHEMA.md"), encoding: .utf8)) ?? ""
    }()

    @Test func formats() {
        #expect(Self.document.contains("`\(DataFolder.format)`, LF"))
        #expect(Self.document.contains(
            "keyring format: \(Keyring.formats.dense) while the ids have no gap, \(Keyring.formats.pruned) from"))
        #expect(Self.document.contains("record format, \(JournalRecord.format)"))
        #expect(Self.document.contains("envelope schema, \(Envelope.schema)"))
        #expect(Self.document.contains("magic 0x\(String(JournalRecord.magic, radix: 16, uppercase: true))"))
    }

    @Test func crashNote() {
        #expect(Self.document.contains("magic 0x\(String(CrashNote.magic, radix: 16, uppercase: true)), `OTPN`"))
        #expect(Self.document.contains("| 4 | 4 | format, \(CrashNote.format) |"))
        #expect(Self.document.contains("number of entries, at most \(CrashNote.maxEntries) |"))
        #expect(Self.document.contains("| \(CrashNote.headBytes) | \(CrashNote.entryBytes) each | entries; zero up to \(text(CrashNote.lossOffset)) |"))
        #expect(Self.document.contains("| \(text(CrashNote.slotOffsets.0)), \(text(CrashNote.slotOffsets.1)) | \(SyncedBound.bytes) each |"))
        #expect(Self.document.contains("40–\(text(CrashNote.checkedBytes - 1)) |"))
        #expect(Self.document.contains("| \(text(CrashNote.lossOffset)) | 4 |"))
        #expect(CrashNote.lossOffset >= CrashNote.headBytes + CrashNote.maxEntries * CrashNote.entryBytes)
        #expect(CrashNote.fileBytes == 4_096 && CrashNote.lossOffset + 20 <= CrashNote.checkedBytes)
        #expect(CrashNote.keepMs == 86_400_000 && CrashNote.crashesUntilRefused == 2)
    }

    /// As the document writes numbers.
    private func text(_ number: Int) -> String { "\(number / 1_000),\(String(1_000 + number % 1_000).dropFirst())" }

    @Test func backup() {
        #expect(Self.document.contains("| `\(BackupFiles.manifest)` | text: `\(BackupFiles.format)`, LF"))
        #expect(Self.document.contains("| `\(BackupFiles.sums)` |"))
        #expect(Self.document.contains("| `\(BackupFiles.storeFormat)` |"))
        #expect(Self.document.contains("all is begun anew, up to \(Backup.tries) times"))
    }

    @Test func offsets() {
        #expect(Self.document.contains("| \(JournalRecord.crcOffset) | 4 | CRC-32C"))
        #expect(Self.document.contains("| \(JournalRecord.headerBytes) | n | payload"))
        #expect(Self.document.contains("| \(JournalRecord.segmentSectorsOffset) | 4 | sectors of the segment's file"))
        #expect(Self.document.contains("| \(JournalRecord.headerCheckOffset) | 4 | CRC-32C over bytes 0–\(JournalRecord.headerCheckOffset - 1)"))
        #expect(JournalRecord.stampOffset == 508 && JournalRecord.stampBytes == 4)
        #expect(Self.document.contains("| `position` | \(Position.bytes) |"))
        #expect(Self.document.contains("of what the databases hold: \(LMDBEnvironment.format)."))
        let seal = TransactionSeal.bytes(tables: 0)
        #expect(Self.document.contains("| `txn` | \(seal) + \(Tree.Counts.bytes) t |"))
        #expect(TransactionSeal.bytes(tables: 3) == seal + 3 * Tree.Counts.bytes)
        #expect(Self.document.contains("| \(Envelope.headerBytes) | v | value"))
        #expect(JournalRecord.maxPayloadBytes == 1_048_576)
        #expect(Self.document.contains("payload bytes, at most 1,048,576"))
    }

    /// A record as it is on disk has its fields where the document says.
    @Test func recordBytes() {
        var bytes = [UInt8](repeating: 0xEE, count: JournalRecord.headerBytes)
        let header = JournalRecord.Header(
            uuid: (1, 2), segment: 3, sequence: 4, previousTag: (5, 6), payloadBytes: 7, dataKey: 8, nonce: 9, epoch: 10,
            clock: StoreClock(bootID: (11, 12), boottimeMs: 13, engineMs: 14, wallMs: 15), segmentBytes: 16 * 512)
        bytes.withUnsafeMutableBytes { JournalRecord.encode(header, into: $0) }
        func at(_ offset: Int, _ count: Int) -> Int { bytes[offset..<offset + count].reduce(0) { $0 << 8 | Int($1) } }
        let fields = [
            (8, 8), (16, 8), (24, 8), (32, 8), (40, 8), (48, 8), (56, 4), (60, 4), (64, 8), (72, 4), (80, 8), (88, 8), (96, 8),
            (104, 8), (112, 8), (120, 4),
        ]
        for (index, field) in fields.enumerated() { #expect(at(field.0, field.1) == index + 1, "offset \(field.0)") }
        #expect(at(124, 4) == Int(bytes.withUnsafeBytes { JournalRecord.headerCheck($0) }))
        #expect(at(6, 2) == 0)
    }
}
