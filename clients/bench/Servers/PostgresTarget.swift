import Glibc

/// PostgreSQL 15 with the same rules in functions.
final class PostgresTarget: Target {
    let kind = TargetKind.postgres
    private let scratch: Scratch
    private let child: Child
    private let socket: String
    private static let programs = "/usr/lib/postgresql/15/bin"
    private static let user = "postgres"

    init(_ options: TargetOptions) throws {
        scratch = try Scratch("postgres")
        socket = scratch.path + "/.s.PGSQL.5432"
        let (data, log) = (scratch.path + "/data", scratch.path + "/log")
        // PostgreSQL refuses to run as root.
        let isRoot = geteuid() == 0
        if isRoot { try Child.run("chown", [PostgresTarget.user, scratch.path]) }
        let prefix = isRoot ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] : []
        func command(_ program: String, _ arguments: [String]) -> (String, [String]) {
            let whole = prefix + ["\(PostgresTarget.programs)/\(program)"] + arguments
            return (whole[0], Array(whole.dropFirst()))
        }
        let initdb = command(
            "initdb", ["-D", data, "-U", PostgresTarget.user, "-A", "trust", "-E", "UTF8", "--locale=C"])
        try Child.run(initdb.0, initdb.1, log: scratch.path + "/initdb.log")
        // A quarter of the memory and rare checkpoints, as its documentation recommends for a machine of its own; durability is whole.
        let settings = [
            "listen_addresses=", "unix_socket_directories=\(scratch.path)", "shared_buffers=2GB",
            "max_wal_size=8GB",
            "checkpoint_timeout=15min", "wal_buffers=64MB", "synchronous_commit=on", "fsync=on",
            "full_page_writes=on",
            "wal_sync_method=fdatasync", "max_connections=300", "jit=off",
        ]
        let postgres = command("postgres", ["-D", data] + settings.flatMap { ["-c", $0] })
        child = try Child(postgres.0, postgres.1, log: log)
        try child.waitFor(socket, seconds: 30)
        // The socket is there before the server takes sessions: psql retries.
        var loaded = false
        for _ in 0..<50 where !loaded {
            loaded =
                (try? Child.run(
                    "psql",
                    [
                        "-h", scratch.path, "-U", PostgresTarget.user, "-d", "postgres", "-q", "-v",
                        "ON_ERROR_STOP=1", "-f",
                        "\(options.sources)/peers/postgres.sql",
                    ], log: scratch.path + "/psql.log")) != nil
            if !loaded {
                if let text = contents(scratch.path + "/psql.log"), text.contains("ERROR") {
                    throw BenchError("postgres.sql: \(text)")
                }
                usleep(100_000)
            }
        }
        guard loaded else {
            throw BenchError("PostgreSQL takes no session: \(contents(scratch.path + "/psql.log") ?? "")")
        }
    }

    var pid: pid_t { child.pid }

    func makeEngine(seed: UInt64, known: [Errand], firstShopper: UInt64) throws -> any LoadRunner {
        try LoadEngine(
            PGDialect(socket: socket, user: PostgresTarget.user), seed: seed, known: known,
            firstShopper: firstShopper)
    }

    func journal() throws -> (syncs: UInt64, bytes: UInt64)? { nil }
    /// SIGINT: fast shutdown.
    func stop() throws { child.stop(SIGINT) }
}
