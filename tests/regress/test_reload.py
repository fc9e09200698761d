"""SIGHUP: everything that comes from files is loaded anew, or stays.

Keepers and nursery are made anew beside the old ones.  A reload that fails
changes nothing but a line; one that succeeds disturbs nobody.
"""

import collections
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import time

import pytest

from admission import environment_of, known, make_rules, name_server
from clientpki import ClientPki
from clientrun import is_listening
from harness import (KEEPER_ID, NET_ID, ROOT, SANITIZED, SLOW, TLS12,
                     Client, Truncated, descriptors, hold, kill, read_proc,
                     read_stat, status_fields, tls_context, tool, wait_for)
from pki import openssl
from test_certs import names, seen  # noqa: F401
from test_delayed import Plain, notes  # noqa: F401
from test_phrase import (PHRASE, encrypted, launcher, pipe_of,  # noqa: F401
                         start_with)
from test_resolv_conf import etc, inside  # noqa: F401
from test_resumption import VERSIONS, Visit

DONE = r'^sslserver: info: .*loaded anew, generation \d+$'
STAYS = r'; the old settings stay in force'
PATIENCE = 30


@pytest.fixture(scope='session')
def clients(top_directory):
    made = ClientPki(os.path.join(top_directory, 'reload-clients'))
    # As it was before anything was revoked.
    index = made.read('root.index')
    made.write('root.index', '')
    openssl('ca', '-config', 'config', '-name', 'root', '-gencrl', '-out',
            'empty.crl', cwd=made.directory)
    made.write('root.index', index)
    return made


def put(path, data):
    """Takes the file's place as a whole."""
    mode = 'wb' if isinstance(data, bytes) else 'w'
    with open(path + '.new', mode) as file:
        file.write(data)
    os.chmod(path + '.new', 0o644)
    os.rename(path + '.new', path)


def read(path):
    with open(path, 'rb') as file:
        return file.read()


class Files:
    """A certificate and its key, under names that stay."""

    def __init__(self, pki, directory):
        self.pki = pki
        self.cert = os.path.join(directory, 'live.pem')
        self.key = os.path.join(directory, 'live.key')
        self.put('ecdsa')

    def put(self, name):
        put(self.cert, read(self.pki.path(name + '.pem')))
        put(self.key, read(self.pki.path(name + '.key')))

    def env(self, **more):
        return dict({'CERTFILE': self.cert, 'KEYFILE': self.key}, **more)


@pytest.fixture
def files(pki, workdir):
    return Files(pki, workdir)


def name_of(client):
    """Whose certificate it has got: the O of the pki's subjects."""
    der = client.tls.getpeercert(True)
    for name in (b'ecdsa', b'rsa', b'other', b'chained', b'ed25519'):
        if name in der:
            return name.decode()
    raise AssertionError('unknown certificate')


def served_by(server, **settings):
    with server.connect(**settings) as client:
        name = name_of(client)
        client.send(b'x')
        client.close_notify()
        assert client.recv_all() == b'x'
        return name


def troubles(server):
    """Lines that should not be there, but for one of the start."""
    return [line for line in server.lines('error|fatal|warning')
            if 'no client certificate is asked for' not in line]


def reload(server, count=None):
    """SIGHUP, and until that many reloads (one more) have been done."""
    count = count or len(server.lines(DONE)) + 1
    server.signal(signal.SIGHUP)
    server.wait_log(DONE, PATIENCE, count)


def refused(server, number=1):
    """SIGHUP that fails: the line that says why."""
    server.signal(signal.SIGHUP)
    return server.wait_log('^.*' + STAYS + '.*$', PATIENCE,
                           number)[number - 1].group(0)


def generations(server):
    roles = server.roles()
    return set(roles['keeper'] + roles['nursery'])


def wait_left(server, pids, seconds=PATIENCE):
    """Until none of these is left, not even unreaped."""
    wait_for(lambda: not [pid for pid in pids if read_stat(pid)], seconds,
             'the processes of the old generation to leave')


# What is loaded

