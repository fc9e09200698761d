"""sslclient connects, verifies, and becomes the program."""

import fcntl
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import termios

import pytest

from clientrun import (SSLCLIENT, Command, client_environment, finish,
                       free_port, run_client, s_server, server_context,
                       spawn_client)
from harness import (NET_ID, ROOT, SANITIZED, descriptors, find_command,
                     proc_limits, read_proc, read_stat, status_fields, tool,
                     wait_for)

ECHO = 'echo hello >&7; head -n 1 <&6'


@pytest.fixture
def echo(start, pki):
    """Our own server, and the words that lead to it."""
    server = start('/bin/cat')
    return ['-a', pki.ca, 'localhost', server.port]


def test_round_trip(family, echo):
    result = run_client(*echo, 'sh', '-c', ECHO)
    assert result == (0, 'hello\n', '')


def test_round_trip_with_openssl(family, command, pki):
    server = command(s_server('-cert', pki.path('rsa.pem'), '-key',
                              pki.path('rsa.key'), '-rev', '-quiet'))
    result = run_client('-a', pki.ca, '127.0.0.1', server.port, 'sh', '-c',
                        ECHO)
    assert result == (0, 'olleh\n', '')


def test_round_trip_with_gnutls(family, command, pki):
    port = free_port()
    server = command(Command(
        [find_command('gnutls-serv'), '--echo', '-p', port, '--x509certfile',
         pki.path('ecdsa.pem'), '--x509keyfile', pki.path('ecdsa.key'),
         '--disable-client-cert'], port, stderr=subprocess.DEVNULL))
    result = run_client('-a', pki.ca, 'localhost', server.port, 'sh', '-c',
                        ECHO)
    assert result == (0, 'hello\n', '')


def test_own_server_over_ipv6(family, start, pki):
    server = start('/bin/cat', host='::1')
    result = run_client('-a', pki.ca, '::1', server.port, 'sh', '-c', ECHO)
    assert result == (0, 'hello\n', '')


@pytest.mark.parametrize('host', ['0', ''])
def test_no_host_is_this_machine(family, start, pki, host):
    server = start('/bin/cat')
    result = run_client('-a', pki.ca, host, server.port, 'sh', '-c', ECHO)
    assert result == (0, 'hello\n', '')


# ---------------------------------------------------------------------------
# The program

def state_of(*arguments, **settings):
    result = run_client(*arguments, tool('showstate'), **settings)
    assert result.code == 0, result
    return json.loads(result.out)


def test_descriptors(family, echo, workdir):
    """6 and 7 are pipes, 0, 1, 2 what they were, and nothing is ours."""
    path = os.path.join(workdir, 'input')
    with open(path, 'w+b') as file:
        fds = state_of(*echo, stdin=file)['fds']
    assert sorted(fds) == ['0', '1', '2', '6', '7'], fds
    assert fds['0']['target'] == path
    assert fds['6']['kind'] == fds['7']['kind'] == 'pipe'
    assert fds['6']['flags'] & os.O_ACCMODE == os.O_RDONLY
    assert fds['7']['flags'] & os.O_ACCMODE == os.O_WRONLY
    for number in '67':
        assert not fds[number]['flags'] & os.O_NONBLOCK


@pytest.mark.parametrize('number', [3, 5, 6, 7, 8, 10, 11])
def test_descriptors_of_the_caller_stay(family, echo, workdir, number):
    """They are the calling process's own; but 6 and 7 are the program's."""
    path = os.path.join(workdir, 'other')
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    high = fcntl.fcntl(fd, fcntl.F_DUPFD, 100)
    os.close(fd)
    place = 'import os, sys; os.dup2(%d, %d); os.execv(sys.argv[1], ' \
        'sys.argv[1:])' % (high, number)
    try:
        process = subprocess.Popen(
            [sys.executable, '-c', place, SSLCLIENT] +
            [str(word) for word in echo] + [tool('showstate')],
            env=client_environment(), pass_fds=(high,),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        fds = json.loads(finish(process).out)['fds']
    finally:
        os.close(high)
    expected = {'0', '1', '2', '6', '7', str(high), str(number)}
    assert set(fds) == expected, fds
    if number not in (6, 7):
        assert fds[str(number)]['target'] == path


def test_closed_standard_descriptors(family, echo):
    """Started without 0: no descriptor of ours may take its place."""
    fds = state_of(*echo, preexec=lambda: os.close(0))['fds']
    assert sorted(fds) == ['0', '1', '2', '6', '7'], fds
    assert fds['0']['kind'] == 'device'


def test_it_is_the_process_that_was_started(family, echo):
    process = spawn_client(echo + ['sh', '-c', 'echo $$'])
    result = finish(process)
    assert result.out == '%d\n' % process.pid


def test_it_has_no_child(family, echo):
    result = run_client(*echo, 'sh', '-c', 'exec 3</proc/$$/task/$$/children;'
                        ' read line <&3; echo "[$line]"')
    assert result.out == '[]\n', result


def test_exit_status_is_the_programs(family, echo):
    assert run_client(*echo, 'sh', '-c', 'exit 37').code == 37
    assert run_client(*echo, 'sh', '-c', 'kill -USR1 $$').code == \
        -signal.SIGUSR1


def test_signals_are_as_they_were(family, echo):
    """What the caller ignored or blocked, and nothing of ours."""
    def preexec():
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])

    def plain():
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        preexec()

    expected = json.loads(finish(subprocess.Popen(
        [tool('showstate')], preexec_fn=plain, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)).out)
    state = state_of(*echo, preexec=preexec)
    for name in expected:
        if 'sig' in name.lower() or name in ('umask', 'directory', 'mask'):
            assert state[name] == expected[name], name


