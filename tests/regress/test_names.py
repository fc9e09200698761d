"""Goal: ordinary names, as an ordinary DNS server (dnsmasq) serves them."""

import socket
import subprocess

import pytest

import harness

DNSMASQ = harness.find_command('dnsmasq')
pytestmark = pytest.mark.skipif(not DNSMASQ, reason='dnsmasq is not there')

RECORDS = [
    '--host-record=mail.example,192.0.2.1,2001:db8::1',
    '--ptr-record=2.2.0.192.in-addr.arpa,Liar.Example',
    '--host-record=liar.example,192.0.2.99',
    '--ptr-record=3.2.0.192.in-addr.arpa,no-such-name.example',
    '--ptr-record=4.2.0.192.in-addr.arpa,bad name.example',
    '--auth-ttl=60',
]


def unused_port():
    """A port that is free for both UDP and TCP, a moment ago."""
    with socket.socket() as tcp, \
            socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.bind(('127.0.0.1', 0))
        port = tcp.getsockname()[1]
        udp.bind(('127.0.0.1', port))
        return port


def answers(port):
    with socket.socket() as tcp:
        return tcp.connect_ex(('127.0.0.1', port)) == 0


def ask(port, *addresses):
    output = subprocess.run(
        [harness.tool('askname'), f'127.0.0.1#{port}', *addresses],
        stdout=subprocess.PIPE, timeout=30, check=True, text=True).stdout
    return dict(line.split(' ', 1) for line in output.splitlines())


@pytest.fixture
def dnsmasq():
    port = unused_port()
    process = subprocess.Popen(
        [DNSMASQ, '--keep-in-foreground', '--conf-file=/dev/null',
         '--no-resolv', '--no-hosts', '--pid-file=', '--user=',
         '--listen-address=127.0.0.1', '--bind-interfaces',
         '--local=/example/in-addr.arpa/', f'--port={port}', *RECORDS])
    try:
        harness.wait_for(lambda: answers(port), what='dnsmasq')
        yield port
    finally:
        process.kill()
        process.wait()


def test_names(dnsmasq):
    assert ask(dnsmasq, '192.0.2.1', '+192.0.2.2', '192.0.2.2',
               '+2001:db8::1', '+192.0.2.3', '192.0.2.4', '192.0.2.5') == {
        '192.0.2.1': 'mail.example',
        '+192.0.2.2': 'none',
        '192.0.2.2': 'liar.example',
        '+2001:db8::1': 'mail.example',
        '+192.0.2.3': 'none',
        '192.0.2.4': 'none',
        '192.0.2.5': 'none',
    }


def test_nobody_there():
    assert ask(unused_port(), '192.0.2.1') == {'192.0.2.1': 'failed'}
