"""What a hostile session, sibling, program or reader can do to others."""

import fcntl
import glob
import os
import re
import resource
import select
import signal
import socket
import subprocess
import sys
import time

import pytest

from harness import (PATIENCE, PROGRAM_ID, ROOT, SLOW, Client, Truncated,
                     descriptors, find_command, is_stopped, kill, read_stat,
                     read_text, run_server, status_fields, tool, wait_for)

ENDS = ('cut', 'reset')
HZ = os.sysconf('SC_CLK_TCK')


def is_served(server):
    try:
        return server.exchange(b'x') == b'x'
    except (OSError, Truncated):
        return False


def hear_nothing_of(client):
    """Until our socket is closed from the other side; then ours, too."""
    client.wait_close()
    client.close()


def assert_quiet(server, pids, seconds=1.0):
    """These processes use hardly any CPU time."""
    before = server.ticks()
    time.sleep(seconds)
    after = server.ticks()
    used = {server.role(pid): after[pid] - before[pid] for pid in pids}
    assert max(used.values()) <= seconds * HZ / 4, used


class Events:
    """What each instance of the program `events' saw."""

    def __init__(self, workdir):
        self.path = os.path.join(workdir, 'events.')

    def command(self, *words):
        return ('/bin/sh', '-c', 'f=$1$$; shift; exec "$0" "$f" "$@"',
                tool('events'), self.path) + words

    def seen(self):
        """The lines of each one, split into words."""
        return [[line.split() for line in read_text(path).splitlines()]
                for path in glob.glob(self.path + '*')]

    def wait(self, word, seconds=5.0, count=1):
        def look():
            return sum([word] in lines for lines in self.seen()) >= count
        wait_for(look, seconds, '%d times %s' % (count, word))

    def assert_term_first(self):
        """No end of file before the signal, for nobody; more than one
        signal does no harm."""
        for lines in self.seen():
            words = [line[0] for line in lines]
            assert words[:3] == ['START', 'DATA', 'TERM'], words
            assert [word for word in words[3:] if word != 'TERM'] == [
                'EOF', 'EXIT'], words


def several(server, count=5):
    clients = [server.connect() for _ in range(count)]
    for client in clients:
        client.echo(b'half a message')
    return clients


@pytest.fixture
def events(workdir):
    return Events(workdir)


# Stopped processes

def test_stopped_sibling_holds_the_life_line(start, stops):
    """A session stopped as it was born outlives its nursery: master goes
    on, and a new nursery serves."""
    server = start(launcher=stops.launcher, options=['-T', '10'])
    master, monitor = server.pid('master'), server.pid('monitor')
    nursery = server.pid('nursery')
    stops.begin('close_range', nursery)
    client = Client(server.address, server.port, handshake=False)
    sibling = stops.wait()
    assert server.role(sibling) == 'nursery', 'a session by now'
    kill(nursery)
    wait_for(lambda: read_stat(nursery) is None, 5, 'its end to be noticed')
    assert_quiet(server, [master, monitor])
    assert is_stopped(sibling)
    wait_for(lambda: is_served(server), 10, 'service by a new nursery')
    # -T is for a session that does not answer, too.
    hear_nothing_of(client)
    wait_for(lambda: read_stat(sibling) is None or read_stat(
        sibling).state == 'Z', 10, 'the stopped session to be killed')
    server.wait_idle(4)


def test_session_that_stays_after_its_last_word(start, stops):
    """It is waited for no longer than ten seconds, and counts until then."""
    server = start(launcher=stops.launcher)
    monitor = server.pid('monitor')
    stops.begin('exit_group', server.pid('nursery'))
    with server.connect() as client:
        client.echo(b'x')
        client.close_notify()
        assert client.wait_end() == 'notify'
    session = stops.wait()
    assert server.pid('session') == session
    assert 'status: 0/' not in server.log()
    wait_for(lambda: read_stat(session) is None, 20, 'its end')
    server.wait_idle(4)
    wait_for(lambda: 'status: 0/' in server.log(), 5, 'its place to be free')
    assert server.pid('monitor') == monitor
    assert is_served(server)


