"""Goal: no source and no network has more connections at once than it may,
exactly, whatever way connections end."""

import os
import random
import re
import select
import signal
import threading
import time

import pytest

from admission import (denied, known, make_rules, name_server,
                       network_namespace, reverse)
from harness import (SLOW, Client, Truncated, in_time, read_stat, run_server,
                     tool, wait_for)

OVER = r'^sslserver: warning: ip connection limit of %d exceeded for: %s$'


def opened(server, **settings):
    """A connection whose program runs; None: it was refused."""
    try:
        client = server.connect(**settings)
    except (Truncated, ConnectionResetError, BrokenPipeError):
        return None
    client.echo(b'x')
    return client


def room(server, most, **settings):
    """How many more connections are let in, up to most; all are closed."""
    clients = []
    try:
        while len(clients) < most:
            client = opened(server, **settings)
            if client is None:
                break
            clients.append(client)
        return len(clients)
    finally:
        for client in clients:
            client.close()


def wait_room(server, count, **settings):
    """Until there is room for count connections, and never for more."""
    def look():
        found = room(server, count + 1, **settings)
        assert found <= count, 'room for more than %d' % count
        return found == count
    wait_for(look, 10, 'room for %d' % count)


def close_all(clients):
    for client in clients:
        client.close()


# ---------------------------------------------------------------------------
# Sources

def test_per_address(start):
    """MAXCONIP=2 from the environment; 127.0.0.3 is somebody else."""
    server = start(env={'MAXCONIP': '2'})
    clients = [opened(server, source='127.0.0.2') for _ in range(2)]
    for count in (1, 2, 3):
        assert server.is_refused(source='127.0.0.2')
        server.wait_log(OVER % (2, r'127\.0\.0\.2'), count=count)
    clients += [opened(server, source='127.0.0.3') for _ in range(2)]
    assert None not in clients
    assert server.is_refused(source='127.0.0.3')
    server.wait_log(OVER % (2, r'127\.0\.0\.3'))
    close_all(clients)
    wait_room(server, 2, source='127.0.0.2')
    assert not server.lines('^sslserver: deny')


def test_refusals_make_no_process(start):
    server = start(env={'MAXCONIP': '1'})
    with opened(server):
        for _ in range(100):
            assert server.is_refused()
        server.wait_log(OVER % (1, r'127\.0\.0\.1'), count=100)
        assert len(server.lines('^sslserver: pid ')) == 1
        assert len(server.pids('session')) == 1
    server.wait_idle()


@pytest.mark.parametrize('env, options, shown', [
    ({}, [], '40/40'), ({}, ['-c', '7'], '7/7'),
    ({'MAXCONIP': '3'}, [], '40/3'),
    ({'MAXCONIP': '3'}, ['-c', '7'], '7/3'),
    ({'MAXCONIP': '100'}, ['-c', '7'], '7/7'),
], ids=str)
def test_what_is_announced(start, env, options, shown):
    """Default and ceiling are -c; -1 and the status lines say so."""
    server = start(env=env, options=options)
    assert server.announced.endswith(' [%s]\n' % shown)
    server.check_service()
    server.wait_log('^sslserver: status: 1/%s$' % shown)
    server.wait_log('^sslserver: status: 0/%s$' % shown)


def test_zero_is_no_limit(start):
    server = start(env={'MAXCONIP': '0'}, options=['-c', '10'])
    clients = [opened(server) for _ in range(10)]
    assert None not in clients
    close_all(clients)


