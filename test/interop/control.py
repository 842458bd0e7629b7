"""How the checks talk to the program that owns the processes: a line of JSON each way."""

import json
import sys
import time


def ask(what, **fields):
    """Has something done to a node, and waits until it is."""
    say({"do": what, **fields})
    answer = sys.stdin.readline()
    if answer == "":
        raise EOFError("nobody answers")
    return json.loads(answer)


def say(line):
    print(json.dumps(line), flush=True)


def until(read, is_good, limit_s=30.0, pause_s=0.05):
    """Reads until the value is good, and returns it. Errors of the reading are told when time is up."""
    end_at = time.monotonic() + limit_s
    while True:
        try:
            value = read()
            if is_good(value):
                return value
            found = repr(value)
        except Exception as error:  # pylint: disable=broad-except
            found = describe(error)
        if time.monotonic() > end_at:
            raise AssertionError("waited %.0f s, last: %s" % (limit_s, found))
        time.sleep(pause_s)


def describe(error):
    if hasattr(error, "code") and callable(error.code):
        return "%s: %s" % (error.code(), error.details())
    return "%s: %s" % (type(error).__name__, error)


def equal(found, wanted, what=""):
    if found != wanted:
        raise AssertionError("%s: %r, wanted %r" % (what, found, wanted))


def true(value, what):
    if not value:
        raise AssertionError(what)
