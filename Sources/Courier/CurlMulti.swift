import CCurl
import Glibc
import HTTPGateway

/// libcurl's transfers of one route, driven from the courier's poll(2): it says what to wait for, and `turn` does what can be done without
/// waiting. Connections are kept and used again.
///
/// The one file that calls the multi interface. libcurl holds this object's address: it is no value.
final class CurlMulti {
    private let multi: UnsafeMutableRawPointer
    private var transfers: [UInt64: CurlTransfer] = [:]
    /// What libcurl wants to know of each of its sockets.
    private var sockets: [Int32: Int16] = [:]
    /// When libcurl wants to be called, whatever happens; `nil` = it doesn't.
    private var dueMs: UInt64?
    private var nowMs: UInt64 = 0

    /// Once, before any thread.
    private static let isReady: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    /// - Parameter connections: at most.
    init(connections: Int) throws(CourierError) {
        guard CurlMulti.isReady, let multi = curl_multi_init() else { throw CourierError("libcurl doesn't start") }
        self.multi = multi
        let me = Unmanaged.passUnretained(self).toOpaque()
        let watched = ccurl_watch(
            multi,
            { _, socket, what, context, _ in
                if let context { Unmanaged<CurlMulti>.fromOpaque(context).takeUnretainedValue().watch(socket, what) }
                return 0
            },
            { _, milliseconds, context in
                if let context { Unmanaged<CurlMulti>.fromOpaque(context).takeUnretainedValue().setTimer(milliseconds) }
                return 0
            }, me)
        guard watched == CURLM_OK, ccurl_bound(multi, connections) == CURLM_OK else {
            throw CourierError("libcurl takes no settings")
        }
    }

    deinit {
        for transfer in transfers.values { curl_multi_remove_handle(multi, transfer.easy) }
        curl_multi_cleanup(multi)
    }

    var count: Int { transfers.count }

    private func watch(_ socket: Int32, _ what: Int32) {
        switch what {
        case CURL_POLL_IN: sockets[socket] = Int16(POLLIN)
        case CURL_POLL_OUT: sockets[socket] = Int16(POLLOUT)
        case CURL_POLL_INOUT: sockets[socket] = Int16(POLLIN | POLLOUT)
        default: sockets[socket] = nil
        }
    }

    private func setTimer(_ milliseconds: Int) { dueMs = milliseconds < 0 ? nil : nowMs + UInt64(milliseconds) }

    /// Begins a transfer; it goes on in `turn`.
    func start(_ transfer: CurlTransfer, nowMs: UInt64) throws(CourierError) {
        self.nowMs = nowMs
        let code = curl_multi_add_handle(multi, transfer.easy)
        guard code == CURLM_OK else { throw CourierError("libcurl: \(String(cString: curl_multi_strerror(code)))") }
        transfers[transfer.number] = transfer
    }

    var descriptors: [pollfd] { sockets.map { pollfd(fd: $0.key, events: $0.value, revents: 0) } }
    var untilMs: UInt64? { dueMs }

    /// Reads, writes, looks at the clock; who has ended.
    func turn(nowMs: UInt64) -> [(number: UInt64, result: CurlResult)] {
        self.nowMs = nowMs
        var running: Int32 = 0
        var ready = descriptors
        if poll(&ready, nfds_t(ready.count), 0) > 0 {
            for one in ready where one.revents != 0 {
                let isReadable = one.revents & Int16(POLLIN | POLLHUP | POLLERR) != 0
                let isWritable = one.revents & Int16(POLLOUT | POLLERR) != 0
                let mask = (isReadable ? CURL_CSELECT_IN : 0) | (isWritable ? CURL_CSELECT_OUT : 0)
                curl_multi_socket_action(multi, one.fd, mask, &running)
            }
        }
        if let due = dueMs, due <= nowMs {
            dueMs = nil
            curl_multi_socket_action(multi, ccurl_no_socket, 0, &running)
        }
        return ended()
    }

    private func ended() -> [(number: UInt64, result: CurlResult)] {
        var results: [(number: UInt64, result: CurlResult)] = []
        var code = CURLE_OK
        while let easy = ccurl_ended(multi, &code) {
            guard let context = ccurl_private(easy) else { continue }
            let transfer = Unmanaged<CurlTransfer>.fromOpaque(context).takeUnretainedValue()
            results.append((transfer.number, transfer.result(code)))
            curl_multi_remove_handle(multi, easy)
            transfers[transfer.number] = nil
        }
        return results
    }
}
