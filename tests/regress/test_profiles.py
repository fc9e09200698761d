"""Rules with TLS variables: each client meets the certificates, CAs, ciphers
and versions of its rule, and no key of another one's."""

import os
import re
import shutil
import signal
import ssl

import pytest

import harness
from admission import environment_of, known, make_rules, name_server
from clientpki import ClientPki
from harness import TLS12, TLS13, tls_context, wait_for
from test_certs import start_error
from test_clientcert import BAD, NONE, alert_of, need, run_client
from test_delayed import Plain, notes  # noqa: F401
from test_key import found_in, may_read_memory, traces  # noqa: F401
from test_resumption import VERSIONS
from test_tlsenv import with_bad_nursery  # noqa: F401

REPLACED = '^sslserver: info: certificates, keys and lists are loaded anew'
TWO, THREE, FOUR = '127.0.0.2', '127.0.0.3', '127.0.0.4'
# A key of a third kind, where the library can keep it apart.
THIRD = 'ed25519' if 'ed25519' in harness.KEYS else 'chained'


@pytest.fixture(scope='module')
def clients(top_directory):
    return ClientPki(os.path.join(top_directory, 'profile-clients'))


@pytest.fixture
def rules(workdir):
    """Compiles lines into a table of this test's."""
    def make(*lines, name='rules.cdb'):
        return make_rules(os.path.join(workdir, name),
                          '\n'.join(lines + ('',)))
    return make


def say(**variables):
    """The variables of a rule."""
    return 'allow' + ''.join(',%s=|%s|' % pair for pair in variables.items())


def shown(server, source=None, **settings):
    """The O of the certificate that a client from there is shown."""
    with server.connect(source=source, **settings) as client:
        client.echo(b'x')
        return organisation_of(client)


def organisation_of(client):
    der = client.tls.getpeercert(True)
    name = ssl.DER_cert_to_PEM_cert(der)
    done = run_client(need('openssl'), 'x509', '-noout', '-subject',
                      data=name.encode())
    # OpenSSL 3.5 prints no blanks there.
    return re.search(r'O ?= ?([^,\n]*)', done.stdout.decode()).group(1)


# What a rule can say

@pytest.mark.parametrize('option', ['-x', '-y'])
def test_certificate_by_client(start, pki, rules, option):
    path = rules('%s:%s' % (TWO, say(**pki.env('rsa'))),
                 '%s:%s' % (THREE, say(**pki.env(THIRD))),
                 '%s:allow,WORD="x"' % FOUR)
    server = start(options=[option, path])
    for _ in range(2):
        assert shown(server, TWO) == 'rsa'
        assert shown(server, THREE) == THIRD
        assert shown(server, FOUR) == 'ecdsa'
        assert shown(server) == 'ecdsa'
    # The files of all of them, and each once.
    for name in ('ecdsa', 'rsa', THIRD):
        assert len(server.lines(r'^sslserver: cert \d+ %s$' %
                                re.escape(pki.path(name + '.pem')))) == 1
    assert 'warning' not in server.log()


def test_rules_on_top_of_early_ones(start, pki, rules):
    """-y's default lies below -x, any other rule of -y stands alone."""
    early = rules('%s:%s' % (TWO, say(**pki.env('rsa'))),
                  ':' + say(TLSMAX='1.2', **pki.env('other')),
                  name='early.cdb')
    late = rules('%s:%s' % (TWO, say(**pki.env(THIRD))),
                 '%s:%s' % (THREE, say(**pki.env(THIRD))))
    server = start(options=['-y', early, '-x', late])
    for source, organisation, version in (
            (TWO, 'rsa', 'TLSv1.3'), (THREE, THIRD, 'TLSv1.2'),
            (FOUR, 'other', 'TLSv1.2')):
        assert shown(server, source) == organisation
        with server.connect(source=source) as client:
            assert client.tls.version() == version


def test_delayed(start, notes, pki, rules):  # noqa: F811
    path = rules('%s:%s' % (TWO, say(**pki.env('rsa'))))
    server = start(*notes.command(), options=['-n', '-x', path])
    for source, organisation in ((TWO, 'rsa'), (None, 'ecdsa')):
        with Plain(server, source=source) as client:
            client.switch()
            assert organisation_of(client) == organisation


