"""sslclient --session: a TLS session goes on in the next connection."""

import ctypes
import os
import ssl
import stat
import struct
import subprocess
import sys

import pytest

from clientrun import (finish, run_client, s_server, server_context,
                       spawn_client)
from harness import IS_LIBRESSL, ROOT, proc_limits, status_fields, wait_for

# The server's tickets come with its first answer at the latest.
ASK = ('echo hello >&7; head -n 1 <&6 >/dev/null; exec 7>&-; '
       'cat <&6 >/dev/null; '
       'echo "$SSL_SESSION_RESUMED $SSL_SERVER_S_DN $SSL_PROTOCOL"')

# LibreSSL resumes sessions of TLS 1.2 alone.
RESUMABLE = {'TLSMAX': '1.2'} if IS_LIBRESSL else {}


@pytest.fixture
def kept(family, start, pki, workdir):
    """Runs sslclient with the file `kept' against our own server."""
    server = start('/bin/cat')

    def run(*options, host='localhost', ca=pki.ca, env=None, port=None):
        result = run_client('--session', os.path.join(workdir, 'kept'), '-s',
                            '-a', ca, *options, host, port or server.port,
                            'sh', '-c', ASK, env={**RESUMABLE, **(env or {})})
        family.wait_gone()
        return result

    run.path = os.path.join(workdir, 'kept')
    run.port = server.port
    return run


def is_resumed(result):
    assert result.code == 0 and result.err == '', result
    word = result.out.split()[0]
    assert word in ('Initial', 'Resumed'), result
    assert '/CN=localhost/O=ecdsa' in result.out
    return word == 'Resumed'


@pytest.mark.parametrize('version', [
    '1.2', pytest.param('1.3', marks=pytest.mark.skipif(
        IS_LIBRESSL, reason='LibreSSL resumes with TLS 1.2 only'))])
def test_resumed(kept, pki, version):
    env = {'TLSMAX': version}
    assert not is_resumed(kept(env=env))
    status = os.stat(kept.path)
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert status.st_uid == os.geteuid()
    assert is_resumed(kept(env=env))
    for options, expected in (('--session', kept.path), True), ((), False):
        result = run_client(*options, '-v', '-a', pki.ca, 'localhost',
                            kept.port, 'true', env=env)
        assert result.code == 0
        assert result.err.endswith(' resumed\n') == expected, result
    assert os.listdir(os.path.dirname(kept.path)).count('kept') == 1
    assert not [name for name in os.listdir(os.path.dirname(kept.path))
                if name.startswith('.')]


def test_only_for_what_it_was_made_for(kept, start, pki):
    """Another name, store, depth or wish begins anew."""
    for first, second in (
            ({}, {'host': '127.0.0.1'}),
            ({}, {'ca': pki.path('chain.pem')}),
            ({'ca': pki.ca}, {}),
    ):
        if os.path.exists(kept.path):
            os.unlink(kept.path)
        assert not is_resumed(kept(**first))
        if 'ca' in second:
            # No store that knows this server: refused, not resumed.
            result = kept(**second)
            assert result.code == 110 and result.out == '', result
        elif second:
            assert not is_resumed(kept(**second))
        else:
            assert is_resumed(kept(**second))
    assert not is_resumed(kept('-V', '3'))
    assert not is_resumed(kept('--strict-names'))
    assert not is_resumed(kept('-N'))
    # What was not verified is not good for who verifies.
    assert not is_resumed(kept('-X', '-N'))
    assert not is_resumed(kept())


def test_another_server(kept, start):
    """One that does not know it: a whole handshake, and it is replaced."""
    assert not is_resumed(kept())
    other = start('/bin/cat')
    assert not is_resumed(kept(port=other.port))
    assert is_resumed(kept(port=other.port))


@pytest.mark.parametrize('text', [
    b'', b'x', b'ucspi-ssl session 2\n', b'ucspi-ssl session 2\n' + b'x' * 200,
    b'y' * 100000])
def test_nonsense_is_replaced(kept, text):
    with open(kept.path, 'wb') as file:
        file.write(text)
    os.chmod(kept.path, 0o600)
    assert not is_resumed(kept())
    assert is_resumed(kept())


def test_damaged(kept):
    """The right head and other bytes behind it."""
    assert not is_resumed(kept())
    with open(kept.path, 'r+b') as file:
        file.seek(60)
        file.write(b'\xff' * 40)
    assert not is_resumed(kept())
    assert is_resumed(kept())


