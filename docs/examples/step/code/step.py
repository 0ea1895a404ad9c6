"""Stands for any step of a pipeline: says what it does, takes its time, says that it is done.

What it does and how long it takes come from the environment, so that one task serves many steps.
"""

import os
import time


def main():
    """Works for SECONDS on WHAT."""
    what = os.environ.get("WHAT", "nothing in particular")
    seconds = float(os.environ.get("SECONDS", "0.5"))
    print(f"begin: {what}", flush=True)
    begun = time.monotonic()
    time.sleep(seconds)
    print(f"done: {what}, {time.monotonic() - begun:.1f} s")


if __name__ == "__main__":
    main()
