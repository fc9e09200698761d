"""The program gets what sslserver was started with, and nothing else."""

import os
import pwd
import resource
import shutil
import signal
import stat

import pytest

from harness import KEEPER_ID, PROGRAM_ID, ROOT, SANITIZED, json_of, tool


def test_descriptors(start):
    """0 and 1 are two pipes, 2 is sslserver's; nothing else is open."""
    server = start(tool('showstate'))
    fds = json_of(server)['fds']
    assert sorted(fds) == ['0', '1', '2'], fds
    assert fds['0']['kind'] == fds['1']['kind'] == 'pipe'
    assert fds['0']['target'] != fds['1']['target']
    assert fds['0']['flags'] & os.O_ACCMODE == os.O_RDONLY
    assert fds['1']['flags'] & os.O_ACCMODE == os.O_WRONLY
    for number in ('0', '1'):
        assert not fds[number]['flags'] & os.O_NONBLOCK
    assert fds['2']['target'] in (server.log_path, None)


def test_inherited_descriptors_are_closed(start, workdir):
    with open(os.path.join(workdir, 'secret'), 'w+b') as secret:
        high = os.dup2(secret.fileno(), 200)
        try:
            server = start(tool('showstate'), keep=(secret.fileno(), high))
            assert sorted(json_of(server)['fds']) == ['0', '1', '2']
        finally:
            os.close(high)


def test_keep_fd(start, workdir):
    """--keep-fd lets exactly the named ones through; it may be repeated."""
    paths = [os.path.join(workdir, name) for name in ('a', 'b', 'c')]
    files = [os.open(path, os.O_RDWR | os.O_CREAT) for path in paths]
    numbers = [os.dup2(fd, 100 + n) for n, fd in enumerate(files)]
    try:
        server = start(tool('showstate'), keep=numbers, options=[
            '--keep-fd', '100', '--keep-fd', '102'])
        fds = json_of(server)['fds']
        assert sorted(fds, key=int) == ['0', '1', '2', '100', '102'], fds
        assert fds['100']['target'] == paths[0]
        assert fds['102']['target'] == paths[2]
    finally:
        for fd in files + numbers:
            os.close(fd)


def test_closed_standard_descriptors(start):
    """Started without 0: no descriptor of ours may take its place."""
    server = start(tool('showstate'), preexec=lambda: os.close(0))
    fds = json_of(server)['fds']
    assert sorted(fds) == ['0', '1', '2']
    assert fds['0']['kind'] == 'pipe'


def test_surroundings(start, workdir):
    """Directory, umask, limits, priority, process group, signal mask."""
    directory = os.path.join(workdir, 'here')
    os.mkdir(directory)
    os.chmod(directory, 0o755)
    limits = {
        'CORE': (1000, 5000000), 'NOFILE': (300, 900),
        'FSIZE': (100000000, 200000000), 'CPU': (1000, 2000),
    }

    if SANITIZED:
        # AddressSanitizer sets this one by itself.
        del limits['CORE']

    def before():
        os.umask(0o027)
        os.nice(3)
        for name, pair in limits.items():
            hard = resource.getrlimit(getattr(resource, 'RLIMIT_' + name))[1]
            assert hard == resource.RLIM_INFINITY or hard >= pair[1]
            resource.setrlimit(getattr(resource, 'RLIMIT_' + name), pair)
        signal.pthread_sigmask(signal.SIG_SETMASK,
                               {signal.SIGUSR1, signal.SIGWINCH})
        for number in (signal.SIGPIPE, signal.SIGCHLD, signal.SIGTERM,
                       signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)

    priority = os.getpriority(os.PRIO_PROCESS, 0)
    plain = resource.getrlimit(resource.RLIMIT_NPROC)
    server = start(tool('showstate'), preexec=before, cwd=directory,
                   options=['-c', '20'])
    state = json_of(server)
    assert state['cwd'] == directory
    assert state['umask'] == 0o027
    assert state['priority'] == min(priority + 3, 19)
    assert state['pgrp'] == server.front
    for name, pair in limits.items():
        assert tuple(state['limits'][name]) == pair, name
    assert tuple(state['limits']['NPROC']) == plain
    assert state['blocked'] == sorted([signal.SIGUSR1, signal.SIGWINCH])
    assert state['ignored'] == []
    assert state['NoNewPrivs'] == 0
    assert state['Seccomp'] == 0


