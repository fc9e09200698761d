"""sslclient --starttls: servers that nobody here wrote, as far as they are
installed or tools/peers has brought them, and our own examples.  After the
handshake each is told a word of its protocol, so that it is seen that both
sides mean the same byte by TLS."""

import os
import shutil
import subprocess

import pytest

import apart
import harness
from clientrun import Command, free_port, is_listening, run_client
from harness import wait_for


# Say a word, and print one line of what comes, without its CR.
LINE = 'printf "%s" "$0" >&7; head -n 1 <&6 | tr -d "\\r"'


def write(path, text, mode=0o644):
    with open(path, 'w', encoding='ascii') as file:
        file.write(text)
    os.chmod(path, mode)
    return path


@pytest.fixture
def place(workdir, pki):
    """A short directory (sockets are made there) with certificate and key,
    for the server to have."""
    path = os.path.join(workdir, 's')
    os.mkdir(path)
    for name in ('ecdsa.pem', 'ecdsa.key'):
        shutil.copy(pki.path(name), path)
    os.chmod(os.path.join(path, 'ecdsa.key'), 0o600)
    for name in ('.', 'ecdsa.key', 'ecdsa.pem'):
        os.chown(os.path.join(path, name), apart.UID, apart.GID)
    return path


@pytest.fixture
def serve(command, place):
    """Starts one of them, by its words."""
    def starter(words, port, names=(), **settings):
        settings.setdefault('stderr', subprocess.DEVNULL)
        return command(Command(apart.launcher(place, *names) + list(words),
                               port, **settings))

    return starter


def talk(pki, protocol, port, word, script=LINE):
    return run_client('--starttls', protocol, '-a', pki.ca, 'localhost', port,
                      'sh', '-c', script, word)


# ---------------------------------------------------------------------------
# The examples behind our own sslserver

def test_example_smtp(family, start, pki, workdir):
    box = os.path.join(workdir, 'box')
    for name in ('', 'tmp', 'new', 'cur'):
        os.mkdir(os.path.join(box, name))
        os.chmod(os.path.join(box, name), 0o777)
    server = start(harness.find_example('smtp'), box, options=['-n'])
    result = talk(pki, 'smtp', server.port, 'QUIT\r\n')
    assert result.code == 0 and result.out.startswith('221 '), result


def test_example_pop3(family, start, pki, workdir):
    account = write(os.path.join(workdir, 'account'), 'joe:secret\n')
    box = os.path.join(workdir, 'box')
    for name in ('', 'tmp', 'new', 'cur'):
        os.mkdir(os.path.join(box, name))
        os.chmod(os.path.join(box, name), 0o777)
    server = start(harness.find_example('pop3'), box, account,
                   options=['-n'])
    result = talk(pki, 'pop3', server.port, 'QUIT\r\n')
    assert result.code == 0 and result.out.startswith('+OK'), result


def test_another_protocol(family, start, pki, workdir):
    account = write(os.path.join(workdir, 'account'), 'joe:secret\n')
    server = start(harness.find_example('pop3'), workdir, account,
                   options=['-n'])
    result = run_client('--starttls', 'smtp', '-a', pki.ca, 'localhost',
                        server.port, 'echo', 'ran')
    assert result.code == 111 and result.out == '', result
    assert 'smtp: the greeting is not understood: +OK' in result.err


# ---------------------------------------------------------------------------
# Exim

EXIM = '''
primary_hostname = localhost
keep_environment =
local_interfaces = 127.0.0.1
daemon_smtp_ports = %(port)d
spool_directory = %(dir)s
log_file_path = %(dir)s/%%slog
pid_file_path = %(dir)s/pid
tls_advertise_hosts = %(tls)s
tls_certificate = %(dir)s/ecdsa.pem
tls_privatekey = %(dir)s/ecdsa.key
'''


@pytest.fixture
def exim(serve, place):
    def starter(tls='*'):
        program = apart.find('exim4')
        port = free_port()
        path = write(os.path.join(place, 'conf'),
                     EXIM % {'dir': place, 'port': port, 'tls': tls})
        return serve([program, '-C', path, '-bdf'], port, ['Debian-exim'])

    return starter


