"""Sessions that are resumed: by whom, for how long, and by nobody else."""

import os
import re
import signal
import subprocess
import time

import pytest

import harness
from admission import known, make_rules, name_server
from clientpki import ClientPki
from harness import (IS_LIBRESSL, TLS12, TLS13, find_command, run_server,
                     tls_context, wait_for)
from test_clientcert import VIOLATION, with_liar  # noqa: F401  a fixture
from test_delayed import Plain, notes  # noqa: F401  a fixture

# LibreSSL resumes no TLS 1.3.
NEW = [] if IS_LIBRESSL else ['1.3']
VERSIONS = pytest.mark.parametrize(
    'limits', [TLS12] + [TLS13 for _ in NEW], ids=['1.2'] + NEW)
QUIET = ['-H', '-l', 'here']
# A cache that owes an answer for so many seconds is replaced.
CACHE_LATE = 7
EXPIRED = r'^sslserver: error: \(110\) .* certificate has expired$'


@pytest.fixture(scope='module')
def clients(top_directory):
    return ClientPki(os.path.join(top_directory, 'clients'))


@pytest.fixture
def serve(start):
    """A server whose program prints its environment."""
    def starter(*options, env=None, **settings):
        return start('/usr/bin/env', options=['-s', *QUIET, *options],
                     env=env, **settings)
    return starter


@pytest.fixture(scope='module')
def certified(clients):
    """The context of a client with that certificate."""
    def make(name, limits):
        context = tls_context(**limits)
        context.load_cert_chain(clients.path(name + '.pem'), clients.key)
        return context
    return make


def wait_session(tls):
    """What the client was given, if it was."""
    session = tls.session
    return session if session is not None and (
        session.id or session.has_ticket) else None


class Visit:
    """One connection: what each side knows of it, and what it leaves."""

    def __init__(self, server, context, session=None, **settings):
        with server.connect(context=context, session=session,
                            **settings) as client:
            text = b''
            piece = client.recv()
            while piece:
                text += piece
                piece = client.recv()
            # Or the library would not offer its session again.
            client.close_notify()
            self.is_resumed = client.tls.session_reused
            self.session = wait_session(client.tls)
        self.variables = dict(
            re.findall(r'^(\w+)=(.*)$', text.decode('latin-1'), re.M))
        said = self.variables['SSL_SESSION_RESUMED']
        assert said == ('Resumed' if self.is_resumed else 'Initial')


def wait_resumed(server, context):
    """Until what a client is given serves it: roles may have to come up."""
    def look():
        try:
            session = Visit(server, context).session
            return Visit(server, context, session).is_resumed
        except (OSError, harness.Truncated):
            return False
    wait_for(look, 10, 'sessions to be resumed')


def in_time(attempt, seconds):
    """Tries again what a busy machine was too slow for, with more time."""
    while not attempt(seconds):
        assert seconds < 300
        seconds *= 2


# ---------------------------------------------------------------------------
# By whom

@VERSIONS
def test_resumed(serve, limits):
    """Again and again, each time by another process."""
    server = serve('-V')
    context = tls_context(**limits)
    found = Visit(server, context)
    assert not found.is_resumed
    assert 'SSL_SERVER_END_POINT' in found.variables
    for _ in range(4):
        found = Visit(server, context, found.session)
        assert found.is_resumed
        # Which certificate the full handshake had is not known any more.
        assert 'SSL_SERVER_END_POINT' not in found.variables
    server.wait_log('^sslserver: tls .*%s' % (
        'TLSv1.2' if limits is TLS12 else 'TLSv1.3'), count=5)
    processes = server.lines(r'^sslserver: pid \d+ from ')
    assert len(processes) == len(set(processes)) == 5
    assert not server.lines('warning|error|fatal')


@VERSIONS
def test_many_clients(serve, limits):
    """Each goes on with its own."""
    server = serve()
    context = tls_context(**limits)
    found = [Visit(server, context) for _ in range(10)]
    assert len({one.session.id for one in found}) == 10
    again = [Visit(server, context, one.session) for one in found]
    assert all(one.is_resumed for one in again)


@VERSIONS
@pytest.mark.skipif(IS_LIBRESSL, reason='the library ends such a handshake')
def test_another_name_is_another_session(serve, limits):
    """RFC 6066, section 3; and nobody passes SNI=strict with a session."""
    server = serve()
    context = tls_context(**limits)
    names = 'a.example.org', 'b.example.org', None
    for name in names:
        for other in names:
            found = Visit(server, context, sni=name)
            again = Visit(server, context, found.session, sni=other)
            assert again.is_resumed == (name == other)
            assert again.variables.get('SSL_TLS_SNI') in (None, other)


