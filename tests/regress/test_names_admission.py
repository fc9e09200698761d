"""Goal: a client's and our own name are looked up before the rules, and no
name server can do more than withhold a name for the deadline."""

import os
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

from admission import (TYPE_A, TYPE_AAAA, TYPE_CNAME, TYPE_PTR,
                       environment_of, known, make_rules, name_server, ptr,
                       record, reverse, say_nonsense, wire_name)
from harness import (LONG_LIVED, SLOW, Client, Truncated, fields_of_ok,
                     find_command, tls_context, tool, wait_for)
from test_names import answers, unused_port

DEADLINE = 10  # seconds for PTR and confirmation together
HERE = ['-l', 'here']


def host_of(server, ip):
    """The client's name, the same in both families of variables."""
    env = environment_of(server, source=ip)
    assert env.get('SSLREMOTEHOST') == env.get('TCPREMOTEHOST')
    assert 'TCPREMOTEHOST' not in env or env['TCPREMOTEHOST'] != ''
    return env.get('TCPREMOTEHOST')


@pytest.fixture
def dnsmasq():
    """dnsmasq(OPTIONS...) gives the environment that names it."""
    program = find_command('dnsmasq')
    if program is None:
        pytest.skip('dnsmasq is not there')
    processes = []

    def run(*options):
        port = unused_port()
        processes.append(subprocess.Popen(
            [program, '--keep-in-foreground', '--conf-file=/dev/null',
             '--no-resolv', '--no-hosts', '--bind-interfaces', '--user=',
             '--local=/example/example.org/in-addr.arpa/',
             '--pid-file=', '--listen-address=127.0.0.1',
             '--port=%d' % port, *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE))
        wait_for(lambda: answers(port), 10, 'dnsmasq')
        return {'DNSCACHEIP': '127.0.0.1#%d' % port}

    yield run
    for process in processes:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)


RECORDS = [
    '--ptr-record=%s,Mail.Example.ORG' % reverse('127.0.0.2'),
    '--host-record=mail.example.org,127.0.0.2',
    '--ptr-record=%s,liar.example' % reverse('127.0.0.3'),
    '--host-record=liar.example,192.0.2.1',
    '--ptr-record=%s,nowhere.example' % reverse('127.0.0.4'),
    '--ptr-record=%s,local.example' % reverse('127.0.0.1'),
    '--host-record=local.example,127.0.0.1',
]


@pytest.mark.parametrize('options', [[], ['-h'], ['-P']], ids=' '.join)
def test_ptr(start, dnsmasq, options):
    """-h is the default; names are lower case; nothing is confirmed."""
    server = start(tool('showstate'), env=dnsmasq(*RECORDS),
                   options=options)
    assert host_of(server, '127.0.0.2') == 'mail.example.org'
    _, remote = fields_of_ok(server)
    assert remote.startswith('mail.example.org:127.0.0.2::')
    assert host_of(server, '127.0.0.3') == 'liar.example'
    assert host_of(server, '127.0.0.4') == 'nowhere.example'
    assert host_of(server, '127.0.0.5') is None
    _, remote = fields_of_ok(server)
    assert remote.startswith(':127.0.0.5::')


def test_paranoid(start, dnsmasq):
    """-p: a name that does not lead back is none."""
    server = start(tool('showstate'), env=dnsmasq(*RECORDS), options=['-p'])
    assert host_of(server, '127.0.0.2') == 'mail.example.org'
    for ip in ('127.0.0.3', '127.0.0.4', '127.0.0.5'):
        assert host_of(server, ip) is None


def test_paranoid_with_rules(start, dnsmasq, workdir):
    """A liar does not get the rights of the name it claims."""
    path = make_rules(os.path.join(workdir, 'x.cdb'),
                      '=liar.example:allow,RELAY="1"\n'
                      '=mail.example.org:allow,RELAY="1"\n:allow\n')
    server = start(tool('showstate'), env=dnsmasq(*RECORDS),
                   options=['-p', '-x', path])
    assert 'RELAY' not in environment_of(server, source='127.0.0.3')
    assert environment_of(server, source='127.0.0.2')['RELAY'] == '1'


