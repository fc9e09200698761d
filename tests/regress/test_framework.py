"""libsslhandle: a function of the program's, called for one client after
another in children that are ready before."""

import os
import re
import resource
import shutil
import signal
import socket
import subprocess

import pytest

import harness
from admission import make_rules
from clientpki import ClientPki
from frameworkrun import (State, do, ended, framework, state, wait_workers,
                          workers)
from harness import (PROGRAM_ID, SANITIZED, TLS13, kill, read_proc, run_server,
                     status_fields, tls_context, wait_for)
from oddcerts import CN, Authority, name

# Of each connection, and not to be compared.
VARYING = re.compile(r'SSLREMOTEPORT|TCPREMOTEPORT|SSL_SESSION_ID|'
                     r'SSL_EXPORTER')


@pytest.fixture(scope='module')
def program(top_directory):
    return framework(top_directory)


@pytest.fixture(scope='module')
def clients(top_directory):
    return ClientPki(os.path.join(top_directory, 'framework-clients'))


@pytest.fixture
def serve(start, program):
    """A server with so many workers."""
    def starter(*words, count=1, options=(), **settings):
        server = start(*(words or ('one', 'two')), command=program,
                       options=['-c', count, '-l', 'here'] + list(options),
                       **settings)
        wait_workers(server, count)
        return server
    return starter


def read_state(client):
    """What was asked for, in however many pieces it comes."""
    text = b''
    while not text.endswith(b'\nend\n'):
        piece = client.recv()
        assert piece, 'it ended after %r' % text
        text += piece
    return State(text)


def is_listening(server):
    with socket.socket() as one:
        return one.connect_ex((server.address, server.port)) == 0


def everything(found):
    """A State as it is to be for every client."""
    return ([line for line in found.lines
             if line[0] not in ('calls', 'env') and not
             (line[0] == 'fd' and line[1].startswith(('0 ', '1 ')))],
            {name: value for name, value in found.env.items()
             if not VARYING.match(name)})


# ---------------------------------------------------------------------------
# What a worker is

def test_worker_is_like_a_program(serve, workdir):
    server = serve(cwd=workdir, env={'HERE': 'yes', 'SSLREMOTEHOST': 'liar',
                                     'SSL_CIPHER': 'none'})
    found = state(server)
    assert found.all('word') == ['one', 'two'] and found.last == '1'
    assert found.directory == os.path.realpath(workdir)
    assert found.group == str(os.getpgid(server.front))
    assert found.session == str(server.front)
    assert not found.all('blocked')
    # A sanitizer has handlers of its own.
    assert SANITIZED or not found.all('changed')
    assert found.timer == '0' and found.child == '0'
    env = found.env
    assert env['HERE'] == 'yes' and env['PROTO'] == 'TLS'
    assert env['SSLREMOTEIP'] == '127.0.0.1' and env['SSLLOCALHOST'] == 'here'
    assert 'SSLREMOTEHOST' not in env and 'SSL_CIPHER' not in env
    assert found.fds[0].startswith('pipe:') and found.fds[1].startswith('pipe:')
    assert found.fds[2] == server.log_path
    # Its own: channel, /dev/null, descriptor 2 once more, the directory.
    assert set(found.fds) == {0, 1, 2, 60, 61, 62, 63}
    assert found.fds[60].startswith('socket:')
    assert found.fds[61] == '/dev/null'
    assert found.fds[62] == server.log_path
    assert found.fds[63] == os.path.realpath(workdir)


def test_no_words_are_needed(workdir, program, pki):
    server = harness.Server(workdir, (), command=program, certs=pki.ecdsa,
                            options=['-c', '1'])
    try:
        found = state(server.wait_ready())
    finally:
        server.destroy()
    assert found.all('word') == [] and found.last == '1'


