"""Mail servers that ask for TLS themselves: the two of examples/ and
mailfront, reached by clients that know nothing of ours.
"""

import errno
import os
import poplib
import re
import smtplib
import socket
import ssl
import subprocess

import pytest

import harness
from harness import find_command, tls_context, wait_for
from pki import openssl

MAILFRONT = '/usr/lib/mailfront/plugin-starttls-ucspi.so'

# A message is on the disk before it is acknowledged, and disks can be busy.
PATIENCE = 60 * harness.SLOW

SENDER, RECIPIENT = 'sender@client.example', 'box@server.example'
USER, PASSWORD = 'joe', 'two words: "x"'

# Points at the start of lines, an empty line, bytes above 127, the longest
# line, and an end that is easily taken for the end of the message.
MESSAGE = b'\r\n'.join([
    b'From: <sender@client.example>', b'Subject: bytes', b'',
    b'.', b'..', b'.one point', b'', b'\xe4\xf6\xfc \xff\xfe', b'x' * 998,
    b'QUIT', b'STARTTLS', b' .', b''])


@pytest.fixture
def box(workdir):
    """A Maildir that the program may use, whoever it is."""
    path = os.path.join(workdir, 'box')
    for name in ('', 'tmp', 'new', 'cur'):
        os.mkdir(os.path.join(path, name))
        os.chmod(os.path.join(path, name), 0o777)
    return path


@pytest.fixture
def account(workdir):
    path = os.path.join(workdir, 'account')
    with open(path, 'w', encoding='ascii') as file:
        file.write('%s:%s\n' % (USER, PASSWORD))
    os.chmod(path, 0o644)
    return path


@pytest.fixture
def smtp(start, box):
    return start(harness.find_example('smtp'), box, options=['-n'])


@pytest.fixture
def pop3(start, box, account):
    return start(harness.find_example('pop3'), box, account,
                 options=['-n'])


def need(command):
    path = find_command(command)
    if path is None:
        pytest.skip(command + ' is not installed')
    return path


def run_client(command, data=b''):
    return subprocess.run(command, input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False,
                          timeout=PATIENCE)


def kept(box):
    """The messages in the box: (trace, what the client sent)."""
    messages = []
    for name in sorted(os.listdir(os.path.join(box, 'new'))):
        with open(os.path.join(box, 'new', name), 'rb') as file:
            text = file.read()
        assert b'\r' not in text
        match = re.match(rb'Return-Path: <.*>\nReceived: .*\n\t.*\n', text)
        assert match, text
        messages.append((match.group(), text[match.end():]))
    return messages


def the_message(box):
    """Protocol and text of the only message, line ends as they travel."""
    (trace, text), = kept(box)
    assert b'Return-Path: <%s>\n' % SENDER.encode() in trace
    protocol = re.search(rb' with (\w+); ', trace).group(1).decode()
    return protocol, text.replace(b'\n', b'\r\n')


def keep(box, name, text, directory='new'):
    path = os.path.join(box, directory, name)
    with open(path, 'wb') as file:
        file.write(text)
    os.chmod(path, 0o644)
    return path


def is_empty(box):
    return not os.listdir(box + '/new') and not os.listdir(box + '/tmp')


class Talk:
    """A line-wise client that begins in plain text."""

    def __init__(self, server, greeting):
        self.sock = socket.create_connection(('127.0.0.1', server.port),
                                             PATIENCE)
        self.rest = b''
        assert self.line().startswith(greeting)

    def send(self, data):
        self.sock.sendall(data)

    def line(self):
        """b'' at the end of the stream."""
        while b'\n' not in self.rest:
            piece = self.sock.recv(65536)
            if not piece:
                assert not self.rest, self.rest
                return b''
            self.rest += piece
        line, _, self.rest = self.rest.partition(b'\n')
        return line + b'\n'

    def reply(self):
        """The last line of an SMTP reply."""
        while True:
            line = self.line()
            if line[3:4] != b'-':
                return line

    def ask(self, command):
        self.send(command + b'\r\n')
        return self.reply()

    def start_tls(self):
        assert not self.rest, self.rest
        self.sock = tls_context().wrap_socket(
            self.sock, do_handshake_on_connect=False)
        try:
            self.sock.do_handshake()
        except OSError as error:
            # The peer was quicker than we and has reset the connection.
            if error.errno == errno.ENOTCONN:
                raise ConnectionResetError from error
            raise

    def is_over(self):
        try:
            return self.line() == b''
        except (ConnectionResetError, ssl.SSLError):
            return True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()


