"""sslclient and servers that are not who they should be, or that do not
speak: each one sentence, and no byte of the program's."""

import fcntl
import json
import os
import socket
import ssl
import struct
import subprocess
import termios
import time

import pytest

from clientpki import ClientPki, alternative_names
from clientrun import (SSLCLIENT, Command, client_environment, finish,
                       free_port, read_record, run_client, s_server,
                       server_context, spawn_client)
from harness import IS_LIBRESSL, find_command, tool, wait_for


@pytest.fixture(scope='module')
def servers(top_directory):
    """Certificates of servers: all for localhost, with one key."""
    made = ClientPki(os.path.join(top_directory, 'serverpki'))
    names = 'DNS:localhost, IP:127.0.0.1'
    for name, settings in (
            ('fine', {}), ('below', {'issuer': 'middle'}),
            ('deep', {'issuer': 'lower'}), ('gone', {}),
            ('late', {'dates': ('-startdate', '20200101000000Z',
                                '-enddate', '20210101000000Z')}),
            ('early', {'dates': ('-startdate', '20900101000000Z',
                                 '-enddate', '20910101000000Z')}),
            ('strange', {'issuer': 'second'})):
        made.make(name, alternative=names, **settings)
    made.make('elsewhere', alternative='DNS:elsewhere.example')
    made.revoke('gone')
    made.write('below-chain.pem',
               made.read('below.pem') + made.read('middle.pem'))
    made.write('deep-chain.pem', made.read('deep.pem') +
               made.read('lower.pem') + made.read('middle.pem'))
    return made


class Meetings:
    """A TLS server that notes how each handshake ended and what came."""

    def __init__(self, context):
        self.context = context
        self.ends = []

    def __call__(self, conn):
        try:
            with self.context.wrap_socket(conn, server_side=True) as tls:
                self.ends.append(tls.recv(1000))
                tls.sendall(b'answer')
                tls.unwrap()
        except OSError as failure:
            self.ends.append(failure)


@pytest.fixture
def meet(family, peer, servers):
    """Runs sslclient with a server that shows this certificate; the program
    would say something to the server, and then what it hears."""
    def run(name, *options, host='localhost', env=None, ca=True):
        meetings = Meetings(server_context(servers.path(name + '.pem'),
                                           servers.key))
        server = peer(meetings)
        options += ('-a', servers.root) if ca else ()
        result = run_client(*options, host, server.port, 'sh', '-c',
                            'printf secret >&7; exec 7>&-; cat <&6', env=env)
        server.stop()
        return result, meetings.ends

    return run


def check_served(met):
    result, ends = met
    assert result == (0, 'answer', ''), (result, ends)
    assert ends == [b'secret']


def check_refused(met, *words):
    result, ends = met
    assert result.code == 110, result
    assert result.out == '' and result.err.count('\n') == 1, result
    for word in words + ('sslclient: fatal: (110) certificate of ',):
        assert word in result.err, (word, result)
    # The handshake has failed there too: nothing was said or heard.
    assert len(ends) == 1 and isinstance(ends[0], OSError), ends


# ---------------------------------------------------------------------------
# Certificates

def test_good(meet):
    check_served(meet('fine'))


def test_chain(meet):
    check_served(meet('below-chain'))


def test_missing_intermediate(meet):
    check_refused(meet('below'), 'localhost', 'CN=below',
                  'unable to get local issuer certificate')


def test_depth(meet):
    """One intermediate with a store of one's own, unless more are allowed."""
    check_refused(meet('deep-chain'), 'localhost', 'chain too long')
    check_served(meet('deep-chain', '-V', '2'))
    check_served(meet('deep-chain', env={'VERIFYDEPTH': '2'}))
    check_refused(meet('below-chain', '-V', '0'), 'chain too long')


def test_depth_with_the_systems_store(meet, servers):
    check_served(meet('deep-chain', ca=False,
                      env={'SSL_CERT_FILE': servers.root}))


def test_wrong_host(meet):
    check_refused(meet('elsewhere'), 'of localhost refused', 'CN=elsewhere',
                  'it is for elsewhere.example, not for localhost')
    check_served(meet('elsewhere', '-N'))


def test_wrong_address(meet):
    check_refused(meet('elsewhere', host='127.0.0.1'), '127.0.0.1',
                  'not for 127.0.0.1')
    check_served(meet('fine', host='127.0.0.1'))


