import CFaultDisk
import CLMDB
import Foundation
import Glibc
import Testing

/// The disk model itself: what it calls durable, lost, torn; and that liblmdb's calls reach it.
@Suite(.serialized) struct FaultDiskTests {
    /// A watched folder on the tmpfs.
    final class Folder {
        let path: String
        init() {
            var template = Array("/dev/shm/otpd-fault-XXXXXX".utf8CString)
            path = mkdtemp(&template).map { String(cString: $0) } ?? ""
            fault_disk_watch(path)
        }
        deinit {
            fault_disk_stop()
            try? FileManager.default.removeItem(atPath: path)
        }
        func open(_ name: String, _ flags: Int32 = O_RDWR | O_CREAT) -> Int32 {
            Glibc.open(path + "/" + name, flags, 0o600)
        }
        func write(_ name: String, _ text: String, at offset: Int = 0, flags: Int32 = 0, syncs: Bool = false)
        {
            let fd = open(name, O_RDWR | O_CREAT | flags)
            #expect(pwrite(fd, text, text.utf8.count, off_t(offset)) == text.utf8.count)
            if syncs { #expect(fdatasync(fd) == 0) }
            close(fd)
        }
        func syncNames(_ name: String = "") {
            let fd = open(name, O_RDONLY | O_DIRECTORY)
            #expect(fd >= 0 && fsync(fd) == 0)
            close(fd)
        }
        func text(_ name: String) -> String? {
            FileManager.default.contents(atPath: path + "/" + name).map {
                String(decoding: $0, as: UTF8.self)
            }
        }
        func crash(_ how: Int, _ seed: UInt64 = 0) -> UInt64 { fault_disk_crash(UInt32(how), seed) }
    }

    @Test func onlyWhatIsSyncedSurvives() {
        let folder = Folder()
        folder.write("a", "one", syncs: true)
        #expect(folder.crash(CRASH_ALL_LOST) == 1, "the name isn't durable")
        #expect(folder.text("a") == nil)
        folder.write("a", "one", syncs: true)
        folder.syncNames()
        folder.write("a", "two")
        #expect(folder.text("a") == "two", "the process sees what it wrote")
        #expect(folder.crash(CRASH_ALL_LOST) == 1)
        #expect(folder.text("a") == "one")
        folder.write("a", "two")
        #expect(folder.crash(CRASH_ALL_KEPT) == 1)
        #expect(folder.text("a") == "two")
    }

    @Test func namesAreDurableWithTheirFolder() {
        let folder = Folder()
        mkdir(folder.path + "/sub", 0o700)
        folder.write("sub/a", "x", syncs: true)
        folder.syncNames("sub")
        #expect(folder.crash(CRASH_ALL_LOST) == 1, "the folder's own name isn't durable")
        #expect(folder.text("sub/a") == nil)
        mkdir(folder.path + "/sub", 0o700)
        folder.write("sub/a", "x", syncs: true)
        folder.write("sub/b", "y", syncs: true)
        folder.syncNames("sub")
        folder.syncNames()
        rename(folder.path + "/sub/a", folder.path + "/sub/b")
        rename(folder.path + "/sub/b", folder.path + "/sub/c")
        #expect(folder.text("sub/c") == "x")
        #expect(folder.crash(CRASH_ONE_LOST, 0) == 2)
        #expect(
            folder.text("sub/a") == "x" && folder.text("sub/b") == "y" && folder.text("sub/c") == nil,
            "renames of one file keep order")
        rename(folder.path + "/sub/a", folder.path + "/sub/b")
        #expect(folder.crash(CRASH_ALL_KEPT) == 1)
        #expect(folder.text("sub/a") == nil && folder.text("sub/b") == "x")
        unlink(folder.path + "/sub/b")
        folder.syncNames("sub")
        #expect(folder.crash(CRASH_ALL_LOST) == 0)
        #expect(folder.text("sub/b") == nil)
    }

    /// O_DSYNC: its own range, and an older unsynced write of the same bytes never comes out on top.
    @Test func aWriteThroughIsItsOwn() {
        for how in [CRASH_ALL_LOST, CRASH_ALL_KEPT] {
            let folder = Folder()
            folder.write("a", "________", syncs: true)
            folder.syncNames()
            folder.write("a", "aaaaaaaa")
            folder.write("a", "BB", at: 2, flags: O_DSYNC)
            #expect(folder.crash(how) == 1)
            #expect(folder.text("a") == (how == CRASH_ALL_LOST ? "__BB____" : "aaBBaaaa"))
        }
    }

    @Test func writesTearAtSectors() {
        var seen: Set<String> = []
        for seed in 0..<200 as Range<UInt64> {
            let folder = Folder()
            folder.write("a", String(repeating: "_", count: 2048), syncs: true)
            folder.syncNames()
            folder.write("a", String(repeating: "x", count: 1536), at: 256)
            #expect(folder.crash(CRASH_TORN, seed) == 1)
            let text = folder.text("a") ?? ""
            #expect(text.utf8.count == 2048)
            let bytes = Array(text.utf8)
            // Pieces: 256–511, 512–1023, 1024–1535, 1536–1791.
            let pieces = [256..<512, 512..<1024, 1024..<1536, 1536..<1792].map { Set(bytes[$0]) }
            #expect(pieces.allSatisfy { $0.count == 1 }, "a sector is whole or not at all")
            seen.insert(pieces.map { $0.contains(UInt8(ascii: "x")) ? "x" : "_" }.joined())
        }
        #expect(seen.count >= 14, "tears: \(seen.sorted())")
    }

