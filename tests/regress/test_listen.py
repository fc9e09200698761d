"""Every form of address and port is listened on, and -1 tells which."""

import re
import socket
import subprocess
import sys

import pytest

from harness import (HERE, PATIENCE, Client, find_command, tls_context)


def has_ipv6():
    try:
        with socket.create_server(('::1', 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason='no IPv6 here')


def check_answers(server, *addresses):
    for address in addresses:
        with Client(address, server.port) as client:
            client.echo(b'over ' + address.encode())


def check_refuses(server, address):
    with pytest.raises(ConnectionRefusedError):
        Client(address, server.port)


def test_ipv4_address(start):
    server = start(host='127.0.0.1')
    assert server.address == '127.0.0.1'
    check_answers(server, '127.0.0.1')


def test_announcement(start):
    """IP : PORT [limit/maxconip], one line, and then the end of file."""
    server = start(options=['-c', '12'])
    assert re.fullmatch(r'127\.0\.0\.1 : \d+ \[12/\d+\]\n', server.announced)
    assert server.process.stdout.read() == b''


@needs_ipv6
def test_ipv6_address(start):
    server = start(host='::1')
    assert server.address == '::1'
    check_answers(server, '::1')


def test_all_ipv4(start):
    server = start(host='0')
    assert server.address == '0.0.0.0'
    check_answers(server, '127.0.0.1', '127.0.0.2')
    if has_ipv6():
        check_refuses(server, '::1')


@needs_ipv6
def test_all_ipv6_only(start):
    server = start(host='::')
    assert server.address == '::'
    check_answers(server, '::1')
    check_refuses(server, '127.0.0.1')


@needs_ipv6
def test_dual_stack(start):
    server = start(host=':0')
    check_answers(server, '::1', '127.0.0.1')


@needs_ipv6
def test_dual_stack_shows_mapped_addresses_as_ipv4(start):
    server = start('/bin/sh', '-c', 'echo $PROTO $SSLREMOTEIP $TCPLOCALIP',
                   host=':0')
    answer = server.exchange(address='127.0.0.1')
    assert answer == b'TCP 127.0.0.1 127.0.0.1\n'
    server.wait_log('from 127.0.0.1$')


@pytest.mark.parametrize('option, address', [('-4', '127.0.0.1'),
                                             ('-6', '::1')])
def test_name(start, option, address):
    family = socket.AF_INET6 if option == '-6' else socket.AF_INET
    try:
        known = {entry[4][0] for entry in socket.getaddrinfo(
            'localhost', None, family)}
    except socket.gaierror:
        known = set()
    if address not in known or (option == '-6' and not has_ipv6()):
        pytest.skip('localhost is not %s here' % address)
    server = start(host='localhost', options=[option])
    assert server.address == address
    check_answers(server, address)


def test_name_of_either_family(start):
    server = start(host='localhost')
    assert server.address in ('127.0.0.1', '::1')
    check_answers(server, server.address)


def test_service_name(start):
    """Only tried: a service port may be taken, or be root's alone."""
    with open('/etc/services', encoding='utf-8') as file:
        found = re.findall(r'^([a-z][\w-]+)\s+(\d+)/tcp', file.read(), re.M)
    for name, number in found:
        if int(number) < 1024:
            continue
        try:
            with socket.create_server(('127.0.0.1', int(number))):
                pass
        except OSError:
            continue
        server = start(port=name)
        assert server.port == int(number)
        server.check_service()
        return
    pytest.skip('no free service port above 1023 in /etc/services')


def test_fixed_port(start):
    first = start()
    port = first.port
    assert first.stop() == 0
    second = start(port=port)
    assert second.port == port
    second.check_service()


def test_backlog(start):
    """-b is what listen(2) gets; ss shows it."""
    if find_command('ss') is None:
        pytest.skip('ss is not installed')
    for options, backlog in (([], 20), (['-b', '3'], 3)):
        server = start(options=options)
        shown = subprocess.run(
            [find_command('ss'), '-Hltn', 'sport = :%d' % server.port],
            stdout=subprocess.PIPE, check=True).stdout.split()
        assert shown[2] == b'%d' % backlog


def test_listener_is_reusable_at_once(start):
    """A second server may follow the first while its clients linger."""
    first = start()
    with first.connect() as client:
        client.echo(b'x')
        port = first.port
        assert first.stop() == 0
        second = start(port=port)
        client.echo(b'y')
        second.check_service()


# A network namespace whose only interface has a known link-local address.
NAMESPACE = '''
ip link set lo up && ip -6 addr add fe80::5:1/64 dev lo && exec "$@"
'''

INSIDE_CLIENT = '''
import sys
sys.path.insert(0, sys.argv[1])
import harness
client = harness.Client(sys.argv[2], int(sys.argv[3]))
client.close_notify()
sys.stdout.buffer.write(client.recv_all())
'''


@pytest.fixture
def namespace():
    """A launcher that runs its words inside a fresh network namespace."""
    for command in ('unshare', 'nsenter', 'ip'):
        if find_command(command) is None:
            pytest.skip(command + ' is not installed')
    launcher = ('unshare', '-n', 'sh', '-c', NAMESPACE, 'sh')
    done = subprocess.run(launcher + ('true',), stderr=subprocess.PIPE,
                          check=False)
    if done.returncode != 0:
        pytest.skip('no network namespace: ' + done.stderr.decode().strip())
    return launcher


@pytest.mark.root
@pytest.mark.parametrize('host, options', [
    ('fe80::5:1%lo', []), ('fe80::5:1', ['-I', 'lo'])])
def test_link_local(start, namespace, host, options):
    script = 'echo $PROTO $SSLLOCALIP $SSLREMOTEIP $SSLINTERFACE ' \
             '$TCP6INTERFACE'
    server = start('/bin/sh', '-c', script, host=host, options=options,
                   launcher=namespace)
    assert server.address.startswith('fe80::5:1')
    answer = subprocess.run(
        ['nsenter', '--net=/proc/%d/ns/net' % server.front, sys.executable,
         '-B', '-c', INSIDE_CLIENT, HERE, 'fe80::5:1%lo', str(server.port)],
        stdout=subprocess.PIPE, check=True, timeout=60).stdout
    assert answer == b'TCP6 fe80::5:1 fe80::5:1 lo lo\n'


@pytest.mark.root
def test_link_local_needs_an_interface(start, namespace):
    """Without one the kernel cannot know which link is meant."""
    server = start(host='fe80::5:1', launcher=namespace, ready=False)
    assert server.process.wait(PATIENCE) in (100, 111)
    assert 'fe80::5:1' in server.log()


def test_verified_by_name_and_address(start, pki):
    """The certificate stands for localhost and 127.0.0.1."""
    server = start()
    for name in ('localhost', '127.0.0.1'):
        context = tls_context(cafile=pki.ca)
        context.check_hostname = True
        assert server.exchange(b'x', context=context, sni=name) == b'x'
