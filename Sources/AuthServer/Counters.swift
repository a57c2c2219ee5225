import Engine
import Store
import Wire

/// What the operator sees in `otpctl stats`.
struct Counters {
    var requests: UInt64 = 0
    var frameErrors: UInt64 = 0
    var batches: UInt64 = 0
    var overloaded: UInt64 = 0
    var stalls: UInt64 = 0
    var challengesCreated: UInt64 = 0
    var verified: UInt64 = 0
    var grantsRedeemed: UInt64 = 0
    var refused: UInt64 = 0
    var wrongCodes: UInt64 = 0
    var limited: UInt64 = 0
    var connectionsRefused: UInt64 = 0
    var acceptPauses: UInt64 = 0

    /// A decision. What it did is in its events: a request that is repeated is answered again and makes no
    /// second one. A refusal is one whenever it is answered.
    mutating func count(_ reply: Reply, _ events: ArraySlice<EventPush>) {
        if case .refused(let refusal) = reply {
            refused += 1
            if refusal.limitCode != 0, refusal.status != .overloaded { limited += 1 }
        }
        for event in events {
            let kind = EventPush.Kind(rawValue: event.kind)
            if kind == .codeRequested { challengesCreated += 1 }
            if kind == .codeVerified { verified += 1 }
            if kind == .grantRedeemed { grantsRedeemed += 1 }
            if kind == .wrongCode { wrongCodes += 1 }
        }
    }
}

extension Batch {
    /// One `name value` line each.
    func statistics() -> Stats.Reply {
        let s = store.statistics
        let commits = max(1, s.commits)
        let pairs: [(String, UInt64)] = [
            ("requests_total", counters.requests), ("frame_errors_total", counters.frameErrors),
            ("batches_total", counters.batches), ("overloaded_total", counters.overloaded),
            ("stalls_total", counters.stalls), ("unfit_frames_total", unfit.total),
            ("peers_refused_total", refusedPeers.total),
            ("challenges_created_total", counters.challengesCreated), ("verified_total", counters.verified),
            ("grants_redeemed_total", counters.grantsRedeemed), ("refused_total", counters.refused),
            ("wrong_codes_total", counters.wrongCodes), ("limited_total", counters.limited),
            ("connections", UInt64(connections.count)), ("connections_refused_total", counters.connectionsRefused),
            ("accept_pauses_total", counters.acceptPauses), ("messages_waiting", UInt64(couriers.waiting)),
            ("journal_sequence", store.syncedSequence), ("journal_commits_total", s.commits),
            ("journal_bytes_total", s.journalBytes), ("torn_tails_dropped", store.recovery.droppedTornTail ? 1 : 0),
            ("lost_batches", store.recovery.loss?.batches ?? 0),
            ("journal_sync_mean_ns", s.syncNanos / commits), ("journal_sync_at_start_ns", store.measuredSyncNanos),
            ("checkpoints_total", s.checkpoints), ("checkpoint_retries_total", s.checkpointRetries),
            ("checkpoint_last_us", s.checkpointNanos / 1_000), ("swept_rows_total", s.sweptRows),
            ("lmdb_file_bytes", s.file.filePages * 4_096), ("lmdb_used_bytes", s.file.usedPages * 4_096),
            ("lmdb_free_pages", s.file.freePages), ("lmdb_tree_depth", s.file.treeDepth),
            ("data_keys_dropped_total", s.droppedKeys), ("lmdb_map_bytes", s.file.mapPages * 4_096), ("lmdb_reader_lag", s.file.readerLag),
            ("lmdb_reader_pid", UInt64(s.file.readerLag > 0 ? s.file.oldestReaderPID : 0)), ("disk_free_bytes", s.freeBytes),
            ("crash_notes", UInt64(poison?.remembered ?? 0)), ("quarantined_requests", UInt64(poison?.quarantined ?? 0)),
            ("quarantined_total", poison?.refused ?? 0),
            ("epoch", UInt64(store.epoch)), ("engine_time_ms", clock.now().engineMs),
        ]
        var reply = Stats.Reply()
        reply.lines = InlineBytes(pairs.map { "\($0) \($1)\n" }.joined())
        return reply
    }
}
