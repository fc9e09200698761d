"""How sslclient finds its server, and what it tells the program of both."""

import json
import os
import socket
import subprocess
import threading

import pytest

from admission import (IDENT_CLIENT, TYPE_A, TYPE_AAAA, TYPE_CNAME,
                       ident_server, known, name_server, neighbours, record,
                       wire_name)
from clientrun import (SSLCLIENT, client_environment, is_listening,
                       run_client, server_context)
from harness import find_command, tool

ANY = ['-X', '-N', '-H', '-l', 'here']


def zone(**names):
    """A script for a name server: name -> addresses; _ stands for a dot."""
    table = {name.replace('_', '.'): value for name, value in names.items()}

    def script(question):
        if question.name not in table:
            return question.answer(code=3)
        records = []
        for address in table[question.name]:
            is_v6 = ':' in address
            if question.type == (TYPE_AAAA if is_v6 else TYPE_A):
                data = socket.inet_pton(
                    socket.AF_INET6 if is_v6 else socket.AF_INET, address)
                records.append(record(question.name, question.type, data))
        return question.answer(*records)

    return script


@pytest.fixture
def server(peer, pki):
    """A TLS server on 127.0.0.1; seen holds who came."""
    context = server_context(pki.path('ecdsa.pem'), pki.path('ecdsa.key'))

    def serve(conn):
        made.seen.append(conn.getpeername()[:2])
        with context.wrap_socket(conn, server_side=True) as tls:
            tls.unwrap()

    made = peer(serve)
    made.seen = []
    return made


def env_of(*arguments, **settings):
    result = run_client(*arguments, tool('showstate'), **settings)
    assert result.code == 0, result
    return json.loads(result.out)['env'], result


# ---------------------------------------------------------------------------
# Names

def test_name_servers(family, server, pki):
    """DNSCACHEIP is asked, and the certificate is for the name."""
    with name_server(zone(server_example=['127.0.0.1'])) as dns:
        result = run_client('-H', '-l', 'here', '-a', pki.ca,
                            'Server.Example', server.port, 'echo', 'ran',
                            env=dns.environment)
        assert result == (0, 'ran\n', '')
        assert {(q.name, q.type) for q in dns.questions} == {
            ('server.example', TYPE_A), ('server.example', TYPE_AAAA)}


@pytest.mark.parametrize('option, kind', [('-4', TYPE_A), ('-6', TYPE_AAAA)])
def test_one_family(family, server, option, kind):
    with name_server(zone(a_example=['127.0.0.1', '::1'])) as dns:
        result = run_client(*ANY, option, 'a.example', server.port, 'true',
                            env=dns.environment)
        assert result.code == (0 if option == '-4' else 111), result
        assert {q.type for q in dns.questions} == {kind}


def test_alias(family, server):
    def script(question):
        if question.type != TYPE_A:
            return question.answer()
        return question.answer(
            record('a.example', TYPE_CNAME, wire_name('b.example')),
            record('b.example', TYPE_A, socket.inet_aton('127.0.0.1')))

    with name_server(script) as dns:
        assert run_client(*ANY, 'a.example', server.port, 'true',
                          env=dns.environment).code == 0


def check_unknown(result, *words):
    assert result.code == 111 and result.out == '', result
    assert result.err.count('\n') == 1, result
    for word in words:
        assert word in result.err, result


def test_no_such_name(family, server):
    with name_server(zone()) as dns:
        check_unknown(run_client('no.example', server.port, 'echo', 'ran',
                                 env=dns.environment),
                      'unable to find the address of no.example',
                      'not known')


def test_name_without_an_address_of_that_family(family, server):
    with name_server(zone(a_example=['127.0.0.1'])) as dns:
        check_unknown(run_client('-6', 'a.example', server.port, 'echo', 'ran',
                                 env=dns.environment),
                      'unable to find an IPv6 address of a.example',
                      'not known')


