"""Works on one item after another until it is told to stop. A deployment.

SIGTERM is the request to stop: the item at hand is finished, then the program ends with 0, well within the grace
that precedes SIGKILL.
"""

import os
import signal
import threading


def main():
    """One item every SECONDS."""
    seconds = float(os.environ.get("SECONDS", "2"))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    print(f"worker: one item every {seconds:g} s", flush=True)
    item = 0
    # Waiting on the event rather than sleeping: a request to stop is heard at once.
    while not stop.wait(seconds):
        item += 1
        print(f"worker: item {item} done", flush=True)
    print(f"worker: stopped as asked after {item} items", flush=True)


if __name__ == "__main__":
    main()
