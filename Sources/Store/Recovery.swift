import Glibc
import LibCrypto

/// Reads the journal from LMDB's position on. It drops a torn tail, which was never acknowledged, and refuses whatever else isn't whole.
struct Recovery {
    let folder: String
    let uuid: (UInt64, UInt64)
    let keyring: Keyring
    let epoch: UInt32
    var report = RecoveryReport()
    var position: Position

    /// Replays into `apply(payload, header, position before it)`; afterwards `position` is the journal's end.
    mutating func run(
        _ apply: (UnsafeRawBufferPointer, JournalRecord.Header, Position) throws(StoreError) -> Void
    ) throws(StoreError) {
        let segments = try Journal.segments(in: folder)
        guard segments.contains(position.segment) else { throw endsEarly(Journal.path(folder, position.segment)) }
        let plain = UnsafeMutableRawBufferPointer.allocate(
            byteCount: JournalRecord.maxPayloadBytes + AEAD.tagBytes, alignment: 8)
        defer { plain.deallocate() }
        var segment = position.segment
        var next = 0
        var last: [UInt8]?
        while true {
            let file = try SegmentBytes(Journal.path(folder, segment))
            if next == 0, segment == position.segment {
                try checkPosition(file, plain)
                next = Int(position.next)
            }
            while let header = record(in: file.bytes, at: next, segment) {
                let raw = file.bytes.slice(next, header.paddedBytes)
                try apply(try open(raw, header, plain, file.path), header, position)
                advance(header, raw, at: next)
                next += header.paddedBytes
                last = Array(raw)
            }
            try refuseNewer(file, at: next, segment)
            try refuseForeign(file, at: next)
            try refuseLaterRecords(file, from: next, segment)
            guard segments.contains(segment + 1), try startsWithNext(segment + 1) else { break }
            segment += 1
            next = 0
        }
        for later in segments where later > segment {
            try refuseLaterRecords(try SegmentBytes(Journal.path(folder, later)), from: 0, later)
        }
        if let last { try rewrite(last) }
    }

    private func endsEarly(_ path: String) -> StoreError {
        .damaged(
            path: path,
            detail: "the journal ends before the position that the database has reached (sequence \(position.sequence))")
    }

    /// The record that LMDB's position names must be there, and every field of the position must be that record's: else the journal
    /// was cut or is another one, or the position was changed and would lead past records. It is opened too: what its checksum lets pass
    /// isn't yet what was sealed.
    private func checkPosition(
        _ file: SegmentBytes, _ plain: UnsafeMutableRawBufferPointer
    ) throws(StoreError) {
        guard position.sequence > 0 else {
            guard position == Position() else { throw endsEarly(file.path) }
            return
        }
        let offset = position.offset
        guard offset <= UInt64(file.bytes.count - min(file.bytes.count, JournalRecord.headerBytes)) else {
            throw endsEarly(file.path)
        }
        let raw = file.bytes.slice(Int(offset), file.bytes.count - Int(offset))
        guard let header = JournalRecord.parse(raw) else {
            try refuseNewer(file, at: Int(offset), position.segment)
            throw endsEarly(file.path)
        }
        guard header.uuid == uuid, position == Position(header, raw, at: Int(offset)) else { throw endsEarly(file.path) }
        _ = try open(raw, header, plain, file.path)
    }

    /// A record in a format of later times isn't a torn one: nothing of it may be dropped.
    private func refuseNewer(_ file: SegmentBytes, at offset: Int, _ segment: UInt64) throws(StoreError) {
        guard offset + JournalRecord.headerBytes <= file.bytes.count else { return }
        let raw = file.bytes.slice(offset, JournalRecord.headerBytes)
        guard raw.u32(0) == JournalRecord.magic, raw.u16(4) > JournalRecord.format,
            (raw.u64(8), raw.u64(16)) == uuid, raw.u64(24) == segment
        else { return }
        throw .newerFormat(path: file.path, found: "journal record \(raw.u16(4))")
    }

    /// A whole record of another store where this one's next is due: with a changed `format`, all of them would look so, and a journal without
    /// a next record is one that was read to its end.
    private func refuseForeign(_ file: SegmentBytes, at offset: Int) throws(StoreError) {
        guard offset + JournalRecord.headerBytes <= file.bytes.count,
            let header = JournalRecord.parse(file.bytes.slice(offset, file.bytes.count - offset)), header.uuid != uuid
        else { return }
        throw .damaged(
            path: file.path,
            detail: "a record of another store stands where record \(position.sequence + 1) is due: this segment or the file `format` was changed, "
                + "or is another folder's")
    }

    /// The epoch never falls: a record of a later one means that its file is an old copy.
    private func checkEpoch(_ header: JournalRecord.Header, _ path: String) throws(StoreError) {
        guard header.epoch <= epoch else {
            throw .damaged(
                path: path, detail: "record \(header.sequence) is of epoch \(header.epoch), but the file `epoch` says \(epoch)")
        }
    }

