"""No failure of one connection or of one role stops the service."""

import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time

import pytest

from admission import say_nonsense
from harness import (LONG_LIVED, PATIENCE, ROOT, SLOW, Client, Truncated,
                     find_command, hold, proc_limits, read_text, run_server,
                     status_fields, tool, wait_for)

UNABLE = (ConnectionError, Truncated, AssertionError)


def is_served(server):
    try:
        return server.exchange(b'x') == b'x'
    except OSError:
        return False
    except Truncated:
        return False


class Forks:
    """Forks of a server fail while the flag file is there."""

    def __init__(self, workdir):
        self.flag = os.path.join(workdir, 'no-forks')
        self.launcher = (tool('failfork'), self.flag)

    def forbid(self, *pids):
        temporary = self.flag + '.new'
        with open(temporary, 'w', encoding='ascii') as file:
            file.write(''.join('%d\n' % pid for pid in pids))
        os.rename(temporary, self.flag)

    def allow(self):
        os.unlink(self.flag)

    def refusals(self):
        return len(read_text(self.flag + '.hits').split())


@pytest.fixture
def forks(workdir):
    found = Forks(workdir)
    done = subprocess.run(found.launcher + ('true',), check=False,
                          stderr=subprocess.PIPE)
    if done.returncode == 99:
        pytest.skip('no seccomp user notification: '
                    + done.stderr.decode().strip())
    assert done.returncode == 0, done.stderr
    return found


# How long a client waits for a process: half of BIRTHS_PATIENCE_MS.
SHORTAGE = 2.5


def through_a_shortage(forks, pids, attempt):
    """Runs attempt(allow), which calls allow when those may fork again.
    Its failure is none if that took so long that clients may be sent
    away; then there is another attempt."""
    for left in range(9, -1, -1):
        begun = time.monotonic()
        took = []

        def allow():
            forks.allow()
            took.append(time.monotonic() - begun)

        forks.forbid(*pids)
        try:
            return attempt(allow)
        except (AssertionError, OSError, Truncated):
            if left == 0 or not took or took[0] < SHORTAGE:
                raise


def test_a_moment_without_processes(start, forks):
    """Nobody is sent away for it, neither who is in nor who is queued."""
    server = start(launcher=forks.launcher)
    running = server.connect()

    def attempt(allow):
        seen = len(server.lines('accepting pauses'))
        clients = [server.connect(handshake=False) for _ in range(12)]
        server.wait_log('^sslserver: warning: accepting pauses: .*'
                        'temporarily unavailable', count=seen + 1)
        assert len(server.pids('session')) == 1
        running.echo(b'x')
        allow()
        for client in clients:
            client.handshake()
            client.echo(b'y')
            client.close()

    through_a_shortage(forks, [server.pid('nursery')], attempt)
    running.close()
    server.wait_idle()
    server.wait_log('^sslserver: status: 0/')


def test_time_is_over_without_a_process(start, forks):
    """-T is the earlier end: one line, and the nursery is not to blame."""
    server = start(options=['-T', '1'], launcher=forks.launcher)
    nursery = server.pid('nursery')
    forks.forbid(nursery)
    with pytest.raises(UNABLE):
        server.exchange(b'x')
    server.wait_log('^sslserver: fatal: .* handshake timeout')
    forks.allow()
    wait_for(lambda: is_served(server), what='service after the failure')
    server.wait_idle()
    server.wait_log('^sslserver: status: 0/')
    assert not server.lines('unable to make a session')
    assert server.pid('nursery') == nursery


def test_fork_failure_in_the_nursery(start, forks):
    """That client gets no session; running and later ones are served."""
    server = start(launcher=forks.launcher)
    with server.connect() as client:
        client.echo(b'x')
        forks.forbid(server.pid('nursery'))
        for _ in range(3):
            with pytest.raises(UNABLE):
                server.exchange(b'x')
        assert forks.refusals() >= 3
        server.wait_log(r'^sslserver: (fatal|error): \(111\) .*'
                        r'temporarily unavailable', count=3)
        client.echo(b'y')
        forks.allow()
        wait_for(lambda: is_served(server), what='service after the failure')
        client.echo(b'z')
    server.wait_idle()
    server.wait_log('^sslserver: status: 0/')


