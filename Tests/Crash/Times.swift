import ArgumentParser
struct Times: ParsableCommand { func run() throws {} }
struct PowerCut: ParsableCommand { func run() throws {} }
struct FullDisk: ParsableCommand { func run() throws {} }
