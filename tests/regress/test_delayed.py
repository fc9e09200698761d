"""Delayed TLS: the program speaks first, in plain text, and asks for TLS."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time

import pytest

from admission import denied, make_rules
from harness import (HERE, PATIENCE, ROOT, SLOW, TLS12, TLS13, Client,
                     Truncated, descriptors, find_command, hold, in_time,
                     is_stopped,
                     kill, read_stat, read_text, tls_context, wait_for)
from pki import openssl
from test_failures import forks  # noqa: F401  a fixture

IP = r'127\.0\.0\.1'
ACCEPTED = (r'^sslserver: fatal: \(111\) unable to accept TLS from: '
            + IP + ' for pid: %d ')
SPOKEN = (r'^sslserver: error: \(111\) unable to speak TLS with: '
          + IP + ' for pid: %d ')
ENDED = r'^sslserver: ended by %d status %d$'


class Notes:
    """What the program has seen, and how it is started."""

    def __init__(self, workdir):
        # Where the program may read it, whatever its identity is.
        self.script = os.path.join(workdir, 'program.py')
        shutil.copy(os.path.join(HERE, 'starttls_program.py'), self.script)
        os.chmod(self.script, 0o644)
        self.path = os.path.join(workdir, 'notes')

    def command(self, *words):
        return ('/usr/bin/python3', '-IS', self.script, self.path) + words

    def lines(self):
        return read_text(self.path).splitlines()

    def words(self):
        """First word of each line."""
        return [line.split()[0] for line in self.lines()]

    def wait(self, word, seconds=5.0, count=1):
        return wait_for(lambda: self.words().count(word) >= count, seconds,
                        'note %s; seen: %r' % (word, self.lines()))

    def pids(self):
        return [int(line.split()[1]) for line in self.lines()
                if line.startswith('START')]

    def pid(self):
        self.wait('START')
        return self.pids()[-1]

    def of(self, word):
        """What stands behind that word."""
        self.wait(word)
        return [line.partition(' ')[2] for line in self.lines()
                if line.split()[0] == word][0]


@pytest.fixture
def notes(workdir):
    return Notes(workdir)


class Plain(Client):
    """A client that speaks plain text first."""

    def __init__(self, server, **settings):
        super().__init__(server.address, server.port, handshake=False,
                         **settings)

    def line(self):
        """A line in plain text; '' at the end of the stream."""
        text = b''
        while not text.endswith(b'\n'):
            byte = self.sock.recv(1)
            if not byte:
                break
            text += byte
        return text.decode().rstrip('\r\n')

    def say(self, text):
        self.sock.sendall(text.encode() + b'\n')

    def ask(self, text):
        self.say(text)
        return self.line()

    def ping(self):
        assert self.ask('PING') == 'PONG'

    def start_tls(self, text='STARTTLS'):
        assert self.ask(text) == '220 go'

    def switch(self, text='STARTTLS'):
        self.start_tls(text)
        self.handshake()

    def tls_ask(self, text):
        self.send(text.encode() + b'\n')
        return self.tls_line()

    def tls_line(self):
        answer = b''
        while not answer.endswith(b'\n'):
            piece = self.recv(1)
            assert piece, 'the stream ended after %r' % answer
            answer += piece
        return answer.decode().rstrip('\r\n')

    def tls_ping(self):
        assert self.tls_ask('PING') == 'PONG'

    def is_ended(self):
        """No byte more, then the end."""
        try:
            return self.sock.recv(1) == b''
        except ConnectionResetError:
            return True

    def plain_rest(self):
        """All bytes up to the end."""
        data = b''
        try:
            while True:
                piece = self.sock.recv(65536)
                if not piece:
                    return data
                data += piece
        except ConnectionResetError:
            return data


def check_works(server):
    """The service still does both kinds of connection."""
    with Plain(server) as client:
        client.ping()
        client.switch()
        client.tls_ping()
        client.send(b'EXIT 0\n')
        assert client.recv_all() == b''
    with Plain(server) as client:
        assert client.ask('DECLINE') == 'plain'
        client.ping()
        client.say('EXIT 0')
        assert client.is_ended()


def story(server, pid):
    """The lines that name this pid, without the end of `ok'."""
    found = []
    for line in server.lines(r'\b%d\b' % pid):
        words = line.split()
        found.append(' '.join(words[1:3] if words[1] == 'ok'
                              else words[1:]))
    return found


# ---------------------------------------------------------------------------
# The program asks, or does not

def test_tls_is_asked_for(start, notes):
    """Plain text, `y', TLS; the lines name the program throughout."""
    server = start(*notes.command(), options=['-n'])
    with Plain(server) as client:
        client.ping()
        pid = notes.pid()
        client.switch()
        client.tls_ping()
        client.close_notify()
        assert client.recv_all() == b''
    server.wait_log(ENDED % (pid, 0))
    assert story(server, pid) == [
        'pid %d from 127.0.0.1' % pid, 'ok %d' % pid, 'tls %d accept' % pid,
        'ended by %d status 0' % pid]
    assert len(server.lines('^sslserver: (pid|ok|tls|ended)')) == 4
    assert not server.lines('error|fatal|warning')
    assert notes.words() == ['START', 'ASKED', 'EOF', 'END']
    server.wait_idle()


def test_details_name_no_session(start, notes):
    """-V: there is none yet when `ok' is said."""
    server = start(*notes.command(), options=['-n'], log='-V')
    with Plain(server) as client:
        client.switch()
        client.tls_ping()
    pid = notes.pid()
    assert not server.lines(r'session')
    server.wait_log(r'^sslserver: tls %d accept TLSv1\.3:TLS_\S+$' % pid)


def test_the_control_socket_ends_after_y(start, notes):
    """Without a byte."""
    server = start(*notes.command(), options=['-n'])
    with Plain(server) as client:
        client.switch()
        assert client.tls_ask('READ-CONTROL') == '0'


