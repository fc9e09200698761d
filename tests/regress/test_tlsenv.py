"""The TLS variables of a program are what independent tools print about the
connection and its certificates, and no certificate breaks anything."""

import hmac
import json
import os
import re
import resource
import shutil
import struct
import subprocess

import pytest

import harness
from admission import make_rules
from clientrun import run_client
from harness import (BIN, IS_LIBRESSL, SANITIZED, json_of, read_text,
                     status_fields, tool, wait_for)
from oddcerts import CN, EMAIL, IA5, Authority, der, name, printed, to_pem
from pki import openssl

ATTRIBUTES = ('C', 'ST', 'L', 'O', 'OU', 'CN', 'T', 'I', 'G', 'S', 'D', 'UID',
              'Email')
LABEL = 'EXPORTER-Channel-Binding'
VARIABLES_MAX, VARIABLE_MAX = 262144, 131071


def certificate_names(party):
    prefix = 'SSL_%s_' % party
    names = ['M_VERSION', 'M_SERIAL', 'M_SERIAL_HEX', 'S_DN', 'I_DN',
             'S_DN_RFC2253', 'V_START', 'V_END', 'A_SIG', 'A_KEY', 'CERT']
    names += [dn + x for dn in ('S_DN_', 'I_DN_') for x in ATTRIBUTES]
    return [prefix + text for text in names]


# Every variable of the manual, but for the numbered ones.
CONNECTION = ['SSL_' + text for text in (
    'PROTOCOL', 'SESSION_ID', 'CIPHER', 'CIPHER_EXPORT', 'CIPHER_USEKEYSIZE',
    'CIPHER_ALGKEYSIZE', 'VERSION_INTERFACE', 'VERSION_LIBRARY',
    'CLIENT_VERIFY', 'TLS_SNI', 'ALPN', 'KEX_GROUP', 'SESSION_RESUMED',
    'CLIENT_CERT_SHA256', 'EXPORTER', 'SERVER_END_POINT')]
ALL = CONNECTION + certificate_names('SERVER') + certificate_names('CLIENT')
CHAIN = 'SSL_CLIENT_CERT_CHAIN_%d'


def is_tls(variable):
    return variable in ALL or variable.startswith(CHAIN[:-2])


class Answer:
    """What a program behind a server and openssl's client saw."""

    def __init__(self, server, *options, env=None):
        self.messages = os.path.join(server.workdir, 'messages')
        done = subprocess.run(
            ('openssl', 's_client', '-ign_eof', '-msg', '-msgfile',
             self.messages, '-keymatexport', LABEL, '-keymatexportlen', '32',
             '-connect', '127.0.0.1:%d' % server.port) + options,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=60, check=False,
            env={**os.environ, **(env or {})})
        self.text = done.stdout.decode('latin-1')
        start = self.text.find('\n{"')
        assert start >= 0, self.text[-3000:]
        state, _ = json.JSONDecoder().raw_decode(self.text[start + 1:])
        self.env = {variable: value.encode('latin-1')
                    for variable, value in state['env'].items()}
        self.tls = {variable: value for variable, value in self.env.items()
                    if is_tls(variable)}

    def field(self, pattern):
        match = re.search(pattern, self.text)
        assert match, (pattern, self.text[:3000])
        return match.group(1)

    def random_of(self, message):
        """The 32 bytes of a ClientHello or ServerHello."""
        match = re.search(message + r'\n((?:    [0-9a-f ]+\n)+)',
                          read_text(self.messages))
        return bytes.fromhex(match.group(1))[6:38]


