import CLinuxShim
import Glibc

/// One OS thread that runs one job at a time. LMDB's writer lock belongs to a thread, so the checkpointer must be one; the journal's
/// overlapped sync is another.
///
/// `@unchecked Sendable`: `job` and `isStopping` are guarded by `mutex`; everything else is set before the thread starts.
final class Worker: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var job: (() -> Void)?
    private var isStopping = false
    private var thread = pthread_t()
    private let runsByHand: Bool
    private let yields: Bool

    /// - Parameters:
    ///   - yields: whoever else wants the processor comes first.
    ///   - runsByHand: there is no thread; jobs wait for `runJob`.
    init(name: String, yields: Bool = false, runsByHand: Bool = false) {
        self.runsByHand = runsByHand
        self.yields = yields
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
        guard !runsByHand else { return }
        let context = Unmanaged.passRetained(self).toOpaque()
        let code = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<Worker>.fromOpaque(context).takeRetainedValue().loop()
                return nil
            }, context)
        precondition(code == 0, "no thread for \(name): raise the limit of threads")
        linux_name_thread(thread, name)
    }

    /// Hands over one job; the former must be done.
    func start(_ job: @escaping () -> Void) {
        pthread_mutex_lock(mutex)
        precondition(self.job == nil && !isStopping, "a worker takes one job at a time")
        self.job = job
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
    }

    /// By hand: does the job that waits, if any.
    func runJob() {
        job?()
    }

    /// By hand: whether one waits.
    var hasJob: Bool { job != nil }

    /// Lets the job in hand end, then ends the thread; by hand, the job is dropped.
    func stop() {
        if runsByHand { return finishJob() }
        pthread_mutex_lock(mutex)
        isStopping = true
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
        pthread_join(thread, nil)
    }

    private func loop() {
        // It is a wish: without it the thread only competes with the loop.
        if yields { _ = linux_yield_to_others(10) }
        while true {
            pthread_mutex_lock(mutex)
            while job == nil && !isStopping { pthread_cond_wait(condition, mutex) }
            guard let next = job else {
                pthread_mutex_unlock(mutex)
                return
            }
            pthread_mutex_unlock(mutex)
            next()
        }
    }

    /// Called by the job as its last act, before it tells anyone that it is done.
    func finishJob() {
        pthread_mutex_lock(mutex)
        job = nil
        pthread_mutex_unlock(mutex)
    }

    deinit {
        mutex.deallocate()
        condition.deallocate()
    }
}
