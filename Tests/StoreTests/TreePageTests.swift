import Testing

@testable import Store

/// One leaf, made by hand: what counts as whole.
@Suite struct TreePageTests {
    private static let width = 16

    /// A leaf of four records of one size, with keys 1 to 4; `change` gets the offsets that it lists.
    private func isWhole(_ change: (inout [Int]) -> Void) -> Bool {
        let page = UnsafeMutableRawBufferPointer.allocate(byteCount: TreePage.bytes, alignment: 4_096)
        defer { page.deallocate() }
        page.initializeMemory(as: UInt8.self, repeating: 0)
        func put(_ offset: Int, _ word: Int) {
            page.storeBytes(of: UInt16(word), toByteOffset: offset, as: UInt16.self)
        }
        let (values, size) = (20, TreePage.nodeHeadBytes + Self.width + 20)
        var offsets = (1...4).map { TreePage.bytes - $0 * size }
        for (index, offset) in offsets.enumerated() {
            put(offset, values)
            put(offset + 6, Self.width)
            page[offset + TreePage.nodeHeadBytes] = UInt8(index + 1)
        }
        change(&offsets)
        for (index, offset) in offsets.enumerated() { put(TreePage.headBytes + 2 * index, offset) }
        put(10, Int(TreePage.Kind.leaf.rawValue))
        put(12, TreePage.headBytes + 2 * offsets.count)
        put(14, TreePage.bytes - 4 * size)
        let start = UnsafeRawPointer(page.baseAddress ?? UnsafeMutableRawPointer(bitPattern: 1)!)
        return TreePage(start: start).isWhole(.leaf, Self.width)
    }

    @Test func aLeaf() {
        #expect(isWhole { _ in })
        #expect(!isWhole { $0.removeLast() }, "one isn't listed")
        #expect(!isWhole { $0.swapAt(1, 2) }, "two are exchanged")
        #expect(!isWhole { $0[2] = $0[1] }, "one is listed twice, another not at all: the bytes add up")
        #expect(!isWhole { $0[3] += 2 }, "one begins elsewhere")
    }
}
