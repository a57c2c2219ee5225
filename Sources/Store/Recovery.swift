import Glibc
import LibCrypto

/// Reads the journal from LMDB's position on. It drops a torn tail, which was never acknowledged, and refuses whatever else isn't whole.
struct Recovery {
    let folder: String
    let segmentBytes: Int
    let uuid: (UInt64, UInt64)
    let keyring: Keyring
    var report = RecoveryReport()
    var position: Position

    /// Replays into `apply(payload, header, position before it)`; afterwards `position` is the journal's end.
    mutating func run(
        _ apply: (UnsafeRawBufferPointer, JournalRecord.Header, Position) throws(StoreError) -> Void
    ) throws(StoreError) {
        let segments = try Journal.segments(in: folder)
        guard segments.contains(position.segment) else {
            throw .damaged(
                path: Journal.path(folder, position.segment),
                detail: "the journal ends before the position that the database has reached (sequence \(position.sequence))")
        }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: segmentBytes, alignment: 4096)
        let plain = UnsafeMutableRawBufferPointer.allocate(
            byteCount: JournalRecord.maxPayloadBytes + AEAD.tagBytes, alignment: 8)
        defer {
            buffer.deallocate()
            plain.deallocate()
        }
        var segment = position.segment
        var next = Int(position.next)
        var last: [UInt8]?
        while true {
            let path = Journal.path(folder, segment)
            let file = try FileDescriptor(path, O_RDONLY)
            let count = try file.read(into: buffer, at: 0)
            let bytes = UnsafeRawBufferPointer(buffer).slice(0, count)
            if segment == position.segment { try checkLast(bytes, path) }
            while let header = record(in: bytes, at: next, segment) {
                let raw = bytes.slice(next, header.paddedBytes)
                try apply(try open(raw, header, plain, path), header, position)
                advance(header, raw, at: next)
                next += header.paddedBytes
                last = Array(raw)
            }
            try refuseLaterRecords(bytes, from: next, segment, path)
            guard segments.contains(segment + 1), try startsWithNext(segment + 1) else { break }
            segment += 1
            next = 0
        }
        try refuseLaterSegments(segments.filter { $0 > segment })
        if let last { try rewrite(last) }
    }

    /// The record that LMDB's position names must be there: else the journal was cut or is another one.
    private func checkLast(_ bytes: UnsafeRawBufferPointer, _ path: String) throws(StoreError) {
        guard position.sequence > 0 else { return }
        let offset = Int(position.offset)
        var isThere = false
        if offset + JournalRecord.headerBytes <= bytes.count {
            let raw = bytes.slice(offset, bytes.count - offset)
            if let header = JournalRecord.parse(raw) {
                let end = JournalRecord.headerBytes + Int(header.payloadBytes) + AEAD.tagBytes
                isThere =
                    header.uuid == uuid && header.segment == position.segment && header.sequence == position.sequence
                    && (raw.u64(end - 16), raw.u64(end - 8)) == position.tag
            }
        }
        guard isThere else {
            throw .damaged(
                path: path,
                detail: "the journal ends before the position that the database has reached (sequence \(position.sequence))")
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
        guard let key = keyring.key(header.dataKey) else {
            throw .damaged(path: path, detail: "record \(header.sequence) is sealed with data key \(header.dataKey), which is gone")
        }
        let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: JournalRecord.headerBytes, alignment: 8)
        defer { scratch.deallocate() }
        let cipher = key.journalCipher()
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
        let end = JournalRecord.headerBytes + Int(header.payloadBytes) + AEAD.tagBytes
        position.sequence = header.sequence
        position.segment = header.segment
        position.offset = UInt64(offset)
        position.next = UInt64(offset + header.paddedBytes)
        position.tag = (raw.u64(end - 16), raw.u64(end - 8))
        position.clock = header.clock
        report.replayed += 1
        report.lastClock = header.clock
    }

    /// At most one record is ever unsynced, so good ones after a bad one mean damage, not a crash.
    private mutating func refuseLaterRecords(
        _ bytes: UnsafeRawBufferPointer, from start: Int, _ segment: UInt64, _ path: String
    ) throws(StoreError) {
        var offset = start
        while offset + JournalRecord.headerBytes <= bytes.count {
            let rest = bytes.slice(offset, bytes.count - offset)
            if rest.u32(0) == JournalRecord.magic, rest.u64(24) == segment, rest.u64(32) > position.sequence {
                report.droppedTornTail = true
                if let header = JournalRecord.parse(rest), header.uuid == uuid, header.segment == segment {
                    throw .damaged(
                        path: path,
                        detail: "a bad record after sequence \(position.sequence) has a good one (\(header.sequence)) behind it")
                }
            }
            offset += JournalRecord.alignment
        }
    }

    private func startsWithNext(_ segment: UInt64) throws(StoreError) -> Bool {
        let file = try FileDescriptor(Journal.path(folder, segment), O_RDONLY)
        let head = UnsafeMutableRawBufferPointer.allocate(
            byteCount: JournalRecord.padded(JournalRecord.maxPayloadBytes), alignment: 512)
        defer { head.deallocate() }
        let count = try file.read(into: head, at: 0)
        return record(in: UnsafeRawBufferPointer(head).slice(0, count), at: 0, segment) != nil
    }

    private func refuseLaterSegments(_ later: [UInt64]) throws(StoreError) {
        for segment in later {
            let path = Journal.path(folder, segment)
            let file = try FileDescriptor(path, O_RDONLY)
            let head = UnsafeMutableRawBufferPointer.allocate(
                byteCount: JournalRecord.padded(JournalRecord.maxPayloadBytes), alignment: 512)
            defer { head.deallocate() }
            let count = try file.read(into: head, at: 0)
            guard let header = JournalRecord.parse(UnsafeRawBufferPointer(head).slice(0, count)), header.uuid == uuid,
                header.segment == segment
            else { continue }
            throw .damaged(
                path: path, detail: "a gap: sequence \(position.sequence) is followed by \(header.sequence)")
        }
    }

    /// After kill -9 the last record may live in the page cache alone: written again in place and synced before any reply.
    private func rewrite(_ bytes: [UInt8]) throws(StoreError) {
        let file = try FileDescriptor(Journal.path(folder, position.segment), O_RDWR)
        var result: StoreError?
        bytes.withUnsafeBytes { raw in
            do throws(StoreError) { try file.write(raw, at: Int(position.offset)) } catch { result = error }
        }
        if let result { throw result }
        try file.syncData()
    }
}
