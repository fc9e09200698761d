"""Client certificates: who is asked, who is refused and what is said of it,
and that no program ever starts for a refused client."""

import contextlib
import os
import re
import shutil
import signal
import ssl
import subprocess

import pytest

import harness
from admission import known, make_rules, name_server, reverse
from clientpki import ClientPki, alternative_names
from harness import (BIN, IS_LIBRESSL, TLS12, TLS13, find_command, kill,
                     run_server, tls_context, tool, wait_for)

VERSIONS = pytest.mark.parametrize('limits', [TLS12, TLS13],
                                   ids=['1.2', '1.3'])
BAD = (r'^sslserver: error: \(110\) missing credentials \(CA\) or unable to '
       r'validate client certificate from: %s for pid: (\d+) %s$')
NONE = r'^sslserver: error: \(110\) no client certificate from: %s for pid: (\d+)$'
NAME = (r'^sslserver: error: \(110\) client hostname does not match '
        r'certificate for pid: (\d+) %s <=> %s$')
HERE = re.escape('127.0.0.1')
OLD = {'minimum': ssl.TLSVersion.TLSv1, 'ciphers': 'DEFAULT:@SECLEVEL=0'}


@pytest.fixture(scope='module')
def clients(top_directory):
    return ClientPki(os.path.join(top_directory, 'clients'))


@pytest.fixture
def serve(start, workdir, clients):
    """A server that trusts root; its program echoes a line and leaves a mark."""
    mark = os.path.join(workdir, 'started')

    def starter(*options, env=None, cafile=True, **settings):
        env = dict({'CAFILE': clients.root} if cafile else {}, **env or {})
        server = start('/bin/sh', '-c', 'echo x >>"%s"; head -n 1' % mark,
                       options=options, env=env, **settings)
        server.started = lambda: len(harness.read_text(mark).split())
        return server

    return starter


@pytest.fixture(scope='module')
def context(clients):
    """Of a client with that certificate, or none."""
    def make(name=None, **limits):
        found = tls_context(**(limits or TLS13))
        if name is not None:
            found.load_cert_chain(clients.path(name + '.pem'), clients.key)
        return found
    return make


def alert_of(server, context, data=b'', **settings):
    """The alert with which the client is refused."""
    with pytest.raises(ssl.SSLError) as caught:
        with server.connect(context=context, **settings) as client:
            client.send(data)
            assert client.recv() == b''
            caught = 'close_notify'
    return caught.value.reason


def assert_refused(server, pattern):
    """The lines, and nothing more, about one refused client."""
    session = server.wait_log(pattern)[-1].group(1)
    server.wait_log('^sslserver: ended by %s status 28160$' % session)
    lines = server.lines(r'\b%s\b' % session)
    assert [re.match(r'sslserver: (\w+)', line).group(1) for line in lines] \
        == ['pid', 'ok', 'error', 'ended'], lines
    server.wait_idle()
    assert not server.lines('^sslserver: tls ')
    assert server.started() == 0


# ---------------------------------------------------------------------------
# Who is asked

def need(command):
    path = find_command(command)
    if path is None:
        pytest.skip(command + ' is not installed')
    return path


def run_client(*command, data=b'over\n'):
    return subprocess.run(command, input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60, check=False)


def s_client(server, *arguments, data=b'over\n'):
    return run_client(need('openssl'), 's_client', '-connect',
                      '127.0.0.1:%d' % server.port, *arguments, data=data)


@pytest.mark.parametrize('version', ['-tls1_2', '-tls1_3'])
@pytest.mark.parametrize('option', ['-m', '-z'])
def test_openssl(serve, clients, option, version):
    """With -z and -H too: no name is known, none is matched."""
    server = serve(option, '-H')
    done = s_client(server, version, '-quiet', '-cert',
                    clients.path('good.pem'), '-key', clients.key)
    assert b'over\n' in done.stdout, done
    program, = {match.group(1) for match in server.wait_log(
        r'^sslserver: info: valid client cert received from: 127\.0\.0\.1 '
        r'for pid: (\d+)$')}
    lines = server.lines(r'\b%s\b' % program)
    assert [line.split()[1] for line in lines][:3] == ['ok', 'tls', 'info:']
    done = s_client(server, version, '-ign_eof')
    assert b'alert handshake failure' in done.stdout or \
        b'alert certificate required' in done.stdout, done
    server.wait_log(NONE % HERE)
    assert server.started() == 1


