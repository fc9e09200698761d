"""The server works under the memory limits of softlimit -m."""

import resource
import subprocess

import pytest

from harness import SANITIZED, find_command, run_server

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


def least_that_runs_anything():
    """Below this the dynamic loader of any program fails by itself."""
    for size in range(2000000, 40000000, 500000):
        done = subprocess.run(['/bin/sh', '-c', 'exit 0'], check=False,
                              preexec_fn=softlimit(size),
                              stderr=subprocess.DEVNULL)
        if done.returncode == 0:
            return size
    raise AssertionError('nothing runs under any limit')


@pytest.mark.parametrize('size', [4000000, 6000000, 8000000, 10000000,
                                  12000000])
def test_below_the_need(pki, size):
    """One sentence and 111, or it serves: never a crash or a hang."""
    if size < least_that_runs_anything():
        pytest.skip('no program at all runs with so little')
    result = run_server(['--check', '127.0.0.1', '0', '/bin/cat'],
                        env=pki.ecdsa, preexec=softlimit(size))
    if result.code == 0:
        return
    if result.code in (127, -11, -9) and 'sslserver' not in result.err:
        pytest.skip('sslserver itself is not loaded with so little')
    assert result.code == 111, result
    lines = [line for line in result.err.splitlines()
             if line.startswith('sslserver: fatal: (111) ')]
    assert len(lines) == 1, result.err


def test_too_little_is_an_error(pki):
    """12 million are too little, and the sentence is there."""
    result = run_server(['127.0.0.1', '0', '/bin/cat'], env=pki.ecdsa,
                        preexec=softlimit(12000000))
    assert result.code == 111, result
    fatal = [line for line in result.err.splitlines()
             if line.startswith('sslserver: fatal: (111) ')]
    assert len(fatal) == 1, result.err


def test_limits_are_the_callers(start):
    """No role needs more than it was given: memory is as the shell's."""
    server = start(preexec=softlimit(40000000))
    for pids in server.roles().values():
        for pid in pids:
            limits = resource.prlimit(pid, resource.RLIMIT_AS)
            assert limits[0] == 40000000, pid
