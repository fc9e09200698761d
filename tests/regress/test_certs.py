"""A server with several certificates shows each client the right one, and
none of their keys leaves the keepers."""

import json
import os
import re
import shutil

import pytest

import harness
from harness import (IS_LIBRESSL, KEYS, run_server, status_fields, tls_context,
                     tool)
from pki import openssl
from test_clients import need, run_client
from test_key import found_in, may_read_memory, traces  # noqa: F401
from test_tlsenv import with_bad_nursery  # noqa: F401

KINDS = tuple(KEYS)
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
    """Whose certificate s_client was shown; from 3.2 on without blanks."""
    match = re.search(r'^subject=(.*)$', text, re.M)
    return match and match.group(1).replace(' = ', '=')


def start_error(env, *words, options=()):
    arguments = list(options) + ['127.0.0.1', '0', '/bin/cat']
    result = run_server(arguments, env=env)
    assert result.code == 111, result
    lines = [line for line in result.err.splitlines()
             if line.startswith('sslserver: fatal: (111) ')]
    assert len(lines) == 1, result
    for word in words:
        assert word in lines[0], lines
    check = run_server(['--check'] + arguments, env=env)
    assert check.code == 111 and lines[0] in check.err, check


# Lists

SIGALGS = {'rsa': 'rsa_pss_rsae_sha256:RSA+SHA256', 'ecdsa': 'ECDSA+SHA256',
           'ed25519': 'ed25519'}


@BOTH
def test_openssl_gets_what_it_can(start, pki, version):
    if IS_LIBRESSL and version == '-tls1_2':
        pytest.skip('LibreSSL goes by ciphers')
    server = start(certs=lists(pki, *KINDS), options=['--keepers', '2'])
    for kind in KINDS:
        text = s_client(server, version, '-sigalgs', SIGALGS[kind],
                        '-CAfile', pki.ca, '-verify_return_error')
        assert subject(text) == 'CN=localhost, O=' + kind, text
        assert 'Verify return code: 0 (ok)' in text
    if IS_LIBRESSL:
        return  # it goes by what the client prefers
    text = s_client(server, version)
    assert subject(text) == 'CN=localhost, O=ecdsa'


@pytest.mark.parametrize('version', ['1.2', '1.3'])
@pytest.mark.parametrize('kind', ['rsa', 'ecdsa'])
def test_gnutls_gets_what_it_can(start, pki, kind, version):
    if IS_LIBRESSL and version == '1.2':
        pytest.skip('LibreSSL goes by ciphers')
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
    assert subject(text) == 'CN=localhost, O=chained'
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
        assert subject(text) == 'CN=localhost, O=' + kind


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
        assert subject(text) == 'CN=localhost, O=' + kind


def test_list_errors(pki):
    start_error(dict(lists(pki, *KINDS), KEYFILE=pki.path('rsa.key')),
                'CERTFILE and KEYFILE', ' %d and 1' % len(KINDS))
    start_error(dict(lists(pki, *KINDS), CERTFILE=pki.path('rsa.pem')),
                'CERTFILE and KEYFILE', ' 1 and %d' % len(KINDS))
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


# CERTDIR and SNI

CONFIG = '''
[req]
distinguished_name = dn
[dn]
[ext]
basicConstraints = critical, CA:false
subjectAltName = %s
'''


class Names:
    """A CERTDIR, and certificates to put into it."""

    def __init__(self, pki, workdir):
        self.pki = pki
        self.path = os.path.join(workdir, 'certdir')
        os.mkdir(self.path)
        self.workdir = workdir

    def file(self, name):
        return os.path.join(self.path, name)

    def put(self, file, name, kind='ecdsa', beside=False):
        """A certificate for name, signed by the root, under file.pem; the
        key is that of the Pki."""
        request, config = (os.path.join(self.workdir, part)
                           for part in ('csr', 'config'))
        with open(config, 'w', encoding='ascii') as out:
            out.write(CONFIG % ('DNS:' + name))
        openssl('req', '-new', '-key', self.pki.path(kind + '.key'), '-out',
                request, '-subj', '/CN=%s/O=%s' % (name, kind), '-config',
                config)
        cert = openssl('x509', '-req', '-in', request, '-CA',
                       self.pki.path('root.pem'), '-CAkey',
                       self.pki.path('root.key'), '-set_serial', '77',
                       '-days', '30', '-extfile', config, '-extensions',
                       'ext')
        with open(self.pki.path(kind + '.key'), 'rb') as part:
            key = part.read()
        with open(self.file(file + '.pem'), 'wb') as out:
            out.write(cert if beside else cert + key)
        # As administrators keep them: for root, or the user, alone.
        os.chmod(self.file(file + '.pem'), 0o600)
        if beside:
            with open(self.file(file + '.key'), 'wb') as out:
                out.write(key)
            os.chmod(self.file(file + '.key'), 0o600)

    def env(self, **more):
        return dict(self.pki.rsa, CERTDIR=self.path, **more)