@pytest.mark.parametrize('version', ['1.2', '1.3'])
def test_gnutls(serve, clients, version):
    server = serve('-m')
    command = [need('gnutls-cli'), '--logfile=/dev/null', '--insecure', '-p',
               str(server.port), '--priority',
               'NORMAL:-VERS-ALL:+VERS-TLS' + version, '127.0.0.1']
    done = run_client(*command, '--x509certfile', clients.path('good.pem'),
                      '--x509keyfile', clients.key)
    assert b'over\n' in done.stdout, done
    done = run_client(*command)
    assert b'fatal alert' in done.stdout.lower(), done
    server.wait_log(NONE % HERE)
    wait_for(lambda: server.started() == 1, what='one program')


@pytest.mark.parametrize('version', ['1.2', '1.3'])
def test_curl(start, clients, version):
    server = start('/bin/sh', '-c', r'''
        read request
        printf 'HTTP/1.0 200 OK\r\n\r\nhello\n' ''', options=['-m'],
                   env={'CAFILE': clients.root})
    command = [need('curl'), '-sSk', '--tlsv' + version, '--tls-max', version,
               'https://127.0.0.1:%d/' % server.port]
    done = run_client(*command, '--cert', clients.path('good.pem'), '--key',
                      clients.key)
    assert done.stdout == b'hello\n', done
    done = run_client(*command)
    assert done.returncode != 0 and b'alert' in done.stdout, done
    server.wait_log(NONE % HERE)
    assert len(server.lines('^sslserver: tls ')) == 1


@pytest.mark.parametrize('version', ['-tls1', '-tls1_1', '-tls1_2'])
@pytest.mark.skipif(IS_LIBRESSL, reason='LibreSSL begins with TLS 1.2')
def test_old_versions(serve, clients, pki, version):
    """Below 1.2 only where TLSMIN says so; with certificates as well."""
    server = serve('-m', env={'TLSMIN': '1.0'}, certs=pki.rsa)
    old = [version, '-cipher', 'DEFAULT:@SECLEVEL=0', '-quiet']
    cert = ['-cert', clients.path('good.pem'), '-key', clients.key]
    done = s_client(server, *old, *cert)
    assert b'over\n' in done.stdout, done
    s_client(server, *old)
    server.wait_log(NONE % HERE)
    assert server.started() == 1
    if version == '-tls1_2':
        return
    server = serve('-m', certs=pki.rsa)
    done = s_client(server, *old, *cert)
    assert b'alert protocol version' in done.stdout, done
    server.wait_log(r'^sslserver: fatal: \(111\) unable to accept TLS')
    assert server.started() == 1


def test_nobody_is_asked_by_default(serve, context):
    server = serve('-v')
    server.check_service(context=context())
    server.check_service(context=context('self'))
    assert not server.lines('valid client cert')


def test_later_option_wins(serve, context):
    serve('-z', '-m', '-Z').check_service(context=context())


@VERSIONS
def test_no_certificate(serve, context, limits):
    server = serve('-m')
    alert = alert_of(server, context(**limits))
    assert alert == ('TLSV13_ALERT_CERTIFICATE_REQUIRED' if limits is TLS13
                     else 'SSLV3_ALERT_HANDSHAKE_FAILURE')
    assert_refused(server, NONE % HERE)


@pytest.mark.parametrize('name, reason, alert', [
    ('expired', 'certificate has expired', 'SSLV3_ALERT_CERTIFICATE_EXPIRED'),
    ('future', 'certificate is not yet valid',
     'SSLV3_ALERT_BAD_CERTIFICATE'),
    ('self', 'self.signed certificate', 'TLSV1_ALERT_UNKNOWN_CA'),
    ('other', 'unable to get local issuer certificate',
     'TLSV1_ALERT_UNKNOWN_CA'),
    ('purpose', '(?:unsuitable|unsupported) certificate purpose',
     'SSLV3_ALERT_UNSUPPORTED_CERTIFICATE'),
])
@VERSIONS
def test_bad_certificate(serve, context, limits, name, reason, alert):
    server = serve('-m')
    assert alert_of(server, context(name, **limits)) == alert
    assert_refused(server, BAD % (HERE, reason))


@VERSIONS
def test_refusal_arrives_whatever_was_sent(serve, context, limits):
    """TLS 1.3: the client is through with its handshake, and sends; more
    than any buffer holds is read away until it listens."""
    server = serve('-m')
    data = b'x' * 10000000 if limits is TLS13 else b''
    for _ in range(5):
        assert 'ALERT' in alert_of(server, context(**limits), data)
    assert len(server.wait_log(NONE % HERE, count=5)) == 5
    assert server.started() == 0