def talk_smtp(server, hello=True):
    talk = Talk(server, b'220 ')
    if hello:
        assert talk.ask(b'EHLO client.example').startswith(b'250 ')
    return talk


def talk_tls(server):
    talk = talk_smtp(server)
    assert talk.ask(b'STARTTLS').startswith(b'220 ')
    talk.start_tls()
    return talk


def wait_end(server, status, count=1):
    server.wait_log('^sslserver: ended by [0-9]+ status %s$' % status,
                    count=count)


# ---------------------------------------------------------------------------
# SMTP: clients

def swaks(server, pki, *options):
    return [need('swaks'), '--server', 'localhost:%d' % server.port,
            '--helo', 'client.example', '--from', SENDER, '--to', RECIPIENT,
            '--tls-ca-path', pki.ca, '--pipeline'] + list(options)


def swaks_file(workdir):
    """A message as a file; its last line end is swaks' own."""
    path = os.path.join(workdir, 'message')
    with open(path, 'wb') as file:
        file.write(MESSAGE.replace(b'\r\n', b'\n')[:-1])
    return '@' + path


@pytest.mark.parametrize('version', ['tlsv1_2', 'tlsv1_3'])
@pytest.mark.parametrize('key', ['rsa', 'ecdsa'])
def test_swaks(start, box, pki, workdir, key, version):
    server = start(harness.find_example('smtp'), box, options=['-n'],
                   certs=getattr(pki, key))
    done = run_client(swaks(server, pki, '--tls', '--tls-verify',
                            '--tls-protocol', version, '--data',
                            swaks_file(workdir)))
    assert done.returncode == 0, done.stdout
    assert the_message(box) == ('ESMTPS', MESSAGE)
    server.wait_log('^sslserver: tls [0-9]+ accept$')
    wait_end(server, 0)
    server.wait_idle()


def test_swaks_in_plain_text(smtp, box, pki, workdir):
    """Who does not ask for TLS is served all the same."""
    done = run_client(swaks(smtp, pki, '--data', swaks_file(workdir)))
    assert done.returncode == 0, done.stdout
    assert the_message(box) == ('ESMTP', MESSAGE)
    wait_end(smtp, 0)
    assert not smtp.lines('^sslserver: tls ')
    smtp.wait_idle()


BY_HAND = [b'EHLO client.example', b'MAIL FROM:<%s>' % SENDER.encode(),
           b'RCPT TO:<%s>' % RECIPIENT.encode(), b'DATA',
           b'Subject: by hand', b'', b'text', b'.', b'QUIT', b'']


def s_client(server, pki, protocol, commands):
    """By hand: the client says STARTTLS, the rest is ours."""
    return run_client(
        [need('openssl'), 's_client', '-quiet', '-starttls', protocol,
         '-CAfile', pki.ca, '-verify_return_error', '-verify_hostname',
         'localhost', '-connect', '127.0.0.1:%d' % server.port],
        b'\r\n'.join(commands))


def gnutls(server, pki, protocol, commands):
    return run_client(
        [need('gnutls-cli'), '--logfile=/dev/null', '--x509cafile=' + pki.ca,
         '--starttls-proto=' + protocol, '-p', str(server.port),
         'localhost'], b'\r\n'.join(commands))


@pytest.mark.parametrize('client', [s_client, gnutls])
def test_by_hand(smtp, box, pki, client):
    done = client(smtp, pki, 'smtp', BY_HAND)
    assert b'\n221 ' in done.stdout, (done.stdout, done.stderr)
    assert the_message(box) == ('ESMTPS', b'Subject: by hand\r\n\r\ntext\r\n')
    wait_end(smtp, 0)