@pytest.mark.parametrize('name', ['rsa', 'other'])
def test_certificate_and_key(start, files, name):
    """Another kind of key, or another key of the same kind."""
    server = start(certs=files.env())
    assert served_by(server) == 'ecdsa'
    files.put(name)
    assert served_by(server) == 'ecdsa'
    reload(server)
    assert served_by(server) == name
    server.wait_idle(PATIENCE)


def test_chain(start, pki, workdir):
    chain = os.path.join(workdir, 'chain.pem')
    put(chain, read(pki.path('ecdsa.pem')) + read(pki.path('ecdsa.key')))
    server = start(certs={'CERTCHAINFILE': chain})
    assert served_by(server) == 'ecdsa'
    put(chain, read(pki.path('chain.pem')) + read(pki.path('chained.key')))
    reload(server)
    assert served_by(server) == 'chained'
    context = tls_context(cafile=pki.ca)
    assert served_by(server, context=context) == 'chained'


def trusts(server, clients, name):
    """Is a client with that certificate served?"""
    context = tls_context()
    context.load_cert_chain(clients.path(name + '.pem'), clients.key)
    try:
        return server.exchange(b'x', context=context) == b'x'
    except (ssl.SSLError, Truncated, ConnectionError):
        return False


@pytest.mark.parametrize('variable', ['CAFILE', 'CADIR'])
def test_authorities(start, files, clients, workdir, variable):
    if variable == 'CADIR':
        directory = os.path.join(workdir, 'authorities')
        os.mkdir(directory)
        path, value = os.path.join(directory, 'a.pem'), directory
    else:
        path = value = os.path.join(workdir, 'ca.pem')
    put(path, read(clients.root))
    server = start(certs=files.env(), env={variable: value}, options=['-m'])
    assert trusts(server, clients, 'good')
    assert not trusts(server, clients, 'other')
    put(path, read(clients.second))
    reload(server)
    assert trusts(server, clients, 'other')
    assert not trusts(server, clients, 'good')


def test_revocation_list(start, files, clients, workdir):
    """A certificate is revoked from now on."""
    lists = os.path.join(workdir, 'lists.pem')
    put(lists, read(clients.path('empty.crl')))
    server = start(certs=files.env(), options=['-m'],
                   env={'CAFILE': clients.root, 'CRLFILE': lists})
    assert trusts(server, clients, 'revoked')
    put(lists, read(clients.path('root.crl')))
    reload(server)
    assert not trusts(server, clients, 'revoked')
    assert trusts(server, clients, 'good')


def test_list_of_certificates(start, files, pki):
    """One more beside it."""
    second = os.path.join(os.path.dirname(files.cert), 'second')
    put(second + '.pem', read(pki.path('other.pem')))
    put(second + '.key', read(pki.path('other.key')))
    server = start(certs={
        'CERTFILE': '%s:%s.pem' % (files.cert, second),
        'KEYFILE': '%s:%s.key' % (files.key, second)})
    only = dict(TLS12, ciphers='ECDHE-RSA-AES128-GCM-SHA256')
    with pytest.raises((ssl.SSLError, Truncated, ConnectionError)):
        served_by(server, context=tls_context(**only))
    put(second + '.pem', read(pki.path('rsa.pem')))
    put(second + '.key', read(pki.path('rsa.key')))
    reload(server)
    assert served_by(server, context=tls_context(**only)) == 'rsa'
    assert served_by(server, context=tls_context()) == 'ecdsa'


def test_names(start, names):  # noqa: F811
    """One file more in CERTDIR; then one that is broken."""
    server = start(certs=names.env())
    assert seen(server, 'new.example.com') == 'localhost'
    names.put('new.example.com', 'new.example.com')
    reload(server)
    assert seen(server, 'new.example.com') == 'new.example.com'
    os.unlink(names.file('b.example.org.pem'))
    put(names.file('a.pem'), 'broken')
    assert names.file('a.pem') in refused(server)
    assert seen(server, 'b.example.org') == 'b.example.org'
    os.unlink(names.file('a.pem'))
    reload(server)
    assert seen(server, 'new.example.com') == 'new.example.com'