def test_ciphers_groups_and_versions(start, rules):
    path = rules(
        '%s:%s' % (TWO, say(CIPHERS='ECDHE-ECDSA-AES128-GCM-SHA256',
                            TLSMAX='1.2', TLSGROUPS='P-384')),
        '%s:%s' % (THREE, say(TLSMIN='1.3', TLSMAX='1.3')))
    server = start(options=['-x', path])
    with server.connect(source=TWO) as client:
        assert client.tls.cipher()[:2] == \
            ('ECDHE-ECDSA-AES128-GCM-SHA256', 'TLSv1.2')
    with pytest.raises(ssl.SSLError):
        server.connect(source=TWO, context=tls_context(groups='prime256v1'))
    server.connect(context=tls_context(groups='prime256v1')).close()
    with pytest.raises(ssl.SSLError):
        server.connect(source=THREE, context=tls_context(**TLS12))
    server.connect(source=THREE, context=tls_context(**TLS13)).close()
    server.connect(context=tls_context(**TLS12)).close()


def test_alpn(start, rules):
    path = rules('%s:%s' % (TWO, say(ALPN='b,a')),
                 '%s:%s' % (THREE, say(ALPN='')))
    server = start(options=['-x', path], env={'ALPN': 'a,b'})
    for source, chosen in ((None, 'a'), (TWO, 'b'), (THREE, None)):
        context = tls_context()
        context.set_alpn_protocols(['a', 'b'])
        with server.connect(source=source, context=context) as client:
            assert client.tls.selected_alpn_protocol() == chosen


def test_environment(start, pki, rules):
    """The program has the rule's variables, and what TLS made of them."""
    path = rules('%s:%s' % (TWO, say(**pki.env('rsa'))))
    server = start(harness.tool('showstate'), options=['-s', '-x', path])
    env = environment_of(server, source=TWO)
    assert env['CERTFILE'] == pki.path('rsa.pem')
    assert env['SSL_SERVER_S_DN_O'] == 'rsa'
    assert environment_of(server)['SSL_SERVER_S_DN_O'] == 'ecdsa'


def context_with(clients, name):
    context = tls_context(**TLS13)
    if name is not None:
        context.load_cert_chain(clients.path(name + '.pem'), clients.key)
    return context


def test_other_cas(start, clients, rules):
    """Who demands a certificate, and from whom, is the rule's to say."""
    path = rules(
        '%s:%s' % (TWO, say(CAFILE=clients.root, CCAVERIFY='m')),
        '%s:%s' % (THREE, say(CAFILE=clients.path('second.pem'),
                              CCAVERIFY='m')))
    server = start(options=['-x', path])
    good = context_with(clients, 'good')
    server.check_service()
    server.check_service(context=good, source=TWO)
    assert alert_of(server, context_with(clients, None), source=TWO)
    server.wait_log(NONE % re.escape(TWO))
    assert alert_of(server, good, source=THREE)
    server.wait_log(BAD % (re.escape(THREE), '.*'))
    # No word about -z and CAs that are there.
    assert 'warning' not in server.log()


def test_revocation(start, clients, rules):
    path = rules('%s:%s' % (TWO, say(CRLFILE=clients.path('root.crl'))))
    server = start(options=['-m', '-x', path], env={'CAFILE': clients.root})
    server.check_service(context=context_with(clients, 'revoked'))
    assert alert_of(server, context_with(clients, 'revoked'), source=TWO)
    server.check_service(context=context_with(clients, 'good'), source=TWO)


def test_request_turned_on_by_another_ccafile(start, clients, rules):
    """Where the start has CCAFILE=-, a rule's CCAFILE takes its place."""
    path = rules('%s:%s' % (TWO, say(CCAFILE=clients.root)))
    server = start(options=['-m', '-x', path],
                   env={'CAFILE': clients.root, 'CCAFILE': '-'})
    server.check_service()
    assert alert_of(server, context_with(clients, None), source=TWO)
    server.check_service(context=context_with(clients, 'good'), source=TWO)


def test_name_of_a_rule(start, clients, rules):
    clients.make('named', alternative='DNS:mail.example')
    path = rules('%s:%s' % (TWO, say(CAFILE=clients.root, CCAVERIFY='z')))
    with name_server(known({TWO: 'mail.example'})) as names:
        server = start(options=['-x', path], env=names.environment)
        server.check_service(context=context_with(clients, 'named'),
                             source=TWO)
        assert alert_of(server, context_with(clients, 'good'), source=TWO)


def test_certdir_of_a_rule(start, pki, rules, workdir):
    directory = os.path.join(workdir, 'certdir')
    os.mkdir(directory)
    with open(os.path.join(directory, 'a.example.pem'), 'wb') as out:
        for part in ('rsa.pem', 'rsa.key'):
            with open(pki.path(part), 'rb') as file:
                out.write(file.read())
    os.chmod(os.path.join(directory, 'a.example.pem'), 0o600)
    path = rules('%s:%s' % (TWO, say(CERTDIR=directory)))
    server = start(options=['-x', path])
    assert shown(server, TWO, sni='a.example') == 'rsa'
    assert shown(server, TWO) == 'ecdsa'
    assert shown(server, sni='a.example') == 'ecdsa'


