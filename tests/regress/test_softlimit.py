"""The server works under the memory limits of softlimit -m."""

import resource
import signal

import pytest

from harness import SANITIZED, find_command, proc_limits, run_server

pytestmark = pytest.mark.skipif(
    SANITIZED, reason='a sanitizer reserves more address space than that')

NAMES = ('RLIMIT_DATA', 'RLIMIT_STACK', 'RLIMIT_MEMLOCK', 'RLIMIT_AS')


def softlimit(size):
    """The four soft limits that softlimit -m sets."""
    def before():
        for name in NAMES:
            hard = resource.getrlimit(getattr(resource, name))[1]
            value = size if hard == resource.RLIM_INFINITY \
                else min(size, hard)
            resource.setrlimit(getattr(resource, name), (value, hard))
    return before


@pytest.mark.parametrize('key', ['rsa', 'ecdsa'])
def test_serves_under_40_million(start, pki, key):
    server = start(preexec=softlimit(40000000), certs=getattr(pki, key))
    for _ in range(200):
        server.check_service()
    clients = [server.connect() for _ in range(20)]
    for client in clients:
        client.echo(b'x' * 100000)
    for client in clients:
        client.close()
    server.wait_idle(4)
    assert not server.lines('fatal|error: .*memory')


def test_with_the_command(start):
    """The same with softlimit itself, where daemontools is installed."""
    command = find_command('softlimit')
    if command is None:
        pytest.skip('softlimit is not installed')
    server = start(launcher=(command, '-m', '40000000'))
    for _ in range(20):
        server.check_service()


def test_program_has_the_same_limits(start):
    server = start('/bin/sh', '-c', 'ulimit -v',
                   preexec=softlimit(40000000))
    assert int(server.exchange()) == 40000000 // 1024


def check_with(size, pki):
    return run_server(['--check', '127.0.0.1', '0', '/bin/cat'],
                      env=pki.ecdsa, preexec=softlimit(size))


def test_below_the_need(pki):
    """One sentence and 111: down from what is enough to where even the
    loader of sslserver itself gives up."""
    size = 40000000
    refused = 0
    while size > 1000000:
        result = check_with(size, pki)
        is_ours = result.err.startswith('sslserver: ')
        if result.code != 0 and not is_ours:
            break
        if result.code != 0:
            refused += 1
            assert result.code == 111, (size, result)
            fatal = [line for line in result.err.splitlines()
                     if line.startswith('sslserver: fatal: (111) ')]
            assert len(fatal) == 1, (size, result.err)
        size = size * 9 // 10
    # The rest is the system's: no process is made, or it is not loaded.
    assert result.code in (126, 127, -signal.SIGSEGV, -signal.SIGKILL), \
        (size, result)
    assert refused > 0, 'no size was too little'


def test_limits_are_the_callers(start):
    """No role needs more than it was given: memory is as the shell's."""
    server = start(preexec=softlimit(40000000))
    for pids in server.roles().values():
        for pid in pids:
            limits = proc_limits(pid)
            assert limits['Max address space'][0] == 40000000, pid