def test_refused_client_that_stays(serve, context):
    """It has its alert and the end; after two seconds it is left alone."""
    server = serve('-m')
    with server.connect(context=context()) as client:
        session = server.wait_log(NONE % HERE)[0].group(1)
        server.wait_log('^sslserver: ended by %s status 28160$' % session)
        client.wait_close()
    server.wait_idle()


def test_quiet_lines(serve, context):
    """-Q shows what was refused, and why, and nothing else of it."""
    server = serve('-m', log='-Q')
    alert_of(server, context('self'))
    server.wait_log(BAD % (HERE, 'self.signed certificate'))
    server.check_service(context=context('good'))
    assert len(server.log().splitlines()) == 1


# ---------------------------------------------------------------------------
# Intermediates

@pytest.mark.parametrize('depth', [None, '', '0', '1', '2'])
def test_depth(serve, context, depth):
    server = serve('-m', env={'VERIFYDEPTH': depth})
    allowed = int(depth) if depth else 1
    for number, name in enumerate(('good', 'one', 'two')):
        if number <= allowed:
            server.check_service(context=context(name))
            continue
        assert alert_of(server, context(name)) == 'TLSV1_ALERT_UNKNOWN_CA'
        server.wait_log(BAD % (HERE, r'certificate chain too long '
                                     r'\(depth %d\)' % (allowed + 1)))


def test_intermediate_that_is_not_sent(serve, clients, context):
    """From CAFILE it counts all the same."""
    clients.write('alone.pem', clients.read('one.pem').split(
        '-----END CERTIFICATE-----\n')[0] + '-----END CERTIFICATE-----\n')
    server = serve('-m')
    alert_of(server, context('alone'))
    server.wait_log(BAD % (HERE, 'unable to get local issuer certificate'))
    both = clients.write('both-cas.pem', clients.read('middle.pem')
                         + clients.read('root.pem'))
    serve('-m', env={'CAFILE': both}).check_service(context=context('alone'))


@pytest.mark.parametrize('depth', ['x', '-1', '101', '1 '])
def test_bad_depth(pki, clients, depth):
    result = run_server(['127.0.0.1', '0', '/bin/cat'], env=dict(
        pki.ecdsa, CAFILE=clients.root, VERIFYDEPTH=depth))
    assert result.code == 111
    assert result.err == 'sslserver: fatal: (111) VERIFYDEPTH is not a ' \
        'number from 0 to 100: %s\n' % depth


# ---------------------------------------------------------------------------
# CAs

def names_told(server):
    """Of CAs, to a client."""
    text = s_client(server, '-tls1_2').stdout.decode()
    if 'No client certificate CA names sent' in text:
        return []
    part = text.split('Acceptable client certificate CA names\n')[1]
    return re.findall('^CN ?= ?(.*)$', part.split('Client Certificate Types')[0],
                      re.M)


ROOT_NAME, SECOND_NAME = 'Client root CA', 'Client second CA'


def in_directory(workdir, name, *files):
    path = os.path.join(workdir, name)
    os.mkdir(path)
    for file in files:
        shutil.copy(file, path)
    return path


def test_ca_variables(serve, clients, workdir, context):
    """Who is trusted and what clients are told, for each of them."""
    root = in_directory(workdir, 'root', clients.root)
    second = in_directory(workdir, 'second', clients.second)

    def check(env, trusted, told):
        server = serve('-m', env=env, cafile=False)
        for name, ca in (('good', 'root'), ('other', 'second')):
            if ca in trusted:
                server.check_service(context=context(name))
            else:
                assert alert_of(server, context(name)) == \
                    'TLSV1_ALERT_UNKNOWN_CA'
        assert names_told(server) == told
        for name, value in env.items():
            server.wait_log('^sslserver: %s [0-9]+ %s$'
                            % (name.lower(), value))

    check({'CAFILE': clients.root}, ['root'], [])
    check({'CADIR': second}, ['second'], [])
    check({'CAFILE': clients.root, 'CADIR': second}, ['root', 'second'], [])
    check({'CCAFILE': clients.root}, ['root'], [ROOT_NAME])
    check({'CCADIR': second}, ['second'], [SECOND_NAME])
    check({'CCAFILE': clients.second, 'CCADIR': root}, ['root', 'second'],
          [SECOND_NAME, ROOT_NAME])
    check({'CAFILE': clients.root, 'CCAFILE': clients.second}, ['root'],
          [SECOND_NAME])
    check({'CADIR': root, 'CCADIR': second}, ['root'], [SECOND_NAME])