def expected_of(path, party):
    """The variables about the first certificate of a file."""
    prefix = 'SSL_%s_' % party
    text = printed(path, '-text')
    found = {}

    def put(variable, value):
        found[prefix + variable] = value.encode()

    def line(*options):
        return printed(path, *options).rstrip('\n').partition('=')[2]

    put('M_VERSION', re.search(r'Version: (\d)', text).group(1))
    put('M_SERIAL_HEX', line('-serial'))
    put('M_SERIAL', str(int(line('-serial'), 16)))
    put('V_START', line('-startdate'))
    put('V_END', line('-enddate'))
    put('A_SIG', re.search(r'Signature Algorithm: (\S+)', text).group(1))
    put('A_KEY', re.search(r'Public Key Algorithm: (\S+)', text).group(1))
    for letter, option in (('S', '-subject'), ('I', '-issuer')):
        text = line(option, '-nameopt', 'compat')
        if IS_LIBRESSL:  # marks no character that is one of a form
            text = re.sub(r'\\([/+])', r'\1', text)
        put(letter + '_DN', text)
    put('S_DN_RFC2253', line('-subject', '-nameopt', 'RFC2253'))
    for letter, option in (('S', '-subject'), ('I', '-issuer')):
        lines = printed(path, option, '-nameopt',
                        'multiline,lname,-align,utf8,-esc_msb')
        for attribute, value in re.findall(r'^ +(\w+) = (.*)$', lines, re.M):
            put('%s_DN_%s' % (letter, SHORT[attribute]), value)
    put('CERT', subprocess.run(('openssl', 'x509', '-in', path),
                               stdout=subprocess.PIPE,
                               check=True).stdout.decode())
    return found


SHORT = {'countryName': 'C', 'stateOrProvinceName': 'ST', 'localityName': 'L',
         'organizationName': 'O', 'organizationalUnitName': 'OU',
         'commonName': 'CN', 'title': 'T', 'initials': 'I', 'givenName': 'G',
         'surname': 'S', 'description': 'D', 'userId': 'UID',
         'emailAddress': 'Email'}


def fingerprint(path):
    text = printed(path, '-fingerprint', '-sha256').strip()
    return text.partition('=')[2].replace(':', '').lower().encode()


def prf(secret, seed, size):
    """P_SHA256 of RFC 5246."""
    data, a = b'', seed
    while len(data) < size:
        a = hmac.digest(secret, a, 'sha256')
        data += hmac.digest(secret, a + seed, 'sha256')
    return data[:size]


def binding_of(answer, version):
    """RFC 9266.  s_client exports with no context, which before TLS 1.3 is
    not the empty one."""
    if version == '1.3':
        return re.sub(r'\s', '', answer.field(
            r'Keying material: ([0-9A-F]+)')).lower().encode()
    seed = (LABEL.encode() + answer.random_of('ClientHello')
            + answer.random_of('ServerHello') + struct.pack('>H', 0))
    master = bytes.fromhex(answer.field(r'Master-Key: ([0-9A-F]+)'))
    return prf(master, seed, 32).hex().encode()


def session_id(answer, version):
    """As the client has it; in TLS 1.3 that is the last ticket."""
    if version == '1.3':
        dump = answer.text.split('TLS session ticket:\n')[-1]
        rows = re.findall(r'^ *00[01]0 - ((?:[0-9a-f]{2}[ -]){16})', dump,
                          re.M)
        return re.sub('[ -]', '', ''.join(rows[:2])).encode()
    return answer.field(r'Session-ID: ([0-9A-F]*)\n').lower().encode()


CIPHERS = {'1.2': {'rsa': 'ECDHE-RSA-AES128-GCM-SHA256',
                   'ecdsa': 'ECDHE-ECDSA-AES128-GCM-SHA256',
                   'ed25519': 'ECDHE-ECDSA-AES128-GCM-SHA256'},
           '1.3': dict.fromkeys(['rsa', 'ecdsa', 'ed25519'],
                                'TLS_CHACHA20_POLY1305_SHA256')}


