import Glibc
import Synchronization

/// A host name on its way to addresses. The machine's resolver blocks for as long as it likes, so it does that on a thread of its own, and
/// a descriptor says when it is done. A number needs no resolver and is done at once.
final class HostLookup: Sendable {
    /// One of a host's addresses.
    struct Address: Sendable {
        let family: Int32
        /// A `sockaddr` of the family.
        let bytes: [UInt8]
    }

    enum Answer: Sendable {
        /// In the resolver's order of preference; at least one.
        case found([Address])
        case failed(String)
    }

    let host: String
    /// Readable when there is an answer; -1 when there is one from the start.
    let fd: Int32
    private let doneFD: Int32
    private let result: Mutex<Answer?>

    init(host: String, port: UInt16) throws(CourierError) {
        self.host = host
        if let known = HostLookup.resolve(host, port, flags: AI_NUMERICHOST), case .found = known {
            result = Mutex(known)
            (fd, doneFD) = (-1, -1)
            return
        }
        result = Mutex(nil)
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw CourierError("pipe: \(String(cString: strerror(errno)))") }
        (fd, doneFD) = (ends[0], ends[1])
        try start(port)
    }

    deinit {
        if fd >= 0 { close(fd) }
        if doneFD >= 0 { close(doneFD) }
    }

    /// `nil` while the resolver is at it.
    var answer: Answer? { result.withLock { $0 } }

    private final class Job: Sendable {
        let lookup: HostLookup
        let port: UInt16
        init(_ lookup: HostLookup, _ port: UInt16) { (self.lookup, self.port) = (lookup, port) }
    }

    /// The thread holds the lookup, whoever else has given up on it.
    private func start(_ port: UInt16) throws(CourierError) {
        let job = Unmanaged.passRetained(Job(self, port))
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { raw in
                guard let raw else { return nil }
                let job = Unmanaged<Job>.fromOpaque(raw).takeRetainedValue()
                let found = HostLookup.resolve(job.lookup.host, job.port, flags: AI_ADDRCONFIG)
                job.lookup.result.withLock { $0 = found ?? .failed("the resolver said nothing") }
                var byte: UInt8 = 1
                _ = write(job.lookup.doneFD, &byte, 1)
                return nil
            }, job.toOpaque())
        guard code == 0 else {
            job.release()
            throw CourierError("a thread for the resolver: \(String(cString: strerror(code)))")
        }
        pthread_detach(thread)
    }

    private static func resolve(_ host: String, _ port: UInt16, flags: Int32) -> Answer? {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_NUMERICSERV | flags
        var found: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, String(port), &hints, &found)
        guard status == 0 else { return .failed("\(host): \(String(cString: gai_strerror(status)))") }
        defer { freeaddrinfo(found) }
        var addresses: [Address] = []
        var next = found
        while let entry = next?.pointee, addresses.count < 16 {
            if let address = entry.ai_addr {
                let bytes = UnsafeRawBufferPointer(start: address, count: Int(entry.ai_addrlen))
                addresses.append(Address(family: entry.ai_family, bytes: Array(bytes)))
            }
            next = entry.ai_next
        }
        return addresses.isEmpty ? nil : .found(addresses)
    }
}
