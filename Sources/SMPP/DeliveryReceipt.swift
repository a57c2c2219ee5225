/// What a deliver_sm says about a message of ours. The receipt's `text:` repeats our own text, code and all: it is never read.
package struct DeliveryReceipt: Equatable, Sendable {
    /// TLV receipted_message_id.
    package var taggedID: [UInt8]?
    /// `id:` of the text.
    package var textID: [UInt8]?
    package var state: MessageState
    /// `err:` of the text: the network's own number.
    package var error: [UInt8]?

    /// `nil` for a deliver_sm that is no receipt, or one that names no message or no state.
    package init?(_ message: ShortMessage) {
        guard message.isReceipt else { return nil }
        let fields = DeliveryReceipt.fields(of: message.content)
        taggedID = message.optional.value(of: OptionalParameter.Tag.receiptedMessageID)
            .map { Array($0.prefix { $0 != 0 }) }
            .flatMap { $0.isEmpty || $0.count > 64 ? nil : $0 }
        textID = fields["id"].flatMap { $0.isEmpty || $0.count > 64 ? nil : $0 }
        error = fields["err"].flatMap { $0.isEmpty || $0.count > 16 ? nil : $0 }
        guard taggedID != nil || textID != nil else { return nil }
        let tagged = message.optional.value(of: OptionalParameter.Tag.messageState)
            .flatMap { $0.count == 1 ? MessageState(rawValue: $0[0]) : nil }
        let written = fields["stat"].flatMap {
            MessageState(receiptWord: String(decoding: $0, as: UTF8.self))
        }
        guard let known = tagged ?? written else { return nil }
        state = known
    }

    /// `id:… sub:… dlvrd:… submit date:… done date:… stat:… err:… text:…`: a convention. Any may be missing, in any case of letters; the
    /// first one of a name counts, and nothing after `text:` does.
    private static func fields(of text: [UInt8]) -> [String: [UInt8]] {
        var fields: [String: [UInt8]] = [:]
        for word in text.prefix(512).split(separator: 0x20) {
            guard let colon = word.firstIndex(of: 0x3A) else { continue }
            let name = String(decoding: word[..<colon], as: UTF8.self).lowercased()
            if name == "text" { break }
            if fields[name] == nil { fields[name] = Array(word[(colon + 1)...]) }
        }
        return fields
    }
}