def test_common_name(meet):
    """It counts where there is no dNSName, unless it never does."""
    result, _ = meet('good')
    assert result.code == 110 and 'it is for good' in result.err
    check_refused(meet('good', '--strict-names'), 'localhost')


def test_expired(meet):
    check_refused(meet('late'), 'localhost', 'CN=late',
                  'certificate has expired')


def test_not_yet_valid(meet):
    check_refused(meet('early'), 'localhost', 'CN=early',
                  'certificate is not yet valid')


def test_self_signed(meet):
    check_refused(meet('self'), 'localhost', 'CN=self', 'self')


def test_strange_issuer(meet):
    check_refused(meet('strange'), 'localhost', 'CN=strange',
                  'unable to get local issuer certificate')


def test_purpose(family, peer, servers):
    """A certificate for clients is none for a server."""
    config = servers.read('config') + '[only]\nextendedKeyUsage = ' \
        'clientAuth\nsubjectAltName = DNS:localhost\n'
    before = servers.read('config')
    servers.write('config', config)
    try:
        servers.make('caller', extensions='only')
    finally:
        servers.write('config', before)
    meetings = Meetings(server_context(servers.path('caller.pem'),
                                       servers.key))
    server = peer(meetings)
    result = run_client('-a', servers.root, 'localhost', server.port, 'echo',
                        'ran')
    server.stop()
    check_refused((result, meetings.ends), 'localhost', 'CN=caller',
                  'purpose')


def test_revoked(meet, servers):
    lists = {'CRLFILE': servers.lists('root')}
    check_refused(meet('gone', env=lists), 'localhost', 'CN=gone',
                  'certificate revoked')
    check_served(meet('fine', env=lists))
    check_served(meet('gone'))


def test_no_list_of_the_issuer(meet, servers):
    check_refused(meet('below-chain', env={
        'CRLFILE': servers.lists('root')}), 'CN=below',
        'unable to get certificate CRL')
    check_served(meet('below-chain', env={
        'CRLFILE': servers.lists('root', 'middle')}))


def test_list_too_old(meet, servers):
    check_refused(meet('fine', '-q', env={
        'CRLFILE': servers.path('expired.crl')}), 'CRL has expired')


def test_not_verified_if_not_wanted(meet):
    """-X leaves the name, -N the chain; both nothing."""
    check_served(meet('self', '-X', '-N'))
    check_served(meet('late', '-X'))
    check_served(meet('strange', '-X', ca=False))
    check_refused(meet('elsewhere', '-X'), 'elsewhere.example')
    check_refused(meet('late', '-N'), 'expired')
    check_served(meet('late', '-x', '-X'))
    check_refused(meet('late', '-X', '-x'), 'expired')
    check_refused(meet('elsewhere', '-N', '-n'), 'elsewhere.example')


@pytest.mark.parametrize('names, sentence', [
    ([b'localhost\0.evil.example'], 'it is for localhost?.evil.example'),
    ([b'evil.example\0localhost', b'localhost.'], None),
    ([b'local\0host', b'*', b'.localhost', b'localhost '], None),
    ([b'', b'LOCALHOST\n'], None),
])
def test_names_of_any_bytes(family, peer, servers, names, sentence):
    """What is almost the name is not the name; no common name helps."""
    servers.make('almost', subject='/CN=localhost', alternative='DER:' +
                 alternative_names(*names).hex(':'))
    meetings = Meetings(server_context(servers.path('almost.pem'),
                                       servers.key))
    server = peer(meetings)
    result = run_client('-a', servers.root, 'localhost', server.port, 'echo',
                        'ran')
    server.stop()
    check_refused((result, meetings.ends), 'of localhost refused',
                  sentence or 'it is for ')


@pytest.mark.parametrize('options, env', [
    (['-z', 'ALL:@SECLEVEL=0'], {'TLSMAX': '1.2'}),
    (['-z', 'ALL:aNULL:@SECLEVEL=0', '-X', '-n'], {'TLSMAX': '1.2'}),
    ([], {'TLSMIN': '1.0', 'TLSMAX': '1.2', 'CIPHERS': 'ALL:aNULL'}),
])
def test_server_without_certificate(family, command, options, env):
    """Whatever ciphers are asked for: none that needs no certificate."""
    server = command(s_server(
        '-nocert', '-tls1_2', '-cipher', 'aNULL:@SECLEVEL=0', '-rev',
        '-quiet'))
    check_failed(run_client(*options, 'localhost', server.port, 'echo', 'ran',
                            env=env), 'unable to speak TLS with localhost')


