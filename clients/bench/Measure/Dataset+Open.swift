import Glibc
import Wire

extension Dataset {
    /// Of the file `known`, in a prefilled folder: `records N`, then a line a challenge: shopper, request id, challenge.
    static func open(_ folder: String) throws -> Dataset {
        guard let text = contents(folder + "/known") else {
            throw BenchError(
                "\(folder) isn't a data set: make one with `otp-bench prefill --folder \(folder) --records N`"
            )
        }
        let lines = text.split(separator: "\n")
        guard let records = lines.first.flatMap({ Int($0.dropFirst("records ".count)) }) else {
            throw BenchError("\(folder)/known: the first line isn't `records N`")
        }
        let known = lines.dropFirst().compactMap { line -> Errand? in
            let parts = line.split(separator: " ")
            guard parts.count == 3, let shopper = UInt64(parts[0]),
                let request = Bytes16(hexadecimal: String(parts[1])),
                let challenge = Bytes16(hexadecimal: String(parts[2]))
            else { return nil }
            return Errand(shopper: shopper, requestID: request, challenge: challenge)
        }
        return Dataset(folder: folder, records: records, known: known)
    }
}
