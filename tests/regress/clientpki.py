"""Throw-away certificates of clients, good and bad, and the CAs and
revocation lists that tell them apart.  All clients share one key."""

import base64
import os
import re
import ssl
import time

from harness import wait_for
from pki import openssl

CONFIG = """
[req]
distinguished_name = dn
prompt = no
string_mask = utf8only
[dn]
CN = unused
[ca_ext]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
[none]
basicConstraints = CA:false
[server]
extendedKeyUsage = serverAuth
[ca]
default_ca = root
[any]
"""

AUTHORITY = """
[{name}]
database = {name}.index
serial = {name}.serial
crlnumber = {name}.crlnumber
certificate = {name}.pem
private_key = ca.key
new_certs_dir = .
default_md = sha256
default_days = 3650
default_crl_days = 30
policy = any
unique_subject = no
copy_extensions = copy
"""


def length_of(size):
    """How DER says it."""
    if size < 128:
        return bytes([size])
    size = size.to_bytes((size.bit_length() + 7) // 8, 'big')
    return bytes([128 + len(size)]) + size


def tagged(tag, data):
    return bytes([tag]) + length_of(len(data)) + data


def alternative_names(*names):
    """The extension's value, of dNSNames of any bytes."""
    return tagged(0x30, b''.join(tagged(0x82, name) for name in names))


class ClientPki:
    """path('NAME.pem') holds the certificate NAME and what belongs behind
    it, path('key') the key of all of them."""

    def __init__(self, directory):
        os.makedirs(directory, exist_ok=True)
        os.chmod(directory, 0o755)
        self.directory = directory
        self.key = self.path('key')
        for name in ('ca.key', 'key'):
            self._openssl('genpkey', '-algorithm', 'EC', '-pkeyopt',
                          'ec_paramgen_curve:P-256', '-out', name)
        config = CONFIG
        for name in ('root', 'middle', 'lower', 'second'):
            config += AUTHORITY.format(name=name)
            for what, text in (('index', ''), ('serial', '1000\n'),
                               ('crlnumber', '01\n')):
                self.write('%s.%s' % (name, what), text)
        self.write('config', config)
        for name in ('root', 'second'):
            self._openssl('req', '-x509', '-new', '-key', 'ca.key', '-out',
                          name + '.pem', '-days', '3650', '-subj',
                          '/CN=Client %s CA' % name, '-config', 'config',
                          '-extensions', 'ca_ext')
        self.root, self.second = self.path('root.pem'), self.path('second.pem')
        self.make('middle', extensions='ca_ext', key='ca.key')
        self.make('lower', 'middle', extensions='ca_ext', key='ca.key')
        self._make_clients()
        self._make_lists()

    def path(self, name):
        return os.path.join(self.directory, name)

    def read(self, name):
        with open(self.path(name), encoding='ascii') as file:
            return file.read()

    def write(self, name, text):
        with open(self.path(name), 'w', encoding='ascii') as file:
            file.write(text)
        return self.path(name)

    def _openssl(self, *arguments):
        return openssl(*arguments, cwd=self.directory)

    def make(self, name, issuer='root', subject=None, extensions='none',
             alternative=None, key='key', dates=()):
        """NAME.pem, of this subject, or one with the name as CN."""
        config = self.read('config')
        if alternative is not None:
            config += '\n[%s_names]\nsubjectAltName = %s\n' % (
                name, alternative)
            extensions = name + '_names'
        self.write(name + '.config', config)
        self._openssl('req', '-new', '-utf8', '-key', key, '-out',
                      name + '.csr', '-subj', subject or '/CN=' + name,
                      '-config', 'config')
        self._openssl('ca', '-batch', '-notext', '-config', name + '.config',
                      '-name', issuer, '-in', name + '.csr', '-out',
                      name + '.pem', '-extensions', extensions, '-utf8',
                      '-preserveDN', *dates)
        return self.path(name + '.pem')

    def _make_clients(self):
        self.make('good')
        self.make('one', 'middle')
        self.make('two', 'lower')
        self.make('other', 'second')
        self.make('expired', dates=('-startdate', '20200101000000Z',
                                    '-enddate', '20210101000000Z'))
        self.make('future', dates=('-startdate', '20900101000000Z',
                                   '-enddate', '20910101000000Z'))
        self.make('purpose', extensions='server')
        self.make('revoked')
        self._openssl('req', '-x509', '-new', '-key', 'key', '-out',
                      'self.pem', '-days', '30', '-subj', '/CN=self',
                      '-config', 'config')
        for name, behind in (('one', ('middle',)),
                             ('two', ('lower', 'middle'))):
            self.write(name + '.pem', self.read(name + '.pem') + ''.join(
                self.read(other + '.pem') for other in behind))

    def revoke(self, name):
        """One that root has made, and the lists anew."""
        self._openssl('ca', '-config', 'config', '-name', 'root', '-revoke',
                      name + '.pem')
        for issuer in ('root', 'middle', 'second'):
            self._openssl('ca', '-config', 'config', '-name', issuer,
                          '-gencrl', '-out', issuer + '.crl')

    def _make_lists(self):
        self.revoke('revoked')
        # Only OpenSSL 3's command can date one back.
        self._openssl('ca', '-config', 'config', '-name', 'root', '-gencrl',
                      '-crlsec', '1', '-out', 'expired.crl')
        made = time.time()
        wait_for(lambda: time.time() > made + 1, what='a list to expire')

    def lists(self, *names):
        """A file of the revocation lists of these CAs."""
        return self.write('-'.join(names) + '.crls', ''.join(
            self.read(name + '.crl') for name in names))

    def many(self, directory, count):
        """As many CAs in a directory, one file each; the last is root.

        Their signatures of themselves are not right.  Nobody checks those
        of an anchor, and it saves as many runs of openssl.
        """
        os.mkdir(directory)
        self._openssl('req', '-x509', '-new', '-key', 'ca.key', '-out',
                      'filler.pem', '-days', '3650', '-subj', '/CN=CA 000',
                      '-config', 'config', '-extensions', 'ca_ext')
        der = ssl.PEM_cert_to_DER_cert(self.read('filler.pem'))
        for number in range(count - 1):
            name = 'CA %03d' % number
            self._copy(directory, name,
                       der.replace(b'CA 000', name.encode()))
        with open(os.path.join(directory, 'zzz'), 'w',
                  encoding='ascii') as file:
            file.write(self.read('root.pem'))

    @staticmethod
    def _copy(directory, name, der):
        text = base64.b64encode(der).decode()
        lines = '\n'.join(re.findall('.{1,64}', text))
        with open(os.path.join(directory, name), 'w',
                  encoding='ascii') as file:
            file.write('-----BEGIN CERTIFICATE-----\n%s\n'
                       '-----END CERTIFICATE-----\n' % lines)