def test_group_and_session_are_the_callers(family, echo):
    process = spawn_client(echo + ['sh', '-c', 'exec cat <&6 >/dev/null'],
                           preexec=os.setsid)
    try:
        pid = family.helper()
        wait_for(lambda: read_proc(process.pid, 'comm') == b'cat\n', 20,
                 'the program')
        assert os.getsid(process.pid) == process.pid
        assert os.getpgid(process.pid) == process.pid
        assert os.getsid(pid) == pid
    finally:
        process.kill()
        finish(process)


class Terminal:
    """A process that has a terminal of its own, and us as its user."""

    def __init__(self, words):
        self.fd, slave = os.openpty()
        self.said = b''

        def take():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            words, env=client_environment(), stdin=slave, stdout=slave,
            stderr=slave, preexec_fn=take)
        os.close(slave)

    def type(self, text):
        os.write(self.fd, text)

    def wait_for(self, text):
        def look():
            if text in self.said:
                return True
            if select.select([self.fd], [], [], 0)[0]:
                try:
                    self.said += os.read(self.fd, 1000)
                except OSError as error:  # there is nobody else any more
                    raise AssertionError(self.said) from error
            return text in self.said
        wait_for(look, 30, text.decode())

    def end(self):
        self.process.kill()
        self.process.wait()
        os.close(self.fd)


def test_job_control(family, echo):
    """Ctrl-Z stops the program, fg goes on with it and its connection."""
    terminal = Terminal(
        ['sh', '-m', '-c', '"$@"; echo "status $?"; fg; echo "then $?"', 'sh',
         SSLCLIENT] + [str(word) for word in echo] +
        ['sh', '-c', 'echo begun; read line; echo "$line" >&7;'
         ' head -n 1 <&6 | sed s/^/back-/; exit 5'])
    try:
        terminal.wait_for(b'begun')
        terminal.type(b'\x1a')
        terminal.wait_for(b'status %d' % (128 + signal.SIGTSTP))
        assert read_stat(family.helper()).state != 'T'
        terminal.type(b'hello\n')
        terminal.wait_for(b'back-hello')
        terminal.wait_for(b'then 5')
    finally:
        terminal.end()


def test_cannot_be_run(family, echo):
    result = run_client(*echo, '/no/such/program')
    assert result.code == 111
    assert result.err == ('sslclient: fatal: (111) unable to run '
                          '/no/such/program: No such file or directory\n')
    result = run_client(*echo, 'no-such-program')
    assert result.code == 111 and 'no-such-program' in result.err


def test_found_along_path(family, echo, workdir):
    path = os.path.join(workdir, 'found-here')
    with open(path, 'w', encoding='ascii') as file:
        file.write('#!/bin/sh\necho found\n')
    os.chmod(path, 0o755)
    result = run_client(*echo, 'found-here',
                        env={'PATH': workdir + ':/usr/bin:/bin'})
    assert result.out == 'found\n'


# ---------------------------------------------------------------------------
# Its environment

def variables(*arguments, **settings):
    result = run_client(*arguments, 'env', **settings)
    assert result.code == 0, result
    pairs = [line.split('=', 1) for line in result.out.splitlines()
             if '=' in line]
    return {name: value for name, value in pairs
            if name.startswith(('SSL', 'TCP', 'PROTO'))
            and name != 'SSLNET_USER'}