    /// The record at `offset` if it is the next one.
    private func record(in bytes: UnsafeRawBufferPointer, at offset: Int, _ segment: UInt64) -> JournalRecord.Header? {
        guard offset + JournalRecord.headerBytes <= bytes.count,
            let header = JournalRecord.parse(bytes.slice(offset, bytes.count - offset)), header.uuid == uuid,
            header.segment == segment, header.sequence == position.sequence + 1, header.previousTag == position.tag,
            offset + header.paddedBytes <= bytes.count
        else { return nil }
        return header
    }

    private func open(
        _ raw: UnsafeRawBufferPointer, _ header: JournalRecord.Header, _ plain: UnsafeMutableRawBufferPointer, _ path: String
    ) throws(StoreError) -> UnsafeRawBufferPointer {
        try checkEpoch(header, path)
        guard let key = try keyring.key(header.dataKey) else {
            throw .damaged(path: path, detail: "record \(header.sequence) is sealed with data key \(header.dataKey), which is gone")
        }
        let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: JournalRecord.headerBytes, alignment: 8)
        defer { scratch.deallocate() }
        let cipher = key.journalCipher(for: .opening)
        var failed = false
        let count = Int(header.payloadBytes)
        JournalRecord.withNonce(header.nonce) { nonce in
            do {
                _ = try cipher.open(
                    nonce: nonce, aad: JournalRecord.aad(raw, scratch),
                    sealed: raw.slice(JournalRecord.headerBytes, count + AEAD.tagBytes), into: plain)
            } catch { failed = true }
        }
        if failed {
            throw .damaged(path: path, detail: "record \(header.sequence) has a right checksum but doesn't authenticate")
        }
        return UnsafeRawBufferPointer(plain).slice(0, count)
    }

    private mutating func advance(_ header: JournalRecord.Header, _ raw: UnsafeRawBufferPointer, at offset: Int) {
        position = Position(header, raw, at: offset)
        report.replayed += 1
        report.lastClock = header.clock
    }

    /// At most one record is ever unsynced, so a good one after a bad or missing one means damage, not a crash.
    private mutating func refuseLaterRecords(
        _ file: SegmentBytes, from start: Int, _ segment: UInt64
    ) throws(StoreError) {
        var offset = start
        while offset + JournalRecord.headerBytes <= file.bytes.count {
            let rest = file.bytes.slice(offset, file.bytes.count - offset)
            offset += JournalRecord.alignment
            guard rest.u32(0) == JournalRecord.magic, (rest.u64(8), rest.u64(16)) == uuid, rest.u64(24) == segment,
                rest.u64(32) > position.sequence
            else { continue }
            try refuseNewer(file, at: offset - JournalRecord.alignment, segment)
            if let header = JournalRecord.parse(rest) {
                throw .damaged(
                    path: file.path,
                    detail: "a gap: after sequence \(position.sequence) a record is bad or missing, "
                        + "and a good one (\(header.sequence)) stands behind it")
            }
            report.droppedTornTail = true
        }
    }

    private func startsWithNext(_ segment: UInt64) throws(StoreError) -> Bool {
        let head = try SegmentBytes(
            Journal.path(folder, segment), limit: JournalRecord.padded(JournalRecord.maxPayloadBytes))
        try refuseNewer(head, at: 0, segment)
        return record(in: head.bytes, at: 0, segment) != nil
    }

    /// After kill -9 the last record may live in the page cache alone: written again in place and synced before any reply.
    private mutating func rewrite(_ bytes: [UInt8]) throws(StoreError) {
        let file = try FileDescriptor(Journal.path(folder, position.segment), O_RDWR)
        var result: StoreError?
        bytes.withUnsafeBytes { raw in
            do throws(StoreError) { try file.write(raw, at: Int(position.offset)) } catch { result = error }
        }
        if let result { throw result }
        try file.syncData()
        report.resyncedSequence = position.sequence
    }
}

/// A segment in memory, as long as the file is: a segment made under another setting is read to its end.
private final class SegmentBytes {
    let path: String
    private let buffer: UnsafeMutableRawBufferPointer
    let bytes: UnsafeRawBufferPointer

    init(_ path: String, limit: Int = .max) throws(StoreError) {
        self.path = path
        let file = try FileDescriptor(path, O_RDONLY)
        buffer = .allocate(byteCount: min(limit, try file.size), alignment: 4096)
        do throws(StoreError) {
            bytes = UnsafeRawBufferPointer(buffer).slice(0, try file.read(into: buffer, at: 0))
        } catch {
            buffer.deallocate()
            throw error
        }
    }

    deinit { buffer.deallocate() }
}
