#!/usr/bin/env python3
"""Writes Sources/SMSText/LocaleData.swift and ScriptData.swift and Tests/Vectors/text/amounts.txt, or, with --check, makes them again and compares.

Sources: CLDR (how each locale writes an amount beside an ISO 4217 code) and Unicode (scripts, UTS #39's allowed characters and confusables), both as ICU has
them; ISO 4217's own list (digits after the point), as PyPI's iso4217 has it. ICU formats the vectors too; our formatter shares its data and none of its code.

    pip install icukit-pyicu==78.3.1 iso4217==1.16.20260101 && python scripts/make-text-data.py --check
"""

import pathlib
import re
import sys
import unicodedata

import icu
import iso4217
from made import write_or_check

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCE = f"ICU {icu.ICU_VERSION}, CLDR 48, Unicode {icu.UNICODE_VERSION}, ISO 4217 of {iso4217.__published__ if hasattr(iso4217, '__published__') else '2026-01-01'}"
HEAD = f"// Made by scripts/make-text-data.py from {SOURCE}. Don't edit.\n\n"
assert icu.ICU_VERSION.startswith("78."), "CLDR 48 comes with ICU 78: state the new one"
# What an SMS can't show, or shows only in UCS-2, has a plain likeness.
PLAIN = {"\u00a0": " ", "\u202f": " ", "\u2019": "'", "\u200e": "", "\u200f": "", "\u061c": ""}


def icu_amount(tag, currency, digits, minor):
    number = f"{minor // 10**digits}.{minor % 10**digits:0{digits}d}" if digits else str(minor)
    formatter = (
        icu.NumberFormatter.withLocale(icu.Locale.forLanguageTag(f"{tag}-u-nu-latn"))
        .unit(icu.CurrencyUnit(currency))
        .unitWidth(icu.UNumberUnitWidth.ISO_CODE)
        .precision(icu.Precision.fixedFraction(digits))
    )
    return "".join(PLAIN.get(c, c) for c in formatter.formatDecimal(number.encode()))


def style(tag):
    """Of a currency that has no signs of its own: decimal, group, sizes of the first and the further groups, digits before the first group, place of the code."""
    text = icu_amount(tag, "XTS", 2, 123456789050)
    found = re.fullmatch(r"(XTS )?([0-9]+(?:([^0-9])[0-9]+)*)([^0-9])50( XTS)?", text)
    assert found and bool(found[1]) != bool(found[5]), (tag, text)
    groups = re.split(r"[^0-9]", found[2])
    sizes = (len(groups[-1]), len(groups[-2])) if len(groups) > 1 else (0, 0)
    least = 0
    for digits in range(sizes[0] + 1, 10) if sizes[0] else ():
        if len(re.findall(r"[0-9]+", icu_amount(tag, "XTS", 2, 10 ** (digits + 1)))) == 3:
            least = digits - sizes[0]
            break
    return (found[4], found[3] or "", *sizes, least, "first" if found[1] else "last")


def styles():
    root = style("und")
    tags = sorted({icu.Locale.createFromName(n).toLanguageTag() for n in icu.Locale.getAvailableLocales()})
    known = {}

    def inherited(tag):
        while "-" in tag:
            tag = tag.rpartition("-")[0]
            if tag in known:
                return known[tag]
        return root

    for tag in sorted(tags, key=len):
        if re.fullmatch(r"[A-Za-z0-9-]+", tag) and "-u-" not in tag and style(tag) != inherited(tag):
            known[tag] = style(tag)
    return root, known


def locale_data():
    root, known = styles()
    rows = {}
    for tag, row in sorted(known.items()):
        rows.setdefault(row, []).append(tag.lower())
    lines = [" ".join(str(x).replace(" ", "_") or "-" for x in row) + " " + " ".join(tags) for row, tags in rows.items()]
    coins = sorted((c.code, c.exponent) for c in iso4217.Currency if c.exponent is not None)
    packed = [f"{code}{digits}" for code, digits in coins]
    return (
        HEAD
        + "/// How amounts are written; `AmountStyle` and `Currency` read it.\nenum LocaleData {\n"
        + "    /// Of each line: decimal sign, group sign (`_` is a space), size of the last group and of the others, digits that must stand\n"
        + "    /// before the first group sign, place of the code; then the locales. One that isn't here writes as its parent does.\n"
        + '    static let styles = """\n' + "\n".join(wrap(lines, 8)) + '\n        """\n\n'
        + "    /// The style of a language that isn't here.\n"
        + f'    static let root = "{" ".join(str(x) for x in root)}"\n\n'
        + "    /// ISO 4217: code, digits after the point.\n"
        + '    static let currencies = """\n' + "\n".join(wrap([" ".join(packed)], 8)) + '\n        """\n}\n'
    )


def wrap(lines, indent, width=108):
    out = []
    for line in lines:
        row = ""
        for word in line.split(" "):
            if row and len(row) + len(word) + 3 + indent > width:
                out.append(" " * indent + row + " \\")
                row = word
            else:
                row += (" " if row else "") + word
        out.append(" " * indent + row)
    return out