INHERITED = {'TCPREMOTEIP': 'old', 'SSLREMOTEINFO': 'old', 'PROTO': 'old',
             'SSL_SERVER_S_DN': 'old', 'SSL_CLIENT_VERIFY': 'old'}


def test_environment(family, echo, start):
    """By default the SSL names alone; what was inherited is removed."""
    found = variables(*echo, env=INHERITED)
    port = found.pop('SSLLOCALPORT')
    assert 0 < int(port) < 65536
    assert found == {'PROTO': 'TLS', 'SSLLOCALIP': '127.0.0.1',
                     'SSLREMOTEIP': '127.0.0.1',
                     'SSLREMOTEPORT': str(echo[-1])}


def test_tcp_environment(family, echo):
    found = variables('-e', *echo)
    assert found['PROTO'] == 'TCP'
    assert found['TCPREMOTEPORT'] == found['SSLREMOTEPORT'] == str(echo[-1])
    assert found['TCPLOCALIP'] == '127.0.0.1'
    assert found['SSL_PROTOCOL'] == 'TLSv1.3'
    assert 'SSL_PROTOCOL' not in variables('-e', '-S', *echo)
    assert 'TCPREMOTEIP' not in variables('-e', '-E', *echo)


def test_tls_environment(family, echo, pki):
    found = variables('-s', *echo, env={'ALPN': 'x'})
    assert found['SSL_SERVER_S_DN'] == '/CN=localhost/O=ecdsa'
    assert found['SSL_SERVER_I_DN'].startswith('/CN=')
    assert found['SSL_SERVER_CERT'] == '-----BEGIN CERTIFICATE-----'
    assert found['SSL_TLS_SNI'] == 'localhost'
    assert found['SSL_CIPHER'].startswith('TLS_')
    assert [name for name in found if name.startswith('SSL_CLIENT_')] == [
        'SSL_CLIENT_VERIFY']


def test_alpn(family, peer, pki):
    context = server_context(pki.path('ecdsa.pem'), pki.path('ecdsa.key'))
    context.set_alpn_protocols(['http/1.1'])

    def serve(conn):
        with context.wrap_socket(conn, server_side=True) as tls:
            assert tls.selected_alpn_protocol() == 'http/1.1'
            tls.unwrap()

    server = peer(serve)
    found = variables('-s', '-a', pki.ca, 'localhost', server.port,
                      env={'ALPN': 'h2,http/1.1'})
    assert found['SSL_ALPN'] == 'http/1.1'
    result = run_client('localhost', server.port, 'true',
                        env={'ALPN': 'h2,,x'})
    assert result.code == 111 and 'ALPN' in result.err


def test_local_name(family, echo):
    found = variables('-l', 'Me.Example', *echo)
    assert found['SSLLOCALHOST'] == 'me.example'


# ---------------------------------------------------------------------------
# The TLS process

@pytest.fixture
def running(family, echo):
    """A program that waits, and the process beside it."""
    process = spawn_client(echo + ['sh', '-c', 'echo x >&7; exec cat <&6'])
    pid = family.helper()
    assert process.stdout.read(2) == b'x\n'
    yield process, pid
    process.kill()
    finish(process)


@pytest.mark.root
def test_identity(running):
    status = status_fields(running[1])
    assert status['Uid'] == status['Gid'] == [str(NET_ID)] * 4
    assert status['Groups'] in ([], [str(NET_ID)])
    for which in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb'):
        assert int(status[which][0], 16) == 0
    root = '/proc/%d/root' % running[1]
    assert os.listdir(root) == []
    assert os.stat(root).st_nlink == 0


@pytest.mark.root
def test_nobody_without_a_user(family, echo):
    """SSLNET_USER unset: _sslnet, and without that user nobody."""
    process = spawn_client(echo + ['cat'], env={'SSLNET_USER': None},
                           stdin=subprocess.PIPE)
    try:
        assert status_fields(family.helper())['Uid'][0] != '0'
    finally:
        process.kill()
        finish(process)


@pytest.mark.root
def test_root_for_the_network_is_told(family, echo):
    result = run_client(*echo, 'true', env={'SSLNET_USER': '0'})
    assert result.code == 0 and result.err.count('\n') == 1, result
    assert 'warning: SSLNET_USER is root' in result.err


def test_too_few_descriptors(family):
    result = run_client('localhost', '1', 'true',
                        preexec=lambda: resource.setrlimit(
                            resource.RLIMIT_NOFILE, (7, 7)))
    assert result.code == 111 and result.out == '', result
    assert 'Too many open files' in result.err