def test_hostile_names_stay_printable(family, peer, servers):
    servers.make('hostile', subject='/CN=\x1b[31mred/O=%n\\+\x07')
    meetings = Meetings(server_context(servers.path('hostile.pem'),
                                       servers.key))
    server = peer(meetings)
    result = run_client('-a', servers.root, 'localhost', server.port, 'true')
    assert result.code == 110
    assert result.err.count('\n') == 1
    assert all(32 <= ord(char) < 127 for char in result.err.rstrip('\n'))


def test_with_nginx(family, command, servers, workdir):
    if find_command('nginx') is None:
        pytest.skip('no nginx here')
    port = free_port()
    path = os.path.join(workdir, 'nginx.conf')
    with open(path, 'w', encoding='ascii') as file:
        file.write("""
daemon off; master_process off; pid %(dir)s/nginx.pid;
error_log stderr; events {}
http { access_log off;
  client_body_temp_path %(dir)s; proxy_temp_path %(dir)s;
  fastcgi_temp_path %(dir)s; uwsgi_temp_path %(dir)s;
  scgi_temp_path %(dir)s;
  server { listen 127.0.0.1:%(port)d ssl; server_name localhost;
    ssl_certificate %(cert)s; ssl_certificate_key %(key)s;
    location / { return 200 "hello from nginx\\n"; } } }
""" % {'dir': workdir, 'port': port, 'key': servers.key,
            'cert': servers.path('below-chain.pem')})
    server = command(Command([find_command('nginx'), '-c', path, '-p',
                              workdir], port))
    ask = ('printf "GET / HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n" >&7;'
           'exec cat <&6')
    result = run_client('-a', servers.root, 'localhost', server.port, 'sh',
                        '-c', ask)
    assert result.code == 0 and result.err == '', result
    assert result.out.endswith('hello from nginx\n')
    refused = run_client('localhost', server.port, 'sh', '-c', ask)
    assert refused.code == 110 and refused.out == ''


# ---------------------------------------------------------------------------
# Servers that do not speak as they should

def check_failed(result, *words):
    assert result.code == 111, result
    assert result.out == '' and result.err.count('\n') == 1, result
    for word in words:
        assert word in result.err, result


@pytest.mark.skipif(IS_LIBRESSL, reason='LibreSSL begins with TLS 1.2')
def test_old_tls_only(family, command, pki):
    server = command(s_server(
        '-tls1', '-cipher', 'ALL:@SECLEVEL=0', '-cert', pki.path('rsa.pem'),
        '-key', pki.path('rsa.key'), '-rev', '-quiet'))
    words = ['-a', pki.ca, 'localhost', server.port, 'sh', '-c',
             'echo hello >&7; head -n 1 <&6']
    check_failed(run_client(*words), 'unable to speak TLS with localhost',
                 'protocol version')
    result = run_client(*words, env={'TLSMIN': '1.0'})
    assert result == (0, 'olleh\n', '')


@pytest.mark.parametrize('version', ['1.2', '1.3'])
def test_versions(family, start, pki, version):
    server = start('/bin/cat')
    result = run_client('-v', '-a', pki.ca, 'localhost', server.port, 'true',
                        env={'TLSMIN': version, 'TLSMAX': version})
    assert result.code == 0
    assert 'connect TLSv%s:' % version in result.err


def test_ciphers(family, start, pki):
    server = start('/bin/cat')
    for name in ('TLS_CHACHA20_POLY1305_SHA256',
                 'ECDHE-ECDSA-AES128-GCM-SHA256'):
        maximum = '1.3' if name.startswith('TLS') else '1.2'
        result = run_client('-v', '-z', name, '-a', pki.ca, 'localhost',
                            server.port, 'true', env={'TLSMAX': maximum})
        assert result.code == 0 and ':' + name in result.err, result


def test_ciphers_from_the_environment(family, start, pki):
    """Of which -z has no need."""
    server = start('/bin/cat')
    first, second = ('ECDHE-ECDSA-AES128-GCM-SHA256',
                     'ECDHE-ECDSA-AES256-GCM-SHA384')
    words = ['-v', '-a', pki.ca, 'localhost', server.port, 'true']
    env = {'TLSMAX': '1.2', 'CIPHERS': first}
    for options, name in ((), first), (('-z', second), second):
        result = run_client(*options, *words, env=env)
        assert result.code == 0 and ':' + name in result.err, result