@VERSIONS
def test_no_session_crosses_over(start, rules, limits):
    """What was agreed on under one rule is not resumed under another one."""
    path = rules('%s:%s' % (TWO, say(ALPN='a')))
    server = start(options=['-x', path])
    context = tls_context(**limits)
    with server.connect(source=TWO, context=context) as client:
        client.echo(b'x')
        session = client.tls.session
    for source, is_resumed in ((None, False), (TWO, True)):
        with server.connect(source=source, context=context,
                            session=session) as client:
            assert client.tls.session_reused == is_resumed
            client.echo(b'x')


# Keys

def test_keys_are_with_keepers_only(
        start, pki, rules, may_read_memory):  # noqa: F811
    path = rules('%s:%s' % (TWO, say(**pki.env('rsa'))))
    server = start(options=['-x', path, '--keepers', '2'])
    clients = [server.connect(source=source) for source in (TWO, THREE)]
    try:
        for client in clients:
            client.echo(b'in the middle of a connection')
        for name in ('rsa', 'ecdsa'):
            forms = traces(pki, name)
            for role, pids in server.roles().items():
                for pid in pids:
                    hits = found_in(pid, forms) - {'PEM'}
                    assert bool(hits) == (role == 'keeper'), (role, name)
    finally:
        for client in clients:
            client.close()


def test_session_gets_no_key_of_another_profile(
        start, pki, rules, with_bad_nursery):  # noqa: F811
    """-B key1: a second key, ECDSA, that only TWO's rule has."""
    both = {name: '%s:%s' % (pki.path('rsa' + end), pki.path('ecdsa' + end))
            for name, end in (('CERTFILE', '.pem'), ('KEYFILE', '.key'))}
    path = rules('%s:%s' % (TWO, say(**both)))
    server = start(certs=pki.env('rsa'), options=['-x', path, '-B', 'key1'])
    keepers = server.pids('keeper')
    with server.connect(source=TWO, handshake=False):
        server.wait_log('^sslserver: tls')
    with server.connect(source=THREE, handshake=False):
        server.wait_log(r'^sslserver: fatal: \(111\) .* from: %s .*protocol '
                        'violation: not a handshake to sign$' % THREE)
    assert len(server.lines('^sslserver: tls')) == 1
    assert server.pids('keeper') == keepers


# What goes wrong

def test_start_errors(pki, rules):
    """The rule's name comes with the sentence of the file."""
    for variables, what in (
            ({'CERTFILE': '/nonexistent'}, 'CERTFILE /nonexistent: No such '),
            ({'CERTFILE': pki.path('rsa.pem')}, 'do not match'),
            ({'CAFILE': pki.path('garbage.pem')}, 'CAFILE '),
            ({'CIPHERS': 'nonsense'}, 'CIPHERS nonsense'),
            ({'TLSMIN': '1.3', 'TLSMAX': '1.2'}, 'TLSMIN 1.3 is above'),
            ({'ALPN': 'a,,b'}, 'ALPN a,,b')):
        path = rules('10.:' + say(**variables))
        for option in ('-x', '-y'):
            start_error(pki.ecdsa, 'fatal: (111) rule file %s, rule 10.: '
                        % path, what, options=[option, path])


def test_too_many(start, pki, rules, workdir):
    """Of one file, which is as good as damaged; and of both together."""
    def lines(count, first):
        return ['10.0.%d.%d:%s' % (first, i, say(ALPN='p%d.%d' % (first, i)))
                for i in range(count)]
    path = rules(*lines(257, 1)[:256], *lines(1, 2))
    server = start(options=['-x', path])
    server.wait_log(r'^sslserver: error: \(111\) rule file %s: more than 256 '
                    'different sets of TLS settings' % re.escape(path))
    assert server.is_refused()
    early = rules(*lines(200, 1), name='early.cdb')
    late = rules(*lines(100, 2))
    start_error(pki.ecdsa, 'more than 256 different sets',
                options=['-y', early, '-x', late])


def test_as_many_as_there_may_be(start, rules):
    path = rules(*('127.1.1.%d:%s' % (i, say(ALPN='p%d' % i))
                   for i in range(1, 255)))
    # Each is a context of its own: seconds of work on a machine at rest.
    server = start(options=['-x', path], ready=False).wait_ready(300)
    for i in (1, 100, 254):
        context = tls_context()
        context.set_alpn_protocols(['p%d' % i])
        with server.connect(source='127.1.1.%d' % i,
                            context=context) as client:
            assert client.tls.selected_alpn_protocol() == 'p%d' % i


