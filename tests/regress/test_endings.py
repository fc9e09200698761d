"""Each way a connection can end reaches the program and the log as it is."""

import os
import signal
import socket
import time

import pytest

from harness import (SLOW, Client, Truncated, in_time, read_text, tool,
                     wait_for)

SPOKEN = (r'^sslserver: error: \(111\) unable to speak TLS with: '
          r'127\.0\.0\.1 for pid: \d+ ')


class Events:
    """The file in which the program `events' writes what it sees."""

    def __init__(self, workdir):
        self.path = os.path.join(workdir, 'events')

    def command(self, *words):
        return (tool('events'), self.path) + words

    def clear(self):
        if os.path.exists(self.path):
            os.unlink(self.path)

    def words(self):
        """First word of each line."""
        return [line.split()[0] for line in
                read_text(self.path).splitlines() if line]

    def count_bytes(self):
        """How many were read."""
        return sum(int(line.split()[1])
                   for line in read_text(self.path).splitlines()
                   if line.startswith('DATA'))

    def wait(self, word, seconds=5.0, count=1):
        return wait_for(lambda: self.words().count(word) >= count, seconds,
                        'event %s; seen: %r' % (word, self.words()))

    def pids(self):
        return [int(line.split()[1])
                for line in read_text(self.path).splitlines()
                if line.startswith('START')]


@pytest.fixture
def events(workdir):
    return Events(workdir)


def test_clients_close_notify_is_end_of_file(start, events):
    """Output still flows afterwards: half-close, no signal."""
    server = start('/bin/sh', '-c', 'cat; echo last words')
    with server.connect() as client:
        client.echo(b'hello\n')
        client.close_notify()
        assert client.recv_all() == b'last words\n'
    server.wait_log(r'^sslserver: ended by \d+ status 0$')
    assert not server.lines('error|fatal')


def test_much_output_after_close_notify(start):
    """5 MB behind the client's end arrive whole, then close_notify."""
    server = start('/bin/sh', '-c',
                   'cat >/dev/null; head -c 5000000 /dev/zero')
    with server.connect() as client:
        client.send(b'x' * 100000)
        client.close_notify()
        assert client.recv_all() == bytes(5000000)


def test_program_closes_its_output(start, events):
    """Closing 1 alone is seen: close_notify while the program reads on,
    for as long as the client has something to say."""
    server = start(*events.command('greet', 'mute'))
    with server.connect() as client:
        assert client.recv_all() == b'ready\n'
        # The FIN as well.
        client.wait_close()
        # Longer than input that nobody reads is waited for.
        time.sleep(2.5)
        for _ in range(10):
            client.send(b'x' * 100000)
        client.close_notify()
        events.wait('EXIT')
    assert events.count_bytes() == 1000000
    assert 'TERM' not in events.words()
    server.wait_log(r'^sslserver: ended by \d+ status 0$')
    assert not server.lines('error|fatal')


@pytest.mark.parametrize('leave', [Client.reset, Client.fin, Client.flush],
                         ids=['reset', 'truncated', 'idle'])
def test_input_is_cut_after_the_programs_output(start, events, leave):
    """SIGTERM comes before an end-of-file that is none, then too."""
    def attempt(seconds, pace):
        events.clear()
        server = start(*events.command('greet', 'mute', 'ignore'),
                       options=['-w', seconds, '--strict-close'])
        pace.begin()
        with server.connect() as client:
            pace.step()
            assert client.recv_all() == b'ready\n'
            client.send(b'x')
            events.wait('DATA')
            pace.end()
            leave(client)
            events.wait('EXIT')
        assert events.words() == ['START', 'DATA', 'TERM', 'EOF', 'EXIT']
        server.wait_log(SPOKEN)

    in_time(attempt)


def test_child_that_holds_the_output(start):
    """Not the program's end counts but that of every holder of its 1."""
    server = start('/bin/sh', '-c',
                   'exec 3<&0; echo first; '
                   '(read line <&3; echo "then $line") & exec true')
    with server.connect() as client:
        assert client.recv_exactly(6) == b'first\n'
        client.close_notify()
        assert client.recv_all() == b'then \n'


def test_program_that_exits(start):
    """Last byte, close_notify, FIN - though the client has not ended."""
    server = start('/bin/echo', 'goodbye')
    with server.connect() as client:
        assert client.recv_all() == b'goodbye\n'
        client.wait_close()
    server.wait_log(r'^sslserver: ended by \d+ status 0$')


@pytest.mark.parametrize('size', [0, 1, 16384, 16385, 1000000])
def test_last_byte_before_close_notify(start, size):
    server = start('/bin/sh', '-c', 'head -c %d /dev/zero' % size)
    with server.connect() as client:
        assert client.recv_all() == bytes(size)