@pytest.fixture
def names(pki, workdir):
    found = Names(pki, workdir)
    found.put('_.example.org', '*.example.org')
    found.put('A.example.org', 'a.example.org', beside=True)
    found.put('b.example.org', 'b.example.org')
    found.put('b.example.org+rsa', 'b.example.org', 'rsa')
    return found


def seen(server, name, *arguments):
    """The common name that s_client is shown when it asks for name."""
    asked = ['-noservername'] if name is None else ['-servername', name]
    text = s_client(server, *asked, *arguments)
    match = re.search(r'^subject=CN ?= ?([^,\n]*)', text, re.M)
    return match and match.group(1)


@BOTH
def test_names(start, pki, names, version):
    server = start(certs=names.env(), log='-V')
    server.wait_log(r'^sslserver: certdir \d+ %s$' % names.path)
    for asked, shown in ((None, 'localhost'), ('localhost', 'localhost'),
                         ('a.example.org', 'a.example.org'),
                         ('A.EXAMPLE.ORG', 'a.example.org'),
                         ('c.example.org', '*.example.org'),
                         ('d.c.example.org', 'localhost'),
                         ('example.org', 'localhost'),
                         ('example.com', 'localhost'),
                         ('b.example.org', 'b.example.org')):
        assert seen(server, asked, version) == shown, asked
    # ECDSA has gone before; now by what the client can.
    text = s_client(server, '-servername', 'b.example.org', version,
                    '-sigalgs', SIGALGS['rsa'])
    assert subject(text) == 'CN=b.example.org, O=rsa'
    assert 'warning' not in server.log()


def test_names_and_strange_clients(start, names):
    """Nothing is looked up by what a client says."""
    server = start(certs=names.env())
    for asked in ('../a.example.org', 'a.example.org.pem', '_.example.org',
                  'a' * 200, '%s%n', '.example.org', '*.example.org'):
        shown = seen(server, asked)
        if IS_LIBRESSL and shown is None:
            continue  # it refuses what can be no name
        assert shown == ('*.example.org' if asked == '_.example.org'
                         else 'localhost'), asked
    server.check_service()


@BOTH
def test_strict(start, names, version):
    server = start(certs=names.env(SNI='strict'))
    for asked, shown in ((None, 'localhost'), ('LocalHost', 'localhost'),
                         ('server.example', 'localhost'),
                         ('a.example.org', 'a.example.org'),
                         ('c.example.org', '*.example.org')):
        assert seen(server, asked, version) == shown, asked
    server.wait_log('^sslserver: ended by', count=5)
    started = len(server.lines('^sslserver: tls '))
    text = s_client(server, '-servername', 'example.com', version)
    assert 'SSL alert number 112' in text, text
    assert subject(text) is None
    server.wait_log(r'^sslserver: fatal: \(111\) unable to accept TLS from: '
                    r'127\.0\.0\.1 for pid: \d+ unknown server name '
                    r'example\.com$')
    server.wait_log(r'^sslserver: ended by \d+ status 28416$')
    assert len(server.lines('^sslserver: tls ')) == started


def test_strict_with_other_clients(start, pki, names):
    server = start('/bin/sh', '-c', 'head -n 1',
                   certs=names.env(SNI='strict'))
    done = run_client([need('gnutls-cli'), '--logfile=/dev/null',
                       '--x509cafile=' + pki.ca, '--sni-hostname',
                       'a.example.org', '--verify-hostname', 'a.example.org',
                       '-p', str(server.port), '127.0.0.1'], b'line\n')
    assert b'line\n' in done.stdout and done.returncode == 0, done
    done = run_client([need('gnutls-cli'), '--insecure', '--sni-hostname',
                       'example.com', '-p', str(server.port), '127.0.0.1'])
    assert b'recognized' in done.stdout + done.stderr, done
    done = run_client([need('curl'), '-sS', '--cacert', pki.ca, '--resolve',
                       'b.example.org:%d:127.0.0.1' % server.port,
                       'https://b.example.org:%d/' % server.port,
                       '--http0.9'])
    assert done.stdout.startswith(b'GET / '), done
    done = run_client([need('curl'), '-sS', '--cacert', pki.ca, '--resolve',
                       'example.com:%d:127.0.0.1' % server.port,
                       'https://example.com:%d/' % server.port])
    assert b'unrecognized name' in done.stderr, done