def test_no_look_up(start):
    """-H and -l: nobody is asked anything."""
    with name_server(known({'127.0.0.1': 'a.example'})) as dns:
        server = start(tool('showstate'), env=dns.environment,
                       options=['-H', '-l', 'Me.Example'])
        env = environment_of(server)
        assert 'TCPREMOTEHOST' not in env
        assert env['TCPLOCALHOST'] == env['SSLLOCALHOST'] == 'me.example'
        assert dns.questions == []


@pytest.mark.parametrize('options', [[], ['-H']], ids=['-h', '-H'])
def test_local_name(start, dnsmasq, options):
    """By PTR of the connection's local address, whatever -H says."""
    server = start(tool('showstate'), env=dnsmasq(*RECORDS),
                   options=options, host='0')
    env = environment_of(server)
    assert env['TCPLOCALHOST'] == env['SSLLOCALHOST'] == 'local.example'
    local, _ = fields_of_ok(server)
    assert local == 'local.example:127.0.0.1:%d' % server.port
    env = environment_of(server, address='127.0.0.2')
    assert env['TCPLOCALHOST'] == 'mail.example.org'
    env = environment_of(server, address='127.0.0.9')
    assert 'TCPLOCALHOST' not in env and 'SSLLOCALHOST' not in env


def test_local_name_is_asked_once(start):
    with name_server(known({'127.0.0.1': 'local.example',
                            '127.0.0.2': 'a.example'})) as dns:
        server = start(tool('showstate'), env=dns.environment)
        for _ in range(5):
            env = environment_of(server, source='127.0.0.2')
            assert env['TCPLOCALHOST'] == 'local.example'
            assert env['TCPREMOTEHOST'] == 'a.example'
        names = [question.name for question in dns.questions]
        assert names.count(reverse('127.0.0.1')) == 1
        assert names.count(reverse('127.0.0.2')) == 1


def test_no_server_at_all(start):
    """DNSCACHEIP set but empty: every name is unknown, at once."""
    server = start(tool('showstate'), env={'DNSCACHEIP': ''})
    began = time.monotonic()
    assert host_of(server, '127.0.0.1') is None
    assert time.monotonic() - began < DEADLINE - 1


def test_server_that_refuses_packets(start):
    """Nothing listens on its port: unknown long before the deadline."""
    server = start(tool('showstate'), options=HERE,
                   env={'DNSCACHEIP': '127.0.0.1#%d' % unused_port()})
    began = time.monotonic()
    assert host_of(server, '127.0.0.1') is None
    assert time.monotonic() - began < DEADLINE + 20


def test_second_server_is_asked(start):
    with name_server(lambda question: None) as dead, \
            name_server(known({'127.0.0.2': 'a.example'})) as good:
        server = start(
            tool('showstate'), options=HERE,
            env={'DNSCACHEIP': '127.0.0.1#%d 127.0.0.1#%d'
                 % (dead.port, good.port)})
        assert host_of(server, '127.0.0.2') == 'a.example'


# ---------------------------------------------------------------------------
# Names that are no host names

BAD_NAMES = {
    'newline': [b'evil\nsslserver: ok 1', b'example'],
    'blank': [b'a b', b'example'],
    'tab': [b'a\tb', b'example'],
    'nul': [b'good\0evil', b'example'],
    'dot': [b'a.b', b'example'],
    'colon': [b'host:10.0.0.1', b'example'],
    'slash': [b'..', b'etc', b'passwd'],
    'equals': [b'A=B', b'example'],
    'percent': [b'%n%s', b'example'],
    'escape': [b'\x1b[2J', b'example'],
    'high': [b'm\xc3\xbcller', b'example'],
    'hyphen': [b'-x', b'example'],
    'address': [b'192', b'0', b'2', b'1'],
    'root': [],
    'long': [b'a' * 63, b'b' * 63, b'c' * 63, b'd' * 63, b'e' * 40],
    'many': [b'x'] * 150,
}


