// swift-tools-version: 6.2
import PackageDescription

/// One set of compiler settings for every target of ours.
///
/// - `ExistentialAny`: an existential is a cost; the word `any` makes it visible.
/// - `MemberImportVisibility`: a file names every module whose members it uses.
/// - `InternalImportsByDefault`: a dependency stays out of our public interface unless we say so.
/// - warnings are errors in CI (`CI=true`, as `.ci/run` sets it), not on a developer's machine in mid-change.
let settings: [SwiftSetting] =
    [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("InternalImportsByDefault"),
    ] + (Context.environment["CI"] == nil ? [] : [.treatAllWarnings(as: .error)])

/// For targets that hold no pointer at all: the compiler proves it.
let safeSettings: [SwiftSetting] = settings + [.strictMemorySafety()]

let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
]
let http: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let locks: Target.Dependency = .product(name: "NIOConcurrencyHelpers", package: "swift-nio")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let log: Target.Dependency = .product(name: "Logging", package: "swift-log")

let package = Package(
    name: "otpd",
    products: [
        // Its messages are Wire's: who uses the one imports the other.
        .library(name: "AuthClient", targets: ["AuthClient", "Wire"]),
        .executable(name: "otpd", targets: ["otpd"]),
        .executable(name: "otpctl", targets: ["otpctl"]),
        .executable(name: "otp-courier", targets: ["otp-courier"]),
        .executable(name: "otp-receipts", targets: ["otp-receipts"]),
        .executable(name: "otp-bench", targets: ["otp-bench"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        // C libraries of the distribution, and what Glibc's Swift overlay lacks.
        .systemLibrary(name: "CLMDB", path: "Sources/CLMDB", pkgConfig: "lmdb", providers: [.apt(["liblmdb-dev"])]),
        .systemLibrary(
            name: "COpenSSL", path: "Sources/COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CTLS", path: "Sources/CTLS", pkgConfig: "libssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CCurl", path: "Sources/CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .target(name: "CLinuxShim"),
        .target(name: "Permissions", swiftSettings: settings),
        .target(name: "Launch", dependencies: ["CLinuxShim", arguments], swiftSettings: settings),

        // The core, leaves first.
        .target(name: "Wire", exclude: ["PROTOCOL.md"], swiftSettings: settings),
        .target(name: "LibCrypto", dependencies: ["COpenSSL", "CLinuxShim"], swiftSettings: settings),
        .target(name: "SMSText", swiftSettings: safeSettings),
        .target(name: "StrictTOML", dependencies: ["TOMLKit", "CLinuxShim", "Permissions"], swiftSettings: settings),
        .target(name: "Engine", dependencies: ["Wire", "LibCrypto"], swiftSettings: settings),
        .target(name: "Store", dependencies: ["CLMDB", "LibCrypto", "CLinuxShim", "Permissions"], exclude: ["SCHEMA.md"], swiftSettings: settings),
        .target(
            name: "AuthServer",
            dependencies: ["Wire", "Engine", "Store", "SMSText", "LibCrypto", "CLinuxShim", "Permissions", log, "StrictTOML"],
            exclude: ["ARCHITECTURE.md", "otpd.toml"], swiftSettings: settings),
        .target(name: "SMPP", dependencies: ["SMSText"], swiftSettings: safeSettings),
        .target(name: "HTTPGateway", dependencies: ["SMSText", "LibCrypto"], swiftSettings: safeSettings),
        .target(name: "Courier", dependencies: ["Wire", "SMSText", "SMPP", "HTTPGateway", "StrictTOML", "CTLS", "CCurl", "CLinuxShim", "Permissions"], exclude: ["OPERATING.md", "courier.toml"], swiftSettings: settings),
        .target(
            name: "CDigest", path: "clients/swift/Sources/CDigest", linkerSettings: [.linkedLibrary("crypto")]),
        .target(
            name: "AuthClient", dependencies: ["Wire", "CDigest"] + nio, path: "clients/swift/Sources/AuthClient",
            swiftSettings: settings),
        .target(
            name: "Receipts", dependencies: ["HTTPGateway", "StrictTOML", "AuthClient", "Wire", "CLinuxShim", http, locks] + nio,
            exclude: ["receipts.toml"], swiftSettings: settings),

        // Thin executables.
        .executableTarget(name: "otpd", dependencies: ["AuthServer", "CLinuxShim", "LibCrypto", "Store", "Launch", "Permissions", log, arguments], swiftSettings: settings),
        .executableTarget(name: "otpctl", dependencies: ["AuthClient", "AuthServer", "CLinuxShim", "Engine", "SMSText", "Store", "Wire", "Launch", "Permissions", arguments], swiftSettings: settings),
        .executableTarget(name: "otp-courier", dependencies: ["Courier", "SMPP", "StrictTOML", "CLinuxShim", "Launch", arguments], swiftSettings: settings),
        .executableTarget(
            name: "otp-receipts", dependencies: ["Receipts", "AuthClient", "StrictTOML", "Wire", "CLinuxShim", "Launch", "Permissions", arguments], swiftSettings: settings),
        .target(name: "CBenchPoll", path: "clients/bench/poll"),
        .executableTarget(
            name: "otp-bench",
            dependencies: [
                "Wire", "AuthClient", "AuthServer", "Engine", "Store", "LibCrypto", "CLinuxShim", "CBenchPoll", arguments,
                .product(name: "Histogram", package: "hdrhistogram-swift"),
            ],
            path: "clients/bench", exclude: ["floor", "probe", "peers", "poll", "README.md"], swiftSettings: settings),

        // What proves the promises: a disk that loses what isn't synced, and the whole server on it. Never part of a release.
        .target(name: "CFaultDisk", path: "Tests/FaultDisk"),
        .target(name: "CSimMachine", path: "Tests/SimMachine"),
        .executableTarget(
            name: "otp-sim",
            dependencies: [
                "AuthServer", "Engine", "Store", "Wire", "SMSText", "LibCrypto", "CFaultDisk", "CSimMachine", "CLinuxShim", "COpenSSL", arguments,
            ], path: "Tests/Sim", swiftSettings: settings),

        // The real binary, killed, starved and misled. Its C part is a preload library that it compiles itself.
        .executableTarget(
            name: "otp-crash", dependencies: ["Wire", "CLinuxShim", "otpd", arguments], path: "Tests/Crash",
            exclude: ["fault"], swiftSettings: settings),
        .executableTarget(
            name: "otp-churn", dependencies: ["AuthServer", "Engine", "Store", "Wire", "LibCrypto", "CLinuxShim", arguments],
            path: "Tests/Churn", swiftSettings: settings),

        // Replays what fuzzing has found and its corpora, without libFuzzer; scripts/fuzz-build.sh compiles the same targets with it.
        .testTarget(
            name: "FuzzReplayTests", dependencies: ["AuthServer", "Engine", "HTTPGateway", "LibCrypto", "SMPP", "SMSText", "Store", "StrictTOML", "Wire"],
            path: "Tests/Fuzz", exclude: ["Entry.swift", "corpus", "finds", "planted"], swiftSettings: settings),
        .testTarget(name: "WireTests", dependencies: ["Wire"], swiftSettings: settings),
        .testTarget(name: "LibCryptoTests", dependencies: ["LibCrypto"], swiftSettings: settings),
        .testTarget(name: "SMSTextTests", dependencies: ["SMSText"], swiftSettings: settings),
        .testTarget(name: "EngineTests", dependencies: ["Engine", "Wire", "LibCrypto"], swiftSettings: settings),
        .testTarget(name: "FaultDiskTests", dependencies: ["CFaultDisk", "CLMDB"], swiftSettings: settings),
        .testTarget(
            name: "StoreTests", dependencies: ["Store", "LibCrypto", "CLinuxShim", "CLMDB", "CFaultDisk"], swiftSettings: settings),
        .testTarget(
            name: "AuthServerTests",
            dependencies: ["AuthServer", "Wire", "Engine", "Store", "StrictTOML", "LibCrypto", "Permissions"], swiftSettings: settings),
        .testTarget(name: "SMPPTests", dependencies: ["SMPP", "SMSText"], swiftSettings: settings),
        .testTarget(name: "HTTPGatewayTests", dependencies: ["HTTPGateway", "LibCrypto"], swiftSettings: settings),
        .testTarget(name: "CourierTests", dependencies: ["Courier", "HTTPGateway", "Permissions", "SMPP", "StrictTOML", "Wire"], swiftSettings: settings),
        .testTarget(
            name: "ReceiptsTests",
            dependencies: [
                "Receipts", "HTTPGateway", "AuthClient", "StrictTOML", "Wire", .product(name: "NIOEmbedded", package: "swift-nio"),
            ], swiftSettings: settings),
        // All tests are one executable: it is in there for each of them.
        .target(name: "CTSanMutex", path: "Tests/TSanMutex"),
        .testTarget(
            name: "AuthClientTests", dependencies: ["AuthClient", "Wire", "CTSanMutex"] + nio, path: "clients/swift/Tests/AuthClientTests",
            swiftSettings: settings),
        .testTarget(
            name: "SystemTests",
            dependencies: ["AuthClient", "Wire", "CLinuxShim", "COpenSSL", "LibCrypto", "Store", "otpd", "otpctl", "otp-courier", "otp-receipts", "otp-bench"],
            swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
