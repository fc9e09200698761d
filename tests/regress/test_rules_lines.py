"""Goal: who runs the server learns from its lines which rules are in force,
which one decided, and which cannot work."""

import os
import re
import signal
import time

import pytest

from admission import (IDENT_CLIENT, denied, ident_server, known, make_rules,
                       name_server)
from harness import run_server, wait_for


@pytest.fixture
def rules(workdir):
    """rules(NAME, TEXT): the path of a table."""
    return lambda name, text: make_rules(os.path.join(workdir, name), text)


# ---------------------------------------------------------------------------
# Tables in force

def in_force(server, path):
    """What the lines about it say: which option, whose process, bytes."""
    found = [re.fullmatch(r'sslserver: (\w+) (\d+) %s (\d+)'
                          % re.escape(path), line)
             for line in server.lines()]
    return [(match[1], int(match[2]), int(match[3]))
            for match in found if match]


@pytest.mark.parametrize('option, name', [('-y', 'earlyrules'),
                                          ('-x', 'rules')])
def test_tables_in_force(start, rules, option, name):
    """A line for the first and for each new one, and for nothing else."""
    path = rules('rules.cdb', '127.0.0.2:deny\n')
    server = start(options=[option, path])
    monitor = server.pid('monitor')
    expected = [(name, monitor, os.path.getsize(path))]
    wait_for(lambda: in_force(server, path) == expected, 2, 'the line')
    rules('rules.cdb', '127.0.0.3:deny\n10.0.0.0/8:deny\n')
    expected.append((name, monitor, os.path.getsize(path)))
    wait_for(lambda: in_force(server, path) == expected, 2, 'the next line')
    assert expected[0] != expected[1]
    # The same bytes again, and something that is no table.
    rules('rules.cdb', '127.0.0.3:deny\n10.0.0.0/8:deny\n')
    time.sleep(1)
    with open(path, 'wb') as file:
        file.write(b'no table')
    server.wait_log('is no table of rules')
    assert in_force(server, path) == expected
    server.signal(signal.SIGKILL, monitor)
    wait_for(lambda: len(in_force(server, path)) == 3, 10, 'a new monitor')
    assert in_force(server, path)[2] == (
        name, server.pid('monitor'), expected[1][2])


def test_quiet_about_tables(start, rules):
    path = rules('rules.cdb', '127.0.0.2:deny\n')
    server = start(options=['-x', path], log='-Q')
    server.check_service()
    assert server.log() == ''


# ---------------------------------------------------------------------------
# Which rule decided

@pytest.mark.parametrize('option', ['-y', '-x'])
def test_the_rule_that_denies(start, rules, option):
    """As the rule file spells it; -v does not show it."""
    path = rules('rules.cdb', '127.0.0.2:deny\n127.0.1.:deny\n'
                 '127.0.2.0/24:deny\n127.0.0.1:allow\n:deny\n')
    for log in ('-V', '-v'):
        server = start(options=[option, path], log=log)
        server.check_service()
        for ip, rule in (('127.0.0.2', '127.0.0.2'), ('127.0.1.9', '127.0.1.'),
                         ('127.0.2.9', '127.0.2.0/24'),
                         ('127.0.0.3', 'default')):
            assert server.is_refused(source=ip)
            server.wait_log(denied(
                server, ip, extra=' rule ' + rule if log == '-V' else ''))


def test_the_rule_by_name_and_user_that_denies(start, rules):
    path = rules('rules.cdb', '=.bad.example:deny\njoe@%s:deny\n'
                 % IDENT_CLIENT)
    names = {'127.0.0.2': 'a.bad.example'}
    with name_server(known(names)) as dns, ident_server(
            IDENT_CLIENT, lambda theirs, ours:
            b'%d, %d : USERID : UNIX : joe\r\n' % (theirs, ours)):
        server = start(options=['-r', '-x', path], log='-V',
                       env=dns.environment)
        assert server.is_refused(source='127.0.0.2')
        server.wait_log(denied(server, '127.0.0.2', r'a\.bad\.example',
                               extra=r' rule =\.bad\.example'))
        assert server.is_refused(source=IDENT_CLIENT)
        server.wait_log(denied(server, IDENT_CLIENT, info='joe',
                               extra=' rule joe@' + IDENT_CLIENT))


