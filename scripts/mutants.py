#!/usr/bin/env python3
"""Seeded bugs: proves that the tests catch each of them.

Copies the tree to .build-mutants/tree, writes every mutation of Tests/Mutants/*.txt into it behind a switch that is read once at
start, builds that once, and runs the tests per mutant: the test that ought to catch it first, then all unit tests, then the
machines (simulation, crash states), until one fails. Production code holds no trace of the switch.

    scripts/mutants.py            all of them
    scripts/mutants.py --only N   those whose name contains N
    scripts/mutants.py --alone M  what one machine sees without the other tests
    scripts/mutants.py --check    only that every mutation still applies (part of `make test`)
"""

import argparse
import os
import pathlib
import re
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SCRATCH = ROOT / ".build-mutants"
TREE = SCRATCH / "tree"
ACTIVE = TREE / ".build/debug/active-mutant"
KEYS = ("name", "promise", "breaks", "test", "file")
# Seconds; a mutant that hangs is caught, as the same tests end when no mutant is active.
TEST_LIMIT, SUITE_LIMIT, MACHINE_LIMIT = 120, 900, 300


class Mutation:
    """One entry: what it breaks, and the text that it replaces."""

    def __init__(self, fields, old, new, where):
        self.where = where
        missing = [key for key in KEYS if not fields.get(key)]
        if missing or not old or not new:
            raise ValueError(f"{where}: lacks {', '.join(missing) or 'its - and + lines'}")
        self.name, self.promise, self.breaks, self.test, self.file = (fields[key] for key in KEYS)
        self.old, self.new = "\n".join(old), "\n".join(new)
        if "MUTANT" not in self.new:
            raise ValueError(f"{where}: the new text doesn't ask MUTANT, so it would always be active")


def read_mutations():
    found = []
    for path in sorted((ROOT / "Tests/Mutants").glob("*.txt")):
        for block in re.split(r"\n\s*\n", path.read_text()):
            fields, old, new = {}, [], []
            for line in block.splitlines():
                if line.startswith("- "):
                    old.append(line[2:])
                elif line.startswith("+ "):
                    new.append(line[2:])
                elif line.strip() and not line.startswith("#"):
                    key, _, value = line.partition(": ")
                    if key not in KEYS or key in fields:
                        raise ValueError(f"{path.name}: what is `{line}`?")
                    fields[key] = value.strip()
            if fields:
                found.append(Mutation(fields, old, new, f"{path.name}: {fields.get('name', block[:40])}"))
    names = [m.name for m in found]
    if len(set(names)) != len(names):
        raise ValueError("two mutations have one name")
    return found


def mutate(mutations):
    """File by file, the text with all mutations in it. A mutation's number is its place in the list, from 1."""
    places, stale = {}, []
    for number, mutation in enumerate(mutations, 1):
        text = (ROOT / mutation.file).read_text()
        count = text.count(mutation.old)
        if count != 1:
            stale.append(f"{mutation.where}: its text is {count} times in {mutation.file}, not once. Write it anew.")
            continue
        start = text.index(mutation.old)
        new = mutation.new.replace("MUTANT", f"isMutant({number})")
        places.setdefault(mutation.file, []).append((start, start + len(mutation.old), new, mutation))
    if stale:
        raise ValueError("\n".join(stale))
    mutated = {}
    for file, edits in places.items():
        edits.sort(key=lambda edit: edit[0])
        for a, b in zip(edits, edits[1:]):
            if a[1] > b[0]:
                raise ValueError(f"{a[3].name} and {b[3].name} change the same text")
        text = (ROOT / file).read_text()
        for start, end, new, _ in reversed(edits):
            text = text[:start] + new + text[end:]
        mutated[file] = "import Mutants\n" + text
    return mutated


# The scratch tree