@pytest.mark.parametrize('when', ['before', 'after'])
def test_declined(start, notes, when):
    """Plain text to the end, of any status, and no word of TLS."""
    server = start(*notes.command(), options=['-n'])
    with Plain(server) as client:
        if when == 'after':
            client.ping()
        assert client.ask('DECLINE') == 'plain'
        for _ in range(3):
            client.ping()
        pid = notes.pid()
        client.say('EXIT 3')
        assert client.is_ended()
    server.wait_log(ENDED % (pid, 3 << 8))
    assert story(server, pid) == [
        'pid %d from 127.0.0.1' % pid, 'ok %d' % pid,
        'ended by %d status 768' % pid]
    assert not server.lines('error|fatal|warning|tls')
    server.wait_idle()


def test_declined_is_the_programs_alone(start, notes):
    """The client sees the program close its socket, though it lives on."""
    server = start(*notes.command('stay'), options=['-n'])
    with Plain(server) as client:
        assert client.ask('DECLINE') == 'plain'
        wait_for(lambda: count_sockets(server) == 0, what='only its own') \
            if ROOT else None
        client.say('SHUT 1')
        client.sock.shutdown(socket.SHUT_WR)
        notes.wait('EOF')
    # 0 is closed by nobody: the program stays.
    with Plain(server) as client:
        assert client.ask('DECLINE') == 'plain'
        client.say('SHUT 1 0')
        assert client.is_ended()
    for pid in server.pids('program'):
        kill(pid)
    server.wait_idle()


def count_sockets(server):
    """Client sockets that the monitor holds."""
    clients = set()
    with open('/proc/net/tcp', encoding='ascii') as file:
        for line in file.read().splitlines()[1:]:
            words = line.split()
            if words[1].endswith(':%04X' % server.port) and words[3] != '0A':
                clients.add('socket:[%s]' % words[9])
    return sum(target in clients for target in
               descriptors(server.pid('monitor')).values())


def test_never_asked(start, notes):
    """The program just ends, with its control socket open."""
    server = start(*notes.command(), options=['-n'])
    with Plain(server) as client:
        client.ping()
        pid = notes.pid()
        client.sock.shutdown(socket.SHUT_WR)
        assert client.is_ended()
    server.wait_log(ENDED % (pid, 0))
    assert notes.words() == ['START', 'EOF', 'END']
    assert not server.lines('error|fatal')


@pytest.mark.parametrize('byte', ['x', 'n', '\n', '\0', 'xy'],
                         ids=['x', 'n', 'newline', 'nul', 'xy'])
def test_another_byte(start, notes, byte):
    """One line, the client's end, and SIGTERM."""
    server = start(*notes.command('stay'), options=['-n'])
    with Plain(server) as client:
        pid = notes.pid()
        client.sock.sendall(b'PING\n')
        assert client.line() == 'PONG'
        ask_by_hand(client, byte)
        assert client.is_ended()
    notes.wait('TERM')
    server.wait_log(ENDED % (pid, 15 << 8))
    assert len(server.wait_log((SPOKEN % pid)
                               + 'program asked for neither y nor Y$')) == 1
    assert len(server.lines('error|fatal')) == 1
    assert 'session' not in server.roles()
    check_works(server)


def ask_by_hand(client, byte):
    """STARTTLS with a byte that no line could carry."""
    client.say('ASK ' + byte.encode().hex())


# ---------------------------------------------------------------------------
# What the program gets

def descriptors_of(client, tls=False):
    found = json.loads((client.tls_ask if tls else client.ask)('STATE'))
    found['fds'] = {int(number): tuple(value)
                    for number, value in found['fds'].items()}
    return found


def test_descriptors(start, notes):
    """0 and 1 are the client's socket, in blocking mode, and there are
    three more; no process of ours speaks TLS yet."""
    server = start(*notes.command(), options=['-n'])
    with Plain(server) as client:
        found = descriptors_of(client)
        fds, env = found['fds'], found['env']
        # 2, as it is inherited; the rest is ours.
        assert sorted(fds) == [0, 1, 2, 3, 4, 5]
        assert (env['SSLCTLFD'], env['SSLREADFD'], env['SSLWRITEFD']) == (
            '3', '4', '5')
        assert fds[0][0].startswith('socket:') and fds[0] == fds[1]
        assert fds[3][0].startswith('socket:') and fds[3][0] != fds[0][0]
        assert fds[4][0].startswith('pipe:')
        assert fds[5][0].startswith('pipe:') and fds[4][0] != fds[5][0]
        assert fds[4][1] & os.O_ACCMODE == os.O_RDONLY
        assert fds[5][1] & os.O_ACCMODE == os.O_WRONLY
        for number in (0, 1, 3, 4, 5):
            assert not fds[number][1] & os.O_NONBLOCK, number
        assert server.pids('session') == []
        client.switch()
        again = descriptors_of(client, tls=True)
        assert again['fds'] == fds and again['env'] == env
        assert len(server.pids('session')) == 1


@pytest.mark.parametrize('kept', [[3], [4], [5, 3], [4, 5, 6, 9]])
def test_numbers_beside_kept_ones(start, notes, kept):
    """--keep-fd: what is kept stays what it is."""
    source = os.open('/dev/zero', os.O_RDONLY)
    high = [os.dup2(source, 200 + number) for number in kept]

    def place():
        for number in kept:
            os.dup2(200 + number, number)

    options = ['-n']
    for number in kept:
        options += ['--keep-fd', number]
    try:
        server = start(*notes.command(), options=options, preexec=place,
                       keep=kept + high)
    finally:
        for number in high + [source]:
            os.close(number)
    with Plain(server) as client:
        found = descriptors_of(client)
        numbers = [int(found['env'][name])
                   for name in ('SSLCTLFD', 'SSLREADFD', 'SSLWRITEFD')]
        assert sorted(found['fds']) == sorted([0, 1, 2] + kept + numbers)
        assert all(found['fds'][number][0] == '/dev/zero' for number in kept)
        client.switch()
        client.tls_ping()


def test_environment(start, notes):
    """PROTO tells of the connection's beginning; no other variable."""
    server = start(*notes.command(), options=['-n', '-E'],
                   env={'SSLCTLFD': '77', 'SSL_CIPHER': 'x'})
    with Plain(server) as client:
        env = descriptors_of(client)['env']
    assert env['PROTO'] == 'TCP' and env['SSLCTLFD'] == '3'
    assert env['SSLREMOTEIP'] == '127.0.0.1'
    assert not [name for name in env
                if name.startswith(('TCP', 'SSL_CIPHER'))]


