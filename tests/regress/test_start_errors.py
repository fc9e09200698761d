"""What cannot start says so in one sentence that names it, and exits 111."""

import os
import socket
import struct

import pytest

from harness import IS_LIBRESSL, KEYS, ROOT, run_server

TAIL = ['127.0.0.1', '0', '/bin/cat']


def check_start_error(result, *words):
    assert result.code == 111, result
    assert result.out == ''
    fatal = [line for line in result.err.splitlines()
             if line.startswith('sslserver: fatal: (111) ')]
    assert len(fatal) == 1, result.err
    for word in words:
        assert word.lower() in fatal[0].lower(), fatal[0]
    assert result.err.endswith('\n')
    return fatal[0]


def run_with(certs, options=(), **settings):
    return run_server(list(options) + TAIL, env=certs, **settings)


@pytest.fixture
def own_address():
    """A loopback address that nobody else listens on."""
    pid = os.getpid()
    return '127.%d.%d.%d' % (64 + (pid >> 16) % 64, pid >> 8 & 255, pid & 255)


def listeners(address):
    """The lines of the kernel's table that listen on that IPv4 address."""
    number, = struct.unpack('=I', socket.inet_aton(address))
    with open('/proc/net/tcp', encoding='ascii') as table:
        rows = [line.split() for line in table][1:]
    return [row for row in rows
            if row[1].startswith('%08X:' % number) and row[3] == '0A']


@pytest.mark.parametrize('name', ['CERTFILE', 'CERTCHAINFILE', 'KEYFILE',
                                  'DHFILE'])
def test_missing_file(pki, name):
    certs = dict(pki.ecdsa)
    if name == 'CERTCHAINFILE':
        del certs['CERTFILE']
    certs[name] = pki.path('nowhere.pem')
    check_start_error(run_with(certs), pki.path('nowhere.pem'),
                      'No such file')


@pytest.mark.parametrize('name', ['CERTFILE', 'KEYFILE', 'DHFILE'])
def test_unreadable_file(pki, workdir, name):
    """For root, who may read all, a directory is not a file."""
    path = os.path.join(workdir, 'unreadable')
    if ROOT:
        os.mkdir(path)
        reason = ''
    else:
        with open(path, 'w', encoding='ascii'):
            pass
        os.chmod(path, 0)
        reason = 'Permission denied'
    check_start_error(run_with(dict(pki.ecdsa, **{name: path})), path, reason)


@pytest.mark.parametrize('name', ['CERTFILE', 'CERTCHAINFILE', 'KEYFILE',
                                  'DHFILE'])
@pytest.mark.parametrize('file', ['garbage.pem', 'empty.pem'])
def test_not_pem(pki, name, file):
    certs = dict(pki.ecdsa)
    if name == 'CERTCHAINFILE':
        del certs['CERTFILE']
    certs[name] = pki.path(file)
    check_start_error(run_with(certs), pki.path(file))


def test_damaged_certificate(pki):
    certs = dict(pki.ecdsa, CERTFILE=pki.path('damaged.pem'))
    check_start_error(run_with(certs), pki.path('damaged.pem'))


def test_wrong_order(pki):
    """A chain file that begins with the root."""
    certs = {'CERTCHAINFILE': pki.path('root-first.pem'),
             'KEYFILE': pki.path('chained.key')}
    check_start_error(run_with(certs), pki.path('root-first.pem'), 'root')


@pytest.mark.parametrize('key', ['other.key'] + [
    key + '.key' for key in KEYS if key != 'ecdsa'])
def test_key_mismatch(pki, key):
    certs = dict(pki.ecdsa, KEYFILE=pki.path(key))
    check_start_error(run_with(certs), pki.path(key), 'match')


@pytest.mark.skipif('ed25519' in KEYS,
                    reason='this TLS library can sign with Ed25519 elsewhere')
def test_ed25519_is_refused(pki):
    """Where a key object gets digests, of which Ed25519 has none."""
    check_start_error(run_with(pki.ed25519), pki.path('ed25519.key'),
                      'an ed25519 key')


