"""sslclient --starttls: what is said before TLS, with scripted servers."""

import threading

import pytest

from clientrun import PATIENCE, run_client, server_context, spawn_client


def line_of(conn):
    """One line of the client's, byte by byte: TLS follows."""
    line = b''
    while not line.endswith(b'\n'):
        byte = conn.recv(1)
        assert byte, 'the client has gone after %r' % line
        line += byte
    return line


def talk(conn, script):
    """Says and expects in turn; an expected line begins with the word."""
    for said, expected in script:
        conn.sendall(said)
        if expected:
            line = line_of(conn)
            assert expected in line, (expected, line)


SMTP = [(b'220 mail.example ESMTP\r\n', b'EHLO '),
        (b'250-mail.example\r\n250-SIZE\r\n250 STARTTLS\r\n', b'STARTTLS')]
POP3 = [(b'+OK hello\r\n', b'CAPA'),
        (b'+OK\r\nSTLS\r\n.\r\n', b'STLS')]


def serve_tls(context, script, last, seen):
    def serve(conn):
        talk(conn, script)
        conn.sendall(last)
        try:
            with context.wrap_socket(conn, server_side=True) as tls:
                seen.append(tls.recv(1000))
                tls.sendall(b'inside')
                tls.unwrap()
        except OSError as failure:
            seen.append(failure)

    return serve


@pytest.mark.parametrize('name, script, last', [
    ('smtp', SMTP, b'220 go ahead\r\n'),
    ('pop3', POP3, b'+OK begin\r\n'),
    ('ftp', [(b'220 hello\r\n', b'AUTH TLS')], b'234 go\r\n'),
])
def test_good(family, peer, pki, name, script, last):
    seen = []
    context = server_context(pki.path('ecdsa.pem'), pki.path('ecdsa.key'))
    server = peer(serve_tls(context, script, last, seen))
    result = run_client('--starttls', name, '-a', pki.ca, 'localhost',
                        server.port, 'sh', '-c',
                        'printf hidden >&7; cat <&6; exec 7>&-')
    assert result == (0, 'inside', '')
    server.check()
    assert seen == [b'hidden']


def test_certificate_is_verified(family, peer, pki):
    seen = []
    context = server_context(pki.path('ecdsa.pem'), pki.path('ecdsa.key'))
    server = peer(serve_tls(context, SMTP, b'220 go\r\n', seen))
    result = run_client('--starttls', 'smtp', '-a', pki.path('other.pem'),
                        'localhost', server.port, 'echo', 'ran')
    assert result.code == 110 and result.out == ''
    assert 'certificate of localhost refused' in result.err
    server.stop()
    assert isinstance(seen[0], OSError)


@pytest.mark.parametrize('script, last, words', [
    (SMTP, b'220 go\r\n250 injected\r\n', 'smtp'),
    (SMTP, b'454 4.7.0 not now\r\n', '454 4.7.0 not now'),
    ([(b'220 x\r\n', b'EHLO'), (b'250 mail.example\r\n', None)], b'',
     'smtp'),
    ([], b'554 go away\r\n', '554 go away'),
    ([], b'', 'smtp'),
])
def test_bad(family, peer, script, last, words):
    """No TLS: one sentence, and not a byte of the program's."""
    def serve(conn):
        talk(conn, script)
        rest = b''
        try:
            conn.sendall(last)
            conn.shutdown(1)
            while True:
                piece = conn.recv(1000)
                if not piece:
                    break
                rest += piece
        except OSError:
            pass  # it has gone already
        assert b'\x16\x03' not in rest, 'a ClientHello'

    result = run_client('--starttls', 'smtp', 'localhost', peer(serve).port,
                        'echo', 'ran')
    assert result.code == 111 and result.out == '', result
    assert result.err.startswith('sslclient: fatal: (111) unable to speak '
                                 'TLS with localhost: smtp'), result
    assert result.err.count('\n') == 1 and words in result.err, result


def test_silent(family, peer):
    def serve(conn):
        while conn.recv(1000):
            pass

    result = run_client('--starttls', 'imap', '-T', '1+1', 'localhost',
                        peer(serve).port, 'echo', 'ran')
    assert result.code == 111 and result.out == '', result
    assert result.err.count('\n') == 1, result


@pytest.mark.parametrize('name, said, late', [
    ('smtp', b'', 'the greeting'),
    ('smtp', b'220 hello\r\n', 'the answer to EHLO'),
    ('postgres', b'', 'the answer to SSLRequest'),
])
def test_silent_is_told_of(family, peer, name, said, late):
    def serve(conn):
        conn.sendall(said)
        while conn.recv(1000):
            pass

    result = run_client('--starttls', name, '-T', '1+1', 'localhost',
                        peer(serve).port, 'echo', 'ran')
    assert result == (
        111, '', 'sslclient: fatal: (111) unable to speak TLS with localhost: '
        '%s: %s did not come in time\n' % (name, late))


def test_silent_when_tls_begins(family, peer):
    def serve(conn):
        talk(conn, SMTP)
        conn.sendall(b'220 go ahead\r\n')
        while conn.recv(1000):
            pass

    result = run_client('--starttls', 'smtp', '-T', '1+1', 'localhost',
                        peer(serve).port, 'echo', 'ran')
    assert result.code == 111 and result.out == '', result
    assert result.err.endswith('localhost: handshake timeout\n'), result


def test_killed_while_the_server_is_silent(family, peer):
    """Nobody wants the connection any more: it is not waited for."""
    is_dancing = threading.Event()

    def serve(conn):
        conn.sendall(b'220 hello\r\n')
        line_of(conn)
        is_dancing.set()
        while conn.recv(1000):
            pass

    process = spawn_client(['--starttls', 'smtp', '-T', '300+300',
                            'localhost', peer(serve).port, 'true'])
    assert is_dancing.wait(PATIENCE)
    process.kill()
    process.communicate()
    family.wait_gone()


def test_unknown_protocol(family):
    result = run_client('--starttls', 'gopher', 'localhost', '1', 'true')
    assert result.code == 100
    assert 'gopher' in result.err and 'postgres' in result.err
