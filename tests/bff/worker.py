"""A second process of the same BFF: asks for tokens of a session from many threads, and prints what it got.

Arguments: the settings as JSON, the session cookie, the resource, the number of threads.
"""

import json
import sys
import threading

from bff import Backend, BffSettings
from bff.session import session_digest


def main() -> None:
    values, cookie, resource, count = sys.argv[1:]
    backend = Backend(BffSettings(**json.loads(values)))
    session = backend.store.find_session(session_digest(cookie))
    if session is None:
        raise SystemExit("no session")
    print("ready", flush=True)
    sys.stdin.readline()
    got: list[str] = []

    def ask() -> None:
        got.append(backend.tokens.access_token(session, resource))

    threads = [threading.Thread(target=ask) for _ in range(int(count))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(got), flush=True)


if __name__ == "__main__":
    main()
