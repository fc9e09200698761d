"""Certificates that all servers and clients of a run share."""

import subprocess


def make_certificates(area):
    """One CA; a certificate of each kind, for servers and clients."""
    def openssl(*words):
        subprocess.run(['openssl', *map(str, words)], check=True,
                       stderr=subprocess.DEVNULL, cwd=area)
    kinds = {'ecdsa': ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
             'rsa': ['rsa:2048']}
    openssl('req', '-x509', '-newkey', *kinds['ecdsa'], '-nodes', '-days', 2,
            '-subj', '/CN=bench CA', '-keyout', 'ca.key', '-out', 'ca.pem')
    for name, key in kinds.items():
        openssl('req', '-newkey', *key, '-nodes', '-subj', '/CN=localhost',
                '-addext', 'subjectAltName=DNS:localhost',
                '-keyout', f'{name}.key', '-out', f'{name}.csr')
        openssl('x509', '-req', '-in', f'{name}.csr', '-CA', 'ca.pem',
                '-CAkey', 'ca.key', '-CAcreateserial', '-days', 2,
                '-copy_extensions', 'copy', '-out', f'{name}.pem')
        (area / f'{name}.both').write_text(
            (area / f'{name}.key').read_text() +
            (area / f'{name}.pem').read_text())
