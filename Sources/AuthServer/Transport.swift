/// A connection's way to its peer: a socket, or the simulation's.
package protocol Transport: AnyObject {
    /// Hands bytes on without waiting; how many were taken. Fewer than all: `Connection.canSend` follows when there is room. One that
    /// fails takes all of them and ends.
    func send(_ bytes: UnsafeRawBufferPointer) -> Int
    /// Takes no more of what the peer sends.
    func stopReading()
    /// Ends it; `Connection.ended` follows, not from within this call.
    func close()
}

/// What wakes a batch besides its peers.
package enum Signal: Sendable {
    /// An overlapped sync has ended.
    case synced
    /// A checkpoint has ended.
    case checkpointed
}
