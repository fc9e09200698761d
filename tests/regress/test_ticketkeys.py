"""Sessions that several servers resume for each other: TICKETKEYS."""

import os
import re
import signal

import pytest

from admission import make_rules
from harness import IS_LIBRESSL, TLS13, run_server, tls_context, wait_for
from test_clientcert import VIOLATION, with_liar  # noqa: F401  a fixture
from test_key import may_read_memory, memory  # noqa: F401  a fixture
from test_resumption import (  # noqa: F401  fixtures
    QUIET, VERSIONS, Visit, certified, clients, in_time, lives_as_long,
    serve)

# A start error there: test_start_errors.
pytestmark = pytest.mark.skipif(IS_LIBRESSL,
                                reason='LibreSSL has no place for a chain')

KEYS = [byte * 32 for byte in ('0a', 'B1', 'c2')]
LOADED = '^sslserver: info: certificates, keys and lists are loaded anew'
KEPT = '; the last keys stay in force$'


def put(path, *lines):
    """A whole new file, as by an administrator's tool."""
    with open(path + '.new', 'w', encoding='ascii') as file:
        file.write(''.join(line + '\n' for line in lines))
    os.chmod(path + '.new', 0o600)
    os.rename(path + '.new', path)


@pytest.fixture
def keys(workdir):
    path = os.path.join(workdir, 'ticket-keys')
    put(path, '# one', KEYS[0])
    return path


@pytest.fixture
def share(serve, keys):  # noqa: F811
    """A server that uses the keys."""
    def starter(*options, host=None, env=None, path=keys, **settings):
        return serve(*options, host=host,
                     env=dict(env or {}, TICKETKEYS=path), **settings)
    return starter


@pytest.fixture
def two(share):
    return [share(host='127.0.0.1'), share(host='127.0.0.2')]


def taken(server, count):
    """Until so many lists of keys have been taken."""
    return server.wait_log('^sslserver: ticketkeys ', count=count)


# ---------------------------------------------------------------------------
# Shared

@VERSIONS
def test_each_resumes_what_the_other_began(two, limits):
    context = tls_context(**limits)
    found = Visit(two[0], context)
    assert not found.is_resumed
    for number in (1, 0, 1, 1, 0):
        found = Visit(two[number], context, found.session)
        assert found.is_resumed
    for server in two:
        assert not server.lines('warning|error|fatal')


@VERSIONS
def test_without_a_common_key(share, workdir, limits):
    """They do not resume what is another's, but what is their own."""
    other = os.path.join(workdir, 'other-keys')
    put(other, KEYS[1])
    servers = [share(), share(path=other)]
    context = tls_context(**limits)
    for first, second in (servers, servers[::-1]):
        found = Visit(first, context)
        assert not Visit(second, context, found.session).is_resumed
        assert Visit(first, context, found.session).is_resumed


@VERSIONS
def test_keys_change(two, keys, limits):
    """The old one is good as long as it is in the file, the new one at once;
    a client that comes in time needs no full handshake."""
    context = tls_context(**limits)
    old = Visit(two[0], context)
    put(keys, KEYS[1], KEYS[0])
    for server in two:
        taken(server, 2)
    both = Visit(two[1], context, old.session)
    assert both.is_resumed
    put(keys, KEYS[1])
    for server in two:
        taken(server, 3)
    assert not Visit(two[0], context, old.session).is_resumed
    if limits is TLS13:
        assert Visit(two[0], context, both.session).is_resumed
    new = Visit(two[1], context)
    assert Visit(two[0], context, new.session).is_resumed
    for server in two:
        assert not server.lines('warning|error|fatal')


def test_key_to_come(two, share, keys):
    """Whoever has the new one as its second resumes what is made with it:
    so machines need not change at the same moment."""
    context = tls_context(**TLS13)
    put(keys, KEYS[0], KEYS[1])
    for server in two:
        taken(server, 2)
    later = keys + '-later'
    put(later, KEYS[1], KEYS[0])
    ahead = share(path=later)
    found = Visit(ahead, context)
    assert Visit(two[0], context, found.session).is_resumed


