/// Where the journal ends, and whether it should: a tear, which an honest crash leaves, or something that was
/// acknowledged and is gone.
extension Recovery {
    /// Something acknowledged that isn't there any more.
    struct Loss {
        var path: String
        var detail: String
        /// The newest record that is known to be missing.
        var sequence: UInt64
    }

    /// What stands where the next record is due.
    enum Due {
        case whole(JournalRecord.Header)
        /// Zeros, or what the segment held in an earlier life.
        case nothing
        /// A record that was never written to its end.
        case torn
        /// A record that was, and isn't whole any more.
        case lost(Loss)

        /// At two places where the next record may be: the worse counts.
        mutating func add(_ other: Due) {
            switch (self, other) {
            case (_, .lost), (.nothing, .torn): self = other
            default: break
            }
        }
    }

    /// The next record at `offset`, or why it isn't one.
    func due(in file: SegmentBytes, at offset: Int) throws(StoreError) -> Due {
        let raw = file.from(offset)
        let next = position.sequence + 1
        if file.isCut, offset == 0 {
            return .lost(loss(file, next, "the file has \(file.bytes.count) bytes: it was cut"))
        }
        guard raw.count >= JournalRecord.headerBytes else { return .nothing }
        try refuseNewer(file, at: offset)
        guard let header = JournalRecord.header(raw) else {
            if raw.count >= JournalRecord.alignment,
                raw.u32(JournalRecord.stampOffset) == stamp(file.number, next)
            {
                return .lost(
                    loss(file, next, "the header of record \(next) has changed since it was written"))
            }
            return try dueInFirstFormat(raw, file)
        }
        try refuseForeign(header, file)
        guard header.segment == file.number, header.sequence == next else { return .nothing }
        guard header.previousTag == position.tag else {
            return .lost(loss(file, next, "record \(next) follows another record than \(position.sequence)"))
        }
        guard raw.count >= header.paddedBytes else { return .lost(cut(header, file)) }
        if JournalRecord.parse(raw) != nil { return .whole(header) }
        if !JournalRecord.bearsItsStamps(raw, header) { return .torn }
        let rot = "record \(next) has changed since it was written: all its sectors are there, "
        return .lost(loss(file, next, rot + "and its checksum is wrong"))
    }

    private func stamp(_ segment: UInt64, _ sequence: UInt64) -> UInt32 {
        JournalRecord.firstStamp(uuid: uuid, segment: segment, sequence: sequence)
    }

    /// In format 1 a tear and rot look the same.
    private func dueInFirstFormat(_ raw: UnsafeRawBufferPointer, _ file: SegmentBytes) throws(StoreError)
        -> Due
    {
        guard let header = JournalRecord.firstFormatHeader(raw) else { return .nothing }
        let isWhole = JournalRecord.parseFirstFormat(raw) != nil && raw.count >= header.paddedBytes
        if isWhole { try refuseForeign(header, file) }
        guard header.uuid == uuid, header.segment == file.number, header.sequence > position.sequence else {
            return .nothing
        }
        let isNext = header.sequence == position.sequence + 1 && header.previousTag == position.tag
        return isWhole && isNext ? .whole(header) : .torn
    }

    // MARK: losses

    private func loss(_ file: SegmentBytes, _ sequence: UInt64, _ detail: String) -> Loss {
        Loss(path: file.path, detail: detail, sequence: sequence)
    }

    private func cut(_ header: JournalRecord.Header, _ file: SegmentBytes) -> Loss {
        let text =
            "the file has \(file.bytes.count) bytes, and had \(header.segmentBytes) when record \(header.sequence) was written: it was cut"
        return loss(file, header.sequence, text)
    }

    /// Each record says how long its file was made, whatever is set today.
    mutating func noteCut(_ header: JournalRecord.Header, _ file: SegmentBytes) {
        guard file.bytes.count < header.segmentBytes, !losses.contains(where: { $0.path == file.path }) else {
            return
        }
        losses.append(cut(header, file))
    }

    /// The crash note knows an epoch that the folder doesn't: `epoch` is an old copy.
    func checkBoundsEpoch() throws(StoreError) {
        guard let bound, bound.epoch > epoch else { return }
        throw .damaged(
            path: folder,
            detail:
                "record \(bound.sequence) was acknowledged in epoch \(bound.epoch), but the file `epoch` says \(epoch)"
        )
    }

    /// What was acknowledged must be there, unless a restore has raised the epoch since.
    mutating func checkBound() {
        guard let bound, bound.epoch == epoch, position.sequence < bound.sequence else { return }
        let text = "the journal ends at sequence \(position.sequence), but \(bound.sequence) was acknowledged"
        losses.append(Loss(path: Journal.path(folder, bound.segment), detail: text, sequence: bound.sequence))
    }

    /// At most one record is ever unsynced, so one behind a bad or missing one means damage, not a crash.
    mutating func findLaterRecords(_ file: SegmentBytes, from start: Int) throws(StoreError) {
        if file.isCut, start == 0 {
            losses.append(
                loss(file, position.sequence + 1, "the file has \(file.bytes.count) bytes: it was cut"))
        }
        var offset = start
        while offset + JournalRecord.headerBytes <= file.bytes.count {
            let raw = file.from(offset)
            defer { offset += JournalRecord.alignment }
            guard raw.u32(0) == JournalRecord.magic, (raw.u64(8), raw.u64(16)) == uuid,
                raw.u64(24) == file.number,
                raw.u64(32) > position.sequence
            else { continue }
            try refuseNewer(file, at: offset)
            // A header that can be believed is enough: its record was begun when the one before it was
            // durable.
            let believed = JournalRecord.header(raw).flatMap {
                $0.sequence > position.sequence + 1 ? $0 : nil
            }
            guard let header = believed ?? JournalRecord.parse(raw) else { continue }
            losses.append(
                loss(
                    file, header.sequence,
                    "a gap: after sequence \(position.sequence) a record is bad or missing, "
                        + "and a good one (\(header.sequence)) stands behind it"))
        }
    }

    // MARK: what can't be accepted

    /// A record in a format of later times isn't a torn one: nothing of it may be dropped. A flipped format
    /// isn't a later one.
    func refuseNewer(_ file: SegmentBytes, at offset: Int) throws(StoreError) {
        let raw = file.from(offset)
        guard raw.count >= JournalRecord.headerBytes, raw.u32(0) == JournalRecord.magic,
            raw.u16(4) > JournalRecord.format,
            (raw.u64(8), raw.u64(16)) == uuid, raw.u64(24) == file.number,
            !JournalRecord.isOursButForItsFormat(raw)
        else { return }
        throw .newerFormat(path: file.path, found: "journal record \(raw.u16(4))")
    }

    /// A record of another store where this one's next is due: with a changed `format`, all of them would
    /// look so, and a journal without a next record is one that was read to its end.
    private func refuseForeign(_ header: JournalRecord.Header, _ file: SegmentBytes) throws(StoreError) {
        guard header.uuid != uuid else { return }
        throw .damaged(
            path: file.path,
            detail:
                "a record of another store stands where record \(position.sequence + 1) is due: this segment or the file `format` was changed, "
                + "or is another folder's")
    }
}
