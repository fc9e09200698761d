"""A pass phrase on descriptor 3: for keepers alone, as long as one lives."""

import contextlib
import os
import pty
import re
import signal
import socket
import sys
import tty

import pytest

from harness import (LONG_LIVED, PATIENCE, descriptors, is_stopped, kill,
                     read_proc, run_server, wait_for)
from pki import openssl
from test_failures import is_served
from test_key import found_in, may_read_memory  # noqa: F401

PHRASE = b'correct horse battery staple, and nobody else'
AES = ('-v2', 'aes-256-cbc')

# Puts an open descriptor (-1: none) where the server looks for it.
LAUNCH = 'import os, sys\n' \
    'fd = int(sys.argv[1])\n' \
    'os.dup2(fd, 3) if fd >= 0 else os.closerange(3, 4)\n' \
    'os.execv(sys.argv[2], sys.argv[2:])\n'


def launcher(fd):
    return (sys.executable, '-c', LAUNCH, str(fd))


@contextlib.contextmanager
def pipe_of(data, ends=True):
    """The reading end of a pipe that holds data; ends=False: and waits."""
    out, into = os.pipe()
    try:
        os.write(into, data)
        if ends:
            os.close(into)
        yield out
    finally:
        os.close(out)
        if not ends:
            os.close(into)


@contextlib.contextmanager
def file_of(data, ends=True):
    path = '/tmp/test-phrase.%d' % os.getpid()
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.unlink(path)
        os.write(fd, data)
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def socket_of(data, ends=True):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(data)
        if ends:
            ours.shutdown(socket.SHUT_WR)
        yield theirs.fileno()


@contextlib.contextmanager
def packets_of(data, ends=True):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.sendall(data)
        if ends:
            ours.shutdown(socket.SHUT_WR)
        yield theirs.fileno()


@contextlib.contextmanager
def terminal_of(data):
    ours, theirs = pty.openpty()
    try:
        tty.setraw(theirs)
        os.write(ours, data)
        yield theirs
    finally:
        os.close(ours)
        os.close(theirs)


def legacy_too():
    """Options that give the command old ciphers; 1.1.1 has them anyway."""
    if b'OpenSSL 1.' in openssl('version'):
        return ()
    return ('-provider', 'legacy', '-provider', 'default')


def old_form(kind):
    """Options for it; 1.1.1 has no other for RSA."""
    options = legacy_too()
    return options + ('-traditional',) if options and kind == 'rsa' \
        else options


@pytest.fixture
def encrypted(pki, workdir):
    """A certificate whose key is encrypted as pkcs8's options say."""
    def make(*how, phrase=PHRASE, name='ecdsa'):
        path = os.path.join(workdir, 'encrypted.key')
        secret = os.path.join(workdir, 'secret')
        with open(secret, 'wb') as file:
            file.write(phrase)
        openssl('pkcs8', '-topk8', '-in', pki.path(name + '.key'), '-out',
                path, '-passout', 'file:' + secret, *legacy_too(),
                *(how or AES))
        os.unlink(secret)
        os.chmod(path, 0o600)
        return {'CERTFILE': pki.path(name + '.pem'), 'KEYFILE': path}
    return make


@pytest.fixture
def traditional(pki, workdir):
    """The same in the old form."""
    def make(cipher, kind='ec', name='ecdsa'):
        path = os.path.join(workdir, 'old.key')
        openssl(kind, '-in', pki.path(name + '.key'), '-out', path,
                '-' + cipher, '-passout', 'pass:' + PHRASE.decode(),
                *old_form(kind))
        with open(path, encoding='ascii') as file:
            assert 'DEK-Info' in file.read()
        os.chmod(path, 0o600)
        return {'CERTFILE': pki.path(name + '.pem'), 'KEYFILE': path}
    return make


@pytest.fixture
def start_with(start):
    """A server with descriptor 3 as its first argument says."""
    def make(fd, certs, *program, options=(), **settings):
        return start(*program, launcher=launcher(fd), keep=(fd,), certs=certs,
                     options=['-3', *options], **settings)
    return make


def check(certs, fd, options=('-3', '--check')):
    return run_server([*options, '127.0.0.1', '0', '/bin/cat'], env=certs,
                      launcher=launcher(fd), keep=(fd,) if fd >= 0 else ())


def fatal(result):
    """The sentence with which it did not start."""
    assert result.code == 111, result
    assert result.out == ''
    lines = [line for line in result.err.splitlines() if 'fatal' in line]
    assert len(lines) == 1, result.err
    assert lines[0].startswith('sslserver: fatal: (111) '), lines[0]
    assert PHRASE.decode() not in result.err
    return lines[0][len('sslserver: fatal: (111) '):]