@pytest.mark.parametrize('version', ['1.2', '1.3'])
@pytest.mark.parametrize('key', harness.KEYS)
def test_every_variable(start, pki, key, version):
    server = start(tool('showstate'), options=['-s'],
                   certs=getattr(pki, key))
    cipher = CIPHERS[version][key]
    answer = Answer(server, '-tls' + version.replace('.', '_'),
                    '-cipher' if version == '1.2' else '-ciphersuites',
                    cipher, '-servername', 'www.example.org',
                    '-groups', 'P-256', '-alpn', 'h2,http/1.1')
    bits = b'128' if version == '1.2' else b'256'
    expected = {
        'SSL_PROTOCOL': b'TLSv' + version.encode(),
        'SSL_SESSION_ID': session_id(answer, version),
        'SSL_CIPHER': cipher.encode(),
        'SSL_CIPHER_EXPORT': b'false',
        'SSL_CIPHER_USEKEYSIZE': bits,
        'SSL_CIPHER_ALGKEYSIZE': bits,
        'SSL_CLIENT_VERIFY': b'NONE',
        'SSL_TLS_SNI': b'www.example.org',
        'SSL_KEX_GROUP': b'secp256r1',
        'SSL_SESSION_RESUMED': b'Initial',
        'SSL_EXPORTER': binding_of(answer, version),
        # Its signature is the CA's: ECDSA with SHA-256.
        'SSL_SERVER_END_POINT': fingerprint(pki.path(key + '.pem')),
    }
    if IS_LIBRESSL and version == '1.2':
        del expected['SSL_EXPORTER']
    versions = subprocess.run((harness.SSLSERVER, '--version'), check=True,
                              stdout=subprocess.PIPE).stdout.decode()
    assert answer.field('(?:Server|Peer) Temp Key: ECDH, (prime256v1|P-256)')
    expected.update(expected_of(pki.path(key + '.pem'), 'SERVER'))
    found = dict(answer.tls)
    interface = found.pop('SSL_VERSION_INTERFACE').decode()
    assert re.fullmatch(r'ucspi-ssl/\d+\.\d+\.\d+', interface)
    assert interface.partition('/')[2] in versions
    assert found.pop('SSL_VERSION_LIBRARY').decode() in versions
    assert found == expected


HAS_HYBRID = re.match(
    r'OpenSSL (3\.([5-9]|\d\d)|[4-9]|\d\d)|LibreSSL (4\.[3-9]|[5-9])',
    harness.TLS_LIBRARY)


@pytest.mark.skipif(not HAS_HYBRID, reason='%s has no X25519MLKEM768'
                    % harness.TLS_LIBRARY)
@pytest.mark.parametrize('ours, theirs, group', [
    (None, None, 'X25519MLKEM768'),
    (None, 'X25519MLKEM768', 'X25519MLKEM768'),
    ('X25519MLKEM768', None, 'X25519MLKEM768'),
    (None, 'X25519', 'x25519'),
    ('P-256:X25519', 'X25519MLKEM768:X25519', 'x25519'),
], ids=str)
def test_hybrid_group(start, pki, ours, theirs, group):
    """By default, where the library has it; and both ends tell."""
    server = start('/bin/sh', '-c', 'echo "$SSL_KEX_GROUP"', options=['-s'],
                   env={'TLSGROUPS': ours})
    result = run_client('-s', '-a', pki.ca, 'localhost', server.port, 'sh',
                        '-c', 'cat <&6; echo "$SSL_KEX_GROUP"',
                        env={'TLSGROUPS': theirs})
    assert result == (0, group + '\n' + group + '\n', '')


def test_without_extended_master_secret(start, pki):
    """Its binding would not be one: RFC 9266, section 4.2."""
    openssl_conf = os.path.join(pki.directory, 'no-ems.cnf')
    with open(openssl_conf, 'w', encoding='ascii') as file:
        file.write('openssl_conf = a\n[a]\nssl_conf = b\n[b]\n'
                   'system_default = c\n[c]\n'
                   'Options = -ExtendedMasterSecret\n')
    server = start(tool('showstate'), options=['-s'])
    answer = Answer(server, '-tls1_2', env={'OPENSSL_CONF': openssl_conf})
    if 'Extended master secret: yes' in answer.text:
        pytest.skip('this openssl cannot do without')
    assert 'SSL_EXPORTER' not in answer.tls
    assert answer.tls['SSL_PROTOCOL'] == b'TLSv1.2'


# Options

