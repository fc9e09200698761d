"""Certificates reach the nursery by way of master, which reads nothing."""

import os
import re
import resource
import shutil

import pytest

import harness
from harness import BIN, run_server, tool
from pki import openssl
from test_key import found_in, may_read_memory  # noqa: F401


def copies(certificate, count):
    """One that signed itself, so many times, is a chain."""
    with open(certificate, encoding='ascii') as file:
        return file.read() * count


def self_signed(directory, *arguments):
    """A key and a certificate it signed itself, as an environment."""
    key = os.path.join(directory, 'own.key')
    cert = os.path.join(directory, 'own.pem')
    openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt',
            'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out',
            cert, '-days', '30', *arguments)
    return {'CERTCHAINFILE': cert, 'KEYFILE': key}


def test_large_chain(workdir):
    """More than a message between two processes may carry."""
    certs = self_signed(workdir, '-subj', '/CN=localhost', '-addext',
                        'nsComment=' + 'x' * 120000)
    chain = os.path.join(workdir, 'chain.pem')
    with open(chain, 'w', encoding='ascii') as file:
        file.write(copies(certs['CERTCHAINFILE'], 6))
    assert 900000 < os.path.getsize(chain) < 1 << 20
    result = run_server(['--check', '127.0.0.1', '0', '/bin/cat'],
                        env=dict(certs, CERTCHAINFILE=chain))
    assert result.code == 0, result


def test_small_limit_of_file_sizes(pki):
    """Memory that is handed on counts as a file: a sentence, no signal."""
    result = run_server(
        ['--check', '127.0.0.1', '0', '/bin/cat'], env=pki.ecdsa,
        preexec=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (99, 99)))
    assert result.code == 111, result
    assert result.err.endswith('sslserver: fatal: (111) unable to pass on '
                               'certificates and parameters: File too '
                               'large\n'), result


def test_master_reads_none_of_it(
        start, workdir, may_read_memory):  # noqa: F811
    mark = b'only for those who speak TLS'
    server = start(certs=self_signed(
        workdir, '-subj', '/CN=localhost/O=' + mark.decode()))
    assert server.exchange(b'x') == b'x'
    server.wait_idle()
    readers = {role for role, pids in server.roles().items()
               for pid in pids if found_in(pid, {'mark': mark})}
    assert readers == {'keeper', 'nursery'}


@pytest.fixture
def with_bad_keeper(workdir, monkeypatch):
    """sslserver beside a keeper that is none."""
    directory = os.path.join(workdir, 'bin')
    os.mkdir(directory)
    for name in ('sslserver', 'ucspissl-nursery'):
        shutil.copy(os.path.join(BIN, name), directory)
    shutil.copy(tool('badkeeper'), os.path.join(directory, 'ucspissl-keeper'))
    monkeypatch.setattr(harness, 'SSLSERVER',
                        os.path.join(directory, 'sslserver'))


@pytest.mark.parametrize('how, sentence', [
    ('none', 'the keeper sent no certificates'),
    ('short', 'the keeper sent no certificates'),
    ('unsealed', "the keeper's certificates are not in sealed memory"),
    ('file', "the keeper's certificates are not in sealed memory"),
    ('empty', "the keeper's certificates are not in sealed memory"),
    ('huge', "the keeper's certificates are larger than 32 MiB"),
    ('chatty', r'keeper \d+ ended by signal 9'),
    ('zero', 'unable to take over certificates and parameters'),
])
def test_what_a_keeper_must_not_send(with_bad_keeper, how, sentence):
    """One sentence and 111; the nursery looks again at what it is given."""
    result = run_server(['--keepers', '1', '127.0.0.1', '0', '/bin/cat'],
                        env={'CERTFILE': how})
    assert result.code == 111, result
    lines = [line for line in result.err.splitlines()
             if line.startswith('sslserver: fatal: (111) ')]
    assert len(lines) == 1, result
    assert re.search(sentence, lines[0]), lines[0]