def test_fork_failure_in_master(start, forks):
    """No process for the program: a line with the session's pid."""
    server = start(launcher=forks.launcher)
    with server.connect() as client:
        client.echo(b'x')
        forks.forbid(server.pid('master'))
        for _ in range(3):
            with server.connect() as refused:
                assert refused.wait_end() != 'notify'
        assert forks.refusals() >= 3
        lines = server.wait_log(
            r'^sslserver: fatal: \(111\) unable to run /bin/cat for pid: '
            r'(\d+) .*temporarily unavailable', count=3)
        for match in lines:
            pid = match.group(1)
            server.wait_log('^sslserver: pid %s from' % pid)
            server.wait_log('^sslserver: ended by %s status 28416$' % pid)
        client.echo(b'y')
        forks.allow()
        wait_for(lambda: is_served(server), what='service after the failure')
        client.echo(b'z')
    server.wait_idle()


def test_fork_failure_of_a_replacement(start, forks):
    """A role that cannot be restarted now is restarted later."""
    server = start(launcher=forks.launcher)
    with server.connect() as client:
        client.echo(b'x')
        forks.forbid(server.pid('master'))
        server.signal(signal.SIGKILL, server.pid('nursery'))
        wait_for(lambda: forks.refusals() >= 1, 10, 'an attempt to restart')
        client.echo(b'y')
        forks.allow()
        wait_for(lambda: is_served(server), 20, 'service after the failure')
        client.echo(b'z')
    server.wait_idle(4)


def test_fork_failure_at_start(start, forks):
    """Nothing runs yet: one sentence, 111."""
    forks.forbid()
    server = start(launcher=forks.launcher, ready=False)
    assert server.process.wait(PATIENCE) == 111
    assert re.search(r'^sslserver: fatal: \(111\) .*fork', server.log())


# Descriptors

def without_sys_resource():
    """A launcher under which a hard limit is a limit for root, too."""
    if not ROOT:
        return ()
    setpriv = find_command('setpriv')
    if setpriv is None:
        pytest.skip('setpriv is not installed')
    return (setpriv, '--bounding-set=-sys_resource')


def limit_files(number):
    def before():
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))
    return before


def test_too_few_descriptors_for_the_limit(pki):
    """The start fails with both numbers in the sentence."""
    result = run_server(['-c', '1000', '127.0.0.1', '0', '/bin/cat'],
                        env=pki.ecdsa, preexec=limit_files(257),
                        launcher=without_sys_resource())
    assert result.code == 111, result
    lines = [line for line in result.err.splitlines() if 'fatal' in line]
    assert len(lines) == 1
    assert '257' in lines[0]
    numbers = [int(word) for word in re.findall(r'\d+', lines[0])]
    assert max(numbers) > 1000


def test_descriptors_for_those_that_run(start):
    """The limit is too low for all that -c lets begin at once: those above
    it wait, the service goes on, and a new nursery finds its place."""
    server = start(options=['-c', '1000', '-b', '128', '-T', '600',
                            '--keepers', '1'],
                   preexec=limit_files(1400), launcher=without_sys_resource())
    monitor = server.pid('monitor')
    assert proc_limits(monitor)['Max open files'] == (1400, 1400)
    running = [server.connect() for _ in range(20)]
    silent = [Client(server.address, server.port, handshake=False)
              for _ in range(500)]
    server.wait_log('^sslserver: warning: accepting pauses: .*', 60)
    wait_for(lambda: len(server.pids('session')) >= 350, 60, 'sessions')
    assert len(server.pids('session')) < 480
    assert highest_descriptor(monitor) < 1400 - 80
    running[0].echo(b'a')
    old = server.pid('nursery')
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: [pid for pid in server.pids('nursery') if pid != old],
             60, 'another nursery')
    running[0].echo(b'b')
    for client in silent:
        client.close()
    wait_for(lambda: is_served(server), 60, 'service afterwards')
    for client in running:
        client.echo(b'c')
        client.close()