@pytest.mark.parametrize('options, has_tcp, has_tls', [
    ([], True, False), (['-S'], True, False), (['-s'], True, True),
    (['-e'], True, True), (['-E'], False, False), (['-s', '-E'], False, True),
    (['-e', '-E'], False, True), (['-E', '-e'], True, True),
    (['-e', '-S'], True, False), (['-s', '-S'], True, False),
    (['--tls-env'], True, True), (['--tcp-env'], True, True),
], ids=lambda value: ''.join(value) if isinstance(value, list) else None)
def test_options(start, options, has_tcp, has_tls):
    server = start(tool('showstate'), options=options)
    env = json_of(server)['env']
    assert ('TCPREMOTEIP' in env) == has_tcp
    assert env['PROTO'] == ('TCP' if has_tcp else 'TLS')
    found = {variable for variable in env if is_tls(variable)}
    if has_tls:
        assert {'SSL_PROTOCOL', 'SSL_SERVER_CERT'} <= found
    else:
        assert not found


@pytest.mark.parametrize('options', [['-S'], ['-s']], ids=''.join)
def test_inherited_names(start, options):
    """None of them can come from sslserver's own environment."""
    forged = dict.fromkeys(ALL + [CHAIN % 0, CHAIN % 17], 'inherited')
    server = start(tool('showstate'), options=options, env=forged)
    env = json_of(server)['env']
    assert [v for v, value in env.items() if value == 'inherited'] == []
    assert ('SSL_CLIENT_VERIFY' in env) == (options == ['-s'])


def test_rest_of_the_environment(start):
    """It is all there and in order, with one value of each name."""
    given = {'ODD': 'a=b\nc', 'EMPTY': '', 'SSL_CERT_DIR': '/nowhere'}
    server = start('/usr/bin/env', '-0', options=['-s'], env=given)
    lines = server.exchange().decode().split('\0')
    assert lines.pop() == ''
    names = [line.partition('=')[0] for line in lines]
    assert len(names) == len(set(names))
    for variable, value in given.items():
        assert '%s=%s' % (variable, value) in lines
    assert 'SSL_CLIENT_VERIFY=NONE' in lines


def test_rules_win(start, workdir):
    """Their variables come last, as for all others."""
    path = make_rules(os.path.join(workdir, 'cdb'),
                      ':allow,SSL_CIPHER="mine",SSL_MINE="too"\n')
    server = start(tool('showstate'), options=['-s', '-x', path])
    env = json_of(server)['env']
    assert (env['SSL_CIPHER'], env['SSL_MINE']) == ('mine', 'too')


@pytest.mark.parametrize('sni', ['a\nTCPREMOTEIP=1.2.3.4', 'a\x1b[2J',
                                 'caf\u00e9', 'x' * 255])
def test_odd_server_names(start, sni):
    """What is no name of a host is left out; else it is whole."""
    server = start(tool('showstate'), options=['-s'], log='-V')
    if IS_LIBRESSL:
        with pytest.raises(AssertionError, match='illegal parameter'):
            Answer(server, '-servername', sni)
        server.wait_log('^sslserver: ended by')
        return
    answer = Answer(server, '-servername', sni)
    wanted = sni.encode() if sni.startswith('x') else None
    assert answer.tls.get('SSL_TLS_SNI') == wanted
    assert answer.env['TCPREMOTEIP'] == b'127.0.0.1'
    assert_log_is_whole(server)


def assert_log_is_whole(server):
    server.wait_log('^sslserver: ended by')
    for line in server.log().splitlines():
        assert re.match('sslserver: (cert|key|cafile|status:|pid|ok|tls|'
                        'info:|ended by) ', line), line


# Certificates of clients

@pytest.fixture(scope='module')
def authority(top_directory):
    return Authority(top_directory)


def start_asking(start, authority, *options, **settings):
    settings.setdefault('program', (tool('showstate'),))
    return start(*settings.pop('program'),
                 options=['-s', '-m', '-H', *options],
                 env={'CAFILE': authority.file, **settings.pop('env', {})},
                 **settings)


