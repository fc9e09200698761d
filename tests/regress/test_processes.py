"""Every process has the identity, root, limits and descriptors it should."""

import os
import re
import shutil

import pytest

import harness
from harness import (KEEPER_ID, LONG_LIVED, MONITOR_ID, NET_ID, PROGRAM_ID,
                     ROOT, TLS12, TLS13, descriptors, proc_limits, read_proc,
                     read_stat, run_server, status_fields, tls_context)

OWN_ROOT = {'monitor', 'logger', 'nursery', 'session', 'keeper', 'resolver',
            'cache'}
# Roles that have given up what they were started with.
DROPPED = {'monitor': MONITOR_ID, 'logger': MONITOR_ID, 'keeper': KEEPER_ID,
           'nursery': NET_ID, 'session': NET_ID, 'resolver': NET_ID,
           'cache': KEEPER_ID}


@pytest.fixture
def running(start):
    """A server with one connection in progress, and its processes."""
    server = start(options=['--keepers', '2'])
    client = server.connect()
    client.echo(b'x')
    yield server, server.roles()
    client.close()


def test_roles_and_titles(running):
    """One of each, keepers as asked for, shown by name in ps."""
    server, roles = running
    counts = {name: len(pids) for name, pids in roles.items()}
    assert counts == {'front': 1, 'master': 1, 'monitor': 1, 'logger': 1,
                      'keeper': 2, 'nursery': 1, 'session': 1, 'program': 1,
                      'resolver': 1, 'cache': 1}
    words = read_proc(server.front, 'cmdline').split(b'\0')[:-1]
    assert [word.decode() for word in words] == server.arguments


def test_parents(running):
    """front - master - roles and programs; sessions come of the nursery."""
    server, roles = running
    master = roles['master'][0]
    assert read_stat(master).ppid == server.front
    for name in ('monitor', 'logger', 'keeper', 'nursery', 'resolver',
                 'cache', 'program'):
        for pid in roles[name]:
            assert read_stat(pid).ppid == master, name
    assert read_stat(roles['session'][0]).ppid == roles['nursery'][0]


def test_keepers_default(start):
    """One per processor, eight at most."""
    server = start()
    expected = min(len(os.sched_getaffinity(0)), os.cpu_count(), 8)
    assert len(server.pids('keeper')) == expected


@pytest.mark.root
def test_identities(running):
    """Three users and their groups alone; nothing of root is left."""
    _, roles = running
    for name, number in DROPPED.items():
        for pid in roles[name]:
            status = status_fields(pid)
            assert status['Uid'] == [str(number)] * 4, name
            assert '0' not in status['Gid'], name
            assert len(set(status['Gid'])) == 1, name
            assert status['Groups'] in ([], status['Gid'][:1]), name
            for which in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb'):
                assert int(status[which][0], 16) == 0, name
    status = status_fields(roles['program'][0])
    assert status['Uid'] == [str(PROGRAM_ID)] * 4
    assert status['Gid'] == [str(PROGRAM_ID)] * 4


def test_identities_without_root(running):
    if ROOT:
        pytest.skip('about an ordinary user')
    for pids in running[1].values():
        for pid in pids:
            assert status_fields(pid)['Uid'] == [str(os.getuid())] * 4


def test_no_new_privs(running):
    """All but master, front and what master starts."""
    _, roles = running
    for name in DROPPED:
        for pid in roles[name]:
            assert status_fields(pid)['NoNewPrivs'] == ['1'], name
    for name in ('master', 'program'):
        assert status_fields(roles[name][0])['NoNewPrivs'] == ['0'], name


def test_not_dumpable(running):
    """The kernel gives the files of such a process to root."""
    _, roles = running
    for name in set(DROPPED) | {'master'}:
        for pid in roles[name]:
            if ROOT and name == 'master':
                continue
            assert os.stat('/proc/%d/mem' % pid).st_uid == 0, name
            if not ROOT:
                with pytest.raises(PermissionError):
                    descriptors(pid)


def test_limits(running):
    """No core file, no process where none is made, few descriptors."""
    _, roles = running
    for name in DROPPED:
        for pid in roles[name]:
            limits = proc_limits(pid)
            assert limits['Max core file size'] == (0, 0), name
            if name != 'nursery':
                assert limits['Max processes'] == (0, 0), name
    for name in ('session', 'logger', 'cache'):
        limits = proc_limits(roles[name][0])
        assert limits['Max open files'][1] <= 16, name
    for name in ('keeper', 'nursery'):
        limits = proc_limits(roles[name][0])
        assert limits['Max open files'][1] <= 256, name


@pytest.mark.root
def test_program_is_not_limited(running):
    """None of it reaches the program."""
    _, roles = running
    own = proc_limits(os.getpid())
    assert proc_limits(roles['program'][0]) == own


