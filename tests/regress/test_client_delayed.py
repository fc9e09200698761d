"""sslclient --delayed: the program asks for TLS itself (UCSPI-TLS)."""

import os
import ssl
import subprocess

import pytest

from clientrun import (SSLCLIENT, client_environment, finish, read_record,
                       run_client, server_context, spawn_client)
from harness import NET_ID, ROOT, status_fields

PYTHON = '/usr/bin/python3'

# What the program does; sys.argv[1] says which of it.
PROGRAM = r'''
import os, socket, sys
plain = socket.socket(fileno=6)
control = int(os.environ['SSLCTLFD'])
read_fd, write_fd = (int(os.environ[name])
                     for name in ('SSLREADFD', 'SSLWRITEFD'))

def all_of(fd):
    pieces = []
    while True:
        piece = os.read(fd, 65536)
        if not piece:
            return b''.join(pieces)
        pieces.append(piece)

def line():
    text = b''
    while not text.endswith(b'\n'):
        byte = os.read(6, 1)
        if not byte:
            break
        text += byte
    return text

how = sys.argv[1]
assert len({6, 7, control, read_fd, write_fd}) == 5
print(line().decode().strip(), os.environ['PROTO'])
if how == 'plain':
    os.close(control)
    os.write(7, b'plain\n')
    print(line().decode().strip())
    sys.exit(0)
os.write(7, b'STARTTLS\n')
assert line() == b'go\n'
os.write(control, {'y': b'y', 'Y': b'Y'}.get(how, b'z'))
if how == 'Y':
    block = all_of(control)
    if block:
        assert block.endswith(b'\0\0'), block
        names = dict(text.split(b'=', 1) for text in block.split(b'\0')
                     if text)
        print(names[b'SSL_PROTOCOL'].decode(),
              names[b'SSL_SERVER_S_DN'].decode())
    else:
        print('no block')
try:
    os.write(write_fd, b'question')
except BrokenPipeError:
    print('broken')
os.close(write_fd)
print(all_of(read_fd).decode() or 'end')
try:
    print('plain:', os.read(6, 100) or 'end')
except OSError as error:
    print('plain:', error.strerror)
'''


def serve_with(context, log):
    def serve(conn):
        conn.sendall(b'hello\n')
        word = conn.recv(100)
        log.append(word)
        if word != b'STARTTLS\n':
            conn.sendall(b'plain it is\n')
            return
        conn.sendall(b'go\n')
        try:
            with context.wrap_socket(conn, server_side=True) as tls:
                log.append(tls.recv(100))
                tls.sendall(b'answer')
                tls.unwrap()
        except OSError as failure:
            log.append(failure)

    return serve


@pytest.fixture
def delayed(family, peer, pki):
    """Runs the program; the result, and what the server has seen."""
    def run(how, *options, ca=pki.ca):
        log = []
        context = server_context(pki.path('ecdsa.pem'), pki.path('ecdsa.key'))
        server = peer(serve_with(context, log))
        result = run_client('--delayed', '-a', ca, *options, 'localhost',
                            server.port, PYTHON, '-c', PROGRAM,
                            how)
        server.stop()
        return result, log

    return run


def test_tls(delayed):
    result, log = delayed('y')
    assert result.code == 0 and result.err == '', result
    lines = result.out.splitlines()
    assert lines[:2] == ['hello TCP', 'answer'], result
    assert log == [b'STARTTLS\n', b'question']


# Shells know no descriptors of two digits.
SHELL = r'''
read line <&6
printf 'STARTTLS\n' >&7
read line <&6
eval "
	printf y >&$SSLCTLFD
	printf question >&$SSLWRITEFD
	exec $SSLWRITEFD>&-
	cat <&$SSLREADFD
"
echo " $SSLCTLFD $SSLREADFD $SSLWRITEFD"
'''


def test_shell(family, peer, pki):
    log = []
    context = server_context(pki.path('ecdsa.pem'), pki.path('ecdsa.key'))
    server = peer(serve_with(context, log))
    result = run_client('--delayed', '-a', pki.ca, 'localhost', server.port,
                        'sh', '-c', SHELL)
    assert result == (0, 'answer 3 4 5\n', ''), result
    assert log == [b'STARTTLS\n', b'question']


def test_descriptors_below_are_taken(family, peer, pki):
    log = []
    context = server_context(pki.path('ecdsa.pem'), pki.path('ecdsa.key'))
    server = peer(serve_with(context, log))
    for count in (3, 4, 5):
        opener = ' '.join('%d</dev/null' % (3 + n) for n in range(count))
        result = finish(subprocess.Popen(
            ['sh', '-c', 'exec "$@" ' + opener, 'sh', SSLCLIENT, '--delayed',
             '-a', pki.ca, 'localhost', str(server.port), PYTHON, '-c',
             PROGRAM, 'y'], env=client_environment(),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE))
        assert (result.code, result.err) == (0, ''), (count, result)
        assert result.out.splitlines()[:2] == ['hello TCP', 'answer'], result