def present(server, authority, certificate, *options, chain=(), tls='-tls1_3'):
    """Meet as the owner of that certificate."""
    path = authority.write('client.pem', certificate)
    arguments = ['-cert', path, '-key', authority.key, tls, *options]
    if chain:
        arguments += ['-cert_chain', authority.write('chain.pem', *chain)]
    return Answer(server, *arguments)


@pytest.mark.parametrize('tls', ['-tls1_2', '-tls1_3'])
def test_client_certificate(start, authority, tls):
    subject = name((oid_of('C'), b'DE'), (oid_of('ST'), b'Th\xc3\xbcringen'),
                   (oid_of('L'), b'Jena'), (oid_of('O'), b'A + B, "C" <D>'),
                   (oid_of('OU'), b'one'), (oid_of('OU'), b'two'),
                   (CN, b'Joe / Jane'), (oid_of('T'), b't'),
                   (oid_of('I'), b'j'), (oid_of('G'), b'Joe'),
                   (oid_of('S'), b'Doe'), (oid_of('D'), b'#1'),
                   (oid_of('UID'), b'joe'), (EMAIL, b'joe@example.org', IA5))
    certificate = authority.make(subject, serial=0x0123456789abcdef01)
    server = start_asking(start, authority)
    answer = present(server, authority, certificate, tls=tls)
    expected = expected_of(authority.path('client.pem'), 'CLIENT')
    assert expected['SSL_CLIENT_S_DN_OU'] == b'two'
    assert len(expected) == 11 + 13 + 1
    found = {variable: value for variable, value in answer.tls.items()
             if variable.startswith('SSL_CLIENT_')}
    expected['SSL_CLIENT_VERIFY'] = b'SUCCESS'
    expected['SSL_CLIENT_CERT_SHA256'] = fingerprint(
        authority.path('client.pem'))
    assert found == expected
    assert_log_is_whole(server)


def oid_of(attribute):
    return {'C': '2.5.4.6', 'ST': '2.5.4.8', 'L': '2.5.4.7', 'O': '2.5.4.10',
            'OU': '2.5.4.11', 'T': '2.5.4.12', 'I': '2.5.4.43',
            'G': '2.5.4.42', 'S': '2.5.4.4', 'D': '2.5.4.13',
            'UID': '0.9.2342.19200300.100.1.1'}[attribute]


def test_chain_as_sent(start, authority):
    """From 0, behind the client's own, needed or not."""
    chain = [authority.make(name((CN, b'%d' % i))) for i in range(3)]
    server = start_asking(start, authority)
    answer = present(server, authority, authority.make(name((CN, b'Joe'))),
                     chain=chain)
    for i, certificate in enumerate(chain):
        assert answer.tls[CHAIN % i] == to_pem(certificate)
    assert CHAIN % 3 not in answer.tls
    assert answer.tls['SSL_CLIENT_S_DN'] == b'/CN=Joe'


def text_size(env):
    return sum(len(variable) + len(value) + 2
               for variable, value in env.items())


def check_limits(answer):
    assert text_size(answer.tls) <= VARIABLES_MAX
    for variable, value in answer.tls.items():
        assert len(variable) + 1 + len(value) <= VARIABLE_MAX
        assert b'\0' not in value
        if 'CERT' not in variable or 'SHA256' in variable:
            assert not re.search(rb'[\x00-\x1f\x7f]', value), variable


ODD_VALUES = {
    'newline': b'a\nSSLREMOTEIP=1.2.3.4',
    'return': b'a\r\nsslserver: ok 1',
    'escape': b'\x1b]0;title\x07',
    'nul': b'joe\0.example.org',
    'only nul': b'\0',
    'delete': b'\x7f',
    'c1': b'\xc2\x9b2J',
}