@pytest.mark.parametrize('option', ['-y', '-x'])
def test_the_rule_whose_limit_denies(start, rules, option):
    path = rules('rules.cdb', '127.0.7.:allow,MAXCONIP="1"\n')
    server = start(options=[option, path], log='-V')
    with server.connect(source='127.0.7.2') as client:
        client.echo(b'x')
        assert server.is_refused(source='127.0.7.2')
        server.wait_log(denied(
            server, '127.0.7.2', extra=r' rule 127\.0\.7\. '
            'ip connection limit:1 exceeded'))


def test_no_rule_no_name(start, workdir):
    """Refused because there is no table: no rule did that."""
    server = start(options=['-x', os.path.join(workdir, 'none.cdb')],
                   log='-V')
    assert server.is_refused()
    server.wait_log(denied(server, '127.0.0.1'))


# ---------------------------------------------------------------------------
# Rules that cannot be followed

def defects(server, path):
    head = 'sslserver: error: (111) rule file %s, ' % path
    return [line.removeprefix(head) for line in server.lines()
            if line.startswith(head)]


@pytest.mark.parametrize('option', ['-y', '-x'])
@pytest.mark.parametrize('variable, reason', [
    ('MAXCONIP="many"', 'MAXCONIP=many: it is no number of connections '
     '(0: no limit)'),
    ('MAXCONNET="5"', 'MAXCONNET=5: it is not n/bits'),
    ('A="%s"' % ('x' * 17000), 'A=%s...: the variables are too many or too '
     'long' % ('x' * 98)),
], ids=['MAXCONIP', 'MAXCONNET', 'length'])
def test_defects_of_rules(start, rules, option, variable, reason):
    """File, rule, value, reason and client; once, however many come."""
    path = rules('rules.cdb', '127.0.7.:allow,%s\n:allow\n' % variable)
    server = start(options=[option, path])
    for number in range(2, 8):
        assert server.is_refused(source='127.0.7.%d' % number)
    server.wait_log('^sslserver: deny', count=6)
    expected = 'rule 127.0.7.: %s; refused: 127.0.7.' % reason
    assert defects(server, path) == [expected + '2']
    server.check_service()
    # A new table is another matter.
    rules('rules.cdb', '127.0.7.:allow,%s\n127.0.0.2:deny\n' % variable)
    wait_for(lambda: server.is_refused(source='127.0.0.2'), 2,
             'the new table')
    assert server.is_refused(source='127.0.7.9')
    server.wait_log('; refused: 127.0.7.9$')
    assert defects(server, path) == [expected + '2', expected + '9']


def test_defects_do_not_flood(start, rules):
    """Of many rules, the first ones to be met are told of."""
    path = rules('rules.cdb', ''.join(
        '127.0.7.%d:allow,MAXCONIP=""\n' % number
        for number in range(1, 101)))
    server = start(options=['-y', path])
    for _ in range(2):
        for number in range(1, 101):
            assert server.is_refused(source='127.0.7.%d' % number)
    server.wait_log('^sslserver: deny', count=200)
    assert [line.partition(':')[0] for line in defects(server, path)] == [
        'rule 127.0.7.%d' % number for number in range(1, 17)]


# ---------------------------------------------------------------------------
# Rules and options that do not fit each other

def warnings(server):
    return [line.removeprefix('sslserver: warning: ')
            for line in server.lines('^sslserver: warning: ')]


NAMES, USERS = '=a.example:deny\n', 'joe@127.0.0.2:deny\n'
OFF_H = 'rule file %s: rules with = fit nobody, as -H looks no names up'
OFF_R = 'rule file %s: rules with @ fit nobody, as users are asked for ' \
    'with -r only'
BY_NAME = ':allow,CCAVERIFY="z"\n'
BY_CERT = '127.0.0.9:allow,CCAVERIFY="m"\n'
OFF_NAME = 'rule file %s: rules with CCAVERIFY=z match no name, as -H looks ' \
    'no names up'
OFF_CERT = 'rule file %s: rules with CCAVERIFY refuse everybody, as none of ' \
    'CAFILE, CADIR, CCAFILE and CCADIR is set'
EARLY = 'rule file %s: rules with %s fit nobody, as -y looks at addresses ' \
    'alone'


