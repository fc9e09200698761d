"""Independent TLS clients reach the program, for every key and version."""

import os
import ssl
import subprocess

import pytest

from harness import (IS_LIBRESSL, KEYS, TLS12, TLS13, Client, Truncated,
                     find_command, tls_context)

LINE = b'a line there and back\n'

# Answers one HTTP request with what it was asked for.
HTTP = r'''
read request
while read header; do
    test "$(printf %s "$header" | tr -d '\r')" || break
done
printf 'HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n%s\n' "$request"
'''


def need(command):
    path = find_command(command)
    if path is None:
        pytest.skip(command + ' is not installed')
    return path


def run_client(command, data=b'', seconds=30):
    return subprocess.run(command, input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=seconds,
                          check=False)


@pytest.mark.parametrize('version', ['-tls1_2', '-tls1_3'])
@pytest.mark.parametrize('key', KEYS)
def test_openssl(start, pki, key, version):
    server = start('/bin/sh', '-c', 'head -n 1', certs=getattr(pki, key))
    done = run_client([need('openssl'), 's_client', '-quiet', version,
                       '-CAfile', pki.ca, '-verify_return_error',
                       '-verify_hostname', 'localhost', '-connect',
                       '127.0.0.1:%d' % server.port], LINE)
    assert done.stdout == LINE, done.stderr.decode()


@pytest.mark.parametrize('priority', ['VERS-TLS1.2', 'VERS-TLS1.3'])
@pytest.mark.parametrize('key', KEYS)
def test_gnutls(start, pki, key, priority):
    server = start('/bin/sh', '-c', 'head -n 1', certs=getattr(pki, key))
    done = run_client([need('gnutls-cli'), '--logfile=/dev/null',
                       '--x509cafile=' + pki.ca, '--priority',
                       'NORMAL:-VERS-ALL:+' + priority, '-p',
                       str(server.port), 'localhost'], LINE)
    assert LINE in done.stdout, (done.stdout, done.stderr)
    assert done.returncode == 0


@pytest.mark.parametrize('version', ['1.2', '1.3'])
@pytest.mark.parametrize('key', ['rsa', 'ecdsa', 'chained'])
def test_curl(start, pki, key, version):
    server = start('/bin/sh', '-c', HTTP, certs=getattr(pki, key))
    done = run_client([need('curl'), '-sS', '--cacert', pki.ca,
                       '--tlsv' + version, '--tls-max', version,
                       'https://localhost:%d/hello' % server.port])
    assert done.stdout.startswith(b'GET /hello HTTP/1.1'), done.stderr


@pytest.mark.parametrize('limits', [TLS12, TLS13], ids=['1.2', '1.3'])
@pytest.mark.parametrize('key', KEYS + ['chained'])
def test_python(start, pki, key, limits):
    server = start(certs=getattr(pki, key))
    context = tls_context(cafile=pki.ca, **limits)
    assert server.exchange(LINE, context=context) == LINE


def test_chain_is_sent(start, pki):
    """The intermediate comes from the server: the client has the root."""
    server = start(certs=pki.chained)
    server.exchange(b'x', context=tls_context(cafile=pki.ca))
    certs = {'CERTFILE': pki.path('chained.pem'),
             'KEYFILE': pki.path('chained.key')}
    alone = start(certs=certs)
    with pytest.raises(ssl.SSLCertVerificationError):
        alone.exchange(b'x', context=tls_context(cafile=pki.ca))
    alone.check_service()


def test_chain_file_beats_certificate_file(start, pki):
    server = start(certs=dict(pki.chained, CERTFILE='/nonexistent'))
    server.exchange(b'x', context=tls_context(cafile=pki.ca))


def test_key_in_the_certificate_file(start, pki):
    server = start(certs={'CERTFILE': pki.path('both.pem')})
    assert server.exchange(LINE,
                           context=tls_context(cafile=pki.ca)) == LINE


@pytest.mark.root
def test_files_below_the_key_root(start, pki):
    """A path is tried as given, then below SSL_CHROOT; -v names it."""
    server = start(certs={'CERTFILE': '/ecdsa.pem', 'KEYFILE': '/ecdsa.key',
                          'SSL_CHROOT': pki.directory})
    server.check_service()
    server.wait_log('^sslserver: cert [0-9]+ ' + pki.path('ecdsa.pem') + '$')
    server.wait_log('^sslserver: key [0-9]+ ' + pki.path('ecdsa.key') + '$')


def version_of(server, **settings):
    with server.connect(context=tls_context(**settings)) as client:
        client.echo(b'x')
        return client.tls.version(), client.tls.cipher()[0]


def test_defaults_are_1_2_and_1_3(start):
    server = start()
    assert version_of(server)[0] == 'TLSv1.3'
    assert version_of(server, **TLS12)[0] == 'TLSv1.2'
    with pytest.raises((ssl.SSLError, ConnectionError)):
        version_of(server, minimum=ssl.TLSVersion.TLSv1,
                   maximum=ssl.TLSVersion.TLSv1_1,
                   ciphers='DEFAULT:@SECLEVEL=0')


def test_tlsmin(start):
    server = start(env={'TLSMIN': '1.3'})
    assert version_of(server)[0] == 'TLSv1.3'
    with pytest.raises((ssl.SSLError, ConnectionError)):
        version_of(server, **TLS12)
    server.check_service()


def test_tlsmax(start):
    server = start(env={'TLSMAX': '1.2'})
    assert version_of(server)[0] == 'TLSv1.2'
    with pytest.raises((ssl.SSLError, ConnectionError)):
        version_of(server, **TLS13)


