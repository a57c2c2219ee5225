// Types that hold a key's state or a MAC, from which codes are derived: interpolation, `dump` and a
// debugger's mirror show their size and nothing of their content. `SecretBytes` needs none of this: what
// can't be copied can't be printed.

extension Digest32: CustomStringConvertible, CustomReflectable {
    /// The size only.
    public var description: String { "<32 bytes>" }
    /// Without children.
    public var customMirror: Mirror { Mirror(self, children: []) }
}

extension MAC: CustomStringConvertible, CustomReflectable {
    /// No state.
    public var description: String { "<MAC>" }
    /// Without children.
    public var customMirror: Mirror { Mirror(self, children: []) }
}

extension MACKey: CustomStringConvertible, CustomReflectable {
    /// No state.
    public var description: String { "<MAC key>" }
    /// Without children.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