@VERSIONS
def test_sessions_are_resumed_after_it(start, files, limits):
    """By another generation, with another certificate."""
    server = start('/usr/bin/env', certs=files.env(), options=['-s'])
    context = tls_context(**limits)
    first = Visit(server, context)
    files.put('rsa')
    reload(server)
    again = Visit(server, context, first.session)
    assert again.is_resumed and not first.is_resumed


@VERSIONS
def test_sessions_under_another_policy(start, files, clients, workdir,
                                       limits):
    """Whom a certificate must come from is part of what is resumed."""
    authorities = os.path.join(workdir, 'ca.pem')
    put(authorities, read(clients.root))
    server = start('/usr/bin/env', certs=files.env(), options=['-s', '-m'],
                   env={'CAFILE': authorities})
    context = tls_context(**limits)
    context.load_cert_chain(clients.path('good.pem'), clients.key)
    first = Visit(server, context)
    reload(server)
    same = Visit(server, context, first.session)
    assert same.is_resumed
    put(authorities, read(clients.root) + read(clients.second))
    reload(server)
    assert not Visit(server, context, same.session).is_resumed


def test_name_servers(start, files, inside, etc):  # noqa: F811
    """Also when the file looks as it did."""
    line = 'nameserver 127.0.0.1#%d\n'
    path = os.path.join(etc, 'resolv.conf')
    with name_server(known({'127.0.0.2': 'a.example'})) as dns:
        put(path, line % 1)
        os.utime(path, (1000, 1000))
        server = start(tool('showstate'), env={'DNSCACHEIP': None},
                       certs=files.env(), options=['-l', 'here'],
                       preexec=inside)
        # Two looks, after which this time is one that is known.
        time.sleep(3)
        put(path, line % dns.port)
        os.utime(path, (1000, 1000))
        reload(server)
        wait_for(lambda: environment_of(server, source='127.0.0.2').get(
            'TCPREMOTEHOST') == 'a.example', PATIENCE, 'the new name server')
        os.unlink(path)
        reload(server)
        server.wait_log(r'error: \(111\) /etc/resolv.conf: No such file or '
                        'directory; the old name servers stay in force$',
                        PATIENCE)
        assert environment_of(server, source='127.0.0.2')['TCPREMOTEHOST'] \
            == 'a.example'


def test_damaged_rules_are_told_again(start, files, workdir):
    path = make_rules(os.path.join(workdir, 'rules'), '127.:allow\n')
    server = start(certs=files.env(), options=['-x', path])
    put(path, 'no table')
    damaged = 'is no table of rules; the last one stays in force$'
    server.wait_log(damaged, PATIENCE)
    for count in (2, 3):
        reload(server)
        server.wait_log(damaged, PATIENCE, count)
    server.check_service()


# What cannot be loaded

BROKEN = {
    'garbage': ('CERTFILE', 'garbage.pem', 'not a PEM'),
    'empty': ('CERTFILE', 'empty.pem', None),
    'missing': ('CERTFILE', None, 'No such file'),
    'other key': ('KEYFILE', 'rsa.key', 'match'),
    'no key': ('KEYFILE', None, 'No such file'),
    'no list': ('CAFILE', 'garbage.pem', None),
    'lists': ('CRLFILE', 'garbage.pem', None),
    'parameters': ('DHFILE', 'garbage.pem', None),
}