def test_truncation_is_end_of_file_too(start, events):
    """A bare FIN: the program may finish and answer; the log tells."""
    server = start(*events.command())
    with server.connect() as client:
        client.echo(b'half a message')
        client.fin()
        client.wait_end()
    events.wait('EXIT')
    assert events.words() == ['START', 'DATA', 'EOF', 'EXIT']
    server.wait_log(SPOKEN + 'unexpected end of file truncated$')
    server.wait_log(r'^sslserver: ended by \d+ status 0$')


def test_output_flows_after_truncation(start):
    server = start('/bin/sh', '-c', 'cat >/dev/null; echo still here')
    with server.connect() as client:
        client.fin()
        assert client.recv_all() == b'still here\n'


def test_strict_close(start, events):
    """SIGTERM before that end-of-file can be seen."""
    server = start(*events.command('ignore'), options=['--strict-close'])
    for count in range(1, 11):
        with server.connect() as client:
            client.echo(b'half a message')
            client.fin()
            client.wait_end()
        events.wait('EXIT', count=count)
    assert events.words() == ['START', 'DATA', 'TERM', 'EOF', 'EXIT'] * 10
    server.wait_log(SPOKEN + 'unexpected end of file truncated$', count=10)


def test_strict_close_and_a_program_that_dies_of_it(start, events):
    server = start(*events.command(), options=['--strict-close'])
    with server.connect() as client:
        client.echo(b'half a message')
        client.fin()
        client.wait_end()
    server.wait_log(r'^sslserver: ended by \d+ status 256$')
    assert events.words() == ['START', 'DATA', 'TERM']


def test_strict_close_lets_a_clean_end_be(start, events):
    server = start(*events.command(), options=['--strict-close'])
    server.check_service()
    events.wait('EXIT')
    assert events.words() == ['START', 'DATA', 'EOF', 'EXIT']
    assert not server.lines('error|fatal')


def test_reset(start, events):
    """SIGTERM, before any end-of-file; both directions close."""
    server = start(*events.command('ignore'))
    client = server.connect()
    client.echo(b'x')
    client.reset()
    events.wait('EXIT')
    assert events.words() == ['START', 'DATA', 'TERM', 'EOF', 'EXIT']
    server.wait_log(SPOKEN + '.*[Cc]onnection reset')


def test_tls_error(start, events):
    """A damaged record: SIGTERM, never an end-of-file before it."""
    server = start(*events.command('ignore'))
    with server.connect() as client:
        client.echo(b'x')
        client.sock.sendall(b'\x17\x03\x03\x00\x20' + b'\xaa' * 32)
        client.wait_close()
    events.wait('EXIT')
    assert events.words() == ['START', 'DATA', 'TERM', 'EOF', 'EXIT']
    server.wait_log(SPOKEN + r'\S')


def test_failed_write(start, events):
    """The client is gone while the program still writes."""
    server = start('/bin/sh', '-c', 'exec cat /dev/zero')
    client = server.connect()
    client.recv_exactly(100000)
    client.reset()
    server.wait_log(r'^sslserver: ended by \d+ status (%d|%d)$'
                    % (signal.SIGTERM, signal.SIGPIPE))
    server.wait_idle()


def test_clean_end_lets_the_program_finish(start, events):
    """No SIGTERM after the client's clean end, however long it takes."""
    server = start(*events.command('stay'))
    with server.connect() as client:
        client.echo(b'x')
        client.close_notify()
        events.wait('EOF')
        client.close()
    assert events.words() == ['START', 'DATA', 'EOF']
    pid = events.pids()[0]
    assert server.role(pid) == 'program'
    os.kill(pid, signal.SIGTERM)
    server.wait_log(r'^sslserver: ended by %d status 256$' % pid)
    server.wait_idle()


def test_idle(start, events):
    """-w: no byte in either direction; SIGTERM, then the end."""
    def attempt(seconds, pace):
        events.clear()
        server = start(*events.command('ignore'), options=['-w', seconds])
        with server.connect() as client:
            pace.begin()
            for _ in range(4):
                time.sleep(0.4 * seconds)
                client.echo(b'busy')
                pace.step()
            pace.end()
            quiet = time.monotonic()
            assert client.wait_end() in ('cut', 'reset', 'notify')
            assert 0.8 * seconds <= time.monotonic() - quiet
        events.wait('EXIT')
        words = [word for word in events.words() if word != 'DATA']
        assert words == ['START', 'TERM', 'EOF', 'EXIT']
        server.wait_log(SPOKEN + 'idle timeout$')

    in_time(attempt)