def test_exim(family, exim, pki):
    result = talk(pki, 'smtp', exim().port, 'QUIT\r\n')
    assert result == (0, '221 localhost closing connection\n', ''), result


def test_exim_without_tls(family, exim, pki):
    result = talk(pki, 'smtp', exim(tls='').port, 'x')
    assert result.code == 111 and result.out == '', result
    assert 'smtp: the answer to EHLO does not offer STARTTLS' in result.err


# ---------------------------------------------------------------------------
# Dovecot: IMAP, POP3, ManageSieve

DOVECOT = '''
protocols = imap pop3 %(sieve)s
base_dir = %(dir)s/run
state_dir = %(dir)s/state
log_path = %(dir)s/log
listen = 127.0.0.1
ssl = %(ssl)s
ssl_cert = <%(dir)s/ecdsa.pem
ssl_key = <%(dir)s/ecdsa.key
default_internal_user = %(name)s
default_login_user = %(name)s
default_internal_group = %(name)s
service anvil {
  chroot =
}
service imap-login {
  chroot =
  inet_listener imap {
    port = %(imap)d
  }
  inet_listener imaps {
    port = 0
  }
}
service pop3-login {
  chroot =
  inet_listener pop3 {
    port = %(pop3)d
  }
  inet_listener pop3s {
    port = 0
  }
}
passdb {
  driver = static
  args = password=secret
}
userdb {
  driver = static
  args = uid=%(name)s gid=%(name)s home=%(dir)s
}
'''
SIEVE = '''
service managesieve-login {
  chroot =
  inet_listener sieve {
    port = %(port)d
  }
}
'''


@pytest.fixture
def dovecot(serve, place):
    """Starts it; its ports by protocol."""
    def starter(ssl='yes'):
        program = apart.find('dovecot')
        has_sieve = apart.has('/usr/lib/dovecot/managesieve-login')
        ports = {key: free_port() for key in ('imap', 'pop3', 'sieve')}
        text = DOVECOT % dict(name=apart.NAME, dir=place, ssl=ssl,
                              sieve='sieve' if has_sieve else '',
                              imap=ports['imap'], pop3=ports['pop3'])
        if has_sieve:
            text += SIEVE % {'port': ports['sieve']}
        else:
            del ports['sieve']
        serve([program, '-F', '-c', write(os.path.join(place, 'conf'), text)],
              ports['imap'])
        return ports

    return starter


@pytest.mark.parametrize('protocol, word, answer', [
    ('imap', 'a LOGOUT\r\n', '* BYE '),
    ('pop3', 'QUIT\r\n', '+OK'),
    # It says what it can once more, now that this can be believed.
    ('sieve', 'LOGOUT\r\n', '"IMPLEMENTATION" '),
])
def test_dovecot(family, dovecot, pki, protocol, word, answer):
    ports = dovecot()
    if protocol not in ports:
        pytest.skip('dovecot is there, its %s server is not' % protocol)
    wait_for(lambda: is_listening(ports[protocol]), 30, protocol)
    result = talk(pki, protocol, ports[protocol], word)
    assert result.code == 0 and result.out.startswith(answer), result


def test_dovecot_without_tls(family, dovecot, pki):
    ports = dovecot(ssl='no')
    for protocol, error in (
            ('imap', 'the answer to CAPABILITY does not offer STARTTLS'),
            ('pop3', 'the answer to CAPA does not offer STLS'),
            ('sieve', 'the greeting does not offer STARTTLS')):
        if protocol not in ports:
            continue
        wait_for(lambda: is_listening(ports[protocol]), 30, protocol)
        result = talk(pki, protocol, ports[protocol], 'x')
        assert result.code == 111 and result.out == '', result
        assert '%s: %s' % (protocol, error) in result.err, result


# ---------------------------------------------------------------------------
# OpenLDAP, vsftpd, Prosody