def test_curl(smtp, box, pki):
    done = run_client(
        [need('curl'), '-sS', '--ssl-reqd', '--cacert', pki.ca,
         '--mail-from', SENDER, '--mail-rcpt', RECIPIENT, '-T', '-',
         'smtp://localhost:%d/client.example' % smtp.port], MESSAGE)
    assert done.returncode == 0, done.stderr
    assert the_message(box) == ('ESMTPS', MESSAGE)


def test_python(smtp, box, pki):
    """Two messages in one connection, the first in plain text."""
    with smtplib.SMTP('localhost', smtp.port, 'client.example',
                      timeout=PATIENCE) as client:
        client.sendmail(SENDER, RECIPIENT, b'in the open\r\n')
        client.starttls(context=ssl.create_default_context(cafile=pki.ca))
        assert not client.has_extn('starttls')
        client.sendmail(SENDER, [RECIPIENT, 'b@c.example'], MESSAGE)
    protocols = [re.search(rb' with (\w+);', trace).group(1)
                 for trace, _ in kept(box)]
    assert protocols == [b'ESMTP', b'ESMTPS']
    assert kept(box)[1][1] == MESSAGE.replace(b'\r\n', b'\n')


def test_tls_at_once(start, box, pki):
    """The same program without -n: everything is inside TLS."""
    server = start(harness.find_example('smtp'), box)
    context = ssl.create_default_context(cafile=pki.ca)
    with smtplib.SMTP_SSL('localhost', server.port, 'client.example',
                          timeout=PATIENCE,
                          context=context) as client:
        client.ehlo()
        assert not client.has_extn('starttls')
        assert client.docmd('STARTTLS')[0] == 503
        client.sendmail(SENDER, RECIPIENT, MESSAGE)
    assert the_message(box) == ('ESMTPS', MESSAGE)


def client_certificate(pki, workdir):
    path = os.path.join(workdir, 'client.pem')
    key = os.path.join(workdir, 'client.key')
    request = os.path.join(workdir, 'client.csr')
    extensions = os.path.join(workdir, 'client.ext')
    with open(extensions, 'w', encoding='ascii') as file:
        file.write('basicConstraints = critical,CA:false\n'
                   'extendedKeyUsage = clientAuth\n')
    openssl('req', '-new', '-newkey', 'ec', '-pkeyopt',
            'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out',
            request, '-subj', '/CN=client.example', '-config',
            pki.path('config'))
    openssl('x509', '-req', '-in', request, '-out', path, '-CA', pki.ca,
            '-CAkey', pki.path('root.key'), '-set_serial', '77', '-extfile',
            extensions)
    return path, key


def with_client_certificates(start, box, pki):
    """As submission servers have it: the name is no matter."""
    return start(harness.find_example('smtp'), box,
                 options=['-n', '-m'], env={'CAFILE': pki.ca})


def test_swaks_client_certificate(start, box, pki, workdir):
    server = with_client_certificates(start, box, pki)
    path, key = client_certificate(pki, workdir)
    done = run_client(swaks(server, pki, '--tls', '--tls-cert', path,
                            '--tls-key', key, '--data',
                            swaks_file(workdir)))
    assert done.returncode == 0, done.stdout
    assert the_message(box) == ('ESMTPS', MESSAGE)
    server.wait_log('^sslserver: info: valid client cert received from: '
                    '127.0.0.1 for pid: [0-9]+$')


def test_swaks_without_client_certificate(start, box, pki, workdir):
    """The client is refused, and the program reads an end of file."""
    server = with_client_certificates(start, box, pki)
    done = run_client(swaks(server, pki, '--tls', '--data',
                            swaks_file(workdir)))
    assert done.returncode != 0, done.stdout
    server.wait_log(r'^sslserver: error: \(110\) no client certificate '
                    'from: 127.0.0.1 for pid: [0-9]+$')
    wait_end(server, 0)
    assert is_empty(box)