def test_name_without_an_address(family, server):
    with name_server(zone(a_example=[])) as dns:
        check_unknown(run_client('a.example', server.port, 'echo', 'ran',
                                 env=dns.environment), 'a.example')


@pytest.mark.parametrize('script', [
    lambda question: question.answer(code=2),
    lambda question: question.data[:2] + b'\x81\x80garbage',
    lambda question: None,
], ids=['fails', 'nonsense', 'silent'])
def test_name_servers_that_fail(family, server, script):
    """Temporary: another sentence than for a name that does not exist."""
    with name_server(script) as dns:
        check_unknown(run_client('-T', '1+1', 'a.example', server.port,
                                 'echo', 'ran', env=dns.environment),
                      'a.example', 'emporary')


def test_second_server_is_asked(family, server):
    with name_server(lambda question: question.answer(code=2)) as bad, \
            name_server(zone(a_example=['127.0.0.1'])) as good:
        both = ' '.join(each.environment['DNSCACHEIP']
                        for each in (bad, good))
        assert run_client(*ANY, 'a.example', server.port, 'true',
                          env={'DNSCACHEIP': both}).code == 0
        assert bad.questions and good.questions


def test_local_domain(family, server):
    """A word is looked for there first, a name with a dot as it is."""
    with name_server(zone(word_here_example=['127.0.0.1'],
                          a_b=['127.0.0.1'])) as dns:
        env = dict(dns.environment, LOCALDOMAIN='here.example')
        assert run_client(*ANY, 'word', server.port, 'true',
                          env=env).code == 0
        assert run_client(*ANY, 'a.b', server.port, 'true', env=env).code == 0
        assert run_client(*ANY, 'word.', server.port, 'true',
                          env=env).code == 111
        names = [question.name for question in dns.questions]
        assert set(names[:2]) == {'word.here.example'}
        assert 'a.b.here.example' not in names


@pytest.mark.parametrize('name', ['localhost', 'some.localhost.'])
def test_localhost_is_not_asked_for(family, server, name):
    with name_server(zone()) as dns:
        assert run_client(*ANY, name, server.port, 'true',
                          env=dns.environment).code == 0
        assert dns.questions == []


def test_names_of_both_ends(family, server):
    names = known({'127.0.0.1': 'Some.Example'})
    with name_server(names) as dns:
        env, _ = env_of('-X', '-N', '-e', '127.0.0.1', server.port,
                        env=dns.environment)
        for name in ('SSLREMOTEHOST', 'SSLLOCALHOST', 'TCPREMOTEHOST',
                     'TCPLOCALHOST'):
            assert env[name] == 'some.example', env
        env, _ = env_of('-X', '-N', '-H', '-l', 'me', '127.0.0.1',
                        server.port, env=dns.environment)
        assert 'SSLREMOTEHOST' not in env and env['SSLLOCALHOST'] == 'me'


def test_dead_name_servers_do_not_hold_the_program_long(family, server):
    """No name within ten seconds: it is unknown."""
    with name_server(lambda question: None) as dns:
        env, _ = env_of('-X', '-N', '127.0.0.1', server.port,
                        env=dns.environment)
        assert 'SSLREMOTEHOST' not in env and 'SSLLOCALHOST' not in env


@pytest.mark.root
def test_ident(family, peer, pki):
    context = server_context(pki.path('ecdsa.pem'), pki.path('ecdsa.key'))

    def serve(conn):
        with context.wrap_socket(conn, server_side=True) as tls:
            tls.unwrap()

    server = peer(serve, address=IDENT_CLIENT)
    with ident_server(IDENT_CLIENT, lambda remote, local: (
            '%d, %d : USERID : UNIX : somebody\r\n' % (remote, local)
    ).encode()) as ident:
        env, _ = env_of(*ANY, '-r', IDENT_CLIENT, server.port)
        assert env['SSLREMOTEINFO'] == 'somebody'
        assert ident.seen[0][1] == (server.port, int(env['SSLLOCALPORT']))


