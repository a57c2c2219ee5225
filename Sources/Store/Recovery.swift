import Glibc
import LibCrypto

/// Reads the journal from LMDB's position on. It drops a torn tail, which was never acknowledged, and refuses
/// whatever else isn't whole. `Recovery+Tail.swift` tells the one from the other.
struct Recovery {
    let folder: String
    let uuid: (UInt64, UInt64)
    let keyring: Keyring
    let epoch: UInt32
    /// What the crash note says was acknowledged; `nil`: nothing is known.
    var bound: SyncedBound?
    /// What is missing is given up instead of refused.
    var acceptsLoss = false
    var report = RecoveryReport()
    var position: Position
    /// What was acknowledged and isn't there, in the order in which it was found.
    var losses: [Loss] = []
    /// The preallocated bytes of the position's segment, as its records say; 0 = they don't.
    var segmentBytes = 0

    /// Replays into `apply(payload, header, position before it)`; afterwards `position` is the journal's end.
    mutating func run(
        _ apply: (UnsafeRawBufferPointer, JournalRecord.Header, Position) throws(StoreError) -> Void
    ) throws(StoreError) {
        let segments = try Journal.segments(in: folder)
        guard segments.contains(position.segment) else {
            throw endsEarly(Journal.path(folder, position.segment))
        }
        try checkBoundsEpoch()
        let plain = UnsafeMutableRawBufferPointer.allocate(
            byteCount: JournalRecord.maxPayloadBytes + AEAD.tagBytes, alignment: 8)
        defer { plain.deallocate() }
        var file = try SegmentBytes(folder, position.segment)
        try checkPosition(file, plain)
        var next = Int(position.next)
        var last: [UInt8]?
        var ending: Due
        while true {
            ending = try due(in: file, at: next)
            if case .whole(let header) = ending {
                let raw = file.bytes.slice(next, header.paddedBytes)
                try apply(try open(raw, header, plain, file.path), header, position)
                advance(header, raw, at: next, file)
                next += header.paddedBytes
                last = Array(raw)
                continue
            }
            // A batch that finds no place in its segment is the next one's first; what stands here then is of
            // an attempt before.
            guard segments.contains(file.number + 1) else { break }
            let following = try SegmentBytes(folder, file.number + 1)
            let there = try due(in: following, at: 0)
            guard case .whole = there else {
                ending.add(there)
                break
            }
            file = following
            next = 0
        }
        try judge(ending, file, from: next, later: segments.filter { $0 > file.number })
        if let last { try rewrite(last) }
    }

    /// The one reason to refuse, if there is any and it isn't accepted.
    private mutating func judge(
        _ ending: Due, _ file: SegmentBytes, from next: Int, later: [UInt64]
    ) throws(StoreError) {
        switch ending {
        case .whole, .nothing: break
        case .torn: report.droppedTornTail = true
        case .lost(let loss): losses.append(loss)
        }
        try findLaterRecords(file, from: next)
        for number in later { try findLaterRecords(try SegmentBytes(folder, number), from: 0) }
        checkBound()
        guard let first = losses.first else { return }
        let least = losses.map(\.sequence).max() ?? 0
        guard acceptsLoss else { throw .tailLost(path: first.path, detail: first.detail) }
        report.droppedTornTail = false
        report.loss = RecoveryReport.Loss(
            batches: max(1, least - min(least, position.sequence)), text: "\(first.path): \(first.detail)")
    }

    func endsEarly(_ path: String) -> StoreError {
        .damaged(
            path: path,
            detail:
                "the journal ends before the position that the database has reached (sequence \(position.sequence))"
        )
    }

    /// The record that LMDB's position names must be there, and every field of the position must be that
    /// record's: else the journal was cut or is another one, or the position was changed and would lead past
    /// records. It is opened too: what its checksum lets pass isn't yet what was sealed.
    private mutating func checkPosition(
        _ file: SegmentBytes, _ plain: UnsafeMutableRawBufferPointer
    ) throws(StoreError) {
        guard position.sequence > 0 else {
            guard position == Position() else { throw endsEarly(file.path) }
            return
        }
        guard let offset = Int(exactly: position.offset) else { throw endsEarly(file.path) }
        let raw = file.from(offset)
        guard let header = JournalRecord.parse(raw) else {
            try refuseNewer(file, at: offset)
            throw endsEarly(file.path)
        }
        guard header.uuid == uuid, position == Position(header, raw, at: offset) else {
            throw endsEarly(file.path)
        }
        _ = try open(raw, header, plain, file.path)
        noteRecord(header, file)
    }