@pytest.mark.root
def test_worker_has_the_identity_of_a_program(serve):
    server = serve(count=3)
    found = state(server)
    both = '%d %d' % (PROGRAM_ID, PROGRAM_ID)
    assert found.uid == both and found.gid == both and found.groups == '1'
    for pid in workers(server):
        fields = status_fields(pid)
        assert fields['Uid'] == [str(PROGRAM_ID)] * 4
        assert fields['Gid'] == [str(PROGRAM_ID)] * 4
        assert fields['NoNewPrivs'] == ['0'] and fields['Seccomp'] == ['0']
        assert fields['PPid'] == [str(server.pid('master'))]
        # May be looked into by its user, as a program.
        assert os.stat('/proc/%d/status' % pid).st_uid == PROGRAM_ID


@pytest.mark.root
def test_worker_under_root_directory(serve, workdir):
    os.mkdir(os.path.join(workdir, 'inside'))
    server = serve(options=['--root', os.path.join(workdir, 'inside')])
    assert state(server).directory == '/'
    do(server, 'spoil')
    assert state(server).directory == '/'


def test_workers_hold_nothing_of_the_server(serve):
    """Neither listener nor anything else: what they have is idle."""
    server = serve(count=2)
    for pid in workers(server):
        targets = harness.descriptors(pid)
        assert set(targets) == {0, 1, 2, 60, 61, 62, 63}
        assert targets[0] == targets[1] == targets[61] == '/dev/null'
        sockets = [fd for fd, target in targets.items()
                   if target.startswith('socket:')]
        assert sockets == [60]


def test_workers_are_older_than_keepers(serve):
    """So no key can be in them, whatever becomes of keepers."""
    server = serve(count=2)

    def began(pid):
        text = read_proc(pid, 'stat').decode('latin-1')
        return int(text[text.rindex(')') + 2:].split()[19])

    newest = max(began(pid) for pid in workers(server))
    assert newest <= min(began(pid) for role in ('keeper', 'nursery')
                         for pid in server.pids(role))


def test_so_many_as_connections(serve):
    server = serve(count=5)
    held = [server.connect() for _ in range(5)]
    found = []
    for client in held:
        client.send(b'state\n')
        found.append(int(read_state(client).pid))
    assert set(found) == workers(server) and len(set(found)) == 5
    for client in held:
        client.close_notify()
        assert client.wait_end() == 'notify'
        client.close()
    assert workers(server) == set(found)


def test_standard_output_opens_again(serve):
    assert do(serve(), 'reopen this') == b'this\n'


def test_environment_of_many_pieces(serve, top_directory):
    """More than one message between our processes takes; and a short one
    behind it."""
    authority = Authority(top_directory)
    server = serve(options=['-s', '-m', '-H'], env={'CAFILE': authority.file})
    for number, subject in enumerate((b'\n' * 26000, b'small') * 2):
        path = authority.write('client-%d.pem' % number, authority.make(
            name((CN, subject))))
        done = subprocess.run(
            ('openssl', 's_client', '-quiet', '-cert', path, '-key',
             authority.key, '-connect', '127.0.0.1:%d' % server.port),
            input=b'state\nreturn\n', stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, timeout=60, check=True)
        env = State(done.stdout).env
        shown = subject.decode().replace('\n', r'\x0A')
        assert env['SSL_CLIENT_S_DN'] == '/CN=' + shown
        assert (sum(map(len, env.values())) > 200000) == (number % 2 == 0)


# ---------------------------------------------------------------------------
# From one client to the next