def test_stopped_nursery(start):
    """After -T a new one serves."""
    server = start(options=['-T', '2'])
    with server.connect() as running:
        running.echo(b'x')
        nursery = server.pid('nursery')
        server.signal(signal.SIGSTOP, nursery)
        client = Client(server.address, server.port, handshake=False)
        hear_nothing_of(client)
        wait_for(lambda: nursery not in server.pids('nursery'), 5,
                 'the stopped nursery to be killed')
        wait_for(lambda: is_served(server), 10, 'service by a new nursery')
        running.echo(b'y')
    server.wait_idle(4)


def test_stopped_before_exec_holds_nothing(start, stops):
    """A child that a program of its uid has stopped before exec has no
    descriptor of master's: neither it nor others live longer by it."""
    server = start(launcher=stops.launcher)
    master, front = server.pid('master'), server.front
    with server.connect() as other:
        other.echo(b'x')
        stops.begin('execve', master)
        with server.connect():
            child = stops.wait()
            assert server.role(child) == 'master', 'it has called exec'
            server.check_service()
            other.echo(b'y')
            if ROOT:
                check_descriptors(child)
            kill(master)
            assert other.wait_end() in ENDS
            assert server.process.wait(PATIENCE) == 111

            def others_left():
                return {stat.pid for stat in server.stats()} <= {child, front}
            wait_for(others_left, 5, 'the end of all others')
            assert is_stopped(child)
            with pytest.raises(OSError):
                socket.create_connection((server.address, server.port), 5)


def check_descriptors(child):
    assert status_fields(child)['Uid'][1] == str(PROGRAM_ID)
    found = descriptors(child)
    assert {0, 1, 2} < set(found) and len(found) == 4, found
    report = (set(found) - {0, 1, 2}).pop()
    for number in (0, 1, report):
        assert found[number].startswith('pipe:'), found
    assert len({found[0], found[1], found[report]}) == 3, found


@pytest.mark.root
def test_stopped_before_exec_is_closed_to_its_uid(start, stops):
    """It still has master's memory then, which its uid must not see."""
    server = start(launcher=stops.launcher)
    stops.begin('execve', server.pid('master'))
    with server.connect():
        child = stops.wait()
        assert status_fields(child)['Uid'][1] == str(PROGRAM_ID)
        for name in ('mem', 'maps', 'environ', 'cwd', 'fd/0', 'exe'):
            result = subprocess.run(
                ['/usr/bin/head', '-c', '1', f'/proc/{child}/{name}'],
                user=PROGRAM_ID, group=PROGRAM_ID, extra_groups=[],
                capture_output=True, check=False)
            assert result.returncode != 0 and result.stdout == b'', name
            assert b'Permission denied' in result.stderr, result.stderr
        os.kill(child, signal.SIGCONT)


def test_stopped_before_exec_holds_nobody_up(start, stops):
    """Others are served meanwhile; it goes on when it is let.  With much
    time: its connection ends after 30 s, and so does the child."""
    server = start(launcher=stops.launcher, options=['-c', '3'])
    stops.begin('execve', server.pid('master'))
    with server.connect() as client:
        child = stops.wait()
        for _ in range(5):
            server.check_service()
        assert_quiet(server, [server.pid('monitor')])
        if SLOW == 1:
            os.kill(child, signal.SIGCONT)
            client.echo(b'at last')
            client.close_notify()
            assert client.recv_all() == b''
        else:
            client.sock.settimeout(60)
            assert client.wait_end() in ENDS
            server.wait_log('for pid: %d program not started in time$' % child)
            server.wait_log('^sslserver: ended by %d status 9$' % child)
    server.wait_idle(4)


STOPPER = r'''
import os, signal, time
seen, end = set(), time.monotonic() + 2
os.write(1, b'ready\n')
while time.monotonic() < end:
    with open('/proc/loadavg') as file:
        last = int(file.read().split()[-1])
    for pid in range(last - 2, last + 30):
        try:
            if pid != os.getpid() and pid not in seen:
                os.kill(pid, signal.SIGSTOP)
                seen.add(pid)
        except OSError:
            pass
os.write(1, b'%d\n' % len(seen))
'''