@pytest.mark.skipif(not IS_LIBRESSL, reason='OpenSSL has the old versions')
def test_old_versions_alone(pki):
    """LibreSSL lets them be set, and speaks none."""
    certs = dict(pki.ecdsa, TLSMIN='1.0', TLSMAX='1.1')
    check_start_error(run_with(certs), 'tlsmax 1.1', 'begins with tls 1.2')


@pytest.mark.skipif(not IS_LIBRESSL, reason='OpenSSL has tickets like that')
@pytest.mark.parametrize('option', [[], ['--check']], ids=''.join)
def test_no_tickets_of_shared_keys(pki, workdir, option):
    path = os.path.join(workdir, 'keys')
    with open(path, 'w', encoding='ascii') as file:
        file.write('0a' * 32 + '\n')
    os.chmod(path, 0o600)
    settings = dict(pki.ecdsa, TICKETKEYS=path)
    check_start_error(run_with(settings, option),
                      'TICKETKEYS: this TLS library makes no tickets')
    settings['SESSIONTIME'] = '0'
    assert run_with(settings, ['--check']).code == 0


def test_no_key_anywhere(pki):
    """Without KEYFILE the key is looked for in the certificate file."""
    check_start_error(run_with({'CERTFILE': pki.path('ecdsa.pem')}),
                      pki.path('ecdsa.pem'), 'key')


@pytest.mark.parametrize('ciphers', ['NOSUCH', 'RC4-SHA', 'AES128-SHA'])
def test_no_usable_cipher(pki, ciphers):
    certs = dict(pki.ecdsa, CIPHERS=ciphers, TLSMAX='1.2')
    check_start_error(run_with(certs), 'cipher')


@pytest.mark.parametrize('settings', [
    {'TLSMIN': '1.4'}, {'TLSMAX': 'x'}, {'TLSMIN': '1.3', 'TLSMAX': '1.2'},
    {'TLSGROUPS': 'nosuchgroup'},
], ids=str)
def test_bad_tls_setting(pki, settings):
    line = check_start_error(run_with(dict(pki.ecdsa, **settings)))
    assert any(name in line or value in line
               for name, value in settings.items()), line


def test_port_in_use(pki):
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        result = run_server(['127.0.0.1', port, '/bin/cat'], env=pki.ecdsa)
        check_start_error(result, '127.0.0.1', str(port),
                          'Address already in use')


def test_unknown_service(pki):
    result = run_server(['127.0.0.1', 'no-such-service', '/bin/cat'],
                        env=pki.ecdsa)
    assert result.code in (100, 111), result
    assert 'no-such-service' in result.err


def test_unknown_host(pki):
    result = run_server(['host.invalid', '0', '/bin/cat'], env=pki.ecdsa,
                        seconds=40)
    check_start_error(result, 'host.invalid')


def test_foreign_address(pki):
    """An address of documentation, which no interface here has."""
    result = run_server(['192.0.2.1', '0', '/bin/cat'], env=pki.ecdsa)
    check_start_error(result, '192.0.2.1')


def test_unknown_interface(pki):
    result = run_server(['-I', 'nosuchif', 'fe80::1', '0', '/bin/cat'],
                        env=pki.ecdsa)
    assert result.code in (100, 111), result
    assert 'nosuchif' in result.err


@pytest.mark.root
def test_missing_program_root(start, workdir):
    """A start error, or that of each program: it names the directory."""
    missing = os.path.join(workdir, 'missing')
    server = start(options=['--root', missing], ready=False)
    try:
        server.wait_ready()
    except AssertionError:
        assert server.process.wait(5) == 111
    else:
        with server.connect() as client:
            client.wait_end()
        server.wait_log('unable to run .*--root.*No such file')
    assert 'root' in server.log()


@pytest.mark.root
def test_missing_key_root(pki, workdir):
    missing = os.path.join(workdir, 'missing')
    check_start_error(run_with(dict(pki.ecdsa, SSL_CHROOT=missing)), missing)


@pytest.mark.parametrize('option', ['-u', '-g'])
def test_unknown_name(pki, option):
    result = run_with(pki.ecdsa, [option, 'no-such-name'])
    assert result.code in (100, 111), result
    assert 'no-such-name' in result.err