def test_hostile_names_are_unknown(start, workdir):
    """Rules, log and environment see none of them; one line each."""
    kinds = {'127.0.1.%d' % (number + 1): labels
             for number, labels in enumerate(BAD_NAMES.values())}
    questions = {reverse(ip): labels for ip, labels in kinds.items()}
    path = make_rules(os.path.join(workdir, 'x.cdb'), '=:deny\n')

    def script(question):
        labels = questions.get(question.name)
        if question.type == TYPE_PTR and labels is not None:
            return question.answer(ptr(question, labels))
        return question.answer(code=3)

    with name_server(script) as dns:
        server = start(tool('showstate'), env=dns.environment,
                       options=HERE + ['-x', path])
        for ip in kinds:
            assert host_of(server, ip) is None, ip
        server.wait_log('^sslserver: ended by', count=len(kinds))
        for line in server.lines('^sslserver: ok'):
            assert line.split()[4].startswith(':127.0.1.'), line
        assert not server.lines('evil|warning|error|fatal')


def test_good_names_beside_bad_ones(start):
    """The first of several records that is a host name counts."""
    def script(question):
        if question.name != reverse('127.0.0.2'):
            return question.answer(code=3)
        return question.answer(ptr(question, [b'bad name', b'example']),
                               ptr(question, 'Good_1.Example'),
                               ptr(question, 'other.example'))

    with name_server(script) as dns:
        server = start(tool('showstate'), env=dns.environment, options=HERE)
        assert host_of(server, '127.0.0.2') == 'good_1.example'


# ---------------------------------------------------------------------------
# Servers that are

def from_elsewhere(reply):
    """Sent from a port that nobody asked."""
    def send(_server, peer):
        with socket.socket(type=socket.SOCK_DGRAM) as other:
            other.bind(('127.0.0.1', 0))
            other.sendto(reply, peer)
    return send


def cname(question, target, owner=None):
    return record(owner or question.name, TYPE_CNAME, wire_name(target))


def evil(question):
    return ptr(question, 'evil.example')


def wrong_id(question):
    return bytes([question.id[0] ^ 1, question.id[1]])


HOSTILE = {
    'header only': lambda q: q.answer()[:12],
    'five bytes': lambda q: q.answer()[:5],
    'nothing': lambda q: b'',
    'cut short': lambda q: q.answer(evil(q))[:-4],
    'noise': lambda q: q.id + os.urandom(200),
    'too few records': lambda q: q.answer(evil(q), count=500),
    'a lie about lengths': lambda q: q.answer(
        wire_name(q.name) + struct.pack('!HHIH', TYPE_PTR, 1, 60, 60000)),
    'alias loop': lambda q: q.answer(cname(q, q.name)),
    'two aliases in a ring': lambda q: q.answer(
        cname(q, 'b.example'), cname(q, q.name, 'b.example')),
    'chain of aliases': lambda q: q.answer(cname(q, 'a0.example'), *(
        cname(q, 'a%d.example' % (n + 1), 'a%d.example' % n)
        for n in range(100))),
    'pointer to itself': lambda q: q.answer(
        wire_name(q.name) + struct.pack('!HHIH', TYPE_PTR, 1, 60, 2)
        + struct.pack('!H', 0xc000 | (12 + len(q.section)
                                      + len(wire_name(q.name)) + 10))),
    'wrong id': lambda q: q.answer(evil(q), number=wrong_id(q)),
    'wrong source': lambda q: from_elsewhere(q.answer(evil(q))),
    'another question': lambda q: q.answer(
        evil(q), section=wire_name('other.example') + struct.pack(
            '!HH', TYPE_PTR, 1)),
    'another owner': lambda q: q.answer(record(
        'other.example', TYPE_PTR, wire_name('evil.example'))),
    'another type': lambda q: q.answer(
        record(q.name, TYPE_A, b'\1\2\3\4')),
    'a question in return': lambda q: q.answer(evil(q), flags=0x0100),
    'truncated without end': lambda q: q.answer(flags=0x8380),
    'server failure': lambda q: q.answer(code=2),
    'refused': lambda q: q.answer(code=5),
    'huge': lambda q: (
        q.answer(*[record('x%d.example' % n, TYPE_A, b'\1\2\3\4')
                   for n in range(2200)]) if q.is_tcp
        else q.answer(flags=0x8380)),
    'silence': lambda q: None,
}