@pytest.mark.root
def test_silent_ident(family, peer, pki):
    """The program starts, without the name, when -t is over."""
    context = server_context(pki.path('ecdsa.pem'), pki.path('ecdsa.key'))

    def serve(conn):
        with context.wrap_socket(conn, server_side=True) as tls:
            tls.unwrap()

    server = peer(serve, address=IDENT_CLIENT)
    with ident_server(IDENT_CLIENT, lambda remote, local: None):
        env, _ = env_of(*ANY, '-r', '-t', '1', IDENT_CLIENT, server.port)
        assert 'SSLREMOTEINFO' not in env


# ---------------------------------------------------------------------------
# Attempts

class Silent:
    """An address that answers nothing: a listener whose queue is full."""

    def __init__(self, address, port=0):
        family = socket.AF_INET6 if ':' in address else socket.AF_INET
        self.sockets = [socket.socket(family)]
        self.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sockets[0].bind((address, port))
        self.sockets[0].listen(0)
        self.port = self.sockets[0].getsockname()[1]
        for _ in range(8):
            filler = socket.socket(family)
            filler.setblocking(False)
            filler.connect_ex((address, self.port))
            self.sockets.append(filler)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sock in self.sockets:
            sock.close()


def test_families_race(family, server):
    """A silent address of one family does not hold up the other one."""
    with Silent('::1', server.port), \
            name_server(zone(a_example=['127.0.0.1', '::1'])) as dns:
        result = run_client('-v', '-T', '600', *ANY, 'a.example',
                            server.port, 'echo', 'ran', env=dns.environment)
    assert result.code == 0 and result.out == 'ran\n'
    assert 'connected to 127.0.0.1 port %d' % server.port in result.err
    # It was left, and has not failed.
    assert '::1' not in result.err


def test_refused_by_one_family(family, server):
    with name_server(zone(a_example=['127.0.0.1', '::1'])) as dns:
        result = run_client('-v', *ANY, 'a.example', server.port, 'echo',
                            'ran', env=dns.environment)
    assert result.code == 0 and result.out == 'ran\n'
    assert 'unable to connect to ::1 port %d: ' % server.port in result.err


def test_one_after_the_other(family, server):
    """Of one family: the silent one has its time first."""
    with Silent('127.0.0.2', server.port), \
            name_server(zone(a_example=['127.0.0.2', '127.0.0.1'])) as dns:
        result = run_client('-v', '-T', '1+0', *ANY, 'a.example',
                            server.port, 'echo', 'ran', env=dns.environment)
    assert result.code == 0 and result.out == 'ran\n'
    assert ('unable to connect to 127.0.0.2 port %d: Connection timed out'
            % server.port) in result.err


def test_all_fail(family, server):
    """One line names each with its reason; with -v one for each before."""
    with Silent('127.0.0.2', server.port), \
            name_server(zone(a_example=['127.0.0.3', '127.0.0.2'])) as dns:
        words = ['-T', '1+1', *ANY, 'a.example', server.port, 'echo', 'ran']
        result = run_client(*words, env=dns.environment)
        loud = run_client('-v', *words, env=dns.environment)
    line = ('sslclient: fatal: (111) unable to connect to a.example port %d: '
            '127.0.0.3: Connection refused; 127.0.0.2: Connection timed out\n'
            % server.port)
    assert result == (111, '', line)
    assert loud.code == 111 and loud.err.endswith(line)
    each = 'unable to connect to 127.0.0.%d port'
    # The silent one had a second chance, the other one not.
    assert loud.err.count(each % 2) == 2 and loud.err.count(each % 3) == 1


def test_too_late(family, server):
    with Silent('127.0.0.2') as silent:
        result = run_client('-T', '1', '127.0.0.2', silent.port, 'true')
    assert result.code == 111
    assert 'Connection timed out' in result.err


# ---------------------------------------------------------------------------
# The local end

