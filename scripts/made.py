"""What scripts that make files of the repo share."""

import sys


def write_or_check(texts):
    """Writes each text to its path; with --check, compares instead, and ends with 1 at the first difference."""
    for path, text in texts.items():
        if "--check" not in sys.argv:
            path.write_text(text)
        elif path.read_text() != text:
            sys.exit(f"{path} isn't what this script makes")
        else:
            print(f"{path.name}: {len(text.splitlines())} lines, as made again")