@pytest.mark.parametrize('name, value', [
    ('MAXCONIP', ''), ('MAXCONIP', 'x'), ('MAXCONIP', '-1'),
    ('MAXCONIP', '5x'), ('MAXCONIP', '99999999999999999999'),
    ('MAXCONNET', '5'), ('MAXCONNET', '5/'), ('MAXCONNET', '/24'),
    ('MAXCONNET', '5/129'), ('MAXCONNET', 'x/24'),
])
def test_malformed(pki, name, value):
    """Set but empty is none; anything else that is no limit is an error."""
    env = dict(pki.ecdsa, **{name: value})
    if value == '':
        result = run_server(['--check', '127.0.0.1', '0', '/bin/cat'],
                            env=env)
        assert result.code == 0, result
        return
    result = run_server(['127.0.0.1', '0', '/bin/cat'], env=env)
    assert result.code in (100, 111), result
    assert name in result.err and len(result.err.splitlines()) == 1, result


# ---------------------------------------------------------------------------
# Networks

def test_per_network(start):
    server = start(env={'MAXCONNET': '2/24'})
    clients = [opened(server, source='127.0.5.%d' % n) for n in (1, 2)]
    assert None not in clients
    assert server.is_refused(source='127.0.5.3')
    server.wait_log(OVER % (2, r'127\.0\.5\.3'))
    clients.append(opened(server, source='127.0.6.1'))
    assert clients[-1] is not None
    clients.pop(0).close()
    wait_room(server, 1, source='127.0.5.3')
    close_all(clients)


def test_both_limits(start):
    """The nearer one decides."""
    server = start(env={'MAXCONIP': '2', 'MAXCONNET': '3/16'})
    clients = [opened(server, source='127.0.0.2') for _ in range(2)]
    assert server.is_refused(source='127.0.0.2')
    server.wait_log(OVER % (2, r'127\.0\.0\.2'))
    clients.append(opened(server, source='127.0.1.1'))
    assert None not in clients
    assert server.is_refused(source='127.0.1.1')
    server.wait_log(OVER % (3, r'127\.0\.1\.1'))
    close_all(clients)


def test_a_network_of_one_address(start):
    """Counted beside the address, not on top of it."""
    server = start(env={'MAXCONIP': '3', 'MAXCONNET': '3/32'})
    wait_room(server, 3)
    wait_room(server, 3)


@pytest.mark.root
def test_ipv6_by_64(start):
    """Per /64, and per network of another length."""
    with network_namespace('2001:db8:0:1::1/64', '2001:db8:0:1::2/64',
                           '2001:db8:0:2::1/64', '2001:db8:1:1::1/64'):
        server = start(host='::', env={'MAXCONIP': '2', 'MAXCONNET': '3/48'})
        goal = {'address': '2001:db8:0:1::1'}
        clients = [
            opened(server, source='2001:db8:0:1::1', **goal),
            opened(server, source='2001:db8:0:1::2', **goal)]
        for source in ('2001:db8:0:1::1', '2001:db8:0:1::2'):
            assert server.is_refused(source=source, **goal)
            server.wait_log(OVER % (2, source))
        clients.append(opened(server, source='2001:db8:0:2::1', **goal))
        assert None not in clients
        assert server.is_refused(source='2001:db8:0:2::1', **goal)
        server.wait_log(OVER % (3, '2001:db8:0:2::1'))
        clients.append(opened(server, source='2001:db8:1:1::1', **goal))
        assert clients[-1] is not None
        clients.pop(0).close()
        wait_room(server, 1, source='2001:db8:0:1::2', **goal)
        close_all(clients)
        server.destroy()


# ---------------------------------------------------------------------------
# Rules

@pytest.mark.parametrize('option', ['-y', '-x'])
@pytest.mark.parametrize('variable', ['MAXCONIP="1"', 'MAXCONNET="1/24"'])
def test_limit_of_a_rule(start, workdir, option, variable):
    path = make_rules(os.path.join(workdir, 'rules.cdb'),
                      '127.0.7.:allow,%s\n:allow\n' % variable)
    server = start(options=[option, path])
    with opened(server, source='127.0.7.2'):
        for count in (1, 2):
            assert server.is_refused(source='127.0.7.2')
            server.wait_log(denied(
                server, '127.0.7.2',
                extra=' ip connection limit:1 exceeded'), count=count)
        with opened(server), opened(server):
            pass
        other = opened(server, source='127.0.7.3')
        assert (other is None) == ('NET' in variable)
        if other is not None:
            other.close()
    wait_room(server, 1, source='127.0.7.2')
    assert not server.lines('warning')


