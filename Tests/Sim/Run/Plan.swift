import Store

/// What one seed does and suffers. Each seed draws its own mix, most with a few kinds of faults only: mixed all together, faults hide
/// each other (swarm testing, Groce et al. 2012).
struct Plan {
    var commit = CommitMode.inline
    /// Requests that a step sends at most.
    var burst = 4
    /// Weights of `Simulation.Move`.
    var moves: [Int] = []
    /// Weights of how much time a step takes: nothing, milliseconds, seconds, half a minute, minutes, hours, days.
    var pace: [Int] = []
    /// Permille a step.
    var kills = 0
    var powerCuts = 0
    var diskErrors = 0
    var cuts = 0
    var partials = 0
    var stalledReaders = 0
    var clockSteps = 0
    var suspends = 0
    var hostiles = 0
    var courierDeaths = 0
    var observerLeaves = 10
    /// Permille of steps that end at a moment at which something ends.
    var edges = 0
    /// Permille a step that a waiting job runs.
    var journalSpeed = 1_000
    var checkpointSpeed = 500
    /// Permille of a checkpoint's steps at which the loop takes turns.
    var interleaving = 0
    /// Permille of starts that crash on the way, and of those right after it.
    var startCrashes = 0
    /// Permille of power cuts after which the wall clock is wrong.
    var wrongWalls = 0
    var lowSpace = 0
    /// Guesses that never stop, on one account, by one class.
    var hammers = false
    var hammerClass: UInt8 = 1
    /// Wrong payment codes on one account, over classes and phones.
    var payers = false
    /// Anonymous requests and wrong codes on everybody's accounts and phones.
    var strangers = false
    /// Codes asked for on one account as soon as its limits let one pass.
    var presses = false
    /// By whom: one account that seldom has a right code, one that often has, or several on one phone.
    enum Press { case unverified, verified, accounts }
    var press = Press.unverified
    var overlayRecords = 1_024
    var segmentBytes = 128 << 10
    var mapBytes = 64 << 20
    var people = 5

    init(_ draw: inout Draw) {
        commit = draw.pick([.inline, .overlapped, .adaptive])
        burst = draw.pick([1, 2, 4, 8, 24])
        people = draw.pick([2, 3, 5, 8])
        moves = Simulation.Move.allCases.map { $0.weight }
        for index in moves.indices where draw.chance(150) {
            moves[index] = draw.chance(500) ? 0 : moves[index] * 5
        }
        if moves.allSatisfy({ $0 == 0 }) { moves[0] = 1 }
        pace = draw.pick([
            [10, 80, 10, 0, 0, 0, 0], [5, 30, 50, 15, 0, 0, 0], [2, 10, 30, 40, 18, 0, 0],
            [5, 20, 30, 30, 10, 5, 0],
            [2, 10, 20, 20, 20, 25, 3],
        ])
        if draw.chance(550) { kills = draw.pick([2, 8, 25]) }
        if draw.chance(550) { powerCuts = draw.pick([2, 8, 25]) }
        if draw.chance(300) { diskErrors = draw.pick([2, 8, 20]) }
        if draw.chance(400) { cuts = draw.pick([5, 30, 100]) }
        if draw.chance(400) { partials = draw.pick([50, 300, 800]) }
        if draw.chance(200) { stalledReaders = draw.pick([10, 50]) }
        if draw.chance(250) { clockSteps = draw.pick([3, 20]) }
        if draw.chance(200) { suspends = draw.pick([3, 15]) }
        if draw.chance(350) { hostiles = draw.pick([10, 60]) }
        if draw.chance(400) { courierDeaths = draw.pick([10, 50]) }
        if draw.chance(500) { journalSpeed = draw.pick([200, 500, 900]) }
        if draw.chance(600) { edges = draw.pick([100, 400]) }
        checkpointSpeed = draw.pick([3, 100, 500, 1_000])
        if draw.chance(400) { interleaving = draw.pick([200, 600]) }
        if draw.chance(400) { startCrashes = draw.pick([150, 400]) }
        if draw.chance(350) { wrongWalls = draw.pick([200, 600]) }
        if draw.chance(120) { lowSpace = 20 }
        hammers = draw.chance(60)
        hammerClass = draw.pick([0, 1, 1, 2])
        payers = draw.chance(80)
        strangers = draw.chance(80)
        presses = draw.chance(80)
        press = draw.pick([.unverified, .verified, .accounts])
        if presses { edges = 700 }
        // Totals are only reached by those who are right, quickly.
        if presses, press != .unverified { pace = [5, 30, 60, 5, 0, 0, 0] }
        overlayRecords = draw.pick([256, 1_024, 4_096])
        segmentBytes = draw.pick([80 << 10, 128 << 10, 256 << 10])
        if draw.chance(60) { mapBytes = draw.pick([1 << 20, 2 << 20]) }
    }

    /// Nothing fails any more.
    mutating func calm() {
        kills = 0
        powerCuts = 0
        diskErrors = 0
        cuts = 0
        partials = 0
        stalledReaders = 0
        clockSteps = 0
        suspends = 0
        hostiles = 0
        courierDeaths = 0
        observerLeaves = 0
        edges = 0
        journalSpeed = 1_000
        checkpointSpeed = 1_000
        interleaving = 0
        startCrashes = 0
        lowSpace = 0
    }
}