@pytest.mark.parametrize('options, text, expected', [
    (['-H', '-x'], NAMES, [OFF_H]), (['-h', '-x'], NAMES, []),
    (['-R', '-x'], USERS, [OFF_R]), (['-r', '-x'], USERS, []),
    (['-H', '-x'], NAMES + USERS, [OFF_H, OFF_R]),
    (['-H', '-x'], '127.0.0.2:deny,A="=@"\n10.0.0.0/8:deny\n:allow\n', []),
    (['-h', '-r', '-y'], NAMES + USERS, [EARLY, EARLY]),
], ids=str)
def test_rules_that_fit_nobody(start, rules, options, text, expected):
    """One line for each kind, and no second one for the next table."""
    path = rules('rules.cdb', text)
    server = start(options=[*options, path], log='-Q')
    expected = [line % ((path, mark) if line == EARLY else path)
                for line, mark in zip(expected, '=@')]
    assert warnings(server) == expected
    rules('rules.cdb', text + '127.0.0.3:deny\n')
    wait_for(lambda: server.is_refused(source='127.0.0.3'), 2,
             'the new table')
    assert warnings(server) == expected


def test_rules_that_fit_nobody_come_later(start, rules):
    """A new table can have them, too; --check sees those of the start."""
    path = rules('rules.cdb', ':allow\n')
    server = start(options=['-x', path])
    assert warnings(server) == []
    rules('rules.cdb', USERS)
    wait_for(lambda: warnings(server) == [OFF_R % path], 2, 'a line')


@pytest.mark.parametrize('options, sentence', [
    (['-p', '-H'], '-p is without effect with -H'),
    (['-X'], '-X is without effect without -x or -y'),
    (['-p', '-H', '-h'], None), (['-H'], None), (['-p', '-H', '-P'], None),
    (['-X', '-x'], None), (['-X', '-y'], None),
], ids=str)
def test_options_without_effect(pki, rules, options, sentence):
    path = rules('rules.cdb', ':allow\n')
    words = options + [path] if options[-1] in ('-x', '-y') else options
    words = ['--check'] + words + ['127.0.0.1', '0', '/bin/cat']
    result = run_server(words, env=pki.ecdsa)
    assert result.code == 0, result
    assert result.err == ('' if sentence is None else
                          'sslserver: warning: %s\n' % sentence), result
    assert run_server(['-q', *words], env=pki.ecdsa).err == ''


def test_check_warns_of_rules(pki, rules):
    path = rules('rules.cdb', NAMES)
    result = run_server(['--check', '-H', '-x', path, '127.0.0.1', '0',
                         '/bin/cat'], env=pki.ecdsa)
    assert result.code == 0, result
    assert OFF_H % path in result.err, result


@pytest.mark.parametrize('options, text, settings, expected', [
    ('-H', BY_NAME, {}, [OFF_NAME, OFF_CERT]),
    ('-H', BY_NAME, {'CCAFILE': '-'}, [OFF_NAME, OFF_CERT]),
    ('-H', BY_NAME, {'CAFILE': 'root.pem'}, [OFF_NAME]),
    ('-h', BY_NAME, {'CCAFILE': 'root.pem'}, []),
    ('-h', BY_NAME, {}, [OFF_CERT]),
    ('-H', BY_CERT, {'CAFILE': ''}, [OFF_CERT]),
    ('-H', BY_CERT, {'CCADIR': ''}, [OFF_CERT]),
    ('-H', BY_CERT, {'CAFILE': 'root.pem'}, []),
    ('-H', BY_CERT.replace('allow', 'deny'), {}, []),
    ('-H', ':allow,CCAVERIFY=""\n', {}, []),
], ids=str)
@pytest.mark.parametrize('file', ['-x', '-y'])
def test_check_warns_of_certificates(pki, rules, file, options, text, settings,
                                     expected):
    """What rules ask for in vain, or of clients who cannot have it."""
    path = rules('rules.cdb', text)
    env = dict(pki.ecdsa)
    env.update((name, pki.path(value) if value.endswith('.pem') else value)
               for name, value in settings.items())
    result = run_server(['--check', options, file, path, '127.0.0.1', '0',
                         '/bin/cat'], env=env)
    assert result.code == 0, result
    assert result.err == ''.join('sslserver: warning: %s\n' % (line % path)
                                 for line in expected), result


def test_rules_about_certificates_come_later(start, rules):
    """As the table comes into force, once."""
    path = rules('rules.cdb', ':allow\n')
    server = start(options=['-H', '-x', path], log='-Q')
    expected = []
    for text, line in ((BY_CERT, OFF_CERT), (BY_NAME, OFF_NAME)):
        rules('rules.cdb', text)
        expected.append(line % path)
        wait_for(lambda: warnings(server) == expected, 2, 'a line')
    rules('rules.cdb', BY_NAME + '127.0.0.3:deny\n')
    wait_for(lambda: server.is_refused(source='127.0.0.3'), 2,
             'the new table')
    assert warnings(server) == expected