@pytest.mark.parametrize('option', ['-h', '-p'])
def test_hostile_servers(start, option):
    """All at once: each delays its client by the deadline at most, none
    gives it a name, and a client that has one is served meanwhile."""
    kinds = {'127.0.2.%d' % (number + 1): name
             for number, name in enumerate(HOSTILE)}
    scripts = {reverse(ip): HOSTILE[name] for ip, name in kinds.items()}
    good = known({'127.0.0.2': 'good.example'})

    def script(question):
        return scripts.get(question.name, good)(question)

    found, times = {}, {}

    def one(server, ip):
        began = time.monotonic()
        try:
            found[ip] = host_of(server, ip)
        except Exception as error:
            found[ip] = repr(error)
        times[ip] = time.monotonic() - began

    with name_server(script) as dns:
        server = start(tool('showstate'), env=dns.environment,
                       options=HERE + [option, '-c', '100'])
        threads = [threading.Thread(target=one, args=(server, ip))
                   for ip in kinds]
        for thread in threads:
            thread.start()
        began = time.monotonic()
        assert host_of(server, '127.0.0.2') == 'good.example'
        assert time.monotonic() - began < DEADLINE - 1
        for thread in threads:
            thread.join()
    assert found == {ip: None for ip in kinds}, kinds
    late = {kinds[ip]: seconds for ip, seconds in times.items()
            if seconds > DEADLINE + 20}
    assert late == {}
    assert not server.lines('evil')
    server.wait_idle()


def test_forged_answers_before_the_true_one(start):
    """Neither a guessed id nor another source is believed."""
    def script(question):
        if question.name != reverse('127.0.0.2'):
            return question.answer(code=3)
        return [question.answer(evil(question), number=wrong_id(question)),
                from_elsewhere(question.answer(evil(question))),
                question.answer(evil(question), section=wire_name('x')
                                + struct.pack('!HH', TYPE_PTR, 1)),
                question.answer(ptr(question, 'true.example'))]

    with name_server(script) as dns:
        server = start(tool('showstate'), env=dns.environment, options=HERE)
        assert host_of(server, '127.0.0.2') == 'true.example'


def test_large_answer_by_tcp(start):
    """An honest one that does not fit a datagram is fetched by TCP."""
    def script(question):
        if question.name != reverse('127.0.0.2'):
            return question.answer(code=3)
        if not question.is_tcp:
            return question.answer(flags=0x8380)
        return question.answer(*(ptr(question, 'h%d.example' % number)
                                 for number in range(20)))

    with name_server(script) as dns:
        server = start(tool('showstate'), env=dns.environment, options=HERE)
        assert host_of(server, '127.0.0.2') == 'h0.example'


def test_many_names_of_one_client(start):
    """-p with a hundred names that all lie: within the deadline."""
    def script(question):
        if question.type == TYPE_PTR:
            return question.answer(*(ptr(question, 'h%d.example' % number)
                                     for number in range(10)))
        if question.type in (TYPE_A, TYPE_AAAA):
            return question.answer(record(
                question.name, TYPE_A, b'\300\0\2\1'))
        return None

    with name_server(script) as dns:
        server = start(tool('showstate'), env=dns.environment,
                       options=HERE + ['-p'])
        began = time.monotonic()
        assert host_of(server, '127.0.0.2') is None
        assert time.monotonic() - began < DEADLINE + 20


# ---------------------------------------------------------------------------
# A dead server

@pytest.mark.parametrize('option', ['-h', '-p'])
def test_dead_server_delays_by_the_deadline(start, option):
    """Ten seconds, not before (the server may be slow) and not after."""
    with name_server(lambda question: None) as dns:
        server = start(tool('showstate'), env=dns.environment,
                       options=HERE + [option])
        began = time.monotonic()
        assert host_of(server, '127.0.0.2') is None
        assert DEADLINE - 1 < time.monotonic() - began \
            < DEADLINE + 20