def test_local_address_and_port(family, server):
    with socket.socket() as sock:
        sock.bind(('127.0.0.7', 0))
        port = sock.getsockname()[1]
    env, _ = env_of(*ANY, '-i', '127.0.0.7', '-p', port, '127.0.0.1',
                    server.port)
    assert env['SSLLOCALIP'] == '127.0.0.7'
    assert env['SSLLOCALPORT'] == str(port)
    server.stop()
    assert server.seen == [('127.0.0.7', port)]


def test_local_address_chooses_the_family(family, server):
    with name_server(zone(a_example=['::1', '127.0.0.1'])) as dns:
        result = run_client('-v', *ANY, '-i', '127.0.0.7', 'a.example',
                            server.port, 'true', env=dns.environment)
    assert result.code == 0 and '::1' not in result.err


def test_local_address_of_somebody_else(family, server):
    result = run_client(*ANY, '-i', '192.0.2.1', '127.0.0.1', server.port,
                        'echo', 'ran')
    assert result.code == 111 and result.out == ''
    assert 'Cannot assign requested address' in result.err


@pytest.mark.root
def test_low_local_port(family, server):
    """It takes the rights of the start, which are still there."""
    env, _ = env_of(*ANY, '-p', '1023', '-i', '127.0.0.8', '127.0.0.1',
                    server.port)
    assert env['SSLLOCALPORT'] == '1023'


@pytest.mark.root
@pytest.mark.parametrize('host, options', [
    ('fe80::2%lo0', None), ('fe80::2%far', []), ('fe80::2', ['-I', 'far'])])
def test_link_local(family, pki, host, options):
    """With its interface in the address or in -I."""
    with neighbours():
        if options is None:
            result = run_client(host, '1', 'true')
            assert result.code == 111 and 'lo0' in result.err
            return
        result = run_client(*options, host, '1', 'true')
        assert result.code == 111, result
        assert 'unable to connect to %s port 1: ' % host in result.err, result
        listener = socket.socket(socket.AF_INET6)
        with listener:
            index = socket.if_nametoindex('far')
            listener.bind(('fe80::2', 0, 0, index))
            listener.listen(5)
            port = listener.getsockname()[1]
            context = server_context(pki.path('ecdsa.pem'),
                                     pki.path('ecdsa.key'))

            def serve():
                conn, _ = listener.accept()
                with context.wrap_socket(conn, server_side=True) as tls:
                    tls.unwrap()

            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            env, _ = env_of(*ANY, '-e', *options, host, port)
            thread.join(30)
    assert env['SSLREMOTEIP'] == 'fe80::2'
    assert env['PROTO'] == 'TCP6'
    if options:
        assert env['SSLINTERFACE'] == env['TCP6INTERFACE'] == 'far'


def test_no_delay(family, server, workdir):
    """-D sets TCP_NODELAY before the first byte, -d does not."""
    for option, expected in (('-D', True), ('-d', False)):
        trace = os.path.join(workdir, 'trace' + option)
        found = run_traced(trace, *ANY, option, '127.0.0.1', server.port,
                           'true')
        assert ('TCP_NODELAY' in found) == expected


def run_traced(path, *arguments):
    """The system calls on sockets that the caller makes."""
    command = find_command('strace')
    if command is None:
        pytest.skip('no strace here')
    done = subprocess.run(
        [command, '-o', path, '-e', 'trace=setsockopt,connect', SSLCLIENT] +
        [str(word) for word in arguments], env=client_environment(),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, timeout=120)
    if b'PTRACE' in done.stderr or b'ptrace' in done.stderr:
        pytest.skip('no tracing here')
    assert done.returncode == 0, done
    with open(path, encoding='latin-1') as file:
        return file.read()


def test_service_by_name(family):
    """https is 443: nobody is there on this address, and that is said."""
    if is_listening(443):
        pytest.skip('somebody listens on port 443 here')
    result = run_client('127.0.0.1', 'https', 'true')
    assert result.code == 111 and 'port 443' in result.err