def test_without_n_there_are_none(start, notes):
    """-N is the later word."""
    server = start(*notes.command(), options=['-n', '-N'],
                   env={'SSLCTLFD': '77'})
    with server.connect() as client:
        client.send(b'STATE\n')
        found = json.loads(Plain.tls_line(client))
    assert not [name for name in found['env'] if name.startswith('SSLCTL')]
    assert sorted(map(int, found['fds'])) == [0, 1, 2]


def test_greeting(start, notes):
    """-B is plain text, before anything of the program, and not in TLS."""
    text = '220 hello\r\n'
    server = start(*notes.command('greet'), options=['-n', '-B', text])
    with Plain(server) as client:
        assert client.line() == '220 hello'
        assert client.line() == 'ready'
        client.switch()
        client.tls_ping()
        client.close_notify()
        assert client.recv_all() == b''


def answer_of(notes):
    """The block behind `Y' as a dictionary; whole or an AssertionError."""
    data = bytes.fromhex(notes.of('ANSWER').replace('-', ''))
    assert data.endswith(b'\0\0') and b'\0\0' not in data[:-2]
    texts = data[:-2].split(b'\0') if len(data) > 2 else []
    pairs = [text.split(b'=', 1) for text in texts]
    assert all(len(pair) == 2 and pair[0] for pair in pairs)
    assert len({name for name, _ in pairs}) == len(pairs)
    return dict(pairs)


def test_answer(start, notes):
    """`Y': the block is whole, and the control socket ends behind it."""
    server = start(*notes.command(), options=['-n'])
    with Plain(server) as client:
        client.switch('STARTTLS Y')
        client.tls_ping()
        answer = answer_of(notes)
        assert answer[b'SSL_PROTOCOL'] == client.tls.version().encode()
        assert answer[b'SSL_CIPHER'] == client.tls.cipher()[0].encode()
        assert answer[b'SSL_CLIENT_VERIFY'] == b'NONE'
        assert answer[b'SSL_SERVER_S_DN'] == b'/CN=localhost/O=ecdsa'
        assert all(name.startswith(b'SSL_') for name in answer)
        # Its environment is that of its start.
        env = descriptors_of(client, tls=True)['env']
        assert not set(env) & {name.decode() for name in answer}
        client.close_notify()
        assert client.recv_all() == b''
    assert notes.words() == ['START', 'ASKED', 'ANSWER', 'EOF', 'END']
    assert not server.lines('error|fatal')


def test_answer_that_is_read_late(start, notes, top_directory):
    """More than a socket holds, while the connection is busy; and whole,
    though the client has left by then."""
    clients = BigClient(os.path.join(top_directory, 'big'))
    server = start(*notes.command('late'), options=['-n', '-m'],
                   env={'CAFILE': clients.ca})
    context = tls_context()
    context.load_cert_chain(clients.leaf, clients.key)
    with Plain(server, context=context) as client:
        client.switch('STARTTLS Y')
        client.tls_ping()
        assert notes.words() == ['START', 'ASKED']
        assert client.tls_ask('PING') == 'PONG'
        client.send(b'READ-ANSWER\nPING\n')
        client.close_notify()
        assert client.recv_all() == b'PONG\n'
    answer = answer_of(notes)
    sizes = sum(len(name) + len(value) + 2 for name, value in answer.items())
    assert 213000 < sizes <= 262144
    assert answer[b'SSL_CLIENT_VERIFY'] == b'SUCCESS'
    assert not server.lines('error|fatal')


class BigClient:
    """A client's certificate with a name of 68 kB, and its CA."""

    CONFIG = """
[req]
distinguished_name = dn
prompt = no
[dn]
CN = unused
[ca_ext]
basicConstraints = critical, CA:true
[leaf]
basicConstraints = critical, CA:false
"""
    SUBJECT = '/CN=big' + ('/OU=' + 'x' * 64) * 1000

    def __init__(self, directory):
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, 'config'), 'w',
                  encoding='ascii') as file:
            file.write(self.CONFIG)
        self.ca, self.key, self.leaf = (
            os.path.join(directory, name)
            for name in ('ca.pem', 'key', 'leaf.pem'))
        openssl('genpkey', '-algorithm', 'EC', '-pkeyopt',
                'ec_paramgen_curve:P-256', '-out', 'key', cwd=directory)
        openssl('req', '-x509', '-new', '-key', 'key', '-out', 'ca.pem',
                '-days', '30', '-subj', '/CN=Big CA', '-config', 'config',
                '-extensions', 'ca_ext', cwd=directory)
        openssl('req', '-new', '-key', 'key', '-out', 'csr', '-subj',
                self.SUBJECT, '-config', 'config', cwd=directory)
        openssl('x509', '-req', '-in', 'csr', '-CA', 'ca.pem', '-CAkey',
                'key', '-CAcreateserial', '-days', '30', '-extfile',
                'config', '-extensions', 'leaf', '-out', 'leaf.pem',
                cwd=directory)


def test_no_answer_when_tls_fails(start, notes):
    server = start(*notes.command(), options=['-n'])
    with Plain(server) as client:
        client.start_tls('STARTTLS Y')
        client.say('not TLS')
        client.plain_rest()
    assert notes.of('ANSWER') == '-'
    notes.wait('END')
    assert notes.words() == ['START', 'ASKED', 'ANSWER', 'EOF', 'END']


# ---------------------------------------------------------------------------
# The border

def test_unread_plain_text_is_not_tls(start, notes):
    """What stands behind STARTTLS unread reaches the TLS parser."""
    server = start(*notes.command('probe'), options=['-n'])
    with Plain(server) as client:
        client.sock.sendall(b'STARTTLS\nPING\nPING\n')
        assert client.line() == '220 go'
        with pytest.raises((ssl.SSLError, Truncated, OSError)):
            client.handshake()
        assert b'PONG' not in client.plain_rest()
    pid = notes.pid()
    server.wait_log((ACCEPTED % pid) + r'\S')
    server.wait_log(ENDED % (pid, 0))
    assert 'WROTE' not in notes.words() and 'TERM' not in notes.words()
    check_works(server)