# Phrases and keys

@pytest.mark.parametrize('how', [
    AES, ('-v2', 'des3'), ('-scrypt',), ('-v1', 'PBE-SHA1-3DES'),
    ('-v1', 'PBE-SHA1-RC4-128'), ('-v1', 'PBE-SHA1-RC2-40'),
    ('-v1', 'PBE-MD5-DES')], ids=lambda how: how[-1])
def test_pkcs8(start_with, encrypted, how):
    """Also what needs OpenSSL's legacy provider, in an empty root."""
    with pipe_of(PHRASE) as fd:
        server = start_with(fd, encrypted(*how), options=['--keepers', '2'])
        server.check_service()


@pytest.mark.parametrize('cipher, kind, name', [
    ('aes256', 'ec', 'ecdsa'), ('des3', 'rsa', 'rsa'), ('des', 'ec', 'ecdsa')])
def test_traditional(start_with, traditional, cipher, kind, name):
    with pipe_of(PHRASE) as fd:
        server = start_with(fd, traditional(cipher, kind, name))
        server.check_service()


def test_key_beside_the_certificate(start_with, encrypted, workdir):
    certs = encrypted()
    both = os.path.join(workdir, 'both.pem')
    with open(both, 'w', encoding='ascii') as file:
        for name in certs.values():
            with open(name, encoding='ascii') as part:
                file.write(part.read())
    os.chmod(both, 0o600)
    with pipe_of(PHRASE) as fd:
        start_with(fd, {'CERTFILE': both}).check_service()
    with pipe_of(b'x') as fd:
        assert fatal(check({'CERTFILE': both}, fd)) == \
            'wrong pass phrase for CERTFILE ' + both


@pytest.mark.parametrize('phrase, more', [
    (b'wrong', ''), (PHRASE + b'x', ''), (PHRASE[:-1], ''),
    (b'', ': it is empty'), (PHRASE + b'\n', ': it ends in a newline')],
    ids=['wrong', 'longer', 'shorter', 'empty', 'newline'])
def test_wrong_phrase(encrypted, phrase, more):
    certs = encrypted()
    with pipe_of(phrase) as fd:
        assert fatal(check(certs, fd)) == \
            'wrong pass phrase for KEYFILE ' + certs['KEYFILE'] + more


def test_no_phrase(encrypted):
    """An encrypted key alone: the sentence says what is missing."""
    certs = encrypted()
    with pipe_of(PHRASE) as fd:
        sentence = fatal(check(certs, fd, options=('--check',)))
    assert sentence == 'KEYFILE %s: the private key is encrypted, and its ' \
        'pass phrase is not given (-3)' % certs['KEYFILE']


def test_phrase_for_a_plain_key(pki):
    with pipe_of(PHRASE) as fd:
        result = check(pki.ecdsa, fd)
    assert result.code == 0 and 'phrase' not in result.err, result


def test_length(encrypted):
    """1023 bytes are a phrase, more are none."""
    certs = encrypted(phrase=b'p' * 1023)
    for data, code in ((b'p' * 1023, 0), (b'p' * 1023 + b'\0q', 0),
                       (b'p' * 1024, 111), (b'p' * 5000, 111)):
        with pipe_of(data) as fd:
            result = check(certs, fd)
        assert result.code == code, (len(data), result)
    assert fatal(result) == 'the pass phrase from descriptor 3 (-3) has ' \
        'more than 1023 bytes'


# Descriptor 3

@pytest.mark.parametrize('source', [pipe_of, file_of, socket_of, packets_of])
@pytest.mark.parametrize('data, ends', [
    (PHRASE, True), (PHRASE + b'\0', False), (PHRASE + b'\0junk', True)],
    ids=['end', 'nul', 'junk'])
def test_source(start_with, encrypted, source, data, ends):
    with source(data, ends) as fd:
        server = start_with(fd, encrypted(), options=['--keepers', '2'])
        server.check_service()


def test_terminal(encrypted):
    """Which has no end but a NUL."""
    with terminal_of(PHRASE + b'\0') as fd:
        assert check(encrypted(), fd).code == 0


def test_not_open(encrypted):
    assert fatal(check(encrypted(), -1)) == '-3: descriptor 3 is not open'


