import Glibc
import Testing

@testable import AuthServer

/// What other threads ask of the loop.
@Suite struct LoopAnswerTests {
    /// A loop that hangs in a sync must not hang a stop.
    @Test func aLoopThatHangsIsTold() throws {
        let server = try TestServer()
        let loop = try #require(server.server.served).loop
        let hold = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
        sem_init(hold, 0, 0)
        let handed = Handed(semaphore: hold)
        loop.execute { while sem_wait(handed.semaphore) != 0 {} }
        #expect(throws: EventLoop.NoAnswer.self) { try loop.submit(within: 0) { 1 } }
        sem_post(hold)
        #expect(try loop.submit(within: 10) { 2 } == 2)
        sem_destroy(hold)
        hold.deallocate()
    }

    private struct Handed: @unchecked Sendable {  // a semaphore is made for two threads
        let semaphore: UnsafeMutablePointer<sem_t>
    }
}
