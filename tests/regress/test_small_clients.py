"""sslcat, sslconnect and https@ carry bytes, and tell how it ended."""

import os
import shutil
import subprocess

import pytest

from clientrun import (Command, client_environment, finish, free_port,
                       s_server, server_context)
from harness import BIN, find_command, find_example
from pki import openssl

TRUST = '-a'  # the CAs of a file
PAGE = b'HTTP/1.1 200 OK\r\n'


def run_small(name, *words, data=None, directory=BIN, env=None):
    """Its result; data goes to its descriptor 0, which else is empty."""
    process = subprocess.Popen(
        [os.path.join(directory, name)] + [str(word) for word in words],
        env=client_environment(env), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL if data is None else subprocess.PIPE)
    return finish(process, data)


def read_request(tls):
    """Until the empty line."""
    request = b''
    while b'\r\n\r\n' not in request:
        piece = tls.recv(4096)
        assert piece, request
        request += piece
    return request


@pytest.fixture
def tls_peer(peer, pki):
    """A server that is a function of its TLS connection; it returns True
    when the connection is to end as it should, and else just ends."""
    context = server_context(pki.path('ecdsa.pem'), pki.path('ecdsa.key'))

    def starter(serve, **settings):
        def with_tls(conn):
            with context.wrap_socket(conn, server_side=True) as tls:
                if serve(tls):
                    try:
                        tls.unwrap()
                    except OSError:
                        pass  # the client need not answer

        return peer(with_tls, **settings)

    return starter


@pytest.fixture
def answering(tls_peer):
    """A web server with one answer, and the requests that it got."""
    requests = []

    def starter(answer, is_whole=True, **settings):
        def serve(tls):
            requests.append(read_request(tls).decode('ascii'))
            tls.sendall(answer)
            return is_whole

        return tls_peer(serve, **settings), requests

    return starter


# ---------------------------------------------------------------------------
# sslcat

def test_sslcat_prints_what_the_server_says(family, start, pki):
    server = start('sh', '-c', 'printf "one\\ntwo\\r\\nthree"')
    result = run_small('sslcat', 'localhost', server.port, TRUST, pki.ca,
                       data=b'nobody reads this')
    assert result == (0, 'one\ntwo\r\nthree', '')


def test_sslcat_of_bulk(family, start, pki):
    server = start('sh', '-c', 'head -c 5000000 /dev/zero')
    result = run_small('sslcat', '127.0.0.1', server.port, TRUST, pki.ca)
    assert result == (0, '\0' * 5000000, '')


@pytest.mark.parametrize('name', ['sslcat', 'sslconnect'])
def test_a_cut_stream_is_told(family, tls_peer, pki, name):
    def serve(tls):
        tls.sendall(b'half a sen')
        # What came after our end would be answered by a reset.
        if name == 'sslconnect':
            assert tls.recv(1) == b''

    server = tls_peer(serve)
    result = run_small(name, 'localhost', server.port, TRUST, pki.ca)
    assert result == (2, 'half a sen', name + ": localhost: the server's "
                      'output is cut short\n')


@pytest.mark.parametrize('name', ['sslcat', 'sslconnect', 'https@'])
def test_verification_can_be_turned_off(family, tls_peer, name):
    """Nobody knows the CA, and the name is another one."""
    def serve(tls):
        tls.sendall(b'HTTP/1.0 200 OK\r\n\r\nhello')
        return True

    words = [''] if name == 'https@' else []
    server = tls_peer(serve, address='127.0.0.2')
    result = run_small(name, '127.0.0.2', *words, server.port, '-X')
    assert result.code == 0 and result.out.endswith('hello'), result


@pytest.mark.parametrize('name', ['sslcat', 'sslconnect', 'https@'])
@pytest.mark.parametrize('host', ['127.0.0.1', '127.0.0.2'])
def test_bad_certificates_are_refused(family, start, pki, name, host):
    server = start('/bin/cat', host=host)
    words = [''] if name == 'https@' else []
    # Of an unknown CA, or for another host.
    trust = [] if host == '127.0.0.1' else [TRUST, pki.ca]
    result = run_small(name, host, *words, server.port, *trust)
    assert result.code == 110 and result.out == '', result
    assert result.err.startswith('sslclient: ') and host in result.err
    assert result.err.count('\n') == 1