    @Test func thePowerGoesInACall() {
        let folder = Folder()
        folder.write("a", "one", syncs: true)
        folder.syncNames()
        let calls = fault_disk_calls()
        fault_disk_crash_at(calls + 2)
        folder.write("a", "two", syncs: true)
        #expect(fault_disk_is_off())
        folder.write("b", "more", syncs: true)
        #expect(folder.text("b") == "more", "every call seems to succeed")
        #expect(folder.crash(CRASH_ALL_LOST) == 1)
        #expect(folder.text("a") == "one", "the sync in which the power goes syncs nothing")
        #expect(folder.text("b") == nil)
        #expect(!fault_disk_is_off())
    }

    @Test func callsFailAsAsked() {
        let folder = Folder()
        let fd = folder.open("a")
        fault_disk_fail(UInt32(FAULT_WRITE), 2, ENOSPC, false)
        #expect(pwrite(fd, "abcd", 4, 0) == 4)
        #expect(pwrite(fd, "abcd", 4, 4) == -1 && errno == ENOSPC)
        #expect(pwrite(fd, "abcd", 4, 4) == 4)
        fault_disk_fail(UInt32(FAULT_WRITE), 1, 0, false)
        #expect(pwrite(fd, "efgh", 4, 8) == 2, "a short write is honest")
        fault_disk_fail(UInt32(FAULT_SYNC), 1, EIO, true)
        #expect(fdatasync(fd) == -1 && errno == EIO)
        #expect(fsync(fd) == -1 && errno == EIO)
        fault_disk_mend()
        folder.syncNames()
        #expect(fdatasync(fd) == 0)
        close(fd)
        #expect(folder.crash(CRASH_ALL_LOST) == 3)
        #expect(folder.text("a") == "", "a sync after a failed one doesn't save its data")
    }

    /// liblmdb's own calls are led through here: its symbols are looked up in the executable first.
    @Test func liblmdbArrives() throws {
        let folder = Folder()
        var env: OpaquePointer?
        #expect(mdb_env_create(&env) == 0)
        #expect(mdb_env_open(env, folder.path, UInt32(MDB_NOTLS), 0o600) == 0)
        fault_disk_record()
        var transaction: OpaquePointer?
        #expect(mdb_txn_begin(env, nil, 0, &transaction) == 0)
        var dbi: MDB_dbi = 0
        #expect(mdb_dbi_open(transaction, nil, 0, &dbi) == 0)
        var (key, value) = (Array("key".utf8), [UInt8](repeating: 7, count: 6_000))
        key.withUnsafeMutableBytes { k in
            value.withUnsafeMutableBytes { v in
                var (k, v) = (
                    MDB_val(mv_size: k.count, mv_data: k.baseAddress),
                    MDB_val(mv_size: v.count, mv_data: v.baseAddress)
                )
                #expect(mdb_put(transaction, dbi, &k, &v, 0) == 0)
            }
        }
        #expect(mdb_txn_commit(transaction) == 0)
        mdb_env_close(env)
        let log = try #require(fault_disk_take_log())
        defer { fault_log_free(log) }
        var words: [String] = []
        for index in 0..<fault_log_length(log) {
            var text = [CChar](repeating: 0, count: 200)
            fault_log_describe(log, index, &text, text.count)
            words.append(text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) })
        }
        // Data pages, their sync, the meta page through the second descriptor: the protocol that the crash states rest on.
        #expect(words.contains { $0.hasPrefix("write data.mdb") })
        #expect(words.suffix(2).first == "sync data.mdb")
        #expect(words.last?.hasPrefix("write through data.mdb, 120 bytes at ") == true, "\(words)")
    }

    /// Each state of a recording can be made, and equal ones have equal numbers.
    @Test func aRecordingIsPlayedBack() throws {
        let folder = Folder()
        fault_disk_record()
        folder.write("a", "one", syncs: true)
        folder.syncNames()
        fault_disk_mark(7)
        folder.write("a", "two")
        folder.write("a", "x", at: 3)
        let log = try #require(fault_disk_take_log())
        defer { fault_log_free(log) }
        var mark: UInt64 = 0
        let place = try #require((0..<fault_log_length(log)).first { fault_log_mark(log, $0, &mark) })
        #expect(mark == 7)
        for (length, how, seed, expected) in [
            (place, CRASH_ALL_LOST, 0, "one"), (place + 3, CRASH_ALL_LOST, 0, "one"),
            (place + 3, CRASH_ALL_KEPT, 0, "twox"),
            (place + 3, CRASH_ONE_LOST, 0, "onex"), (place + 3, CRASH_ONE_KEPT, 0, "two"),
            (place + 3, CRASH_PREFIX, 1, "two"),
            (1, CRASH_ALL_KEPT, 0, ""), (0, CRASH_ALL_KEPT, 0, nil),
        ] as [(Int, Int, UInt64, String?)] {
            fault_log_seek(log, length)
            fault_log_build(log, UInt32(how), seed, folder.path)
            #expect(folder.text("a") == expected, "\(length) \(how)")
        }
        fault_log_seek(log, place + 3)
        #expect(fault_log_pending(log) == 2)
        #expect(
            fault_log_hash(log, UInt32(CRASH_PREFIX), 2) == fault_log_hash(log, UInt32(CRASH_ALL_KEPT), 0))
        #expect(
            fault_log_hash(log, UInt32(CRASH_ALL_LOST), 0) != fault_log_hash(log, UInt32(CRASH_ALL_KEPT), 0))
    }
}
