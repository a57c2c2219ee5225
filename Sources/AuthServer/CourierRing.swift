/// Couriers that take messages, in turn: those with credit that read what they get. The others aren't here,
/// so thousands of them cost a request nothing. Linked through the connections: joining and leaving cost the
/// same however many there are.
struct CourierRing {
    private(set) var first: Connection?
    private var last: Connection?
    private(set) var count = 0

    /// Joins at the end; without effect for one that is here.
    mutating func append(_ courier: Connection) {
        guard !courier.isInCourierRing else { return }
        courier.isInCourierRing = true
        courier.previousCourier = last
        if let last { last.nextCourier = courier } else { first = courier }
        last = courier
        count += 1
    }

    /// Leaves, from any place; without effect for one that isn't here.
    mutating func remove(_ courier: Connection) {
        guard courier.isInCourierRing else { return }
        courier.isInCourierRing = false
        let (previous, next) = (courier.previousCourier, courier.nextCourier)
        if let previous { previous.nextCourier = next } else { first = next }
        if let next { next.previousCourier = previous } else { last = previous }
        courier.previousCourier = nil
        courier.nextCourier = nil
        count -= 1
    }
}