SLAPD = '''
include /etc/ldap/schema/core.schema
pidfile %(dir)s/pid
'''
SLAPD_TLS = '''
TLSCertificateFile %(dir)s/ecdsa.pem
TLSCertificateKeyFile %(dir)s/ecdsa.key
'''


@pytest.fixture
def slapd(serve, place):
    def starter(with_tls=True):
        program = apart.find('slapd')
        path = write(os.path.join(place, 'conf'),
                     (SLAPD + (SLAPD_TLS if with_tls else ''))
                     % {'dir': place})
        port = free_port()
        return serve([program, '-d', '0', '-h', 'ldap://127.0.0.1:%d' % port,
                      '-f', path], port)

    return starter


def test_slapd(family, slapd, pki):
    # An anonymous bind, and the answer: message 2, success.
    result = talk(pki, 'ldap', slapd().port, '',
                  r'printf "\060\014\002\001\002\140\007\002\001\003"'
                  r'"\004\000\200\000" >&7; head -c 10 <&6 | od -An -tx1')
    assert result == (0, ' 30 0c 02 01 02 61 07 0a 01 00\n', '')


def test_slapd_without_tls(family, slapd, pki):
    result = talk(pki, 'ldap', slapd(with_tls=False).port, 'x')
    assert result.code == 111 and result.out == '', result
    assert 'ldap: the answer to StartTLS is a refusal: result ' in result.err


VSFTPD = '''
listen=YES
listen_address=127.0.0.1
listen_port=%(port)d
background=NO
run_as_launching_user=YES
seccomp_sandbox=NO
anonymous_enable=YES
ssl_enable=%(tls)s
ssl_ciphers=HIGH
rsa_cert_file=%(dir)s/ecdsa.pem
rsa_private_key_file=%(dir)s/ecdsa.key
'''


@pytest.fixture
def vsftpd(serve, place):
    def starter(tls='YES'):
        program = apart.find('vsftpd')
        port = free_port()
        path = write(os.path.join(place, 'conf'),
                     VSFTPD % {'dir': place, 'port': port, 'tls': tls})
        # It wants its file to be its own.
        os.chown(path, apart.UID, apart.GID)
        # Whom it takes strangers for.
        return serve([program, path], port, ['ftp'])

    return starter


def test_vsftpd(family, vsftpd, pki):
    result = talk(pki, 'ftp', vsftpd().port, 'QUIT\r\n')
    assert result.code == 0 and result.out.startswith('221 '), result


def test_vsftpd_without_tls(family, vsftpd, pki):
    result = talk(pki, 'ftp', vsftpd(tls='NO').port, 'x')
    assert result.code == 111 and result.out == '', result
    assert 'ftp: the answer to AUTH TLS is a refusal: 530 ' in result.err


PROSODY = '''
run_as_root = true
pidfile = "%(dir)s/pid"
data_path = "%(dir)s"
interfaces = { "127.0.0.1" }
c2s_ports = { %(port)d }
c2s_direct_tls_ports = { }
s2s_ports = { }
http_ports = { }
https_ports = { }
modules_enabled = { %(tls)s "saslauth" }
modules_disabled = { "s2s", "offline" }
log = { info = "%(dir)s/log" }
VirtualHost "localhost"
ssl = { certificate = "%(dir)s/ecdsa.pem", key = "%(dir)s/ecdsa.key" }
'''

HEADER = (
    '<stream:stream xmlns="jabber:client" to="localhost" version="1.0"'
    ' xmlns:stream="http://etherx.jabber.org/streams">')


@pytest.fixture
def prosody(serve, place):
    def starter(tls='"tls",'):
        program = apart.find('prosody')
        port = free_port()
        path = write(os.path.join(place, 'prosody.cfg.lua'),
                     PROSODY % {'dir': place, 'port': port, 'tls': tls})
        return serve([program, '-F', '--config', path], port)

    return starter


def test_prosody(family, prosody, pki):
    result = talk(pki, 'xmpp', prosody().port, HEADER,
                  'printf "%s" "$0" >&7; head -c 36 <&6')
    assert result == (0, "<?xml version='1.0'?><stream:stream ", '')


