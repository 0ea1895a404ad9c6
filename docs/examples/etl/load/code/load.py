"""Loads one day's orders, or says which line is bad and ends with 3.

Monday's file has a bad line, so this is the example of a job that fails. A good failure names the place and the cure
on its last lines: those are what the task's `reason` shows.
"""

import csv
import os
import sys
from pathlib import Path

BAD_DATA = 3


def load(file):
    """Adds up the amounts, or raises ValueError with the line."""
    total = 0
    with file.open(newline="", encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            try:
                total += int(row["amount"])
            except ValueError as error:
                place = f"{file.name}, product {row['product']}"
                raise ValueError(f"{place}: the amount {row['amount']!r} is not a number") from error
            print(f"load: {row['product']} {row['amount']}", flush=True)
    return total


def main(folder):
    """Loads the file of the day that DAY names."""
    day = os.environ.get("DAY", "monday")
    file = Path(folder) / f"{day}.csv"
    print(f"load: reading {file.name}", flush=True)
    try:
        print(f"load: done, {load(file)} in all")
    except FileNotFoundError:
        print(f"load: there are no orders of {day}", file=sys.stderr)
        return 2
    except ValueError as error:
        print(f"load: {error}", file=sys.stderr)
        print("load: nothing was loaded; mend the file and run again", file=sys.stderr)
        return BAD_DATA
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