def test_tls_with_variables(delayed):
    result, log = delayed('Y')
    assert result.code == 0 and result.err == '', result
    assert result.out.splitlines()[:3] == [
        'hello TCP', 'TLSv1.3 /CN=localhost/O=ecdsa', 'answer'], result
    assert log == [b'STARTTLS\n', b'question']


def test_plain(delayed):
    result, log = delayed('plain')
    assert result == (0, 'hello TCP\nplain it is\n', '')
    assert log == [b'plain\n']


@pytest.mark.parametrize('how', ['y', 'Y'])
def test_refused_certificate(delayed, pki, how):
    """No block, no TLS, and no way back into plain text."""
    result, log = delayed(how, ca=pki.path('other.pem'))
    assert result.code == 0, result
    assert result.err.startswith('sslclient: fatal: (110) certificate of '
                                 'localhost refused: '), result
    lines = result.out.splitlines()
    if how == 'Y':
        assert lines[1] == 'no block'
    assert 'end' in lines and lines[-1] == 'plain: end', result
    assert isinstance(log[1], OSError), log


def test_what_follows_a_refused_certificate(family, peer, pki):
    """Plain text behind it, more than the TLS library can have taken, is
    nothing the program ever reads."""
    context = server_context(pki.path('ecdsa.pem'), pki.path('ecdsa.key'))

    def serve(conn):
        conn.sendall(b'hello\n')
        assert conn.recv(100) == b'STARTTLS\n'
        conn.sendall(b'go\n')
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(read_record(conn))
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        try:
            conn.sendall(outgoing.read() + b'250 all is well\n' * 20000)
            while conn.recv(65536):
                pass
        except OSError:
            pass

    server = peer(serve)
    result = run_client('--delayed', '-a', pki.path('other.pem'), 'localhost',
                        server.port, '/usr/bin/python3', '-c', PROGRAM, 'y')
    server.check()
    assert result.code == 0 and 'refused' in result.err, result
    assert result.out.splitlines()[-1] in (
        'plain: end', 'plain: Connection reset by peer'), result


def test_other_byte(delayed):
    result, log = delayed('z')
    assert result.code == 0, result
    assert 'neither y nor Y' in result.err
    assert result.out.splitlines()[-1] == 'plain: end'
    assert isinstance(log[1], OSError), log


def test_helpers(family, peer, pki):
    """Both have no rights; both have gone when the program has."""
    def serve(conn):
        conn.sendall(b'hello\n')
        conn.recv(100)

    server = peer(serve)
    process = spawn_client(['--delayed', '-a', pki.ca, 'localhost',
                            server.port, 'sh', '-c',
                            'head -n 1 <&6; exec cat'],
                           stdin=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b'hello\n'
        for name in ('session', 'delayed'):
            pid = family.helper(name)
            status = status_fields(pid)
            assert status['NoNewPrivs'] == ['1']
            if ROOT:
                assert status['Uid'] == [str(NET_ID)] * 4
                assert os.listdir('/proc/%d/root' % pid) == []
    finally:
        process.kill()
        finish(process)
    family.wait_gone()


def test_declined_leaves_nothing(family, peer):
    """Plain text is the program's alone: no helper is left."""
    def serve(conn):
        conn.sendall(b'hello\n')
        conn.settimeout(60)
        while conn.recv(100):
            pass

    server = peer(serve)
    close = ('import os, sys; os.close(int(os.environ["SSLCTLFD"])); '
             'print(os.read(6, 100).decode().strip(), flush=True); '
             'sys.stdin.read()')
    process = spawn_client(
        ['--delayed', 'localhost', server.port, PYTHON, '-c',
         close], stdin=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b'hello\n'
        family.wait_gone()
        assert process.poll() is None
    finally:
        process.kill()
        finish(process)


def test_silent_handshake(family, peer):
    """-T begins with the byte."""
    def serve(conn):
        conn.sendall(b'hello\n')
        assert conn.recv(100) == b'STARTTLS\n'
        conn.sendall(b'go\n')
        try:
            while conn.recv(1000):
                pass
        except OSError:
            pass

    result = run_client('--delayed', '-T', '1+1', 'localhost',
                        peer(serve).port, PYTHON, '-c', PROGRAM,
                        'Y')
    assert result.code == 0 and 'handshake timeout' in result.err, result
    assert 'no block' in result.out and 'plain: end' in result.out


def test_not_with_starttls(family):
    result = run_client('--delayed', '--starttls', 'smtp', 'localhost', '1',
                        'true')
    assert result.code == 100 and 'exclude' in result.err


def test_without_it_the_variables_are_unset(family, peer, pki):
    context = server_context(pki.path('ecdsa.pem'), pki.path('ecdsa.key'))

    def serve(conn):
        with context.wrap_socket(conn, server_side=True) as tls:
            tls.unwrap()

    result = run_client('-a', pki.ca, 'localhost', peer(serve).port, 'env',
                        env={'SSLCTLFD': '5', 'SSLREADFD': '5'})
    assert 'SSLCTLFD' not in result.out and 'SSLREADFD' not in result.out
