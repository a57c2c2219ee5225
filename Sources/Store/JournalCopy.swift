import Glibc

/// Copies the journal from the database's position on, record by record, while another process appends to it.
/// What it copies is a chain without a gap; what stands behind the chain's end (a record in writing, stale
/// ones of a recycled segment) isn't copied.
struct JournalCopy {
    enum Outcome {
        /// Up to the newest record.
        case whole(Position)
        /// No chain; if the segments weren't recycled meanwhile, this is what is wrong with them.
        case broken(StoreError)
    }

    private static let windowBytes = 4 << 20

    private let source: String
    private let target: String
    private let uuid: (UInt64, UInt64)
    private let start: Position
    private var end: Position
    private let window: UnsafeMutableRawBufferPointer

    /// `journal` folder to `journal` folder; the latter exists. Nothing is synced yet: a sync takes the time in
    /// which the source's segments are used again.
    static func run(
        from source: String, to target: String, uuid: (UInt64, UInt64), position: Position
    ) throws(StoreError) -> Outcome {
        let window = UnsafeMutableRawBufferPointer.allocate(byteCount: windowBytes, alignment: 4096)
        defer { window.deallocate() }
        var copy = JournalCopy(
            source: source, target: target, uuid: uuid, start: position, end: position, window: window)
        // A segment that is used again loses its name between two looks.
        do throws(StoreError) { return try copy.run() } catch let error {
            if case .io(_, _, ENOENT) = error { return .broken(error) }
            throw error
        }
    }

    private mutating func run() throws(StoreError) -> Outcome {
        var segment = start.segment
        // A folder that no server ever opened has no segment.
        guard start.sequence > 0 || FileSystem.exists(Journal.path(source, segment)) else {
            return .whole(end)
        }
        while true {
            let path = Journal.path(source, segment)
            guard FileSystem.exists(path) else {
                return .broken(.damaged(path: path, detail: "the segment is missing"))
            }
            let input = try FileDescriptor(path, O_RDONLY)
            let output = try FileDescriptor(Journal.path(target, segment), O_RDWR | O_CREAT | O_TRUNC)
            // As long as the source's. The bytes before the position and behind the end are never looked at,
            // and stay a hole.
            guard ftruncate(output.fd, off_t(try input.size)) == 0 else { throw output.fail("ftruncate") }
            if segment == start.segment, start.sequence > 0, try !copyStart(input, output) {
                return .broken(
                    .damaged(
                        path: path,
                        detail: "the journal ends before the position that the database has reached"))
            }
            var offset = segment == start.segment ? Int(start.next) : 0
            // What the server had written before this look is copied, or begins the next segment.
            try copyRecords(input, output, segment, &offset)
            if try startsWithNext(segment + 1) {
                segment += 1
                continue
            }
            if let lost = try laterRecord(input, segment, behind: offset) { return .broken(lost) }
            return .whole(end)
        }
    }

    /// The record that the position names.
    private mutating func copyStart(_ input: borrowing FileDescriptor, _ output: borrowing FileDescriptor)
        throws(StoreError) -> Bool
    {
        let raw = try look(input, at: Int(start.offset))
        guard let header = JournalRecord.parse(raw), header.uuid == uuid, raw.count >= header.paddedBytes,
            Position(header, raw, at: Int(start.offset)) == start
        else { return false }
        try output.write(raw.slice(0, header.paddedBytes), at: Int(start.offset))
        return true
    }

    /// All that follow in this segment.
    private mutating func copyRecords(
        _ input: borrowing FileDescriptor, _ output: borrowing FileDescriptor, _ segment: UInt64,
        _ offset: inout Int
    ) throws(StoreError) {
        while true {
            let raw = try look(input, at: offset)
            var used = 0
            while let header = next(raw.slice(used, raw.count - used), segment) {
                end = Position(header, raw.slice(used, raw.count - used), at: offset + used)
                used += header.paddedBytes
            }
            guard used > 0 else { return }
            try output.write(raw.slice(0, used), at: offset)
            offset += used
        }
    }

    private func startsWithNext(_ segment: UInt64) throws(StoreError) -> Bool {
        let path = Journal.path(source, segment)
        guard FileSystem.exists(path) else { return false }
        return next(try look(FileDescriptor(path, O_RDONLY), at: 0), segment) != nil
    }

    private func look(_ input: borrowing FileDescriptor, at offset: Int) throws(StoreError)
        -> UnsafeRawBufferPointer
    {
        UnsafeRawBufferPointer(window).slice(0, try input.read(into: window, at: offset))
    }

    /// The record at the beginning if it is the next one.
    private func next(_ raw: UnsafeRawBufferPointer, _ segment: UInt64) -> JournalRecord.Header? {
        guard let header = JournalRecord.parse(raw), header.uuid == uuid, header.segment == segment,
            header.sequence == end.sequence + 1, header.previousTag == end.tag,
            header.paddedBytes <= raw.count
        else { return nil }
        return header
    }

    /// A good record behind the end that isn't the next one: between the two something is lost. A record is
    /// as long as the window at most, so what follows a bad one is in sight. One that a server has just
    /// appended is the next one, or stands behind it.
    private func laterRecord(
        _ input: borrowing FileDescriptor, _ segment: UInt64, behind start: Int
    ) throws(StoreError) -> StoreError? {
        var found = laterRecord(in: try look(input, at: start), segment)
        let following = Journal.path(source, segment + 1)
        if found == nil, FileSystem.exists(following) {
            found = laterRecord(in: try look(FileDescriptor(following, O_RDONLY), at: 0), segment + 1)
        }
        guard let found else { return nil }
        if next(try look(input, at: start), segment) != nil { return nil }
        if try startsWithNext(segment + 1) { return nil }
        return .damaged(
            path: input.path,
            detail:
                "a gap: after sequence \(end.sequence) a record is bad or missing, and a good one (\(found)) stands "
                + "behind it"
        )
    }

    private func laterRecord(in raw: UnsafeRawBufferPointer, _ segment: UInt64) -> UInt64? {
        for offset in stride(from: 0, to: raw.count, by: JournalRecord.alignment) {
            guard let header = JournalRecord.parse(raw.slice(offset, raw.count - offset)),
                header.uuid == uuid,
                header.segment == segment, header.sequence > end.sequence
            else { continue }
            return header.sequence
        }
        return nil
    }
}