def test_plain_text(family, peer):
    def serve(conn):
        conn.sendall(b'220 hello, I speak no TLS\r\n')
        conn.recv(1000)

    check_failed(run_client('localhost', peer(serve).port, 'echo', 'ran'),
                 'unable to speak TLS with localhost')


def test_silent(family, peer):
    """The handshake's time is over: one line, and nothing is left."""
    def serve(conn):
        while conn.recv(1000):
            pass

    check_failed(run_client('-T', '1+1', 'localhost', peer(serve).port,
                            'echo', 'ran'),
                 'unable to speak TLS with localhost: handshake timeout')


def test_slow(family, peer, pki):
    """A byte at a time: it takes a while, and then it works."""
    context = server_context(pki.path('ecdsa.pem'), pki.path('ecdsa.key'))

    def serve(conn):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        steps = iter([tls.do_handshake, lambda: tls.write(b'slowly'),
                      tls.unwrap])
        step = next(steps)
        while step is not None:
            try:
                step()
                step = next(steps, None)
            except ssl.SSLWantReadError:
                pass
            for byte in outgoing.read():
                conn.sendall(bytes([byte]))
                time.sleep(0.0005)
            if step == tls.do_handshake or step == tls.unwrap:
                data = conn.recv(1000)
                if not data:
                    return
                incoming.write(data)

    result = run_client('-a', pki.ca, 'localhost', peer(serve).port, 'sh',
                        '-c', 'exec 7>&-; cat <&6')
    assert result.code == 0 and result.out == 'slowly', result


def reset(conn):
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                    struct.pack('ii', 1, 0))
    conn.close()


def test_reset_at_once(family, peer):
    def serve(conn):
        conn.recv(1000)
        reset(conn)

    check_failed(run_client('localhost', peer(serve).port, 'echo', 'ran'),
                 'unable to speak TLS with localhost: '
                 'Connection reset by peer')


def test_end_in_the_handshake(family, peer):
    def serve(conn):
        read_record(conn)

    check_failed(run_client('localhost', peer(serve).port, 'echo', 'ran'),
                 'unexpected end of file truncated')


def test_reset_later(family, peer, pki):
    """The program sees its end; a line and the report say what it was."""
    context = server_context(pki.path('ecdsa.pem'), pki.path('ecdsa.key'))

    def serve(conn):
        tls = context.wrap_socket(conn, server_side=True)
        tls.sendall(b'half of')
        tls.recv(1)
        reset(tls)

    result, report = run_reported(
        '-a', pki.ca, 'localhost', peer(serve).port, 'sh', '-c',
        'head -c 7 <&6; printf x >&7; cat <&6')
    assert result.code == 0 and result.out == 'half of'
    assert result.err == ('sslclient: error: (111) unable to speak TLS with '
                          'localhost: Connection reset by peer\n')
    assert report == 'truncated\n'


def test_reset_after_the_programs_end(family, peer, pki):
    """Our close_notify is out: still the stream was cut."""
    context = server_context(pki.path('ecdsa.pem'), pki.path('ecdsa.key'))

    def serve(conn):
        tls = context.wrap_socket(conn, server_side=True)
        tls.sendall(b'half of')
        assert tls.recv(1) == b''
        reset(tls)

    result, report = run_reported(
        '-a', pki.ca, 'localhost', peer(serve).port, 'sh', '-c',
        'exec 7>&-; cat <&6')
    assert result == (
        0, 'half of', 'sslclient: error: (111) unable to speak TLS with '
        'localhost: Connection reset by peer\n')
    assert report == 'truncated\n'


def test_what_came_before_a_reset_is_not_lost(family, peer, pki, workdir):
    """A program that is slow to read has all of it, whatever became of the
    connection meanwhile."""
    context = server_context(pki.path('ecdsa.pem'), pki.path('ecdsa.key'))
    go = os.path.join(workdir, 'go')

    def serve(conn):
        tls = context.wrap_socket(conn, server_side=True)
        tls.sendall(b'x' * 150000)
        wait_for(lambda: unsent(tls) == 0, 20, 'all to be there')
        reset(tls)
        with open(go, 'wb'):
            pass

    result, report = run_reported(
        '-a', pki.ca, 'localhost', peer(serve).port, 'sh', '-c',
        'while [ ! -e "$0" ]; do sleep 0.05; done; cat <&6', go)
    assert result.code == 0 and result.out == 'x' * 150000
    assert 'unable to speak TLS with localhost: ' in result.err, result
    assert report == 'truncated\n'


