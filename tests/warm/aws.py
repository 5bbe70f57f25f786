"""A process of the aws command line's own environment that has imported it, and forks into it as often as it is asked.

It runs with that environment's Python and imports nothing of ours. Each line on standard input is JSON: arguments and
environment; each line of the answer is the exit code, standard output and standard error. What runs is the `main` that
the script `aws` runs, in a process of its own, with the environment that was asked for and a session that it makes
itself; only what is imported is there already: four fifths of a second of CPU, of one.
"""

import contextlib
import io
import json
import os
import sys
import tempfile
import threading
import traceback
from typing import Any

import awscli.clidriver

NOWHERE = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ENDPOINT_URL_SERVICEDISCOVERY": "http://127.0.0.1:1",
    "AWS_MAX_ATTEMPTS": "1",
}


def rehearse() -> None:
    """Run a command that reaches nobody: on its way it imports what it imports only then."""
    before = dict(os.environ)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        os.environ.update(NOWHERE)
        sys.argv = ["aws", "servicediscovery", "list-services"]
        awscli.clidriver.main()
    os.environ.clear()
    os.environ.update(before)


def become(asked: dict[str, Any], streams: list[Any]) -> None:
    """Be the command, to its end."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, handle in enumerate((nothing, *(stream.fileno() for stream in streams))):
        os.dup2(handle, number)
    data = os.environ["AWS_DATA_PATH"]  # set by the import of awscli, to where its own data is
    os.environ.clear()
    os.environ.update({**asked["environment"], "AWS_DATA_PATH": data})
    sys.argv = ["aws", *asked["arguments"]]
    code = 70
    try:
        code = awscli.clidriver.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - told on standard error, as the interpreter would
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def serve() -> None:
    """Run a command a line until the input ends."""
    for line in sys.stdin:
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            child = os.fork()
            if child == 0:
                become(json.loads(line), [out, err])
            _, status = os.waitpid(child, 0)
            texts = []
            for stream in (out, err):
                stream.seek(0)
                texts.append(stream.read())
        sys.stdout.write(json.dumps([os.waitstatus_to_exitcode(status), *texts]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    rehearse()
    assert threading.active_count() == 1, "a process with threads cannot be forked"
    serve()