def test_it_can_gain_nothing(running):
    status = status_fields(running[1])
    assert status['NoNewPrivs'] == ['1']
    limits = proc_limits(running[1])
    assert limits['Max core file size'] == (0, 0)
    assert limits['Max processes'] == (0, 0)
    assert limits['Max open files'] == (4, 4)
    assert os.stat('/proc/%d/mem' % running[1]).st_uid == 0
    status = status_fields(running[0].pid)
    assert status['NoNewPrivs'] == ['0']


@pytest.mark.root
@pytest.mark.skipif(SANITIZED, reason='a sanitizer opens files of its own')
def test_its_descriptors(running):
    """Socket, two pipes, 0 and 1 to nowhere, 2, and the mute control
    socket; no number is free below its limit."""
    fds = descriptors(running[1])
    assert fds[0] == fds[1] == '/dev/null'
    assert {0, 1, 2, 3} <= set(fds)
    others = sorted(fds[n].split(':')[0] for n in set(fds) - {0, 1, 2})
    assert others == ['pipe', 'pipe', 'socket', 'socket'], fds


@pytest.mark.root
@pytest.mark.skipif(SANITIZED, reason='reports of sanitizers go there')
def test_quiet_keeps_no_descriptor_2(family, echo):
    process = spawn_client(['-q'] + echo + ['cat'], stdin=subprocess.PIPE)
    try:
        pid = family.helper()
        wait_for(lambda: descriptors(pid).get(2) == '/dev/null', 20,
                 'it to let go of descriptor 2')
    finally:
        process.kill()
        finish(process)


def test_it_ends_with_the_program(family, echo):
    process = spawn_client(echo + ['cat'], stdin=subprocess.PIPE)
    family.helper()
    process.kill()
    finish(process)
    family.wait_gone()


def test_signals_to_the_group(family, echo):
    """Ctrl-C ends the program; the TLS process leaves by itself, after the
    last byte."""
    process = spawn_client(echo + ['sh', '-c', 'echo bye >&7; echo x; exec cat'],
                           stdin=subprocess.PIPE, preexec=os.setsid)
    family.helper()
    assert process.stdout.read(2) == b'x\n'
    os.killpg(process.pid, signal.SIGINT)
    assert finish(process).code == -signal.SIGINT
    family.wait_gone()


def test_the_program_sees_the_end(family, peer, pki):
    """A server that ends: end of file, and what it sent is all there."""
    context = server_context(pki.path('ecdsa.pem'), pki.path('ecdsa.key'))

    def serve(conn):
        with context.wrap_socket(conn, server_side=True) as tls:
            tls.sendall(b'all of it')
            tls.unwrap()

    server = peer(serve)
    result = run_client('-a', pki.ca, 'localhost', server.port, 'sh', '-c',
                        'cat <&6; exec 7>&-')
    assert result == (0, 'all of it', '')


# ---------------------------------------------------------------------------
# Verification by default

def refused(result, *words):
    assert result.code == 110, result
    assert result.out == ''
    assert result.err.count('\n') == 1, result
    for word in words:
        assert word in result.err, result


def test_system_store_is_the_default(family, echo, pki):
    host = echo[2:]
    refused(run_client(*host, 'echo', 'ran'), 'localhost',
            'unable to get local issuer certificate')
    for env in ({'SSL_CERT_FILE': pki.ca}, {'CAFILE': pki.ca}):
        assert run_client(*host, 'echo', 'ran', env=env).out == 'ran\n'


def test_ca_directory(family, echo, pki, workdir):
    for name in ('root.pem', 'other.pem'):
        with open(pki.path(name), 'rb') as source, \
                open(os.path.join(workdir, name), 'wb') as copy:
            copy.write(source.read())
    result = run_client('-A', workdir, *echo[2:], 'echo', 'ran')
    assert result == (0, 'ran\n', '')
    # Set, but empty, is unset.
    result = run_client(*echo[2:], 'echo', 'ran',
                        env={'CADIR': workdir, 'CAFILE': ''})
    assert result == (0, 'ran\n', '')
    # A file does not take the directory's place.
    result = run_client('-a', pki.path('other.pem'), *echo[2:], 'echo', 'ran',
                        env={'CADIR': workdir})
    assert result == (0, 'ran\n', '')


def test_wrong_name(family, echo, pki):
    result = run_client('-a', pki.ca, '127.0.0.2', echo[-1], 'echo', 'ran')
    assert result.code in (110, 111)
    assert result.out == ''


# ---------------------------------------------------------------------------
# What cannot start

