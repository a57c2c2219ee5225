import Glibc

/// A thread of its own for `body`; join it before you look at what the body wrote.
func startThread(_ body: @escaping () -> Void) throws -> pthread_t {
    final class Body {
        let run: () -> Void
        init(_ run: @escaping () -> Void) { self.run = run }
    }
    var thread = pthread_t()
    let code = pthread_create(
        &thread, nil,
        { argument in
            if let argument { Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
            return nil
        }, Unmanaged.passRetained(Body(body)).toOpaque())
    guard code == 0 else { throw BenchError("pthread_create: \(String(cString: strerror(code)))") }
    return thread
}
