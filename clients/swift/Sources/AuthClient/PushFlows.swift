import Synchronization
import Wire

typealias EventFlow = PushFlow<EventPush, EventPlace>
typealias MessageFlow = PushFlow<MessagePush, MessagePlace>

/// Where pushes go: at most one flow of events and one of messages.
final class PushFlows: Sendable {
    private let state = Mutex<(events: EventFlow?, messages: MessageFlow?)>((nil, nil))

    var events: EventFlow? { state.withLock { $0.events.flatMap { $0.isEnded ? nil : $0 } } }
    var messages: MessageFlow? { state.withLock { $0.messages.flatMap { $0.isEnded ? nil : $0 } } }
    var areActive: Bool { events != nil || messages != nil }

    func begin(_ flow: EventFlow) {
        let former = state.withLock { state in
            defer { state.events = flow }
            return state.events
        }
        former?.finish()
    }

    func begin(_ flow: MessageFlow) {
        let former = state.withLock { state in
            defer { state.messages = flow }
            return state.messages
        }
        former?.finish()
    }

    /// Called on the connection's loop, in the order of the frames.
    func yield(_ push: ClientStateMachine.Push) {
        switch push {
        case .event(let event): events?.yield(event) { $0.advance(event) }
        case .message(let message): messages?.yield(message) { $0.advance() }
        case .subscribed(let reply):
            guard let flow = events else { return }
            flow.update { $0.began(head: reply.head) }
            flow.setLive(true)
        }
    }

    /// A new connection carries nothing yet.
    func interrupt() {
        events?.setLive(false)
        messages?.setLive(false)
    }

    func finish(_ failure: ClientError? = nil) {
        events?.finish(failure)
        messages?.finish(failure)
    }
}
