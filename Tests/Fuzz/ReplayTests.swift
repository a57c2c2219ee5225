import Foundation
import Testing

/// What fuzzing has found, and the corpora that reach the most, through the same functions. Each target has one thread.
@Suite(.serialized) struct ReplayTests {
    static let targets: [any FuzzTarget.Type] = [
        FramesFuzz.self, MessagesFuzz.self, JournalFuzz.self, RecoveryFuzz.self, StoreFuzz.self, RecordsFuzz.self,
        FieldsFuzz.self, ConfigFuzz.self, TextsFuzz.self, EngineFuzz.self, SmppFuzz.self,
        VendorsFuzz.self, DesksFuzz.self,
    ]

    static let folder = URL(filePath: #filePath).deletingLastPathComponent()

    private static func files(_ kind: String, _ target: String) throws -> [URL] {
        let path = folder.appending(path: kind).appending(path: target)
        guard FileManager.default.fileExists(atPath: path.path) else { return [] }
        return try FileManager.default.contentsOfDirectory(at: path, includingPropertiesForKeys: nil)
            .sorted { $0.path < $1.path }
    }

    @Test(arguments: targets.map { $0.name })
    func theCorpusAndOldFindsPass(name: String) throws {
        let target = try #require(Self.targets.first { $0.name == name })
        let corpus = try Self.files("corpus", name)
        #expect(corpus.count >= 5, "the corpus of \(name) is missing; make it with scripts/fuzz-merge.sh")
        for file in corpus + (try Self.files("finds", name)) {
            let bytes = Array(try Data(contentsOf: file))
            bytes.withUnsafeBytes { raw in
                do throws(FuzzFailure) { try target.run(raw) } catch {
                    Issue.record("\(file.lastPathComponent): \(error)")
                }
            }
        }
    }

    /// A find in a folder that no target reads would be replayed by nobody.
    @Test(arguments: ["corpus", "finds", "planted"])
    func everyFolderHasItsTarget(kind: String) throws {
        let entries = try FileManager.default.contentsOfDirectory(atPath: Self.folder.appending(path: kind).path)
        let names = Set(Self.targets.map { $0.name })
        for entry in entries where !entry.hasPrefix(".") {
            #expect(names.contains(entry.replacingOccurrences(of: ".patch", with: "")), "\(kind)/\(entry)")
        }
    }
}
