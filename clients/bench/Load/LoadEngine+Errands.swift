import CLinuxShim
import Glibc
import Histogram
import Wire

/// The life of an errand: due, begun, answered, proceeded, finished, recorded.
extension LoadEngine {
    var isFinished: Bool {
        for index in streams.indices {
            guard let limit = streams[index].limit, started[index] >= limit else { return false }
        }
        return free.count == tasks.count
    }

    func fillClosed(_ stream: Int) throws {
        for pipe in pipesOfStream[stream] {
            for _ in 0..<streams[stream].depth { begin(stream, pipe, due: linux_monotonic_nanos()) }
        }
    }

    /// Open loop: begins what is due; arrivals are a Poisson process.
    func arrive(_ stream: Int, _ next: inout UInt64, _ now: UInt64) {
        guard let rate = streams[stream].rate else { return }
        while next <= now {
            if next >= recordFrom, next < recordUntil { results[stream].offered += 1 }
            backlog[stream].append(next)
            let u = Double(generator.next() >> 11) * 0x1p-53
            next += UInt64(-log(1 - u) / rate * 1e9)
        }
        startBacklog(stream)
    }

    func startBacklog(_ stream: Int) {
        let range = pipesOfStream[stream]
        while let due = backlog[stream].first {
            var chosen: Int?
            for _ in range {
                let index = range.lowerBound + nextPipe[stream]
                nextPipe[stream] = (nextPipe[stream] + 1) % range.count
                if pipes[index].inFlight < maxInFlight {
                    chosen = index
                    break
                }
            }
            guard let chosen else { return }
            backlog[stream].removeFirst()
            begin(stream, chosen, due: due)
        }
    }

    func begin(_ stream: Int, _ pipe: Int, due: UInt64) {
        if isStopping, streams[stream].rate == nil { return }
        if let limit = streams[stream].limit, started[stream] >= limit { return }
        started[stream] += 1
        let number = free.popLast() ?? Int32(tasks.count)
        if Int(number) == tasks.count { tasks.append(Task()) }
        var task = Task()
        let first = streams[stream].mix.first
        if streams[stream].mix.needsKnown {
            task.errand = known[Int(chooseKnown(streams[stream].spread))]
        } else {
            task.errand.shopper = streams[stream].spread.next(&generator, fresh: &fresh)
        }
        if first == .request || first == .refusal {
            task.errand.requestID = Bytes16(
                timeMs: dialect.serverMs(), tailHigh: UInt16(truncatingIfNeeded: generator.next()),
                tailLow: generator.next())
            task.errand.code = task.errand.requestID.low % 1_000_000
            task.errand.challenge = .zero
        }
        task.stream = Int32(stream)
        task.pipe = Int32(pipe)
        task.due = due
        task.sent = due
        task.isLive = true
        tasks[Int(number)] = task
        send(first, number)
    }

    func chooseKnown(_ spread: KeySpread) -> UInt64 {
        let count = UInt64(known.count)
        switch spread {
        case .fresh: return generator.next() % count
        case .uniform, .zipf, .hot:
            var unused: UInt64 = 0
            return spread.next(&generator, fresh: &unused) % count
        }
    }

    func send(_ operation: Operation, _ number: Int32) {
        let index = Int(tasks[Int(number)].pipe)
        tasks[Int(number)].operation = operation
        let pipe = pipes[index]
        dialect.encode(operation, tasks[Int(number)].errand, task: number, into: pipe)
        pipe.order.append(number)
        pipe.inFlight += 1
        markDirty(index)
    }

    func pushed(_ answer: Answer, _ now: UInt64) {
        credit -= 1
        if credit <= 32 { grantCredit() }
        if let number = waiting.removeValue(forKey: answer.challenge.low) {
            tasks[Int(number)].errand.code = answer.code
            tasks[Int(number)].isWaitingForCode = false
            proceed(number, now)
        } else if wantsCodes {
            codes[answer.challenge.low] = answer.code
        }
    }

    func answered(_ number: Int32, _ answer: Answer, _ now: UInt64) throws {
        guard tasks.indices.contains(Int(number)), tasks[Int(number)].isLive else {
            throw BenchError("a reply to nothing")
        }
        let task = tasks[Int(number)]
        record(task, answer.outcome, now)
        if answer.outcome == .done, task.operation == .request {
            tasks[Int(number)].errand.challenge = answer.challenge
        }
        let mix = streams[Int(task.stream)].mix
        switch (mix, task.operation, answer.outcome) {
        case (.cycle, .request, .done), (.guess, .request, .done):
            if dialect.codesAreKnown { return proceed(number, now) }
            if let code = codes.removeValue(forKey: answer.challenge.low) {
                tasks[Int(number)].errand.code = code
                return proceed(number, now)
            }
            tasks[Int(number)].isWaitingForCode = true
            waiting[answer.challenge.low] = number
        case (.guess, .guess, .wrongCode) where task.errand.attempt < 5: proceed(number, now)
        case (.guess, .guess, .done) where task.errand.attempt < 5: proceed(number, now)  // the floor accepts anything
        default: finish(number, now)
        }
    }

    /// The next request of an errand: its code is known.
    func proceed(_ number: Int32, _ now: UInt64) {
        tasks[Int(number)].sent = now
        tasks[Int(number)].errand.attempt += 1
        send(streams[Int(tasks[Int(number)].stream)].mix == .guess ? .guess : .verify, number)
    }

    func record(_ task: Task, _ outcome: Outcome, _ now: UInt64) {
        guard now >= recordFrom, task.due >= recordFrom || streams[Int(task.stream)].rate == nil else {
            return
        }
        guard task.due < recordUntil else { return }
        let stream = Int(task.stream)
        results[stream].latencies[task.operation.rawValue].record(min(now - task.sent, StreamResult.topNanos))
        // Replies after the end count for latency, not for throughput.
        if now < recordUntil { results[stream].counts[task.operation.rawValue][outcome.rawValue] += 1 }
    }

    func finish(_ number: Int32, _ now: UInt64) {
        let task = tasks[Int(number)]
        let stream = Int(task.stream)
        if streams[stream].keeps { known.append(task.errand) }
        if task.due >= recordFrom, task.due < recordUntil {
            results[stream].errands.record(min(now - task.due, StreamResult.topNanos))
        }
        tasks[Int(number)].isLive = false
        free.append(number)
        if streams[stream].rate == nil {
            begin(stream, Int(task.pipe), due: now)
        } else {
            startBacklog(stream)
        }
    }

    /// After the time is over: what was due still gets its answer, for two seconds. What has none by then counts with its age.
    func drain() throws {
        isStopping = true
        let end = linux_monotonic_nanos() + 2_000_000_000
        while free.count < tasks.count || backlog.contains(where: { $0.first != nil }),
            linux_monotonic_nanos() < end
        {
            try flush()
            try poll(nanos: 10_000_000)
        }
        let now = linux_monotonic_nanos()
        for task in tasks where task.isLive && task.due >= recordFrom && task.due < recordUntil {
            let stream = Int(task.stream)
            guard streams[stream].rate != nil || !task.isWaitingForCode else { continue }
            results[stream].unanswered += 1
            results[stream].latencies[task.operation.rawValue].record(
                min(now - task.sent, StreamResult.topNanos))
        }
        for stream in streams.indices {
            while let due = backlog[stream].first {
                backlog[stream].removeFirst()
                guard due >= recordFrom else { continue }
                results[stream].unanswered += 1
                results[stream].latencies[streams[stream].mix.first.rawValue].record(
                    min(now - due, StreamResult.topNanos))
            }
        }
    }
}
