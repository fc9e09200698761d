"""Wrong use is one sentence and exit 100, before anything is started."""

import pytest

from harness import run_server

TAIL = ['127.0.0.1', '0', '/bin/cat']

MISSING_WORDS = [
    [],
    ['127.0.0.1'],
    ['127.0.0.1', '0'],
    ['-v'],
]

BAD_OPTIONS = [
    ['-a'], ['-f'], ['-j'], ['-k'], ['-vj'], ['-?'],
    ['--unknown'], ['--check=yes'], ['--strict-close=1'],
    ['-c', '0'], ['-c', ''], ['-c', 'x'], ['-c', '-1'], ['-c', '1x'],
    ['-c', '+1'], ['-c', ' 1'], ['-c0x10'],
    ['-c', '99999999999999999999'],
    ['-b', 'x'], ['-b', '-1'], ['-b', '99999999999'],
    ['-T', 'x'], ['-T', '-1'], ['-T', '99999999999999999999'],
    ['-w', 'x'], ['-w', '-1'], ['-t', 'x'], ['-t', '-1'],
    ['-u', '99999999999'], ['-u', '4294967295'], ['-g', '99999999999'],
    ['-g', '4294967295'],
    ['--drain', 'x'], ['--drain', '-1'], ['--kill-after', 'x'],
    ['--kill-after', '-1'], ['--keep-fd', 'x'], ['--keep-fd', '-1'],
    ['--keepers', '0'], ['--keepers', 'x'], ['--keepers', '100000'],
    ['-B', 'x' * 1001],
]

NOT_BUILT = [
    ['-3'], ['-e'], ['-h'], ['-m'], ['-n'], ['-p'], ['-r'], ['-s'], ['-X'],
    ['-z'], ['-x', 'rules.cdb'], ['-y', 'rules.cdb'], ['--strict-names'],
    ['-vn'], ['-Hh'], ['-S', '-s'],
]

# Each takes a value and is the last word: the value is missing.
TAKES_VALUE = [
    '-c', '-b', '-B', '-u', '-g', '-l', '-t', '-T', '-w', '-I', '--root',
    '--drain', '--kill-after', '--keep-fd', '--keepers',
]

BAD_ADDRESSES = [
    ['127.0.0.1', '65536', '/bin/cat'],
    ['127.0.0.1', '-1', '/bin/cat'],
    ['127.0.0.1', '1x', '/bin/cat'],
    ['127.0.0.1', '99999999999999999999', '/bin/cat'],
    ['127.0.0.1', '', '/bin/cat'],
    ['-4', '::1', '0', '/bin/cat'],
    ['-6', '127.0.0.1', '0', '/bin/cat'],
    ['-4', '::', '0', '/bin/cat'],
    ['-6', '0', '0', '/bin/cat'],
]


def check_usage_error(arguments, pki, **settings):
    result = run_server(arguments, env=pki.ecdsa, **settings)
    assert result.code == 100, result
    assert result.out == ''
    assert result.err.startswith(('sslserver: usage: ',
                                  'sslserver: fatal: (100) ')), result.err


def words(value):
    return ' '.join(word[:20] for word in value) or 'none'


@pytest.mark.parametrize('arguments', MISSING_WORDS, ids=words)
def test_missing_words(arguments, pki):
    check_usage_error(arguments, pki)


@pytest.mark.parametrize('options', BAD_OPTIONS, ids=words)
def test_bad_option(options, pki):
    check_usage_error(options + TAIL, pki, identity='-u' not in options)


@pytest.mark.parametrize('options', NOT_BUILT, ids=words)
def test_option_not_built_yet(options, pki):
    check_usage_error(options + TAIL, pki)


@pytest.mark.parametrize('option', TAKES_VALUE)
def test_missing_value(option, pki):
    check_usage_error([option], pki)


@pytest.mark.parametrize('arguments', BAD_ADDRESSES, ids=words)
def test_bad_address(arguments, pki):
    check_usage_error(arguments, pki)


def test_one_line_only(pki):
    result = run_server(['-c', '0'] + TAIL, env=pki.ecdsa)
    assert result.err.count('\n') == 1 and result.err.endswith('\n')


def test_usage_comes_before_files():
    """A missing certificate is not even looked for."""
    result = run_server(['-c', 'x'] + TAIL, env={'CERTFILE': '/nonexistent'})
    assert result.code == 100
    assert 'nonexistent' not in result.err


def test_help():
    result = run_server(['--help'], identity=False)
    assert result.code == 0
    assert result.err == ''
    for option in ('-c', '-T', '--strict-close', '--kill-after', '--drain'):
        assert option in result.out


def test_version():
    """The version, and the TLS library of each executable that has one."""
    result = run_server(['--version'], identity=False)
    assert result.code == 0
    assert 'ucspi-ssl' in result.out
    for name in ('sslserver', 'keeper', 'nursery'):
        assert name in result.out
    assert result.out.count('OpenSSL') + result.out.count('LibreSSL') >= 2


def test_later_option_wins(start):
    """Of two opposite letters the later one counts; letters cluster."""
    server = start(options=['-vqvDdDoOEHPRNZS', '-c3', '-c', '7', '-b9'])
    server.check_service()
    assert server.announced.endswith('[7/7]\n') or '[7/' in server.announced
    assert server.lines('^sslserver: status:')


def test_end_of_options(start):
    """Words of the program that look like options belong to it."""
    server = start('/bin/sh', '-c', 'echo "$0"', '-z', options=['--'])
    assert server.exchange() == b'-z\n'


@pytest.mark.parametrize('text', ['-H', '-P', '-R', '-N', '-Z', '-S', '-o',
                                  '-O', '-d', '-D', '-E', '-4', '-t26'])
def test_harmless_letter(start, text):
    start(options=[text]).check_service()