@VERSIONS
def test_keepers_are_not_asked(serve, limits):
    """A handshake that goes on needs no key."""
    server = serve('--keepers', '2')
    context = tls_context(**limits)
    found = Visit(server, context)
    keepers = server.pids('keeper')
    for pid in keepers:
        server.signal(signal.SIGSTOP, pid)
    try:
        for _ in range(3):
            found = Visit(server, context, found.session)
            assert found.is_resumed
    finally:
        for pid in keepers:
            server.signal(signal.SIGCONT, pid)


@pytest.mark.parametrize('version', ['-tls1_2'] + ['-tls1_3' for _ in NEW])
def test_openssl(serve, workdir, version):
    """One ticket serves as often as it is shown."""
    server = serve()
    path = os.path.join(workdir, 'session')

    def run(*arguments):
        # Its input stays open, so that it reads to the end.
        with subprocess.Popen(
                ['openssl', 's_client', '-connect',
                 '%s:%d' % (server.address, server.port), version,
                 *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT) as process:
            text = process.stdout.read().decode('latin-1')
        return (re.search('^(New|Reused), ', text, re.M).group(1),
                re.search('^SSL_SESSION_RESUMED=(.*)$', text, re.M).group(1))

    assert run('-sess_out', path) == ('New', 'Initial')
    for _ in range(3):
        assert run('-sess_in', path) == ('Reused', 'Resumed')


@pytest.mark.parametrize('version', ['1.2'] + NEW)
def test_gnutls(start, version):
    command = find_command('gnutls-cli')
    if command is None:
        pytest.skip('gnutls-cli is not there')
    server = start(options=QUIET)
    done = subprocess.run(
        [command, '--insecure', '--resume', '--waitresumption',
         '--priority', 'NORMAL:-VERS-ALL:+VERS-TLS' + version,
         '-p', str(server.port), server.address], input=b'x\n',
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
        check=False)
    assert b'*** This is a resumed session' in done.stdout, done.stdout


@VERSIONS
def test_curl(start, workdir, limits):
    """The second page of the same server."""
    command = find_command('curl')
    if command is None:
        pytest.skip('curl is not there')
    server = start('/bin/sh', '-c', 'read line; printf "HTTP/1.0 200 OK\\r\\n'
                   '\\r\\n$SSL_SESSION_RESUMED\\n"', options=['-s', *QUIET])
    url = 'https://%s:%d/' % (server.address, server.port)
    version = '1.2' if limits is TLS12 else '1.3'
    done = subprocess.run(
        [command, '-sk', '--http1.0', '--tls-max', version, url, url],
        stdout=subprocess.PIPE, timeout=60, check=True)
    assert done.stdout.split() == [b'Initial', b'Resumed']


@VERSIONS
def test_delayed(start, notes, limits):  # noqa: F811
    """With -n, where the session begins late."""
    server = start(*notes.command(), options=['-n', *QUIET])
    context = tls_context(**limits)
    session = None
    for number in range(4):
        with Plain(server, context=context, session=session) as client:
            client.ping()
            client.switch()
            client.tls_ping()
            assert client.tls.session_reused == (number > 0)
            session = wait_session(client.tls)
            client.close_notify()
            client.wait_end()


# ---------------------------------------------------------------------------
# Clients' certificates

@VERSIONS
def test_certificate_goes_on(serve, clients, certified, limits):
    """What the program is told of it, the chain included."""
    server = serve('-m', env={'CAFILE': clients.root, 'VERIFYDEPTH': '2'})
    # What belongs behind it is in the file, too.
    with open(clients.path('two-chain.pem'), 'w', encoding='ascii') as file:
        for name in ('two', 'lower', 'middle'):
            file.write(clients.read(name + '.pem'))
    context = certified('two-chain', limits)
    first = Visit(server, context)
    assert not first.is_resumed
    found = first
    for count in range(2, 5):
        found = Visit(server, context, found.session)
        assert found.is_resumed
        about = {name: value for name, value in found.variables.items()
                 if name.startswith('SSL_CLIENT_')}
        assert about == {name: value
                         for name, value in first.variables.items()
                         if name.startswith('SSL_CLIENT_')}
        assert about['SSL_CLIENT_VERIFY'] == 'SUCCESS'
        assert about['SSL_CLIENT_S_DN'] == '/CN=two'
        assert 'SSL_CLIENT_CERT_CHAIN_1' in about
        server.wait_log('^sslserver: info: valid client cert', count=count)


@VERSIONS
def test_another_policy_is_another_session(serve, workdir, clients, certified,
                                           limits):
    """A rule that asks for a certificate, or for one of another depth."""
    rules = make_rules(os.path.join(workdir, 'rules.cdb'),
                       '127.0.0.2:allow,CCAVERIFY="1"\n'
                       '127.0.0.3:allow,CCAVERIFY="1",VERIFYDEPTH="3"\n'
                       ':allow\n')
    server = serve('-x', rules, env={'CAFILE': clients.root})
    context = certified('good', limits)
    sources = ['127.0.0.1', '127.0.0.2', '127.0.0.3']
    for given in sources:
        for shown in sources:
            first = Visit(server, context, source=given)
            assert not first.is_resumed
            again = Visit(server, context, first.session, source=shown)
            assert again.is_resumed == (given == shown), (given, shown)
            verified = again.variables['SSL_CLIENT_VERIFY']
            assert verified == ('NONE' if shown == '127.0.0.1'
                                else 'SUCCESS')


@VERSIONS
def test_refused_without_certificate_whatever_is_shown(
        serve, workdir, clients, limits):
    """A session from where none is wanted is no way in where one is."""
    rules = make_rules(os.path.join(workdir, 'rules.cdb'),
                       '127.0.0.2:allow,CCAVERIFY="1"\n:allow\n')
    server = serve('-x', rules, env={'CAFILE': clients.root})
    context = tls_context(**limits)
    found = Visit(server, context)
    with pytest.raises(Exception, match='(?i)certificate.required|handshake'):
        Visit(server, context, found.session, source='127.0.0.2')
    server.wait_log(r'^sslserver: error: \(110\) no client certificate')


@VERSIONS
def test_name_is_matched_for_each_client(start, clients, certified, limits):
    """The name that was looked up now counts, not that of the first time."""
    clients.make('named', alternative='DNS:one.example')
    names = {'127.0.0.2': 'one.example', '127.0.0.3': 'two.example'}
    with name_server(known(names)) as dns:
        server = start('/usr/bin/env', options=['-s', '-z', '-l', 'here'],
                       env=dict(dns.environment, CAFILE=clients.root))
        context = certified('named', limits)
        found = Visit(server, context, source='127.0.0.2')
        found = Visit(server, context, found.session, source='127.0.0.2')
        assert found.is_resumed
        with pytest.raises(Exception, match='(?i)certificate'):
            Visit(server, context, found.session, source='127.0.0.3')
        server.wait_log(r'^sslserver: error: \(110\) client hostname does not '
                        r'match certificate .* two\.example <=> one\.example')
        assert len(server.lines('^sslserver: tls ')) == 2


@VERSIONS
def test_expired_certificate_is_asked_for_again(serve, clients, certified,
                                                limits):
    """Its last second passes while its session could go on."""
    server = serve('-m', env={'CAFILE': clients.root})

    def attempt(seconds):
        end = time.time() + seconds
        clients.make('brief', dates=(
            '-startdate', '20200101000000Z',
            '-enddate', time.strftime('%Y%m%d%H%M%SZ', time.gmtime(end))))
        context = certified('brief', limits)
        try:
            found = Visit(server, context)
            found = Visit(server, context, found.session)
            assert found.is_resumed or time.time() >= end - 1
        except (OSError, harness.Truncated):
            assert time.time() >= end - 1
            return False
        wait_for(lambda: time.time() > end + 1, seconds + 10,
                 'the certificate to expire')
        count = len(server.lines(EXPIRED))
        with pytest.raises(Exception, match='(?i)expired|alert'):
            Visit(server, context, found.session)
        server.wait_log(EXPIRED, count=count + 1)
        return True

    in_time(attempt, 4 * harness.SLOW)


# ---------------------------------------------------------------------------
# For how long, and how many

def lives_as_long(make, limits, seconds):
    """Counted from the full handshake, however often it went on.  The
    server, or None: the machine was too slow to resume anything."""
    context = tls_context(**limits)
    server = make(env={'SESSIONTIME': str(seconds)})
    began = time.monotonic()
    found = Visit(server, context)
    count = 0
    while time.monotonic() < began + 10 * seconds + harness.PATIENCE:
        found = Visit(server, context, found.session)
        if not found.is_resumed:
            break
        count += 1
    assert not found.is_resumed
    assert time.monotonic() - began > seconds - 1.1
    return server if count > 0 else None


@VERSIONS
def test_lifetime(serve, limits):
    def attempt(seconds):
        server = lives_as_long(serve, limits, seconds)
        if server is not None:
            wait_resumed(server, tls_context(**limits))
        return server is not None

    in_time(attempt, 3)


def test_number_is_bounded(serve):
    """With SESSIONCACHE=2 the third sends away the first."""
    server = serve(env={'SESSIONCACHE': '2'})
    context = tls_context(**TLS12)
    found = [Visit(server, context) for _ in range(3)]
    resumed = [Visit(server, context, one.session).is_resumed
               for one in (found[1], found[2])]
    assert resumed == [True, True]
    assert not Visit(server, context, found[0].session).is_resumed


@pytest.mark.parametrize('env', [
    {'SESSIONTIME': '0'}, {'SESSIONTIME': ''}, {'SESSIONCACHE': '0'},
    {'SESSIONCACHE': ''}], ids=str)
def test_off(serve, env):
    """No cache, no ticket, no session number."""
    server = serve(env=env)
    assert not server.pids('cache')
    for limits in (TLS12, TLS13):
        context = tls_context(**limits)
        found = Visit(server, context)
        assert found.session is None or not found.session.has_ticket
        again = Visit(server, context, found.session)
        assert not again.is_resumed
        if limits is TLS12:
            assert found.variables['SSL_SESSION_ID'] == ''
    server.wait_idle()


@pytest.mark.parametrize('env, words', [
    ({'SESSIONTIME': '604801'}, ['SESSIONTIME', '604800', '604801']),
    ({'SESSIONTIME': '1h'}, ['SESSIONTIME', '1h']),
    ({'SESSIONTIME': '-1'}, ['SESSIONTIME', '-1']),
    ({'SESSIONCACHE': '1000001'}, ['SESSIONCACHE', '1000001']),
    ({'SESSIONCACHE': 'many'}, ['SESSIONCACHE', 'many']),
], ids=str)
def test_start_errors(pki, env, words):
    result = run_server(['127.0.0.1', '0', '/bin/cat'],
                        env=dict(pki.ecdsa, **env))
    assert result.code == 111
    fatal = [line for line in result.err.splitlines() if 'fatal' in line]
    assert len(fatal) == 1
    for word in words:
        assert word in fatal[0]


def test_explain(pki):
    def explain(**env):
        return run_server(['--explain', '127.0.0.1', '0', 'x'],
                          env=dict(pki.ecdsa, **env)).out.splitlines()
    lines = explain()
    assert 'sessions resumed for: 7200 s (default)' in lines
    assert 'sessions kept: 20000 (default)' in lines
    lines = explain(SESSIONTIME='300', SESSIONCACHE='5')
    assert 'sessions resumed for: 300 s' in lines
    assert 'sessions kept: 5' in lines
    assert 'sessions resumed: none' in explain(SESSIONTIME='0')


# ---------------------------------------------------------------------------
# When processes die

@VERSIONS
def test_cache_killed(start, limits):
    """What it had is lost; connections go on, and the next one is fine."""
    server = start(options=QUIET)
    context = tls_context(**limits)
    with server.connect(context=context) as running:
        running.echo(b'before')
        session = wait_session(running.tls)
        old = server.pid('cache')
        server.signal(signal.SIGKILL, old)
        wait_for(lambda: server.pids('cache') not in ([], [old]), 5,
                 'another cache')
        running.echo(b'after')

        def resumes():
            nonlocal session
            with server.connect(context=context, session=session) as client:
                client.echo(b'x')
                session = wait_session(client.tls)
                client.close_notify()
                client.wait_end()
                return client.tls.session_reused

        assert not resumes()
        wait_for(resumes, 5, 'sessions to be resumed')
    server.wait_log(r'^sslserver: warning: cache %d ended by signal 9$' % old)
    assert len(server.lines('warning|fatal')) == 1


@VERSIONS
def test_no_cache_at_all(start, limits):
    """While there is none: full handshakes, at once."""
    server = start(options=QUIET)
    context = tls_context(**limits)
    for count in (1, 2):  # one that has died young is not replaced at once
        server.signal(signal.SIGKILL, server.pid('cache'))
        server.wait_log('cache .* ended', count=count)
    session = None
    for _ in range(5):
        with server.connect(context=context, session=session) as client:
            client.echo(b'x')
            session = wait_session(client.tls)
            client.close_notify()
            client.wait_end()
    server.pid('cache')


@VERSIONS
def test_cache_stopped(serve, limits):
    """It lives and does not answer: a miss for those who ask, and another
    one in its place."""
    server = serve()
    context = tls_context(**limits)
    found = Visit(server, context)
    old = server.pid('cache')
    server.signal(signal.SIGSTOP, old)
    again = Visit(server, context, found.session)
    assert not again.is_resumed
    # It is late: nobody waits for it any more.
    assert not Visit(server, context, again.session).is_resumed
    wait_for(lambda: server.pids('cache') not in ([], [old]), 15,
             'another cache')
    server.wait_log(r'^sslserver: warning: cache %d did not answer and was '
                    'killed$' % old)
    wait_resumed(server, context)


def test_cache_killed_when_it_was_late(serve):
    """The next one has nothing to do with what that one owed."""
    server = serve()
    context = tls_context(**TLS12)
    found = Visit(server, context)
    old = server.pid('cache')
    server.signal(signal.SIGSTOP, old)
    assert not Visit(server, context, found.session).is_resumed
    server.signal(signal.SIGKILL, old)
    wait_for(lambda: server.pids('cache') not in ([], [old]), 5,
             'another cache')
    cache = server.pid('cache')
    wait_resumed(server, context)
    assert server.pid('cache') == cache


def test_cache_that_was_late_is_used_again(serve):
    """It has caught up before its time was over: nothing is lost."""
    context = tls_context(**TLS12)

    def attempt(_):
        server = serve()
        found = Visit(server, context)
        cache = server.pid('cache')
        server.signal(signal.SIGSTOP, cache)
        began = time.monotonic()
        assert not Visit(server, context, found.session).is_resumed
        server.signal(signal.SIGCONT, cache)
        if time.monotonic() > began + CACHE_LATE:
            return False
        wait_for(lambda: Visit(server, context, found.session).is_resumed, 5,
                 'it to be used again')
        assert server.pid('cache') == cache
        assert not server.lines('warning|error|fatal')
        return True

    in_time(attempt, 1)


@pytest.mark.parametrize('role', ['monitor', 'nursery', 'keeper'])
def test_sessions_outlive_others(serve, role):
    """The cache stays; what it has is given to the next ones."""
    server = serve('--keepers', '1')
    context = tls_context(**(TLS13 if NEW else TLS12))
    found = Visit(server, context)
    server.wait_idle()
    cache, old = server.pid('cache'), server.pid(role)
    server.signal(signal.SIGKILL, old)
    wait_for(lambda: server.pids(role) not in ([], [old]), 10, 'another one')

    def is_resumed():
        try:
            return Visit(server, context, found.session).is_resumed
        except (OSError, harness.Truncated):
            return False

    wait_for(is_resumed, 10, 'service')
    assert server.pid('cache') == cache


# ---------------------------------------------------------------------------
# Sessions that were taken over

@pytest.mark.parametrize('script', [
    'F40 F40',  # asks twice
    'F41',      # asks for more than an id
    'S100',     # stores what nobody has signed
    'F40 S100',
    'F40 A32',  # says that it goes on with what was not there
    'A32'])
def test_session_that_asks_too_much(with_liar, start, pki,  # noqa: F811
                                    script):
    server = start(env={'CIPHERS': 'cache ' + script})
    assert server.is_refused()
    session = server.wait_log(VIOLATION)[0].group(1)
    server.wait_log('^sslserver: ended by %s status 28416$' % session)


def test_session_that_asks_nonsense(with_liar, start):  # noqa: F811
    """What is no id is a miss; the cache is there afterwards."""
    server = start(options=['-T', '2'], env={'CIPHERS': 'cache F40'})
    cache = server.pid('cache')
    assert server.is_refused()
    server.wait_log('handshake timeout$')
    server = start(options=['-T', '2'], env={'CIPHERS': 'cache F0'})
    assert server.is_refused()
    server.wait_log('handshake timeout$')
    assert not server.lines('warning|violation')
    assert harness.read_stat(cache) is not None