@VERSIONS
def test_certificate_is_in_the_ticket(share, clients,  # noqa: F811
                                      certified, limits):  # noqa: F811
    """With its chain; another machine tells its program the same."""
    env = {'CAFILE': clients.root, 'VERIFYDEPTH': '2'}
    servers = [share('-m', env=env, host=host)
               for host in ('127.0.0.1', '127.0.0.2')]
    with open(clients.path('two-chain.pem'), 'w', encoding='ascii') as file:
        for name in ('two', 'lower', 'middle'):
            file.write(clients.read(name + '.pem'))
    context = certified('two-chain', limits)

    def about(visit):
        return {name: value for name, value in visit.variables.items()
                if name.startswith('SSL_CLIENT_')}

    first = Visit(servers[0], context)
    found = first
    for number in (1, 1, 0):
        found = Visit(servers[number], context, found.session)
        assert found.is_resumed
        assert about(found) == about(first)
    assert about(first)['SSL_CLIENT_VERIFY'] == 'SUCCESS'
    assert 'SSL_CLIENT_CERT_CHAIN_1' in about(first)


@VERSIONS
def test_another_policy_is_another_ticket(share, workdir,
                                          clients, certified,  # noqa: F811
                                          limits):
    """What was begun without a certificate is no way in where one is
    wanted."""
    rules = make_rules(os.path.join(workdir, 'rules.cdb'),
                       '127.0.0.2:allow,CCAVERIFY="1"\n:allow\n')
    server = share('-x', rules, env={'CAFILE': clients.root})
    context = certified('good', limits)
    for given in ('127.0.0.1', '127.0.0.2'):
        for shown in ('127.0.0.1', '127.0.0.2'):
            first = Visit(server, context, source=given)
            again = Visit(server, context, first.session, source=shown)
            assert again.is_resumed == (given == shown), (given, shown)
            assert again.variables['SSL_CLIENT_VERIFY'] == (
                'NONE' if shown == '127.0.0.1' else 'SUCCESS')


@VERSIONS
def test_lifetime(share, limits):
    in_time(lambda seconds: lives_as_long(share, limits, seconds) is not None,
            3)


def test_tickets_alone(share):
    """SESSIONCACHE=0: nothing is kept, but what is sealed goes on."""
    server = share(env={'SESSIONCACHE': '0'})
    context = tls_context(**TLS13)
    found = Visit(server, context)
    assert Visit(server, context, found.session).is_resumed


@VERSIONS
def test_cache_killed(two, limits):
    """Nothing is lost with it, and the next one has the keys again."""
    context = tls_context(**limits)
    found = Visit(two[0], context)
    old = two[0].pid('cache')
    two[0].signal(signal.SIGKILL, old)
    wait_for(lambda: two[0].pids('cache') not in ([], [old]), 5,
             'another cache')
    wait_for(lambda: Visit(two[0], context, found.session).is_resumed, 5,
             'it to be used')
    taken(two[0], 2)


# ---------------------------------------------------------------------------
# Files

BROKEN = [
    (('x' + KEYS[1],), 'line 1 is no key of 64 hexadecimal digits'),
    ((KEYS[1], '', '# comment', KEYS[1] + KEYS[1]), 'line 4 is no key'),
    ((), 'it is no list of 1 to 64 keys'),
    (('# ' + KEYS[1],), 'it is no list of 1 to 64 keys'),
    ((KEYS[1],) * 65, 'it is no list of 1 to 64 keys'),
    ((KEYS[1],) * 1100, 'File too large'),
]


def test_broken_file_keeps_the_last_keys(share, keys):
    server = share()
    context = tls_context(**TLS13)
    found = Visit(server, context)
    for lines, words in BROKEN:
        count = len(server.lines(KEPT))
        put(keys, *lines)
        line = server.wait_log(KEPT, count=count + 1)[-1].string
        assert words in line and keys in line
        found = Visit(server, context, found.session)
        assert found.is_resumed
    put(keys, KEYS[1], KEYS[0])
    taken(server, 2)
    assert Visit(server, context, found.session).is_resumed


def test_missing_file_keeps_the_last_keys(share, keys):
    server = share()
    context = tls_context(**TLS13)
    found = Visit(server, context)
    os.unlink(keys)
    server.wait_log(r'^sslserver: error: \(111\) TICKETKEYS %s: there is no such file'
                    % re.escape(keys) + KEPT)
    assert Visit(server, context, found.session).is_resumed
    put(keys, KEYS[1])
    taken(server, 2)
    assert not Visit(server, context, found.session).is_resumed


