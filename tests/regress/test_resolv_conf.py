"""Goal: what lies at /etc/resolv.conf cannot hold the server up, and a file
that comes there counts."""

import ctypes
import itertools
import os
import resource
import shutil
import time

import pytest

from admission import environment_of, known, name_server
from harness import descriptors, run_server, tool, wait_for

CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 0x1000, 0x4000, 1 << 18

pytestmark = pytest.mark.root


@pytest.fixture
def etc(workdir):
    """A directory that stands for /etc in a mount namespace."""
    path = os.path.join(workdir, 'etc')
    os.mkdir(path)
    for name in ('passwd', 'group', 'nsswitch.conf', 'services', 'hosts',
                 'ld.so.cache'):
        if os.path.exists('/etc/' + name):
            shutil.copy('/etc/' + name, path)
    return path


def entering(etc):
    """What a new process does to see it."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter():
        for failed in (libc.unshare(CLONE_NEWNS),
                       libc.mount(None, b'/', None, MS_REC | MS_PRIVATE,
                                  None),
                       libc.mount(etc.encode(), b'/etc', None, MS_BIND,
                                  None)):
            if failed:
                raise OSError(ctypes.get_errno(), 'no mounts of our own')
    return enter


@pytest.fixture
def inside(etc):
    pid = os.fork()
    if pid == 0:
        try:
            entering(etc)()
            os._exit(0)
        except OSError:
            os._exit(1)
    if os.waitpid(pid, 0)[1] != 0:
        pytest.skip('no mounts of our own')
    return entering(etc)


def put(etc, text):
    """text None: a FIFO."""
    path = os.path.join(etc, 'new')
    if text is None:
        os.mkfifo(path)
    else:
        with open(path, 'w', encoding='ascii') as file:
            file.write(text)
    os.rename(path, os.path.join(etc, 'resolv.conf'))


def test_fifo_at_start(inside, etc, pki):
    put(etc, None)
    result = run_server(['--check', '127.0.0.1', '0', '/bin/cat'],
                        env=dict(pki.ecdsa, DNSCACHEIP=None), preexec=inside)
    assert result.code == 0, result


def test_fifo_later(start, inside, etc):
    """The service goes on, and the next file counts."""
    put(etc, 'nameserver 127.0.0.1#1\n')
    server = start(tool('showstate'), env={'DNSCACHEIP': None},
                   options=['-l', 'here'], preexec=inside)

    def named(port, ip):
        put(etc, 'nameserver 127.0.0.1#%d\n' % port)
        return environment_of(server, source=ip).get('TCPREMOTEHOST')

    with name_server(known({'127.0.0.2': 'a.example'})) as dns:
        wait_for(lambda: named(dns.port, '127.0.0.2') == 'a.example', 5,
                 'the new name server')
    put(etc, None)
    # One look at least; master is needed for each connection.
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        assert environment_of(server, source='127.0.0.2', timeout=5)
    with name_server(known({'127.0.0.3': 'b.example'})) as dns:
        wait_for(lambda: named(dns.port, '127.0.0.3') == 'b.example', 5,
                 'the name server after the FIFO')


def test_not_readable_for_a_while(start, inside, etc):
    """Out of open files: read as soon as it can be, though it is the same."""
    put(etc, 'nameserver 127.0.0.1#1\n')
    server = start(tool('showstate'), env={'DNSCACHEIP': None},
                   options=['-l', 'here'], preexec=inside)
    master = server.pid('master')
    limits = resource.prlimit(master, resource.RLIMIT_NOFILE)
    with name_server(known({'127.0.0.2': 'a.example'})) as dns:
        used = descriptors(master)
        free = next(number for number in itertools.count()
                    if number not in used)
        resource.prlimit(master, resource.RLIMIT_NOFILE, (free, limits[1]))
        put(etc, 'nameserver 127.0.0.1#%d\n' % dns.port)
        # One look at least, and another one.
        time.sleep(2)
        assert not dns.questions
        resource.prlimit(master, resource.RLIMIT_NOFILE, limits)
        wait_for(lambda: environment_of(
            server, source='127.0.0.2').get('TCPREMOTEHOST'), 5,
            'the new name server')


def test_written_on_within_a_tick(start, inside, etc):
    """Times of files are coarse: what was read at once is read again."""
    path = os.path.join(etc, 'resolv.conf')
    put(etc, 'nameserver 127.0.0.1#1\n')
    server = start(tool('showstate'), env={'DNSCACHEIP': None},
                   options=['-l', 'here'], preexec=inside)
    script = known({'127.0.0.2': 'a.example'})

    def asks(dns, seconds):
        """Is this one asked within the time?"""
        until = time.monotonic() + seconds
        while not dns.questions and time.monotonic() < until:
            environment_of(server, source='127.0.0.2')
        return bool(dns.questions)

    # A machine that stands still for a look may miss the moment.
    for moment in range(5):
        with name_server(script) as first, name_server(script) as second:
            put(etc, 'nameserver 127.0.0.1#%d\n' % first.port)
            os.utime(path, (1000 + moment, 1000 + moment))
            assert asks(first, 5), 'the new file was not read'
            with open(path, 'w', encoding='ascii') as file:
                file.write('nameserver 127.0.0.1#%d\n' % second.port)
            os.utime(path, (1000 + moment, 1000 + moment))
            if asks(second, 3):
                return
    raise AssertionError('never read again')