def test_silence_of_the_servers_is_logged(start):
    """Once, with their names, however many clients find it out; and not
    because one name cannot be looked up."""
    with name_server(lambda question: question.answer(code=2)) as failing:
        server = start(tool('showstate'), env=failing.environment,
                       options=HERE)
        assert host_of(server, '127.0.0.2') is None
        assert not server.lines('name server')
    servers = '127.0.0.1#%d 127.0.0.1#%d' % (unused_port(), unused_port())
    server = start(tool('showstate'), env={'DNSCACHEIP': servers},
                   options=HERE)
    for ip in ('127.0.0.2', '127.0.0.3'):
        assert host_of(server, ip) is None
    server.wait_log('^sslserver: ended by', count=2)
    server.wait_log('name server')
    assert server.lines('name server') == [
        'sslserver: warning: no name server answers; asked: ' + servers]


def test_slow_confirmation_has_the_same_deadline(start):
    """PTR and confirmation together, not each."""
    def script(question):
        if question.type == TYPE_PTR:
            time.sleep(2)
            return question.answer(ptr(question, 'a.example'))
        return None

    with name_server(script) as dns:
        server = start(tool('showstate'), env=dns.environment,
                       options=HERE + ['-p'])
        began = time.monotonic()
        assert host_of(server, '127.0.0.2') is None
        assert time.monotonic() - began < DEADLINE + 20