def test_soft_limit_is_raised(start):
    """A low soft limit is no obstacle, and the program gets it back."""
    def before():
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))

    server = start('/bin/sh', '-c', 'ulimit -n; exec cat', preexec=before,
                   options=['-c', '100', '-b', '100'])
    clients = [server.connect() for _ in range(60)]
    for client in clients:
        assert client.recv_exactly(3) == b'64\n'
        client.echo(b'x')
    for client in clients:
        client.close()


def set_files(pid, number):
    """Sets the soft limit of a process; returns what it was.  The kernel
    lets its own user do that, and root not in every container."""
    soft, hard = proc_limits(pid)['Max open files']
    status = status_fields(pid)
    command = 'import resource, sys; resource.prlimit(int(sys.argv[1]), ' \
        'resource.RLIMIT_NOFILE, (int(sys.argv[2]), int(sys.argv[3])))'
    who = {} if not ROOT else {
        'user': int(status['Uid'][0]), 'group': int(status['Gid'][0]),
        'extra_groups': []}
    subprocess.run([sys.executable, '-c', command, str(pid), str(number),
                    str(hard)], check=True, cwd='/', **who)
    return soft


def test_descriptors_run_out(start):
    """Accepting pauses, nothing spins, nobody is dropped; when there are
    descriptors again the clients that waited are served."""
    server = start(options=['-c', '30'])
    first = server.connect()
    first.echo(b'x')
    monitor = server.pid('monitor')
    soft = set_files(monitor, highest_descriptor(monitor) + 1)
    waiting = [Client(server.address, server.port, handshake=False)
               for _ in range(5)]
    for client in waiting:
        client.sock.sendall(client.first_flight())
    first.echo(b'y')
    server.wait_log('^sslserver: (warning|error): .*')
    before = server.ticks()[monitor]
    lines = len(server.log().splitlines())
    time.sleep(1)
    hz = os.sysconf('SC_CLK_TCK')
    assert server.ticks()[monitor] - before <= hz // 10, 'the monitor spins'
    assert len(server.log().splitlines()) - lines < 50, 'the log is flooded'
    first.echo(b'z')
    set_files(monitor, soft)
    served = 0
    for client in waiting:
        try:
            client.sock.settimeout(5 * SLOW)
            client._fill()
            served += 1
        except (Truncated, ConnectionResetError):
            pass
        client.close()
    assert served >= 3, 'waiting clients were dropped'
    wait_for(lambda: is_served(server), what='service afterwards')
    first.close()
    server.wait_idle(4)


def highest_descriptor(pid):
    """So many descriptors a process needs at least for what it has now."""
    if ROOT:
        return max(int(name) for name in os.listdir('/proc/%d/fd' % pid)) + 1
    # Only root may look.  No role starts with many more than this.
    return 16


def test_descriptors_run_out_in_the_nursery(start):
    """A session cannot be given its descriptors: its client is refused."""
    server = start()
    with server.connect() as client:
        client.echo(b'x')
        nursery = server.pid('nursery')
        soft = set_files(nursery, 6)
        for _ in range(2):
            with pytest.raises(UNABLE):
                server.exchange(b'x')
        client.echo(b'y')
        wait_for(lambda: 'nursery' in server.roles(), what='a nursery')
        if nursery in server.pids('nursery'):
            set_files(nursery, soft)
        wait_for(lambda: is_served(server), 10, 'service afterwards')
        client.echo(b'z')
    server.wait_idle(4)


