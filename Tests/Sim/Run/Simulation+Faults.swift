import AuthServer
import CFaultDisk
import CSimMachine
import Glibc
import Store
import Wire

/// What goes wrong: disks, clocks, power; and how the server comes back.
extension Simulation {
    /// Faults of this step, before its turn.
    func armFaults() {
        if draw.chance(plan.powerCuts + plan.kills) {
            // Somewhere in what this turn and its jobs write.
            fault_disk_crash_at(fault_disk_calls() + UInt64(draw.between(1, 30)))
        }
        if draw.chance(plan.diskErrors) { diskError() }
        if draw.chance(plan.lowSpace) {
            let isLow = draw.chance(600)
            if isLow { tally.add("fault disk nearly full") }
            sim_machine_set_free_bytes(isLow ? 100 << 20 : 64 << 30)
        }
        if draw.chance(plan.clockSteps) {
            tally.add("fault wall clock steps while running")
            time.stepWall(to: wrongWall())
        }
        if draw.chance(plan.suspends) {
            // CLOCK_BOOTTIME goes on, timers don't.
            tally.add("fault suspend")
            time.pass(UInt64(draw.between(1_000, 20_000_000)))
            machine.tick()
        }
    }

    private func diskError() {
        switch draw.below(5) {
        case 0:
            tally.add("fault short write")
            fault_disk_fail(UInt32(FAULT_WRITE), UInt64(draw.between(1, 6)), 0, false)
        case 1:
            tally.add("fault write error")
            fault_disk_fail(UInt32(FAULT_WRITE), UInt64(draw.between(1, 12)), EIO, draw.chance(500))
        case 2:
            tally.add("fault sync error")
            fault_disk_fail(UInt32(FAULT_SYNC), UInt64(draw.between(1, 6)), EIO, draw.chance(300))
        case 3:
            tally.add("fault disk full")
            fault_disk_fail(
                UInt32(FAULT_WRITE | FAULT_OPEN), UInt64(draw.between(1, 20)), ENOSPC, draw.chance(700))
        default:
            tally.add("fault interrupted call")
            fault_disk_fail(UInt32(FAULT_WRITE | FAULT_SYNC), UInt64(draw.between(1, 6)), EINTR, false)
        }
    }

    private func wrongWall() -> UInt64 {
        switch draw.below(4) {
        case 0: time.trueMs - 3_600_000
        case 1: time.trueMs + 3_600_000
        case 2: time.trueMs + 10 * 365 * 86_400_000
        default: time.trueMs
        }
    }

    // MARK: the end and the next start

    /// The process dies, or the power goes; then the next start.
    func crash() throws {
        guard machine.server != nil else { return try restart(wasPowerCut: false) }
        if machine.isAlive, draw.chance(200), stopInOrder() { return try restart(wasPowerCut: false) }
        let wasPowerCut: Bool
        if machine.lastWords != nil {
            tally.add("fault process ended itself")
            wasPowerCut = draw.chance(400)
        } else {
            wasPowerCut = plan.kills == 0 || (plan.powerCuts > 0 && draw.chance(500))
        }
        down(wasPowerCut)
        try restart(wasPowerCut: wasPowerCut)
    }

    /// `false`: a fault hit it on the way.
    private func stopInOrder() -> Bool {
        tally.add("fault stop in good order")
        do { try machine.stop() } catch { return false }
        guard machine.isAlive else { return false }
        collect()
        for peer in peers { peer.cut() }
        peers = []
        return true
    }

    private func down(_ isPowerCut: Bool) {
        fault_disk_power_off()
        for peer in peers { peer.cut() }
        peers = []
        machine.dropProcess()
        if isPowerCut {
            let hows = [CRASH_ALL_LOST, CRASH_ALL_KEPT, CRASH_SUBSET, CRASH_TORN, CRASH_PREFIX]
            let how = draw.pick(hows)
            tally.add("fault power cut")
            if fault_disk_crash(UInt32(how), draw.word()) > 0 {
                tally.add("fault power cut with unsynced writes")
            }
        } else {
            tally.add("fault process killed")
            fault_disk_kill()
        }
        fault_disk_mend()
        isOff = false
        sim_machine_set_free_bytes(64 << 30)
    }

