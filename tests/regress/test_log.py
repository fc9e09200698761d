"""Log lines have exactly the documented form and order."""

import re
import ssl
import threading

import pytest

from harness import Client, fields_of_ok, tls_context


def connection_lines(server, count=1):
    """All lines but those about files, once everything has ended."""
    server.wait_log(r'^sslserver: ended by ', count=count)
    server.wait_log(r'^sslserver: status: 0/')
    server.wait_idle()
    return [line for line in server.log().splitlines() if not re.match(
        r'sslserver: (cert|key|ciphers|dhparam|certchainfile) \d', line)]


def check_lines(server, patterns, lines=None):
    lines = connection_lines(server) if lines is None else lines
    text = '\n'.join(lines)
    names = {}
    assert len(lines) == len(patterns), text
    for line, pattern in zip(lines, patterns):
        pattern = pattern.replace('LOCAL', '127.0.0.1:%d' % server.port)
        match = re.fullmatch('sslserver: ' + pattern, line)
        assert match, '%r is not %r in\n%s' % (line, pattern, text)
        for name, value in match.groupdict().items():
            kind = name[0]
            assert names.setdefault(kind, value) == value, \
                'pid differs in\n' + text
    return names


def test_connection(start):
    """status, pid S, ok P, tls P, ended by P, status."""
    server = start()
    with server.connect() as client:
        client.echo(b'x')
        port = client.local[1]
        session, program = server.pid('session'), server.pid('program')
        client.close_notify()
        client.recv_all()
    pids = check_lines(server, [
        r'status: 1/40/\d+',
        r'pid (?P<s1>\d+) from 127\.0\.0\.1',
        r'ok (?P<p1>\d+) :LOCAL :127\.0\.0\.1::%d' % port,
        r'tls (?P<p2>\d+) accept',
        r'ended by (?P<p3>\d+) status 0',
        r'status: 0/40/\d+',
    ])
    assert pids == {'s': str(session), 'p': str(program)}


def test_details(start):
    """-V: session in the ok line, protocol and cipher in the tls line."""
    server = start(log='-V')
    with server.connect() as client:
        client.echo(b'x')
        cipher, version = client.tls.cipher()[0], client.tls.version()
        client.close_notify()
        client.recv_all()
    check_lines(server, [
        r'status: 1/40/\d+',
        r'pid (?P<s1>\d+) from 127\.0\.0\.1',
        r'ok (?P<p1>\d+) :LOCAL :127\.0\.0\.1::\d+ session (?P<s2>\d+)',
        r'tls (?P<p2>\d+) accept %s:%s' % (version, cipher),
        r'ended by (?P<p3>\d+) status 0',
        r'status: 0/40/\d+',
    ])


def test_local_name_in_ok(start):
    server = start(options=['-l', 'here.example'])
    server.check_service()
    local, remote = fields_of_ok(server)
    assert local == 'here.example:127.0.0.1:%d' % server.port
    assert re.fullmatch(r':127\.0\.0\.1::\d+', remote)


def test_files(start, pki):
    """-v names what was loaded."""
    server = start(certs=dict(pki.rsa, DHFILE=pki.dh,
                              CIPHERS='ECDHE-RSA-AES128-GCM-SHA256'))
    for pattern in (r'cert \d+ ' + pki.path('rsa.pem'),
                    r'key \d+ ' + pki.path('rsa.key'),
                    r'dhparam \d+ %s 2048' % pki.dh,
                    r'ciphers \d+ ECDHE-RSA-AES128-GCM-SHA256'):
        server.wait_log('^sslserver: %s$' % pattern)
    other = start(certs=pki.chained)
    other.wait_log(r'^sslserver: certchainfile \d+ %s$'
                   % pki.path('chain.pem'))


@pytest.mark.parametrize('option', ['-q', '-Q'])
def test_quiet(start, option):
    """Neither shows a normal connection."""
    server = start(log=option)
    server.check_service()
    server.wait_idle()
    assert server.log() == ''


def garbage(server):
    with Client(server.address, server.port, handshake=False) as client:
        client.sock.sendall(b'not TLS at all\r\n')
        client.wait_close()


def test_errors_are_shown_by_default(start):
    """-Q shows errors of connections; it is the default."""
    for log in ('-Q', None):
        server = start(log=log)
        garbage(server)
        server.wait_log(r'^sslserver: fatal: \(111\) unable to accept TLS '
                        r'from: 127\.0\.0\.1 for pid: \d+ \S')
        server.wait_idle()
        assert len(server.log().splitlines()) == 1


def test_silence_is_silence(start):
    server = start(log='-q')
    garbage(server)
    server.wait_idle()
    server.check_service()
    assert server.log() == ''


