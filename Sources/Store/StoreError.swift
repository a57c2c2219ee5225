import Glibc
import Permissions

/// Why the store can't go on. Every case says what happened and what the operator can do; none is ever guessed around (P6).
public enum StoreError: Error, Equatable, Sendable {
    /// A system call failed.
    case io(operation: String, path: String, code: Int32)
    /// LMDB failed.
    case lmdb(operation: String, code: Int32)
    /// Another process has the folder open.
    case locked(path: String)
    /// The folder isn't a data folder.
    case notADataFolder(path: String)
    /// Others can reach into the folder.
    case notPrivate(path: String, detail: String)
    /// `create` found something there.
    case alreadyExists(path: String)
    /// Written by a newer otpd.
    case newerFormat(path: String, found: String)
    /// The master key isn't the one that the folder was made with.
    case wrongMasterKey(path: String)
    /// A file's bytes can't be what otpd wrote.
    case damaged(path: String, detail: String)
    /// Acknowledged requests at the journal's end are gone. `StoreOptions.acceptLostRequests` goes on without them.
    case tailLost(path: String, detail: String)
    /// Every start adds a data key, and there is no place for one more.
    case keyringFull(path: String, starts: Int)
    /// A copy was to be made within what is copied.
    case nested(path: String, within: String)
    /// Other programs hold all places of LMDB's table of readers.
    case readersFull(path: String)
    /// liblmdb's version has known faults.
    case unsupportedLMDB(version: String)
    /// The folder is a backup, which otpd doesn't serve.
    case isBackup(path: String)
    /// A backup is made by the data folder's owner.
    case notOwner(path: String, detail: String)
    /// A copy wouldn't fit; bytes.
    case noRoom(path: String, needs: UInt64, free: UInt64)
    /// At each try, the journal's segments were used again before they were copied.
    case restless(path: String, tries: Int)
    /// Its caller wanted it to stop.
    case cancelled(path: String)
    /// An earlier failure ended this store.
    case poisoned
}

extension StoreError: CustomStringConvertible {
    /// A sentence on what happened and one on what to do.
    public var description: String {
        switch self {
        case .io(let operation, let path, let code):
            "\(operation) \(path): \(message(of: code))\(StoreError.advice(path, code))"
        case .lmdb(let operation, let code):
            "LMDB: \(operation) failed: \(LMDBEnvironment.text(of: code)). See the system log for disk errors."
        case .locked(let path):
            "\(path) is in use by another otpd. Stop that one first, or give this one a data folder of its own."
        case .notADataFolder(let path):
            "\(path) is not an otpd data folder. Name the one that `otpd init` or `otpd restore` made; `otpd init` makes a new one."
        case .notPrivate(let path, let detail):
            "\(path) \(detail). It must belong to otpd's user with mode 0700: use chown and chmod, or run otpd as its owner."
        case .alreadyExists(let path):
            "\(path) exists and is not empty. Choose another path; a data folder that stands there is made already, and a backup is kept."
        case .newerFormat(let path, let found):
            "\(path) has format `\(found)`, which this otpd doesn't know. Run the otpd that wrote it, or a newer one."
        case .wrongMasterKey(let path):
            "The master key doesn't fit \(path). Give the key that `otpd init` made with this folder."
        case .damaged(let path, let detail):
            "\(path): \(detail). Nothing was changed. Restore the data folder from a backup, or ask for help with a copy of it."
        case .tailLost(let path, let detail):
            "\(path): \(detail). Requests that were answered are missing: used codes, spent grants, limits that were reached. Nothing was "
                + "changed. Restore the data folder from a backup, or ask for help with a copy of it. To serve without these requests, start "
                + "otpd once with --accept-lost-requests: all open challenges and unspent grants become void, so that nothing is accepted twice."
        case .keyringFull(let path, let starts):
            "\(path) is full: it holds a data key for each of \(starts) starts. Nothing is lost or damaged, and nothing was changed. "
                + "Find out what restarted otpd so often. To serve again, give otpd a new folder: `otpd init --data NEW --master-key` with the "
                + "same key. Limits' counts, blocks and open challenges stay behind in this one; keep it for its events."
        case .nested(let path, let within):
            "\(path) is within \(within), of which it would be a copy. Choose a place outside of it."
        case .readersFull(let path):
            "\(path): other programs read the database and have taken all of its 126 places for readers. `fuser \(path)/lock.mdb` names them: "
                + "end what isn't needed (a forgotten mdb_copy or mdb_stat), and start otpd again."
        case .unsupportedLMDB(let version):
            "liblmdb \(version) has known faults. Use Debian's 0.9.24, or 0.9.33 and later."
        case .isBackup(let path):
            "\(path) is a backup: otpd serves no backup, or codes that were used since would count again. Make a data folder of it: "
                + "`otpd restore --from \(path) --data NEW --master-key KEY`."
        case .notOwner(let path, let detail):
            "\(path) \(detail). Run this as root or as the folder's owner."
        case .noRoom(let path, let needs, let free):
            "\(path): the copy needs \((needs + 1_048_575) >> 20) MiB, and its file system has \(free >> 20) MiB free. Make room, or choose "
                + "another file system."
        case .restless(let path, let tries):
            "\(path): in each of \(tries) tries its journal was used again before it was copied. Try again when otpd writes less, "
                + "or give it a larger `segment_kib`."
        case .cancelled(let path):
            "\(path): stopped before its end, as asked. Nothing of it is left."
        case .poisoned:
            "The store failed earlier and takes no more work. Restart otpd."
        }
    }

    /// A missing permission is named, with the command that gives it.
    private static func advice(_ path: String, _ code: Int32) -> String {
        guard code == EACCES || code == EPERM else { return ". Check that the path exists, is owned by otpd's user and has space." }
        let account = Account.current()
        var info = stat()
        let isThere = stat(path, &info) == 0
        if isThere, info.st_uid != account.uid {
            return ": it belongs to \(Account.userName(info.st_uid)), and this is \(account.text). All of a data folder belongs to otpd's user: "
                + "run this as \(Account.userName(info.st_uid)), or find out who made it another user's."
        }
        let obstacle = isThere ? Access.obstacle(path, needs: .read, by: account) : nil
        let inFolder = Access.obstacle(toMaking: path, by: account)
        return ": \(obstacle ?? inFolder ?? "\(account.text) may not"). All of a data folder belongs to otpd's user."
    }
}
