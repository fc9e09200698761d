"""Instructions of a session, counted by valgrind's callgrind.

A nursery that may run under valgrind (counted_limits.c) and its starter
(counted.c) lie in a directory beside copies of sslserver and keeper.  The
server runs as an ordinary user, since a root that a session has changed has
no room for what callgrind writes.  What is counted is user mode alone, on the
processor that valgrind shows, whose libcrypto takes other ways than this
machine's: a number to compare with itself, the same on every machine with
the same library.
"""

import os
import re
import shutil
import statistics
import subprocess
import time

import servers
import tree

CONNECTIONS = 3
PARTS = {'bin/sslserver': 'sslserver',
         'bin/ucspissl-keeper': 'ucspissl-keeper',
         'bench/counted': 'ucspissl-nursery',
         'bench/nursery-counted': 'nursery-counted',
         'bench/program': 'program'}
# Processor time is not what is measured.
PATIENCE = 60


def prepare(build, area):
    """The directory, and all in it the server's user's."""
    folder = area / 'counted'
    folder.mkdir()
    for source, name in PARTS.items():
        if not (build / source).exists():
            raise servers.Unable(f'{source} is not built (-Dbench=true)')
        shutil.copy(build / source, folder / name)
    for name in 'ecdsa.pem', 'ecdsa.key':
        shutil.copy(area / name, folder / name)
    if not os.getuid():
        for path in [folder, *folder.iterdir()]:
            os.chown(path, int(servers.PROGRAM_ID), int(servers.PROGRAM_ID))
    return folder


def command(folder, port):
    user = [] if os.getuid() else [
        servers.need('setpriv'), '--reuid', servers.PROGRAM_ID, '--regid',
        servers.PROGRAM_ID, '--clear-groups']
    return [*user, str(folder / 'sslserver'), '-q', '-H', '-R', '-l',
            'localhost', '--keepers', '1', servers.LOCAL, str(port),
            str(folder / 'program')]


def sums(folder):
    """What each process has counted that has ended."""
    found = [re.search(r'^summary: (\d+)', path.read_text(), re.M)
             for path in folder.glob('callgrind.*')]
    return [int(match.group(1)) for match in found if match]


def await_sessions(folder):
    """Theirs: counting begins in them anew, so that they have the least."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = sorted(sums(folder))
        # Rehearsals of the nursery have ended before, with all it had done.
        own = [count for count in found if count < found[-1] / 4]
        if len(own) == CONNECTIONS:
            return own
        time.sleep(0.05)
    raise servers.Unable(f'callgrind has counted {sums(folder)}')


def instructions(build, area):
    """Of one connection's session, the median of a few."""
    servers.need('valgrind')
    folder = prepare(build, area)
    kind = servers.Kind('counted', lambda setup: (
        command(folder, setup.port),
        {'CERTFILE': str(folder / 'ecdsa.pem'),
         'KEYFILE': str(folder / 'ecdsa.key')}))
    server = servers.Server(kind, servers.Setup(build, area, []), tree.Sums)
    try:
        subprocess.run(
            [build / 'bench/load', '-p', str(server.port), '-a',
             area / 'ca.pem', '-n', str(CONNECTIONS)], check=True,
            stdout=subprocess.DEVNULL)
        return statistics.median(await_sessions(folder))
    except subprocess.CalledProcessError as reason:
        raise servers.Unable('the load generator did not get all its '
                             'answers from a server under valgrind; a busy '
                             'machine may be too slow') from reason
    finally:
        server.stop()