def test_keeper_and_nursery_are_replaced(start, pki, rules):
    path = rules('%s:%s' % (TWO, say(**pki.env('rsa'))))
    server = start(options=['-x', path, '--keepers', '1'])
    for role in ('keeper', 'nursery', 'monitor'):
        old = server.pid(role)
        harness.kill(old)
        wait_for(lambda: server.pids(role) not in ([], [old]), 20, role)
        server.wait_roles(20)
        assert shown(server, TWO) == 'rsa'
        assert shown(server) == 'ecdsa'


def test_rules_that_change(start, pki, rules):
    """What a changed rule file says of TLS counts by itself."""
    path = rules('%s:%s' % (TWO, say(**pki.env('rsa'))))
    server = start(options=['-x', path])
    assert shown(server, TWO) == 'rsa'
    nursery = server.pid('nursery')
    # The same set for another client: nothing has to be loaded.
    rules('%s:%s' % (THREE, say(**pki.env('rsa'))))
    wait_for(lambda: shown(server, THREE) == 'rsa', 20)
    assert shown(server, TWO) == 'ecdsa'
    assert server.pids('nursery') == [nursery]
    assert 'warning' not in server.log()
    with server.connect(source=THREE) as client:
        client.echo(b'from before')
        rules('%s:%s' % (THREE, say(**pki.env(THIRD))))
        server.wait_log('^sslserver: warning: rule file %s: rules with new '
                        'TLS settings; ' % re.escape(path), 20)
        wait_for(lambda: serves(server, THREE) == THIRD, 20)
        assert shown(server) == shown(server, TWO) == 'ecdsa'
        client.echo(b'and after')
    wait_for(lambda: len(server.pids('nursery')) == 1, 20)
    assert server.pids('nursery') != [nursery]


def serves(server, source):
    """As shown; None for a client that is refused meanwhile."""
    if server.is_refused(source=source):
        return None
    return shown(server, source)


def test_new_set_that_cannot_be_loaded(start, pki, rules, workdir):
    """Its clients are refused, all others are served; until it is there."""
    path = rules('%s:%s' % (TWO, say(**pki.env('rsa'))))
    server = start(options=['-x', path])
    later = {name: os.path.join(workdir, 'later' + end)
             for name, end in (('CERTFILE', '.pem'), ('KEYFILE', '.key'))}
    rules('%s:%s' % (TWO, say(**pki.env('rsa'))),
          '%s:%s' % (THREE, say(**later)))
    server.wait_log(
        r'^sslserver: error: \(111\) .*rule file %s, rule %s: unable to '
        'open CERTFILE %s: No such file or directory; the old settings stay in force'
        % (re.escape(path), THREE, re.escape(later['CERTFILE'])), 20)
    assert server.is_refused(source=THREE)
    server.wait_log(
        r'^sslserver: error: \(111\) rule file %s, rule %s: KEYFILE=\S+: '
        'TLS settings that are not loaded; refused: %s$'
        % (re.escape(path), THREE, THREE))
    assert shown(server, TWO) == 'rsa'
    assert shown(server) == 'ecdsa'
    for name, end in (('CERTFILE', '.pem'), ('KEYFILE', '.key')):
        shutil.copy(pki.path(THIRD + end), later[name])
    server.signal(signal.SIGHUP)
    wait_for(lambda: serves(server, THREE) == THIRD, 20)
    assert shown(server, TWO) == 'rsa'


def test_new_settings_wait_for_delayed_tls(
        start, notes, pki, rules):  # noqa: F811
    """A connection that is plain while its rule's set comes and goes."""
    path = rules('%s:%s' % (TWO, say(**pki.env('rsa'))))
    server = start(*notes.command(), options=['-n', '-x', path])
    with Plain(server, source=TWO) as client, \
            Plain(server, source=TWO) as other:
        client.ping()
        other.ping()
        rules('%s:%s' % (TWO, say(**pki.env('rsa'))),
              '%s:%s' % (THREE, say(**pki.env(THIRD))))
        server.wait_log('^sslserver: .*loaded', 20)
        wait_for(lambda: len(server.lines(REPLACED)) == 1, 20)
        client.switch()
        assert organisation_of(client) == 'rsa'
        rules('%s:%s' % (THREE, say(**pki.env(THIRD))))
        server.wait_log('^sslserver: rules', 20, count=3)
        server.signal(signal.SIGHUP)
        wait_for(lambda: len(server.lines(REPLACED)) == 2, 20)
        # Not with another one's key: there is none for it any more.
        other.start_tls()
        assert other.is_ended()
        server.wait_log('the TLS settings of its rule are gone')