def test_descriptors_run_out_in_master(start):
    """A program cannot be given its pipes: that connection fails."""
    server = start()
    with server.connect() as client:
        client.echo(b'x')
        master = server.pid('master')
        soft = set_files(master, highest_descriptor(master) + 1)
        for _ in range(2):
            with pytest.raises(UNABLE):
                server.exchange(b'x')
        client.echo(b'y')
        set_files(master, soft)
        wait_for(lambda: is_served(server), 10, 'service afterwards')
        client.echo(b'z')
    server.wait_idle(4)


# Killed processes

def test_session_killed(start):
    """Its connection ends, its program is told, its place is free."""
    server = start(options=['-c', '2'])
    with server.connect() as other, server.connect() as client:
        other.echo(b'x')
        client.echo(b'x')
        program = program_of(server, client)
        session = int(server.lines('^sslserver: pid')[-1].split()[2])
        server.signal(signal.SIGKILL, session)
        assert client.wait_end() in ('cut', 'reset')
        server.wait_log('^sslserver: ended by %d status ' % program)
        other.echo(b'y')
        server.check_service()
    server.wait_idle()


def program_of(server, client):
    match = server.wait_log(
        r'^sslserver: ok (\d+) \S+ \S+:%d\b' % client.local[1])
    return int(match[0].group(1))


def test_session_killed_in_handshake(start):
    server = start()
    client = Client(server.address, server.port, handshake=False)
    session = int(server.wait_log(r'^sslserver: pid (\d+)')[0].group(1))
    server.signal(signal.SIGKILL, session)
    client.wait_close()
    client.close()
    server.wait_log('^sslserver: ended by %d status 28416$' % session)
    server.check_service()
    server.wait_idle()


def test_program_killed(start):
    """The client sees the end; the log has the signal."""
    server = start()
    with server.connect() as client:
        client.echo(b'x')
        program = program_of(server, client)
        server.signal(signal.SIGKILL, program)
        client.wait_end()
    server.wait_log('^sslserver: ended by %d status 9$' % program)
    server.check_service()


def replaced(server, role, old):
    """Kills a role; returns when another one has taken its place."""
    server.signal(signal.SIGKILL, old)

    def look():
        pids = server.pids(role)
        return pids if pids and old not in pids else None
    return wait_for(look, 10, 'a new %s' % role)


def test_keeper_killed(start):
    """Replaced; running connections go on, later ones are served."""
    server = start(options=['--keepers', '1'])
    with server.connect() as client:
        client.echo(b'x')
        for _ in range(2):
            replaced(server, 'keeper', server.pid('keeper'))
            client.echo(b'y' * 10000)
            wait_for(lambda: is_served(server), 10, 'service')
    server.wait_idle(4)


def test_all_keepers_killed(start):
    server = start(options=['--keepers', '3'])
    with server.connect() as client:
        client.echo(b'x')
        old = set(server.pids('keeper'))
        for pid in old:
            server.signal(signal.SIGKILL, pid)
        wait_for(lambda: len(server.pids('keeper')) == 3
             and not old & set(server.pids('keeper')), 10, 'new keepers')
        wait_for(lambda: is_served(server), 10, 'service')
        client.echo(b'y')
    server.wait_idle(4)


def test_keeper_killed_during_handshakes(start):
    """Handshakes in progress fail or are served; none hangs."""
    server = start(options=['--keepers', '1', '-T', '5'])
    keeper = server.pid('keeper')
    server.signal(signal.SIGSTOP, keeper)
    clients = [Client(server.address, server.port, handshake=False)
               for _ in range(3)]
    for client in clients:
        client.sock.sendall(client.first_flight())
    server.wait_log('^sslserver: pid', count=3)
    replaced(server, 'keeper', keeper)
    for client in clients:
        client.sock.settimeout(8 * SLOW)
        try:
            client.handshake()
        except (Truncated, OSError):
            pass
        client.close()
    wait_for(lambda: is_served(server), 10, 'service')
    server.wait_idle(4)


