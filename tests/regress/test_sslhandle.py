"""sslhandle: the server of sslserver, with sessions that serve clients in
turn.  Nothing of one client reaches the next."""

import os
import shutil
import signal
import ssl

import pytest

import harness
from admission import environment_of, known, make_rules, name_server
from clientpki import ClientPki
from harness import (BIN, TLS12, TLS13, in_time, json_of, kill, proc_limits,
                     run_server, tls_context, wait_for)
from test_failures import forks, through_a_shortage  # noqa: F401
from test_key import found_in, may_read_memory  # noqa: F401

SSLHANDLE = os.path.join(BIN, 'sslhandle')
RELOADED = '^sslhandle: info: certificates, keys and lists are loaded anew'


@pytest.fixture(scope='module')
def clients(top_directory):
    return ClientPki(os.path.join(top_directory, 'sslhandle-clients'))


@pytest.fixture
def handle(start):
    """Starts sslhandle."""
    def starter(*program, **settings):
        return start(*program, command=SSLHANDLE, **settings)
    return starter


def sessions_of_log(server):
    """The pid of each connection's session, in order."""
    return [int(match.group(1)) for match in
            server.wait_log(r'^\w+: pid (\d+) from ')]


def settled(server, count=1):
    """Waits until so many sessions are there and wait for a client, and
    each connection that there was has ended, also in the log."""
    def look():
        roles = server.roles()
        ended = server.lines(r'^\w+: ended by ')
        return len(ended) == server.connected and \
            not roles['zombie'] and len(roles['session']) == count and \
            (set(roles['session']),)
    return wait_for(look, what='%d sessions that wait' % count)[0]


# One session, many clients

def test_one_session_for_many(handle):
    server = handle(options=['-c', '3'])
    for i in range(20):
        server.check_service(b'%d' % i)
        settled(server)
    assert len(set(sessions_of_log(server))) == 1
    assert len(sessions_of_log(server)) == 20


def test_last_use(handle):
    """After --uses clients the next one has another session."""
    server = handle(options=['--uses', '3'])
    for i in range(10):
        server.check_service()
        settled(server, 0 if i % 3 == 2 else 1)
    sessions = sessions_of_log(server)
    assert [sessions.count(pid) for pid in dict.fromkeys(sessions)] == \
        [3, 3, 3, 1]


def test_one_use_each(handle):
    """As sslserver."""
    server = handle(options=['--uses', '1'])
    for _ in range(3):
        server.check_service()
        settled(server, 0)
    assert len(set(sessions_of_log(server))) == 3


def test_never_more_than_clients(handle):
    """As many as there were at once, at most -c; others wait."""
    server = handle(options=['-c', '4'])
    for _ in range(3):
        held = [server.connect() for _ in range(4)]
        waiting = server.connect(handshake=False)
        for client in held:
            client.echo(b'x')
        assert len(server.pids('session')) == 4
        for client in held:
            client.close_notify()
            assert client.recv_all() == b''
            client.close()
        waiting.handshake()
        waiting.echo(b'now')
        waiting.close()
        settled(server, 4)
    assert len(set(sessions_of_log(server))) == 4
    server.check_service()
    settled(server, 4)


def test_session_goes_on_before_its_program(handle, workdir):
    """A program may finish when its connection has ended; its place under
    -c is taken, its session is not."""
    flag = os.path.join(workdir, 'go on')
    server = handle('/bin/sh', '-c',
                    'cat; while ! [ -e "$0" ]; do sleep 0.1; done', flag,
                    options=['-c', '2'])
    with server.connect() as first:
        first.echo(b'x')
        first.reset()
    wait_for(lambda: server.lines('unable to speak TLS'), what='the reset')
    # The program has had a SIGTERM then: so one that closes its output.
    server.wait_log('ended by')
    with open(flag, 'w'):
        pass
    server.exchange()
    settled(server)


def test_no_process_but_a_session(handle, forks):  # noqa: F811
    """Where no process can be made, who is there goes on serving."""
    server = handle(launcher=forks.launcher)
    server.check_service()
    settled(server)

    def attempt(allow):
        seen = len(server.lines('accepting pauses'))
        before = len(server.lines(r'^\w+: pid '))
        with server.connect() as first:
            first.echo(b'first')
            late = server.connect(handshake=False)
            server.wait_log('accepting pauses', count=seen + 1)
            first.close_notify()
            assert first.recv_all() == b''
        server.check_service(b'second')
        sessions = sessions_of_log(server)[before:]
        allow()
        assert len(sessions) == 2 and len(set(sessions)) == 1
        late.handshake()
        late.echo(b'late')
        late.close()

    through_a_shortage(forks, [server.pid('nursery')], attempt)