@VERSIONS
def test_reload(share, keys, limits):
    """What was sealed before is resumed after it; a file that is still
    broken is told again."""
    server = share()
    context = tls_context(**limits)
    found = Visit(server, context)
    server.signal(signal.SIGHUP)
    server.wait_log(LOADED)
    assert Visit(server, context, found.session).is_resumed
    put(keys, 'nonsense')
    server.wait_log(KEPT)
    server.signal(signal.SIGHUP)
    server.wait_log(LOADED, count=2)
    server.wait_log(KEPT, count=2)
    assert Visit(server, context, found.session).is_resumed
    put(keys, KEYS[1], KEYS[0])
    taken(server, 2)
    assert Visit(server, context, found.session).is_resumed


@pytest.mark.parametrize('lines, words', BROKEN, ids=lambda value: '')
def test_broken_at_the_start(pki, workdir, lines, words):
    path = os.path.join(workdir, 'keys')
    put(path, *lines)
    check_start_error(pki, path, words)


def check_start_error(pki, path, words):
    result = run_server(['127.0.0.1', '0', '/bin/cat'],
                        env=dict(pki.ecdsa, TICKETKEYS=path))
    assert result.code == 111
    fatal = [line for line in result.err.splitlines() if 'fatal' in line]
    assert len(fatal) == 1
    assert 'TICKETKEYS ' + path in fatal[0] and words in fatal[0]


def test_no_file_at_the_start(pki, workdir):
    check_start_error(pki, os.path.join(workdir, 'none'),
                      'there is no such file')


def test_directory(pki, workdir):
    check_start_error(pki, workdir, 'it is no regular file')


def test_check(pki, keys):
    """--check looks at the file, too."""
    result = run_server(['--check', '127.0.0.1', '0', '/bin/cat'],
                        env=dict(pki.ecdsa, TICKETKEYS=keys))
    assert result.code == 0
    put(keys, 'nonsense')
    result = run_server(['--check', '127.0.0.1', '0', '/bin/cat'],
                        env=dict(pki.ecdsa, TICKETKEYS=keys))
    assert result.code == 111
    assert 'line 1 is no key' in result.err


def test_open_to_everybody(share, keys):
    os.chmod(keys, 0o644)
    server = share()
    server.wait_log('^sslserver: warning: TICKETKEYS %s can be read or '
                    'written by everybody$' % re.escape(keys))


@pytest.mark.root
def test_below_the_root(share, workdir):
    """A path that is not there is looked for below SSL_CHROOT."""
    root = os.path.join(workdir, 'root')
    os.makedirs(root + '/private')
    put(root + '/private/keys', KEYS[0])
    server = share(path='/private/keys', env={'SSL_CHROOT': root})
    assert taken(server, 1)[0].string.endswith(root + '//private/keys')


def test_no_effect_without_time(share, keys):
    """Nothing is resumed: the file is not even read."""
    os.unlink(keys)
    server = share(env={'SESSIONTIME': '0'})
    assert not server.pids('cache')


def test_explain(pki, keys):
    def explain(**env):
        return run_server(['--explain', '127.0.0.1', '0', 'x'],
                          env=dict(pki.ecdsa, **env)).out.splitlines()
    assert 'ticket keys: none (default)' in explain()
    assert 'ticket keys: ' + keys in explain(TICKETKEYS=keys)


# ---------------------------------------------------------------------------
# Where the keys are

def test_keys_are_in_the_cache_alone(start, keys,
                                     may_read_memory):  # noqa: F811
    """Neither as bytes nor as they stand in the file."""
    server = start(options=QUIET, env={'TICKETKEYS': keys})
    context = tls_context(**TLS13)
    forms = [bytes.fromhex(KEYS[0]), KEYS[0].encode()]
    with server.connect(context=context) as client:
        client.echo(b'x')
        held = {role: [any(form in area for area in memory(pid)
                           for form in forms) for pid in pids]
                for role, pids in server.roles().items()}
    assert held.pop('cache') == [True]
    assert {'master', 'monitor', 'keeper', 'nursery', 'session'} <= set(held)
    assert not any(any(each) for each in held.values()), held


# ---------------------------------------------------------------------------
# Sessions that were taken over

@pytest.mark.parametrize('script', [
    'T0',        # wants tickets for what nobody has signed
    'F40 T0',    # or was not there
    'F40 F40',
    'G0 T0 T0',  # wants them twice
    'G0 T5',     # says what is not to be said
    'G0 S100 S100 A32'])
def test_session_that_asks_too_much(with_liar, share,  # noqa: F811
                                    script):
    server = share(env={'CIPHERS': 'cache ' + script})
    assert server.is_refused()
    session = server.wait_log(VIOLATION)[0].group(1)
    server.wait_log('^sslserver: ended by %s status 28416$' % session)
