"""A server's private key is in the memory of keepers and nowhere else."""

import base64
import re
import resource

import pytest

from harness import KEYS, tls_context, wait_for


PAGE = resource.getpagesize()


def present(pid, first, last):
    """The parts of a mapping that have pages, in memory or swapped out:
    what a process has only reserved holds nothing."""
    try:
        with open('/proc/%d/pagemap' % pid, 'rb', buffering=0) as file:
            file.seek(first // PAGE * 8)
            entries = file.read((last - first) // PAGE * 8)
    except OSError:
        entries = b''
    if not entries:
        return [(first, last)]
    # The two highest bits of each entry: present, swapped.
    return [(first + run.start() * PAGE, first + run.end() * PAGE)
            for run in re.finditer(b'[\x40-\xff]+', entries[7::8], re.S)]


def memory(pid):
    """The readable memory of a process, piece by piece."""
    with open('/proc/%d/maps' % pid, encoding='latin-1') as file:
        lines = file.read().splitlines()
    with open('/proc/%d/mem' % pid, 'rb', buffering=0) as file:
        for line in lines:
            span, rights = line.split()[:2]
            first, last = (int(number, 16) for number in span.split('-'))
            # The kernel's own pages, and what a sanitizer reserves.
            if 'r' not in rights or line.endswith(('[vvar]', '[vsyscall]')) \
                    or last - first > 1 << 40:
                continue
            for start, end in present(pid, first, last):
                try:
                    file.seek(start)
                    yield file.read(end - start)
                except OSError:
                    continue


def traces(pki, name):
    """Every form in which a key may lie in memory: label -> bytes."""
    forms = {}
    for field, number in pki.key_numbers(name).items():
        forms[field] = number
        # OpenSSL's big numbers: limbs, least significant first.
        forms[field + ' limbs'] = number[::-1]
    forms['PEM'] = pem_text(pki.path(name + '.key'), forms)
    return forms


def pem_text(path, forms):
    """The longest piece of one line that is all of a secret number."""
    with open(path, 'rb') as file:
        text = file.read().split(b'-----')[2].replace(b'\n', b'')
    data = base64.b64decode(text)
    number = max((form for label, form in forms.items()
                  if not label.endswith(' limbs')), key=len)
    start = data.index(number)
    first = (start + 2) // 3 * 4
    last = (start + len(number)) // 3 * 4
    cuts = [first] + [n for n in range(0, len(text), 64)
                      if first < n < last] + [last]
    pieces = [text[a:b] for a, b in zip(cuts, cuts[1:])]
    return max(pieces, key=len)


def found_in(pid, forms):
    hits = set()
    for data in memory(pid):
        for label, form in forms.items():
            if form in data:
                hits.add(label)
    return hits


@pytest.fixture
def may_read_memory(start):
    """A process of another user, not dumpable: only root may look."""
    pid = start().pid('monitor')
    try:
        with open('/proc/%d/mem' % pid, 'rb', buffering=0):
            pass
    except OSError as error:
        pytest.skip('has no right to read the memory of other processes: %s'
                    % error.strerror)


@pytest.mark.parametrize('key', KEYS)
def test_key_is_with_keepers_only(start, pki, may_read_memory, key):
    forms = traces(pki, key)
    server = start(certs=getattr(pki, key), options=['--keepers', '2'])
    clients = [server.connect(context=tls_context()) for _ in range(6)]
    try:
        for client in clients:
            client.echo(b'in the middle of a connection')
        roles = server.roles()
        assert len(roles['keeper']) == 2
        for role, pids in roles.items():
            for pid in pids:
                hits = found_in(pid, forms)
                if role == 'keeper':
                    assert hits - {'PEM'}, \
                        'the search does not find the key in a keeper'
                else:
                    assert not hits, (role, hits)
    finally:
        for client in clients:
            client.close()


def test_certificate_and_key_in_one_file(start, pki, may_read_memory):
    """Nobody but keepers reads a file that holds both."""
    forms = traces(pki, 'ecdsa')
    server = start(certs={'CERTFILE': pki.path('both.pem')})
    with server.connect() as client:
        client.echo(b'x')
        for role, pids in server.roles().items():
            for pid in pids:
                hits = found_in(pid, forms)
                assert bool(hits) == (role == 'keeper'), (role, hits)


def test_key_after_replacement(start, pki, may_read_memory):
    """A nursery and a keeper that were replaced are no exception."""
    forms = traces(pki, 'ecdsa')
    server = start(options=['--keepers', '1'])
    for role in ('nursery', 'keeper'):
        old = server.pid(role)
        server.signal(9, old)
        wait_for(lambda: server.pids(role) not in ([], [old]),
                 what='a new ' + role)
    wait_for(lambda: answers(server), what='service')
    with server.connect() as client:
        client.echo(b'x')
        for role, pids in server.roles().items():
            for pid in pids:
                hits = found_in(pid, forms)
                assert bool(hits) == (role == 'keeper'), (role, hits)


def answers(server):
    try:
        return server.exchange(b'x') == b'x'
    except Exception:
        return False
