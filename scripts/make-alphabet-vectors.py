#!/usr/bin/env python3
"""Writes Tests/Vectors/text/alphabet.txt and segments.txt, or, with --check, makes them again and compares.

Two codecs that aren't ours must agree on every code point of Unicode before a line is written: PyPI's gsm0338 and Perl's Encode::GSM0338, whose table
is Unicode's mapping of the standard (unicode.org, MAPPINGS/ETSI/GSM0338.TXT). Segments are PyPI's smsutil's. In a virtual environment:

    pip install gsm0338==1.1.0 smsutil==1.1.3 && python scripts/make-alphabet-vectors.py --check
"""

import pathlib
import random
import subprocess
import sys

import gsm0338
import smsutil
from made import write_or_check

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "Tests/Vectors/text"
PERL = r"""
use Encode; use Encode::GSM0338; no warnings;
for my $first (map { $_ * 256 } 0 .. 0x10FF) {
    my @run = grep { $_ < 0xD800 || $_ > 0xDFFF } $first .. $first + 255;
    # What isn't in the alphabet becomes a question mark.
    next if encode("gsm0338", join("", map { chr } @run)) =~ /^\?*$/;
    for my $point (@run) {
        my $text = chr($point);
        my $octets = eval { encode("gsm0338", $text, Encode::FB_CROAK) };
        printf("%X %s\n", $point, unpack("H*", $octets)) if defined $octets;
    }
}
"""


def ours_by_python():
    """Looks closer only at runs of which something is in the alphabet."""
    codec = gsm0338.Codec()
    table = {}
    for first in range(0, 0x110000, 256):
        run = [point for point in range(first, first + 256) if not 0xD800 <= point <= 0xDFFF]
        if not codec.encode("".join(map(chr, run)), "ignore")[0]:
            continue
        for point in run:
            try:
                table[point] = codec.encode(chr(point), "strict")[0].hex()
            except UnicodeEncodeError:
                pass
    return table


def ours_by_perl():
    text = subprocess.run(["perl", "-e", PERL], capture_output=True, text=True, check=True).stdout
    return {int(point, 16): octets for point, octets in (line.split() for line in text.splitlines())}


def alphabet():
    python, perl = ours_by_python(), ours_by_perl()
    # The escape is no character, though codecs pass it; Perl reads it as the no-break space that Unicode's file suggests.
    for table in (python, perl):
        table.pop(0x1B, None)
        table.pop(0xA0, None)
    if python != perl:
        sys.exit(f"the codecs differ: {sorted(set(python.items()) ^ set(perl.items()))}")
    if len(python) != 127 + 10:
        sys.exit(f"{len(python)} characters, where 3GPP TS 23.038 has 127 and 10")
    head = [
        "# The default alphabet of 3GPP TS 23.038 with its extension table: code point, octets (one a septet), both in hex.",
        "# A code point that isn't here is in neither table. Made by scripts/make-alphabet-vectors.py, where PyPI's gsm0338 1.1.0",
        "# and Perl's Encode::GSM0338 must agree on all of Unicode.",
    ]
    return "\n".join(head + [f"{point:04X} {octets}" for point, octets in sorted(python.items())]) + "\n"


def segments():
    """Lengths about every edge, pairs across it, and random texts: characters are written as code points, `N*` repeats."""
    source = random.Random(23038)
    cases = []
    for plain, pair, edges in (("a", "€", (160, 153, 306, 459)), ("я", "😀", (70, 67, 134, 201))):
        for edge in edges:
            for length in range(edge - 3, edge + 4):
                cases.append(plain * length)
                for place in (edge - 1, edge - 2, 66, 152):
                    if 0 <= place < length:
                        cases.append(plain * place + pair + plain * (length - place - 1))
        cases += [pair * count for count in (33, 34, 35, 36, 66, 67, 76, 77, 80, 81, 152, 153)]
    for _ in range(40):
        alphabet = source.choice(["ab€", "a[]€", "aя", "я😀", "a😀€", "abcdefgh~"])
        cases.append("".join(source.choice(alphabet) for _ in range(source.randrange(0, 330))))
    out = [
        "# encoding, units, segments, text as runs of code points (hex, xN repeats). Segments by PyPI's smsutil 1.1.3 over its own splitter.",
        "# Made by scripts/make-alphabet-vectors.py.",
    ]
    for text in dict.fromkeys(cases):
        result = smsutil.split(text)
        isGSM = result.encoding == "gsm0338"
        units = result.total_bytes if isGSM else len(text.encode("utf-16-be")) // 2
        out.append(f"{'gsm7' if isGSM else 'ucs2'} {units} {max(1, len(result.parts))} {runs(text)}".rstrip())
    return "\n".join(out) + "\n"


def runs(text):
    found = []
    for character in text:
        if found and found[-1][0] == character:
            found[-1][1] += 1
        else:
            found.append([character, 1])
    return " ".join(f"{ord(c):X}" + (f"x{n}" if n > 1 else "") for c, n in found)


write_or_check({FOLDER / "alphabet.txt": alphabet(), FOLDER / "segments.txt": segments()})