def test_many_cas(serve, clients, workdir, context):
    """Three hundred files of root's alone; the sessions open none."""
    path = os.path.join(workdir, 'cas')
    clients.many(path, 300)
    for name in os.listdir(path):
        os.chmod(os.path.join(path, name), 0o600)
    os.chmod(path, 0o700)
    server = serve('-m', env={'CADIR': path, 'CCADIR': path}, cafile=False)
    server.check_service(context=context('good'))
    assert alert_of(server, context('other')) == 'TLSV1_ALERT_UNKNOWN_CA'
    told = names_told(server)
    assert len(told) == 300 and told[0] == 'CA 000' and told[-1] == ROOT_NAME
    assert not server.lines('warning')
    # Nobody needs the directory any more, a second start aside.
    shutil.rmtree(path)
    server.check_service(context=context('good'))


def test_below_the_key_root(serve, clients, context):
    if not harness.ROOT:
        pytest.skip('needs to be root')
    # A directory as well: the files of the CAs lie flat in theirs.
    os.makedirs(clients.path('inner'), exist_ok=True)
    shutil.copy(clients.second, clients.path('inner'))
    server = serve('-m', cafile=False, env={
        'SSL_CHROOT': clients.directory, 'CAFILE': '/root.pem',
        'CADIR': 'inner'})
    server.check_service(context=context('good'))
    server.check_service(context=context('other'))
    server.wait_log('^sslserver: cafile [0-9]+ %s$' % clients.root)
    server.wait_log('^sslserver: cadir [0-9]+ %s$' % clients.path('inner'))


def start_with(pki, *options, **env):
    return run_server(['--check', *options, '127.0.0.1', '0', '/bin/cat'],
                      env=dict(pki.ecdsa, **env))


@pytest.mark.parametrize('name', ['CAFILE', 'CADIR', 'CCAFILE', 'CCADIR',
                                  'CRLFILE'])
def test_start_errors(pki, workdir, name):
    """Each names variable, path and reason."""
    gone = os.path.join(workdir, 'gone')
    result = start_with(pki, **{name: gone})
    assert result.code == 111
    assert 'sslserver: fatal: (111) unable to open %s %s: No such file or ' \
        'directory\n' % (name, gone) in result.err
    if name.endswith('DIR'):
        return
    empty = pki.path('garbage.pem')
    result = start_with(pki, **{name: empty})
    assert result.code == 111
    assert 'sslserver: fatal: (111) %s %s: no %s in it\n' % (
        name, empty, 'revocation list' if name == 'CRLFILE'
        else 'certificate') in result.err
    if harness.ROOT:
        return
    closed = os.path.join(workdir, 'closed')
    with open(closed, 'w', encoding='ascii'):
        os.chmod(closed, 0)
    result = start_with(pki, **{name: closed})
    assert '%s %s: Permission denied' % (name, closed) in result.err


def test_start_warnings(pki, clients, workdir):
    head = 'sslserver: warning: '
    empty = in_directory(workdir, 'empty')
    mixed = in_directory(workdir, 'mixed', clients.root,
                         pki.path('damaged.pem'))
    required = (head + 'a client certificate is required, but none of '
                'CAFILE, CADIR, CCAFILE and CCADIR is set: every client will '
                'be refused\n')
    turned_off = (head + 'no client certificate is asked for, though -z or '
                  '-m is given: CCAFILE is -\n')
    for options, env, expected in (
            (['-m'], {}, required),
            (['-z'], {'CCAFILE': ''}, required),
            ([], {'CCAVERIFY': 'x'}, required),
            (['-m'], {'CCAFILE': '-'}, turned_off),
            (['-z', '-x', 'rules.cdb', '-X'],
             {'CCAFILE': '-', 'CAFILE': clients.root},
             turned_off + head + 'rule file rules.cdb is missing: everybody '
                                 'is let in (-X)\n'),
            (['-m'], {'CCAFILE': '-', 'CCAVERIFY': '1',
                      'CAFILE': clients.root}, ''),
            (['-m', '-Z'], {'CCAFILE': '-'}, ''),
            (['-m', '-q'], {'CCAFILE': '-'}, ''),
            (['-m'], {'CAFILE': clients.root}, ''),
            (['-z', '-H'], {'CAFILE': clients.root},
             head + 'with -H the name in a client certificate is not '
                    'matched\n'),
            ([], {'CAFILE': clients.root, 'VERIFYDEPTH': '2'},
             head + 'without effect, as no client certificate is asked for: '
                    'CAFILE, VERIFYDEPTH\n'),
            (['-m'], {'CADIR': empty},
             head + 'CADIR %s: no certificate in it\n' % empty),
            (['-m', '-q'], {}, ''),
    ):
        result = start_with(pki, *options, **env)
        assert result.code == 0
        assert result.err == expected
    result = start_with(pki, '-m', CADIR=mixed)
    assert result.code == 0
    assert result.err.startswith(head + 'CADIR %s: files that do not count: '
                                 '1, first damaged.pem: bad ' % mixed)


