// Compiled by scripts/fuzz-build.sh alone, once per target, with the target's name as a compile condition.

#if frames
    private typealias Chosen = FramesFuzz
#elseif messages
    private typealias Chosen = MessagesFuzz
#elseif journal
    private typealias Chosen = JournalFuzz
#elseif recovery
    private typealias Chosen = RecoveryFuzz
#elseif store
    private typealias Chosen = StoreFuzz
#elseif records
    private typealias Chosen = RecordsFuzz
#elseif fields
    private typealias Chosen = FieldsFuzz
#elseif config
    private typealias Chosen = ConfigFuzz
#elseif texts
    private typealias Chosen = TextsFuzz
#elseif engine
    private typealias Chosen = EngineFuzz
#elseif smpp
    private typealias Chosen = SmppFuzz
#elseif vendors
    private typealias Chosen = VendorsFuzz
#elseif desks
    private typealias Chosen = DesksFuzz
#endif

/// libFuzzer's entry: a broken promise traps, so that libFuzzer keeps the input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    do throws(FuzzFailure) {
        try Chosen.run(UnsafeRawBufferPointer(start: start, count: count))
    } catch { fatalError("\(Chosen.name): \(error)") }
    return 0
}