@pytest.mark.parametrize('odd', ODD_VALUES.values(), ids=ODD_VALUES.keys())
def test_control_characters(start, authority, odd):
    """The part is left out, and the whole name shows it escaped."""
    server = start_asking(start, authority, log='-V')
    answer = present(server, authority, authority.make(
        name((oid_of('O'), b'fine'), (CN, odd))))
    check_limits(answer)
    expected = expected_of(authority.path('client.pem'), 'CLIENT')
    for variable in ('S_DN', 'S_DN_RFC2253', 'CERT', 'S_DN_O'):
        assert (answer.tls['SSL_CLIENT_' + variable]
                == expected['SSL_CLIENT_' + variable])
    assert 'SSL_CLIENT_S_DN_CN' not in answer.tls
    assert answer.tls['SSL_CLIENT_VERIFY'] == b'SUCCESS'
    assert answer.env['SSLREMOTEIP'] == b'127.0.0.1'
    assert_log_is_whole(server)


@pytest.mark.parametrize('subject, wanted', [
    (name(), {'S_DN': b'', 'S_DN_RFC2253': b''}),
    (name((CN, b'')), {'S_DN': b'/CN=', 'S_DN_CN': b''}),
    (name((CN, b'K\xf6ln', 0x14)), {'S_DN': rb'/CN=K\xF6ln',
                                    'S_DN_CN': 'K\u00f6ln'.encode()}),
    (name((CN, '\u20ac'.encode('utf-16-be'), 0x1e)),
     {'S_DN_CN': '\u20ac'.encode(), 'S_DN_RFC2253': rb'CN=\E2\82\AC'}),
    (name(('1.2.3.4.5', b'x')), {'S_DN': b'/1.2.3.4.5=x'}),
    (name(('2.5.4.45', b'\0id', 3)), {'S_DN_UID': b'id'}),
    (name(('2.5.4.45', b'\0id', 3), (oid_of('UID'), b'joe')),
     {'S_DN_UID': b'joe'}),
], ids=['none', 'empty', 'latin', 'bmp', 'unknown', 'bits', 'both'])
def test_strange_names(start, authority, subject, wanted):
    server = start_asking(start, authority)
    answer = present(server, authority, authority.make(subject))
    for variable, value in wanted.items():
        assert answer.tls['SSL_CLIENT_' + variable] == value
    check_limits(answer)


@pytest.mark.parametrize('size', [20, 1000, 60000])
def test_long_serials(start, authority, size):
    serial = int.from_bytes(b'\x7b' * size, 'big')
    server = start_asking(start, authority)
    answer = present(server, authority, authority.make(
        name((CN, b'Joe')), serial=serial))
    assert answer.tls['SSL_CLIENT_M_SERIAL_HEX'] == b'7B' * size
    wanted = str(serial).encode() if size <= 1024 else None
    assert answer.tls.get('SSL_CLIENT_M_SERIAL') == wanted
    check_limits(answer)


def test_64k_of_a_name(start, authority):
    server = start_asking(start, authority)
    answer = present(server, authority, authority.make(
        name((CN, b'x' * 65536))))
    assert answer.tls['SSL_CLIENT_S_DN_CN'] == b'x' * 65536
    assert answer.tls['SSL_CLIENT_S_DN'] == b'/CN=' + b'x' * 65536
    check_limits(answer)
    # CERT goes first, whole, and then the longest: what is left fits.
    assert 'SSL_CLIENT_CERT' not in answer.tls
    assert answer.tls['SSL_CLIENT_I_DN'] == b'/CN=Odd CA'


def test_64k_of_newlines(start, authority):
    """Escaped it is longer than a variable may be."""
    server = start_asking(start, authority)
    answer = present(server, authority, authority.make(
        name((CN, b'\n' * 65536))))
    check_limits(answer)
    for variable in ('S_DN', 'S_DN_RFC2253', 'S_DN_CN'):
        assert 'SSL_CLIENT_' + variable not in answer.tls
    assert len(answer.tls['SSL_CLIENT_CERT']) > 65536 * 4 // 3
    assert answer.tls['SSL_CLIENT_VERIFY'] == b'SUCCESS'
    assert_log_is_whole(server)