def test_buffered_plain_text_is_thrown_away(start, notes):
    """What the program had read is its own; nothing of it is in TLS."""
    server = start(*notes.command('buffered'), options=['-n'])
    with Plain(server) as client:
        client.sock.sendall(b'STARTTLS\nPING\nPING\n')
        assert client.line() == '220 go'
        client.handshake()
        client.send(b'PING\n')
        client.close_notify()
        assert client.recv_all() == b'PONG\n'
    assert not server.lines('error|fatal')


def test_first_flight_with_the_command(start, notes):
    """A client that does not wait for the answer: its hello is waiting."""
    server = start(*notes.command(), options=['-n'])
    with Plain(server) as client:
        client.sock.sendall(b'STARTTLS\n' + client.first_flight())
        assert client.line() == '220 go'
        client.handshake()
        client.tls_ping()


def test_bulk_right_after_the_switch(start, notes):
    """Both ways at once, from the first byte, nothing lost."""
    server = start(*notes.command(), options=['-n'])
    chunk = os.urandom(65536)
    count = 256
    sent = hashlib.sha256()
    got = hashlib.sha256()
    with Plain(server) as client:
        client.switch()

        def chunks():
            yield b'ECHO\n'
            for number in range(count):
                piece = bytes([number]) + chunk
                sent.update(piece)
                yield piece

        for data in client.exchange_bulk(chunks()):
            got.update(data)
    assert got.hexdigest() == sent.hexdigest()