def test_output_alone_is_not_idle(start):
    def attempt(seconds, pace):
        server = start('/bin/sh', '-c', 'for i in 1 2 3 4; do echo $i; '
                       'sleep %g; done' % (0.4 * seconds),
                       options=['-w', seconds])
        pace.begin()
        with server.connect() as client:
            for number in range(1, 5):
                assert client.recv_exactly(2) == b'%d\n' % number
                pace.step()
            assert client.recv_all() == b''

    in_time(attempt)


@pytest.mark.parametrize('kind', ['silent', 'half', 'dripping'])
def test_handshake_timeout(start, kind):
    """-T is for the whole handshake, however busy the client is."""
    server = start(options=['-T', '1'])
    began = time.monotonic()
    with Client(server.address, server.port, handshake=False) as client:
        hello = client.first_flight()
        if kind == 'half':
            client.sock.sendall(hello[:50])
        if kind == 'dripping':
            client.sock.settimeout(0.1)
            for byte in hello:
                try:
                    client.sock.sendall(bytes([byte]))
                    if not client.sock.recv(1000):
                        break
                except socket.timeout:
                    continue
                except OSError:
                    break
                if time.monotonic() - began > 5 * SLOW:
                    break
        else:
            client.wait_close()
    assert 0.9 <= time.monotonic() - began < 20
    server.wait_log(r'^sslserver: fatal: \(111\) unable to accept TLS from: '
                    r'127\.0\.0\.1 for pid: \d+ handshake timeout$')
    server.wait_log(r'^sslserver: ended by \d+ status 28416$')
    server.wait_idle()


def test_handshake_time_ends_with_the_handshake(start):
    def attempt(seconds, pace):
        server = start(options=['-T', seconds])
        pace.begin()
        with server.connect() as client:
            pace.end()
            for _ in range(4):
                client.echo(b'x')
                time.sleep(0.4 * seconds)

    in_time(attempt)


def test_kill_after(start, events):
    """SIGKILL so many seconds after the connection's end."""
    server = start(*events.command('ignore', 'stay'),
                   options=['--kill-after', '1'])
    with server.connect() as client:
        client.echo(b'x')
        pid = events.pids()[0]
        client.close_notify()
        events.wait('EOF')
        # Half-closed is not ended: the program may still write.
        time.sleep(1.3)
        assert server.role(pid) == 'program' and pid in server.pids('program')
        began = time.monotonic()
        client.reset()
    server.wait_log(r'^sslserver: ended by %d status 9$' % pid)
    assert time.monotonic() - began > 0.8
    server.wait_idle()


def test_kill_after_spares_the_quick(start, events):
    server = start(*events.command(), options=['--kill-after', '1'])
    server.check_service()
    server.wait_log(r'^sslserver: ended by \d+ status 0$')


@pytest.mark.parametrize('text', ['220 ready\r\n', 'x' * 1000, ' ', ''])
def test_greeting(start, text):
    """-B: these bytes first, inside TLS, nothing appended."""
    server = start('/bin/sh', '-c', 'printf program; cat',
                   options=['-B', text])
    expected = text.encode() + b'program'
    with server.connect() as client:
        assert client.recv_exactly(len(expected)) == expected
        client.echo(b'x')


def test_greeting_only_if_the_program_runs(start):
    server = start('/nonexistent', options=['-B', 'welcome'])
    with server.connect() as client:
        with pytest.raises((Truncated, ConnectionResetError,
                            AssertionError)):
            client.recv_exactly(7)


def test_limit_place_is_held_by_the_program(start, events):
    """Its place under -c is free when program and session have ended."""
    server = start(*events.command('stay'), options=['-c', '1'])
    with server.connect() as client:
        client.echo(b'x')
    events.wait('EOF')
    pid = events.pids()[0]
    waiting = Client(server.address, server.port, handshake=False)
    try:
        waiting.sock.sendall(waiting.first_flight())
        waiting.sock.settimeout(0.5)
        with pytest.raises(socket.timeout):
            waiting.sock.recv(1)
        os.kill(pid, signal.SIGTERM)
        waiting.sock.settimeout(10 * SLOW)
        assert waiting.sock.recv(1)
    finally:
        waiting.close()


def test_program_that_reads_nothing(start):
    """A full pipe holds the client back; its bytes are not lost."""
    server = start('/bin/sh', '-c', 'sleep 1; cat | wc -c')
    with server.connect() as client:
        client.send(b'x' * 3000000)
        client.close_notify()
        assert client.recv_all().strip() == b'3000000'


def test_both_directions_full(start):
    """Program and client both write before they read: no deadlock but
    the one they make themselves, and none once the client reads."""
    server = start('/bin/sh', '-c',
                   'head -c 2000000 /dev/zero; cat | wc -c')
    with server.connect() as client:
        answer = b''.join(client.exchange_bulk([b'y' * 500000] * 4))
    assert answer[:2000000] == bytes(2000000)
    assert answer[2000000:].strip() == b'2000000'