def test_nursery_killed(start):
    """Replaced; running connections go on, later ones are served."""
    server = start()
    with server.connect() as client:
        client.echo(b'x')
        for _ in range(2):
            replaced(server, 'nursery', server.pid('nursery'))
            client.echo(b'y' * 10000)
            wait_for(lambda: is_served(server), 10, 'service')
        client.close_notify()
        assert client.recv_all() == b''
    server.wait_log(r'^sslserver: ended by \d+ status 0$')
    server.wait_idle(4)


@pytest.mark.root
def test_nursery_that_talks_nonsense(start):
    """It is replaced, and what runs goes on."""
    server = start()
    with server.connect() as client:
        client.echo(b'before')
        old = server.pid('nursery')
        master = server.pid('master')
        server.signal(signal.SIGSTOP, master)
        try:
            say_nonsense(old, max)
            # It lives on for a while.
            until = time.monotonic() + 0.5
            while time.monotonic() < until:
                client.echo(b'meanwhile')
        finally:
            server.signal(signal.SIGCONT, master)
        server.wait_log('nursery %d talked nonsense and was killed' % old)
        wait_for(lambda: server.pids('nursery') not in ([], [old]), 5,
                 'a new nursery')
        client.echo(b'after')
        server.check_service()


def test_orphaned_session_is_killed(start):
    """Its nursery is gone and it does not answer: master ends it."""
    server = start(options=['-T', '2'])
    client = Client(server.address, server.port, handshake=False)
    session = int(server.wait_log(r'^sslserver: pid (\d+)')[0].group(1))
    server.signal(signal.SIGSTOP, session)
    replaced(server, 'nursery', server.pid('nursery'))
    client.wait_close()
    client.close()
    server.wait_log('^sslserver: ended by %d status 28416$' % session,
                    seconds=8)
    wait_for(lambda: is_served(server), 10, 'service')
    server.wait_idle(4)


def test_logger_killed(start):
    """Replaced; running connections go on and are logged."""
    server = start()
    with server.connect() as client:
        client.echo(b'x')
        program = program_of(server, client)
        replaced(server, 'logger', server.pid('logger'))
        client.echo(b'y')
        wait_for(lambda: is_served(server), 10, 'service')
        before = len(server.log())
        server.check_service()
        wait_for(lambda: 'ended by' in server.log()[before:], 10,
             'log lines of the new logger')
    server.wait_log('^sslserver: ended by %d status 0$' % program)


def test_monitor_killed(start):
    """Connections end, programs are told, a new one starts at zero."""
    server = start('/bin/sh', '-c', 'trap "echo told >&2; exit 1" TERM; '
                   'read x; echo "$x"; while :; do sleep 0.1; done',
                   options=['-c', '2'])
    with server.connect() as client:
        client.send(b'hello\n')
        assert client.recv_exactly(6) == b'hello\n'
        replaced(server, 'monitor', server.pid('monitor'))
        assert client.wait_end() in ('cut', 'reset')
    server.wait_log('^told$')

    def works():
        try:
            with server.connect() as again:
                again.send(b'again\n')
                return again.recv_exactly(6) == b'again\n'
        except UNABLE:
            return False
    wait_for(works, 10, 'service under the new monitor')
    server.wait_log(r'^sslserver: status: 1/2/', count=2)


def test_monitor_killed_and_a_stubborn_program(start):
    """SIGKILL after 5 s, and only then a new monitor."""
    server = start(tool('events'), '/dev/null', 'ignore', 'stay')
    with server.connect() as client:
        client.echo(b'x')
        program = program_of(server, client)
        monitor = server.pid('monitor')
        server.signal(signal.SIGKILL, monitor)
        client.wait_end()
    wait_for(lambda: program not in server.pids('program'), 8,
         'the program to be killed')
    wait_for(lambda: is_served_by_events(server), 10, 'service')


def is_served_by_events(server):
    try:
        with server.connect() as client:
            client.echo(b'x')
            return True
    except UNABLE:
        return False


