"""After aborted connections nothing is left and nothing spins."""

import errno
import select
import socket
import time

import pytest

from harness import (LONG_LIVED, Client, Truncated, tool, wait_for)

YES = ('/bin/sh', '-c', 'exec cat /dev/zero')
# Reads a little late, so that data is waiting in both directions.
LATE = ('/bin/sh', '-c', 'head -c 3000000 /dev/zero; exec cat >/dev/null')


def raw(server, **settings):
    return Client(server.address, server.port, handshake=False, **settings)


def before_first_byte(server):
    return raw(server)


def in_first_record(server):
    client = raw(server)
    client.sock.sendall(client.first_flight()[:3])
    return client


def in_client_hello(server):
    client = raw(server)
    client.sock.sendall(client.first_flight()[:100])
    return client


def after_client_hello(server):
    client = raw(server)
    client.sock.sendall(client.first_flight())
    return client


def with_server_hello_unread(server):
    client = after_client_hello(server)
    wait_for(lambda: has_input(client), what='the server to answer')
    return client


def before_finished(server):
    client = after_client_hello(server)
    client._fill()
    return client


def after_garbage(server):
    client = raw(server)
    client.sock.sendall(b'GET / HTTP/1.0\r\n\r\n')
    return client


def after_handshake(server):
    return server.connect()


def after_echo(server):
    client = server.connect()
    client.echo(b'x' * 1000)
    return client


def in_a_record(server):
    client = server.connect()
    client.tls.write(b'x' * 10000)
    client.sock.sendall(client.outgoing.read()[:500])
    return client


def with_unread_output(server):
    client = server.connect(receive_buffer=4096)
    wait_for(lambda: has_input(client), what='output')
    return client


def with_unread_data_both_ways(server):
    client = server.connect(receive_buffer=4096)
    wait_for(lambda: has_input(client), what='output')
    client.sock.settimeout(0.3)
    try:
        client.send(b'x' * 3000000)
    except socket.timeout:
        pass
    return client


def after_close_notify(server):
    client = server.connect()
    client.echo(b'x')
    client.close_notify()
    return client


def after_close_notify_with_output(server):
    client = server.connect()
    client.close_notify()
    client.recv_exactly(100000)
    return client


def has_input(client):
    return select.select([client.sock], [], [], 0)[0]


CAT = ('/bin/cat',)
STAGES = [
    (before_first_byte, CAT), (in_first_record, CAT), (in_client_hello, CAT),
    (after_client_hello, CAT), (with_server_hello_unread, CAT),
    (before_finished, CAT), (after_garbage, CAT), (after_handshake, CAT),
    (after_echo, CAT), (in_a_record, CAT), (with_unread_output, YES),
    (with_unread_data_both_ways, YES), (with_unread_data_both_ways, LATE),
    (after_close_notify, CAT), (after_close_notify_with_output, YES),
]


def end_with_reset(client):
    client.reset()


def send_fin(client):
    """Unless the server was quicker: what it refuses it may reset."""
    try:
        client.fin()
    except OSError as error:
        if error.errno != errno.ENOTCONN:
            raise


def end_with_fin(client):
    """FIN first, the socket's end a moment later."""
    send_fin(client)
    client.close()


def end_half(client):
    """FIN alone: the client goes on holding its socket, reading all."""
    send_fin(client)
    deadline = time.monotonic() + 0.3
    try:
        while time.monotonic() < deadline:
            if has_input(client) and not client.sock.recv(65536):
                break
    except ConnectionResetError:
        pass
    client.close()


ENDINGS = [end_with_reset, end_with_fin, end_half]


def long_lived_only(server):
    return set(server.roles()) == LONG_LIVED


@pytest.mark.parametrize('ending', ENDINGS, ids=lambda f: f.__name__)
def test_aborted_connections(start, ending):
    """Every stage, three connections each, on a server of its own: soon
    only the long-lived roles are there, and over the next 3 s their CPU
    time does not change.  The 3 s are measured for all at once."""
    servers = []
    for stage, program in STAGES:
        server = start(*program, options=['--keepers', '1'])
        servers.append((stage.__name__ + ' ' + program[-1], server))
        for _ in range(3):
            try:
                client = stage(server)
            except (Truncated, OSError) as error:
                raise AssertionError('%s: %r' % (stage.__name__, error)) \
                    from error
            ending(client)
        left = 'only long-lived roles after ' + stage.__name__
        wait_for(lambda server=server: long_lived_only(server), 2.0, left)
    before = {name: server.ticks() for name, server in servers}
    time.sleep(3)
    after = {name: server.ticks() for name, server in servers}
    assert after == before
    for _, server in servers:
        client = server.connect()
        client.close()


def test_many_aborts_on_one_server(start):
    """All stages in turn on one server, which still serves everybody."""
    server = start(tool('events'), '/dev/null', 'greet',
                   options=['-c', '10'])
    for _ in range(3):
        for stage, program in STAGES:
            if program is not CAT or stage in (after_echo,
                                               after_close_notify):
                continue
            for ending in ENDINGS[:2]:
                ending(stage(server))
    server.wait_idle(4)
    with server.connect() as client:
        assert client.recv_exactly(6) == b'ready\n'
        client.echo(b'x')
    server.wait_log('^sslserver: status: 0/10/')