@pytest.mark.parametrize('kind', BROKEN, ids=lambda kind: kind)
def test_broken_file(start, files, pki, clients, workdir, kind):
    """One line, which names it; what was before serves; then it is
    repaired."""
    variable, source, reason = BROKEN[kind]
    good = {'CERTFILE': files.cert, 'KEYFILE': files.key}
    for name, origin in (('CAFILE', clients.root),
                         ('CRLFILE', clients.path('root.crl')),
                         ('DHFILE', pki.dh)):
        good[name] = os.path.join(workdir, name)
        put(good[name], read(origin))
    server = start(certs=good, options=['--keepers', '3'])
    before = generations(server)
    was = read(good[variable])
    if source is None:
        os.unlink(good[variable])
    else:
        put(good[variable], read(pki.path(source)))
    line = refused(server)
    assert line.startswith('sslserver: error: (111) '), line
    assert good[variable] in line and line.endswith(STAYS[2:]), line
    assert reason is None or reason in line, line
    assert served_by(server) == 'ecdsa'
    wait_for(lambda: generations(server) == before, PATIENCE,
             'only the old generation to be there')
    assert len(troubles(server)) == 1
    put(good[variable], was)
    reload(server)
    assert served_by(server) == 'ecdsa'
    assert len(troubles(server)) == 1
    assert not generations(server) & before
    assert server.process.poll() is None


def test_the_sentence_of_a_start(start, files, pki):
    """What a reload says of a file is what a start would."""
    server = start(certs=files.env())
    put(files.cert, read(pki.path('garbage.pem')))
    line = refused(server)
    again = start(certs=files.env(), ready=False)
    assert again.process.wait(20 * SLOW) == 111
    fatal = again.lines('fatal')
    assert len(fatal) == 1
    assert line == fatal[0].replace('fatal', 'error') + STAYS[0:]


# Connections

def test_thousand_connections(start, files):
    """Opened during ten reloads: all succeed, each with a whole
    certificate, and both are seen."""
    server = start(certs=files.env(), options=['-c', '60'], log='-v')
    seen, errors = collections.Counter(), []
    turns = iter(range(1000))
    lock = threading.Lock()

    def ask():
        while not errors:
            with lock:
                if next(turns, None) is None:
                    return
            try:
                name = served_by(server)
                with lock:
                    seen[name] += 1
            except Exception as error:  # whatever it is
                errors.append(repr(error))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for turn in range(10):
        # Not before some of them have been served by the last one.
        wait_for(lambda: sum(seen.values()) >= 90 * turn or errors,
                 PATIENCE, 'connections during the reloads')
        files.put(('rsa', 'ecdsa')[turn % 2])
        reload(server, turn + 1)
    for thread in threads:
        thread.join()
    assert not errors
    assert sum(seen.values()) == 1000
    assert set(seen) == {'ecdsa', 'rsa'}, seen
    server.wait_idle(PATIENCE)
    assert not troubles(server)


def test_open_connection_goes_on(start, files):
    """Across reloads; its generation leaves with it, others before."""
    server = start(certs=files.env(), options=['--keepers', '2'])
    first = generations(server)
    with server.connect() as client:
        client.echo(b'before')
        session = server.pid('session')
        for turn in range(3):
            files.put(('rsa', 'ecdsa')[turn % 2])
            reload(server)
            client.echo(b'after')
        second = generations(server) - first
        wait_for(lambda: len(generations(server) - first) == 3, PATIENCE,
                 'the generations between to leave')
        assert read_stat(session).ppid in first
        assert served_by(server) == 'rsa'
        client.echo(b'x' * 100000)
        client.close_notify()
        assert client.recv_all() == b''
    wait_left(server, first)
    assert len(generations(server)) == 3 and second
    server.wait_idle(PATIENCE)
    assert not troubles(server)


def test_keepers_leave_when_no_handshake_can_be_left(start, files):
    """The nursery stays for its session, the keys do not."""
    server = start(certs=files.env(), options=['-T', '1', '--keepers', '2'])
    keepers, nursery = server.pids('keeper'), server.pid('nursery')
    with server.connect() as client:
        client.echo(b'x')
        reload(server)
        wait_left(server, keepers)
        assert read_stat(nursery)
        client.echo(b'y')
        client.close_notify()
        assert client.recv_all() == b''
    wait_left(server, [nursery])
    assert not troubles(server)