def test_a_rule_may_grant_more(start, workdir):
    """Up to the limit of the start values, which decides first."""
    path = make_rules(os.path.join(workdir, 'x.cdb'),
                      '127.0.0.2:allow,MAXCONIP="5"\n'
                      '127.0.0.3:allow,MAXCONIP="0"\n')
    server = start(options=['-x', path], env={'MAXCONIP': '3'})
    for ip in ('127.0.0.2', '127.0.0.3', '127.0.0.4'):
        wait_room(server, 3, source=ip)
        server.wait_log(OVER % (3, ip))


@pytest.mark.parametrize('option', ['-y', '-x'])
def test_a_network_counts_whoever_is_in_it(start, workdir, option):
    """Those of the start values, of another prefix and of no limit too."""
    path = make_rules(os.path.join(workdir, 'rules.cdb'),
                      '127.0.7.2:allow,MAXCONNET="9/16"\n'
                      '127.0.7.3:allow\n'
                      '127.0.7.4:allow,MAXCONNET="3/24"\n')
    server = start(options=[option, path], env={'MAXCONNET': '9/8'})
    others = [opened(server, source='127.0.7.%d' % n) for n in (2, 3)]
    with opened(server, source='127.0.7.4'):
        assert server.is_refused(source='127.0.7.4')
        server.wait_log(denied(server, '127.0.7.4',
                               extra=' ip connection limit:3 exceeded'))
        # It binds those it is for, and nobody else.
        opened(server, source='127.0.7.3').close()
    close_all(others)
    wait_room(server, 3, source='127.0.7.4')


def test_limit_by_name(start, workdir):
    path = make_rules(os.path.join(workdir, 'x.cdb'),
                      '=.dialup.example:allow,MAXCONIP="1"\n:allow\n')
    names = {'127.0.0.2': 'p1.dialup.example', '127.0.0.3': 'a.example'}
    with name_server(known(names)) as dns:
        server = start(options=['-x', path], env=dns.environment)
        with opened(server, source='127.0.0.2'):
            assert server.is_refused(source='127.0.0.2')
            server.wait_log(denied(
                server, '127.0.0.2', r'p1\.dialup\.example',
                extra=' ip connection limit:1 exceeded'))
            with opened(server, source='127.0.0.3'), \
                    opened(server, source='127.0.0.3'):
                pass


def test_malformed_limit_in_a_rule(start, workdir):
    """A limit that cannot be read lets nobody in, and says so."""
    path = make_rules(os.path.join(workdir, 'x.cdb'),
                      '127.0.0.2:allow,MAXCONIP="many"\n:allow\n')
    server = start(options=['-x', path])
    server.check_service()
    assert server.is_refused(source='127.0.0.2')
    server.wait_log('MAXCONIP')
    server.check_service()


# ---------------------------------------------------------------------------
# Every kind of end

def test_place_is_kept_until_the_program_ends(start, workdir):
    """Free when session and program are both gone, not before."""
    server = start(tool('events'), os.path.join(workdir, 'events'), 'ignore',
                   'stay', env={'MAXCONIP': '1'})
    for number in (signal.SIGKILL, signal.SIGKILL):
        client = opened(server)
        program = server.pid('program')
        client.reset()
        wait_for(lambda: not server.pids('session'), 5, 'no session')
        for _ in range(5):
            assert server.is_refused()
        server.signal(number, program)
        wait_for(lambda: read_stat(program) is None, 5, 'the program reaped')
        server.wait_idle()
    wait_for(lambda: not server.is_refused(), 5, 'a free place')


