"""Throw-away certificates and keys, made once with the openssl command."""

import os
import re
import subprocess

CONFIG = """
[req]
distinguished_name = dn
prompt = no
[dn]
CN = unused
[ca_ext]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf_ext]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, DNS:server.example, IP:127.0.0.1, IP:::1
subjectKeyIdentifier = hash
"""


def openssl(*arguments, cwd=None, data=None):
    done = subprocess.run(('openssl',) + arguments, cwd=cwd, input=data,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False)
    assert done.returncode == 0, (arguments, done.stderr.decode())
    return done.stdout


def _read(path):
    with open(path, encoding='ascii') as file:
        return file.read()


class Pki:
    """File names by what they hold; ready environments by key type."""

    def __init__(self, directory):
        self.directory = directory
        # Made last.
        if not os.path.exists(self.path('dh.pem')):
            os.makedirs(directory, exist_ok=True)
            os.chmod(directory, 0o755)
            self._make()
        self.ca = self.path('root.pem')
        self.dh = self.path('dh.pem')
        self.rsa = self.env('rsa')
        self.ecdsa = self.env('ecdsa')
        self.ed25519 = self.env('ed25519')
        self.chained = {
            'CERTCHAINFILE': self.path('chain.pem'),
            'KEYFILE': self.path('chained.key'),
        }

    def _make(self):
        self._write('config', CONFIG)
        self._make_key('root', 'EC')
        self._make_root()
        self._make_key('middle', 'EC')
        self._sign('middle', 'root', 'ca_ext', '/CN=Test Intermediate')
        for name, kind in (('rsa', 'RSA'), ('ecdsa', 'EC'),
                           ('ed25519', 'ED25519'), ('other', 'EC')):
            self._make_key(name, kind)
            self._sign(name, 'root', 'leaf_ext', '/CN=localhost/O=' + name)
        self._make_key('chained', 'EC')
        self._sign('chained', 'middle', 'leaf_ext', '/CN=localhost/O=chained')
        self._make_chains()
        self._make_expired()
        self._make_odd_files()

    def path(self, name):
        return os.path.join(self.directory, name)

    def env(self, name):
        return {'CERTFILE': self.path(name + '.pem'),
                'KEYFILE': self.path(name + '.key')}

    def _write(self, name, text, mode=0o644):
        with open(self.path(name), 'w', encoding='ascii') as file:
            file.write(text)
        os.chmod(self.path(name), mode)

    def _openssl(self, *arguments):
        return openssl(*arguments, cwd=self.directory)

    def _make_key(self, name, kind):
        options = {
            'RSA': ('-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'),
            'EC': ('-algorithm', 'EC', '-pkeyopt',
                   'ec_paramgen_curve:P-256'),
            'ED25519': ('-algorithm', 'ED25519'),
        }[kind]
        self._openssl('genpkey', '-out', name + '.key', *options)
        # As administrators keep them: for root, or the user, alone.
        os.chmod(self.path(name + '.key'), 0o600)

    def _make_root(self):
        self._openssl('req', '-x509', '-new', '-key', 'root.key', '-out',
                      'root.pem', '-days', '3650', '-subj', '/CN=Test Root',
                      '-config', 'config', '-extensions', 'ca_ext')

    def _sign(self, name, issuer, extensions, subject, days='3650'):
        self._openssl('req', '-new', '-key', name + '.key', '-out',
                      name + '.csr', '-subj', subject, '-config', 'config')
        self._openssl('x509', '-req', '-in', name + '.csr', '-CA',
                      issuer + '.pem', '-CAkey', issuer + '.key',
                      '-CAcreateserial', '-out', name + '.pem', '-days',
                      days, '-sha256', '-extfile', 'config', '-extensions',
                      extensions)

    def _make_chains(self):
        leaf, middle, root = (_read(self.path(name + '.pem'))
                              for name in ('chained', 'middle', 'root'))
        self._write('chain.pem', leaf + middle)
        self._write('root-first.pem', root + middle + leaf)
        key = _read(self.path('ecdsa.key'))
        self._write('both.pem', _read(self.path('ecdsa.pem')) + key, 0o600)

    def _make_expired(self):
        """`openssl x509 -days` takes no past date; `openssl ca` does."""
        self._make_key('expired', 'EC')
        self._openssl('req', '-new', '-key', 'expired.key', '-out',
                      'expired.csr', '-subj', '/CN=localhost',
                      '-config', 'config')
        self._write('index.txt', '')
        self._write('serial', '1000\n')
        self._write('ca.config', CONFIG + '\n'.join([
            '[own_ca]', 'database = index.txt', 'serial = serial',
            'new_certs_dir = .', 'default_md = sha256',
            'policy = any', '[any]', 'commonName = supplied', '']))
        self._openssl('ca', '-batch', '-notext', '-config', 'ca.config',
                      '-name', 'own_ca', '-in', 'expired.csr', '-out',
                      'expired.pem', '-cert', 'root.pem', '-keyfile',
                      'root.key', '-startdate', '20200101000000Z',
                      '-enddate', '20210101000000Z', '-extfile', 'config',
                      '-extensions', 'leaf_ext')

    def _make_odd_files(self):
        self._write('garbage.pem', 'this is not a certificate\n')
        self._write('empty.pem', '')
        pem = _read(self.path('ecdsa.pem'))
        self._write('damaged.pem', pem.replace(pem[100:140], 'A' * 40))
        pem = self._openssl('genpkey', '-genparam', '-algorithm', 'DH',
                            '-pkeyopt', 'dh_param:ffdhe2048')
        self._write('dh.pem', pem.decode())

    def key_numbers(self, name):
        """The secret numbers of a key: name -> big-endian bytes."""
        text = self._openssl('pkey', '-in', name + '.key', '-noout',
                             '-text').decode()
        numbers = {}
        for field in ('priv', 'privateExponent', 'prime1', 'prime2',
                      'exponent1', 'exponent2', 'coefficient'):
            match = re.search(r'^%s:\n((?:    [0-9a-f:]+\n)+)' % field,
                              text, re.M)
            if match:
                digits = re.sub(r'[^0-9a-f]', '', match.group(1))
                number = bytes.fromhex(digits).lstrip(b'\0')
                numbers[field] = number
        assert numbers, text
        return numbers
