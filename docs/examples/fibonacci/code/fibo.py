"""Prints the first Fibonacci numbers. A job: it computes, prints and ends with 0."""

import sys


def fibonacci(count):
    """Yields the first `count` numbers, beginning with 0."""
    a, b = 0, 1
    for _ in range(count):
        yield a
        a, b = b, a + b


def main(arguments):
    """Reads how many are wanted and prints them, one a line."""
    if len(arguments) != 1 or not arguments[0].isdigit():
        print("usage: fibo.py COUNT", file=sys.stderr)
        return 2
    count = int(arguments[0])
    print(f"the first {count} Fibonacci numbers")
    for place, number in enumerate(fibonacci(count)):
        print(f"F({place}) = {number}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
