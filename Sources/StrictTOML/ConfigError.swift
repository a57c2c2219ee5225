/// What is wrong with a configuration file: file, line, key, and what to write instead.
public struct ConfigError: Error, CustomStringConvertible, Equatable {
    /// `file:line: key: what is wrong. What to do.`
    public let description: String

    /// A sentence or two.
    public init(description: String) { self.description = description }
}