def test_strict_without_a_default(start, pki, names):
    """CERTDIR alone: every client has to say whom it wants."""
    server = start(certs={'CERTDIR': names.path, 'SNI': 'strict'})
    assert seen(server, 'a.example.org') == 'a.example.org'
    for asked in ('localhost', None):
        assert seen(server, asked) is None
    server.wait_log('unknown server name localhost$')
    server.wait_log('for pid: [0-9]+ no server name$')


def test_environment_tells_the_name(start, names):
    """The variables are those of the certificate that was shown."""
    server = start(tool('showstate'), certs=names.env(), options=['-s'])
    with server.connect(context=tls_context(), sni='A.example.org') as client:
        client.close_notify()
        env = json.loads(client.recv_all())['env']
    assert env['SSL_TLS_SNI'] == 'A.example.org'
    assert env['SSL_SERVER_S_DN_CN'] == 'a.example.org'


def test_client_certificate_by_name(start, pki, names):
    """Who is asked for a certificate is asked under every name."""
    server = start(certs=names.env(CAFILE=pki.ca), options=['-m'])
    text = s_client(server, '-servername', 'a.example.org', '-tls1_2')
    assert 'Acceptable client certificate CA names' in text or \
        'alert handshake failure' in text, text
    server.wait_log('no client certificate from: ')


def test_retry_request_by_name(start, names):
    server = start(certs=names.env(TLSGROUPS='P-384'))
    assert seen(server, 'a.example.org', '-groups', 'P-256:P-384') == \
        'a.example.org'


@pytest.mark.root
def test_certdir_below_the_key_root(start, pki, names):
    server = start(certs=dict(pki.ecdsa, CERTDIR='/certdir',
                              SSL_CHROOT=names.workdir))
    server.wait_log(r'^sslserver: certdir \d+ %s$' % names.path)
    assert seen(server, 'a.example.org') == 'a.example.org'


def test_named_keys_are_with_keepers_only(
        start, pki, names, may_read_memory):  # noqa: F811
    names.put('e.example.org', 'e.example.org', KINDS[-1], beside=True)
    server = start(certs=names.env(), options=['--keepers', '2'])
    with server.connect(context=tls_context(), sni='e.example.org') as client:
        client.echo(b'x')
        for kind in KINDS:
            forms = traces(pki, kind)
            for role, pids in server.roles().items():
                for pid in pids:
                    hits = found_in(pid, forms)
                    if role == 'keeper':
                        assert hits - {'PEM'}, (role, kind)
                    else:
                        assert not hits, (role, kind, hits)


def test_certdir_errors(pki, names):
    start_error({'CERTDIR': names.path}, 'neither CERTFILE', 'SNI=strict')
    start_error(names.env(SNI='lenient'), 'SNI lenient', 'strict')
    start_error(dict(pki.rsa, CERTDIR='/nonexistent'),
                'CERTDIR /nonexistent', 'No such file')
    start_error(dict(pki.rsa, CERTDIR=pki.ca), 'CERTDIR ' + pki.ca,
                'Not a directory')
    for name, text, words in (
            ('x y.pem', '', 'not the name of a server'),
            ('x.example.pem', 'no PEM', 'not a PEM file'),
            ('x.example.pem', open(pki.path('rsa.pem')).read(),
             'no private key in it'),
            ('x.example.pem', open(pki.path('root-first.pem')).read(),
             'root certificate first')):
        with open(names.file(name), 'w', encoding='ascii') as out:
            out.write(text)
        start_error(names.env(), 'CERTDIR ' + names.file(name), words)
        os.unlink(names.file(name))
    names.put('x.example', 'x.example', beside=True)
    shutil.copy(pki.path('rsa.key'), names.file('x.example.key'))
    start_error(names.env(), names.file('x.example.key'), 'do not match')


