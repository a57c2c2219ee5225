import Glibc

/// One non-blocking connection of the load generator, with raw buffers of its own: nothing here allocates once it runs.
final class Pipe {
    let fd: Int32
    private(set) var input: UnsafeMutableRawPointer
    private(set) var inputCount = 0
    private var output: UnsafeMutableRawPointer
    private(set) var outputCount = 0
    private var outputCapacity = 64 << 10
    /// Requests without a reply.
    var inFlight = 0
    /// Tasks in the order of their requests, for protocols without correlation ids.
    var order = Ring()
    var isDirty = false
    /// Index of the stream that it serves; -1 = the courier's.
    let stream: Int

    static let inputBytes = 256 << 10

    /// Takes over a connected socket.
    init(fd: Int32, stream: Int) {
        self.fd = fd
        self.stream = stream
        _ = fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK)
        input = .allocate(byteCount: Pipe.inputBytes, alignment: 16)
        output = .allocate(byteCount: outputCapacity, alignment: 16)
    }

    deinit {
        close(fd)
        input.deallocate()
        output.deallocate()
    }

    /// One read; false at the end of the connection.
    func fill() -> Bool {
        let count = read(fd, input + inputCount, Pipe.inputBytes - inputCount)
        if count < 0 { return errno == EAGAIN || errno == EINTR }
        inputCount += count
        return count > 0
    }

    var unread: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: input, count: inputCount) }

    func consume(_ count: Int) {
        inputCount -= count
        if inputCount > 0 { memmove(input, input + count, inputCount) }
    }

    /// Room for `count` bytes at the end of the output; they are counted as written.
    func grow(_ count: Int) -> UnsafeMutableRawPointer {
        if outputCount + count > outputCapacity {
            outputCapacity = max(2 * outputCapacity, outputCount + count)
            output = realloc(output, outputCapacity)
        }
        defer { outputCount += count }
        return output + outputCount
    }

    /// Gives back what of the last `grow` wasn't needed.
    func shrink(_ count: Int) { outputCount -= count }

    /// Writes what the socket takes; false when the connection is broken. What is left goes with the next flush.
    func flush() -> Bool {
        var done = 0
        while done < outputCount {
            let count = send(fd, output + done, outputCount - done, Int32(MSG_NOSIGNAL))
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN { break }
            guard count > 0 else { return false }
            done += count
        }
        outputCount -= done
        if outputCount > 0 { memmove(output, output + done, outputCount) }
        return true
    }
}

/// A queue of task numbers over one array that only grows to its peak.
struct Ring {
    private var items = [Int32](repeating: 0, count: 64)
    private var head = 0
    private(set) var count = 0

    mutating func append(_ item: Int32) {
        if count == items.count {
            var larger = [Int32](repeating: 0, count: 2 * items.count)
            for index in 0..<count { larger[index] = items[(head + index) & (items.count - 1)] }
            items = larger
            head = 0
        }
        items[(head + count) & (items.count - 1)] = item
        count += 1
    }

    mutating func removeFirst() -> Int32 {
        precondition(count > 0, "a reply without a request")
        let item = items[head]
        head = (head + 1) & (items.count - 1)
        count -= 1
        return item
    }
}
