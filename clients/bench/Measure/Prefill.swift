import ArgumentParser
import AuthServer
import CLinuxShim
import Engine
import Glibc
import LibCrypto
import Store
import Wire

/// A store of any size, offline and quickly: each record is the engine's own, by a RequestCode of a shopper of its own; the store folds them into
/// LMDB in few, large checkpoints. Messages count as delivered, so no courier has to take ten million of them.
struct Prefill: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a data folder with N open challenges, each of its own phone and account.",
        discussion:
            "Challenges live as long as any: measure within five minutes. `otp-bench bench --records` does both."
    )

    @Option(help: "The folder to make: data, master.key and `known`, a sample of the challenges.")
    var folder: String
    @Option(help: "Challenges.")
    var records: Int
    @Option(help: "Memory for the records that wait for a checkpoint, GiB.")
    var memory = 6.0
    @Option(help: "Seed of ids and entropy.")
    var seed: UInt64 = 1

    /// Challenges that later loads look up, at most.
    private static let sample = 100_000

    func run() throws {
        guard (1...99_000_000).contains(records), memory > 0 else {
            throw ValidationError("--records is 1 to 99,000,000 (phones have eight digits), --memory above 0")
        }
        let started = linux_monotonic_nanos()
        try Report.makeFolder(folder)
        let master = try MasterKey.create(at: folder + "/master.key")
        try Store.create(at: folder + "/data", master: master)
        let store = try Store(opening: options, master: master)
        let engine = Engine(
            tenants: [TenantPolicy(number: 1, name: "shop", shop: "shop")], keys: EngineKeys(master: master))
        var lines = ["records \(records)"]
        var traffic = PrefillTraffic(seed: seed, now: linux_realtime_nanos() / 1_000_000)
        let every = UInt64(max(1, records / Prefill.sample))
        var next: UInt64 = 1
        while next <= records {
            engine.beginBatch()
            var state = NewRecords(store: store)
            let context = BatchContext(
                now: traffic.now, wall: traffic.now, epoch: store.epoch, voidBefore: 0,
                sequence: store.nextSequence)
            while next <= records, store.canAccept {
                let request = traffic.request(next)
                let reply = engine.decide(
                    .requestCode(request), caller: Caller(tenant: 1, uid: geteuid()), context: context,
                    entropy: traffic.entropy(),
                    state: &state)
                guard case .challenge(let made) = reply else {
                    throw BenchError("a fresh shopper was refused: \(reply)")
                }
                if next % every == 0 { lines.append("\(next) \(request.requestID) \(made.challenge)") }
                next += 1
            }
            engine.beginBatch()
            if !store.batchIsEmpty {
                guard try store.commit(clock: traffic.clock()) == .synced else {
                    throw BenchError("an inline commit is synced at once")
                }
            }
            try store.maintain(now: traffic.now)
            if !store.canAccept { usleep(1_000) }
        }
        try store.close(now: traffic.now)
        try Report.write(lines.joined(separator: "\n") + "\n", to: folder + "/known")
        let seconds = Double(linux_monotonic_nanos() - started) / 1e9
        print(
            "prefill: \(Text.number(Double(records))) challenges in \(folder), \(Text.number(seconds)) s, \(Text.number(Double(records) / seconds))/s, seed \(seed)"
        )
    }

    private var options: StoreOptions {
        var options = StoreOptions(path: folder + "/data", tables: StoreState.tables)
        options.commit = .inline
        // Time doesn't go on, so only size starts a checkpoint.
        let bytes = min(Int(memory * 0.4 * 1_073_741_824), 4 << 30 - 1 << 20, 64 << 20 + records * 3_000)
        options.overlayBytes = bytes
        options.overlayRecords = max(131_072, bytes / 128)
        options.checkpointRecords = options.overlayRecords / 2
        return options
    }
}

/// Puts of records that are new: nothing is there to be read.
private struct NewRecords: State {
    let store: Store

    mutating func read(_ table: Table, _ key: RecordKey, into record: borrowing RecordBuffer) -> Bool { false }

    mutating func put(_ table: Table, _ key: RecordKey, _ record: borrowing RecordBuffer, expiresAt: UInt64) {
        guard table != .outbox else { return }
        key.withBytes { key in
            record.withBytes { store.put(table: table.rawValue, key: key, value: $0, expiresAt: expiresAt) }
        }
    }

    mutating func delete(_ table: Table, _ key: RecordKey) {
        key.withBytes { store.delete(table: table.rawValue, key: $0) }
    }
}

/// Requests as `OTPDialect` writes them: the same names of accounts and phones, the session derived from the request id.
private struct PrefillTraffic {
    /// Engine time of all of them: they are as old as the last commit, not as the first.
    let now: UInt64
    private var random: SeededGenerator
    private let bootID: (UInt64, UInt64)

    init(seed: UInt64, now: UInt64) {
        self.now = now
        random = SeededGenerator(seed: seed)
        let digits = (contents("/proc/sys/kernel/random/boot_id") ?? "").filter { $0.isHexDigit }
        bootID = (UInt64(digits.prefix(16), radix: 16) ?? 0, UInt64(digits.suffix(16), radix: 16) ?? 0)
    }

    /// The boot is this one, so that otpd goes on from the last commit.
    func clock() -> StoreClock {
        StoreClock(
            bootID: bootID, boottimeMs: linux_boottime_nanos() / 1_000_000, engineMs: now,
            wallMs: linux_realtime_nanos() / 1_000_000)
    }

    mutating func request(_ shopper: UInt64) -> RequestCode {
        let digits = String(shopper)
        let number = String(repeating: "0", count: 8 - digits.count) + digits
        var message = RequestCode()
        let id = Bytes16(
            timeMs: now, tailHigh: UInt16(truncatingIfNeeded: random.next()), tailLow: random.next())
        message.requestID = id
        message.purpose = 1
        message.assurance = Assurance.firstFactor.rawValue
        message.account = AccountBytes("account-" + number)
        message.phone = PhoneBytes("+336" + number)
        message.session = Bytes32(head: id, tail: Bytes16(high: ~id.low, low: ~id.high))
        return message
    }

    mutating func entropy() -> Entropy {
        var words = InlineArray<8, UInt64>(repeating: 0)
        for index in 0..<8 { words[index] = random.next() }
        return withUnsafeBytes(of: &words) { Entropy($0) }
    }
}