def test_plain_start(start):
    """Nothing unusual given: nothing unusual found."""
    server = start(tool('showstate'))
    state = json_of(server)
    assert state['blocked'] == [] and state['ignored'] == []
    assert state['ppid'] == server.pid('master')


def test_program_of_an_ordinary_user(start):
    if ROOT:
        pytest.skip('about an ordinary user')
    state = json_of(start(tool('showstate')))
    assert state['uids'] == [os.getuid()] * 3
    assert state['gids'] == [os.getgid()] * 3


@pytest.mark.root
def test_identity(start):
    """-u and -g for all uids and gids, and the gid as only group."""
    server = start(tool('showstate'), identity=False,
                   preexec=lambda: os.setgroups([0, 1, 2, 3]),
                   options=['-u', PROGRAM_ID, '-g', PROGRAM_ID + 1])
    state = json_of(server)
    assert state['uids'] == [PROGRAM_ID] * 3
    assert state['gids'] == [PROGRAM_ID + 1] * 3
    assert state['groups'] == [PROGRAM_ID + 1]


@pytest.mark.root
def test_identity_by_name(start):
    """-u NAME alone takes the name's primary group."""
    entry = pwd.getpwnam('nobody')
    state = json_of(start(tool('showstate'), identity=False,
                          options=['-u', 'nobody']))
    assert state['uids'] == [entry.pw_uid] * 3
    assert state['gids'] == [entry.pw_gid] * 3
    assert state['groups'] == [entry.pw_gid]


@pytest.mark.root
def test_number_alone_keeps_the_group(start):
    """-u NUMBER keeps the gid, and warns because that is 0."""
    server = start(tool('showstate'), identity=False, log='-Q',
                   options=['-u', PROGRAM_ID])
    state = json_of(server)
    assert state['uids'] == [PROGRAM_ID] * 3
    assert state['gids'] == [0] * 3
    server.wait_log('^sslserver: warning: .*-g|group')


@pytest.mark.root
def test_identity_from_environment(start):
    state = json_of(start(
        tool('showstate'), identity=False, options=['-U'],
        env={'UID': str(PROGRAM_ID), 'GID': str(PROGRAM_ID + 1)}))
    assert state['uids'] == [PROGRAM_ID] * 3
    assert state['gids'] == [PROGRAM_ID + 1] * 3
    assert state['groups'] == [PROGRAM_ID + 1]


@pytest.mark.root
def test_root_directory(start, workdir):
    """--root comes before identity and PATH."""
    root = os.path.join(workdir, 'root')
    os.makedirs(os.path.join(root, 'bin'))
    os.chmod(root, 0o755)
    os.chmod(os.path.join(root, 'bin'), 0o755)
    shutil.copy(tool('showstate'), os.path.join(root, 'bin', 'inside'))
    server = start('inside', options=['--root', root])
    state = json_of(server)
    assert state['args'] == ['inside']
    assert state['uids'] == [PROGRAM_ID] * 3
    assert sorted(state['fds']) == ['0', '1', '2']


@pytest.mark.root
def test_set_uid_program(start, workdir):
    """No no_new_privs: a set-uid helper has its effective uid."""
    if os.statvfs(workdir).f_flag & os.ST_NOSUID:
        pytest.skip('the temporary directory is mounted nosuid')
    path = os.path.join(workdir, 'helper')
    shutil.copy(tool('showeuid'), path)
    os.chown(path, KEEPER_ID, KEEPER_ID)
    os.chmod(path, 0o755 | stat.S_ISUID)
    answer = start(path).exchange()
    assert answer == b'%d %d\n' % (PROGRAM_ID, KEEPER_ID)


def test_exit_status_is_reported(start):
    server = start('/bin/sh', '-c', 'exit 3')
    server.exchange()
    server.wait_log(r'^sslserver: ended by \d+ status 768$')


def test_signal_status_is_reported(start):
    server = start('/bin/sh', '-c', 'kill -USR1 $$')
    server.exchange()
    server.wait_log(r'^sslserver: ended by \d+ status %d$' % signal.SIGUSR1)


def test_error_output_reaches_descriptor_2(start):
    server = start('/bin/sh', '-c', 'echo from the program >&2')
    server.exchange()
    server.wait_log('^from the program$')


def test_large_environment(start):
    """Some 100 kB pass."""
    server = start(tool('showstate'), env={'LARGE': 'x' * 100000})
    assert json_of(server)['env']['LARGE'] == 'x' * 100000