def test_place_is_kept_until_the_session_ends(start):
    """The program has left; what it wrote is still on its way."""
    server = start('/bin/sh', '-c', 'head -c 8000000 /dev/zero',
                   env={'MAXCONIP': '1'})
    with server.connect(receive_buffer=4096) as client:
        client.recv_exactly(1000)
        assert server.is_refused()
        client.recv_all()
    wait_for(lambda: not server.is_refused(), 5, 'a free place')


def is_served(server):
    try:
        server.check_service()
        return True
    except (OSError, Truncated):
        return False


def handshake_garbage(server):
    with Client(server.address, server.port, handshake=False) as client:
        client.sock.sendall(b'not TLS at all\r\n')
        client.wait_close()


def handshake_timeout(server):
    with Client(server.address, server.port, handshake=False) as client:
        client.wait_close()


def handshake_left(server):
    Client(server.address, server.port, handshake=False).close()


def handshake_reset(server):
    Client(server.address, server.port, handshake=False).reset()


def clean(server):
    server.check_service()


def fin(server):
    with opened(server) as client:
        client.fin()
        client.wait_end()


def reset(server):
    opened(server).reset()


def killed_session(server):
    with opened(server) as client:
        server.signal(signal.SIGKILL, server.pid('session'))
        client.wait_end()


def killed_program(server):
    with opened(server) as client:
        server.signal(signal.SIGKILL, server.pid('program'))
        client.wait_end()


def killed_both(server):
    with opened(server) as client:
        both = server.pid('session'), server.pid('program')
        for pid in both:
            server.signal(signal.SIGKILL, pid)
        client.wait_end()


def stopped_session(server):
    """It cannot end its connection, so its place stays taken."""
    with opened(server) as client:
        session = server.pid('session')
        server.signal(signal.SIGSTOP, session)
        client.close()
        server.signal(signal.SIGKILL, session)


def killed_nursery(server):
    with opened(server) as client:
        old = server.pid('nursery')
        server.signal(signal.SIGKILL, old)
        wait_for(lambda: server.pids('nursery') not in ([], [old]), 10,
                 'a new nursery')
        client.close()


def killed_keeper(server):
    for pid in server.pids('keeper'):
        server.signal(signal.SIGKILL, pid)
    wait_for(lambda: is_served(server), 10, 'new keepers')


def killed_monitor(server):
    with opened(server):
        old = server.pid('monitor')
        server.signal(signal.SIGKILL, old)
        wait_for(lambda: server.pids('monitor') not in ([], [old]), 10,
                 'a new monitor')


ENDS = [clean, fin, reset, killed_session, killed_program, killed_both,
        stopped_session, handshake_garbage, handshake_timeout,
        handshake_left, handshake_reset, killed_nursery, killed_keeper,
        killed_monitor]


@pytest.mark.parametrize('end', ENDS, ids=lambda end: end.__name__)
def test_released_after(start, end):
    """Two ends of a kind, and there is room for two, no more, no less."""
    server = start(options=['-T', '2'],
                   env={'MAXCONIP': '2', 'MAXCONNET': '2/8'})
    for _ in range(2):
        end(server)
        server.wait_idle(10)
    wait_for(lambda: is_served(server), 10, 'service')
    wait_room(server, 2)


def test_released_after_idle_timeout(start):
    def attempt(seconds, pace):
        server = start(options=['-w', seconds], env={'MAXCONIP': '1'})
        pace.begin()
        with opened(server) as client:
            assert server.is_refused()
            pace.end()
            client.wait_end()
        wait_for(lambda: not server.is_refused(), 5, 'a free place')

    in_time(attempt)


def test_released_after_exec_failure(start):
    server = start('/nonexistent/program', env={'MAXCONIP': '1'})
    for count in range(1, 6):
        with server.connect() as client:
            client.wait_end()
        server.wait_log('^sslserver: ended by', count=count)
    assert not server.lines('limit of')