def test_explain(pki, clients):
    def shown(*options, **env):
        result = run_server(['--explain', *options, '127.0.0.1', '0', 'x'],
                            env=dict(pki.ecdsa, **env))
        assert result.code == 0
        return dict(line.split(': ', 1) for line in result.out.splitlines())

    values = shown()
    assert values['client certificate'] == 'not asked for (default)'
    assert values['VERIFYDEPTH'] == '1 (default)'
    assert values['strict names'] == 'off (default)'
    assert values['CAFILE'] == 'none (default)'
    values = shown('-z', '--strict-names', CAFILE=clients.root,
                   VERIFYDEPTH='3', CCAFILE='/x')
    assert values['client certificate'] == \
        "required, with the client's name (-z)"
    assert values['CAFILE'] == clients.root
    assert values['CCAFILE'] == '/x'
    assert values['VERIFYDEPTH'] == '3'
    assert values['strict names'] == 'on'
    assert shown(CCAVERIFY='1')['client certificate'] == 'required (-m)'


# ---------------------------------------------------------------------------
# CCAFILE=-, CCAVERIFY and rules

def asks(server, context, **settings):
    """Is that client asked for a certificate?"""
    try:
        server.check_service(context=context(), **settings)
        return False
    except ssl.SSLError:
        return True


def test_start_variables(serve, context):
    assert not asks(serve('-m', env={'CCAFILE': '-'}), context)
    assert asks(serve(env={'CCAFILE': '-', 'CCAVERIFY': '1'}), context)
    assert asks(serve(env={'CCAVERIFY': 'm'}), context)
    assert not asks(serve(env={'CCAVERIFY': ''}), context)


def test_rules_decide(serve, workdir, context):
    """By address; what they do not say stays as the start has it."""
    rules = make_rules(os.path.join(workdir, 'rules.cdb'), '\n'.join([
        '127.0.0.2:allow,CCAVERIFY="m"', '127.0.0.3:allow,CCAFILE="-"',
        '127.0.0.4:allow,CCAFILE="-",CCAVERIFY="1"',
        '127.0.0.5:allow,CCAVERIFY=""', ':allow', '']))
    server = serve('-x', rules)
    assert [asks(server, context, source='127.0.0.%d' % number)
            for number in (1, 2, 3, 4, 5)] == \
        [False, True, False, True, False]
    server.check_service(context=context('good'), source='127.0.0.2')
    server = serve('-m', '-x', rules)
    assert [asks(server, context, source='127.0.0.%d' % number)
            for number in (1, 2, 3, 4, 5)] == [True, True, False, True, True]


def test_late_rules_beat_early_ones(serve, workdir, context):
    early = make_rules(os.path.join(workdir, 'early.cdb'),
                       ':allow,CCAVERIFY="m",VERIFYDEPTH="0"\n')
    rules = make_rules(os.path.join(workdir, 'rules.cdb'), '\n'.join([
        '127.0.0.2:allow,CCAFILE="-"', '127.0.0.3:allow,VERIFYDEPTH="1"',
        ':allow', '']))
    server = serve('-y', early, '-x', rules)
    assert asks(server, context)
    assert not asks(server, context, source='127.0.0.2')
    alert_of(server, context('one'))
    server.check_service(context=context('one'), source='127.0.0.3')


def test_rule_with_a_name(serve, workdir, clients, context):
    """`z' in a rule matches the name, as -z does."""
    rules = make_rules(os.path.join(workdir, 'rules.cdb'),
                       ':allow,CCAVERIFY="z"\n')
    clients.make('mail', alternative='DNS:mail.example')
    with name_server(known({'127.0.0.1': 'mail.example'})) as names:
        server = serve('-x', rules, env=names.environment)
        server.check_service(context=context('mail'))
        alert_of(server, context('good'))
        server.wait_log(NAME % (r'mail\.example', 'good'))