@pytest.mark.root
def test_program_that_stops_its_siblings(start):
    """In a loop, whatever of its uid is new: it gets programs, but no
    role, and everybody else is served."""
    server = start('/bin/sh', '-c', 'read line; case "$line" in attack) '
                   'exec "$0" -c "$1";; *) echo "$line";; esac',
                   sys.executable, STOPPER, options=['-c', '40'])
    before = server.roles()
    with server.connect() as attacker:
        clients = []
        attacker.send(b'attack\n')
        assert attacker.recv_exactly(6) == b'ready\n'
        ended = time.monotonic() + 2 * SLOW
        while time.monotonic() < ended and len(clients) < 30:
            client = server.connect()
            client.send(b'hello\n')
            clients.append(client)
        stopped = int(attacker.recv_all())
    assert stopped > 0, 'nobody was stopped'
    assert_quiet(server, server.pids('monitor') + server.pids('nursery'))
    assert server.exchange(b'service\n') == b'service\n'
    for stat in server.stats():
        if stat.state == 'T':
            assert status_fields(stat.pid)['Uid'][1] == str(PROGRAM_ID)
            kill(stat.pid)
    for client in clients:
        client.close()
    server.wait_idle(5)
    assert server.roles() == before, 'a role has been replaced'


# Too few descriptors

def test_too_few_files_is_always_said(pki):
    """Whoever is first to end: the sentence has both numbers."""
    setpriv = find_command('setpriv')
    if ROOT and setpriv is None:
        pytest.skip('setpriv is not installed')
    launcher = (setpriv, '--bounding-set=-sys_resource') if ROOT else ()

    def before():
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
        # On one processor master often writes before the monitor ends.
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])

    for number in range(20):
        result = run_server(['127.0.0.1', '0', '/bin/cat'], env=pki.ecdsa,
                            preexec=before, launcher=launcher)
        assert result.code == 111, (number, result)
        assert re.fullmatch(r'sslserver: fatal: \(111\) .*\b\d{3,}\b.*\b200\n',
                            result.err), (number, result)


# --strict-close and --drain: never end of file before SIGTERM

@pytest.mark.parametrize('roles', [['monitor'], ['session'],
                                   ['nursery', 'session']], ids='+'.join)
def test_strict_close_and_killed_roles(start, events, roles):
    server = start(*events.command('ignore'), options=['--strict-close'])
    clients = several(server)
    # Whatever the others do first, master is late with its signal.
    master = server.pid('master')
    os.kill(master, signal.SIGSTOP)
    for pid in sum((server.pids(role) for role in roles), []):
        kill(pid)
    for client in clients:
        assert client.wait_end() in ENDS
        client.close()
    os.kill(master, signal.SIGCONT)
    events.wait('EXIT', 10, count=len(clients))
    events.assert_term_first()
    wait_for(lambda: is_served(server), 10, 'service afterwards')


def test_strict_close_and_a_grandchild(start, workdir):
    """The program has ended and has no signal to wait for: whoever reads
    its 0 sees the end."""
    path = os.path.join(workdir, 'end')
    server = start('/bin/sh', '-c', 'exec 3<&0; '
                   '(cat <&3; echo end >"$0") & echo gone', path,
                   options=['--strict-close'])
    with server.connect() as client:
        assert client.recv_exactly(5) == b'gone\n'
        server.wait_log('^sslserver: ok')
        wait_for(lambda: not any(stat.ppid == server.pid('master')
                                 and server.role(stat.pid) == 'program'
                                 for stat in server.stats()), 5,
                 'the end of the program itself')
        client.echo(b'half a message')
        client.fin()
        wait_for(lambda: read_text(path) == 'end\n', 5,
                 'end of file for the grandchild')
        client.wait_end()
    server.wait_idle(4)


@pytest.mark.parametrize('options', [[], ['--strict-close']], ids=repr)
def test_end_of_drain(start, events, options):
    """The client is cut off, the program has its signal first."""
    server = start(*events.command('ignore'),
                   options=['--drain', '1'] + options)
    clients = several(server)
    server.signal(signal.SIGTERM)
    for client in clients:
        assert client.wait_end() in ENDS
        client.close()
    events.wait('EXIT', 10, count=len(clients))
    events.assert_term_first()
    assert server.process.wait(PATIENCE) == 0
    server.wait_gone(5)


# The log