def test_hundred_clients_through_one_child(serve, workdir, clients):
    """Rules, certificates and environments: nothing of one client is found
    by another, in whatever order they come."""
    rules = ''.join('127.0.1.%d:allow,NUMBER="%d",ONLY_%d="x"\n'
                    % (i, i, i % 10) for i in range(1, 100, 2))
    # Even ones remove what is there, or need a certificate.
    rules += ''.join('127.0.1.%d:allow,HERE="",CCAVERIFY="m"\n' % i
                     for i in range(2, 101, 2))
    server = serve(options=['-s', '-x', make_rules(
        os.path.join(workdir, 'rules.cdb'), rules)],
        env={'HERE': 'yes', 'CAFILE': clients.root})
    with_certificate = tls_context(**TLS13)
    with_certificate.load_cert_chain(clients.path('good.pem'), clients.key)
    pids, expected = set(), {}
    for i in range(1, 101):
        number = i * 37 % 100 + 1
        is_even = number % 2 == 0
        do_more = {'source': '127.0.1.%d' % number,
                   'context': with_certificate if is_even else None}
        found = state(server, **do_more)
        env = found.env
        assert env['SSLREMOTEIP'] == '127.0.1.%d' % number
        own = {name for name in env
               if name in ('NUMBER', 'CCAVERIFY') or name.startswith('ONLY_')}
        if is_even:
            assert own == {'CCAVERIFY'} and env['HERE'] == ''
            assert env['SSL_CLIENT_VERIFY'] == 'SUCCESS'
            assert 'SSL_CLIENT_CERT' in env
        else:
            assert own == {'NUMBER', 'ONLY_%d' % (number % 10)}
            assert env['NUMBER'] == str(number) and env['HERE'] == 'yes'
            assert env['SSL_CLIENT_VERIFY'] == 'NONE'
            assert not [name for name in env
                        if name.startswith('SSL_CLIENT_') and
                        name != 'SSL_CLIENT_VERIFY']
        pids.add(found.pid)
        # All of it, but what is this client's alone.
        rest = {name: value for name, value in env.items()
                if name not in own and name != 'SSLREMOTEIP' and
                not VARYING.match(name)}
        both = (everything(found)[0], rest)
        assert expected.setdefault(is_even, both) == both, number
        if i % 3 == 0:
            do(server, 'spoil', **do_more)
    assert len(pids) == 1
    assert int(found.calls) == 133


def test_everything_is_put_back(serve, workdir):
    server = serve(env={'HERE': 'yes'}, cwd=workdir)
    before = state(server)
    do(server, 'spoil', 'return', 'more', 'and more')
    after = state(server)
    assert everything(after) == everything(before)
    assert (before.calls, after.calls) == ('1', '3')
    # What it complains of goes to the log again.
    do(server, 'complain after that')
    server.wait_log('^after that$')


def test_input_that_was_not_asked_for_is_not_the_next_ones(serve):
    server = serve()
    assert do(server, 'say one', 'return', 'say two', 'exit 7') == b'one\n'
    assert do(server, 'say three') == b'three\n'


def test_output_is_flushed(serve):
    server = serve()
    with server.connect() as client:
        client.send(b'say %s\nreturn\n' % (b'x' * 4000))
        assert client.recv_all() == b'x' * 4000 + b'\n'


def test_output_that_nobody_takes_is_not_the_next_ones(serve):
    """The first client has gone; what was for it ends the child, as it
    would a program, or is dropped."""
    server = serve()
    client = server.connect()
    client.send(b'state\n')
    read_state(client)
    client.send(b'say %s\n' % (b'x' * 3000))
    client.reset()
    server.wait_log('^framework: ended by ')
    wait_workers(server, 1)
    assert do(server, 'say second') == b'second\n'


def test_descriptors_do_not_add_up(serve):
    server = serve()
    for _ in range(30):
        do(server, 'spoil')
    pid, = workers(server)
    assert len(harness.descriptors(pid)) == 7


def test_zombies_are_reaped(serve):
    server = serve()
    pid, = workers(server)
    do(server, 'zombie', 'zombie')
    assert state(server).pid == str(pid)
    wait_for(lambda: not server.pids('zombie'), 5, 'no zombie')


# ---------------------------------------------------------------------------
# What ends a worker, and what does not

@pytest.mark.parametrize('line, status', [
    ('exit 0', 0), ('exit 7', 7 * 256),
    ('raise %d' % signal.SIGKILL, signal.SIGKILL),
    ('raise %d' % signal.SIGTERM, signal.SIGTERM)])
def test_one_that_ends_is_replaced(serve, line, status):
    server = serve(count=2)
    pid = int(state(server).pid)
    # The one that came last is taken first.
    with server.connect() as client:
        client.send(b'say this\n%s\n' % line.encode())
        # What stdio holds is lost with a signal, as it would be elsewhere.
        assert client.recv_all() == (b'this\n' if 'exit' in line else b'')
    ended(server, pid, status)
    found = wait_workers(server, 2, [pid])
    assert int(state(server).pid) in found
    assert not server.lines('warning')


