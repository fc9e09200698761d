"""sslclient's own certificate, its pass phrase, and the server's name."""

import os
import re

import pytest

from clientpki import ClientPki
from clientrun import finish, run_client, server_context, spawn_client
from harness import ROOT, SANITIZED, read_proc
from pki import openssl

PHRASE = b'correct horse'
# Of the environment and the command line.
SECRETS = b'battery-of-variables', b'staple-of-words'


@pytest.fixture(scope='module')
def users(top_directory):
    made = ClientPki(os.path.join(top_directory, 'userpki'))
    openssl('pkcs8', '-topk8', '-in', 'key', '-out', 'locked.key', '-passout',
            'pass:' + PHRASE.decode(), cwd=made.directory)
    openssl('ec', '-in', 'key', '-out', 'old.key', '-aes128', '-passout',
            'pass:' + PHRASE.decode(), cwd=made.directory)
    made.write('together.pem', made.read('good.pem') + made.read('key'))
    for name in ('locked.key', 'old.key', 'key', 'together.pem'):
        os.chmod(made.path(name), 0o644)
    return made


@pytest.fixture
def demanding(start, pki, users):
    """Our own server, which shows the program whom it serves."""
    server = start('/bin/sh', '-c', 'echo "$SSL_CLIENT_S_DN_CN"; cat',
                   options=['-m', '-s'], env={'CAFILE': users.root})
    return ['-a', pki.ca, 'localhost', server.port, 'sh', '-c',
            'exec 7>&-; cat <&6']


def test_shown(family, demanding, users):
    result = run_client('-c', users.path('good.pem'), '-k', users.key,
                        *demanding)
    assert result == (0, 'good\n', '')


def test_from_the_environment(family, demanding, users):
    result = run_client(*demanding, env={
        'CERTFILE': users.path('good.pem'), 'KEYFILE': users.key})
    assert result == (0, 'good\n', '')
    result = run_client('-c', users.path('revoked.pem'), *demanding, env={
        'CERTCHAINFILE': users.path('good.pem'), 'KEYFILE': users.key})
    assert result.out == 'revoked\n'


def test_not_that_of_a_server_around(family, demanding, users):
    """A program of sslserver has its server's variables."""
    around = {'CERTFILE': users.path('good.pem'), 'KEYFILE': users.key,
              'CIPHERS': 'no such cipher', 'ALPN': 'none,of,these',
              'SSLLOCALPORT': '443'}
    result = run_client('-v', *demanding, env=around)
    assert result.out == '' and 'are those of sslserver' in result.err, result
    assert 'alert' in result.err or 'certificate required' in result.err
    result = run_client('-c', users.path('revoked.pem'), '-k', users.key,
                        *demanding, env={**around, 'KEYFILE': '/dev/null'})
    assert result == (0, 'revoked\n', '')


def test_key_without_certificate(family, users):
    result = run_client('-k', users.key, 'localhost', '1', 'true')
    assert result.code == 100 and '-k (--key) needs a' in result.err, result
    assert result.err.count('\n') == 1


def test_key_in_the_same_file(family, demanding, users):
    result = run_client('-c', users.path('together.pem'), *demanding)
    assert result == (0, 'good\n', '')


def test_chain(family, demanding, users):
    """What stands behind it in the file is sent too."""
    result = run_client('-c', users.path('one.pem'), '-k', users.key,
                        *demanding)
    assert result == (0, 'one\n', '')


def test_chain_in_the_wrong_order(family, peer, users, workdir):
    path = os.path.join(workdir, 'chain.pem')
    with open(path, 'w', encoding='ascii') as file:
        file.write(users.read('middle.pem') + users.read('one.pem'))
    server = peer(lambda conn: conn.recv(1))
    result = run_client('localhost', server.port, 'echo', 'ran',
                        env={'CERTCHAINFILE': path, 'KEYFILE': users.key})
    assert result.code == 111 and result.out == '', result
    assert path in result.err and result.err.count('\n') == 1, result
    assert server.count == 0


def test_none_though_demanded(family, demanding):
    """In TLS 1.3 the server's judgement comes after the handshake: the
    program may have started, but gets nothing."""
    result = run_client(*demanding)
    assert result.out == ''
    assert 'alert' in result.err or 'certificate required' in result.err


def test_its_variables(family, demanding, users, start, pki):
    words = ['-s', '-a', pki.ca, 'localhost', demanding[3], 'env']
    result = run_client('-c', users.path('good.pem'), '-k', users.key, *words)
    assert 'SSL_CLIENT_S_DN=/CN=good\n' in result.out
    assert 'SSL_SERVER_S_DN=/CN=localhost/O=ecdsa\n' in result.out
    # What the server found is not told.
    assert 'SSL_CLIENT_VERIFY' not in result.out
    # A server that does not ask is not shown it.
    server = start('/bin/cat')
    words[4] = server.port
    result = run_client('-c', users.path('good.pem'), '-k', users.key, *words)
    assert 'SSL_SERVER_S_DN=' in result.out
    assert re.findall('SSL_CLIENT_.*', result.out) == [
        'SSL_CLIENT_VERIFY=NONE']
    result = run_client(*words)
    assert re.findall('SSL_CLIENT_.*', result.out) == [
        'SSL_CLIENT_VERIFY=NONE']