def test_openssl_client(start, notes, pki):
    """A client that nobody here wrote."""
    server = start(*notes.command('greet'), options=['-n', '-B', '220 '])
    done = subprocess.run(
        [find_command('openssl'), 's_client', '-quiet', '-starttls', 'smtp', '-connect',
         '127.0.0.1:%d' % server.port, '-CAfile', pki.ca,
         '-verify_return_error', '-verify_hostname', 'localhost'],
        input=b'PING\nEXIT 0\n', stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, timeout=20 * SLOW, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(b'PONG\n')


# ---------------------------------------------------------------------------
# TLS does not come

def expect_no_plain_text(notes):
    """It saw the end of its input; the way back is closed."""
    notes.wait('READ')
    words = [word for word in notes.words() if word != 'START']
    assert words[:2] == ['ASKED', 'EOF']
    assert 'WROTE' not in words and 'TERM' not in words
    assert words.count('FAILED') == 2 and notes.of('READ') == '0'


def test_handshake_failure(start, notes):
    """Its line, the client's end, the program's end of file; no signal."""
    server = start(*notes.command('probe'), options=['-n'])
    with Plain(server) as client:
        client.start_tls()
        client.say('this is not TLS')
        rest = client.plain_rest()
        # An alert, or nothing; and then the end.
        assert rest == b'' or rest[0] == 21
        assert b'plain' not in rest
    expect_no_plain_text(notes)
    pid = notes.pid()
    server.wait_log(ENDED % (pid, 0))
    assert [line.split()[0] for line in story(server, pid)] == [
        'pid', 'ok', 'fatal:', 'ended']
    server.wait_log((ACCEPTED % pid) + r'\S')
    server.wait_idle()
    check_works(server)


def test_client_that_leaves_instead(start, notes):
    """FIN in place of the first flight."""
    server = start(*notes.command('probe'), options=['-n'])
    with Plain(server) as client:
        client.start_tls()
        client.fin()
        assert client.plain_rest() == b''
    expect_no_plain_text(notes)
    server.wait_log((ACCEPTED % notes.pid()) + '.* truncated$')


@pytest.mark.parametrize('close', [[], ['--strict-close']],
                         ids=['plain', 'strict'])
def test_handshake_timeout(start, notes, close):
    """-T begins at the byte: an idle plain session outlives it."""
    server = start(*notes.command('probe'), options=['-n', '-T', '1'] + close)
    with Plain(server) as client:
        client.ping()
        time.sleep(1.5)
        client.ping()
        began = time.monotonic()
        client.start_tls()
        client.sock.sendall(client.first_flight()[:20])
        assert b'plain' not in client.plain_rest()
        assert 0.9 <= time.monotonic() - began < 20
    expect_no_plain_text(notes)
    pid = notes.pid()
    server.wait_log((ACCEPTED % pid) + 'handshake timeout$')
    server.wait_log(ENDED % (pid, 0))
    server.wait_idle()


def test_handshake_time_ends_with_the_handshake(start, notes):
    def attempt(seconds, pace):
        server = start(*notes.command(), options=['-n', '-T', seconds])
        with Plain(server) as client:
            client.ping()
            pace.begin()
            client.switch()
            pace.end()
            for _ in range(4):
                client.tls_ping()
                time.sleep(0.4 * seconds)

    in_time(attempt)


def test_session_that_is_killed_in_the_handshake(start, notes):
    server = start(*notes.command('probe'), options=['-n'])
    with Plain(server) as client:
        client.start_tls()
        kill(server.pid('session'))
        assert client.plain_rest() == b''
    expect_no_plain_text(notes)
    server.wait_log((ACCEPTED % notes.pid())
                    + 'session ended unexpectedly$')
    check_works(server)


def test_plain_text_that_nobody_has_read(start, notes):
    """What the session has not taken is not the program's, either."""
    server = start(*notes.command('probe'), options=['-n'])
    with Plain(server) as client:
        client.start_tls()
        session = server.pid('session')
        kill(session, signal.SIGSTOP)
        wait_for(lambda: is_stopped(session), what='a stopped session')
        client.say('BULK 10')
        kill(session)
        assert client.plain_rest() == b''
    expect_no_plain_text(notes)


@pytest.mark.parametrize('limits', [TLS12, TLS13], ids=['1.2', '1.3'])
def test_refused_client_certificate(start, notes, pki, limits):
    """The alert for the client; for the program the end, and no signal."""
    server = start(*notes.command('probe'), options=['-n', '-m'],
                   env={'CAFILE': pki.ca})
    with Plain(server, context=tls_context(**limits)) as client:
        client.ping()
        client.start_tls()
        with pytest.raises(ssl.SSLError) as caught:
            client.handshake()
            client.recv()
        assert 'ALERT' in caught.value.reason
        assert client.plain_rest() == b''
    expect_no_plain_text(notes)
    pid = notes.pid()
    server.wait_log(ENDED % (pid, 0))
    assert story(server, pid)[2:] == [
        'error: (110) no client certificate from: 127.0.0.1 for pid: %d' % pid,
        'ended by %d status 0' % pid]
    server.wait_idle()


def test_kill_after_a_failed_handshake(start, notes):
    """A program that stays is killed so many seconds later."""
    server = start(*notes.command('stay'),
                   options=['-n', '--kill-after', '1'])
    with Plain(server) as client:
        client.start_tls()
        pid = notes.pid()
        client.say('not TLS')
        began = time.monotonic()
        client.plain_rest()
    server.wait_log(ENDED % (pid, 9))
    assert time.monotonic() - began > 0.8
    assert notes.words() == ['START', 'ASKED', 'EOF']
    server.wait_idle()


def test_kill_after_another_byte(start, notes):
    server = start(*notes.command('stay', 'ignore'),
                   options=['-n', '--kill-after', '1'])
    with Plain(server) as client:
        ask_by_hand(client, 'x')
        assert client.is_ended()
    server.wait_log(ENDED % (notes.pid(), 9))
    notes.wait('TERM')


# ---------------------------------------------------------------------------
# The program ends early

def test_program_that_cannot_be_executed(start):
    server = start('/nowhere/program', options=['-n'])
    with Plain(server) as client:
        assert client.is_ended()
    server.wait_log(r'^sslserver: fatal: \(111\) unable to run '
                    r'/nowhere/program for pid: \d+ No such file')
    server.wait_log(r'^sslserver: ended by \d+ status 28416$')
    server.wait_idle()


def test_exit_before_the_byte(start, notes):
    server = start(*notes.command(), options=['-n'])
    with Plain(server) as client:
        client.say('EXIT 5')
        assert client.is_ended()
    server.wait_log(ENDED % (notes.pid(), 5 << 8))
    assert not server.lines('error|fatal')
    server.wait_idle()


def test_exit_right_after_the_byte(start, notes):
    """Whatever is seen first: the connection is over."""
    server = start(*notes.command(), options=['-n'])
    for count in range(1, 11):
        with Plain(server) as client:
            client.say('ASK-AND-EXIT 5')
            assert client.plain_rest() == b''
        server.wait_log(r'^sslserver: ended by \d+ status 1280$',
                        count=count)
    server.wait_idle()
    assert not server.lines('error|fatal')


def test_exit_during_the_handshake(start, notes):
    """TLS for nobody: the session leaves, the client's socket is shut."""
    server = start(*notes.command(), options=['-n'])
    with Plain(server) as client:
        client.start_tls()
        session = server.pid('session')
        client.sock.sendall(client.first_flight()[:20])
        kill(notes.pid(), signal.SIGKILL)
        assert client.plain_rest() == b''
    server.wait_log(ENDED % (notes.pid(), 9))
    assert server.role(session) == 'program' or \
        session not in server.pids('session')
    assert not server.lines('error|fatal')
    server.wait_idle()


def test_exit_in_tls(start, notes):
    """Last byte, close_notify, FIN."""
    server = start(*notes.command(), options=['-n'])
    with Plain(server) as client:
        client.switch()
        client.send(b'PING\nEXIT 7\n')
        assert client.recv_all() == b'PONG\n'
        client.wait_close()
    server.wait_log(ENDED % (notes.pid(), 7 << 8))
    server.wait_idle()


def test_child_that_holds_the_plain_socket(start, notes):
    """The program ends, its child talks on: as behind tcpserver."""
    server = start(*notes.command(), options=['-n'])
    with Plain(server) as client:
        client.ping()
        client.say('FORK')
        server.wait_log(ENDED % (notes.pid(), 0))
        client.ping()
    server.wait_idle()


# ---------------------------------------------------------------------------
# Endings in TLS

def test_clients_close_notify(start, notes):
    """Half-close: end of file at SSLREADFD while output still flows."""
    server = start(*notes.command(), options=['-n'])
    with Plain(server) as client:
        client.switch()
        client.send(b'PING\nPING\n')
        client.close_notify()
        assert client.recv_all() == b'PONG\nPONG\n'
        client.wait_close()
    notes.wait('END')
    assert 'TERM' not in notes.words()


def test_program_closes_its_output(start, notes):
    """close_notify and FIN, though it lives on with the socket as 0 and 1
    and still reads."""
    server = start(*notes.command('stay'), options=['-n'])
    with Plain(server) as client:
        client.switch()
        client.send(b'SHUT SSLWRITEFD\n')
        assert client.recv_all() == b''
        client.wait_close()
        client.send(b'x\n')
        client.close_notify()
        notes.wait('EOF')
    assert notes.words() == ['START', 'ASKED', 'EOF']
    for pid in server.pids('program'):
        kill(pid)
    server.wait_idle()
    assert not server.lines('error|fatal')


@pytest.mark.parametrize('leave', ['reset', 'fin', 'idle', 'garbage'])
def test_ends_that_are_none(start, notes, leave):
    """SIGTERM before the end of file; the client sees the end at once."""
    # No deadline that a busy machine could miss where none is wanted.
    idle = '1' if leave == 'idle' else '600'
    server = start(*notes.command('ignore', 'stay'),
                   options=['-n', '-w', idle, '--strict-close'])
    with Plain(server) as client:
        client.switch()
        if leave == 'reset':
            client.tls_ping()
            client.reset()
        elif leave == 'fin':
            client.tls_ping()
            client.fin()
        elif leave == 'garbage':
            client.tls_ping()
            client.sock.sendall(b'\x17\x03\x03\x00\x20' + b'\xaa' * 32)
        if leave in ('idle', 'garbage'):
            # Though the program holds the socket.
            client.wait_close()
        notes.wait('EOF')
    assert notes.words() == ['START', 'ASKED', 'TERM', 'EOF']
    pid = notes.pid()
    server.wait_log(SPOKEN % pid + {
        'reset': '.*[Cc]onnection reset', 'garbage': r'\S',
        'fin': 'unexpected end of file truncated$',
        'idle': 'idle timeout$'}[leave])
    kill(pid)
    server.wait_idle()


def test_idle_time_begins_with_tls(start, notes):
    """-w: the plain phase is the program's own."""
    def attempt(seconds, pace):
        server = start(*notes.command(), options=['-n', '-w', seconds])
        with Plain(server) as client:
            client.ping()
            time.sleep(1.5 * seconds)
            pace.begin()
            client.switch()
            client.tls_ping()
            pace.end()
            assert client.wait_end() in ('cut', 'reset')
        server.wait_log(SPOKEN % notes.pid() + 'idle timeout$')
        with Plain(server) as client:
            assert client.ask('DECLINE') == 'plain'
            time.sleep(1.5 * seconds)
            client.ping()

    in_time(attempt)


def test_session_that_is_killed(start, notes):
    """Both directions close, and SIGTERM."""
    server = start(*notes.command('ignore', 'stay'),
                   options=['-n', '--strict-close'])
    with Plain(server) as client:
        client.switch()
        client.tls_ping()
        kill(server.pid('session'))
        assert client.wait_end() in ('cut', 'reset')
    notes.wait('EOF')
    assert notes.words() == ['START', 'ASKED', 'TERM', 'EOF']
    server.wait_log(SPOKEN % notes.pid() + 'session ended unexpectedly$')
    kill(notes.pid())
    server.wait_idle()


# ---------------------------------------------------------------------------
# Processes die

def test_nursery_dies_before_the_byte(start, notes):
    """A plain connection knows no nursery; the next one serves it."""
    server = start(*notes.command(), options=['-n'])
    with Plain(server) as plain, Plain(server) as tls:
        plain.ping()
        tls.switch()
        tls.tls_ping()
        nursery = server.pid('nursery')
        kill(nursery)
        wait_for(lambda: server.pids('nursery') not in ([], [nursery]),
                 what='another nursery')
        plain.ping()
        tls.tls_ping()
        plain.switch()
        plain.tls_ping()
    check_works(server)


def test_byte_while_there_is_no_nursery(start, notes, forks):  # noqa: F811
    """It waits for the next one."""
    server = start(*notes.command('probe'), options=['-n'],
                   launcher=forks.launcher)
    with Plain(server) as client, Plain(server) as other:
        client.ping()
        other.ping()
        forks.forbid(server.pid('master'))
        kill(server.pid('nursery'))
        wait_for(lambda: server.pids('nursery') == [], what='no nursery')
        client.start_tls()
        hold(lambda: server.pids('session') == [], 0.3, 'no session')
        forks.allow()
        client.handshake()
        client.tls_ping()
        other.switch()
        other.tls_ping()
    assert not server.lines('unable to accept')
    server.wait_roles(10)
    check_works(server)


def test_nursery_dies_with_the_question(start, notes):
    """It was asked, and dies before it has made a session."""
    server = start(*notes.command('probe'), options=['-n'])
    with Plain(server) as client:
        client.ping()
        nursery = server.pid('nursery')
        kill(nursery, signal.SIGSTOP)
        client.start_tls()
        notes.wait('ASKED')
        hold(lambda: server.pids('session') == [], 0.3, 'no session')
        kill(nursery)
        client.handshake()
        client.tls_ping()
        client.send(b'EXIT 0\n')
        assert client.recv_all() == b''
    assert not server.lines('fatal|error')
    check_works(server)


def test_wrapper_dies_without_a_nursery(start, notes,
                                        forks):  # noqa: F811
    """Its child, which has asked for TLS, does not go on in plain text."""
    server = start('/bin/sh', '-c', '"$@"; true', 'sh',
                   *notes.command('probe'), options=['-n'],
                   launcher=forks.launcher)
    with Plain(server) as client:
        client.ping()
        with open('/proc/%d/stat' % notes.pid(), encoding='ascii') as file:
            wrapper = int(file.read().rpartition(')')[2].split()[1])
        forks.forbid(server.pid('master'))
        kill(server.pid('nursery'))
        wait_for(lambda: server.pids('nursery') == [], what='no nursery')
        client.start_tls()
        notes.wait('ASKED')
        kill(wrapper)
        assert client.plain_rest() == b''
    expect_no_plain_text(notes)
    server.wait_log(ENDED % (wrapper, 9))
    forks.allow()
    server.wait_roles(10)
    check_works(server)


def test_no_nursery_for_as_long_as_T(start, notes, forks):  # noqa: F811
    server = start(*notes.command('probe'), options=['-n', '-T', '1'],
                   launcher=forks.launcher)
    with Plain(server) as client:
        client.ping()
        forks.forbid(server.pid('master'))
        kill(server.pid('nursery'))
        wait_for(lambda: server.pids('nursery') == [], what='no nursery')
        client.start_tls()
        assert client.plain_rest() == b''
    expect_no_plain_text(notes)
    server.wait_log((ACCEPTED % notes.pid()) + 'handshake timeout$')
    forks.allow()
    server.wait_roles(10)
    check_works(server)


def test_nursery_dies_in_the_handshake(start, notes):
    """A session that is there goes on."""
    server = start(*notes.command(), options=['-n'])
    with Plain(server) as client:
        client.start_tls()
        server.pid('session')
        kill(server.pid('nursery'))
        server.wait_roles()
        client.handshake()
        client.tls_ping()
    check_works(server)


def test_session_cannot_be_made(start, notes, forks):  # noqa: F811
    """Its line; the program sees the end, the service goes on."""
    server = start(*notes.command('probe'), options=['-n'],
                   launcher=forks.launcher)
    with Plain(server) as client:
        client.ping()
        forks.forbid(server.pid('nursery'))
        client.start_tls()
        assert client.plain_rest() == b''
    expect_no_plain_text(notes)
    server.wait_log((ACCEPTED % notes.pid()) + 'unable to make a session: ')
    forks.allow()
    check_works(server)


def test_out_of_descriptors_at_the_byte(start, notes,
                                        forks):  # noqa: F811
    """The monitor has none for a session: its line, the rest goes on."""
    program, flag = forks.launcher
    server = start(*notes.command('probe'), options=['-n'],
                   launcher=(program, '-s', flag))
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(Plain(server))
        client.ping()
        pid = notes.pid()
        other = stack.enter_context(Plain(server))
        other.ping()
        forks.forbid(server.pid('monitor'))
        client.start_tls()
        assert client.plain_rest() == b''
        expect_no_plain_text(notes)
        server.wait_log((ACCEPTED % pid)
                        + 'unable to make a session: Too many open files$')
        other.ping()
        forks.allow()
        other.switch()
        other.tls_ping()
    check_works(server)


@pytest.mark.parametrize('phase', ['plain', 'handshake', 'tls'])
def test_monitor_dies(start, notes, phase):
    """Programs get SIGTERM, clients their end; a new one serves.  Where
    TLS was asked for, that end does not wait for the program's."""
    words = ['stay'] if phase == 'plain' else ['stay', 'ignore']
    server = start(*notes.command(*words), options=['-n'])
    with Plain(server) as client:
        client.ping()
        if phase == 'handshake':
            client.start_tls()
            server.pid('session')
        elif phase == 'tls':
            client.switch()
            client.tls_ping()
        kill(server.pid('monitor'))
        client.wait_close()
        # A program that ignores SIGTERM is killed after 5 s.
        assert phase == 'plain' or read_stat(notes.pid()) is not None
    notes.wait('TERM')
    server.wait_roles(10)
    check_works(server)


def is_running(pid):
    try:
        with open('/proc/%d/stat' % pid, encoding='ascii') as file:
            return file.read().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


@pytest.mark.parametrize('options', [[], ['-m']], ids=['none', 'asked'])
@pytest.mark.parametrize('leave', ['garbage', 'fin'])
def test_monitor_dies_after_a_failed_handshake(start, notes, pki, leave,
                                               options):
    """It has not heard of it: the session has shut the socket down."""
    server = start(*notes.command('probe', 'ignore', 'stay'),
                   options=['-n'] + options,
                   env={'CAFILE': pki.ca} if options else {})
    with Plain(server) as client:
        client.ping()
        client.start_tls()
        session, monitor = server.pid('session'), server.pid('monitor')
        kill(monitor, signal.SIGSTOP)
        if leave == 'fin':
            client.fin()
        else:
            client.sock.sendall(b'this is not TLS\n' * 4)
        wait_for(lambda: not is_running(session), what='no session')
        kill(monitor)
        assert b'plain' not in client.plain_rest()
    wait_for(lambda: not is_running(notes.pid()), 10, 'no program')
    assert 'WROTE' not in notes.words()
    server.wait_roles(10)
    if not options:
        check_works(server)


@pytest.mark.parametrize('nursery', ['stopped', 'dead'])
def test_monitor_dies_without_a_session(start, notes, forks,  # noqa: F811
                                        nursery):
    """Nobody is left who could shut the socket down: the program gets its
    SIGTERM, and no end of file."""
    server = start(*notes.command('probe', 'ignore', 'stay'), options=['-n'],
                   launcher=forks.launcher)
    with Plain(server) as client:
        client.ping()
        pid = server.pid('nursery')
        if nursery == 'stopped':
            kill(pid, signal.SIGSTOP)
        else:
            forks.forbid(server.pid('master'))
            kill(pid)
            wait_for(lambda: server.pids('nursery') == [], what='no nursery')
        client.start_tls()
        notes.wait('ASKED')
        hold(lambda: server.pids('session') == [], 0.3, 'no session')
        kill(server.pid('monitor'))
        notes.wait('TERM')
        wait_for(lambda: not is_running(notes.pid()), 10, 'no program')
        if nursery == 'dead':
            forks.allow()
        else:
            # The question lies in its socket, with the client's.
            kill(pid, signal.SIGCONT)
        assert client.plain_rest() == b''
    assert notes.words() == ['START', 'ASKED', 'TERM']
    server.wait_roles(10)
    check_works(server)


@pytest.mark.parametrize('close', [[], ['--strict-close']],
                         ids=['plain', 'strict'])
def test_descriptors_are_given_back(start, notes, close):
    """By master and monitor, however a connection ends; and master's as
    soon as there is TLS, or none to be."""
    if not ROOT:
        pytest.skip('only root can see what these processes have open')
    server = start(*notes.command(), options=['-n', '-T', '3'] + close)

    def counts():
        return [len(descriptors(server.pid(role)))
                for role in ('front', 'master', 'monitor', 'nursery')]

    def is_master_at(number):
        return counts()[1] == number

    check_works(server)
    server.wait_idle()
    before = counts()
    with Plain(server) as plain, Plain(server) as declined, \
            Plain(server) as tls:
        plain.ping()
        declined.ping()
        tls.ping()
        assert is_master_at(before[1] + 3)
        assert declined.ask('DECLINE') == 'plain'
        tls.switch()
        tls.tls_ping()
        wait_for(lambda: is_master_at(before[1] + (2 if close else 1)),
                 what='master to close what it kept')
    for _ in range(5):
        for words in ('EXIT 0', 'DECLINE', 'ASK 7a', 'ASK-AND-EXIT 3',
                      'STARTTLS'):
            with Plain(server) as client:
                client.ping()
                client.say(words)
                if words == 'STARTTLS':
                    client.line()
                    client.say('not TLS')
    server.wait_idle(10)
    wait_for(lambda: counts() == before, what='descriptors as before')


@pytest.mark.parametrize('phase', ['plain', 'handshake', 'tls'])
def test_master_dies(start, notes, phase):
    """Every connection that may have TLS ends."""
    server = start(*notes.command('stay'), options=['-n'])
    with Plain(server) as client:
        client.ping()
        if phase == 'handshake':
            client.start_tls()
            server.pid('session')
        elif phase == 'tls':
            client.switch()
            client.tls_ping()
        kill(server.pid('master'))
        client.wait_close()
        assert server.process.wait(PATIENCE) == 111
    notes.wait('EOF')


# ---------------------------------------------------------------------------
# Stop

def test_stop(start, notes):
    """Whoever has a program goes on, and may still ask for TLS."""
    server = start(*notes.command(), options=['-n'])
    with contextlib.ExitStack() as stack:
        plain, declined, shaking, tls = (
            stack.enter_context(Plain(server)) for _ in range(4))
        plain.ping()
        assert declined.ask('DECLINE') == 'plain'
        shaking.start_tls()
        tls.switch()
        assert server.stop() == 0
        shaking.handshake()
        shaking.tls_ping()
        declined.ping()
        tls.tls_ping()
        plain.ping()
        plain.switch()
        plain.tls_ping()
        nursery = server.pid('nursery')
        kill(nursery)
    server.wait_gone(10)
    assert not server.lines('fatal')


def test_drain(start, notes):
    """--drain: all end, with SIGTERM; no client takes it for an end."""
    server = start(*notes.command('ignore', 'stay'),
                   options=['-n', '--drain', '1'])
    with contextlib.ExitStack() as stack:
        plain, declined, shaking, tls = (
            stack.enter_context(Plain(server)) for _ in range(4))
        plain.ping()
        assert declined.ask('DECLINE') == 'plain'
        shaking.start_tls()
        server.pid('session')
        tls.switch()
        tls.tls_ping()
        server.signal(signal.SIGTERM)
        assert plain.is_ended()
        assert tls.wait_end() == 'cut'
        assert shaking.plain_rest() == b''
        notes.wait('TERM', count=4)
        # It ignores that: SIGKILL ends it.
        declined.ping()
        assert declined.is_ended()
    assert server.process.wait(PATIENCE) == 0
    server.wait_gone(10)


def test_drain_of_the_quick(start, notes):
    server = start(*notes.command(), options=['-n', '--drain', '30'])
    with Plain(server) as client:
        client.ping()
        server.signal(signal.SIGTERM)
        client.switch()
        client.tls_ping()
        client.close_notify()
        assert client.recv_all() == b''
    assert server.process.wait(PATIENCE) == 0
    server.wait_gone()


# ---------------------------------------------------------------------------
# Limits and rules

def test_limit_is_exact(start, notes):
    """-c counts programs and sessions, however they end."""
    server = start(*notes.command(), options=['-n', '-c', '2'])
    with Plain(server) as first, Plain(server) as second:
        first.ping()
        second.switch()
        with Plain(server) as third:
            third.say('PING')
            hold(lambda: len(server.pids('program')) == 2, 0.3,
                 'two programs')
            first.say('EXIT 0')
            assert third.line() == 'PONG'
            assert len(server.pids('program')) == 2
    for way in ('decline', 'garbage', 'kill session', 'kill program', 'x'):
        with Plain(server) as client:
            if way == 'decline':
                client.ask('DECLINE')
            elif way == 'x':
                ask_by_hand(client, 'x')
            else:
                client.start_tls()
                session = server.pid('session')
                if way == 'garbage':
                    client.say('not TLS')
                else:
                    kill(session if way == 'kill session'
                         else server.pid('program'))
    wait_for(lambda: server.lines('status: ')[-1].endswith(' 0/2/2'),
             what='no connection is left')
    server.wait_idle(5)
    over = [line for line in server.lines('status: ')
            if int(line.split()[2].split('/')[0]) > 2]
    assert not over


def test_source_limit(start, notes):
    server = start(*notes.command(), options=['-n'], env={'MAXCONIP': '1'})
    with Plain(server) as first:
        first.ping()
        with Plain(server) as second:
            assert second.is_ended()
        server.wait_log('ip connection limit of 1 exceeded for: ' + IP)
        first.switch()
    server.wait_idle(5)
    with Plain(server) as second:
        second.ping()


def test_plain_connections_cost_no_tls_process(start, notes):
    server = start(*notes.command(), options=['-n'])
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Plain(server)) for _ in range(10)]
        for client in clients:
            client.ping()
        assert server.pids('session') == []
        assert len(server.pids('program')) == 10