    /// Clocks as the next boot, or the same one, has them.
    private func turnClocks(_ isReboot: Bool) {
        time.pass(UInt64(draw.between(0, 20_000)))
        guard isReboot else {
            if draw.chance(plan.wrongWalls) {
                time.stepWall(to: wrongWall())
                tally.add("fault wall clock wrong at a start in the same boot")
            }
            return
        }
        var wall = time.trueMs + UInt64(draw.below(500))
        if draw.chance(plan.wrongWalls) {
            switch draw.below(3) {
            case 0:
                wall = min(acknowledgedMs, time.trueMs) - UInt64(draw.between(10_000, 7_200_000))
                tally.add("fault wall clock behind at another boot")
            case 1:
                wall = time.trueMs + UInt64(draw.between(1, 20)) * 86_400_000
                tally.add("fault wall clock days ahead at another boot")
            default:
                wall = time.trueMs + 10 * 365 * 86_400_000
                tally.add("fault wall clock ten years ahead at another boot")
            }
        }
        time.reboot(wall: wall)
        lowestWallMs = min(lowestWallMs, wall)
    }

    private func restart(wasPowerCut: Bool) throws {
        var isReboot = wasPowerCut
        let before = (engine: machine.engineMs, boottime: machine.lookedAtMs)
        (lowestWallMs, startedWallMs) = (.max, 0)
        turnClocks(isReboot)
        for attempt in 1...8 {
            if attempt < 6, draw.chance(plan.startCrashes) {
                tally.add("fault crash in or right after recovery")
                fault_disk_crash_at(fault_disk_calls() + UInt64(draw.between(1, 60)))
            } else if attempt < 6, plan.diskErrors > 0, draw.chance(150) {
                diskError()
            }
            let hadFault = attempt < 6
            do {
                try machine.start()
            } catch let error as EngineClock.Failure {
                tally.add("fault start refused: clock far ahead")
                if time.wallMs < before.engine + 400 * 86_400_000 {
                    history.violation("a start was refused: \(error)")
                }
                machine.settings.acceptClock = true
                if !machine.isAlive { down(false) }
                fault_disk_mend()
                continue
            } catch {
                if !hadFault { return history.violation("a start was refused: \(error)") }
                tally.add("fault start failed")
                startedWallMs = max(startedWallMs, time.wallMs)
                fault_disk_power_off()
                down(draw.chance(500))
                continue
            }
            guard machine.isAlive else {
                // Its own record may be durable, with its time.
                startedWallMs = max(startedWallMs, time.wallMs)
                let isPowerCut = draw.chance(500)
                down(isPowerCut)
                if isPowerCut {
                    isReboot = true
                    turnClocks(true)
                }
                continue
            }
            fault_disk_mend()
            if machine.server?.store.recovery.droppedTornTail ?? false { tally.add("fault torn tail dropped at a start") }
            checkClock(isReboot, before)
            machine.settings.acceptClock = false
            return try reconnect()
        }
        history.violation("no start in eight attempts, the last two without a fault")
    }

    /// Engine time goes on from what was told to be durable; the wall clock decides only at another boot.
    private func checkClock(_ isReboot: Bool, _ before: (engine: UInt64, boottime: UInt64)) {
        // A folder without a record knows no time to go on from; nothing was acknowledged on it.
        guard let server = machine.server, server.store.recovery.lastClock != nil else { return }
        let now = machine.engineMs
        if now < acknowledgedMs {
            history.violation("engine time went back over a restart: \(now) after \(acknowledgedMs)")
        }
        let isVoid = server.voidBefore > voidBefore
        voidBefore = server.voidBefore
        if !isReboot {
            // Time goes on as CLOCK_BOOTTIME does. What may be lost is how far the clock was slewed since the last record: 500 ppm.
            let due = before.engine + time.boottimeMs - before.boottime
            let slewed = (due - min(due, acknowledgedMs)) / 2_000 + 1_000
            if isVoid { history.violation("a start in the same boot made challenges void") }
            if now > due + slewed || now + slewed < due {
                history.violation("a start in the same boot: engine time \(now), \(due) by CLOCK_BOOTTIME")
            }
            return
        }
        if isVoid, lowestWallMs >= max(before.engine, startedWallMs) + 60_000 {
            history.violation("challenges became void, and the wall clock isn't behind")
        }
        let must = time.wallMs + 2_000 < acknowledgedMs
        // A start that found the clock behind and could write nothing, with a database that is full, is followed by one that voids the same.
        if must, server.voidBefore <= acknowledgedMs { history.violation("the wall clock is behind, and challenges are still valid") }
        guard isVoid else { return }
        for challenge in history.order {
            challenge.mayBeVoid = true
            challenge.mustBeVoid = true
        }
    }
}
