"""A server with several certificates shows each client the right one, and
none of their keys leaves the keepers."""

import os
import re

import pytest

import harness
from harness import run_server, tls_context
from test_clients import need, run_client
from test_key import found_in, may_read_memory, traces  # noqa: F401
from test_tlsenv import with_bad_nursery  # noqa: F401

KINDS = ('rsa', 'ecdsa', 'ed25519')
BOTH = pytest.mark.parametrize('version', ['-tls1_2', '-tls1_3'])


def lists(pki, *names, variable='CERTFILE'):
    """CERTFILE and KEYFILE of several pairs."""
    return {variable: ':'.join(pki.path(name + '.pem') for name in names),
            'KEYFILE': ':'.join(pki.path(name + '.key') for name in names)}


def s_client(server, *arguments):
    done = run_client([need('openssl'), 's_client', '-connect',
                       '127.0.0.1:%d' % server.port] + list(arguments))
    return done.stdout.decode() + done.stderr.decode()


def subject(text):
    """Whose certificate s_client was shown."""
    match = re.search(r'^subject=(.*)$', text, re.M)
    return match and match.group(1)


def start_error(env, *words):
    result = run_server(['127.0.0.1', '0', '/bin/cat'], env=env)
    assert result.code == 111, result
    lines = [line for line in result.err.splitlines()
             if line.startswith('sslserver: fatal: (111) ')]
    assert len(lines) == 1, result
    for word in words:
        assert word in lines[0], lines
    check = run_server(['--check', '127.0.0.1', '0', '/bin/cat'], env=env)
    assert check.code == 111 and lines[0] in check.err, check


# Lists

SIGALGS = {'rsa': 'rsa_pss_rsae_sha256:RSA+SHA256', 'ecdsa': 'ECDSA+SHA256',
           'ed25519': 'ed25519'}


@BOTH
def test_openssl_gets_what_it_can(start, pki, version):
    server = start(certs=lists(pki, *KINDS), options=['--keepers', '2'])
    for kind in KINDS:
        text = s_client(server, version, '-sigalgs', SIGALGS[kind],
                        '-CAfile', pki.ca, '-verify_return_error')
        assert subject(text) == 'CN = localhost, O = ' + kind, text
        assert 'Verify return code: 0 (ok)' in text
    text = s_client(server, version)
    assert subject(text) == 'CN = localhost, O = ecdsa'


@pytest.mark.parametrize('version', ['1.2', '1.3'])
@pytest.mark.parametrize('kind', ['rsa', 'ecdsa'])
def test_gnutls_gets_what_it_can(start, pki, kind, version):
    server = start(certs=lists(pki, 'rsa', 'ecdsa'))
    signatures = {'rsa': '+SIGN-RSA-SHA256:+SIGN-RSA-PSS-RSAE-SHA256',
                  'ecdsa': '+SIGN-ECDSA-SECP256R1-SHA256:'
                           '+SIGN-ECDSA-SHA256'}[kind]
    done = run_client([need('gnutls-cli'), '--x509cafile=' + pki.ca,
                       '--priority', 'NORMAL:-VERS-ALL:+VERS-TLS%s:'
                       '-SIGN-ALL:%s' % (version, signatures),
                       '-p', str(server.port), 'localhost'])
    assert b'O=' + kind.encode() in done.stdout, done
    assert done.returncode == 0, done


def test_each_certificate_has_its_chain(start, pki):
    """CERTCHAINFILE is a list as well, and beats a CERTFILE."""
    certs = {'CERTCHAINFILE': pki.path('chain.pem') + ':'
             + pki.path('rsa.pem'), 'CERTFILE': 'not:looked:at',
             'KEYFILE': pki.path('chained.key') + ':' + pki.path('rsa.key')}
    server = start(certs=certs)
    text = s_client(server, '-sigalgs', SIGALGS['ecdsa'], '-CAfile', pki.ca)
    assert subject(text) == 'CN = localhost, O = chained'
    assert 'Verify return code: 0 (ok)' in text
    text = s_client(server, '-sigalgs', SIGALGS['rsa'], '-showcerts')
    assert text.count('BEGIN CERTIFICATE') == 1