def test_250_certificates(start, authority):
    """All of them, as they fit."""
    one = authority.make(name((CN, b'x')))
    server = start_asking(start, authority)
    answer = present(server, authority, authority.make(name((CN, b'Joe'))),
                     chain=[one] * 250)
    pem = to_pem(one)
    assert [answer.tls.get(CHAIN % i) for i in range(251)] == (
        [pem] * 250 + [None])
    check_limits(answer)


def test_chain_that_does_not_fit(start, authority):
    """The first of it, without a gap, as many as there is room for."""
    one = authority.make(name((CN, b'x' * 300)))
    server = start_asking(start, authority)
    answer = present(server, authority, authority.make(
        name((CN, b'\n' * 27000))), chain=[one] * 60)
    check_limits(answer)
    assert len(answer.tls['SSL_CLIENT_S_DN']) == 4 + 4 * 27000
    assert 'SSL_CLIENT_CERT' in answer.tls
    chain = [v for v in answer.tls if v.startswith(CHAIN[:-2])]
    assert 0 < len(chain) < 60
    assert set(chain) == {CHAIN % i for i in range(len(chain))}
    more = len(CHAIN % 10) + 2 + len(to_pem(one))
    assert text_size(answer.tls) + more > VARIABLES_MAX


def test_bad_times(start, authority):
    """A certificate with a time that is none is not valid at all."""
    bad = der(0x30, der(0x17, b'200102030405Z'), der(0x17, b'401331235959Z'))
    path = authority.write('client.pem', authority.make(
        name((CN, b'Joe')), valid=bad))
    server = start_asking(start, authority)
    done = subprocess.run(
        ('openssl', 's_client', '-ign_eof', '-cert', path, '-key',
         authority.key, '-connect', '127.0.0.1:%d' % server.port),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=60, check=False)
    assert b'"env"' not in done.stdout
    server.wait_log('invalid time format' if IS_LIBRESSL else
                    'unable to validate client certificate')


@pytest.mark.skipif(SANITIZED, reason='sanitizers keep freed memory')
def test_memory_of_the_monitor(start, authority):
    """What a connection made it hold is free when its program runs."""
    server = start_asking(start, authority, program=('/usr/bin/env',))
    path = authority.write('client.pem', authority.make(
        name((CN, b'\n' * 27000))))

    def connect(times):
        for _ in range(times):
            done = subprocess.run(
                ('openssl', 's_client', '-quiet', '-cert', path, '-key',
                 authority.key, '-connect', '127.0.0.1:%d' % server.port),
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, timeout=60, check=False)
            assert len(done.stdout) > 200000
        server.wait_idle()
        return int(status_fields(server.pid('monitor'))['VmRSS'][0])

    first = connect(5)
    assert connect(30) < first + 2000


def test_environment_too_large_to_execute(start, authority, workdir):
    """The system's own limit: a line, and the service goes on."""
    def before():
        _, hard = resource.getrlimit(resource.RLIMIT_STACK)
        resource.setrlimit(resource.RLIMIT_STACK, (512 * 1024, hard))

    marker = os.path.join(workdir, 'started')
    server = start_asking(start, authority, preexec=before,
                          program=('/bin/sh', '-c', 'echo >>"$0"', marker))
    meet = ('openssl', 's_client', '-quiet', '-key', authority.key,
            '-connect', '127.0.0.1:%d' % server.port, '-cert')
    for subject in (b'\n' * 27000, b'small'):
        path = authority.write('client.pem', authority.make(
            name((CN, subject))))
        subprocess.run(meet + (path,), stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       timeout=60, check=False)
    server.wait_log(r'^sslserver: fatal: \(111\) unable to run /bin/sh for '
                    r'pid: \d+ Argument list too long$')
    server.wait_log(r'^sslserver: ended by \d+ status 28416$')
    wait_for(lambda: read_text(marker) == '\n', 5, 'the second program')