def unsent(sock):
    """Bytes that the other end's kernel has not taken yet."""
    size = struct.pack('i', 0)
    return struct.unpack('i', fcntl.ioctl(sock, termios.TIOCOUTQ, size))[0]


def run_reported(*words):
    """Run with --report: result, and what was reported in the end."""
    read_end, write_end = os.pipe()
    process = spawn_client(('--report', write_end) + words,
                           keep=(write_end,))
    os.close(write_end)
    result = finish(process)
    with os.fdopen(read_end) as file:
        return result, file.read()


@pytest.mark.parametrize('is_whole', [True, False])
def test_report(family, peer, pki, is_whole):
    context = server_context(pki.path('ecdsa.pem'), pki.path('ecdsa.key'))

    def serve(conn):
        with context.wrap_socket(conn, server_side=True,
                                 suppress_ragged_eofs=True) as tls:
            tls.sendall(b'bytes')
            tls.recv(1)
            if is_whole:
                tls.unwrap()

    result, report = run_reported(
        '-a', pki.ca, 'localhost', peer(serve).port, 'sh', '-c',
        'printf x >&7; exec cat <&6')
    assert result.code == 0 and result.out == 'bytes'
    assert report == ('end\n' if is_whole else 'truncated\n'), result
    assert ('truncated' in result.err) == (not is_whole), result


def test_report_is_not_the_programs(family, start, pki):
    server = start('/bin/cat')
    result, report = run_reported('-a', pki.ca, 'localhost', server.port,
                                  tool('showstate'))
    assert sorted(json.loads(result.out)['fds']) == list('01267')
    assert report == 'end\n'


def test_idle(family, peer, pki):
    context = server_context(pki.path('ecdsa.pem'), pki.path('ecdsa.key'))

    def serve(conn):
        with context.wrap_socket(conn, server_side=True) as tls:
            try:
                while tls.recv(1000):
                    pass
            except OSError:
                pass

    result, report = run_reported(
        '-w', '1', '-a', pki.ca, 'localhost', peer(serve).port,
        'sh', '-c', 'cat <&6')
    assert result.code == 0
    assert result.err == ('sslclient: error: (111) unable to speak TLS with '
                          'localhost: idle timeout\n')
    assert report == 'truncated\n'


def test_half_close(family, peer, pki):
    """What the program has closed it has closed; the server goes on."""
    context = server_context(pki.path('ecdsa.pem'), pki.path('ecdsa.key'))

    def serve(conn):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        said, is_over = b'', False
        while not is_over:
            try:
                tls.do_handshake()
                piece = tls.read(1000)
                is_over = not piece
                said += piece
            except ssl.SSLZeroReturnError:
                is_over = True
            except ssl.SSLWantReadError:
                conn.sendall(outgoing.read())
                data = conn.recv(10000)
                assert data, 'cut'
                incoming.write(data)
        tls.write(said[::-1])
        conn.sendall(outgoing.read())
        try:
            tls.unwrap()
        except ssl.SSLError:
            pass
        conn.sendall(outgoing.read())

    result = run_client('-a', pki.ca, 'localhost', peer(serve).port, 'sh',
                        '-c', 'printf question >&7; exec 7>&-; cat <&6')
    assert result == (0, 'noitseuq', '')


def test_bulk(family, start, pki):
    """100 MiB there and back, by two processes of the program."""
    server = start('/bin/cat')
    script = ('head -c 104857600 /dev/zero | tr "\\0" "x" >&7 & exec 7>&-; '
              'cat <&6 | cksum')
    result = run_client('-a', pki.ca, 'localhost', server.port, 'sh', '-c',
                        script, seconds=200)
    expected = os.popen('head -c 104857600 /dev/zero | tr "\\0" "x" | '
                        'cksum').read()
    assert result.code == 0 and result.out == expected, result


def test_many(family, start, pki):
    """A thousand connections, four at a time, leave no process behind."""
    server = start('/bin/cat', log='-Q', options=['-c', '200'])
    process = subprocess.Popen(
        ['sh', '-c', 'seq 1000 | xargs -P 4 -I @ "$@"', 'sh', SSLCLIENT,
         '-RHlx', '-T', '20+40', '-a', pki.ca, '127.0.0.1',
         str(server.port), '/bin/true'],
        env=client_environment(), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        result = finish(process, seconds=400)
    finally:
        process.kill()
    assert result == (0, '', '')
    family.wait_gone()
    server.wait_idle(20)
