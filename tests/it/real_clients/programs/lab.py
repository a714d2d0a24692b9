"""What every program here shares: how the lab is reached, and what it claims to have seen of it."""

import json
import os
import sys
import traceback

HOST = os.environ["LAB_HOST"]
PORT = int(os.environ["LAB_PORT"])
NODE = os.environ["LAB_NODE"]
USER, TOKEN_NAME = os.environ["LAB_TOKEN_ID"].split("!")
TOKEN = os.environ["LAB_TOKEN"]
PASSWORD = os.environ["LAB_PASSWORD"]

PARTS = []
CLAIMS = []


def part(function):
    """A part of the program; all of them run, in the order in which they stand."""
    PARTS.append(function)
    return function


def claim(path, **has):
    """What a GET of this path has to show to somebody else, too."""
    CLAIMS.append({"path": path, "has": has})


def same(got, expected):
    if got != expected:
        raise AssertionError(f"got {got!r} instead of {expected!r}")


def main():
    failed = 0
    for function in PARTS:
        try:
            function()
            print(f"ok {function.__name__}", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED {function.__name__}\n{traceback.format_exc()}", flush=True)
    with open(os.environ["LAB_CLAIMS"], "w", encoding="utf-8") as file:
        json.dump(CLAIMS, file)
    sys.exit(1 if failed else 0)