BAD_USE = [
    [], ['localhost'], ['localhost', '443'], ['-j', 'localhost', '443', 'x'],
    ['--cert'], ['--unknown', 'localhost', '1', 'x'],
    ['--ver', 'localhost', '1', 'x'],
    ['-T', 'x', 'localhost', '1', 'x'], ['-T', '0', 'localhost', '1', 'x'],
    ['-T', '2+', 'localhost', '1', 'x'], ['-T', '+2', 'localhost', '1', 'x'],
    ['-T', '2+x', 'localhost', '1', 'x'], ['-w', '-1', 'localhost', '1', 'x'],
    ['-V', '101', 'localhost', '1', 'x'], ['-p', '65536', 'localhost', '1',
                                           'x'],
    ['-i', 'name', 'localhost', '1', 'x'],
    ['-4', '::1', '1', 'x'], ['-6', '127.0.0.1', '1', 'x'],
    ['-i', '127.0.0.1', '::1', '1', 'x'], ['-6', '-i', '127.0.0.1',
                                           'localhost', '1', 'x'],
    ['localhost', '0', 'x'], ['localhost', '65536', 'x'],
    ['localhost', '1x', 'x'], ['localhost', '', 'x'],
    ['.example.com', '1', 'x'], ['a..b', '1', 'x'], ['-', '1', 'x'],
    ['1.2.3', '1', 'x'], ['1.2.3.4.5', '1', 'x'], ['::1::', '1', 'x'],
    ['fe80::1', '1', 'x'], ['::1%lo', '1', 'x'], ['localhost', '1', ''],
    ['--report', 'x', 'localhost', '1', 'x'],
    ['-3', '--report', '3', 'localhost', '1', 'x'],
]


@pytest.mark.parametrize('arguments', BAD_USE, ids=' '.join)
def test_wrong_use(family, arguments):
    result = run_client(*arguments)
    assert result.code == 100, result
    assert result.out == '' and result.err.count('\n') == 1, result
    assert result.err.startswith('sslclient: ')


def test_every_option_has_a_long_name():
    result = run_client('--help')
    assert result.code == 0 and result.err == ''
    for letter in 'qQv46ipIdDTwhHlrRteEsSaAck3KVzxXnNmM':
        assert '  -%s, --' % letter in result.out, letter
    for line in result.out.splitlines():
        assert len(line) <= 80


def test_version():
    result = run_client('--version')
    assert result.code == 0
    assert result.out.startswith('sslclient (ucspi-ssl) ')


@pytest.mark.parametrize('options, word', [
    (['-a', '/no/such'], '/no/such'),
    (['-A', '/no/such'], '/no/such'),
    (['-c', '/no/such'], '/no/such'),
    (['-z', 'nonsense'], 'nonsense'),
    (['-K', '/no/such'], '/no/such'),
    (['--report', '99'], '99'),
    (['-3'], 'descriptor 3'),
    (['-I', 'no-such'], 'no-such'),
])
def test_bad_files_before_any_connection(family, peer, options, word):
    server = peer(lambda conn: None)
    result = run_client(*options, 'localhost', server.port, 'echo', 'ran')
    assert result.code == 111, result
    assert word in result.err and result.err.count('\n') == 1, result
    assert result.out == ''
    assert server.count == 0


@pytest.mark.parametrize('env, word', [
    ({'CAFILE': '/no/such'}, '/no/such'),
    ({'CRLFILE': '/no/such'}, '/no/such'),
    ({'CERTFILE': '/no/such'}, '/no/such'),
    ({'TLSMIN': '9'}, 'TLSMIN'),
    ({'TLSGROUPS': 'x'}, 'TLSGROUPS'),
    ({'VERIFYDEPTH': 'x'}, 'VERIFYDEPTH'),
    ({'DNSCACHEIP': 'x'}, 'DNSCACHEIP'),
])
def test_bad_environment(family, peer, env, word):
    server = peer(lambda conn: None)
    result = run_client('localhost', server.port, 'echo', 'ran', env=env)
    assert result.code == 111, result
    assert word in result.err and result.err.count('\n') == 1, result
    assert server.count == 0


def test_nobody_listens(family):
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        port = sock.getsockname()[1]
        result = run_client('127.0.0.1', port, 'echo', 'ran')
    assert result == (111, '', 'sslclient: fatal: (111) unable to connect to '
                      '127.0.0.1 port %d: 127.0.0.1: Connection refused\n'
                      % port)


def test_unknown_service(family):
    result = run_client('localhost', 'no-such-service', 'echo', 'ran')
    assert result.code == 111 and 'no-such-service' in result.err
