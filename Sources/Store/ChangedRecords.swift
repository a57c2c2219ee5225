/// Entries of both overlays from a key on, the newest version of each, in key order.
struct ChangedRecords {
    /// Of a rising table: the frozen overlay's keys are all below the active one's, so nothing is sorted or copied.
    private let ranges: (frozen: (Overlay, first: Int)?, active: (Overlay, first: Int))?
    private let sorted: [(overlay: Overlay, entry: Overlay.Entry)]
    private let frozenCount: Int
    let count: Int

    init(_ table: UInt8, isRising: Bool, from start: [UInt8], active: Overlay, frozen: Overlay?) {
        guard isRising else {
            sorted = ChangedRecords.collect(table, from: start, active: active, frozen: frozen)
            (ranges, frozenCount, count) = (nil, 0, sorted.count)
            return
        }
        let (inFrozen, inActive) = start.withUnsafeBytes { from in
            (frozen.map { ($0, first: $0.firstRising(from: from)) }, (active, first: active.firstRising(from: from)))
        }
        sorted = []
        ranges = (inFrozen, inActive)
        frozenCount = inFrozen.map { $0.0.risingCount - $0.first } ?? 0
        count = frozenCount + active.risingCount - inActive.first
    }

    subscript(place: Int) -> (overlay: Overlay, entry: Overlay.Entry) {
        guard let ranges else { return sorted[place] }
        if place < frozenCount, let (overlay, first) = ranges.frozen {
            return (overlay, overlay.risingEntry(first + place))
        }
        let (overlay, first) = ranges.active
        return (overlay, overlay.risingEntry(first + place - frozenCount))
    }

    func key(_ place: Int) -> UnsafeRawBufferPointer {
        let (overlay, entry) = self[place]
        return overlay.key(entry)
    }

    private static func collect(
        _ table: UInt8, from start: [UInt8], active: Overlay, frozen: Overlay?
    ) -> [(overlay: Overlay, entry: Overlay.Entry)] {
        var found: [(overlay: Overlay, entry: Overlay.Entry)] = []
        start.withUnsafeBytes { from in
            for overlay in [active, frozen].compactMap({ $0 }) {
                for index in 0..<overlay.count where overlay.entry(index).table == table {
                    let entry = overlay.entry(index)
                    let key = overlay.key(entry)
                    if isLess(key, from) { continue }
                    if overlay !== active, active.find(table, key) >= 0 { continue }
                    found.append((overlay, entry))
                }
            }
        }
        return found.sorted { isLess($0.overlay.key($0.entry), $1.overlay.key($1.entry)) }
    }
}