@pytest.mark.parametrize('text, what', [
    ('VERIFYDEPTH="x"', 'VERIFYDEPTH=x: it is no number of intermediates'),
    ('VERIFYDEPTH=""', 'VERIFYDEPTH=: it is no number of intermediates'),
])
def test_rules_that_cannot_be_served(serve, workdir, context, text, what):
    rules = make_rules(os.path.join(workdir, 'rules.cdb'),
                       ':allow,%s\n' % text)
    server = serve('-x', rules)
    assert server.is_refused(context=context('good'))
    line = 'rule file %s, rule default: %s; refused: ' % (rules, what)
    server.wait_log(r'^sslserver: error: \(111\) %s%s$' %
                    (re.escape(line), HERE))
    assert server.started() == 0


# ---------------------------------------------------------------------------
# Revocation

def test_revoked(serve, clients, context):
    server = serve('-m', env={'CRLFILE': clients.path('root.crl')})
    server.wait_log('^sslserver: crlfile [0-9]+ %s$' % clients.path('root.crl'))
    server.check_service(context=context('good'))
    assert alert_of(server, context('revoked')) == \
        'SSLV3_ALERT_CERTIFICATE_REVOKED'
    server.wait_log(BAD % (HERE, 'certificate revoked'))
    # One below an intermediate needs a list of that, too.
    alert_of(server, context('one'))
    server.wait_log(BAD % (HERE, 'unable to get certificate CRL'))
    serve('-m', env={'CRLFILE': clients.lists('root', 'middle')}) \
        .check_service(context=context('one'))


def test_list_of_another_issuer(serve, clients, context):
    server = serve('-m', env={'CRLFILE': clients.path('second.crl')})
    alert_of(server, context('good'))
    assert_refused(server, BAD % (HERE, 'unable to get certificate CRL'))


def test_expired_list(serve, clients, context):
    """A warning at start, and nobody is let in by it."""
    path = clients.path('expired.crl')
    server = serve('-m', env={'CRLFILE': path})
    server.wait_log(
        r'^sslserver: warning: CRLFILE %s: expired or not yet valid: 1 of 1 '
        r'revocation lists$' % path)
    alert_of(server, context('good'))
    assert_refused(server, BAD % (HERE, 'CRL has expired'))


# ---------------------------------------------------------------------------
# Names

@pytest.fixture
def named(serve):
    """A server whose client's name is mail.example."""
    with name_server(known({'127.0.0.1': 'mail.example'})) as names:
        yield lambda *options: serve('-z', *options, env=names.environment)


NUL = alternative_names(b'mail.example\0.evil.example').hex()
# Libraries differ.
WRONG_NAME = ('SSLV3_ALERT_CERTIFICATE_UNKNOWN' if IS_LIBRESSL
              else 'SSLV3_ALERT_BAD_CERTIFICATE')
# Before it matches names, LibreSSL refuses what can be none.
NO_NAME = (BAD % (HERE, 'unsupported or invalid name syntax')
           if IS_LIBRESSL else None)


@pytest.mark.parametrize('subject, alternative, shown', [
    ('/CN=x', 'DNS:mail.example', None),
    ('/CN=x', 'DNS:a.example, DNS:Mail.EXAMPLE', None),
    ('/CN=mail.example', None, None),
    ('/CN=mail.example', 'email:a@b.example', None),
    ('/CN=mail.example', 'DNS:other.example', 'other.example'),
    ('/CN=other.example', None, 'other.example'),
    ('/CN=x', 'DNS:*.example', '*.example'),
    ('/CN=x', 'DNS:m*.example, DNS:mail.*', 'm*.example'),
    ('/CN=x', 'DER:' + NUL, 'mail.example?.evil.example'),
    ('/O=nobody', 'IP:127.0.0.1', '127.0.0.1'),
    ('/O=nobody', None, '(no name)'),
], ids=lambda value: str(value)[:30])
def test_names(named, clients, context, subject, alternative, shown):
    clients.make('named', subject=subject, alternative=alternative)
    server = named()
    if shown is None:
        server.check_service(context=context('named'))
        server.wait_log('^sslserver: info: valid client cert')
        return
    assert alert_of(server, context('named')) == WRONG_NAME
    line = NAME % (r'mail\.example', re.escape(shown))
    assert_refused(server, NO_NAME if NO_NAME and '?' in shown else line)