@pytest.mark.parametrize('key', ['locked.key', 'old.key'])
@pytest.mark.parametrize('end', [b'', b'\0', b'\0rest'])
def test_phrase_from_descriptor_3(family, demanding, users, key, end):
    read_end, write_end = os.pipe()
    os.write(write_end, PHRASE + end)
    os.close(write_end)

    def place():
        os.dup2(read_end, 3)
    try:
        process = spawn_client(
            ['-3', '-c', users.path('good.pem'), '-k', users.path(key)] +
            demanding, preexec=place, keep=(3, read_end))
    finally:
        os.close(read_end)
    assert finish(process) == (0, 'good\n', '')


@pytest.mark.parametrize('text', [PHRASE, PHRASE + b'\n'])
def test_phrase_from_a_file(family, demanding, users, workdir, text):
    path = os.path.join(workdir, 'phrase')
    with open(path, 'wb') as file:
        file.write(text)
    os.chmod(path, 0o600)
    result = run_client('-K', path, '-c', users.path('good.pem'), '-k',
                        users.path('locked.key'), *demanding)
    assert result == (0, 'good\n', '')


def test_wrong_phrase(family, peer, users, workdir):
    path = os.path.join(workdir, 'phrase')
    with open(path, 'wb') as file:
        file.write(b'wrong')
    server = peer(lambda conn: None)
    for options, words in ((('-K', path), 'wrong pass phrase'),
                           ((), 'is encrypted')):
        result = run_client(*options, '-c', users.path('good.pem'), '-k',
                            users.path('locked.key'), 'localhost',
                            server.port, 'echo', 'ran')
        assert result.code == 111 and result.out == '', result
        assert words in result.err and 'locked.key' in result.err, result
    assert server.count == 0


def test_key_and_certificate_that_do_not_match(family, peer, users, pki):
    server = peer(lambda conn: None)
    result = run_client('-c', users.path('good.pem'), '-k',
                        pki.path('ecdsa.key'), 'localhost', server.port,
                        'true')
    assert result.code == 111 and 'do not match' in result.err
    assert server.count == 0


def memory_has(pid, needle):
    """Is it in what this process can write?"""
    with open('/proc/%d/maps' % pid, encoding='ascii') as file:
        areas = [line.split() for line in file]
    with open('/proc/%d/mem' % pid, 'rb', 0) as memory:
        for area in areas:
            if 'w' not in area[1]:
                continue
            first, last = (int(word, 16) for word in area[0].split('-'))
            try:
                memory.seek(first)
                if needle in memory.read(last - first):
                    return True
            except OSError:
                pass
    return False


@pytest.mark.root
@pytest.mark.skipif(SANITIZED, reason="a sanitizer's memory is endless")
def test_key_and_phrase_are_in_the_tls_process_alone(
        family, demanding, users, workdir):
    path = os.path.join(workdir, 'phrase')
    with open(path, 'wb') as file:
        file.write(PHRASE)
    os.chmod(path, 0o600)
    text = openssl('pkey', '-in', users.key, '-noout', '-text').decode()
    digits = text.split('priv:')[1].split('pub:')[0]
    number = bytes.fromhex(''.join(digits.replace(':', '').split()))
    number = number.lstrip(b'\0')
    process = spawn_client(
        ['-K', path, '-c', users.path('good.pem'), '-k',
         users.path('locked.key')] + demanding[:5] +
        ['-c', 'read line <&6; echo $line; read line <&6', SECRETS[1]],
        env={'PASSWORD': SECRETS[0].decode()})
    try:
        assert process.stdout.readline() == b'good\n'
        pid = family.helper()
        # As the library keeps it, by words from the lowest.
        assert memory_has(pid, number) or memory_has(pid, number[::-1])
        assert not memory_has(pid, PHRASE)
        # Nor has it what is the program's alone to know.
        for secret in SECRETS:
            assert not memory_has(pid, secret)
        assert SECRETS[0] in read_proc(process.pid, 'environ')
        assert SECRETS[1] in read_proc(process.pid, 'cmdline')
        for secret in (number, number[::-1], PHRASE):
            assert not memory_has(process.pid, secret)
        assert PHRASE not in read_proc(process.pid, 'environ')
    finally:
        process.kill()
        finish(process)


# ---------------------------------------------------------------------------
# The server's name

@pytest.mark.parametrize('options, host, expected', [
    ([], 'localhost', 'localhost'),
    ([], 'LocalHost', 'localhost'),
    (['-m'], 'localhost', 'localhost'),
    (['-M'], 'localhost', None),
    ([], '127.0.0.1', None),
    (['-m'], '127.0.0.1', None),
])
def test_sni(family, peer, pki, options, host, expected):
    names = []
    context = server_context(pki.path('ecdsa.pem'), pki.path('ecdsa.key'))
    context.sni_callback = lambda tls, name, context: names.append(name)

    def serve(conn):
        with context.wrap_socket(conn, server_side=True) as tls:
            tls.unwrap()

    server = peer(serve)
    result = run_client('-a', pki.ca, *options, host, server.port, 'true')
    assert result.code == 0, result
    server.stop()
    assert names == [expected]


def test_root_only_key(family, demanding, users, workdir):
    """Files are opened with the rights of the start."""
    if not ROOT:
        pytest.skip('about root, whose files others may not read')
    path = os.path.join(workdir, 'own')
    os.mkdir(path, 0o700)
    for name in ('good.pem', 'key'):
        with open(os.path.join(path, name), 'w', encoding='ascii') as file:
            file.write(users.read(name))
        os.chmod(os.path.join(path, name), 0o600)
    result = run_client('-c', os.path.join(path, 'good.pem'), '-k',
                        os.path.join(path, 'key'), *demanding)
    assert result == (0, 'good\n', '')