def test_certdir_warnings(start, pki, names):
    names.put('x.example', 'y.example')
    os.rename(names.file('b.example.org+rsa.pem'),
              names.file('b.example.org+a.pem'))
    names.put('b.example.org+b', 'b.example.org')
    server = start(certs=names.env(), log='-Q')
    texts = server.lines('^sslserver: warning: ')
    assert len(texts) == 2, texts
    assert 'b.example.org+b.pem: not used' in texts[0]
    assert 'x.example.pem: the certificate is not for x.example' in texts[1]
    empty = os.path.join(names.workdir, 'empty')
    os.mkdir(empty)
    server = start(certs=dict(pki.rsa, CERTDIR=empty), log='-Q')
    line, = server.lines('^sslserver: warning: ')
    assert 'CERTDIR ' + empty in line
    server.check_service()


def session_kilobytes(server, **settings):
    """What a session has for itself, or shares with the nursery."""
    with server.connect(**settings) as client:
        client.echo(b'x')
        fields = status_fields(server.pid('session'))
        return int(fields['RssAnon'][0]), client.tls.getpeercert(True)


@pytest.mark.skipif(harness.SANITIZED, reason='measures memory')
def test_many_names(start, pki, names):
    """More than are made ready: served as one is, and no session pays."""
    few, _ = session_kilobytes(start(certs=pki.rsa))
    with open(names.file('b.example.org.pem'), 'rb') as file:
        text = file.read()
    for i in range(500):
        with open(names.file('n%d.example.net.pem' % i), 'wb') as out:
            out.write(text)
    server = start(certs=names.env(), log='-q', ready=False,
                   options=['--keepers', '2'])
    server.wait_ready(30)
    for i in (0, 1, 250, 499):
        size, cert = session_kilobytes(server, sni='n%d.example.net' % i)
        assert b'b.example.org' in cert
        assert size < few + 4000, (size, few)
    assert seen(server, 'a.example.org') == 'a.example.org'


# ALPN

@BOTH
def test_alpn(start, version):
    """The server's order counts; who offers nothing is served."""
    server = start(env={'ALPN': 'h2,http/1.1'})
    for offered, agreed in (('http/1.1,h2', 'h2'),
                            ('spdy/3,http/1.1', 'http/1.1')):
        text = s_client(server, version, '-alpn', offered)
        assert 'ALPN protocol: %s\n' % agreed in text, text
    assert 'No ALPN negotiated' in s_client(server, version)
    text = s_client(server, version, '-alpn', 'smtp,h3')
    assert 'SSL alert number 120' in text, text
    server.wait_log(r'^sslserver: fatal: \(111\) unable to accept TLS from: '
                    r'127\.0\.0\.1 for pid: \d+ no application protocol$')
    server.wait_log(r'^sslserver: ended by \d+ status 28416$')
    server.check_service()


def test_alpn_of_other_clients(start, pki):
    server = start('/bin/sh', '-c', 'head -n 1', env={'ALPN': 'http/1.1,imap'})
    url = 'https://localhost:%d/' % server.port
    for options in ([], ['--http1.1'], ['--no-alpn']):
        done = run_client([need('curl'), '-sS', '--http0.9', '--cacert',
                           pki.ca, url] + options)
        assert done.stdout.startswith(b'GET / HTTP/1.1'), done
    done = run_client([need('gnutls-cli'), '--x509cafile=' + pki.ca, '--alpn',
                       'imap', '-p', str(server.port), 'localhost'], b'x\n')
    assert b'Application protocol: imap' in done.stdout, done
    done = run_client([need('gnutls-cli'), '--insecure', '--alpn', 'h2', '-p',
                       str(server.port), 'localhost'], b'x\n')
    assert done.returncode != 0, done
    assert b'No supported application protocol' in done.stdout, done


def test_alpn_in_the_environment(start, names):
    server = start(tool('showstate'), certs=names.env(ALPN='x/1,x/2'),
                   options=['-s'])
    context = tls_context()
    context.set_alpn_protocols(['x/2'])
    with server.connect(context=context, sni='a.example.org') as client:
        assert client.tls.selected_alpn_protocol() == 'x/2'
        client.close_notify()
        env = json.loads(client.recv_all())['env']
    assert env['SSL_ALPN'] == 'x/2'
    with server.connect(context=tls_context()) as client:
        client.close_notify()
        assert 'SSL_ALPN' not in json.loads(client.recv_all())['env']


def test_no_alpn_is_no_answer(start):
    server = start(env={'ALPN': ''})
    assert 'No ALPN negotiated' in s_client(server, '-alpn', 'h2')
    server.check_service()


def test_alpn_errors(pki):
    for value, word in (('h2,', 'empty'), ('h2, http/1.1', 'blank'),
                        ('x' * 256, 'longer than 255 bytes')):
        start_error(dict(pki.ecdsa, ALPN=value), 'ALPN ', word)