def test_crash_ends_one_connection_alone(serve):
    server = serve(count=2)
    with server.connect() as other:
        other.send(b'state\n')
        survivor = int(read_state(other).pid)
        # With a core, or without.  (SIGSEGV is a sanitizer's, if there is.)
        do(server, 'raise %d' % signal.SIGABRT)
        server.wait_log(r'^framework: ended by \d+ status (6|134)$')
        wait_workers(server, 2)
        assert survivor in workers(server)
        other.send(b'say still\nflush\n')
        assert other.recv() == b'still\n'
        other.close_notify()
        assert other.wait_end() == 'notify'


def test_idle_one_that_is_killed_is_replaced(serve):
    server = serve(count=3)
    victim = min(workers(server))
    kill(victim)
    wait_workers(server, 3, [victim])
    server.wait_log('^framework: warning: worker %d ended by signal 9$'
                    % victim)
    assert do(server, 'say on') == b'on\n'


def test_all_are_killed_and_clients_come_at_once(serve):
    """They wait for those that are being made; or, at worst, are told by
    the death of one which they have been given to already."""
    server = serve(count=4)
    before = workers(server)
    for pid in before:
        kill(pid)
    wait_workers(server, 4, before)
    for _ in range(8):
        assert do(server, 'say on') == b'on\n'


@pytest.mark.parametrize('line', ['setsid', 'fclose'])
def test_what_cannot_be_put_back_ends_it(serve, line):
    server = serve()
    pid, = workers(server)
    do(server, line)
    ended(server, pid, 0)
    wait_workers(server, 1, [pid])
    assert state(server).group == str(server.front)
    assert not server.lines('warning|error')


def test_closing_everything_ends_it(serve):
    server = serve()
    pid, = workers(server)
    do(server, 'close')
    server.wait_log('^framework: ended by %d ' % pid)
    wait_workers(server, 1, [pid])
    assert do(server, 'say on') == b'on\n'


def test_child_that_returns_is_no_worker(serve):
    """One that server() forks: it leaves where main would."""
    server = serve()
    pid, = workers(server)
    assert do(server, 'fork', 'say parent') == b'parent\n'
    ended(server, pid, 0)
    assert workers(server) == {pid}
    assert do(server, 'say next') == b'next\n'
    ended(server, pid, 0, count=2)


def test_child_that_stays_keeps_the_connection(serve):
    """As a program's: whoever holds descriptor 1 may write to it."""
    server = serve(count=2)
    with server.connect() as client:
        client.send(b'child\nsay first\nreturn\n')
        assert client.recv() == b'first\n'
        # The worker is free: the next connections are its, too.
        assert do(server, 'say other') == b'other\n'
        client.close_notify()
        assert client.recv_all() == b'late\n'


@pytest.mark.parametrize('line', ['lie', 'repeat'])
def test_liar_is_killed(serve, line):
    server = serve(count=2)
    pid = int(state(server).pid)
    do(server, line, 'say here')
    server.wait_log('^framework: warning: worker %d talked nonsense and was '
                    'killed$' % pid)
    ended(server, pid, 9)
    assert len(server.lines('nonsense')) == 1
    wait_workers(server, 2, [pid])
    assert do(server, 'say on') == b'on\n'


def test_cut_connection_is_a_signal(serve):
    """SIGTERM, to the one that serves it, and to no other."""
    server = serve(count=2)
    client = server.connect()
    client.send(b'stay\n')
    assert client.recv() == b'here\n'
    client.reset()
    server.wait_log('^framework: ended by .* status 15$')
    wait_workers(server, 2)
    assert do(server, 'say on') == b'on\n'


def test_one_that_survives_its_signal_gets_no_other_client(serve):
    server = serve(count=1)
    pid, = workers(server)
    client = server.connect()
    client.send(b'catch\nstate\n')
    read_state(client)
    client.reset()
    ended(server, pid, 0)
    wait_workers(server, 1, [pid])
    assert do(server, 'say on') == b'on\n'
    # It was dismissed, and did not die on its own.
    assert not server.lines('warning')


