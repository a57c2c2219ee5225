import CLinuxShim
import Glibc
import Synchronization

/// Honest clients that come anew, two a second, on a thread of their own: what they wait for isn't held against the others.
final class ConnectProbe: @unchecked Sendable {  // the thread alone touches the results until `stop` has joined it
    private let socket: String
    private let isStopping = Atomic<Bool>(false)
    private var thread = pthread_t()
    /// Nanoseconds from connect to Hello's reply.
    private var nanos: [UInt64] = []
    private var failure: String?

    init(_ socket: String) throws {
        self.socket = socket
        let code = pthread_create(
            &thread, nil,
            { argument in
                if let argument { Unmanaged<ConnectProbe>.fromOpaque(argument).takeRetainedValue().run() }
                return nil
            }, Unmanaged.passRetained(self).toOpaque())
        guard code == 0 else { throw BenchError("pthread_create: \(String(cString: strerror(code)))") }
    }

    private func run() {
        while !isStopping.load(ordering: .relaxed), failure == nil {
            let start = linux_monotonic_nanos()
            do {
                _ = try BenchPeer(socket)
                nanos.append(linux_monotonic_nanos() - start)
            } catch { failure = "\(error)" }
            usleep(500_000)
        }
    }

    /// Sorted; throws when one wasn't let in.
    func stop() throws -> [UInt64] {
        isStopping.store(true, ordering: .relaxed)
        pthread_join(thread, nil)
        if let failure { throw BenchError("an honest client wasn't let in: \(failure)") }
        return nanos.sorted()
    }
}