def test_1000_clients_wait_without_a_process(start):
    """Each from its own address; one with a name is served at once, and
    after the deadline all have their turn."""
    count = 1000 // SLOW
    good = known({'127.0.0.2': 'good.example'})

    def script(question):
        return None if '127.in' in question.name and question.name != \
            reverse('127.0.0.2') else good(question)

    clients = []
    with name_server(script) as dns:
        server = start(env=dns.environment, log='-q', options=HERE + [
            '-c', str(count + 100), '-b', '500'])
        server.check_service(source='127.0.0.2')
        try:
            context = tls_context()
            for number in range(count):
                clients.append(Client(
                    server.address, server.port, handshake=False,
                    context=context, source='127.1.%d.%d' % (
                        number // 200, 1 + number % 200)))
            wait_for(lambda: len({question.name for question in
                                  dns.questions}) > count, 8,
                     'every client is asked about')
            assert set(server.roles()) <= LONG_LIVED
            for _ in range(5):
                began = time.monotonic()
                server.check_service(source='127.0.0.2')
                assert time.monotonic() - began < DEADLINE - 1
            server.wait_idle()
            # The last one is served after its deadline, as the first.
            for client in (clients[0], clients[-1]):
                client.handshake()
                client.echo(b'my turn')
        finally:
            for client in clients:
                client.close()
        server.wait_idle(30)
        server.check_service(source='127.0.0.2')


@pytest.mark.parametrize('count', [5, 500])
def test_clients_that_leave_while_they_wait(start, count):
    """Their places are free again, long before the deadline."""
    silent = {reverse('127.0.0.3')}
    good = known({'127.0.0.2': 'good.example'})

    def script(question):
        return None if question.name in silent else good(question)

    with name_server(script) as dns:
        server = start(env=dns.environment, options=HERE + [
            '-c', str(count), '-b', '600'])
        began = time.monotonic()
        with Client(server.address, server.port, handshake=False,
                    source='127.0.0.3') as waiting:
            wait_for(lambda: dns.questions, 5, 'a question')
            for _ in range(count - 1):
                Client(server.address, server.port, handshake=False,
                       source='127.0.0.3').reset()
            server.check_service(source='127.0.0.2')
            server.wait_log(r'^sslserver: status: 1/%d/' % count, 5, 2)
            assert time.monotonic() - began < DEADLINE, 'too late'
            # Who has said all, and listens, is still served.
            waiting.sock.sendall(b'no hello at all\r\n')
            waiting.fin()
            waiting.wait_close()
        server.wait_log('unable to accept TLS from: 127.0.0.3 for pid:')
        server.wait_idle(5)


def test_killed_resolver(start):
    """Those who wait for it go on without a name; the next has one."""
    silent = {reverse('127.0.0.3')}
    good = known({'127.0.0.2': 'good.example'})

    def script(question):
        return None if question.name in silent else good(question)

    with name_server(script) as dns:
        server = start(tool('showstate'), env=dns.environment, options=HERE)
        assert host_of(server, '127.0.0.2') == 'good.example'
        with Client(server.address, server.port, handshake=False,
                    source='127.0.0.3') as waiting:
            wait_for(lambda: any(question.name in silent
                                 for question in dns.questions), 5,
                     'the question')
            server.signal(signal.SIGKILL, server.pid('resolver'))
            began = time.monotonic()
            waiting.handshake()
            assert time.monotonic() - began < DEADLINE - 1
            waiting.close_notify()
            assert b'TCPREMOTEHOST' not in waiting.recv_all()
        server.pid('resolver')
        wait_for(lambda: host_of(server, '127.0.0.2') == 'good.example', 5,
                 'names are known again')


def test_stopped_resolver(start):
    """It is replaced when an answer is overdue; who waits for it goes on
    without names, and the next has one."""
    with name_server(known({'127.0.0.2': 'good.example'})) as dns:
        server = start(tool('showstate'), env=dns.environment, options=HERE)
        old = server.pid('resolver')
        server.signal(signal.SIGSTOP, old)
        with Client(server.address, server.port, handshake=False,
                    source='127.0.0.2') as first, \
                Client(server.address, server.port, handshake=False,
                       source='127.0.0.2') as second:
            for client in (first, second):
                client.handshake()
                client.close_notify()
                assert b'TCPREMOTEHOST' not in client.recv_all()
        wait_for(lambda: server.pids('resolver') not in ([], [old]), 5,
                 'a new resolver')
        wait_for(lambda: host_of(server, '127.0.0.2') == 'good.example', 5,
                 'names are known again')
        server.wait_log('resolver')
        assert server.lines('resolver') == [
            'sslserver: warning: resolver %d did not answer and was killed'
            % old]


@pytest.mark.root
def test_resolver_that_talks_nonsense(start, workdir):
    """It is replaced: names rules are for good."""
    path = make_rules(os.path.join(workdir, 'x.cdb'),
                      '=bad.example:deny\n:allow\n')
    with name_server(known({'127.0.0.2': 'bad.example'})) as dns:
        server = start(env=dns.environment, options=HERE + ['-x', path])
        old = server.pid('resolver')
        say_nonsense(old, min)
        wait_for(lambda: server.pids('resolver') not in ([], [old]), 5,
                 'a new resolver')
        wait_for(lambda: server.is_refused(source='127.0.0.2'), 5,
                 'names are known again')
        server.check_service()
        server.wait_log('resolver')
        assert server.lines('resolver') == [
            'sslserver: warning: resolver %d talked nonsense and was killed'
            % old]


def test_nursery_killed_during_look_up(start):
    """Who waits for a name has no session yet, and gets one of the next
    nursery."""
    asked, go_on = threading.Event(), threading.Event()

    def script(question):
        if question.name != reverse('127.0.0.2'):
            return question.answer(code=3)
        asked.set()
        go_on.wait(30)
        return question.answer(ptr(question, 'good.example'))

    with name_server(script) as dns:
        server = start(tool('showstate'), env=dns.environment, options=HERE)
        with Client(server.address, server.port, handshake=False,
                    source='127.0.0.2') as client:
            try:
                assert asked.wait(5 * SLOW), 'no question'
                old = server.pid('nursery')
                server.signal(signal.SIGKILL, old)
                server.wait_log('nursery %d ended' % old)
            finally:
                go_on.set()
            client.handshake()
            client.close_notify()
            assert b'good.example' in client.recv_all()
        assert server.pid('nursery') != old
        server.wait_idle()


def test_new_monitor_has_names(start):
    with name_server(known({'127.0.0.2': 'good.example'})) as dns:
        server = start(tool('showstate'), env=dns.environment, options=HERE)
        assert host_of(server, '127.0.0.2') == 'good.example'
        old = server.pid('monitor')
        server.signal(signal.SIGKILL, old)

        def serves():
            try:
                return old not in server.pids('monitor') and \
                    host_of(server, '127.0.0.2') == 'good.example'
            except (OSError, ValueError, Truncated):
                return False
        wait_for(serves, 10, 'a monitor that knows names')
