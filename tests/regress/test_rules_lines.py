"""Goal: who runs the server learns from its lines which rules are in force,
which one decided, and which cannot work."""

import os

import pytest

from admission import make_rules
from harness import run_server, wait_for


@pytest.fixture
def rules(workdir):
    """rules(NAME, TEXT): the path of a table."""
    return lambda name, text: make_rules(os.path.join(workdir, name), text)


# ---------------------------------------------------------------------------
# Rules and options that do not fit each other

def warnings(server):
    return [line.removeprefix('sslserver: warning: ')
            for line in server.lines('^sslserver: warning: ')]


NAMES, USERS = '=a.example:deny\n', 'joe@127.0.0.2:deny\n'
OFF_H = 'rule file %s: rules with = fit nobody, as -H looks no names up'
OFF_R = 'rule file %s: rules with @ fit nobody, as users are asked for ' \
    'with -r only'
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