# ---------------------------------------------------------------------------
# SMTP: the border between plain text and TLS

def test_nothing_is_remembered(smtp):
    """EHLO again, and what was begun in plain text is gone."""
    with talk_smtp(smtp) as talk:
        assert talk.ask(b'MAIL FROM:<a@b.example>').startswith(b'250 ')
        assert talk.ask(b'STARTTLS').startswith(b'220 ')
        talk.start_tls()
        assert talk.ask(b'RCPT TO:<a@b.example>').startswith(b'503 ')
        assert talk.ask(b'EHLO client.example').startswith(b'250 ')
        assert talk.ask(b'RCPT TO:<a@b.example>').startswith(b'503 ')
        assert talk.ask(b'STARTTLS').startswith(b'503 ')
        assert talk.ask(b'QUIT').startswith(b'221 ')
        assert talk.is_over()


INJECTED = (b'EHLO evil.example\r\nMAIL FROM:<evil@evil.example>\r\n'
            b'RCPT TO:<box@server.example>\r\nDATA\r\nevil\r\n.\r\n')


def test_injected_commands(smtp, box):
    """CVE-2011-0411: commands behind STARTTLS in one segment."""
    with talk_smtp(smtp) as talk:
        talk.send(b'STARTTLS\r\n' + INJECTED)
        assert talk.line().startswith(b'220 ')
        talk.start_tls()
        # One answer to one question: nothing else was asked.
        assert talk.ask(b'NOOP').startswith(b'250 ')
        assert talk.ask(b'RCPT TO:<a@b.example>').startswith(b'503 EHLO')
        assert talk.ask(b'QUIT').startswith(b'221 ')
        assert talk.is_over()
    wait_end(smtp, 0)
    assert is_empty(box)


@pytest.mark.parametrize('tail', [b'', b'NOO'], ids=['', 'half a line'])
def test_injected_after_the_answer(smtp, box, tail):
    """Plain text that the program has not read reaches the TLS parser."""
    with talk_smtp(smtp) as talk:
        assert talk.ask(b'STARTTLS').startswith(b'220 ')
        talk.send(INJECTED + tail)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            talk.start_tls()
    smtp.wait_log(r'^sslserver: fatal: \(111\) unable to accept TLS from: '
                  '127.0.0.1 for pid: [0-9]+ .')
    wait_end(smtp, 0)
    smtp.wait_idle()
    assert is_empty(box)


def test_injected_more_than_is_read(smtp, box):
    """Longer than a buffer: some thrown away, some for the TLS parser."""
    with talk_smtp(smtp) as talk:
        talk.send(b'STARTTLS\r\n' + b'NOOP\r\n' * 2000)
        assert talk.line().startswith(b'220 ')
        with pytest.raises((ssl.SSLError, ConnectionError)):
            talk.start_tls()
    smtp.wait_log(r'^sslserver: fatal: \(111\) unable to accept TLS from: ')
    wait_end(smtp, '[0-9]+')
    smtp.wait_idle()
    assert is_empty(box)


def test_client_leaves_instead_of_the_handshake(smtp):
    with talk_smtp(smtp) as talk:
        assert talk.ask(b'STARTTLS').startswith(b'220 ')
    wait_end(smtp, 0)
    smtp.wait_idle()


def test_cut_in_the_middle_of_a_message(smtp, box):
    """A stream that is cut delivers nothing, in TLS or before."""
    for begin in (talk_smtp, talk_tls):
        with begin(smtp) as talk:
            talk.ask(b'EHLO client.example')
            talk.ask(b'MAIL FROM:<a@b.example>')
            talk.ask(b'RCPT TO:<a@b.example>')
            assert talk.ask(b'DATA').startswith(b'354 ')
            talk.send(b'Subject: half\r\n\r\nof it\r\n')
    wait_end(smtp, '[0-9]+', count=2)
    wait_for(lambda: is_empty(box), what='nothing is left of the message')