def test_unreadable(encrypted, workdir):
    certs = encrypted()
    for flags, path, reason in (
            (os.O_RDONLY, workdir, 'Is a directory'),
            (os.O_WRONLY, '/dev/null', 'Bad file descriptor')):
        fd = os.open(path, flags)
        try:
            assert fatal(check(certs, fd)) == 'unable to read the pass ' \
                'phrase from descriptor 3 (-3): ' + reason
        finally:
            os.close(fd)


def test_both_for_keeper_and_program(encrypted):
    with pipe_of(PHRASE) as fd:
        result = check(encrypted(), fd, ('-3', '--keep-fd', '3', '--check'))
    assert result.code == 100, result
    assert len(result.err.splitlines()) == 1
    assert '--keep-fd 3' in result.err


def test_explain(encrypted):
    """Reads nothing, so it needs nothing."""
    result = check(encrypted(), -1, ('-3', '--explain'))
    assert result.code == 0, result
    assert 'pass phrase: from descriptor 3\n' in result.out
    result = check(encrypted(), -1, ('--explain',))
    assert 'pass phrase: none (default)\n' in result.out


def holders(server, inode):
    """The roles that have that pipe or socket open."""
    return sorted(role for role, pids in server.roles().items()
                  for pid in pids
                  if any(target.endswith('[%d]' % inode)
                         for target in descriptors(pid).values()))


def inode_of(fd):
    return os.fstat(fd).st_ino


@pytest.mark.root
def test_who_holds_descriptor_3(start_with, encrypted):
    """While it waits, the first keeper; later, nobody."""
    out, into = os.pipe()
    try:
        server = start_with(out, encrypted(), '/bin/sh', '-c', 'cat; :',
                            options=['--keepers', '3'], ready=False)
        wait_for(lambda: holders(server, inode_of(out)) == ['keeper'],
                 what='the pipe is with the first keeper')
        assert 'monitor' not in server.roles()
        assert len(server.pids('keeper')) == 1
        os.write(into, PHRASE + b'\0')
        server.wait_ready()
        with server.connect() as client:
            client.echo(b'x')
            assert len(server.pids('keeper')) == 3
            assert {'session', 'program'} <= set(server.roles())
            assert holders(server, inode_of(out)) == []
    finally:
        os.close(out)
        os.close(into)


@pytest.mark.parametrize('number, code', [
    (signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)])
def test_end_of_the_wait(start_with, encrypted, number, code):
    """Whoever waits for a phrase leaves when the server does."""
    with pipe_of(b'half a phrase', ends=False) as fd:
        server = start_with(fd, encrypted(), ready=False)
        wait_for(lambda: len(server.pids('keeper')) == 1, what='a keeper')
        server.signal(number)
        assert server.process.wait(PATIENCE) == code
        server.wait_gone()
        assert not server.lines('fatal')


# Keepers that go and come

def test_each_keeper_is_replaced(start_with, encrypted):
    """In turn, until none is left of those that the server began with."""
    with pipe_of(PHRASE) as fd:
        server = start_with(fd, encrypted(), options=['--keepers', '3'])
    first = server.pids('keeper')
    assert len(first) == 3
    with server.connect() as client:
        for pid in first:
            known = set(server.pids('keeper'))
            kill(pid)
            server.wait_log(r'keeper %d ended by signal 9' % pid)
            wait_for(lambda: set(server.pids('keeper')) - known,
                     what='a successor')
            wait_for(lambda: is_served(server) and
                     len(server.pids('keeper')) == 3, what='service by three')
        client.echo(b'x')
    assert not set(server.pids('keeper')) & set(first)
    for _ in range(20):
        server.check_service()
    assert not server.lines('fatal|keeper:')


def test_other_phrase_meanwhile(start_with, encrypted):
    """The successor says what is wrong; the others go on."""
    certs = encrypted()
    with pipe_of(PHRASE) as fd:
        server = start_with(fd, certs, options=['--keepers', '2'])
    encrypted(phrase=b'another one')
    kill(server.pids('keeper')[0])
    server.wait_log(r'^sslserver: error: \(111\) keeper: wrong pass phrase '
                    'for KEYFILE ' + re.escape(certs['KEYFILE']) + '$')
    wait_for(lambda: is_served(server), what='service')
    encrypted()
    wait_for(lambda: len(server.pids('keeper')) == 2, 10, 'two keepers')
    server.check_service()


LOST = r'^sslserver: fatal: \(111\) all keepers are lost and the pass ' \
    'phrase with them; '