# Nothing reaches the next client

def variant_rules(pki, clients):
    """Four kinds of client, told apart by address: what rules say."""
    return [
        {},
        {'CERTFILE': pki.rsa['CERTFILE'], 'KEYFILE': pki.rsa['KEYFILE'],
         'WORD': 'rsa', 'TLSMAX': '1.2'},
        {'CCAVERIFY': 'm', 'CAFILE': clients.root, 'WORD': 'cert'},
        {'ALPN': 'b,a', 'CIPHERS': 'TLS_AES_128_GCM_SHA256',
         'TLSMIN': '1.3'},
        None,
    ]


def context_of(clients, variant, number):
    if variant == 2 and number % 3 != 0:
        context = tls_context(**TLS13)
        name = 'good' if number % 3 == 1 else 'other'
        context.load_cert_chain(clients.path(name + '.pem'), clients.key)
    else:
        context = tls_context(**(TLS12 if number % 4 == 1 else {}))
    context.set_alpn_protocols(['a', 'b'])
    return context


VOLATILE = ('PORT', 'SSL_SESSION_ID', 'SSL_EXPORTER', 'PATH')


def seen_by(server, clients, variant, number):
    """What client and program see of one connection."""
    source = '127.0.0.%d' % (10 + variant)
    try:
        with server.connect(source=source, context=context_of(
                clients, variant, number)) as client:
            shown = (client.tls.version(), client.tls.cipher(),
                     client.tls.selected_alpn_protocol(),
                     client.tls.getpeercert(True))
            client.close_notify()
            answer = client.recv_all()
    except ssl.SSLError as error:
        return error.reason
    except (OSError, harness.Truncated):
        return 'refused'
    if not answer:
        return shown, None
    state = harness.json.loads(answer)
    env = {name: value for name, value in state.pop('env').items()
           if not any(part in name for part in VOLATILE)}
    for name in ('pid', 'ppid', 'pgrp', 'session', 'sid', 'pgid'):
        state.pop(name, None)
    return shown, env, sorted(state['fds'] if 'fds' in state else [])


