"""Goal: with -r the client's machine is asked who the client is; whatever
it says, or does not say, is bounded, printable and no reason to wait."""

import os
import threading
import time

import pytest

from admission import IDENT_CLIENT as CLIENT
from admission import environment_of, ident_server, make_rules, name_server
from harness import fields_of_ok, tool, wait_for


def info_of(server):
    env = environment_of(server, source=CLIENT)
    assert env.get('SSLREMOTEINFO') == env.get('TCPREMOTEINFO')
    return env.get('TCPREMOTEINFO')


def userid(user):
    return lambda theirs, ours: b'%d , %d : USERID : UNIX :%s\r\n' % (
        theirs, ours, user)


def test_answer(start):
    """Asked about this connection, from its local address."""
    with ident_server(CLIENT, userid(b' joe')) as ident:
        server = start(tool('showstate'), options=['-r'], host='0')
        env = environment_of(server, address='127.0.0.9', source=CLIENT)
        assert env['TCPREMOTEINFO'] == env['SSLREMOTEINFO'] == 'joe'
        assert ident.seen == [
            ('127.0.0.9', (int(env['TCPREMOTEPORT']), server.port))]
        _, remote = fields_of_ok(server)
        assert remote == '%s:%s:joe:%s' % (
            env.get('TCPREMOTEHOST', ''), CLIENT, env['TCPREMOTEPORT'])


@pytest.mark.parametrize('options', [[], ['-R'], ['-r', '-R']],
                         ids=['default', '-R', '-r -R'])
def test_not_asked(start, options):
    with ident_server(CLIENT, userid(b' joe')) as ident:
        server = start(tool('showstate'), options=options)
        assert info_of(server) is None
        assert ident.seen == []


@pytest.mark.parametrize('user, shown', [
    (b'joe', 'joe'), (b' a b', 'a b'), (b' x:y', 'x:y'),
    (b' a\x01b\x1b[2J', 'a?b?[2J'), (b' \xfc\xff', '??'),
    (b' tab\there', 'tab?here'), (b' ' + b'u' * 512, 'u' * 512),
    # A name cut short would be a false one.
    (b' ' + b'u' * 513, None), (b' ' + b'u' * 100000, None),
    (b'', None), (b' ', None),
], ids=['plain', 'blank', 'colon', 'control', 'high', 'tab', '512', '513',
        'endless', 'empty', 'blanks'])
def test_user_is_bounded_and_printable(start, user, shown):
    with ident_server(CLIENT, userid(user)):
        server = start(tool('showstate'), options=['-r', '-t', '60'])
        assert info_of(server) == shown
        for line in server.log().splitlines():
            assert len(line) < 1000 and line.isprintable(), line


def test_newline_in_a_name_ends_it(start):
    """One event stays one line."""
    with ident_server(CLIENT, userid(b' joe\nsslserver: ok 1 evil')):
        server = start(tool('showstate'), options=['-r'])
        assert info_of(server) in (None, 'joe')
        assert not server.lines('evil')


BAD_REPLIES = {
    'error': lambda a, b: b'%d , %d : ERROR : NO-USER\r\n' % (a, b),
    'hidden': lambda a, b: b'%d , %d : ERROR : HIDDEN-USER\r\n' % (a, b),
    'end': lambda a, b: b'',
    'empty line': lambda a, b: b'\r\n',
    'garbage': lambda a, b: bytes(range(256)) * 20,
    'no line end': lambda a, b: b'%d , %d : USERID' % (a, b),
    'other ports': lambda a, b: b'%d , %d : USERID : UNIX : evil\r\n' % (
        a, b ^ 1),
    'swapped ports': lambda a, b: b'%d , %d : USERID : UNIX : evil\r\n' % (
        b, a),
    'huge ports': lambda a, b: b'%d , %d : USERID : UNIX : evil\r\n' % (
        a + 65536, b + 65536),
    'no ports': lambda a, b: b'USERID : UNIX : evil\r\n',
    'nul': lambda a, b: b'%d , %d : USERID : UNIX\0 : evil' % (a, b),
}


@pytest.mark.parametrize('kind', BAD_REPLIES)
def test_bad_reply_is_unknown(start, kind):
    with ident_server(CLIENT, BAD_REPLIES[kind]):
        server = start(tool('showstate'), options=['-r', '-t', '60'])
        began = time.monotonic()
        assert info_of(server) is None
        assert time.monotonic() - began < 30
        assert not server.lines('evil')


def test_nobody_listens(start):
    """The ordinary case costs no time."""
    server = start(tool('showstate'), options=['-r'])
    began = time.monotonic()
    assert info_of(server) is None
    assert time.monotonic() - began < 20


def test_silence_lasts_as_long_as_t(start):
    """And costs nobody else anything, nor a process."""
    with ident_server(CLIENT, lambda theirs, ours: None):
        server = start(tool('showstate'), options=['-r', '-t', '1'])
        began = time.monotonic()
        assert info_of(server) is None
        assert 0.9 < time.monotonic() - began < 20
        slow = start(options=['-r', '-t', '3'])
        threads = [threading.Thread(target=slow.check_service, kwargs={
            'source': CLIENT}) for _ in range(10)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        while time.monotonic() - began < 1.5:
            slow.check_service()
            # Of others, if any: none of the ten has one.
            assert len(slow.pids('session')) < 5
            assert not slow.lines('from ' + CLIENT)
        for thread in threads:
            thread.join()
        slow.wait_log('pid .* from ' + CLIENT, count=10)
        slow.wait_idle()


def test_a_reply_in_drops_has_the_same_deadline(start):
    """A byte now and then does not put it off."""
    stop = threading.Event()

    def drops(theirs, ours):
        stop.wait(2.5)
        return b'%d , %d : USERID : UNIX : late\r\n' % (theirs, ours)

    with ident_server(CLIENT, drops):
        server = start(tool('showstate'), options=['-r', '-t', '1'])
        assert info_of(server) is None
        stop.set()
        assert not server.lines('late')


def test_names_and_ident_together(start):
    """A dead name server and a silent machine: each has its own time."""
    with ident_server(CLIENT, lambda theirs, ours: None), \
            name_server(lambda question: None) as dns:
        server = start(tool('showstate'), env=dns.environment,
                       options=['-r', '-t', '1', '-l', 'here'])
        began = time.monotonic()
        assert info_of(server) is None
        assert time.monotonic() - began < 30


def test_rule_by_user(start, workdir):
    path = make_rules(os.path.join(workdir, 'x.cdb'),
                      'joe@{0}:allow,WHO="joe"\n'
                      'a?b@{0}:allow,WHO="odd"\n'
                      '{0}:allow,WHO="somebody"\n'.format(CLIENT))
    user = [b'']
    with ident_server(CLIENT,
                      lambda theirs, ours: userid(user[0])(theirs, ours)):
        server = start(tool('showstate'), options=['-r', '-x', path])
        for user[0], who in ((b' joe', 'joe'), (b' a\x07b', 'odd'),
                             (b' Joe', 'somebody'), (b'', 'somebody')):
            env = environment_of(server, source=CLIENT)
            assert env['WHO'] == who


def test_denied_early_is_not_asked(start, workdir):
    path = make_rules(os.path.join(workdir, 'y.cdb'), CLIENT + ':deny\n')
    with ident_server(CLIENT, userid(b' joe')) as ident:
        server = start(options=['-r', '-y', path])
        assert server.is_refused(source=CLIENT)
        server.wait_log('^sslserver: deny 0 ')
        assert ident.seen == []
        server.check_service()
        wait_for(lambda: server.lines('^sslserver: ended by'), 5)