@pytest.mark.root
def test_root_directories(start, workdir, pki):
    """An empty directory without a name; the keeper's is SSL_CHROOT."""
    server = start(env={'SSL_CHROOT': pki.directory})
    with server.connect() as client:
        client.echo(b'x')
        roles = server.roles()
        for name in OWN_ROOT - {'keeper'}:
            for pid in roles[name]:
                link = '/proc/%d/root' % pid
                assert os.readlink(link).endswith(' (deleted)'), name
                assert os.listdir(link + '/') == [], name
                assert os.readlink('/proc/%d/cwd' % pid) == \
                    os.readlink(link), name
        for pid in roles['keeper']:
            assert os.readlink('/proc/%d/root' % pid) == pki.directory
            assert os.readlink('/proc/%d/cwd' % pid) == pki.directory
        for name in ('front', 'master', 'program'):
            assert os.readlink('/proc/%d/root' % roles[name][0]) == '/'


@pytest.mark.root
def test_key_root_default(running):
    for pid in running[1]['keeper']:
        root = os.readlink('/proc/%d/root' % pid)
        assert root != '/'


def kinds(pid):
    """Descriptor -> 'null', 'socket', 'pipe' or the target itself."""
    found = {}
    for number, target in descriptors(pid).items():
        match = re.match(r'(socket|pipe):|anon_inode:\[?(\w+)', target)
        if target == '/dev/null':
            found[number] = 'null'
        elif match:
            found[number] = match.group(1) or match.group(2)
        else:
            found[number] = target
    return found


@pytest.mark.root
def test_descriptor_2_is_masters_and_the_loggers(running):
    """No role that meets a stranger can write to the log by itself."""
    server, roles = running
    if harness.SANITIZED:
        pytest.skip('roles keep descriptor 2 for sanitizer reports')
    for name, pids in roles.items():
        for pid in pids:
            holds = server.log_path in descriptors(pid).values()
            if name in ('master', 'logger', 'program'):
                assert holds, name
            elif name != 'front':
                assert not holds, (name, descriptors(pid))


@pytest.mark.root
def test_session_descriptors(running):
    """A session: its client, its control socket, its program's pipes."""
    _, roles = running
    fds = kinds(roles['session'][0])
    if harness.SANITIZED:
        fds.pop(2, None)
    work = sorted(kind for kind in fds.values() if kind != 'null')
    assert work == ['pipe', 'pipe', 'socket', 'socket'], fds
    pipes = {target for target in descriptors(roles['session'][0]).values()
             if target.startswith('pipe:')}
    programs = {descriptors(roles['program'][0])[n] for n in (0, 1)}
    assert pipes == programs


@pytest.mark.root
def test_role_descriptors(start):
    """With no client: no file, no pipe of a program, no stray socket."""
    server = start(options=['--keepers', '1'])
    server.check_service()
    server.wait_idle()
    roles = server.roles()
    limits = {'keeper': 2, 'nursery': 2, 'logger': 1, 'resolver': 2,
              'cache': 2}
    for name, most in limits.items():
        found = kinds(roles[name][0])
        sockets = [k for k in found.values() if k == 'socket']
        assert len(sockets) <= most, (name, found)
        allowed = {'null', 'socket', 'pipe', 'eventpoll', 'eventfd',
                   'timerfd', 'signalfd'}
        if name == 'logger' or harness.SANITIZED:
            allowed.add(server.log_path)
        assert set(found.values()) <= allowed, (name, found)
    found = kinds(roles['monitor'][0])
    assert set(found.values()) <= {'null', 'socket', 'pipe', 'eventpoll',
                                   'eventfd', 'timerfd', 'signalfd',
                                   server.log_path
                                   if harness.SANITIZED else 'null'}, found


@pytest.mark.root
def test_nothing_is_kept_after_connections(start):
    """After some connections every process has the descriptors of before."""
    server = start()
    server.check_service()
    server.wait_idle()

    def count():
        return {pid: len(descriptors(pid))
                for pids in server.roles().values() for pid in pids}

    before = count()
    for _ in range(20):
        server.check_service()
    server.wait_idle()
    assert count() == before


@pytest.mark.root
def test_clients_are_not_shared(start):
    """No session holds another one's client or pipes."""
    server = start()
    with server.connect() as first, server.connect() as second:
        first.echo(b'1')
        second.echo(b'2')
        sessions = server.pids('session')
        assert len(sessions) == 2
        held = [{target for target in descriptors(pid).values()
                 if not target.startswith('/dev/null')
                 and target != server.log_path} for pid in sessions]
        assert not held[0] & held[1]
        monitor = set(descriptors(server.pid('monitor')).values())
        clients = {inode_of(first), inode_of(second)}
        everyone = [fd for name in ('keeper', 'nursery', 'logger', 'master',
                                    'resolver', 'cache')
                    for pid in server.pids(name)
                    for fd in descriptors(pid).values()]
        assert not clients & (monitor | set(everyone))