@pytest.mark.parametrize('option', ['-y', '-x'])
def test_released_after_deny(start, workdir, option):
    path = make_rules(os.path.join(workdir, 'a.cdb'), '127.0.0.2:deny\n')
    server = start(options=[option, path],
                   env={'MAXCONIP': '1', 'MAXCONNET': '2/8'})
    for _ in range(50):
        assert server.is_refused(source='127.0.0.2')
    server.wait_log('^sslserver: deny', count=50)
    assert not server.lines('limit of')
    wait_room(server, 1)


def test_those_who_wait_for_their_names_count(start):
    """From accept on; and are released when they leave or are served."""
    def script(question):
        return None if question.name == reverse('127.0.0.2') \
            else question.answer(code=3)

    with name_server(script) as dns:
        server = start(env=dict(dns.environment, MAXCONIP='2'),
                       options=['-l', 'here'])
        waiting = [Client(server.address, server.port, handshake=False,
                          source='127.0.0.2') for _ in range(2)]
        wait_for(lambda: dns.questions, 5, 'a question')
        assert server.is_refused(source='127.0.0.2')
        server.wait_log(OVER % (2, r'127\.0\.0\.2'))
        server.check_service()
        for client in waiting:
            client.handshake()
            client.echo(b'x')
        assert server.is_refused(source='127.0.0.2')
        close_all(waiting)
        wait_for(lambda: server.lines('^sslserver: status: 0/'), 5,
                 'nobody is left')
        server.wait_idle()


def test_random_ends(start):
    """Beside a model that counts by hand."""
    rng = random.Random(7)
    server = start(env={'MAXCONIP': '3', 'MAXCONNET': '5/24'})
    sources = ['127.0.8.1', '127.0.8.2', '127.0.9.1']
    live = []  # (source, client)
    for step in range(60 // SLOW):
        source = rng.choice(sources)
        same = sum(source == other for other, _ in live)
        near = sum(source[:8] == other[:8] for other, _ in live)
        client = opened(server, source=source)
        assert (client is not None) == (same < 3 and near < 5), step
        if client is not None:
            live.append((source, client))
        if live and rng.random() < 0.6:
            end_one(server, rng, live)
    while live:
        end_one(server, rng, live)
    for source in sources:
        wait_room(server, 3, source=source)


def end_one(server, rng, live):
    """In some way; waits until the server knows."""
    pids = server.pids('session') + server.pids('program')
    ended = len(server.lines('^sslserver: ended by'))
    kind = rng.randrange(4)
    if kind < 2:
        _, client = live.pop(rng.randrange(len(live)))
        if kind == 0:
            client.close()
        else:
            client.reset()
    else:
        server.signal(signal.SIGKILL, rng.choice(pids))
        live.remove(wait_for(lambda: ended_by_peer(live), 5,
                             'a client that notices'))
    server.wait_log('^sslserver: ended by', count=ended + 1)


def ended_by_peer(live):
    """The connection that the server has ended, if there is one."""
    for entry in live:
        sock = entry[1].sock
        try:
            while select.select([sock], [], [], 0)[0]:
                if sock.recv(65536) == b'':
                    sock.close()
                    return entry
        except ConnectionResetError:
            sock.close()
            return entry
    return None


def test_exact_under_a_crowd(start):
    """Many at once: never more programs than the limit."""
    server = start(options=['-c', '40', '-b', '100'], env={'MAXCONIP': '4'})
    served, stop = [], time.monotonic() + 3

    def one():
        while time.monotonic() < stop:
            try:
                with server.connect() as client:
                    client.echo(b'x')
                    served.append(1)
            except (Truncated, ConnectionResetError, BrokenPipeError):
                pass

    threads = [threading.Thread(target=one) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = [int(re.search(r': (\d+)/', line).group(1))
               for line in server.lines('status:')]
    assert max(numbers) == 4
    assert len(served) > 20
    server.wait_idle()
    wait_room(server, 4)