def test_rules(start, notes, workdir):
    """Denied: no byte, no greeting, no program; variables reach it."""
    rules = make_rules(os.path.join(workdir, 'rules.cdb'),
                       '127.0.0.2:deny\n'
                       ':allow,MARK="yes",SSLCTLFD="99"\n')
    server = start(*notes.command(), options=['-n', '-B', 'hello\n',
                                              '-x', rules])
    with Plain(server, source='127.0.0.2') as client:
        assert client.plain_rest() == b''
    server.wait_log(denied(server, '127.0.0.2'))
    assert notes.lines() == []
    with Plain(server) as client:
        assert client.line() == 'hello'
        env = descriptors_of(client)['env']
        # A rule names variables, not descriptors.
        assert env['MARK'] == 'yes' and env['SSLCTLFD'] == '3'
        client.switch()
        client.tls_ping()


def test_two_hundred_at_once(start, notes):
    """Each in plain text, then each in TLS, then all end."""
    count = 200
    server = start(*notes.command(), options=['-n', '-c', count, '-b', count])
    with contextlib.ExitStack() as stack:
        clients = []
        # In rows: there is a deadline for the start of a program, and two
        # hundred interpreters at once could miss it.
        while len(clients) < count:
            row = [stack.enter_context(Plain(server, timeout=60))
                   for _ in range(20)]
            for client in row:
                client.say('PING')
            for client in row:
                assert client.line() == 'PONG'
            clients += row
        assert server.pids('session') == []
        for client in clients:
            client.say('STARTTLS')
        for client in clients:
            assert client.line() == '220 go'
            client.handshake()
        for client in clients:
            client.tls_ping()
        assert len(server.pids('session')) == count
        for client in clients:
            client.close_notify()
            assert client.recv_all() == b''
    server.wait_log(r'status 0$', count=count)
    server.wait_idle(20)
    assert not server.lines('error|fatal|warning')