def test_hundred_clients_through_one_session(handle, start, pki, clients,
                                             workdir):
    """Each sees what sslserver gives it, whoever came before."""
    lines = []
    for i, said in enumerate(variant_rules(pki, clients)):
        if said is None:
            lines.append('127.0.0.%d:deny' % (10 + i))
        else:
            lines.append('127.0.0.%d:allow%s' % (10 + i, ''.join(
                ',%s=|%s|' % pair for pair in said.items())))
    path = make_rules(os.path.join(workdir, 'rules.cdb'),
                      '\n'.join(lines + ['']))
    settings = {'options': ['-c', '1', '-e', '-s', '-x', path],
                'env': {'SESSIONTIME': '0', 'ALPN': 'a,b'}}
    pooled = handle(harness.tool('showstate'), **settings)
    single = start(harness.tool('showstate'), **settings)
    outcomes = set()
    order = [(number * 7 + number // 5) % 5 for number in range(100)]
    for number, variant in enumerate(order):
        mine = seen_by(pooled, clients, variant, number)
        theirs = seen_by(single, clients, variant, number)
        assert mine == theirs, (number, variant)
        outcomes.add((variant, mine if isinstance(mine, str)
                      else mine[1] is None))
    # All kinds of success and refusal were among them.
    assert len(outcomes) >= 6, outcomes
    assert len(set(sessions_of_log(pooled))) == 1


def test_plaintext_of_the_last_client_is_gone(handle, may_read_memory):  # noqa: F811,E501
    """Neither what it sent nor what it got, nor who it was."""
    server = handle(options=['-c', '1'])
    forms = {'sent first': b'Rumpelstilzchen-' * 4,
             'in the middle': b'Siebenschoen-und-' * 4,
             'sent last': b'Schneeweisschen-' * 4}
    with server.connect() as client:
        for text in (forms['sent first'], forms['in the middle'] * 900,
                     forms['sent last']):
            client.echo(text)
        session, = server.pids('session')
        assert found_in(session, forms), 'the search finds nothing at all'
        client.close_notify()
        client.recv_all()
    assert settled(server) == {session}
    assert not found_in(session, forms)
    server.check_service()
    assert settled(server) == {session}


def test_certificate_of_the_last_client_is_gone(
        handle, clients, may_read_memory):  # noqa: F811
    server = handle(options=['-c', '1', '-m', '-s'],
                    env={'CAFILE': clients.root})
    with open(clients.path('good.pem')) as file:
        der = ssl.PEM_cert_to_DER_cert(
            '-----BEGIN' + file.read().split('-----BEGIN')[1])
    context = tls_context(**TLS13)
    context.load_cert_chain(clients.path('good.pem'), clients.key)
    # The serial number and names, and the signature; and what it asked for.
    forms = {'head': der[12:90], 'signature': der[-40:],
             'server name': b'asked-by-the-last-one'}
    with server.connect(context=context,
                        sni='asked-by-the-last-one.example.org') as client:
        client.echo(b'x')
        session, = server.pids('session')
        assert found_in(session, forms), 'the search finds nothing at all'
        client.close_notify()
        client.recv_all()
    assert settled(server) == {session}
    assert not found_in(session, forms)


# So long that what is told of the next client does not cover it.
NAMES = {'127.0.0.5': 'x' * 60 + '.the-name-of-somebody-else.example.org',
         '127.0.0.6': 'b.org'}


@pytest.mark.parametrize('is_pooled', [True, False])
def test_name_of_the_last_client_is_gone(
        handle, start, clients, may_read_memory, is_pooled):  # noqa: F811
    """Which START says: neither in a session that served that client, nor
    in one made later, nor in the nursery, of which it would be a copy."""
    forms = {'name': b'the-name-of-somebody-else'}
    with name_server(known(NAMES)) as dns:
        server = (handle if is_pooled else start)(
            options=['-z', '-c', '1'],
            env=dict(dns.environment, CAFILE=clients.root))
        nursery = server.pid('nursery')
        with server.connect(handshake=False, source='127.0.0.5'):
            session = server.pid('session')
            wait_for(lambda: found_in(session, forms), what='its name')
            assert sessions_of_log(server) == [session]
            assert not found_in(nursery, forms)
        assert settled(server, is_pooled) == ({session} if is_pooled
                                              else set())
        with server.connect(handshake=False, source='127.0.0.6'):
            session = server.pid('session')
            wait_for(lambda: found_in(session, {'name': b'b.org'}),
                     what='the next one\'s')
            assert not found_in(session, forms)


def test_resumed_or_not(handle):
    """Resumption is the client's, whichever session it meets."""
    server = handle(harness.tool('showstate'), options=['-s', '-c', '1'])
    context = tls_context(**TLS12)
    with server.connect(context=context) as client:
        kept = client.tls.session
        client.close_notify()
        client.recv_all()
    for _ in range(2):
        with server.connect(context=context, session=kept) as client:
            assert client.tls.session_reused
            client.close_notify()
            client.recv_all()
        with server.connect(context=tls_context(**TLS12)) as client:
            assert not client.tls.session_reused
            client.close_notify()
            client.recv_all()
    assert len(set(sessions_of_log(server))) == 1


# Endings

@pytest.mark.parametrize('how', ['reset', 'fin', 'close_notify', 'no TLS',
                                 'handshake'])
def test_bad_ends_cost_no_session(handle, how):
    """A client that breaks off has no bearing on the next one."""
    server = handle(options=['-c', '1'])
    for _ in range(3):
        with server.connect(handshake=how not in ('no TLS', 'handshake')) \
                as client:
            if how == 'no TLS':
                client.sock.sendall(b'GET / HTTP/1.0\r\n\r\n')
            elif how == 'handshake':
                client.first_flight()
                client.fin()
            else:
                client.echo(b'x')
                getattr(client, how)()
        settled(server)
        server.check_service()
        settled(server)
    assert len(set(sessions_of_log(server))) == 1


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGABRT])
def test_death_costs_one_client(handle, number):
    server = handle(options=['-c', '2'])
    with server.connect() as one, server.connect() as two:
        one.echo(b'1')
        two.echo(b'2')
        pids = sessions_of_log(server)
        kill(pids[0], number)
        one.wait_end()
        two.echo(b'still here')
        server.wait_log('session ended unexpectedly')
    settled(server)
    server.check_service()