def test_failed_handshake(start):
    """The session's pid stands in every line; no tls line."""
    server = start()
    garbage(server)
    check_lines(server, [
        r'status: 1/40/\d+',
        r'pid (?P<s1>\d+) from 127\.0\.0\.1',
        r'ok (?P<s2>\d+) :LOCAL :127\.0\.0\.1::\d+',
        r'fatal: \(111\) unable to accept TLS from: 127\.0\.0\.1 '
        r'for pid: (?P<s3>\d+) \S.*',
        r'ended by (?P<s4>\d+) status 28416',
        r'status: 0/40/\d+',
    ])


def test_handshake_cut_off(start):
    """The peer leaves in the middle: the line says truncated."""
    server = start()
    client = Client(server.address, server.port, handshake=False)
    client.sock.sendall(client.first_flight()[:20])
    client.close()
    server.wait_log(r'unable to accept TLS from: 127\.0\.0\.1 for pid: \d+ '
                    r'.*truncated$')


def test_no_common_version(start):
    """The reason is the library's own."""
    server = start(env={'TLSMIN': '1.3'})
    with pytest.raises(ssl.SSLError):
        server.exchange(context=tls_context(
            maximum=ssl.TLSVersion.TLSv1_2))
    server.wait_log(r'unable to accept TLS from: 127\.0\.0\.1 for pid: \d+ '
                    r'.*(protocol|version)')


def test_exec_failure(start):
    """The line names program and reason; the status is 111's."""
    server = start('/nonexistent/program')
    with server.connect() as client:
        client.wait_end()
    check_lines(server, [
        r'warning: unable to run /nonexistent/program: '
        r'No such file or directory',
        r'status: 1/40/\d+',
        r'pid (?P<s1>\d+) from 127\.0\.0\.1',
        r'ok (?P<p1>\d+) :LOCAL :127\.0\.0\.1::\d+',
        r'fatal: \(111\) unable to run /nonexistent/program '
        r'for pid: (?P<p2>\d+) No such file or directory',
        r'ended by (?P<p3>\d+) status 28416',
        r'status: 0/40/\d+',
    ])


@pytest.mark.parametrize('program, reason', [
    ('/etc/passwd', 'Permission denied'), ('/etc', 'Permission denied'),
    ('no-such-program-in-path', 'No such file or directory'),
], ids=repr)
def test_program_that_cannot_be_executed(start, program, reason):
    """Service goes on, each connection gets its own line."""
    server = start(program)
    for _ in range(3):
        with server.connect() as client:
            assert client.wait_end() != 'notify'
    lines = server.wait_log(
        r'^sslserver: fatal: \(111\) unable to run %s for pid: \d+ %s$'
        % (re.escape(program), reason), count=3)
    assert len(lines) == 3
    server.wait_log('^sslserver: ended by .* 28416$', count=3)
    server.wait_idle()


def test_odd_bytes_are_shown_printable(start):
    """One event stays one line, whatever the program is called."""
    server = start('/nonexistent/\x01\n\x1b[2J')
    with server.connect() as client:
        client.wait_end()
    server.wait_log(r'^sslserver: fatal: \(111\) unable to run '
                    r'/nonexistent/\?\?\?\[2J for pid: \d+ No such file')


def test_truncation(start):
    server = start()
    with server.connect() as client:
        client.echo(b'x')
        program = server.pid('program')
        client.fin()
        client.wait_end()
    server.wait_log(r'^sslserver: error: \(111\) unable to speak TLS with: '
                    r'127\.0\.0\.1 for pid: %d unexpected end of file '
                    r'truncated$' % program)
    server.wait_log(r'^sslserver: ended by %d status 0$' % program)


def test_every_line_is_one_write(start, workdir):
    """Many connections at once: no line is mixed into another."""
    server = start(options=['-c', '20'])
    threads = [threading.Thread(target=lambda: [
        server.exchange(b'x') for _ in range(5)]) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.wait_log('^sslserver: ended by', count=50)
    known = re.compile(
        r'sslserver: (status: \d+/20/\d+|pid \d+ from 127\.0\.0\.1|'
        r'ok \d+ \S+ \S+|tls \d+ accept|ended by \d+ status 0|'
        r'(cert|key) \d+ \S+)')
    wrong = [line for line in server.log().splitlines()
             if not known.fullmatch(line)]
    assert wrong == []


def test_status_counts(start):
    """status follows every accept and every end, with the true number."""
    server = start(options=['-c', '5'])
    clients = []
    for count in (1, 2, 3):
        clients.append(server.connect())
        server.wait_log(r'^sslserver: status: %d/5/\d+$' % count)
    for count in (2, 1, 0):
        clients.pop().close()
        server.wait_log(r'^sslserver: ended by', count=3 - count)
    server.wait_log(r'^sslserver: status: 0/5/')
    numbers = [int(re.search(r': (\d+)/', line).group(1))
               for line in server.lines('status:')]
    assert numbers == [1, 2, 3, 2, 1, 0]