@pytest.mark.root
def test_signal_before_it_has_begun_is_not_lost(serve):
    """Its client has come and gone before it could do a thing."""
    server = serve(count=1)
    pid, = workers(server)
    kill(pid, signal.SIGSTOP)
    client = server.connect()
    client.send(b'say here\n')
    found, = server.wait_log(r'^framework: pid (\d+) from')
    server.wait_log('^framework: tls ')
    client.reset()
    session = int(found[1])

    def has_left():
        # It keeps the program's pipes until the signal has been sent.
        try:
            return 'pipe:' not in ''.join(
                harness.descriptors(session).values())
        except FileNotFoundError:
            return True

    wait_for(has_left, 5, 'the session to leave the pipes')
    kill(pid, signal.SIGCONT)
    ended(server, pid, signal.SIGTERM)
    wait_workers(server, 1, [pid])
    assert do(server, 'say on') == b'on\n'


def test_kill_after(serve):
    server = serve(count=1, options=['--kill-after', '1'])
    pid, = workers(server)
    client = server.connect()
    client.send(b'ignore\nstay\n')
    assert client.recv() == b'here\n'
    client.reset()
    ended(server, pid, signal.SIGKILL)
    wait_workers(server, 1, [pid])
    assert do(server, 'say on') == b'on\n'


def test_strict_close(serve):
    """SIGTERM before it could take a cut stream for a whole one."""
    server = serve(count=1, options=['--strict-close'])
    pid, = workers(server)
    with server.connect() as client:
        client.send(b'say here\nflush\n')
        assert client.recv() == b'here\n'
        client.fin()
        ended(server, pid, signal.SIGTERM)
    wait_workers(server, 1, [pid])
    # A whole one ends as ever, and the child stays.
    pid, = workers(server)
    for _ in range(2):
        assert do(server, 'say on') == b'on\n'
    assert workers(server) == {pid}


def test_signals_that_all_get_end_nobody(serve):
    """Ctrl-C and the like reach the group; who is idle ignores them."""
    server = serve(count=2)
    before = workers(server)
    for pid in before:
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT,
                       signal.SIGTERM):
            kill(pid, number)
    found = state(server)
    assert not found.all('waiting')
    assert workers(server) == before


# ---------------------------------------------------------------------------
# The end of the server

def test_stop_ends_idle_workers(serve):
    server = serve(count=3)
    assert server.stop() == 0
    assert not workers(server)
    server.wait_gone()


def test_stop_ends_busy_workers(serve):
    server = serve(count=2)
    client = server.connect()
    client.send(b'stay\n')
    assert client.recv() == b'here\n'
    assert server.stop() == 0
    server.wait_log('^framework: ended by .* status 15$')
    # What it left unfinished is not shown as whole.
    assert client.wait_end() != 'notify'
    client.close()


def test_stop_waits_for_one_that_ignores_it(serve):
    """SIGKILL after a while; the server leaves behind it."""
    server = serve(count=2)
    client = server.connect()
    client.send(b'ignore\nstay\n')
    assert client.recv() == b'here\n'
    pid = max(workers(server), key=lambda pid: 'pipe' in
              harness.descriptors(pid)[0])
    server.signal(signal.SIGTERM)
    server.signal(signal.SIGTERM)
    assert server.process.wait(60) == 0
    assert harness.read_stat(pid) is None or \
        harness.read_stat(pid).state == 'Z'
    client.close()


def test_drain_waits_for_the_client(serve):
    server = serve(count=2, options=['--drain', '600'])
    with server.connect() as client:
        client.send(b'say one\nflush\n')
        assert client.recv() == b'one\n'
        server.signal(signal.SIGTERM)
        wait_for(lambda: len(workers(server)) == 1, 5, 'idle ones to leave')
        client.send(b'say two\nflush\n')
        assert client.recv() == b'two\n'
        client.close_notify()
        assert client.wait_end() == 'notify'
    assert server.process.wait(60) == 0


def test_second_signal_ends_a_drain(serve):
    server = serve(count=1, options=['--drain', '600'])
    with server.connect() as client:
        client.send(b'stay\n')
        assert client.recv() == b'here\n'
        server.signal(signal.SIGTERM)
        wait_for(lambda: not is_listening(server), 5, 'no listener')
        server.signal(signal.SIGTERM)
        assert server.process.wait(60) == 0