def test_several_at_once(start, authority):
    """Long messages of many connections do not get mixed up."""
    server = start_asking(start, authority, '-c', '12',
                          program=('/usr/bin/env', '-0'))
    clients = []
    for i in range(12):
        path = authority.write('many-%d.pem' % i, authority.make(
            name((oid_of('O'), b'%d' % i), (CN, b'\n' * 26000))))
        clients.append(subprocess.Popen(
            ('openssl', 's_client', '-quiet', '-cert', path, '-key',
             authority.key, '-connect', '127.0.0.1:%d' % server.port),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL))
    for i, client in enumerate(clients):
        out, _ = client.communicate(timeout=60)
        values = dict(line.partition(b'=')[::2] for line in out.split(b'\0'))
        assert values[b'SSL_CLIENT_S_DN_O'] == b'%d' % i
        assert values[b'SSL_CLIENT_S_DN'] == (
            b'/O=%d/CN=' % i + rb'\x0A' * 26000)
        assert values[b'SSL_CLIENT_CERT'] == openssl(
            'x509', '-in', authority.path('many-%d.pem' % i))
    assert_log_is_whole(server)


# Sessions that lie

@pytest.fixture
def with_bad_nursery(workdir, monkeypatch):
    """sslserver beside a nursery whose sessions have been taken over."""
    directory = os.path.join(workdir, 'bin')
    os.mkdir(directory)
    for file in ('sslserver', 'ucspissl-keeper'):
        shutil.copy(os.path.join(BIN, file), directory)
    shutil.copy(tool('badnursery'),
                os.path.join(directory, 'ucspissl-nursery'))
    monkeypatch.setattr(harness, 'SSLSERVER',
                        os.path.join(directory, 'sslserver'))


def start_lying(start, workdir, way, *options):
    marker = os.path.join(workdir, 'started')
    server = start('/bin/sh', '-c', 'env -0 >"$0.new"; mv "$0.new" "$0"',
                   marker, options=['-B', way, *options])
    return server, marker


def test_facts_that_are_sound(start, workdir, with_bad_nursery):
    """So that the others fail for what they are."""
    server, marker = start_lying(start, workdir, 'good', '-s')
    with harness.Client(server.address, server.port, handshake=False):
        env = wait_for(lambda: read_text(marker), 5, 'the program')
    assert '\0SSL_PROTOCOL=made up\0' in env
    assert '\0SSL_SERVER_S_DN=' + 'x' * 120000 + '\0' in env
    server.wait_log('^sslserver: tls')


@pytest.mark.parametrize('way, options', [
    ('good', []), ('early', ['-s']), ('gap', ['-s', '-m'])]
    + [(way, ['-s']) for way in (
        'nul', 'newline', 'unknown', 'twice', 'large', 'many', 'endless',
        'empty', 'mixed', 'pieces')],
    ids=lambda value: 'unasked' if value == [] else
    value if isinstance(value, str) else '')
def test_facts_that_are_not(start, workdir, with_bad_nursery, way, options):
    server, marker = start_lying(start, workdir, way, *options)
    monitor = server.pid('monitor')
    with harness.Client(server.address, server.port,
                        handshake=False) as client:
        server.wait_log(r'^sslserver: fatal: \(111\) unable to accept TLS '
                        r'from: 127\.0\.0\.1 for pid: \d+ protocol violation$')
        client.wait_close()
        server.wait_log(r'^sslserver: ended by \d+ status 28416$')
    assert server.pid('monitor') == monitor
    assert int(status_fields(monitor)['VmRSS'][0]) < 60000 or SANITIZED
    assert not os.path.exists(marker)
    # The place is free: the next one is heard.
    with harness.Client(server.address, server.port, handshake=False):
        server.wait_log('protocol violation$', count=2)


def test_facts_when_they_are_over(start, workdir, with_bad_nursery):
    """A piece of more facts is not kept for as long as the program runs."""
    server, _ = start_lying(start, workdir, 'again', '-s')
    with harness.Client(server.address, server.port, handshake=False):
        server.wait_log(r'^sslserver: error: \(111\) unable to speak TLS '
                        r'with: 127\.0\.0\.1 for pid: \d+ protocol '
                        r'violation$')
