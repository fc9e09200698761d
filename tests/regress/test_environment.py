"""The program's environment is exactly what the manual says."""

import json
import os

import pytest

from harness import clean_environment, json_of, tool
from test_listen import needs_ipv6

ENDS = ('LOCALIP', 'LOCALPORT', 'REMOTEIP', 'REMOTEPORT')

# Names a program must not find unless the server set them.
FOREIGN = {prefix + name: 'inherited'
           for prefix in ('SSL', 'TCP', 'TCP6')
           for name in ENDS + ('LOCALHOST', 'REMOTEHOST', 'REMOTEINFO',
                               'INTERFACE')}
FOREIGN.update(PROTO='inherited', SSLCTLFD='5', SSLREADFD='6',
               SSLWRITEFD='7')


def ours(env):
    """The part of an environment that the server is answerable for."""
    return {name: value for name, value in env.items()
            if name == 'PROTO' or name.startswith('TCP')
            or (name.startswith('SSL') and name in FOREIGN)}


def state_of(server, **settings):
    """What showstate saw, and the ends of the connection."""
    with server.connect(**settings) as client:
        client.close_notify()
        return json.loads(client.recv_all()), client.local


def expected_ends(prefix, server, local, address):
    return {
        prefix + 'LOCALIP': address,
        prefix + 'LOCALPORT': str(server.port),
        prefix + 'REMOTEIP': address,
        prefix + 'REMOTEPORT': str(local[1]),
    }


def test_ipv4(start):
    server = start(tool('showstate'))
    state, local = state_of(server)
    expected = {'PROTO': 'TCP'}
    for prefix in ('SSL', 'TCP'):
        expected.update(expected_ends(prefix, server, local, '127.0.0.1'))
    assert ours(state['env']) == expected


@needs_ipv6
def test_ipv6(start):
    server = start(tool('showstate'), host='::1')
    state, local = state_of(server)
    expected = {'PROTO': 'TCP6'}
    for prefix in ('SSL', 'TCP', 'TCP6'):
        expected.update(expected_ends(prefix, server, local, '::1'))
    assert ours(state['env']) == expected


@needs_ipv6
def test_mapped_address_is_ipv4(start):
    server = start(tool('showstate'), host=':0')
    state, local = state_of(server, address='127.0.0.1')
    expected = {'PROTO': 'TCP'}
    for prefix in ('SSL', 'TCP'):
        expected.update(expected_ends(prefix, server, local, '127.0.0.1'))
    assert ours(state['env']) == expected


@pytest.mark.parametrize('host', ['127.0.0.1', pytest.param(
    '::1', marks=needs_ipv6)])
def test_without_tcp_environment(start, host):
    server = start(tool('showstate'), host=host, options=['-E'])
    state, local = state_of(server)
    expected = expected_ends('SSL', server, local, host)
    expected['PROTO'] = 'TLS'
    assert ours(state['env']) == expected


def test_local_name(start):
    server = start(tool('showstate'), options=['-l', 'www.Example.ORG'])
    state, _ = state_of(server)
    assert state['env']['SSLLOCALHOST'] == 'www.example.org'
    assert state['env']['TCPLOCALHOST'] == 'www.example.org'
    server.wait_log(r'^sslserver: ok \d+ www\.example\.org:127\.0\.0\.1:')


@pytest.mark.parametrize('options', [[], ['-E']], ids=['tcp', 'no-tcp'])
def test_inherited_variables_are_removed(start, options):
    """What is unknown is unset, even if sslserver itself inherited it."""
    server = start(tool('showstate'), env=FOREIGN, options=options)
    state, _ = state_of(server)
    left = [name for name in FOREIGN
            if state['env'].get(name) in ('inherited', FOREIGN[name])]
    assert left == []


def test_rest_is_inherited(start):
    """Everything else passes: the server adds, it does not clean up."""
    given = {'HOME': '/somewhere', 'EMPTY': '', 'ODD': 'a=b c\td',
             'PROTOCOL': 'mine', 'SSLOTHER': 'mine', 'TCPOTHER': 'mine'}
    server = start(tool('showstate'), env=given)
    state, _ = state_of(server)
    for name, value in given.items():
        assert state['env'].get(name) == value
    for name, value in clean_environment().items():
        assert state['env'].get(name) == value
    known = set(server.env) | set(FOREIGN)
    assert set(state['env']) <= known


def test_same_for_each_connection(start):
    """Nothing of one connection stays for the next."""
    server = start(tool('showstate'))
    first, second = json_of(server), json_of(server)
    for state in (first, second):
        for name in ('SSLREMOTEPORT', 'TCPREMOTEPORT'):
            assert state['env'].pop(name).isdigit()
    assert first['env'] == second['env']


def test_arguments_reach_the_program_unchanged(start):
    words = ['', 'a b', '*', '-x', '$HOME', '--']
    server = start(tool('showstate'), *words)
    assert json_of(server)['args'][1:] == words


def test_path_is_searched(start, workdir):
    """The program is looked for in the PATH of its environment."""
    os.symlink(tool('showstate'), os.path.join(workdir, 'found-by-path'))
    server = start('found-by-path', env={'PATH': '/nowhere:' + workdir})
    assert json_of(server)['args'] == ['found-by-path']