def test_handshake_begun_before(start, files):
    """Is finished with the certificate and the key of its generation."""
    server = start(certs=files.env())
    with Client(server.address, server.port, handshake=False) as client:
        flight = client.first_flight()
        client.sock.sendall(flight[:20])
        server.wait_log('^sslserver: pid ', PATIENCE)
        files.put('rsa')
        reload(server)
        assert served_by(server) == 'rsa'
        client.sock.sendall(flight[20:])
        client.handshake()
        assert name_of(client) == 'ecdsa'
        client.echo(b'x')


def test_delayed(start, files, notes):  # noqa: F811
    """Plain text before the reload: TLS is the newest's."""
    server = start(*notes.command(), certs=files.env(), options=['-n'])
    with Plain(server) as before, Plain(server) as inside:
        before.ping()
        inside.switch()
        inside.tls_ping()
        assert name_of(inside) == 'ecdsa'
        files.put('rsa')
        reload(server)
        before.ping()
        before.switch()
        before.tls_ping()
        assert name_of(before) == 'rsa'
        inside.tls_ping()
    server.wait_idle(PATIENCE)


def test_more_generations_than_there_may_be(start, files):
    """One session each: the oldest lose their nursery, and go on; what
    becomes of them is no matter to the others."""
    server = start(certs=files.env(), options=['-T', '1', '-c', '30'])
    held = []
    for turn in range(12):
        client = server.connect()
        client.echo(b'x')
        held.append(client)
        files.put(('rsa', 'ecdsa')[turn % 2])
        reload(server)
        assert len(server.pids('nursery')) <= 8
    for client in held:
        client.echo(b'still here')
    nurseries = set(server.pids('nursery'))
    for _ in range(3):
        client = held.pop(0)
        client.close_notify()
        assert client.recv_all() == b''
        client.close()
    server.wait_log('^sslserver: ended by', PATIENCE, 3)
    server.check_service()
    hold(lambda: set(server.pids('nursery')) == nurseries, 0.5,
         'each nursery that has a session stays')
    for client in held:
        client.close_notify()
        assert client.recv_all() == b''
        client.close()
    server.wait_log(r'^sslserver: status: 0/30', PATIENCE)
    server.wait_idle(PATIENCE)
    wait_for(lambda: len(server.pids('nursery')) == 1, PATIENCE,
             'only the newest nursery')
    assert not server.lines('error|fatal')


# Signals

def test_storm(start, files):
    """A hundred signals are some reloads, and the last one counts."""
    server = start(certs=files.env())
    for _ in range(100):
        server.signal(signal.SIGHUP)
    files.put('rsa')
    server.signal(signal.SIGHUP)
    wait_for(lambda: served_by(server) == 'rsa', PATIENCE, 'the last files')
    wait_for(lambda: len(server.pids('nursery')) == 1, PATIENCE,
             'only the newest generation')
    assert len(server.lines(DONE)) <= 101
    # Certificate and key are two files: who reads between them sees them
    # change, or not match, and the last signal is behind both.
    assert not [line for line in troubles(server)
                if 'changed while they were loaded' not in line
                and 'do not match' not in line]


def test_while_it_starts(start, files, pki, workdir):
    """Signals from its first moment on end nothing."""
    out, into = os.pipe()
    try:
        server = start(certs=files.env(), options=['-3'],
                       launcher=launcher(out), keep=(out,), ready=False)
        wait_for(lambda: len(server.pids('keeper')) == 1, PATIENCE,
                 'the first keeper, which waits for the phrase')
        server.signal(signal.SIGHUP)
        hold(lambda: server.process.poll() is None, 0.3, 'it starts')
        os.write(into, b'\0')
    finally:
        os.close(out)
        os.close(into)
    server.wait_ready(PATIENCE)
    server.wait_log(DONE, PATIENCE)
    server.check_service()


def test_when_it_stops(start, files):
    """With --drain the signal changes nothing any more."""
    server = start(certs=files.env(), options=['--drain', '60'])
    with server.connect() as client:
        client.echo(b'x')
        before = generations(server)
        server.signal(signal.SIGTERM)
        # Of two that wait at once the kernel delivers SIGHUP first.
        wait_for(lambda: not is_listening(server.port), 20,
                 'the listener to be closed')
        server.signal(signal.SIGHUP)
        hold(lambda: generations(server) == before, 0.5, 'no other role')
        client.echo(b'y')
        client.close_notify()
        assert client.recv_all() == b''
    assert server.process.wait(20 * SLOW) == 0
    server.wait_gone(PATIENCE)
    assert not server.lines(DONE)