def lose_keepers(server):
    pids = server.pids('keeper')
    # One that still ran could hand the phrase to the first one's successor.
    for pid in pids:
        kill(pid, signal.SIGSTOP)
    wait_for(lambda: all(is_stopped(pid) for pid in pids), 20,
             'the keepers to stand')
    for pid in pids:
        kill(pid)


@pytest.mark.parametrize('keepers', ['1', '3'])
@pytest.mark.parametrize('log', ['-v', '-q'])
def test_all_keepers_at_once(start_with, encrypted, keepers, log):
    """It ends with 111 and frees its port; what runs goes on."""
    with pipe_of(PHRASE) as fd:
        server = start_with(fd, encrypted(), options=['--keepers', keepers],
                            log=log)
    with server.connect() as client:
        client.echo(b'before')
        lose_keepers(server)
        assert server.process.wait(PATIENCE) == 111
        server.wait_log(LOST)
        with pytest.raises(ConnectionRefusedError):
            server.connect()
        client.echo(b'after')
        client.close_notify()
        assert client.recv_all() == b''
    server.wait_gone()
    assert len(server.lines('fatal')) == 1


def test_all_keepers_with_drain(start_with, encrypted):
    """The time that --drain gives is given; the code is the same."""
    with pipe_of(PHRASE) as fd:
        server = start_with(fd, encrypted(),
                            options=['--keepers', '2', '--drain', '60'])
    with server.connect() as client:
        client.echo(b'before')
        lose_keepers(server)
        server.wait_log(LOST, 15)
        client.echo(b'after')
        assert server.process.poll() is None
    assert server.process.wait(PATIENCE) == 111
    server.wait_gone()


def test_keeper_lost_after_stop(start_with, encrypted):
    """A server that was told to leave does that, whoever dies."""
    with pipe_of(PHRASE) as fd:
        server = start_with(fd, encrypted(),
                            options=['--keepers', '1', '--drain', '60'])
    with server.connect() as client:
        client.echo(b'before')
        server.signal(signal.SIGTERM)
        wait_for(lambda: refuses(server), what='the listener is closed')
        pid = server.pid('keeper')
        kill(pid)
        server.wait_log('keeper %d ended by signal 9' % pid)
        client.echo(b'after')
    assert server.process.wait(PATIENCE) == 0
    server.wait_gone()
    assert not server.lines(LOST)


def refuses(server):
    try:
        socket.create_connection((server.address, server.port), 5).close()
        return False
    except ConnectionRefusedError:
        return True


# Where the phrase is

def where(server):
    def has_it(pid):
        try:
            return found_in(pid, {'phrase': PHRASE})
        except (FileNotFoundError, ProcessLookupError):
            return False  # it has ended since
    return {pid for pids in server.roles().values() for pid in pids
            if has_it(pid)}


def test_phrase_is_with_keepers_only(
        start_with, encrypted, may_read_memory):  # noqa: F811
    with pipe_of(PHRASE) as fd:
        server = start_with(fd, encrypted(), options=['--keepers', '3'])
    with server.connect() as client:
        client.echo(b'x')
        roles = server.roles()
        assert LONG_LIVED <= set(roles) | {'resolver'}
        assert {'session', 'program'} <= set(roles)
        assert len(roles['keeper']) == 3
        assert where(server) == set(roles['keeper'])
        first = roles['keeper'][0]
        kill(first)
        wait_for(lambda: first not in server.pids('keeper')
                 and len(where(server)) == 3, 10, 'a successor that has it')
        server.check_service()
        client.echo(b'x')
        assert wait_for(lambda: where(server) == set(server.pids('keeper')),
                        what='the phrase is with keepers alone')
        for pids in server.roles().values():
            for pid in pids:
                for name in ('environ', 'cmdline'):
                    assert PHRASE not in read_proc(pid, name), (pid, name)


@pytest.mark.root
def test_descriptors_of_keepers(start_with, encrypted):
    """Life line and work socket; nothing is left of the phrase's way."""
    with pipe_of(PHRASE) as fd:
        server = start_with(fd, encrypted(), options=['--keepers', '2'])
    first = server.pids('keeper')[0]
    kill(first)
    server.wait_log('keeper %d ended' % first)
    wait_for(lambda: len(server.pids('keeper')) == 2, what='two keepers')
    for pid in server.pids('keeper'):
        wait_for(lambda p=pid: kinds(p) == ['socket', 'socket'],
                 what='two sockets and no more')


def kinds(pid):
    """What is open beyond the standard three."""
    return [target.split(':')[0]
            for fd, target in descriptors(pid).items() if fd > 2]
