/// Words for commands that are pasted into a shell.
public enum Shell {
    /// As it is, or in quotes if a shell would read it as more than one word.
    public static func quoted(_ word: String) -> String {
        let isPlain =
            !word.isEmpty
            && word.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
                default: "_@%+=:,./-".utf8.contains(byte)
                }
            }
        return isPlain ? word : "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
}
