"""One line per check on standard output, shared by the Python clients."""

import os
import ssl
import subprocess
import sys
import time
import traceback
import uuid

URL = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
LARGE_BYTES = int(os.environ.get("LARGE_MESSAGE_BYTES", 20 * 1024 * 1024))
_failures = 0


TLS_URL = os.environ.get("AMQPS_URL")
TLS_DIRECTORY = os.environ.get("TLS_DIRECTORY", "")


class Skip(Exception):
    """Raised by a check that needs what the runner does not offer."""


def unique(label):
    """A name that no other run uses."""
    return f"clients.{label}.{os.getpid()}.{uuid.uuid4().hex[:8]}"


def report(name, error):
    """Prints the verdict of one check; error None means passed."""
    global _failures
    if error is None:
        print(f"ok {name}", flush=True)
    elif isinstance(error, Skip):
        print(f"skip {name}", flush=True)
    else:
        _failures += 1
        where = traceback.extract_tb(error.__traceback__)
        line = where[-1] if where else None
        reason = " ".join(f"{type(error).__name__} {error}".split())
        print(f"not ok {name}: {reason} ({line})", flush=True)


def check(name):
    """Decorator: runs the function at once and reports it."""

    def run(function):
        try:
            function()
        except Exception as error:  # every failure is a verdict
            report(name, error)
        else:
            report(name, None)
        return function

    return run


def finish():
    """Ends the process with the verdict, whatever threads still run."""
    sys.stdout.flush()
    os._exit(1 if _failures else 0)


def tls_context(with_certificate=False):
    """Trusts the runner's authority; shows the certificate of guest when asked to."""
    if not TLS_URL:
        raise Skip()
    context = ssl.create_default_context(cafile=f"{TLS_DIRECTORY}/ca.pem")
    # The authority is too plain for the strict reading of newer Pythons.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    if with_certificate:
        context.load_cert_chain(f"{TLS_DIRECTORY}/guest.pem", f"{TLS_DIRECTORY}/guest.key")
    return context


def restart_broker():
    """Restarts the broker when the runner owns it."""
    command = os.environ.get("RESTART_COMMAND")
    if not command:
        raise Skip()
    subprocess.run([command, "restart"], check=True, stdout=subprocess.DEVNULL)


def eventually(probe, what, seconds=10.0):
    """Polls until probe() gives a truthy value, and returns it."""
    deadline = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"never happened: {what}")
        time.sleep(0.02)