# The number stands in a file beside the program: children that are started with an environment of their own see it too. Raw calls:
# libc's are counted and made to fail by the machines. The canary ends every otpd at once.
CANARY = -1
SWITCH = """#include "Mutants.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
static int active;
__attribute__((constructor)) static void readActive(void) {
    char path[4096] = "", text[16] = "";
    if (syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", path, sizeof path - 32) <= 0) return;
    char *name = strrchr(path, '/') + 1;
    int isServer = strcmp(name, "otpd") == 0;
    strcpy(name, "active-mutant");
    long file = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (file < 0) return;
    if (syscall(SYS_read, file, text, sizeof text - 1) > 0) active = atoi(text);
    syscall(SYS_close, file);
    if (active == -1 && isServer) abort();
}
bool isMutant(int number) { return number == active; }
"""
HEADER = "#include <stdbool.h>\n/// Whether this seeded bug is active in this process.\nbool isMutant(int number);\n"
PACKAGE = """
package.targets.append(.target(name: "Mutants"))
for target in package.targets where [%s].contains(target.name) { target.dependencies.append("Mutants") }
"""


def write(path, content):
    """Leaves an unchanged file alone, so that a second build has little to do."""
    if isinstance(content, str):
        content = content.encode()
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def make_tree(mutations):
    mutated = mutate(mutations)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True,
        stdout=subprocess.PIPE).stdout
    files = {name for name in listed.decode().split("\0") if name and (ROOT / name).is_file()}
    for name in files - {"Package.swift"}:
        write(TREE / name, mutated.get(name) or (ROOT / name).read_bytes())
    modules = sorted({re.search(r"Sources/(\w[\w-]*)/", file)[1] for file in mutated})
    package = (ROOT / "Package.swift").read_text() + PACKAGE % ", ".join(f'"{m}"' for m in modules)
    write(TREE / "Package.swift", package)
    write(TREE / "Sources/Mutants/Mutants.c", SWITCH)
    write(TREE / "Sources/Mutants/include/Mutants.h", HEADER)
    keep = files | {"Package.swift", "Sources/Mutants/Mutants.c", "Sources/Mutants/include/Mutants.h"}
    for folder in ("Sources", "Tests", "clients"):
        for path in (TREE / folder).rglob("*"):
            if path.is_file() and str(path.relative_to(TREE)) not in keep:
                path.unlink()