def test_log_reader_that_is_late_and_does_not_block(start):
    """A small pipe that somebody has made non-blocking: no line is torn,
    and what is missing has been counted."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, getattr(fcntl, 'F_SETPIPE_SZ', 1031), 4096)
    os.set_blocking(writer, False)
    try:
        server = start(stderr=writer)
    finally:
        os.close(writer)
    text, connections = b'', 0
    with open(reader, 'rb') as log:
        while connections < 400 or b'lost\n' not in text:
            with Client(server.address, server.port,
                        handshake=False) as client:
                client.sock.sendall(b'this is not TLS at all, is it?\r\n')
                client.wait_close()
            connections += 1
            assert connections < 500, 'lost lines are not counted'
            if connections >= 400:
                # Late, and then fast enough that no more is lost.
                text += read_for_a_moment(reader)
        server.signal(signal.SIGTERM)
        text += log.read()
    lines = text.decode().splitlines(keepends=True)
    known = re.compile(
        r'sslserver: (status: \d+/40/\d+|pid \d+ from 127\.0\.0\.1|'
        r'ok \d+ \S+ \S+|fatal: \(111\) unable to accept TLS .*|'
        r'ended by \d+ status 28416|(cert|key) \d+ \S+|'
        r'warning: (\d+) log lines lost)\n')
    assert [line for line in lines if not known.fullmatch(line)] == []
    lost = [int(match.group(3)) for match in map(known.fullmatch, lines)
            if match.group(3)]
    # Six lines for each connection, and the certificate and key.
    assert len(lines) - len(lost) + sum(lost) == 2 + connections * 6
    assert server.process.wait(PATIENCE) == 0


def read_for_a_moment(reader):
    """What is there, until nothing comes for a tenth of a second."""
    text = b''
    while select.select([reader], [], [], 0.1)[0]:
        piece = os.read(reader, 65536)
        if not piece:
            break
        text += piece
    return text


# Without a colon, which separates the names of files.
FORGED = 'none\nsslserver forged'


@pytest.mark.parametrize('name', ['CERTFILE', 'KEYFILE', 'DHFILE',
                                  'CIPHERS', 'TLSGROUPS', 'TLSMIN'])
def test_newline_in_a_setting(pki, name):
    """One failure stays one line."""
    result = run_server(['127.0.0.1', '0', '/bin/cat'],
                        env={**pki.ecdsa, name: FORGED})
    assert result.code == 111, result
    assert re.fullmatch(r'sslserver: fatal: \(111\) .*none\?sslserver forged'
                        r'.*\n', result.err), result.err


def test_newline_in_names_of_a_running_server(start, pki, workdir):
    """Certificate and program are named in the log, each on one line."""
    path = os.path.join(workdir, FORGED)
    os.symlink(pki.ecdsa['CERTFILE'], path)
    server = start(path + '/program', certs={**pki.ecdsa, 'CERTFILE': path})
    with server.connect() as client:
        assert client.wait_end() in ENDS
    server.wait_log(r'^sslserver: cert \d+ /.*/none\?sslserver forged$')
    server.wait_log(r'unable to run /.*/none\?sslserver forged/program for')
    server.wait_log('^sslserver: ended by')
    assert not server.lines('^sslserver forged')


# The program's own descriptors

@pytest.mark.root
def test_standard_descriptors_can_be_opened(start):
    """/dev/stdout is a pipe that the program's user may open anew."""
    server = start('/bin/sh', '-c', 'echo opened >/dev/stdout; '
                   'exec cat </dev/stdin')
    with server.connect() as client:
        assert client.recv_exactly(7) == b'opened\n'
        client.echo(b'x')


def test_input_after_closed_output(start, events):
    """A program that has closed 1 and reads 0 gets all of the input."""
    server = start(*events.command('greet', 'mute'))
    with server.connect() as client:
        assert client.recv_all() == b'ready\n'
        for _ in range(16):
            client.send(bytes(65536))
        # Longer than input is thrown away for one that does not read.
        time.sleep(2.5)
        client.send(bytes(1000))
        client.close_notify()
        events.wait('EXIT', 10)
    lines = events.seen()[0]
    got = sum(int(line[1]) for line in lines if line[0] == 'DATA')
    assert got == 16 * 65536 + 1000
    assert ['TERM'] not in lines
    server.wait_log(r'^sslserver: ended by \d+ status 0$')
    assert not server.lines('error|fatal')