def test_no_server(family, pki):
    result = run_small('sslcat', '127.0.0.1', free_port(), TRUST, pki.ca)
    assert result.code == 111 and result.out == '', result
    assert result.err.count('\n') == 1


# ---------------------------------------------------------------------------
# sslconnect

def test_sslconnect_sends_lines(family, start, pki):
    server = start('/bin/cat')
    result = run_small('sslconnect', 'localhost', server.port, TRUST, pki.ca,
                       data=b'one\ntwo\r\n\nthree')
    assert result == (0, 'one\r\ntwo\r\n\r\nthree', '')


def test_sslconnect_both_ways_at_once(family, start, pki):
    server = start('/bin/cat')
    line = b'a line of some length, as lines go\n'
    result = run_small('sslconnect', 'localhost', server.port, TRUST, pki.ca,
                       data=line * 60000)
    assert result.code == 0 and result.err == ''
    assert result.out == line.replace(b'\n', b'\r\n').decode() * 60000


def test_sslconnect_is_a_talk(family, tls_peer, pki):
    """Neither side waits for the other's end."""
    heard = []

    def serve(tls):
        tls.sendall(b'220 hello\r\n')
        heard.append(tls.recv(100))
        tls.sendall(b'221 bye\r\n')
        return True

    server = tls_peer(serve)
    process = subprocess.Popen(
        [os.path.join(BIN, 'sslconnect'), 'localhost', str(server.port),
         TRUST, pki.ca], env=client_environment(), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b'220 hello\r\n'
    process.stdin.write(b'QUIT\n')
    process.stdin.flush()
    assert process.stdout.readline() == b'221 bye\r\n'
    # The server's end is the end, with descriptor 0 still open.
    assert process.wait(60) == 0
    assert process.stderr.read() == b''
    for file in (process.stdin, process.stdout, process.stderr):
        file.close()
    assert heard == [b'QUIT\r\n']


def test_sslconnect_after_starttls(family, start, pki, workdir):
    """The words of a mail server that begins in plain text."""
    box = os.path.join(workdir, 'box')
    for name in ('', 'tmp', 'new', 'cur'):
        os.mkdir(os.path.join(box, name))
        os.chmod(os.path.join(box, name), 0o777)
    server = start(find_example('smtp'),
                   box, options=['-n'])
    result = run_small('sslconnect', 'localhost', server.port, '--starttls',
                       'smtp', TRUST, pki.ca, data=b'EHLO me\nQUIT\n')
    assert result.code == 0 and result.err == '', result
    lines = result.out.split('\r\n')
    assert lines[0].startswith('250-') and 'STARTTLS' not in result.out
    assert lines[-2].startswith('221 ')


# ---------------------------------------------------------------------------
# https@

def test_https_of_openssl(family, command, pki, workdir):
    page = os.urandom(300000)
    with open(os.path.join(workdir, 'page'), 'wb') as file:
        file.write(page)
    server = command(s_server('-cert', pki.path('rsa.pem'), '-key',
                              pki.path('rsa.key'), '-WWW', cwd=workdir))
    result = run_small('https@', 'localhost', 'page', server.port, TRUST,
                       pki.ca)
    assert result.out == page.decode('latin-1')
    if b'OpenSSL 1.' in openssl('version'):
        # Its server names no length and leaves without a word.
        assert result.code == 2 and 'cut short' in result.err
    else:
        assert (result.code, result.err) == (0, '')


def test_https_of_the_example(family, start, pki):
    server = start(find_example('hello-http'))
    result = run_small('https@', '127.0.0.1', '/x?y', server.port, TRUST,
                       pki.ca)
    assert result.code == 0 and result.err == '', result
    assert 'You asked: GET /x?y HTTP/1.1\n' in result.out


NGINX = '''
daemon off;
master_process off;
pid %(dir)s/pid;
error_log %(dir)s/errors;
events { }
http {
	access_log off;
	client_body_temp_path %(dir)s/1;
	proxy_temp_path %(dir)s/2;
	fastcgi_temp_path %(dir)s/3;
	uwsgi_temp_path %(dir)s/4;
	scgi_temp_path %(dir)s/5;
	ssl_certificate %(cert)s;
	ssl_certificate_key %(key)s;
	server {
		listen 127.0.0.1:%(port)d ssl;
		server_name other.example;
		return 500;
	}
	server {
		listen 127.0.0.1:%(port)d ssl;
		server_name localhost;
		root %(dir)s;
		location /old { return 301 /page; }
		location /chunked { ssi on; ssi_types *; }
	}
}
'''


@pytest.fixture
def nginx(command, pki, workdir):
    port = free_port()
    directory = os.path.join(workdir, 'nginx')
    os.mkdir(directory)
    for name, text in (
            ('conf', NGINX % {'dir': directory, 'port': port,
                              'cert': pki.path('ecdsa.pem'),
                              'key': pki.path('ecdsa.key')}),
            ('page', 'hello\n' * 10000),
            ('chunked', 'a<!--# echo var="none" default="b" -->c\n' * 3000)):
        with open(os.path.join(directory, name), 'w',
                  encoding='ascii') as file:
            file.write(text)
    # As root nginx would become somebody who cannot read this.
    user = ['-g', 'user root;'] if os.geteuid() == 0 else []
    return command(Command(
        [find_command('nginx'), '-c', os.path.join(directory, 'conf'), '-p',
         directory] + user, port))


@pytest.mark.parametrize('page, code, body, error', [
    ('page', 0, 'hello\n' * 10000, ''),
    ('chunked', 0, 'abc\n' * 3000, ''),
    ('old', 0, None, ''),
    ('none', 1, None, 'https@: localhost: 404 Not Found\n'),
])
def test_https_of_nginx(family, nginx, pki, page, code, body, error):
    result = run_small('https@', 'localhost', page, nginx.port, TRUST,
                       pki.ca)
    assert (result.code, result.err) == (code, error)
    assert result.out == body if body is not None else '<html>' in result.out


ANSWERS = {
    'length': (PAGE + b'Content-Length: 5\r\n\r\nhello', True,
               (0, 'hello', '')),
    # Nobody asks how the connection ended when the length is told.
    'length, cut': (PAGE + b'Content-Length: 5\r\n\r\nhello', False,
                    (0, 'hello', '')),
    'length, short': (PAGE + b'Content-Length: 6\r\n\r\nhello', True,
                      (2, 'hello', 'the body is cut short')),
    'chunked': (PAGE + b'Transfer-Encoding: chunked\r\n\r\n'
                b'2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nX: y\r\n\r\n', True,
                (0, 'hello', '')),
    'chunked, short': (PAGE + b'Transfer-Encoding: chunked\r\n\r\n'
                       b'5\r\nhello\r\n', True,
                       (2, 'hello', 'the body is cut short')),
    'end': (PAGE + b'\r\nhello', True, (0, 'hello', '')),
    'end, cut': (PAGE + b'\r\nhello', False,
                 (2, 'hello', 'the body is cut short')),
    'old': (b'HTTP/1.0 200\n\nhello', True, (0, 'hello', '')),
    'continue': (b'HTTP/1.1 100 Continue\r\n\r\n' + PAGE +
                 b'Content-Length: 5\r\n\r\nhello', True, (0, 'hello', '')),
    'error': (b'HTTP/1.1 503 Not\033now\r\nContent-Length: 5\r\n\r\nhello',
              True, (1, 'hello', '503 Not?now')),
    'error, cut': (b'HTTP/1.1 503 No\r\nContent-Length: 6\r\n\r\nhello', True,
                   (2, 'hello', 'the body is cut short')),
    'empty': (PAGE + b'Content-Length: 0\r\n\r\n', True, (0, '', '')),
    'nothing': (b'', True,
                (111, '', 'the connection ended before an answer')),
    'no head': (PAGE + b'Content-Le', True,
                (111, '', 'the connection ended before an answer')),
    'no HTTP': (b'220 mx ESMTP\r\n', True,
                (111, '', 'the answer is unusable: '
                 'it does not begin as HTTP/1 does')),
    'two lengths': (PAGE + b'Content-Length: 5\r\nContent-Length: 6\r\n\r\n'
                    b'hello!', True,
                    (111, '', 'the answer is unusable: '
                     'it has two Content-Lengths that differ')),
}


@pytest.mark.parametrize('name', sorted(ANSWERS))
def test_answers(family, answering, pki, name):
    answer, is_whole, (code, body, error) = ANSWERS[name]
    server, _ = answering(answer, is_whole)
    result = run_small('https@', 'localhost', '', server.port, TRUST, pki.ca)
    assert result == (code, body,
                      error and 'https@: localhost: %s\n' % error)


@pytest.mark.parametrize('host, address, shown', [
    ('localhost', '127.0.0.1', 'localhost:%d'),
    ('127.0.0.1', '127.0.0.1', '127.0.0.1:%d'),
    ('0', '127.0.0.1', '127.0.0.1:%d'),
    ('', '127.0.0.1', '127.0.0.1:%d'),
    ('::1', '::1', '[::1]:%d'),
])
def test_requests(family, answering, pki, host, address, shown):
    server, requests = answering(PAGE + b'Content-Length: 0\r\n\r\n',
                                 address=address)
    family_option = ['-6'] if ':' in address else ['-4']
    result = run_small('https@', *family_option, host, 'a b/\n%20?c',
                       server.port, TRUST, pki.ca)
    assert result == (0, '', '')
    lines = requests[0].split('\r\n')
    assert lines[0] == 'GET /a%20b/%0A%20?c HTTP/1.1'
    assert 'Host: ' + shown % server.port in lines
    assert 'Connection: close' in lines


@pytest.mark.parametrize('name', ['sslcat', 'https@'])
def test_an_output_that_is_gone(family, answering, tls_peer, pki, name):
    def serve(tls):
        tls.sendall(b'hello')
        return True

    words = [''] if name == 'https@' else []
    server = tls_peer(serve) if name == 'sslcat' else answering(
        PAGE + b'Content-Length: 5\r\n\r\nhello')[0]
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.Popen(
        [os.path.join(BIN, name), 'localhost', *words, str(server.port),
         TRUST, pki.ca], env=client_environment(),
        stdin=subprocess.DEVNULL, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert finish(process) == (
        111, '', name + ': localhost: unable to write: Broken pipe\n')


def test_an_output_that_is_full(family, answering, pki):
    if not os.path.exists('/dev/full'):
        pytest.skip('no /dev/full')
    server, _ = answering(PAGE + b'Content-Length: 5\r\n\r\nhello')
    with open('/dev/full', 'wb') as full:
        process = subprocess.Popen(
            [os.path.join(BIN, 'https@'), 'localhost', '',
             str(server.port), TRUST, pki.ca], env=client_environment(),
            stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE)
        result = finish(process)
    assert result == (111, '', 'https@: localhost: unable to write: '
                      'No space left on device\n')


# ---------------------------------------------------------------------------
# Words

@pytest.fixture
def bench(workdir):
    """The commands beside an sslclient that prints its words."""
    directory = os.path.join(workdir, 'bin')
    os.mkdir(directory)
    for name in ('sslcat', 'sslconnect', 'https@'):
        shutil.copy(os.path.join(BIN, name), directory)
    path = os.path.join(directory, 'sslclient')
    with open(path, 'w', encoding='ascii') as file:
        file.write('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    os.chmod(path, 0o755)
    return directory


def split_words(result):
    """What stands before --, and host, port and the worker's words."""
    assert result.code == 0 and result.err == '', result
    words = result.out.split('\n')[:-1]
    place = words.index('--')
    return words[:place], words[place + 1:]


@pytest.mark.parametrize('name, words, options, rest', [
    ('sslcat', [], [], ['0', '443', '0', '', '443']),
    ('sslconnect', ['h'], [], ['h', '443', 'h', '', '443']),
    ('sslcat', ['-4', 'h', '1'], ['-4'], ['h', '1', 'h', '', '1']),
    ('sslcat', ['-6', '--', '-h', '1', '-v', '-a', 'x'],
     ['-6', '-v', '-a', 'x'], ['-h', '1', '-h', '', '1']),
    ('https@', [], [], ['0', '443', '0', '', '443']),
    ('https@', ['h', 'p'], [], ['h', '443', 'h', 'p', '443']),
    ('https@', ['-4', '', '', '1', '-X'], ['-4', '-X'],
     ['', '1', '', '', '1']),
])
def test_words(bench, name, words, options, rest):
    before, after = split_words(run_small(name, *words, directory=bench))
    assert before[0] == '-qRHl0'
    assert before[1] == ('-N' if '-X' in options else '-n')
    assert before[2] == '--report'
    assert before[4:] == options
    assert after[2] == os.path.join(os.path.realpath(bench), name)
    assert after[3] == '--worker'
    assert after[:2] + after[5:] == rest


@pytest.mark.parametrize('options, name', [
    (['-X'], '-N'), (['--no-verify', '-a', '/x'], '-N'),
    (['-X', '-x'], '-n'), (['-X', '-vx'], '-n'), (['-X', '--verify'], '-n'),
    (['-x', '-X'], '-N'), (['-v', ''], '-n'),
])
def test_what_is_verified_is_verified_whole(bench, options, name):
    """The name is left out only if nothing is verified in the end."""
    before, _ = split_words(run_small('sslcat', 'h', '1', *options,
                                      directory=bench))
    assert before[1] == name and before[4:] == options


@pytest.mark.parametrize('name', ['sslcat', 'sslconnect', 'https@'])
def test_wrong_use(name):
    page = ['p'] if name == 'https@' else []
    for words in (['-v', 'h', '1'], ['-4', '-x'], ['--help', 'x'],
                  ['h', *page, '-a', 'ca.pem'], ['h', *page, '-v'],
                  ['h', *page, '1', 'more']):
        result = run_small(name, *words)
        assert result.code == 100 and result.out == '', words
        assert result.err.startswith('%s: usage: %s [-4|-6]' % (name, name))
        assert result.err.count('\n') == 1
    # What sslclient has to say against it.
    result = run_small(name, *['h', '', '1'][:3 if name == 'https@' else 1],
                       *([] if name == 'https@' else ['1']), '--nonsense')
    assert result.code == 100 and result.out == '', result


@pytest.mark.parametrize('name', ['sslcat', 'sslconnect', 'https@'])
def test_help_and_version(name):
    result = run_small(name, '--help')
    assert result.code == 0 and result.err == ''
    assert result.out.startswith('usage: %s [-4|-6]' % name)
    result = run_small(name, '--version')
    assert result.code == 0 and result.err == ''
    assert result.out.startswith(name + ' (ucspi-ssl) ')


def test_without_sslclient_beside(bench):
    os.unlink(os.path.join(bench, 'sslclient'))
    result = run_small('sslcat', 'h', '1', directory=bench)
    assert result == (111, '', 'sslcat: unable to run %s/sslclient: '
                      'No such file or directory\n'
                      % os.path.realpath(bench))


@pytest.mark.parametrize('host', ['a b', 'a\nb', 'a/b'])
def test_hosts_that_are_none(family, host):
    result = run_small('https@', host, '', free_port(),
                       env={'DNSCACHEIP': '127.0.0.1'})
    assert result.code in (100, 111) and result.out == '', result
    assert result.err.count('\n') == 1
