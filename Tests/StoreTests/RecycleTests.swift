import Testing

@testable import Store

/// Segments are used again: making one takes the disk from every sync beside it.
@Suite struct RecycleTests {
    private let bytes = 8 << 10

    private func names(_ folder: String) throws -> [String] { try FileSystem.names(in: folder).sorted() }

    @Test func twoOldSegmentsBecomeSparesAndTheOthersGo() throws {
        let test = try TestStore(segmentBytes: bytes)
        try test.close()
        let folder = test.path + "/journal"
        for name in try names(folder) { try FileSystem.remove(folder + "/" + name) }
        #expect(try Journal.recycle(folder, before: 1, segmentBytes: bytes) == 1, "none is old: one is made")
        #expect(try names(folder) == ["spare"])
        for segment in 1...4 as ClosedRange<UInt64> {
            try Journal.preallocate(Journal.path(folder, segment), bytes: bytes)
        }
        #expect(try Journal.recycle(folder, before: 2, segmentBytes: bytes) == 2)
        #expect(try names(folder) == [2, 3, 4].map { Journal.name($0) } + ["spare", "spare-2"])
        #expect(try Journal.recycle(folder, before: 4, segmentBytes: bytes) == 2)
        #expect(try names(folder) == [Journal.name(4), "spare", "spare-2"])
    }

    /// The first spare may be gone, and the second there.
    @Test func anySpareServes() throws {
        let test = try TestStore(segmentBytes: bytes)
        try test.close()
        let folder = test.path + "/journal"
        try FileSystem.rename(folder + "/spare", folder + "/spare-2")
        try test.open()
        for number in 0..<20 { try test.put(0, TestStore.key(number, 0), [UInt8](repeating: 7, count: 900)); try test.commit() }
        let spares = try names(folder).filter { $0.hasPrefix("spare") }
        #expect(spares.isEmpty, "it was taken: \(spares)")
        try test.reopen()
        #expect(try test.read(0, TestStore.key(19, 0))?.count == 900)
        #expect(try names(folder).contains("spare"), "a start makes one")
    }

    @Test func aStartThrowsSparesOfAnotherSizeAway() throws {
        let test = try TestStore(segmentBytes: bytes)
        try test.close()
        let folder = test.path + "/journal"
        try Journal.preallocate(folder + "/spare-2", bytes: 2 * bytes)
        try test.open()
        #expect(try names(folder).filter { $0.hasPrefix("spare") } == ["spare"])
    }
}