def inode_of(client):
    """The server's end of a connection, as /proc/PID/fd shows it."""
    port = client.local[1]
    with open('/proc/net/tcp', encoding='ascii') as file:
        for line in file.readlines()[1:]:
            fields = line.split()
            if fields[2].endswith(':%04X' % port):
                return 'socket:[%s]' % fields[9]
    raise AssertionError('no such connection')


def test_environment_of_executables_is_empty(running):
    """keeper and nursery are started without any variable."""
    _, roles = running
    if not ROOT:
        pytest.skip('needs to be root to look into them')
    for name in ('keeper', 'nursery'):
        for pid in roles[name]:
            words = read_proc(pid, 'environ').replace(b'\0', b'')
            assert b'CERTFILE' not in words and b'PATH' not in words


def test_other_build_is_refused(workdir, pki):
    """Executables of another build: a sentence and 111."""
    copy = os.path.join(workdir, 'bin')
    os.mkdir(copy)
    os.chmod(copy, 0o755)
    for name in ('sslserver', 'ucspissl-keeper', 'ucspissl-nursery'):
        shutil.copy(os.path.join(harness.BIN, name), copy)
    own = harness.SSLSERVER
    with open(own, 'rb') as file:
        found = re.findall(rb'\d+\.\d+\.\d+-[0-9a-f]{8,}', file.read())
    assert found, 'no build id in sslserver'
    build = found[0]
    path = os.path.join(copy, 'ucspissl-keeper')
    with open(path, 'rb') as file:
        data = file.read()
    assert build in data
    changed = build[:-1] + (b'0' if build[-1:] != b'0' else b'1')
    with open(path, 'wb') as file:
        file.write(data.replace(build, changed))
    harness.SSLSERVER = os.path.join(copy, 'sslserver')
    try:
        result = run_server(['127.0.0.1', '0', '/bin/cat'], env=pki.ecdsa)
    finally:
        harness.SSLSERVER = own
    assert result.code == 111
    assert 'build' in result.err


@pytest.fixture
def moved(workdir):
    """An installed tree in another place, with the server in it."""
    roles = os.path.join(workdir, 'tree', 'libexec', 'ucspi-ssl')
    os.makedirs(os.path.join(workdir, 'tree', 'bin'))
    os.makedirs(roles)
    for name in ('ucspissl-keeper', 'ucspissl-nursery'):
        shutil.copy(os.path.join(harness.BIN, name), roles)
    own = harness.SSLSERVER
    harness.SSLSERVER = shutil.copy(own, os.path.join(workdir, 'tree', 'bin'))
    yield roles
    harness.SSLSERVER = own


def test_moved_tree(moved, start):
    """Roles are found from where sslserver is, as after DESTDIR."""
    server = start()
    server.check_service()
    for role in ('keeper', 'nursery'):
        path = os.path.join(moved, 'ucspissl-' + role)
        for pid in server.roles()[role] if ROOT else []:
            assert os.path.samefile('/proc/%d/exe' % pid, path)


def test_moved_tree_of_others(moved, pki):
    """Whoever may write above bin gives us nothing to run."""
    if not ROOT:
        pytest.skip('needs to be root to give a file away')
    shutil.copy('/bin/false', os.path.join(moved, 'ucspissl-keeper'))
    os.chown(os.path.join(moved, 'ucspissl-keeper'), PROGRAM_ID, PROGRAM_ID)
    result = run_server(['--check', '127.0.0.1', '0', '/bin/cat'],
                        env=pki.ecdsa)
    # Found in the place of an installation, if there is one, or nowhere.
    assert result.code == 0 or re.search(
        'ucspissl-keeper is neither beside|build', result.err), result


@pytest.mark.parametrize('options, has_resolver', [
    (['-H', '-l', 'here'], False), (['-H', '-R', '-l', 'here'], False),
    (['-H'], True), (['-l', 'here'], True), (['-H', '-l', 'here', '-r'], True),
], ids=str)
def test_resolver_only_when_wanted(start, options, has_resolver):
    """For names, our own included, and for IDENT."""
    server = start(options=options)
    server.check_service()
    server.wait_idle()
    assert (len(server.pids('resolver')) == 1) == has_resolver


def test_long_lived_roles_only(start):
    server = start()
    server.check_service()
    server.wait_idle()
    assert set(server.roles()) == LONG_LIVED


def server_random(client):
    """Of the ServerHello that answers the client's first words."""
    client.sock.sendall(client.first_flight())
    data = b''
    while len(data) < 43:
        piece = client.sock.recv(4096)
        assert piece, data
        data += piece
    assert data[0] == 22 and data[5] == 2, data
    return data[11:43]


@pytest.mark.parametrize('versions', [TLS12, TLS13], ids=['1.2', '1.3'])
def test_randomness_is_a_sessions_own(start, versions):
    """However they are made, which the TLS library has to notice."""
    server = start()
    seen = set()
    for _ in range(8):
        with server.connect(handshake=False,
                            context=tls_context(**versions)) as client:
            seen.add(server_random(client))
    assert len(seen) == 8