def script_data():
    checker = icu.SpoofChecker()
    allowed = sorted(ord(c) for c in checker.getRecommendedUnicodeSet() if len(c) == 1 and unicodedata.category(c)[0] in "LMN")
    # Assigned since this Python's Unicode: category Cn here. ICU's word is the one that counts.
    newer = [ord(c) for c in checker.getRecommendedUnicodeSet() if unicodedata.category(c) == "Cn" and icu.Char.isalpha(c)]
    allowed = sorted(set(allowed) | set(newer))
    bits, joint = {}, {"Jpan": 0, "Kore": 1, "Hanb": 2}

    def mask(point):
        codes = {icu.Script(s).getShortName() if isinstance(s, int) else s for s in icu.Script.getScriptExtensions(chr(point))}
        if codes & {"Zyyy", "Zinh"}:
            return 0xFFFF_FFFF_FFFF_FFFF
        value = 0
        for code in sorted(codes):
            value |= 1 << bits.setdefault(code, len(joint) + len(bits))
            # UTS #39 §5.1's augmented sets; Latin may stand beside each of these in one word (§5.2, highly restrictive).
            together = {"Hani": "Jpan Kore Hanb", "Hira": "Jpan", "Kana": "Jpan", "Hang": "Kore", "Bopo": "Hanb", "Latn": "Jpan Kore Hanb"}
            for name in together.get(code, "").split():
                value |= 1 << joint[name]
        assert len(joint) + len(bits) < 64
        return value

    ranges = []
    for point in allowed:
        value = mask(point)
        if ranges and ranges[-1][1] + 1 == point and ranges[-1][2] == value:
            ranges[-1][1] = point
        else:
            ranges.append([point, point, value])
    alike = [
        p for p in allowed
        if unicodedata.category(chr(p))[0] == "L" and names(p) <= {"Cyrl", "Grek", "Armn"}
        and checker.getSkeleton(0, chr(p)).isascii() and checker.getSkeleton(0, chr(p)).isalnum()
    ]
    text = " ".join(f"{a:X}-{b:X}:{v:X}".replace(":FFFFFFFFFFFFFFFF", "") if a != b else f"{a:X}:{v:X}".replace(":FFFFFFFFFFFFFFFF", "") for a, b, v in ranges)
    scripts = " ".join(f"{name}={bit}" for name, bit in bits.items())
    return (
        HEAD
        + "/// Letters, marks and numbers that a payee may have, and their scripts; `ScriptTable` reads it.\nenum ScriptData {\n"
        + "    /// UTS #39's recommended characters (Identifier_Status=Allowed): first-last:scripts in hex. Without scripts: common to all.\n"
        + f"    /// Bits: Jpan=0 Kore=1 Hanb=2\n" + "\n".join("    /// " + line.strip().removesuffix(" \\") for line in wrap([scripts], 8)) + "\n"
        + '    static let ranges = """\n' + "\n".join(wrap([text], 8)) + '\n        """\n\n'
        + "    /// Cyrillic, Greek and Armenian letters that UTS #39 (confusables.txt) reads as ASCII letters or digits.\n"
        + '    static let alike = """\n' + "\n".join(wrap([" ".join(f"{p:X}" for p in alike)], 8)) + '\n        """\n'
        + "".join(f"    static let {swift}: UInt64 = 1 << {bits[code]}\n" for swift, code in (("cyrillic", "Cyrl"), ("greek", "Grek"), ("armenian", "Armn")))
        + "}\n"
    ), len(ranges), len(alike)


def names(point):
    return {icu.Script(s).getShortName() for s in icu.Script.getScriptExtensions(chr(point))}


def amounts():
    digits = {c.code: c.exponent for c in iso4217.Currency}
    out = [
        f"# locale, currency, minor units, digits, text as {SOURCE} writes it with Latin digits and the ISO code;",
        "# no-break spaces are spaces, typographic apostrophes straight, marks of direction left out. Made by scripts/make-text-data.py.",
    ]
    tags = "en en-IN en-ZA en-CH de de-AT de-CH de-LI fr fr-CA fr-CH es es-ES es-MX es-AR it it-CH pt pt-BR pt-PT pl tr ar ar-EG ar-MA ar-SA hi zh zh-TW zh-Hant nl sv bn uk"
    for tag in tags.split():
        for currency in "JPY EUR KWD CLF USD INR SAR".split():
            if (tag, currency) == ("en-CH", "EUR"):
                continue  # CLDR writes euros there with signs of their own; we write every currency by the locale's
            for minor in (0, 1, 99, 100, 999, 1000, 12345, 99999, 100000, 999999, 1000000, 12345678, 1234567890, 999999999999):
                out.append(f"{tag} {currency} {minor} {icu_amount(tag, currency, digits[currency], minor)}")
    return "\n".join(out) + "\n"


def main():
    scripts, ranges, alike = script_data()
    write_or_check({
        ROOT / "Sources/SMSText/LocaleData.swift": locale_data(), ROOT / "Sources/SMSText/ScriptData.swift": scripts,
        ROOT / "Tests/Vectors/text/amounts.txt": amounts(),
    })
    print(f"{ranges} ranges, {alike} look-alikes; {SOURCE}")


main()