@pytest.mark.parametrize('key', ['rsa', 'ecdsa'])
@pytest.mark.skipif(IS_LIBRESSL, reason='LibreSSL begins with TLS 1.2')
def test_old_version_when_asked_for(start, pki, key):
    """TLSMIN below 1.2 lowers the security level, as the library needs."""
    server = start(env={'TLSMIN': '1.0', 'TLSMAX': '1.1'},
                   certs=getattr(pki, key))
    version, _ = version_of(server, minimum=ssl.TLSVersion.TLSv1,
                            maximum=ssl.TLSVersion.TLSv1_1,
                            ciphers='DEFAULT:@SECLEVEL=0')
    assert version == 'TLSv1.1'


def test_ciphers_for_both_versions(start):
    """One string; each goes where it belongs."""
    server = start(env={'CIPHERS': 'ECDHE-ECDSA-AES256-GCM-SHA384:'
                                   'TLS_CHACHA20_POLY1305_SHA256'})
    assert version_of(server, **TLS12) == (
        'TLSv1.2', 'ECDHE-ECDSA-AES256-GCM-SHA384')
    assert version_of(server, **TLS13) == (
        'TLSv1.3', 'TLS_CHACHA20_POLY1305_SHA256')
    with pytest.raises((ssl.SSLError, ConnectionError)):
        version_of(server, ciphers='ECDHE-ECDSA-AES128-GCM-SHA256', **TLS12)


def test_no_static_rsa(start, pki):
    """Not even when CIPHERS names it along with something usable."""
    server = start(certs=pki.rsa, env={
        'CIPHERS': 'AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256',
        'TLSMAX': '1.2'})
    with pytest.raises((ssl.SSLError, ConnectionError)):
        version_of(server, ciphers='AES128-GCM-SHA256', **TLS12)
    assert version_of(server)[1] == 'ECDHE-RSA-AES128-GCM-SHA256'


def test_dhfile(start, pki):
    """DHE with the given parameters, and none without them."""
    dhe = 'DHE-RSA-AES128-GCM-SHA256'
    server = start(certs=pki.rsa, env={'DHFILE': pki.dh})
    assert version_of(server, ciphers=dhe, **TLS12)[1] == dhe
    server.wait_log('^sslserver: dhparam [0-9]+ %s 2048$' % pki.dh)
    other = start(certs=pki.rsa)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        version_of(other, ciphers=dhe, **TLS12)


@pytest.mark.parametrize('limits', [TLS12, TLS13], ids=['1.2', '1.3'])
def test_groups(start, pki, limits):
    """RSA, as an ECDSA key on P-256 would want that group as well."""
    server = start(env={'TLSGROUPS': 'P-384'}, certs=pki.rsa)
    version_of(server, groups='secp384r1', **limits)
    # With an alert, or without.
    with pytest.raises((ssl.SSLError, ConnectionError, Truncated)):
        version_of(server, groups='prime256v1', **limits)


def test_several_groups(start):
    """Two names: a client with either is served (one after a retry)."""
    server = start(env={'TLSGROUPS': 'P-384:P-256'})
    version_of(server, groups='secp384r1')
    version_of(server, groups='prime256v1')
    version_of(server)


def test_retry_request(start, pki):
    """A client that guesses the wrong group first is asked again."""
    server = start(env={'TLSGROUPS': 'P-384'})
    done = run_client([need('openssl'), 's_client', '-tls1_3', '-groups',
                       'P-256:P-384', '-CAfile', pki.ca, '-connect',
                       '127.0.0.1:%d' % server.port])
    assert b'Verify return code: 0 (ok)' in done.stdout
    server.wait_log('^sslserver: tls [0-9]+ accept$')


def test_empty_setting_means_none(start, pki):
    """Set but empty is not the same as a file named by nothing."""
    server = start(certs=dict(pki.ecdsa, CERTCHAINFILE='', DHFILE=''))
    server.check_service()


def test_no_renegotiation(start):
    """TLS 1.2: the server neither asks for it nor grants it."""
    server = start()
    process = subprocess.Popen(
        [need('openssl'), 's_client', '-tls1_2', '-connect',
         '127.0.0.1:%d' % server.port], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        server.wait_log('^sslserver: tls [0-9]+ accept$')
        process.stdin.write(b'R\n')
        process.stdin.flush()
        output = process.communicate(timeout=30)[0]
    finally:
        process.kill()
        process.wait()
    assert b'no renegotiation' in output.lower() or \
        b'handshake failure' in output.lower(), output
    server.check_service()


def test_openssl_config_is_not_read(start, workdir):
    """A configuration that would break every TLS program."""
    path = os.path.join(workdir, 'openssl.cnf')
    with open(path, 'w', encoding='ascii') as file:
        file.write('openssl_conf = a\n[a]\nssl_conf = b\n[b]\n'
                   'system_default = c\n[c]\nMaxProtocol = TLSv1.2\n'
                   'CipherString = NULL\n')
    server = start(env={'OPENSSL_CONF': path})
    assert version_of(server)[0] == 'TLSv1.3'


def test_plain_text_is_refused(start):
    """A client that speaks no TLS gets no program."""
    server = start()
    with Client(server.address, server.port, handshake=False) as client:
        client.sock.sendall(b'GET / HTTP/1.0\r\n\r\n')
        client.wait_close()
    server.wait_log(r'^sslserver: fatal: \(111\) unable to accept TLS from: '
                    r'127\.0\.0\.1 for pid: \d+ \S')
    assert not server.lines('^sslserver: tls ')
    server.check_service()
