/// A uid of the machine, of which somebody is connected: what is shared fairly is shared among these,
/// whatever tenants, roles and listeners their connections have.
final class User {
    var connections = 0
    /// What it has waiting to be decided: requests that only read, and all others.
    let lookups = FairQueue.Line()
    let writes = FairQueue.Line()
}