# ---------------------------------------------------------------------------
# SMTP: what a server of any worth refuses

def test_refused_commands(smtp):
    with talk_smtp(smtp, hello=False) as talk:
        assert talk.ask(b'MAIL FROM:<a@b.example>').startswith(b'503 ')
        assert talk.ask(b'STARTTLS').startswith(b'503 ')
        assert talk.ask(b'EHLO client (example)').startswith(b'501 ')
        assert talk.ask(b'EHLO client.example').startswith(b'250 ')
        assert talk.ask(b'STARTTLS now').startswith(b'501 ')
        assert talk.ask(b'AUTH PLAIN AGpvZQB4').startswith(b'502 ')
        assert talk.ask(b'RCPT TO:<a@b.example>').startswith(b'503 ')
        assert talk.ask(b'MAIL FROM:<a@b.example').startswith(b'501 ')
        assert talk.ask(b'MAIL FROM:<a b@b.example>').startswith(b'501 ')
        assert talk.ask(b'MAIL FROM:<%s>' % (b'a' * 257)).startswith(b'501 ')
        assert talk.ask(b'MAIL FROM:<> SIZE=99999999').startswith(b'552 ')
        assert talk.ask(b'MAIL FROM:<> RET=HDRS').startswith(b'555 ')
        assert talk.ask(b'MAIL FROM:<>').startswith(b'250 ')
        assert talk.ask(b'DATA').startswith(b'503 ')
        assert talk.ask(b'NOOP\0').startswith(b'500 ')
        assert talk.ask(b'NOOP ' + b'x' * 506).startswith(b'500 ')
        assert talk.ask(b'x' * 100000).startswith(b'500 ')
        for _ in range(100):
            assert talk.ask(b'RCPT TO:<a@b.example>').startswith(b'250 ')
        assert talk.ask(b'RCPT TO:<a@b.example>').startswith(b'452 ')


@pytest.mark.parametrize('text', [
    b'a\r\n.\nMAIL FROM:<evil@evil.example>\r\n', b'a\n.\r\n', b'a\r.\r\n',
    b'\n.\n'], ids=['point LF', 'LF point', 'CR', 'LF'])
def test_bare_line_ends(smtp, box, text):
    """No end of a message but CR LF . CR LF, and no doubt about it."""
    with talk_smtp(smtp) as talk:
        talk.ask(b'MAIL FROM:<a@b.example>')
        talk.ask(b'RCPT TO:<a@b.example>')
        assert talk.ask(b'DATA').startswith(b'354 ')
        talk.send(text)
        assert talk.line().startswith(b'554 ')
        assert talk.is_over()
    wait_end(smtp, 0)
    assert is_empty(box)


@pytest.mark.parametrize('text, code', [
    (b'x' * 999 + b'\r\n', b'500 '), (b'x' * 98 + b'\r\n', b'552 ')],
    ids=['line', 'message'])
def test_too_long(smtp, box, text, code):
    """Refused after the point, and the connection goes on."""
    with talk_tls(smtp) as talk:
        talk.ask(b'EHLO client.example')
        talk.ask(b'MAIL FROM:<a@b.example>')
        talk.ask(b'RCPT TO:<a@b.example>')
        talk.ask(b'DATA')
        talk.send(text * (110000 if code == b'552 ' else 1))
        talk.send(b'.\r\n')
        assert talk.line().startswith(code)
        assert talk.ask(b'NOOP').startswith(b'250 ')
    assert is_empty(box)


def test_message_that_cannot_be_kept(smtp, box):
    """Without its directory it is refused for now, with a line."""
    with talk_smtp(smtp) as talk:
        os.rmdir(box + '/new')
        talk.ask(b'MAIL FROM:<a@b.example>')
        talk.ask(b'RCPT TO:<a@b.example>')
        talk.ask(b'DATA')
        assert talk.ask(b'text\r\n.').startswith(b'451 ')
        assert talk.ask(b'NOOP').startswith(b'250 ')
    smtp.wait_log('^smtp: new/.*: No such file or directory$')
    assert os.listdir(box + '/tmp') == []