@VERSIONS
def test_name_in_both_versions(named, clients, context, limits):
    clients.make('right', alternative='DNS:mail.example')
    clients.make('wrong', alternative='DNS:other.example')
    server = named('-p')
    assert alert_of(server, context('wrong', **limits)) == WRONG_NAME
    assert_refused(server, NAME % (r'mail\.example', r'other\.example'))
    server.check_service(context=context('right', **limits))
    # Names come second: who is not trusted is refused for that.
    assert alert_of(server, context('self', **limits)) == \
        'TLSV1_ALERT_UNKNOWN_CA'


def test_wildcard(serve, clients, context):
    clients.make('wild', alternative='DNS:*.mail.example')
    for host, fits in (('a.mail.example', True), ('mail.example', False),
                       ('b.a.mail.example', False)):
        with name_server(known({'127.0.0.1': host})) as names:
            server = serve('-z', env=names.environment)
            if fits:
                server.check_service(context=context('wild'))
            else:
                alert_of(server, context('wild'))
                server.wait_log(NAME % (re.escape(host), r'\*\.mail\.example'))


def test_strict_names(named, clients, context):
    clients.make('common', subject='/CN=mail.example')
    clients.make('alternative', alternative='DNS:mail.example')
    server = named('--strict-names')
    alert_of(server, context('common'))
    assert_refused(server, NAME % (r'mail\.example', r'\(no dNSName\)'))
    server.check_service(context=context('alternative'))


@pytest.mark.parametrize('host, address', [('127.0.0.1', '127.0.0.1'),
                                           ('::1', '::1')])
def test_unknown_name(serve, clients, context, host, address):
    """Then the certificate's address has to be the client's."""
    clients.make('this', alternative='IP:' + address)
    clients.make('that', subject='/O=x', alternative='IP:192.0.2.1')
    server = serve('-z', host=host)
    server.check_service(context=context('this'))
    for name, shown in (('that', '192.0.2.1'), ('good', 'good')):
        assert alert_of(server, context(name)) == WRONG_NAME
        server.wait_log(NAME % (re.escape(address), re.escape(shown)))


def test_name_that_is_not_confirmed(serve, clients, context):
    """With -p it counts as unknown."""
    clients.make('right', alternative='DNS:mail.example')

    def script(question):
        answer = known({'127.0.0.1': 'mail.example'})
        if question.name == reverse('127.0.0.1'):
            return answer(question)
        return question.answer(code=3)

    with name_server(script) as names:
        server = serve('-z', '-p', env=names.environment)
        alert_of(server, context('right'))
        server.wait_log(NAME % (HERE, r'mail\.example'))


def test_no_name_is_matched_with_m_or_without_look_up(named, context):
    named('-H').check_service(context=context('good'))
    named('-m').check_service(context=context('good'))


# ---------------------------------------------------------------------------
# Hostile certificates and sessions

def test_large_names(named, clients, context):
    """The line stays one, and short; beyond 100 kilobytes it is no chain."""
    long = 'm' * 60000 + '.example'
    clients.make('large', alternative='DNS:' + long)
    server = named()
    alert_of(server, context('large'))
    assert_refused(
        server, NO_NAME or NAME % (r'mail\.example', r'm{100}\.\.\.'))
    if IS_LIBRESSL:
        return  # it has no limit there
    clients.write('twice.pem', clients.read('large.pem') * 2)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        server.check_service(context=context('twice'))
    server.wait_log(r'^sslserver: fatal: \(111\) unable to accept TLS from: '
                    r'127\.0\.0\.1 for pid: \d+ excessive message size$')
    assert server.started() == 0


def test_log_is_safe_from_names(named, clients, context):
    clients.make('bad-name', alternative='DER:' + alternative_names(
        b'a\nsslserver: ok 1\r\x1b[1m\xff%s').hex())
    server = named()
    alert_of(server, context('bad-name'))
    assert_refused(server, NO_NAME or NAME % (
        r'mail\.example', re.escape('a?sslserver: ok 1??[1m???s')))


@pytest.fixture
def with_liar(workdir, monkeypatch):
    """sslserver whose sessions say what CIPHERS tells them."""
    directory = os.path.join(workdir, 'bin')
    os.mkdir(directory)
    for name in ('sslserver', 'ucspissl-keeper'):
        shutil.copy(os.path.join(BIN, name), directory)
    shutil.copy(tool('liar'), os.path.join(directory, 'ucspissl-nursery'))
    monkeypatch.setattr(harness, 'SSLSERVER',
                        os.path.join(directory, 'sslserver'))


