import Glibc

/// A segment in memory, as long as the file is: a segment made under another setting is read to its end.
final class SegmentBytes {
    let path: String
    let number: UInt64
    private let buffer: UnsafeMutableRawBufferPointer
    let bytes: UnsafeRawBufferPointer

    init(_ folder: String, _ number: UInt64) throws(StoreError) {
        self.number = number
        path = Journal.path(folder, number)
        let file = try FileDescriptor(path, O_RDONLY)
        buffer = .allocate(byteCount: try file.size, alignment: 4096)
        do throws(StoreError) {
            bytes = UnsafeRawBufferPointer(buffer).slice(0, try file.read(into: buffer, at: 0))
        } catch {
            buffer.deallocate()
            throw error
        }
    }

    deinit { buffer.deallocate() }

    /// From `offset` to the file's end.
    func from(_ offset: Int) -> UnsafeRawBufferPointer {
        let start = min(max(0, offset), bytes.count)
        return bytes.slice(start, bytes.count - start)
    }

    /// A segment gets its name whole: preallocated, synced, renamed. One that no setting makes was cut since.
    var isCut: Bool { bytes.count < Journal.leastSegmentBytes || bytes.count % JournalRecord.alignment != 0 }
}