# ---------------------------------------------------------------------------
# POP3

@pytest.mark.parametrize('client', [s_client, gnutls])
def test_pop3_by_hand(pop3, box, pki, client):
    keep(box, 'one', b'Subject: x\n\n.text\n')
    commands = ['CAPA', 'USER ' + USER, 'PASS ' + PASSWORD, 'LIST', 'RETR 1',
                'QUIT', '']
    done = client(pop3, pki, 'pop3', [line.encode() for line in commands])
    assert b'\r\nSubject: x\r\n\r\n..text\r\n.\r\n' in done.stdout, done
    assert b'\r\nUSER\r\n' in done.stdout
    assert b'STLS' not in done.stdout
    wait_end(pop3, 0)


def test_pop3_curl(pop3, box, pki):
    keep(box, 'one', MESSAGE.replace(b'\r\n', b'\n'))
    done = run_client(
        [need('curl'), '-sS', '--ssl-reqd', '--cacert', pki.ca, '-u',
         '%s:%s' % (USER, PASSWORD),
         'pop3://localhost:%d/1' % pop3.port])
    assert done.returncode == 0, done.stderr
    assert done.stdout == MESSAGE
    wait_end(pop3, 0)


def test_pop3_python(pop3, box, pki):
    """All that a mail reader does in one visit."""
    keep(box, 'b', MESSAGE.replace(b'\r\n', b'\n'))
    keep(box, 'a:2,S', b'Head: x\n\none\ntwo\nno end', 'cur')
    os.utime(box + '/cur/a:2,S', (1, 1))
    client = poplib.POP3('localhost', pop3.port, PATIENCE)
    assert 'USER' not in client.capa()
    client.stls(ssl.create_default_context(cafile=pki.ca))
    assert 'STLS' not in client.capa()
    client.user(USER)
    client.pass_(PASSWORD)
    sizes = [len(b'Head: x\r\n\r\none\r\ntwo\r\nno end\r\n'), len(MESSAGE)]
    assert client.stat() == (2, sum(sizes))
    assert client.list()[1] == [b'%d %d' % pair
                                for pair in enumerate(sizes, 1)]
    assert len(set(client.uidl()[1])) == 2
    assert client.top(1, 1)[1] == [b'Head: x', b'', b'one']
    assert client.retr(1)[1][-1] == b'no end'
    assert b'\r\n'.join(client.retr(2)[1]) + b'\r\n' == MESSAGE
    client.dele(1)
    assert client.stat() == (1, sizes[1])
    with pytest.raises(poplib.error_proto):
        client.retr(1)
    client.quit()
    assert os.listdir(box + '/cur') == []
    assert os.listdir(box + '/new') == ['b']
    wait_end(pop3, 0)


def test_pop3_deletes_at_quit_alone(pop3, box, pki):
    keep(box, 'one', b'x\n')
    client = poplib.POP3('localhost', pop3.port, PATIENCE)
    client.stls(ssl.create_default_context(cafile=pki.ca))
    client.user(USER)
    client.pass_(PASSWORD)
    client.dele(1)
    client.close()
    wait_end(pop3, '[0-9]+')
    assert os.listdir(box + '/new') == ['one']


def test_pop3_tls_at_once(start, box, account, pki):
    keep(box, 'one', MESSAGE.replace(b'\r\n', b'\n'))
    server = start(harness.find_example('pop3'), box, account)
    done = run_client([need('curl'), '-sS', '--cacert', pki.ca, '-u',
                       '%s:%s' % (USER, PASSWORD),
                       'pop3s://localhost:%d/1' % server.port])
    assert done.stdout == MESSAGE, done.stderr


def ask_pop3(talk, command):
    talk.send(command.encode() + b'\r\n')
    return talk.line()


