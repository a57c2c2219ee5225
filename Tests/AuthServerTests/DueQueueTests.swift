import Engine
import Testing
import Wire

@testable import AuthServer

/// The queue of messages against a list that is searched from end to end.
@Suite struct DueQueueTests {
    private struct Model {
        var keys: [MessageKey] = []

        mutating func remove(_ key: MessageKey) {
            keys.removeAll { $0.challenge == key.challenge && $0.send == key.send }
        }
        mutating func put(_ key: MessageKey) {
            remove(key)
            keys.append(key)
        }
        func has(_ key: MessageKey) -> Bool {
            keys.contains { $0.challenge == key.challenge && $0.send == key.send }
        }

        /// What must come first: of the highest lane in which something is due, the earliest time.
        func first(now: UInt64) -> (MessagePriority, UInt64)? {
            for priority in [MessagePriority.high, .normal, .low] {
                let times = keys.filter { $0.priority == priority && $0.notBefore <= now }.map(\.notBefore)
                if let least = times.min() { return (priority, least) }
            }
            return nil
        }
    }

    @Test(arguments: 0..<20 as Range<UInt64>) func itIsAListInOrder(_ seed: UInt64) {
        var random = SplitMix(state: seed)
        var queue = DueQueue()
        var model = Model()
        // Few low words, so that lists have several entries.
        func key() -> MessageKey {
            let id = random.next() % 40
            return MessageKey(
                challenge: Bytes16(high: id, low: id % 3), send: UInt8(1 + random.next() % 3),
                tenant: UInt32(id % 2 + 1),
                priority: [MessagePriority.high, .normal, .low][Int(id % 3)], notBefore: random.next() % 100)
        }
        for step in 0..<3_000 {
            let key = key()
            switch random.next() % 5 {
            case 0, 1:
                queue.put(key)
                model.put(key)
            case 2:
                queue.putIfAbsent(key)
                if !model.has(key) { model.put(key) }
            case 3:
                queue.remove(key)
                model.remove(key)
            default:
                let now = random.next() % 120
                let first = queue.first(now: now)
                let expected = model.first(now: now)
                #expect(
                    first?.priority == expected?.0 && first?.notBefore == expected?.1,
                    "seed \(seed), step \(step)")
                if let first {
                    queue.remove(first)
                    model.remove(first)
                }
            }
            #expect(queue.count == model.keys.count, "seed \(seed), step \(step)")
            let ones = model.keys.filter { $0.tenant == 1 }.count
            #expect(
                queue.count(of: 1) == ones && queue.count(of: 2) == model.keys.count - ones,
                "seed \(seed), step \(step)")
        }
        while let first = queue.first(now: .max) { queue.remove(first) }
        #expect(queue.count == 0 && queue.count(of: 1) == 0 && queue.count(of: 2) == 0)
    }
}