def test_keys_in_the_certificate_files(start, pki, workdir):
    paths = []
    for kind in ('rsa', 'ecdsa'):
        paths.append(os.path.join(workdir, kind + '.both'))
        with open(paths[-1], 'wb') as file:
            for end in ('.pem', '.key'):
                with open(pki.path(kind + end), 'rb') as part:
                    file.write(part.read())
    server = start(certs={'CERTFILE': ':'.join(paths)})
    for kind in ('rsa', 'ecdsa'):
        text = s_client(server, '-sigalgs', SIGALGS[kind])
        assert subject(text) == 'CN = localhost, O = ' + kind


def test_lines_of_lists(start, pki):
    server = start(certs=lists(pki, *KINDS))
    for end, name in (('.pem', 'cert'), ('.key', 'key')):
        files = [line.split()[-1] for line in
                 server.lines(r'^sslserver: %s \d+ ' % name)]
        assert files == [pki.path(kind + end) for kind in KINDS]


def test_second_of_a_kind_is_a_warning(start, pki):
    server = start(certs=lists(pki, 'ecdsa', 'other', 'rsa'), log='-Q')
    line, = server.lines('^sslserver: warning: ')
    assert 'CERTFILE ' + pki.path('other.pem') in line
    for kind in ('ecdsa', 'rsa'):
        text = s_client(server, '-sigalgs', SIGALGS[kind])
        assert subject(text) == 'CN = localhost, O = ' + kind


def test_list_errors(pki):
    start_error(dict(lists(pki, *KINDS), KEYFILE=pki.path('rsa.key')),
                'CERTFILE and KEYFILE', ' 3 and 1')
    start_error(dict(lists(pki, *KINDS), CERTFILE=pki.path('rsa.pem')),
                'CERTFILE and KEYFILE', ' 1 and 3')
    certs = lists(pki, 'rsa', 'ecdsa')
    certs['KEYFILE'] = pki.path('ecdsa.key') + ':' + pki.path('rsa.key')
    start_error(certs, pki.path('rsa.pem'), pki.path('ecdsa.key'),
                'do not match')
    start_error({'CERTFILE': pki.path('both.pem') + ':'},
                'CERTFILE', 'empty')
    start_error({'CERTFILE': pki.path('both.pem') + ':/nonexistent'},
                'CERTFILE /nonexistent', 'No such file')
    start_error({'CERTCHAINFILE': pki.path('both.pem') + ':'
                 + pki.path('root-first.pem')},
                'CERTCHAINFILE ' + pki.path('root-first.pem'),
                'root certificate first')


def test_all_keys_are_with_keepers_only(
        start, pki, may_read_memory):  # noqa: F811
    server = start(certs=lists(pki, *KINDS), options=['--keepers', '2'])
    clients = [server.connect(context=tls_context()) for _ in range(4)]
    try:
        for client in clients:
            client.echo(b'in the middle of a connection')
        for kind in KINDS:
            forms = traces(pki, kind)
            for role, pids in server.roles().items():
                for pid in pids:
                    hits = found_in(pid, forms) - {'PEM'}
                    assert bool(hits) == (role == 'keeper'), (role, kind)
    finally:
        for client in clients:
            client.close()


# What a session that was taken over can ask of a keeper

def lying(start, pki, way):
    return start(certs=lists(pki, 'rsa', 'ecdsa'), options=['-B', way])


def test_session_names_a_key(start, pki, with_bad_nursery):  # noqa: F811
    server = lying(start, pki, 'key1')
    with harness.Client(server.address, server.port, handshake=False):
        server.wait_log('^sslserver: tls')


@pytest.mark.parametrize('way', ['key0', 'key2', 'key4294967297',
                                 'key18446744073709551614'])
def test_session_names_a_wrong_key(
        start, pki, with_bad_nursery, way):  # noqa: F811
    """One of another kind, and numbers that no key has."""
    server = lying(start, pki, way)
    keepers = server.pids('keeper')
    with harness.Client(server.address, server.port, handshake=False):
        server.wait_log(r'^sslserver: fatal: \(111\) .* protocol violation: '
                        'not a handshake to sign$')
    assert server.pids('keeper') == keepers
