import Glibc

/// A folder in the making, `PATH.new-PID` beside the path that it will have: whole there or not at all. One
/// whose process is gone is removed by the next.
struct StagingFolder {
    /// Where it will stand; without a slash at its end.
    let target: String
    /// Where it is made.
    let path: String

    /// Refuses a target that is there and isn't empty.
    init(for given: String) throws(StoreError) {
        var target = given
        while target.count > 1, target.hasSuffix("/") { target.removeLast() }
        if FileSystem.exists(target), try !FileSystem.names(in: target).isEmpty {
            throw .alreadyExists(path: target)
        }
        try DataFolder.removeStaging(of: target)
        self.target = target
        path = target + ".new-\(getpid())"
        try FileSystem.makeFolder(path)
    }

    /// The target is the folder from now on, also after a power cut. Everything in it was synced before.
    func publish() throws(StoreError) {
        try FileSystem.syncFolder(path)
        try FileSystem.rename(path, target)
        try FileSystem.syncFolder(FileSystem.parent(of: target))
    }

    /// After a failure. If this fails too, the next run does it.
    func discard() {
        do { try FileSystem.removeTree(path) } catch { return }
    }

    /// Refuses at once what would end in the middle for want of space.
    /// - Parameter bytes: of the copy.
    func checkRoom(_ bytes: Int) throws(StoreError) {
        let free = FileSystem.freeBytes(at: path)
        guard UInt64(bytes) <= free else { throw .noRoom(path: target, needs: UInt64(bytes), free: free) }
    }
}
