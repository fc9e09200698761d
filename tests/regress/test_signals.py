"""Signals end the service as promised, and nothing else."""

import os
import signal
import time

import pytest

from harness import (LONG_LIVED, PATIENCE, Client, hold, read_stat, wait_for)

ROLES = sorted(LONG_LIVED - {'front'}) + ['session']


def refuses(server):
    try:
        Client(server.address, server.port, handshake=False).close()
        return False
    except ConnectionRefusedError:
        return True


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_idle_server_leaves(start, number):
    """Exit 0 within a second; nobody is left behind."""
    server = start()
    server.check_service()
    server.wait_idle()
    server.signal(number)
    assert server.process.wait(PATIENCE) == 0
    server.wait_gone(2)


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_connections_go_on(start, number):
    """Exit 0 within a second, the port is free for the next server, and
    connections with a program complete; then all processes leave."""
    server = start()
    first, second = server.connect(), server.connect()
    first.echo(b'before')
    second.echo(b'before')
    server.signal(number)
    assert server.process.wait(PATIENCE) == 0
    following = start(port=server.port)
    following.check_service()
    for client in (first, second):
        client.echo(b'after' * 10000)
    first.close_notify()
    assert first.recv_all() == b''
    second.echo(b'still')
    second.close_notify()
    assert second.recv_all() == b''
    first.close()
    second.close()
    server.wait_gone()
    server.wait_log(r'^sslserver: ended by \d+ status 0$', count=2)
    following.check_service()


def test_connections_without_a_program_are_closed(start):
    """A handshake in progress does not hold anybody up."""
    server = start()
    client = Client(server.address, server.port, handshake=False)
    client.sock.sendall(client.first_flight()[:50])
    server.wait_log('^sslserver: pid ')
    server.signal(signal.SIGTERM)
    assert server.process.wait(PATIENCE) == 0
    client.wait_close()
    client.close()
    server.wait_gone(2)


def test_port_is_closed_when_the_server_has_left(start):
    server = start()
    with server.connect() as client:
        client.echo(b'x')
        assert server.stop() == 0
        assert refuses(server)
        client.echo(b'y')


def test_second_signal_changes_nothing(start):
    server = start()
    with server.connect() as client:
        client.echo(b'x')
        server.signal(signal.SIGTERM)
        server.signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == 0
        client.echo(b'y')


def test_drain_waits(start):
    """--drain: the started process stays until connections have ended."""
    server = start(options=['--drain', '60'])
    client = server.connect()
    client.echo(b'x')
    server.signal(signal.SIGTERM)
    wait_for(lambda: refuses(server), 1, 'the listener to be closed')
    hold(lambda: server.process.poll() is None, 0.5, 'front waits')
    client.echo(b'y')
    client.close_notify()
    assert client.recv_all() == b''
    client.close()
    assert server.process.wait(PATIENCE) == 0
    server.wait_gone(2)


def test_drain_ends(start):
    """After s seconds connections are ended."""
    server = start(options=['--drain', '1'])
    client = server.connect()
    client.echo(b'x')
    began = time.monotonic()
    server.signal(signal.SIGTERM)
    assert server.process.wait(PATIENCE) == 0
    assert time.monotonic() - began > 0.8
    client.wait_close()
    client.close()
    server.wait_gone(2)
    server.wait_log(r'^sslserver: ended by \d+ status')


def test_drain_with_nothing_to_wait_for(start):
    server = start(options=['--drain', '60'])
    server.check_service()
    server.wait_idle()
    server.signal(signal.SIGTERM)
    assert server.process.wait(PATIENCE) == 0
    server.wait_gone(2)


def test_stubborn_program_after_drain(start):
    """One that ignores SIGTERM does not stay for ever."""
    server = start('/bin/sh', '-c', 'trap "" TERM; cat; sleep 100',
                   options=['--drain', '1'])
    with server.connect() as client:
        client.echo(b'x')
        server.signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == 0
    wait_for(lambda: 'session' not in server.roles(), what='no session')