def build():
    environment = {key: value for key, value in os.environ.items() if key != "CI"}
    started = time.monotonic()
    done = subprocess.run(["swift", "build", "--build-tests"], cwd=TREE, env=environment,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        errors = dict.fromkeys(line for line in done.stdout.splitlines() if " error: " in line)
        sys.exit("\n".join(errors or [done.stdout[-4000:]]) + "\nmutants: with the mutations the tree doesn't build")
    print(f"built with all mutations in {time.monotonic() - started:.0f} s", flush=True)


# Running


class Run:
    """One program under one mutant, to its first failure: how it ended, and which test said so."""

    def __init__(self, arguments, number, limit, machine=None):
        self.caught, self.machine = None, machine
        self.suite, self.test, self.violation, self.tail = "", "", "", []
        # Tests that are cut off leave their folders behind.
        folder = tempfile.mkdtemp(prefix="mutant-")
        # Some tests let other users in, as /tmp does.
        os.chmod(folder, 0o711)
        environment = {**os.environ, "SWIFT_BACKTRACE": "enable=no", "TMPDIR": folder}
        ACTIVE.write_text(str(number))
        process = subprocess.Popen(arguments, cwd=TREE, env=environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            self.follow(process, time.monotonic() + limit)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()
            ACTIVE.unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
        if self.caught is None and process.returncode != 0:
            code = process.returncode
            self.caught = self.label(f"exit {code}" if code > 0 else signal.Signals(-code).name)

    def label(self, how):
        if self.machine:
            return f"{self.machine}: {(self.violation or how)[:100]}"
        return f"{self.suite}/{self.test} ({how})"

    def follow(self, process, end):
        selector = selectors.DefaultSelector()
        selector.register(process.stdout, selectors.EVENT_READ)
        pending = b""
        while self.caught is None:
            if not selector.select(timeout=max(0.0, end - time.monotonic())):
                self.caught = self.label("no end")
                return
            chunk = os.read(process.stdout.fileno(), 65536)
            if not chunk:
                process.wait()
                return
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                self.see(line.decode(errors="replace"))

    def see(self, line):
        self.tail = (self.tail + [line])[-40:]
        if "VIOLATION" in line:
            self.violation = self.violation or line
        if match := re.search(r"Suite (\w+) started", line):
            self.suite = match[1]
        if match := re.search(r"Test (\w+)\(.*\) started", line):
            self.test = match[1]
        if match := re.search(r"Test (\w+)\(.*\) recorded an issue.* at (\w+)\.swift:", line):
            self.caught = self.caught or f"{match[2]}/{match[1]}"


def unit_tests(filter=None):
    runner = TREE / ".build/debug/otpdPackageTests.xctest"
    return [str(runner), "--testing-library", "swift-testing", "--no-parallel"] + (["--filter", filter] if filter else [])


# Short forms of the machines that see what unit tests can't; `test:` of a mutation may name one.
MACHINES = {
    "race": "otp-bench race --challenges 20",
    "crash": "otp-crash kills --cycles 4 --folder-cycles 1 --seed 1",
    "reads": "otp-crash sweep --phases init,start --call read --seed 1",
    "states": "otp-sim states --states 3000 --seed 1",
    "starts": "otp-sim states --scenario first --states 12000 --seed 1",
    "sim": "otp-sim run --seeds 60 --operations 300 --seed 1 --max-violations 1",
}
# Those that start an otpd of their own: seeded bugs must reach it.
STARTS_OTPD = ("race", "crash", "reads")


def stage(test):
    """How to run the unit tests that a filter finds, or a machine."""
    if test in MACHINES:
        program, *rest = MACHINES[test].split()
        return [str(TREE / ".build/debug" / program), *rest], MACHINE_LIMIT, test
    return unit_tests(test), TEST_LIMIT if test else SUITE_LIMIT, None


def first_failure(stages, number):
    """What failed, or None; and the seconds that took."""
    started, run = time.monotonic(), None
    for arguments, limit, machine in stages:
        run = Run(arguments, number, limit, machine)
        if run.caught:
            break
    return run, time.monotonic() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="NAME", help="mutants whose name, or whose file, contains NAME (rules.txt: all of that file)")
    parser.add_argument("--check", action="store_true", help="only check that every mutation applies")
    parser.add_argument("--alone", choices=sorted(MACHINES), help="only this machine: what it sees by itself")
    options = parser.parse_args()
    try:
        mutations = read_mutations()
        mutate(mutations)
    except (ValueError, OSError) as error:
        sys.exit(f"mutants: {error}")
    chosen = [(n, m) for n, m in enumerate(mutations, 1) if options.only in m.where]
    if options.check:
        return print(f"mutants: all {len(mutations)} apply")
    if not chosen:
        sys.exit(f"mutants: no mutation's name contains `{options.only}`")
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    print(f"mutants: {len(chosen)} of {len(mutations)}, commit {commit.stdout.strip()}", flush=True)
    make_tree(mutations)
    build()
    everything = [stage(None)] + [stage(name) for name in MACHINES]
    own = [stage(test) for test in sorted({mutation.test for _, mutation in chosen})]
    alone = [stage(options.alone)] if options.alone else None
    run, seconds = first_failure(alone or (own if options.only else everything), 0)
    if run.caught:
        sys.exit("\n".join(run.tail) + f"\nmutants: without a mutant {run.caught} fails; mend that first")
    print(f"without a mutant all pass ({seconds:.0f} s)\n", flush=True)
    for name in STARTS_OTPD:
        if not first_failure([stage(name)], CANARY)[0].caught:
            sys.exit(f"mutants: {name} passes with an otpd that dies at once: what it runs isn't the mutated program")
    width = max(len(m.name) for _, m in chosen)
    survivors = []
    for number, mutation in chosen:
        run, seconds = first_failure(alone or [stage(mutation.test)] + everything, number)
        if not run.caught:
            survivors.append(mutation)
        said = run.caught or "NOT CAUGHT: " + mutation.breaks
        print(f"{mutation.name:{width}}  {mutation.promise}  {seconds:6.1f} s  {said}", flush=True)
    print(f"\ncaught {len(chosen) - len(survivors)} of {len(chosen)}")
    # A machine alone needn't see everything.
    return 1 if survivors and not options.alone else 0


if __name__ == "__main__":
    sys.exit(main())