NO_CERT, BAD_CERT, BAD_NAME = 7, 8, 9
VIOLATION = (r'^sslserver: fatal: \(111\) unable to accept TLS from: '
             r'127\.0\.0\.1 for pid: (\d+) protocol violation$')


@pytest.mark.parametrize('options, end', [
    (['-Z'], NO_CERT), (['-Z'], BAD_CERT), (['-Z'], BAD_NAME),
    (['-m'], BAD_NAME), (['-z', '-H'], BAD_NAME), (['-m'], 0), (['-m'], 10),
    (['-m'], 2 ** 63)], ids=str)
def test_session_that_lies(with_liar, start, clients, options, end):
    """What it was not told to find is no answer."""
    server = start(options=options, env={'CAFILE': clients.root,
                                         'CIPHERS': '%d 5' % end})
    assert server.is_refused()
    session = server.wait_log(VIOLATION)[0].group(1)
    server.wait_log('^sslserver: ended by %s status 28416$' % session)


@pytest.fixture
def lying(with_liar, start, clients, workdir):
    """A server with a session of this sort; has its program run?"""
    mark = os.path.join(workdir, 'ran')

    def lie(how, *options, signs=True):
        directory = os.path.dirname(mark)
        os.chmod(directory, 0o777)
        server = start('/bin/sh', '-c', 'echo > %s' % mark, options=options,
                       env={'CAFILE': clients.root, 'CIPHERS': how})
        keepers = [] if signs else server.pids('keeper')
        for pid in keepers:
            kill(pid, signal.SIGSTOP)
        with contextlib.suppress(OSError, ssl.SSLError):
            server.is_refused()
        server.wait_log('^sslserver: ended by ')
        for pid in keepers:
            kill(pid, signal.SIGCONT)
        server.wait_idle()
        return server, os.path.exists(mark)

    return lie


@pytest.mark.parametrize('how', ['sign-any', 'sign-early'])
def test_session_that_does_not_wait_for_its_signature(lying, how):
    """It is asked for, and was not given: no program."""
    server, has_run = lying(how, '-Z', signs=False)
    server.wait_log(VIOLATION)
    assert not has_run


def test_pieces_of_facts_that_nobody_wants(lying):
    server, has_run = lying('pieces', '-Z')
    server.wait_log(VIOLATION)
    assert not has_run


@pytest.mark.parametrize('option, verify, parts, is_taken', [
    ('-Z', '-', '', True), ('-Z', 'NONE', '', True),
    ('-Z', 'SUCCESS', '', False), ('-Z', 'NONE', 'd', False),
    ('-Z', 'NONE', 'n', False), ('-Z', '-', 'v', False),
    ('-Z', 'SUCCESS', 'dvn', False), ('-Z', 'FAILED:x', '', False),
    ('-m', 'SUCCESS', 'dvn', True), ('-m', 'SUCCESS', 'dv', True),
    ('-z', 'SUCCESS', 'dvn', True),
    ('-m', '-', '', False), ('-m', 'NONE', '', False),
    ('-m', 'NONE', 'dvn', False), ('-m', '-', 'dvn', False),
    ('-m', 'FAILED:x', 'dvn', False), ('-m', 'SUCCESSFUL', 'dvn', False),
    ('-m', 'SUCCESS', 'vn', False), ('-m', 'SUCCESS', 'd', False),
    ('-z', 'NONE', 'dvn', False)])
def test_facts_are_held_against_the_policy(lying, option, verify, parts,
                                           is_taken):
    server, has_run = lying('facts %s %s' % (verify, parts), option, '-s')
    assert has_run == is_taken
    assert bool(server.lines(VIOLATION)) != is_taken


@pytest.mark.parametrize('end, pattern', [
    (NO_CERT, NONE % HERE),
    (BAD_CERT, BAD % (HERE, r'\?s\?sslserver: ok 1\?[ -~]*\.\.\.')),
    (BAD_NAME, NAME % (HERE, r'\?s\?sslserver: ok 1\?[ -~]*\.\.\.'))])
def test_session_that_talks_too_much(with_liar, start, clients, end, pattern):
    server = start(options=['-z'], env={'CAFILE': clients.root,
                                        'CIPHERS': '%d 16000' % end})
    assert server.is_refused()
    server.wait_log(pattern)
    assert all(len(line) < 300 for line in server.log().splitlines())
    assert not server.lines('^sslserver: ok 1$')