def test_reload_then_stop(start, files):
    """Whatever is under way leaves with the server."""
    server = start(certs=files.env(), options=['--keepers', '4'])
    server.signal(signal.SIGHUP)
    server.signal(signal.SIGTERM)
    assert server.process.wait(20 * SLOW) == 0
    server.wait_gone(PATIENCE)
    assert not troubles(server)


# Process 1 of a container, whose parent holds nothing of it.
CONTAINER = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(0x20020000) == -1:  # CLONE_NEWPID, CLONE_NEWNS
    sys.exit(99)
pid = os.fork()
if pid == 0:
    libc.mount(b"none", b"/", None, 0x44000, None)  # MS_REC, MS_PRIVATE
    libc.mount(b"proc", b"/proc", b"proc", 0, None)
    os.execv(sys.argv[1], sys.argv[1:])
os.close(1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@pytest.mark.root
def test_as_process_1(start, files):
    command = (sys.executable, '-c', CONTAINER)
    if subprocess.run(command + ('/bin/true',), check=False).returncode:
        pytest.skip('no namespace of processes can be made')
    server = start(certs=files.env(), launcher=command)
    front = wait_for(lambda: [
        stat.pid for stat in server.stats()
        if status_fields(stat.pid).get('NSpid', [])[1:] == ['1']],
        PATIENCE, 'process 1')[0]
    files.put('rsa')
    server.signal(signal.SIGHUP, front)
    server.wait_log(DONE, PATIENCE)
    assert served_by(server) == 'rsa'
    server.signal(signal.SIGTERM, front)
    assert server.process.wait(20 * SLOW) == 0


# Processes

@pytest.mark.root
def test_nothing_is_kept(start, files):
    """After fifty reloads every process that stays has the descriptors and
    about the memory of before."""
    server = start(certs=files.env(), options=['--keepers', '1'])

    def turn(count):
        for _ in range(count):
            reload(server)
            server.check_service()
        server.wait_idle(PATIENCE)
        wait_for(lambda: len(generations(server)) == 2, PATIENCE,
                 'the old generations to leave')

    def look():
        # The life lines and work sockets of those that left may be closed
        # a moment later than they are gone.
        return {name: len(descriptors(server.pid(name)))
                for name in ('front', 'master', 'monitor', 'logger')}

    def memory():
        return {name: int(status_fields(server.pid(name))['VmData'][0])
                for name in ('master', 'monitor')}

    turn(3)
    before, size = look(), memory()
    turn(50)
    wait_for(lambda: look() == before, PATIENCE,
             'the descriptors of before: %r' % before)
    for name, kilobytes in memory().items():
        # Sanitizers keep freed memory.
        assert SANITIZED or kilobytes <= size[name] + 300, name
    assert len(server.lines(DONE)) == 53


@pytest.mark.root
def test_identities_and_descriptors(start, files):
    """Of the new roles: what the first ones have."""
    server = start(certs=files.env(), options=['--keepers', '2'])

    def look():
        server.check_service()
        server.wait_idle(PATIENCE)
        wait_for(lambda: len(generations(server)) == 3, PATIENCE,
                 'one generation')
        found = {}
        for name, number in (('keeper', KEEPER_ID), ('nursery', NET_ID)):
            for pid in server.pids(name):
                status = status_fields(pid)
                assert status['Uid'] == [str(number)] * 4
                assert status['NoNewPrivs'] == ['1']
                assert int(status['CapEff'][0], 16) == 0
                kinds = sorted(re.sub(r'[:\[].*', '', target) for target
                               in descriptors(pid).values())
                assert found.setdefault(name, kinds) == kinds
                assert not read_proc(pid, 'environ').strip(b'\0')
                assert os.listdir('/proc/%d/root/' % pid) == []
        return found

    before, pids = look(), generations(server)
    reload(server)
    wait_left(server, pids)
    assert look() == before
    for pid in generations(server):
        assert read_stat(pid).ppid == server.pid('master')


# Roles that die

def reload_stopped(server, stops):
    """SIGHUP; the first keeper of the new generation stands on its way."""
    if SANITIZED:
        pytest.skip('a sanitizer opens files of its own')
    stops.begin('openat', server.pid('master'))
    server.signal(signal.SIGHUP)
    keeper = stops.wait()
    assert keeper not in generations(server), 'it is about to be executed'
    return keeper


@pytest.mark.parametrize('keepers', ['1', '3'])
def test_keeper_killed_during_a_reload(start, files, stops, keepers):
    """The reload fails with a line, and is tried again."""
    server = start(certs=files.env(), launcher=stops.launcher,
                   options=['--keepers', keepers])
    before = generations(server)
    files.put('rsa')
    keeper = reload_stopped(server, stops)
    assert served_by(server) == 'ecdsa'
    kill(keeper)
    server.wait_log(r'^sslserver: error: \(111\) keeper %d ended by signal 9'
                    % keeper + STAYS, PATIENCE)
    wait_for(lambda: served_by(server) == 'rsa', PATIENCE, 'another try')
    wait_left(server, before)
    assert len(troubles(server)) == 1


def test_keeper_killed_after_it_was_ready(start, files, stops):
    """While another one is still on its way."""
    server = start(certs=files.env(), launcher=stops.launcher,
                   options=['--keepers', '2'])
    before, master = generations(server), server.pid('master')
    had = len(descriptors(master)) if ROOT else 0
    files.put('rsa')
    keeper = reload_stopped(server, stops)
    # It has that behind it, the next ones not.
    stops.begin('openat', master)
    kill(keeper, signal.SIGCONT)
    # Nursery or keeper, as they are begun when the first keeper is ready.
    other = wait_for(lambda: [
        stat.pid for stat in server.stats() if stat.ppid == master
        and stat.pid != keeper and stat.state == 'T'],
        PATIENCE, 'the next role to stand')[0]
    stops.end()
    kill(keeper)
    server.wait_log(r'keeper %d ended by signal 9' % keeper + STAYS, PATIENCE)
    assert served_by(server) == 'ecdsa'
    for stat in server.stats():
        if stat.state == 'T':
            kill(stat.pid, signal.SIGCONT)
    wait_for(lambda: served_by(server) == 'rsa', PATIENCE, 'another try')
    wait_left(server, before | {keeper, other})
    if ROOT:
        wait_for(lambda: len(descriptors(master)) == had, PATIENCE,
                 'the descriptors of before')
    assert len(troubles(server)) == 1


def test_keeper_of_the_newest_dies_during_a_reload(start, files, stops):
    """Those who are served do not wait for the reload."""
    server = start(certs=files.env(), launcher=stops.launcher,
                   options=['--keepers', '2'])
    keeper = reload_stopped(server, stops)
    victim = server.pids('keeper')[0]
    kill(victim)
    server.wait_log('warning: keeper %d ended by signal 9' % victim, PATIENCE)
    assert served_by(server) == 'ecdsa'
    kill(keeper, signal.SIGCONT)
    server.wait_log(DONE, PATIENCE)
    assert served_by(server) == 'ecdsa'


def test_signals_during_a_reload_are_one_more(start, files, stops):
    """What is on its way may have read the old files."""
    server = start(certs=files.env(), launcher=stops.launcher)
    keeper = reload_stopped(server, stops)
    for _ in range(10):
        server.signal(signal.SIGHUP)
    kill(keeper, signal.SIGCONT)
    server.wait_log(DONE, PATIENCE, 2)
    server.check_service()
    server.wait_idle(PATIENCE)
    assert len(server.lines(DONE)) == 2


@pytest.mark.parametrize('role', ['keeper', 'nursery'])
def test_role_of_an_old_generation_dies(start, files, role):
    """Nobody replaces it; its session goes on."""
    server = start(certs=files.env(), options=['--keepers', '1'])
    old = server.pid(role)
    with server.connect() as client:
        client.echo(b'x')
        reload(server)
        kill(old)
        server.wait_log('warning: %s %d ended by signal 9' % (role, old),
                        PATIENCE)
        client.echo(b'y')
        server.check_service()
        assert len(server.pids(role)) == 1
        client.close_notify()
        assert client.recv_all() == b''
    server.wait_log('^sslserver: ended by', PATIENCE, 2)
    wait_for(lambda: len(generations(server)) == 2, PATIENCE,
             'the rest of the old generation to leave')


def test_monitor_dies(start, files):
    """Every session ends, and so does what is there for them alone."""
    server = start(certs=files.env())
    old = generations(server)
    with server.connect() as client:
        client.echo(b'x')
        files.put('rsa')
        reload(server)
        kill(server.pid('monitor'))
        client.wait_close()
    wait_left(server, old)
    wait_for(lambda: server.pids('monitor'), PATIENCE, 'a monitor')
    wait_for(lambda: is_there(server), PATIENCE, 'service')
    assert served_by(server) == 'rsa'
    server.wait_idle(PATIENCE)


def is_there(server):
    try:
        return served_by(server)
    except (OSError, Truncated):
        return None


def test_who_comes_after_a_reload_meets_it(start, files):
    """However late the monitor hears of it, and of the client with it."""
    server = start(certs=files.env(), options=['--keepers', '2'])
    monitor = server.pid('monitor')
    assert served_by(server) == 'ecdsa'
    server.wait_idle(4)
    files.put('rsa')
    server.signal(signal.SIGSTOP, monitor)
    reload(server)
    with server.connect(handshake=False) as client:
        server.signal(signal.SIGCONT, monitor)
        client.handshake()
        assert name_of(client) == 'rsa'


def test_files_that_have_changed(start, files):
    """A keeper that is started again finds others: all are loaded anew."""
    server = start(certs=files.env(), options=['--keepers', '2'])
    before = generations(server)
    files.put('rsa')
    assert served_by(server) == 'ecdsa'
    kill(server.pids('keeper')[0])
    server.wait_log('warning: certificate or parameter files have changed',
                    PATIENCE)
    server.wait_log(DONE, PATIENCE)
    assert served_by(server) == 'rsa'
    wait_left(server, before)


def test_files_that_are_broken_when_a_keeper_dies(start, files, pki):
    """The others serve; the line comes from the one that is started."""
    server = start(certs=files.env(), options=['--keepers', '2'])
    put(files.cert, read(pki.path('garbage.pem')))
    kill(server.pids('keeper')[0])
    server.wait_log(r'error: \(111\) keeper: .*live.pem', PATIENCE)
    assert served_by(server) == 'ecdsa'
    files.put('rsa')
    reload(server)
    assert served_by(server) == 'rsa'
    wait_for(lambda: len(generations(server)) == 3, PATIENCE,
             'one generation with both keepers')


# The pass phrase

def test_phrase_is_handed_on(start_with, encrypted):  # noqa: F811
    """From generation to generation, when descriptor 3 is long gone."""
    with pipe_of(PHRASE) as fd:
        server = start_with(fd, encrypted(), options=['--keepers', '2'])
    for _ in range(3):
        before = generations(server)
        reload(server)
        server.check_service()
        wait_left(server, before)
    assert not troubles(server)


def test_other_phrase(start_with, encrypted):  # noqa: F811
    """A new key that this phrase does not open is a file that is broken."""
    certs = encrypted()
    with pipe_of(PHRASE) as fd:
        server = start_with(fd, certs)
    encrypted(phrase=b'another')
    assert refused(server) == (
        'sslserver: error: (111) wrong pass phrase for KEYFILE %s%s'
        % (certs['KEYFILE'], STAYS))
    server.check_service()
    encrypted()
    reload(server)
    server.check_service()