@pytest.mark.parametrize('mode', [0o644, 0o660, 0o604])
def test_not_ones_own(kept, mode):
    with open(kept.path, 'wb'):
        pass
    os.chmod(kept.path, mode)
    result = kept()
    assert result.code == 111 and result.out == '', result
    assert kept.path in result.err and 'not yours alone' in result.err


@pytest.mark.root
def test_of_another_user(kept):
    with open(kept.path, 'wb'):
        pass
    os.chmod(kept.path, 0o600)
    os.chown(kept.path, 64077, 64077)
    assert 'not yours alone' in kept().err


@pytest.mark.parametrize('path', ['/no/such/directory/file', '/tmp/', ''])
def test_bad_path(family, path):
    result = run_client('--session', path, 'localhost', '1', 'true')
    assert result.code == 111 and '--session' in result.err, result
    assert result.err.count('\n') == 1


def test_a_link_is_replaced_not_followed(kept, workdir):
    target = os.path.join(workdir, 'target')
    with open(target, 'wb') as file:
        file.write(b'precious')
    os.chmod(target, 0o600)
    os.symlink(target, kept.path)
    assert not is_resumed(kept())
    assert not os.path.islink(kept.path)
    with open(target, 'rb') as file:
        assert file.read() == b'precious'


def test_who_writes(family, kept, pki):
    """It has the rights of the start, as it must, and can gain none."""
    process = spawn_client(
        ['--session', kept.path, '-a', pki.ca, 'localhost', kept.port,
         'sh', '-c', 'echo x >&7; exec cat <&6'], env=RESUMABLE,
        stdin=subprocess.DEVNULL)
    try:
        pid = family.helper('store')
        wait_for(lambda: status_fields(pid)['NoNewPrivs'] == ['1'], 20,
                 'it to give up what it can')
        assert status_fields(pid)['Uid'] == [str(os.geteuid())] * 4
        assert proc_limits(pid)['Max processes'] == (0, 0)
        wait_for(lambda: os.path.exists(kept.path), 20, 'the file')
    finally:
        process.kill()
        finish(process)
    family.wait_gone()
    assert ROOT or os.stat(kept.path).st_uid == os.getuid()


class Watch:
    """Counts renamings in a directory (inotify(7)).  Events that are the
    same and follow each other are one, so making a file is watched too."""
    MOVED_TO, CREATE = 0x80, 0x100

    def __init__(self, directory):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_NONBLOCK)
        assert libc.inotify_add_watch(self.fd, directory.encode(),
                                      self.MOVED_TO | self.CREATE) >= 0

    def count(self):
        data = os.read(self.fd, 1000000)
        os.close(self.fd)
        found, place = 0, 0
        while place < len(data):
            _, mask, _, size = struct.unpack_from('iIII', data, place)
            found += mask & self.MOVED_TO != 0
            place += 16 + size
        return found


@pytest.mark.skipif(not sys.platform.startswith('linux'),
                    reason='inotify is Linux')
def test_tickets_without_end(family, command, pki, workdir):
    """Not each ticket of a server is a file written."""
    server = command(s_server(
        '-cert', pki.path('ecdsa.pem'), '-key', pki.path('ecdsa.key'),
        '-num_tickets', '200', '-rev', '-quiet'))
    watch = Watch(workdir)
    result = run_client('--session', os.path.join(workdir, 'kept'), '-a',
                        pki.ca, 'localhost', server.port, 'sh', '-c',
                        'echo hello >&7; head -n 1 <&6; exec 7>&-; '
                        'cat <&6 >/dev/null')
    # The server of openssl 1.1.1 ends without close_notify.
    assert (result.code, result.out) == (0, 'olleh\n'), result
    family.wait_gone()
    assert 1 <= watch.count() <= 16


def test_with_python(family, peer, pki, workdir):
    """Another library's way to make tickets."""
    context = server_context(pki.path('ecdsa.pem'), pki.path('ecdsa.key'))
    reused = []

    def serve(conn):
        with context.wrap_socket(conn, server_side=True) as tls:
            reused.append(tls.session_reused)
            tls.recv(100)
            tls.sendall(b'x\n')
            try:
                tls.unwrap()
            except ssl.SSLError:
                pass

    server = peer(serve)
    for _ in range(2):
        result = run_client('--session', os.path.join(workdir, 'kept'), '-a',
                            pki.ca, 'localhost', server.port, 'sh', '-c',
                            'echo x >&7; cat <&6; exec 7>&-', env=RESUMABLE)
        assert result == (0, 'x\n', ''), result
        family.wait_gone()
    server.check()
    assert reused == [False, True]
