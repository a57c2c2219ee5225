import CLMDB

/// The tables' trees, and what tells that LMDB's records of them are the ones that were written.
extension LMDBEnvironment {
    /// LMDB's handle of the database that holds the named ones' records.
    private static let main: MDB_dbi = 1

    /// The last write of every transaction of ours: what LMDB's meta page points to must be the tree it was
    /// written with.
    func putSeal(_ transaction: OpaquePointer) -> Int32 {
        var trees: [Tree.Counts] = []
        for table in tables {
            var statistics = MDB_stat()
            let code = mdb_stat(transaction, table, &statistics)
            guard code == 0 else { return code }
            trees.append(Tree.Counts(statistics))
        }
        if isOfFirstFormat {
            let code = LMDBEnvironment.putNumber(transaction, meta, "format", LMDBEnvironment.format)
            guard code == 0 else { return code }
        }
        return LMDBEnvironment.putSeal(transaction, meta, trees)
    }

    static func putSeal(_ transaction: OpaquePointer, _ meta: MDB_dbi, _ trees: [Tree.Counts]) -> Int32 {
        withUnsafeTemporaryAllocation(byteCount: TransactionSeal.bytes(tables: trees.count), alignment: 8) {
            out in
            TransactionSeal.encode(id: UInt64(mdb_txn_id(transaction)), trees, into: out)
            return "txn".withMeta { put(transaction, meta, $0, UnsafeRawBufferPointer(out)) }
        }
    }

    /// The row of this snapshot; `nil` = an otpd of before the seal wrote it.
    func seal(in transaction: OpaquePointer) throws(StoreError) -> TransactionSeal? {
        guard try number("format", bytes: 4, transaction) != 1 else { return nil }
        guard let bytes = try LMDBEnvironment.get(transaction, meta, named: "txn"),
            let seal = TransactionSeal(bytes)
        else {
            throw .damaged(path: path, detail: "the seal of the newest transaction is missing or isn't whole")
        }
        return seal
    }

    /// By table. A record that isn't what was sealed hides some or all of its table. LMDB isn't asked to
    /// follow one: it ends the process when it meets a root that can't be.
    func trees(in transaction: OpaquePointer) throws(StoreError) -> [Tree] {
        let seal = try seal(in: transaction)
        guard seal.map({ $0.id == UInt64(mdb_txn_id(transaction)) }) ?? true else {
            throw .damaged(path: "lmdb meta", detail: "the newest transaction isn't otpd's")
        }
        var trees: [Tree] = []
        for (index, name) in names.enumerated() {
            guard let record = try LMDBEnvironment.get(transaction, LMDBEnvironment.main, named: name),
                let tree = Tree(record),
                seal?.counts(index) ?? tree.counts == tree.counts
            else {
                throw .damaged(
                    path: "lmdb table \(index)",
                    detail: "the record of its tree isn't the one that was sealed")
            }
            trees.append(tree)
        }
        return trees
    }

    /// Where page 0 is in memory, which LMDB doesn't tell: by the numbers that two leaves bear, which must
    /// say the same.
    func mapStart(in transaction: OpaquePointer) throws(StoreError) -> UnsafeRawPointer {
        let inMain = try LMDBEnvironment.get(transaction, LMDBEnvironment.main, named: "meta")
        let inMeta = try LMDBEnvironment.get(transaction, meta, named: "format")
        guard let inMain, let inMeta, case let start = LMDBEnvironment.mapStart(inMain),
            start == LMDBEnvironment.mapStart(inMeta),
            let start = UnsafeRawPointer(bitPattern: start)
        else { throw .damaged(path: "lmdb", detail: "a page isn't the one whose place it has") }
        return start
    }

    private static func mapStart(_ value: UnsafeRawBufferPointer) -> UInt {
        let page = UInt(bitPattern: value.baseAddress) & ~UInt(TreePage.bytes - 1)
        guard let start = UnsafeRawPointer(bitPattern: page) else { return 0 }
        return page &- UInt(truncatingIfNeeded: TreePage(start: start).number) &* UInt(TreePage.bytes)
    }

    private static func get(
        _ transaction: OpaquePointer, _ dbi: MDB_dbi, named name: String
    ) throws(StoreError) -> UnsafeRawBufferPointer? {
        var found: Result<UnsafeRawBufferPointer?, StoreError> = .success(nil)
        name.withMeta { key in
            do throws(StoreError) { found = .success(try get(transaction, dbi, key)) } catch {
                found = .failure(error)
            }
        }
        return try found.get()
    }
}

extension Tree.Counts {
    fileprivate init(_ statistics: MDB_stat) {
        entries = UInt64(bitPattern: Int64(statistics.ms_entries))
        leafPages = UInt64(bitPattern: Int64(statistics.ms_leaf_pages))
        branchPages = UInt64(bitPattern: Int64(statistics.ms_branch_pages))
        depth = Int(statistics.ms_depth)
    }
}
