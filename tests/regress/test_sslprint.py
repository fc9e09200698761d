"""sslprint: the environment of a connection, told to the client."""

import os
import re

import harness
from frameworkrun import wait_workers
from harness import BIN, run_server

SSLPRINT = os.path.join(BIN, 'sslprint')


def variables(data):
    """Of lines, which none of them has more than one of."""
    lines = data.decode().split('\n')
    assert lines.pop() == ''
    return [tuple(line.split('=', 1)) for line in lines]


def serve(start, *options, **settings):
    return start('ignored', command=SSLPRINT,
                 options=['-l', 'here'] + list(options), **settings)


def test_all_of_the_environment_in_its_order(start):
    server = serve(start, '-c', '2', env={'A': '1', 'EMPTY': '',
                                          'SSLREMOTEHOST': 'liar'})
    with server.connect() as client:
        found = variables(client.recv_all())
        port = client.local[1]
    own = [(name, value) for name, value in server.env.items()
           if name != 'SSLREMOTEHOST']
    assert found[:len(own)] == own
    assert found[len(own):] == [
        ('PROTO', 'TLS'), ('SSLLOCALIP', '127.0.0.1'),
        ('SSLLOCALPORT', str(server.port)), ('SSLLOCALHOST', 'here'),
        ('SSLREMOTEIP', '127.0.0.1'), ('SSLREMOTEPORT', str(port))]


def test_same_as_a_program_of_sslserver(start):
    """But for -E, which is sslhandle's default."""
    server = serve(start, '-c', '1', '-s', '-e', env={'A': '1'})
    other = start(harness.tool('showstate'), env={'A': '1'},
                  options=['-s', '-e', '-l', 'here'])
    found = server.exchange().decode()
    expected = harness.json_of(other)['env']
    lines = re.sub('-----BEGIN.*?END CERTIFICATE-----', '', found, flags=re.S)
    assert sorted(re.findall(r'^(\w+)=', lines, re.M)) == sorted(expected)
    for name in ('SSL_SERVER_S_DN', 'SSL_PROTOCOL', 'SSL_CLIENT_VERIFY',
                 'TCPREMOTEIP', 'PROTO', 'A', 'SSL_SERVER_CERT'):
        assert '\n%s=%s\n' % (name, expected[name]) in found


def test_one_after_another_and_the_end(start):
    server = serve(start, '-c', '1')
    before = wait_workers(server, 1)
    for _ in range(20):
        assert b'\nSSLREMOTEIP=127.0.0.1\n' in server.exchange()
    assert wait_workers(server, 1) == before
    assert server.stop() == 0
    server.wait_gone()


def test_usage():
    found = run_server([], command=SSLPRINT, identity=False)
    assert found.code == 100
    assert found.err.startswith('sslprint: usage: sslprint [-')
    found = run_server(['--version'], command=SSLPRINT, identity=False)
    assert found.code == 0 and found.out.startswith('sslprint (ucspi-ssl) ')
