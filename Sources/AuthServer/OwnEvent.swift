package import Wire

/// An event of the server's own life, which no request makes.
package struct OwnEvent {
    var kind: EventPush.Kind
    /// How many, of what the kind counts; `nil`: it counts nothing.
    var count: UInt64?

    package init(_ kind: EventPush.Kind, count: UInt64? = nil) {
        self.kind = kind
        self.count = count
    }
}