def test_pop3_no_password_in_plain_text(pop3):
    with Talk(pop3, b'+OK') as talk:
        assert ask_pop3(talk, 'USER ' + USER).startswith(b'-ERR [AUTH]')
        assert ask_pop3(talk, 'PASS ' + PASSWORD).startswith(b'-ERR [AUTH]')
        assert ask_pop3(talk, 'STAT').startswith(b'-ERR')
        assert ask_pop3(talk, 'AUTH PLAIN').startswith(b'-ERR')
        assert ask_pop3(talk, 'QUIT').startswith(b'+OK')
        assert talk.is_over()
    wait_end(pop3, 0)


def test_pop3_wrong_password(pop3, box):
    """Nothing is shown, and after three attempts it is over."""
    keep(box, 'one', b'x\n')
    with Talk(pop3, b'+OK') as talk:
        ask_pop3(talk, 'STLS')
        talk.start_tls()
        for word in (PASSWORD + ' ', PASSWORD[:-1], ''):
            assert ask_pop3(talk, 'LIST').startswith(b'-ERR')
            ask_pop3(talk, 'USER ' + USER)
            assert ask_pop3(talk, 'PASS ' + word).startswith(b'-ERR [AUTH]')
        assert talk.is_over()


def test_pop3_mailbox_is_for_one(pop3):
    """And STLS is not for those who are in."""
    def enter():
        talk = Talk(pop3, b'+OK')
        ask_pop3(talk, 'STLS')
        talk.start_tls()
        ask_pop3(talk, 'USER ' + USER)
        return talk, ask_pop3(talk, 'PASS ' + PASSWORD)

    first, reply = enter()
    assert reply.startswith(b'+OK')
    assert ask_pop3(first, 'STLS').startswith(b'-ERR')
    second, reply = enter()
    assert reply.startswith(b'-ERR [IN-USE]')
    assert ask_pop3(second, 'STAT').startswith(b'-ERR')
    assert ask_pop3(first, 'QUIT').startswith(b'+OK')
    assert first.is_over()
    first.sock.close()
    wait_end(pop3, 0)
    assert ask_pop3(second, 'PASS ' + PASSWORD).startswith(b'+OK')
    second.sock.close()


def test_pop3_injected_commands(pop3):
    with Talk(pop3, b'+OK') as talk:
        talk.send(b'STLS\r\nUSER joe\r\nCAPA\r\n')
        assert talk.line().startswith(b'+OK')
        talk.start_tls()
        assert ask_pop3(talk, 'PASS ' + PASSWORD).startswith(b'-ERR USER')
        assert ask_pop3(talk, 'QUIT').startswith(b'+OK')
        assert talk.is_over()


def test_pop3_injected_after_the_answer(pop3):
    with Talk(pop3, b'+OK') as talk:
        assert ask_pop3(talk, 'STLS').startswith(b'+OK')
        talk.send(b'USER joe\r\n')
        with pytest.raises((ssl.SSLError, ConnectionError)):
            talk.start_tls()
    pop3.wait_log(r'^sslserver: fatal: \(111\) unable to accept TLS from: ')
    wait_end(pop3, 0)


@pytest.mark.parametrize('words, code, text', [
    (['smtp'], 100, 'usage: smtp maildir'),
    (['smtp', '/nonexistent'], 111, 'smtp: /nonexistent: No such file'),
    (['smtp', '/'], 111, 'smtp: /: No such file'),
    (['pop3', '/'], 100, 'usage: pop3 maildir account'),
    (['pop3', '/', '/nonexistent'], 111, 'pop3: /nonexistent: No such file'),
    (['pop3', '/', '/dev/null'], 111, 'pop3: /dev/null: Invalid argument'),
    (['pop3', '/nonexistent', 'ACCOUNT'], 111,
     'pop3: /nonexistent: No such file')],
    ids=['smtp', 'smtp maildir', 'smtp tmp', 'pop3', 'pop3 account',
         'pop3 empty', 'pop3 maildir'])