def test_front_killed(start):
    """SIGKILL of the started process: as SIGTERM, but for the code."""
    server = start()
    client = server.connect()
    client.echo(b'x')
    server.signal(signal.SIGKILL)
    assert server.process.wait(PATIENCE) == -signal.SIGKILL
    wait_for(lambda: refuses(server), 2, 'the listener to be closed')
    following = start(port=server.port)
    following.check_service()
    client.echo(b'y')
    client.close_notify()
    assert client.recv_all() == b''
    client.close()
    server.wait_gone()


def test_master_killed(start):
    """front exits 111, every connection ends with its session."""
    server = start()
    client = server.connect()
    client.echo(b'x')
    server.signal(signal.SIGKILL, server.pid('master'))
    assert server.process.wait(PATIENCE) == 111
    client.wait_close()
    client.close()
    server.wait_gone()
    assert refuses(server)


@pytest.mark.parametrize('role', ROLES)
def test_roles_ignore_terminal_signals(start, role):
    """INT, TERM, HUP and QUIT to a role change nothing."""
    server = start(options=['--keepers', '1'])
    with server.connect() as client:
        client.echo(b'x')
        before = dict(server.roles())
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP,
                       signal.SIGQUIT):
            server.signal(number, before[role][0])
        client.echo(b'y')
        assert dict(server.roles()) == before
    server.check_service()
    server.wait_idle()
    assert server.process.poll() is None


def test_front_ignores_quit(start):
    server = start()
    before = server.ticks().keys()
    for _ in range(5):
        server.signal(signal.SIGQUIT)
    server.check_service()
    server.wait_idle()
    assert server.process.poll() is None
    assert server.ticks().keys() == before


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_whole_group(start, number):
    """Ctrl-C reaches the whole group: programs die of it, all leave."""
    server = start()
    with server.connect() as client:
        client.echo(b'x')
        os.killpg(server.front, number)
        assert server.process.wait(PATIENCE) == 0
        client.wait_close()
    server.wait_gone()
    server.wait_log(r'^sslserver: ended by \d+ status %d$' % number)


def test_ignored_sigchld_is_no_matter(start):
    """Started by a parent that ignores SIGCHLD and SIGPIPE."""
    def before():
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)

    server = start(preexec=before)
    for _ in range(3):
        server.check_service()
    server.wait_log(r'^sslserver: ended by \d+ status 0$', count=3)
    server.wait_idle()
    assert server.stop() == 0


def test_blocked_signals_are_no_matter(start):
    """Started with SIGTERM and SIGCHLD blocked."""
    def before():
        signal.pthread_sigmask(signal.SIG_BLOCK,
                               {signal.SIGTERM, signal.SIGCHLD})

    server = start(preexec=before)
    server.check_service()
    server.wait_idle()
    assert server.stop(2) == 0
    server.wait_gone(2)


def test_stopped_front_changes_nothing(start):
    """The started process has no part in serving."""
    server = start()
    server.signal(signal.SIGSTOP)
    wait_for(lambda: read_stat(server.front).state == 'T',
             what='front to be stopped')
    server.check_service()
    server.signal(signal.SIGCONT)
    assert server.stop() == 0


def test_termination_during_many_connections(start):
    """Clients come and go while the server is told to leave."""
    server = start(options=['-c', '20'])
    clients = [server.connect() for _ in range(10)]
    for client in clients:
        client.echo(b'x')       # it has its program, not only its TLS
    raw = [Client(server.address, server.port, handshake=False)
           for _ in range(5)]
    server.signal(signal.SIGTERM)
    assert server.process.wait(PATIENCE) == 0
    for client in clients:
        client.echo(b'x')
        client.close()
    for client in raw:
        client.wait_close()
        client.close()
    server.wait_gone()