def test_prosody_without_tls(family, prosody, pki):
    result = talk(pki, 'xmpp', prosody(tls='').port, 'x')
    assert result.code == 111 and result.out == '', result
    # It has features without the one, or none, or refuses to speak.
    assert 'xmpp: the answer to stream ' in result.err


def test_prosody_that_serves_another_host(family, prosody, pki):
    result = run_client('--starttls', 'xmpp', '-a', pki.ca, '127.0.0.1',
                        prosody().port, 'echo', 'ran')
    assert result.code == 111 and result.out == '', result
    assert 'xmpp: the answer to stream is a refusal: ' in result.err


# ---------------------------------------------------------------------------
# PostgreSQL

@pytest.fixture
def postgres(serve, place):
    def starter(ssl='on'):
        program = apart.find('/usr/lib/postgresql/*/bin/postgres')
        data = os.path.join(place, 'data')
        # Started by a shell that makes its files first.
        script = ('"$0/initdb" -D "$1" -A trust -U joe --no-sync '
                  '--no-instructions -E SQL_ASCII --locale C && '
                  'exec "$0/postgres" -D "$@"')
        port = free_port()
        return serve(
            ['sh', '-c', script, os.path.dirname(program), data, '-F',
             '-h', '127.0.0.1', '-p', port,
             '-c', 'unix_socket_directories=', '-c', 'ssl=' + ssl,
             '-c', 'ssl_cert_file=%s/ecdsa.pem' % place,
             '-c', 'ssl_key_file=%s/ecdsa.key' % place], port, cwd=place)

    return starter


# StartupMessage of joe; AuthenticationOk, or an error as it still starts.
STARTUP = (r'printf "\000\000\000\022\000\003\000\000user\000joe\000\000"'
           r' >&7; head -c 1 <&6')


def test_postgres(family, postgres, pki):
    server = postgres()
    result = talk(pki, 'postgres', server.port, '', STARTUP)
    assert result.code == 0 and result.out in ('R', 'E'), result


def test_postgres_without_tls(family, postgres, pki):
    result = talk(pki, 'postgres', postgres(ssl='off').port, 'x')
    assert result.code == 111 and result.out == '', result
    assert 'postgres: the answer to SSLRequest is a refusal: N' in result.err


# ---------------------------------------------------------------------------
# MariaDB

@pytest.fixture
def mariadb(serve, place):
    def starter(*options):
        program = apart.find('mariadbd')
        data = os.path.join(place, 'data')
        os.mkdir(data)
        os.chown(data, apart.UID, apart.GID)
        port = free_port()
        return serve(
            [program, '--no-defaults', '--datadir=' + data,
             '--socket=%s/sock' % data, '--pid-file=%s/pid' % data,
             '--skip-grant-tables', '--skip-networking=0', '--skip-innodb',
             '--default-storage-engine=Aria', '--bind-address=127.0.0.1',
             '--port=%d' % port, *options], port, cwd=place)

    return starter


# HandshakeResponse41 of joe: packet 2; and the header of packet 3, an OK.
LOGIN = (r'printf "\045\000\000\002\000\202\000\000\000\000\001\000\041" >&7;'
         r' head -c 23 /dev/zero >&7; printf "joe\000\000" >&7;'
         r' head -c 5 <&6 | od -An -tx1')


def test_mariadb(family, mariadb, pki, place):
    server = mariadb('--ssl-cert=%s/ecdsa.pem' % place,
                     '--ssl-key=%s/ecdsa.key' % place)
    result = talk(pki, 'mysql', server.port, '', LOGIN)
    assert result.code == 0 and result.out.endswith(' 00 00 03 00\n'), result


def test_mariadb_without_tls(family, mariadb, pki):
    result = talk(pki, 'mysql', mariadb('--skip-ssl').port, 'x')
    assert result.code == 111 and result.out == '', result
    assert 'mysql: the greeting does not offer TLS' in result.err
