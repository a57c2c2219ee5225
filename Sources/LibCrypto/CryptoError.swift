/// What can go wrong that isn't a bug.
public enum CryptoError: Error, Equatable, Sendable {
    /// The tag doesn't fit: wrong key, wrong associated data, or changed bytes.
    case authenticationFailed
    /// Shorter than a tag.
    case tooShort(Int)
}
