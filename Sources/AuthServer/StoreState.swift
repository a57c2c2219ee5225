package import Engine
import Glibc
package import Store

/// The rules' view of the store in one batch. Notes the highest sequence that was read, so that a lookup's reply can wait for it.
package struct StoreState: State {
    let store: Store
    let now: UInt64
    /// The highest journal sequence read (deletions included) since `beginRequest`.
    private(set) var highestRead: UInt64 = 0

    package init(store: Store, now: UInt64) {
        self.store = store
        self.now = now
    }

    package mutating func beginRequest() { highestRead = 0 }

    package mutating func read(_ table: Table, _ key: RecordKey, into record: borrowing RecordBuffer) -> Bool {
        var result: ReadResult?
        let isThere = record.fill { buffer in
            key.withBytes { bytes in
                do {
                    let read = try store.read(table: table.rawValue, key: bytes, now: now, into: buffer)
                    result = read
                    return read.length
                } catch {
                    store.endProcess(error)
                    return -1
                }
            }
        }
        record.epoch = result?.epoch ?? 0
        record.expiresAt = result?.expiresAt ?? 0
        highestRead = max(highestRead, result?.sequence ?? 0)
        return isThere
    }

    package mutating func put(_ table: Table, _ key: RecordKey, _ record: borrowing RecordBuffer, expiresAt: UInt64) {
        key.withBytes { key in
            record.withBytes { value in
                store.put(table: table.rawValue, key: key, value: value, expiresAt: expiresAt)
            }
        }
    }

    package mutating func delete(_ table: Table, _ key: RecordKey) {
        key.withBytes { store.delete(table: table.rawValue, key: $0) }
    }

    /// The store's tables, as the rules number them.
    package static var tables: [TableSpec] {
        Table.allCases.map { table in
            let order: TableSpec.Order =
                switch table {
                case .challenge, .grant, .outbox, .event: .time
                case .slot, .phone, .account, .streak, .subject, .reference, .mark: .random
                }
            return TableSpec(
                id: table.rawValue, name: String(describing: table), keyBytes: table.keyBytes, order: order,
                maxRows: table == .event ? Bounds.maxEvents : .max, isRising: table == .event)
        }
    }
}

extension Store {
    /// A storage failure, whoever's request met it, is no request's fault: it must not come back quarantined
    /// after the repair.
    func endProcess(_ error: any Error) {
        crashNote.leave()
        AuthServer.endProcess("storage", "\(error)")
    }
}

/// Fail closed (P6): says why on standard error and ends at once; held replies are *unknown* to their askers. Nothing is guessed, nothing
/// is cleaned up: the next start recovers.
///
/// It returns in the simulation alone, where the process is then taken for dead and whatever it would still send or write is dropped.
func endProcess(_ what: String, _ why: String) {
    let line = "otpd: \(what) failure, stopping at once: \(why)\n"
    if let simulatedEnd { return simulatedEnd(line) }
    _ = line.utf8.withContiguousStorageIfAvailable { write(2, $0.baseAddress, $0.count) }
    _exit(70)
}

/// Takes the place of the process's end in the simulation, which is one thread; `nil` in every server.
nonisolated(unsafe) package var simulatedEnd: ((String) -> Void)?