def test_death_of_one_that_waits(handle):
    """It costs nobody anything."""
    server = handle(options=['-c', '2'])
    server.check_service()
    session, = settled(server)
    kill(session, signal.SIGKILL)
    settled(server, 0)
    server.check_service()
    assert settled(server) != {session}
    assert not server.lines('unexpectedly')


def test_stopped_session_misses_its_deadline(handle):
    """One that takes no client is killed after -T."""
    def attempt(seconds, pace):
        server = handle(options=['-c', '1', '-T', seconds])
        pace.begin()
        server.check_service()
        pace.end()
        session, = settled(server)
        kill(session, signal.SIGSTOP)
        with server.connect(handshake=False) as client:
            client.wait_end()
        server.wait_log('handshake timeout')
        settled(server, 0)
        pace.begin()
        server.check_service()
        pace.end()

    in_time(attempt)


def test_idle_and_handshake_deadlines(handle):
    """-w and -T of the second client begin with it."""
    def attempt(seconds, pace):
        server = handle(options=['-c', '1', '-w', seconds,
                                 '-T', 2 * seconds])
        pace.begin()
        server.check_service()
        pace.end()
        session, = settled(server)
        pace.begin()
        with server.connect() as client:
            client.echo(b'x')
            pace.end()
            client.wait_end()
        server.wait_log('idle timeout')
        settled(server)
        with server.connect(handshake=False) as client:
            assert client.sock.recv(1) == b''
        server.wait_log('handshake timeout')
        settled(server, 0)
        pace.begin()
        server.check_service()
        pace.end()

    in_time(attempt)


def test_nursery_replaced(handle):
    """Sessions of a nursery that died do not stay."""
    server = handle(options=['-c', '2'])
    server.check_service()
    session, = settled(server)
    nursery = server.pid('nursery')
    with server.connect() as client:
        client.echo(b'x')
        kill(nursery, signal.SIGKILL)
        wait_for(lambda: server.pids('nursery') not in ([], [nursery]),
                 what='a new nursery')
        client.echo(b'goes on')
    settled(server, 0)
    server.check_service()
    assert settled(server) != {session}


def test_monitor_replaced(handle):
    server = handle(options=['-c', '2'])
    server.check_service()
    session, = settled(server)
    monitor = server.pid('monitor')
    kill(monitor, signal.SIGKILL)
    wait_for(lambda: server.pids('monitor') not in ([], [monitor]),
             what='a new monitor')
    wait_for(lambda: not server.pids('session'), what='no session')
    server.check_service()
    assert settled(server) != {session}


# Sessions that have been taken over

@pytest.fixture
def with_bad_nursery(workdir, start):
    """Starts sslhandle beside a nursery whose sessions behave in that way."""
    directory = os.path.join(workdir, 'bin')
    os.mkdir(directory)
    for file in ('sslhandle', 'ucspissl-keeper'):
        shutil.copy(os.path.join(BIN, file), directory)
    shutil.copy(harness.tool('badnursery'),
                os.path.join(directory, 'ucspissl-nursery'))

    def starter(way, *options):
        return start('/bin/true', options=['-B', way, *options],
                     command=os.path.join(directory, 'sslhandle'))
    return starter


def taken_over(server):
    """Children of the nursery: they have no titles."""
    nursery = server.pid('nursery')
    return [stat.pid for stat in server.stats()
            if stat.ppid == nursery and stat.state != 'Z']


@pytest.mark.parametrize('way', ['vacant', 'talker'])
def test_one_that_waits_has_nothing_to_say(with_bad_nursery, way):
    """It is killed, and costs no client anything."""
    server = with_bad_nursery(way, '-c', '1')
    for count in (1, 2, 3):
        with harness.Client(server.address, server.port, handshake=False):
            server.wait_log('^sslhandle: ended by .* status 0$', count=count)
        wait_for(lambda: not taken_over(server), what='no session')
    assert len(set(sessions_of_log(server))) == 3


def test_vacant_before_it_is_done(with_bad_nursery):
    server = with_bad_nursery('hasty', '-c', '1')
    for count in (1, 2):
        with harness.Client(server.address, server.port, handshake=False):
            server.wait_log('protocol violation$', count=count)
        wait_for(lambda: not taken_over(server), what='no session')


# Reload and shutdown