@pytest.mark.parametrize('role', sorted(LONG_LIVED - {'front', 'master'}))
def test_role_that_dies_again_and_again(start, role):
    """Restarts do not spin, and the service is there afterwards."""
    server = start(options=['--keepers', '1'])
    began = time.monotonic()
    deaths = 0
    while time.monotonic() - began < 2.5:
        for pid in server.pids(role):
            server.signal(signal.SIGKILL, pid)
            deaths += 1
        time.sleep(0.02)
    assert 1 <= deaths <= 30
    wait_for(lambda: is_served(server), 10, 'service')
    assert server.process.poll() is None
    server.wait_roles(10)


def test_stopped_session(start):
    """One that does not answer is killed when -T has passed."""
    server = start(options=['-T', '1', '-c', '1'])
    client = Client(server.address, server.port, handshake=False)
    session = int(server.wait_log(r'^sslserver: pid (\d+)')[0].group(1))
    server.signal(signal.SIGSTOP, session)
    client.sock.sendall(client.first_flight())
    client.wait_close()
    client.close()
    server.wait_log(r'for pid: %d handshake timeout$' % session)
    server.wait_log('^sslserver: ended by %d status 28416$' % session)
    wait_for(lambda: is_served(server), 10, 'service')
    server.wait_idle()


def test_stopped_sessions_program_dies(start):
    """A stopped session cannot hold its place when told to go."""
    server = start(options=['-c', '1', '--drain', '1'])
    with server.connect() as client:
        client.echo(b'x')
        server.signal(signal.SIGSTOP, server.pid('session'))
        server.signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == 0
    server.wait_gone(5)


# The log

def test_stuck_log_reader(start):
    """The service goes on, lost lines are counted and reported."""
    reader, writer = os.pipe()
    try:
        server = start(stderr=writer, log='-V', options=['-c', '20'])
    finally:
        os.close(writer)
    try:
        # A pipe and a socket are full after some hundred lines.
        lines = 0
        while lines < 6000:
            with Client(server.address, server.port,
                        handshake=False) as client:
                client.sock.sendall(b'this is not TLS at all, is it?\r\n')
                client.wait_close()
            lines += 6
        server.check_service()
        text = b''
        os.set_blocking(reader, False)

        def drained():
            nonlocal text
            try:
                while True:
                    piece = os.read(reader, 65536)
                    if not piece:
                        break
                    text += piece
            except BlockingIOError:
                pass
            if b'lost' in text:
                return True
            is_served(server)
            return False
        wait_for(drained, 10, 'a line about lost lines')
        match = re.search(rb'sslserver: .*?(\d+)\D* lost', text)
        assert match and int(match.group(1)) > 0, text[-500:]
        # What was logged before is whole.
        assert text.startswith(b'sslserver: ')
    finally:
        os.close(reader)


def test_log_reader_that_goes_away(start):
    """EPIPE on descriptor 2 ends neither logger nor service."""
    reader, writer = os.pipe()
    server = start(stderr=writer)
    os.close(writer)
    os.close(reader)
    for _ in range(5):
        server.check_service()
    server.wait_idle()
    assert server.stop() == 0


def test_closed_error_output(start):
    """Started without 2: no descriptor of ours may take its place."""
    def before():
        os.close(2)

    server = start(tool('showstate'), preexec=before)
    fds = json.loads(server.exchange())['fds']
    assert fds['0']['kind'] == fds['1']['kind'] == 'pipe'
    assert '2' not in fds or fds['2']['target'] == '/dev/null'
    assert sorted(fds)[:2] == ['0', '1'] and len(fds) <= 3


def test_start_while_many_descriptors_are_under_way(start):
    """Of any process of this user: a keeper waits until they have arrived."""
    if ROOT:
        pytest.skip('about an ordinary user')
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with here, there:
        for _ in range(10):
            socket.send_fds(here, [b'x'], [0] * 4)
        server = start(ready=False)
        server.wait_log('^sslserver: key ')
        hold(lambda: server.process.poll() is None, 1, 'the start')
    server.wait_ready()
    server.check_service()