@pytest.mark.parametrize('name', ['SSL_USER', 'SSLNET_USER', 'SSLMON_USER'])
def test_unknown_identity(pki, name):
    certs = dict(pki.ecdsa, SSL_UID=None, SSL_GID=None)
    certs[name] = 'no-such-name'
    check_start_error(run_with(certs), 'no-such-name')


@pytest.mark.parametrize('options, env', [
    (['-u', '0'], {}), (['-g', '0'], {}), (['-u', 'root'], {}),
    (['-U'], {'UID': '0', 'GID': '0'}), (['--root', '/tmp'], {}),
    ([], {'SSL_UID': '0'}), ([], {'SSL_CHROOT': '/tmp'}),
    ([], {'SSLNET_USER': '0'}), ([], {'SSLMON_USER': '0'}),
], ids=str)
def test_other_identity_needs_root(pki, options, env):
    """Asking for what cannot be had is an error, never ignored."""
    if ROOT:
        pytest.skip('root may take any identity')
    check_start_error(run_with(dict(pki.ecdsa, **env), options))


def test_own_identity_needs_no_root(start):
    """Asking for what one is already is no error."""
    if ROOT:
        pytest.skip('about an ordinary user')
    uid, gid = os.getuid(), os.getgid()
    server = start(options=['-u', uid, '-g', gid],
                   env={'SSL_UID': str(uid), 'SSL_GID': str(gid)})
    server.check_service()


def test_require_sandbox(pki):
    """Not built yet, so it must not pretend."""
    check_start_error(run_with(pki.ecdsa, ['--require-sandbox']))


def test_start_errors_are_shown_when_silent(pki):
    certs = dict(pki.ecdsa, CERTFILE='/nonexistent')
    check_start_error(run_with(certs, ['-q']), '/nonexistent')


def test_expired_is_a_warning(start, pki):
    server = start(certs=pki.env('expired'), log='-Q')
    server.wait_log('^sslserver: warning: .*%s.*expired'
                    % pki.path('expired.pem'))
    server.check_service()


def test_check(pki):
    """--check loads everything, listens nowhere, and says how it was."""
    result = run_with(pki.ecdsa, ['--check'])
    assert result.code == 0, result
    check_start_error(run_with(dict(pki.ecdsa, CERTFILE='/nonexistent'),
                               ['--check']), '/nonexistent')


def test_check_does_not_need_the_port(pki):
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        result = run_server(['--check', '127.0.0.1', port, '/bin/cat'],
                            env=pki.ecdsa)
        assert result.code == 0, result


def test_explain(pki):
    """--explain prints what is in effect, files and identities included."""
    result = run_with(dict(pki.ecdsa, TLSMIN='1.3'), ['--explain', '-c77'])
    assert result.code == 0, result
    for word in (pki.path('ecdsa.pem'), pki.path('ecdsa.key'), '77', '1.3'):
        assert word in result.out


def test_failed_start_leaves_nobody_listening(pki, start, own_address):
    start(host=own_address)
    assert len(listeners(own_address)) == 1
    result = run_server([own_address, '0', '/bin/cat'],
                        env=dict(pki.ecdsa, CERTFILE='/nonexistent'))
    check_start_error(result, '/nonexistent')
    assert len(listeners(own_address)) == 1


@pytest.mark.root
def test_root_without_u_is_one_warning(start):
    server = start(log='-Q', identity=False)
    server.check_service()
    server.wait_log('^sslserver: warning: .*-u')
    warnings = server.lines('^sslserver: warning: .*-u')
    assert len(warnings) == 1, server.log()


@pytest.mark.root
def test_shared_identity_is_one_warning(start):
    """Any two that are equal: one warning that names them."""
    server = start(log='-Q', env={'SSLNET_USER': '64001', 'SSL_UID': '64001',
                                  'SSLMON_USER': '64001'})
    server.check_service()
    server.wait_log('^sslserver: warning: ')
    warnings = server.lines('^sslserver: warning: ')
    assert len(warnings) == 1, server.log()
    for name in ('SSL_UID', 'SSLNET_USER', 'SSLMON_USER'):
        assert name in warnings[0]


def test_no_warning_without_reason(start):
    server = start(log='-Q')
    server.check_service()
    assert server.log() == ''