def test_reload(handle, pki, workdir):
    """Those that wait leave at once, one with a client when it is gone."""
    cert = os.path.join(workdir, 'cert.pem')

    def put(name):
        with open(cert + '.new', 'w') as out:
            for part in ('.pem', '.key'):
                with open(pki.path(name + part)) as file:
                    out.write(file.read())
        os.rename(cert + '.new', cert)

    put('ecdsa')
    server = handle(certs={'CERTFILE': cert}, options=['-c', '3'])
    with server.connect() as client, server.connect() as other:
        client.echo(b'x')
        other.echo(b'x')
        other.close_notify()
        other.recv_all()
        before = client.tls.getpeercert(True)
        wait_for(lambda: server.lines('ended by'), what='the other one')
        put('rsa')
        server.signal(signal.SIGHUP)
        server.wait_log(RELOADED)
        old, = wait_for(lambda: len(server.pids('session')) == 1 and
                        server.pids('session'), what='one old session')
        with server.connect() as new:
            new.echo(b'x')
            assert new.tls.getpeercert(True) != before
            new.close_notify()
            new.recv_all()
        client.echo(b'goes on')
        client.close_notify()
        client.recv_all()
    left = settled(server)
    assert old not in left
    wait_for(lambda: len(server.pids('nursery')) == 1,
             what='the old nursery has left')
    server.check_service()
    assert settled(server) == left


def test_shutdown(handle):
    """Those that wait leave; one with a client serves it to its end."""
    server = handle(options=['-c', '3'])
    with server.connect() as client, server.connect() as other:
        client.echo(b'x')
        other.echo(b'x')
        other.close_notify()
        other.recv_all()
        wait_for(lambda: server.lines('ended by'), what='the other one')
        assert server.stop() == 0
        wait_for(lambda: len(server.pids('session')) == 1,
                 what='one session')
        client.echo(b'goes on')
        client.close_notify()
        assert client.recv_all() == b''
    server.wait_gone()


def test_shutdown_of_an_idle_server(handle):
    server = handle(options=['-c', '3'])
    server.check_service()
    settled(server)
    assert server.stop() == 0
    server.wait_gone()


def test_drain(handle):
    server = handle(options=['-c', '3', '--drain', '60'])
    with server.connect() as client:
        client.echo(b'x')
        server.signal(signal.SIGTERM)
        client.echo(b'goes on')
    assert server.process.wait(harness.PATIENCE) == 0
    server.wait_gone()


# Facts about processes

@pytest.mark.root
def test_session_that_waits_has_nothing(handle):
    """No client, no program's pipe, no right; room for one client's
    descriptors."""
    server = handle(options=['-c', '1'])
    with server.connect() as client:
        client.echo(b'x')
        session, = server.pids('session')
        assert sorted(harness.descriptors(session)) == list(range(7))
    settled(server)
    found = harness.descriptors(session)
    assert sorted(found) == [0, 1, 2, 3]
    assert found[3].startswith('socket:')
    limits = proc_limits(session)
    assert limits['Max open files'] == (7, 7)
    assert limits['Max processes'] == (0, 0)
    server.check_service()


# Command line

@pytest.mark.parametrize('option', ['-n', '-N', '--delayed-tls'])
def test_no_delayed_tls(option):
    result = run_server([option, '127.0.0.1', '0', '/bin/cat'],
                        command=SSLHANDLE)
    assert result.code == 100
    assert result.err.count('\n') == 1
    assert 'is an option of sslserver, not of sslhandle' in result.err


def test_accepted_options(handle, workdir):
    server = handle(options=['-a', '-A', '-f',
                             os.path.join(workdir, 'lock')])
    server.check_service()
    assert not os.path.exists(os.path.join(workdir, 'lock'))


def test_environment_defaults(handle):
    """Without -e no TCP environment, as in 0.12."""
    env = environment_of(handle(harness.tool('showstate')))
    assert env['PROTO'] == 'TLS'
    assert env['SSLREMOTEIP'] == '127.0.0.1'
    assert not [name for name in env if name.startswith('TCP')]
    assert 'SSL_PROTOCOL' not in env
    env = environment_of(handle(harness.tool('showstate'), options=['-e']))
    assert env['PROTO'] == 'TCP'
    assert env['TCPREMOTEIP'] == '127.0.0.1'
    assert env['SSL_PROTOCOL'] == 'TLSv1.3'