def test_wrong_use(account, words, code, text):
    """Whoever has connected meanwhile is told, too."""
    words = [account if word == 'ACCOUNT' else word for word in words]
    done = run_client([harness.find_example(words[0])] + words[1:])
    assert done.returncode == code
    assert done.stderr.decode().startswith(text)
    assert done.stdout == {
        100: b'', 111: b'421 localhost has no mailbox now\r\n'
        if words[0] == 'smtp' else
        b'-ERR [SYS/PERM] there is no mailbox now\r\n'}[code]


# ---------------------------------------------------------------------------
# mailfront: a UCSPI-TLS program nobody here wrote

@pytest.fixture
def queue(workdir):
    path = os.path.join(workdir, 'queue')
    for name in ('', 'tmp', 'new'):
        os.mkdir(os.path.join(path, name))
        os.chmod(os.path.join(path, name), 0o777)
    return path


@pytest.fixture
def mailfront(start, queue):
    """STARTTLS is offered when UCSPITLS is set."""
    if not os.access(MAILFRONT, os.R_OK):
        pytest.skip('no mailfront with plugin-starttls-ucspi is installed')
    return start('/usr/sbin/mailfront', 'smtp', 'queuedir', 'starttls-ucspi',
                 'accept', options=['-n', '-l', 'localhost'],
                 env={'UCSPITLS': '', 'QUEUEDIR': queue})


def queued(queue):
    """Every message as queuedir keeps it: (sender, recipients, text)."""
    messages = []
    for name in sorted(os.listdir(queue + '/new')):
        with open(os.path.join(queue, 'new', name), 'rb') as file:
            envelope, _, text = file.read().partition(b'\0\0')
        sender, *recipients = envelope.decode().split('\0')
        messages.append((sender, recipients, text))
    return messages


QUEUED = [(SENDER, [RECIPIENT], MESSAGE.replace(b'\r\n', b'\n'))]


def test_mailfront_swaks(mailfront, queue, pki, workdir):
    done = run_client(swaks(mailfront, pki, '--tls', '--tls-verify',
                            '--data', swaks_file(workdir)))
    assert done.returncode == 0, done.stdout
    assert queued(queue) == QUEUED
    mailfront.wait_log('^sslserver: tls [0-9]+ accept$')
    wait_end(mailfront, 0)
    mailfront.wait_idle()


def test_mailfront_in_plain_text(mailfront, queue, pki, workdir):
    done = run_client(swaks(mailfront, pki, '--data', swaks_file(workdir)))
    assert done.returncode == 0, done.stdout
    assert queued(queue) == QUEUED
    wait_end(mailfront, 0)
    assert not mailfront.lines('^sslserver: tls ')


@pytest.mark.parametrize('client', [s_client, gnutls])
def test_mailfront_by_hand(mailfront, queue, pki, client):
    done = client(mailfront, pki, 'smtp', BY_HAND)
    assert b'\n221 ' in done.stdout, (done.stdout, done.stderr)
    assert queued(queue) == [
        (SENDER, [RECIPIENT], b'Subject: by hand\n\ntext\n')]


def test_mailfront_injected_commands(mailfront, queue):
    """It says inside TLS what it thinks of this, and goes on."""
    with talk_smtp(mailfront) as talk:
        talk.send(b'STARTTLS\r\n' + INJECTED)
        assert talk.line().startswith(b'220 ')
        talk.start_tls()
        assert talk.line().startswith(b'500 5.5.1 Unexpected pipelined')
        assert talk.ask(b'RCPT TO:<a@b.example>').startswith(b'503 ')
        assert talk.ask(b'QUIT').startswith(b'221 ')
    wait_end(mailfront, '[0-9]+')
    assert queued(queue) == []


def test_mailfront_injected_after_the_answer(mailfront, queue):
    with talk_smtp(mailfront) as talk:
        assert talk.ask(b'STARTTLS').startswith(b'220 ')
        talk.send(INJECTED)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            talk.start_tls()
    mailfront.wait_log(r'^sslserver: fatal: \(111\) unable to accept TLS ')
    wait_end(mailfront, '[0-9]+')
    mailfront.wait_idle()
    assert queued(queue) == []