    /// The epoch never falls: a record of a later one means that its file is an old copy.
    private func checkEpoch(_ header: JournalRecord.Header, _ path: String) throws(StoreError) {
        guard header.epoch <= epoch else {
            throw .damaged(
                path: path,
                detail:
                    "record \(header.sequence) is of epoch \(header.epoch), but the file `epoch` says \(epoch)"
            )
        }
    }

    private func open(
        _ raw: UnsafeRawBufferPointer, _ header: JournalRecord.Header, _ plain: UnsafeMutableRawBufferPointer,
        _ path: String
    ) throws(StoreError) -> UnsafeRawBufferPointer {
        try checkEpoch(header, path)
        guard let key = try keyring.key(header.dataKey) else {
            throw .damaged(
                path: path,
                detail: "record \(header.sequence) is sealed with data key \(header.dataKey), which is gone")
        }
        let count = Int(header.payloadBytes)
        let scratch = UnsafeMutableRawBufferPointer.allocate(
            byteCount: JournalRecord.headerBytes + count + AEAD.tagBytes, alignment: 8)
        defer { scratch.deallocate() }
        let sealed = scratch.slice(JournalRecord.headerBytes, count + AEAD.tagBytes)
        JournalRecord.copySealed(raw, header, into: sealed)
        let cipher = key.journalCipher(for: .opening)
        var failed = false
        JournalRecord.withNonce(header.nonce) { nonce in
            do {
                _ = try cipher.open(
                    nonce: nonce, aad: JournalRecord.aad(raw, scratch),
                    sealed: UnsafeRawBufferPointer(sealed), into: plain)
            } catch { failed = true }
        }
        if failed {
            throw .damaged(
                path: path, detail: "record \(header.sequence) has a right checksum but doesn't authenticate")
        }
        return UnsafeRawBufferPointer(plain).slice(0, count)
    }

    private mutating func advance(
        _ header: JournalRecord.Header, _ raw: UnsafeRawBufferPointer, at offset: Int, _ file: SegmentBytes
    ) {
        position = Position(header, raw, at: offset)
        noteRecord(header, file)
        report.replayed += 1
        report.lastClock = header.clock
    }

    /// What the newest record says beside its payload.
    private mutating func noteRecord(_ header: JournalRecord.Header, _ file: SegmentBytes) {
        segmentBytes = header.segmentBytes
        report.lastEpoch = header.epoch
        noteCut(header, file)
    }

    /// After kill -9 the last record may live in the page cache alone: written again in place and synced
    /// before any reply, with the stamps that it should have.
    private mutating func rewrite(_ raw: [UInt8]) throws(StoreError) {
        var bytes = raw
        var result: StoreError?
        let file = try FileDescriptor(Journal.path(folder, position.segment), O_RDWR)
        let first = JournalRecord.firstStamp(
            uuid: uuid, segment: position.segment, sequence: position.sequence)
        bytes.withUnsafeMutableBytes { raw in
            if let header = JournalRecord.header(UnsafeRawBufferPointer(raw)) {
                JournalRecord.mendStamps(raw, header, first: first)
            }
            do throws(StoreError) {
                try file.write(UnsafeRawBufferPointer(raw), at: Int(position.offset))
            } catch { result = error }
        }
        if let result { throw result }
        try file.syncData()
        report.resyncedSequence = position.sequence
    }

    /// Once a loss is accepted: nothing is left behind the position that a later start could take for a
    /// record, and its segment is as long as its records say. The record that is written here next may have
    /// the sequence of one that was lost.
    func dropTail() throws(StoreError) {
        for number in try Journal.segments(in: folder) where number > position.segment {
            try FileSystem.remove(Journal.path(folder, number))
        }
        try FileSystem.syncFolder(folder)
        let file = try FileDescriptor(Journal.path(folder, position.segment), O_RDWR)
        let size = max(try file.size, segmentBytes, Journal.leastSegmentBytes)
        let end = (size + JournalRecord.alignment - 1) / JournalRecord.alignment * JournalRecord.alignment
        let zeros = [UInt8](repeating: 0, count: 1 << 20)
        var offset = Int(position.next)
        while offset < end {
            let count = min(zeros.count, end - offset)
            var result: StoreError?
            zeros.withUnsafeBytes { raw in
                do throws(StoreError) { try file.write(raw.slice(0, count), at: offset) } catch {
                    result = error
                }
            }
            if let result { throw result }
            offset += count
        }
        try file.sync()
    }
}
