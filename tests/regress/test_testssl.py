"""testssl.sh, which knows the weaknesses of many years, finds none."""

import json
import os
import subprocess

import pytest

from harness import SLOW, find_command

# Protocols, cipher classes, forward secrecy; -S: certificate and extensions,
# -U: every vulnerability.  Left out for their time: the order of ciphers, all
# ciphers one by one, simulated clients.
SECTIONS = {'ecdsa': ['-p', '-s', '-f'],
            'rsa': ['-p', '-s', '-f', '-S', '-U']}

# What a certificate from a CA of our own is blamed for, and no setting of
# the server's.
OF_THE_CA = {
    'cert_validityPeriod': 'a certificate for the tests lasts ten years',
    'cert_extlifeSpan': 'the same',
    'cert_revocation': 'the CA publishes no CRL and answers no OCSP',
}

BAD = {'MEDIUM', 'HIGH', 'CRITICAL', 'FATAL'}

# As testssl.sh calls it from 3.2 on.
RENAMED = {'cipherlist_STRONG': 'cipherlist_STRONG_FS', 'PFS': 'FS'}

# A run that looked at nothing would find nothing: this must have been seen.
GOOD = {
    'ecdsa': {'SSLv2', 'SSLv3', 'TLS1_2', 'TLS1_3', 'cipherlist_NULL',
              'cipherlist_aNULL', 'cipherlist_EXPORT', 'cipherlist_LOW',
              'cipherlist_STRONG', 'PFS'},
    'rsa': {'heartbleed', 'CCS', 'ticketbleed', 'ROBOT', 'secure_renego',
            'secure_client_renego', 'CRIME_TLS', 'POODLE_SSL',
            'fallback_SCSV', 'SWEET32', 'FREAK', 'DROWN', 'LOGJAM', 'BEAST',
            'LUCKY13', 'RC4', 'cert_trust', 'cert_chain_of_trust'},
}
GOOD['rsa'] |= GOOD['ecdsa']

# Answers a request, so that the scanner need not guess what it talks to.
HTTP = r'''
while read header; do
    test "$(printf %s "$header" | tr -d '\r')" || break
done
printf 'HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'
'''


def scan(server, pki, workdir, sections):
    """Runs the scanner; id -> (severity, finding)."""
    command = find_command('testssl') or find_command('testssl.sh')
    if command is None:
        pytest.skip('testssl.sh is not installed')
    path = os.path.join(workdir, 'findings.json')
    done = subprocess.run(
        [command, '--quiet', '--color', '0', '--warnings', 'off', '--nodns',
         'none', '--ip', '127.0.0.1', '--add-ca', pki.ca, '--jsonfile', path]
        + sections + ['localhost:%d' % server.port], cwd=workdir,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, check=False, timeout=1500 * SLOW)
    try:
        with open(path, encoding='utf-8') as file:
            found = json.load(file)
    except (OSError, ValueError) as error:
        pytest.fail('%s: %s' % (error, done.stdout.decode(errors='replace')))
    return {one['id']: (one['severity'], one['finding']) for one in found}


@pytest.mark.parametrize('key', ['ecdsa', 'rsa'])
def test_default_server(start, pki, workdir, key):
    server = start('/bin/sh', '-c', HTTP, certs=getattr(pki, key))
    found = scan(server, pki, workdir, SECTIONS[key])
    bad = {name: what for name, what in found.items()
           if what[0] in BAD and name not in OF_THE_CA}
    assert not bad
    missing = {name: found.get(name) for name in GOOD[key]
               if 'OK' not in (found.get(name, ('', ''))[0],
                               found.get(RENAMED.get(name), ('', ''))[0])}
    assert not missing
    server.wait_idle(seconds=10)
