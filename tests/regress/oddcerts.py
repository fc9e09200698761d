"""Certificates whose names and serials are any bytes, put together by hand
and signed with the openssl command."""

import base64
import os
import subprocess
import tempfile

from pki import openssl

CN, EMAIL = '2.5.4.3', '1.2.840.113549.1.9.1'
UTF8, PRINTABLE, IA5 = 0x0c, 0x13, 0x16


def der(tag, *parts):
    body = b''.join(parts)
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, 'big')
    return bytes([tag, 0x80 | len(size)]) + size + body


def oid(text):
    numbers = [int(part) for part in text.split('.')]
    body = bytes([40 * numbers[0] + numbers[1]])
    for number in numbers[2:]:
        piece = [number & 127]
        while number > 127:
            number >>= 7
            piece.insert(0, 128 | number & 127)
        body += bytes(piece)
    return der(6, body)


def name(*attributes):
    """Of (type, value) or (type, value, string tag)."""
    return der(0x30, *(
        der(0x31, der(0x30, oid(kind), der(tag[0] if tag else UTF8, value)))
        for kind, value, *tag in attributes))


def integer(number):
    return der(2, number.to_bytes(number.bit_length() // 8 + 1, 'big'))


SIGNED = der(0x30, oid('1.2.840.10045.4.3.2'))  # ECDSA with SHA-256
VALID = der(0x30, der(0x17, b'200102030405Z'), der(0x17, b'401231235959Z'))
BASIC_CA = der(0x30, oid('2.5.29.19'), der(1, b'\xff'),
               der(4, der(0x30, der(1, b'\xff'))))


class Authority:
    """A CA and what it signs, all with one key."""

    def __init__(self, directory, subject=None):
        self.directory = tempfile.mkdtemp(prefix='odd-', dir=directory)
        os.chmod(self.directory, 0o755)
        self.key = self.path('key')
        openssl('genpkey', '-algorithm', 'EC', '-pkeyopt',
                'ec_paramgen_curve:P-256', '-out', self.key)
        self.public = openssl('pkey', '-in', self.key, '-pubout',
                              '-outform', 'DER')
        self.name = subject or name((CN, b'Odd CA'))
        self.file = self.write('ca.pem', self.make(self.name, is_ca=True))

    def path(self, file):
        return os.path.join(self.directory, file)

    def write(self, file, *certificates):
        """A file of PEM; returns its path."""
        with open(self.path(file), 'wb') as out:
            for certificate in certificates:
                out.write(b'-----BEGIN CERTIFICATE-----\n')
                out.write(base64.encodebytes(certificate))
                out.write(b'-----END CERTIFICATE-----\n')
        return self.path(file)

    def make(self, subject, is_ca=False, serial=1, valid=VALID):
        """DER of a certificate for that subject."""
        parts = [der(0xa0, integer(2)), integer(serial), SIGNED, self.name,
                 valid, subject, self.public]
        if is_ca:
            parts.append(der(0xa3, der(0x30, BASIC_CA)))
        inner = der(0x30, *parts)
        signature = openssl('dgst', '-sha256', '-sign', self.key,
                            data=inner)
        return der(0x30, inner, SIGNED, der(3, b'\0', signature))


def to_pem(certificate):
    """As openssl writes it."""
    return openssl('x509', '-inform', 'DER', data=certificate)


def printed(path, *options):
    """What `openssl x509' prints about the first certificate of a file."""
    return subprocess.run(('openssl', 'x509', '-in', path, '-noout')
                          + options, stdout=subprocess.PIPE,
                          check=True).stdout.decode()
