import NIOConcurrencyHelpers
import NIOCore

/// Who is connected, and who goes for the next when every place is taken: of the source that has the most places, the connection that has
/// waited longest for its request. Half requests keep nobody out, and one source's flood costs its own connections first.
/// All on the one loop, but for the stop's look.
final class ReceiptPlaces: Sendable {
    /// Whom a connection comes from: a user on a Unix socket, an address on a port.
    enum Source: Hashable, Sendable {
        case user(UInt32)
        case address(String)
    }

    private struct Place {
        var channel: any Channel
        var source: Source
        /// When it came, or had its last answer, in counts of these.
        var since: UInt64
        var isAnswered = false
    }

    private struct Places {
        var taken: [ObjectIdentifier: Place] = [:]
        var count: UInt64 = 0
        /// Of those that have gone meanwhile, too.
        var answering = 0

        mutating func next() -> UInt64 {
            count += 1
            return count
        }

        /// Whose place the next one gets; `nil` = all are being answered.
        func oldestWaiting() -> ObjectIdentifier? {
            var perSource: [Source: Int] = [:]
            for place in taken.values { perSource[place.source, default: 0] += 1 }
            return taken.filter { !$0.value.isAnswered }.max { a, b in
                let (more, less) = (perSource[a.value.source] ?? 0, perSource[b.value.source] ?? 0)
                return more == less ? a.value.since > b.value.since : more < less
            }?.key
        }
    }

    private let capacity: Int
    private let places = NIOLockedValueBox(Places())

    init(_ capacity: Int) { self.capacity = capacity }

    /// `false` = there is no place, nor one to be had.
    func take(_ channel: any Channel, from source: Source) -> Bool {
        let id = ObjectIdentifier(channel)
        let (isTaken, gone) = places.withLockedValue { places -> (Bool, (any Channel)?) in
            var gone: (any Channel)?
            if places.taken.count >= capacity {
                guard let oldest = places.oldestWaiting() else { return (false, nil) }
                gone = places.taken.removeValue(forKey: oldest)?.channel
            }
            places.taken[id] = Place(channel: channel, source: source, since: places.next())
            return (true, gone)
        }
        gone?.close(promise: nil)
        if isTaken {
            channel.closeFuture.whenComplete { [places] _ in places.withLockedValue { _ = $0.taken.removeValue(forKey: id) } }
        }
        return isTaken
    }

    /// Its request is whole: it keeps its place until the answer is written.
    func beginAnswer(_ channel: any Channel) {
        places.withLockedValue { places in
            places.answering += 1
            places.taken[ObjectIdentifier(channel)]?.isAnswered = true
        }
    }

    func endAnswer(_ channel: any Channel) {
        places.withLockedValue { places in
            places.answering -= 1
            let now = places.next()
            places.taken[ObjectIdentifier(channel)]?.isAnswered = false
            places.taken[ObjectIdentifier(channel)]?.since = now
        }
    }

    var isAnswering: Bool { places.withLockedValue { $0.answering > 0 } }
}
