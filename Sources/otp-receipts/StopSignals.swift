import Dispatch
import Glibc

/// SIGTERM, SIGINT and SIGHUP, heard instead of obeyed.
struct StopSignals {
    private let stream: AsyncStream<Void>
    private let sources: [any DispatchSourceSignal]

    init() {
        let (stream, heard) = AsyncStream<Void>.makeStream()
        self.stream = stream
        sources = [SIGTERM, SIGINT, SIGHUP].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { heard.yield() }
            source.resume()
            return source
        }
    }

    /// Until the first.
    func wait() async {
        for await _ in stream { break }
        withExtendedLifetime(sources) {}
    }
}