def test_workers_end_with_master(serve):
    server = serve(count=3)
    client = server.connect()
    client.send(b'say here\nflush\n')
    assert client.recv() == b'here\n'
    kill(server.pid('master'))
    assert client.wait_end() != 'notify'
    client.close()
    wait_for(lambda: not workers(server), 5, 'no worker')


def test_dead_monitor_ends_requests_alone(serve):
    server = serve(count=2)
    before = workers(server)
    client = server.connect()
    client.send(b'stay\n')
    assert client.recv() == b'here\n'
    monitor = server.pid('monitor')
    kill(monitor)
    client.close()
    wait_for(lambda: server.pids('monitor') not in ([], [monitor]), 5,
             'another monitor')
    wait_for(lambda: len(workers(server)) == 2 and
             len(workers(server) & before) == 1, 5, 'one to be replaced')
    wait_for(lambda: server.wait_roles() is None, 5, 'all roles')
    assert do(server, 'say on') == b'on\n'


def test_reload_leaves_workers_alone(serve):
    server = serve(count=2)
    before = workers(server)
    keepers = set(server.pids('keeper'))
    server.signal(signal.SIGHUP)
    wait_for(lambda: not keepers & set(server.pids('keeper')), 5,
             'other keepers')
    assert workers(server) == before
    assert do(server, 'say on') == b'on\n'


# ---------------------------------------------------------------------------
# The start

def test_usage(program):
    found = run_server([], command=program, identity=False)
    assert found.code == 100
    assert found.err.startswith('framework: usage: framework [-')
    assert 'host port [args...]' in found.err
    found = run_server(['-n', '127.0.0.1', '0'], command=program)
    assert found.code == 100 and found.err.startswith('framework: fatal: (100)')
    found = run_server(['127.0.0.1'], command=program)
    assert (found.code, found.err) == (100, 'framework: fatal: (100) no port\n')


def test_keeper_lies_beside_the_program(program, workdir):
    """Of who links the library, too, or where it was installed."""
    path = os.path.join(workdir, 'framework')
    shutil.copy(program, path)
    found = run_server(['127.0.0.1', '0'], command=path)
    assert found.code == 111
    assert re.search(r'ucspissl-\w+ is neither beside this program', found.err)


@pytest.mark.root
def test_failed_start_says_why(program, workdir, pki):
    """What a worker cannot do is found before anybody comes."""
    found = run_server(['-c', '3', '127.0.0.1', '0'], command=program,
                       env=dict(pki.ecdsa, TMPDIR='/'), launcher=(
                           'setpriv', '--bounding-set', '-setuid,-setgid',
                           '--inh-caps', '-setuid,-setgid'))
    assert found.code == 111
    assert found.err == ('framework: fatal: (111) worker: unable to change '
                         'identity: Operation not permitted\n')


def test_check_makes_workers_too(program, pki):
    found = run_server(['--check', '-c', '2', '127.0.0.1', '0'],
                       command=program, env=pki.ecdsa)
    assert (found.code, found.err) == (0, '')


def test_limit_of_open_files_is_said(program, pki):
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
    found = run_server(['-c', '150', '127.0.0.1', '0'], command=program,
                       env=pki.ecdsa, preexec=limit)
    assert found.code == 111
    assert re.search(r'framework needs \d+ open files, the limit is 200',
                     found.err)


def test_own_descriptors_under_a_small_limit(start, program):
    """Then they lie where there is room."""
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    server = start('x', command=program, options=['-c', '2'], preexec=limit)
    wait_workers(server, 2)
    do(server, 'spoil')
    assert set(state(server).fds) == {0, 1, 2, 60, 61, 62, 63}


def test_kept_descriptors_stay(serve, workdir):
    path = os.path.join(workdir, 'kept')
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    os.dup2(fd, 40)
    os.set_inheritable(40, True)
    try:
        server = serve(options=['--keep-fd', '40'], keep=(40,))
    finally:
        os.close(40)
        os.close(fd)
    do(server, 'spoil')
    assert state(server).fds[40] == path
