import CLinuxShim
import Glibc

/// A peer's socket: reads and writes without waiting, and says to epoll what to look for.
final class Socket: Transport {
    let descriptor: Int32
    let token: UInt32
    private unowned let loop: EventLoop
    private var connection: Connection?
    private(set) var reads = true
    private var writes = false
    private var isClosed = false

    init(_ descriptor: Int32, token: UInt32, loop: EventLoop, connection: Connection) {
        self.descriptor = descriptor
        self.token = token
        self.loop = loop
        self.connection = connection
    }

    // MARK: the connection's calls

    func send(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard !isClosed else { return bytes.count }
        let taken = linux_send(descriptor, bytes.baseAddress, bytes.count)
        // The peer is gone, or reads no more, or the kernel has no memory: what would come after the lost bytes is no stream any more.
        if taken < 0, taken != -Int(EAGAIN) {
            close()
            return bytes.count
        }
        let count = max(0, taken)
        watch(reads: reads, writes: count < bytes.count)
        return count
    }

    func stopReading() { watch(reads: false, writes: writes) }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        loop.ends(self)
    }

    // MARK: the loop's calls

    /// One read: level-triggered, so that a peer with much to say takes turns with the others.
    func read(into buffer: UnsafeMutableRawBufferPointer) {
        guard !isClosed else { return }
        let count = linux_receive(descriptor, buffer.baseAddress, buffer.count)
        if count == -Int(EAGAIN) { return }
        guard count > 0 else { return close() }
        connection?.received(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        if let base = buffer.baseAddress { explicit_bzero(base, count) }
    }

    func canWrite() {
        guard writes, !isClosed else { return }
        watch(reads: reads, writes: false)
        connection?.canSend()
    }

    func ended() {
        connection?.ended()
        connection = nil
    }

    private func watch(reads: Bool, writes: Bool) {
        guard !isClosed, reads != self.reads || writes != self.writes else { return }
        (self.reads, self.writes) = (reads, writes)
        loop.watch(self, reads: reads, writes: writes)
    }
}
