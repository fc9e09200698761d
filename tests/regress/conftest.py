"""Fixtures: certificates made once, servers that end with their test."""

import collections
import os
import re
import shutil
import signal
import subprocess
import tempfile

import pytest

import clientrun
import harness
import pki as pki_module

SERVERS = []

# Whoever ends us, what we have started ends too; and a shell that runs us in
# the background has SIGINT ignored, which our servers must not inherit.
for _number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(_number, signal.default_int_handler)


@pytest.fixture(scope='session')
def top_directory():
    """Readable for the other identities that the server takes."""
    path = tempfile.mkdtemp(prefix='ucspi-ssl-')
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope='session')
def pki(top_directory):
    """tests/scenarios has the runs of one user share it: it is only read."""
    return pki_module.Pki(os.environ.get('UCSPI_PKI')
                          or os.path.join(top_directory, 'pki'))


@pytest.fixture
def workdir(top_directory):
    """A directory of this test's own; the program may write there."""
    path = tempfile.mkdtemp(prefix='test-', dir=top_directory)
    os.chmod(path, 0o777)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def start(workdir, pki):
    """Starts a server and waits until it is ready (ready=False: not)."""
    def starter(*program, ready=True, certs=None, **settings):
        server = harness.Server(workdir, program or ('/bin/cat',),
                                certs=certs or pki.ecdsa, **settings)
        SERVERS.append(server)
        return server.wait_ready() if ready else server

    SERVERS.clear()
    yield starter
    for server in SERVERS:
        server.destroy()
    reports = [server.log() for server in SERVERS
               if server.sanitizer_report()]
    assert not reports, 'a sanitizer reported:\n' + '\n'.join(reports)


@pytest.fixture
def family():
    """Finds sslclient's helpers, and waits for their end at the end."""
    found = clientrun.Family()
    yield found
    found.end()


@pytest.fixture
def peer():
    """Starts scripted servers, which end with their test."""
    peers = []

    def starter(serve, **settings):
        peers.append(clientrun.Peer(serve, **settings))
        return peers[-1]

    yield starter
    for each in peers:
        each.check()


@pytest.fixture
def command():
    """Takes servers that are programs; they end with their test."""
    commands = []

    def taker(server):
        commands.append(server)
        return server

    yield taker
    for each in commands:
        each.stop()


@pytest.fixture
def stops(workdir):
    found = harness.Stops(workdir)
    done = subprocess.run(found.launcher + ('true',), check=False,
                          stderr=subprocess.PIPE)
    if done.returncode == 99:
        pytest.skip('no seccomp user notification: '
                    + done.stderr.decode().strip())
    assert done.returncode == 0, done.stderr
    return found


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if not report.failed or 'start' not in item.fixturenames:
        return
    for number, server in enumerate(SERVERS):
        title = 'server %d: %s' % (number, ' '.join(server.arguments))
        report.sections.append((title, shorten(server.log())))


def shorten(text):
    """A long log as its beginning, its kinds of lines, and its end."""
    if len(text) < 20000:
        return text or '(log is empty)'
    kinds = collections.Counter(re.sub(r'\b\d+', 'N', line)
                                for line in text.splitlines())
    summary = '\n'.join('%6d x %s' % (count, line)
                        for line, count in kinds.most_common(100))
    return text[:5000] + '\n[...]\n' + summary + '\n[...]\n' + text[-9000:]


def pytest_configure(config):
    config.addinivalue_line('markers', 'root: needs to be root')


def pytest_runtest_setup(item):
    if not os.access(harness.SSLSERVER, os.X_OK):
        pytest.fail(harness.SSLSERVER + ' is not built', pytrace=False)
    if item.get_closest_marker('root') and not harness.ROOT:
        pytest.skip('needs to be root')


def pytest_report_header(config):
    return 'sslserver: %s, %s%s' % (
        harness.SSLSERVER, 'root' if harness.ROOT else 'ordinary user',
        ', sanitized' if harness.SANITIZED else '')
