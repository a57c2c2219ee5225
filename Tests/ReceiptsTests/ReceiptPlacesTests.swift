import NIOCore
import NIOEmbedded
@testable import Receipts
import Testing

/// Who goes for the next connection.
@Suite struct ReceiptPlacesTests {
    private let places = ReceiptPlaces(4)

    private func channel(_ source: ReceiptPlaces.Source) throws -> (channel: EmbeddedChannel, isTaken: Bool) {
        let channel = EmbeddedChannel()
        try channel.connect(to: SocketAddress(unixDomainSocketPath: "/x")).wait()
        return (channel, places.take(channel, from: source))
    }

    @Test func theOldestThatWaits() throws {
        let all = try (0..<4).map { _ in try channel(.user(1)).channel }
        places.beginAnswer(all[0])
        places.beginAnswer(all[1])
        places.endAnswer(all[1])
        for gone in [2, 3, 1] {
            #expect(try channel(.user(1)).isTaken)
            #expect(all.map(\.isActive)[gone] == false, "\(gone) has its place")
        }
        #expect(all[0].isActive && places.isAnswering)
    }

    @Test func ofTheSourceWithTheMost() throws {
        let first = try channel(.address("127.0.0.1")).channel
        let flood = try (0..<3).map { _ in try channel(.address("127.0.0.9")).channel }
        for _ in 0..<10 { #expect(try channel(.address("127.0.0.9")).isTaken) }
        #expect(first.isActive && !flood.contains { $0.isActive })
    }

    @Test func nobodyWhoIsAnswered() throws {
        for _ in 0..<4 { places.beginAnswer(try channel(.user(1)).channel) }
        #expect(try !channel(.user(2)).isTaken)
    }

    @Test func placesComeBack() throws {
        let all = try (0..<4).map { _ in try channel(.user(1)).channel }
        for one in all.prefix(2) { _ = try one.finish() }
        _ = try (0..<2).map { _ in try channel(.user(2)) }
        #expect(all[2].isActive && all[3].isActive)
    }
}
