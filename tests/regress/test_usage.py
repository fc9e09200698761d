"""Wrong use is one sentence and exit 100, before anything is started."""

import os
import resource
import shutil

import pytest

from harness import ROOT, SANITIZED, run_server

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
    ['--conn', '3'], ['--conn=3'], ['--verb'], ['--no'],
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

# Each takes a value and is the last word: the value is missing.
TAKES_VALUE = [
    '-c', '-b', '-B', '-u', '-g', '-l', '-t', '-T', '-w', '-x', '-y', '-I',
    '--root', '--drain', '--kill-after', '--keep-fd', '--keepers',
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


@pytest.mark.parametrize('option', TAKES_VALUE)
def test_missing_value(option, pki):
    check_usage_error([option], pki)


@pytest.mark.parametrize('arguments', BAD_ADDRESSES, ids=words)
def test_bad_address(arguments, pki):
    check_usage_error(arguments, pki)


def test_one_line_only(pki):
    result = run_server(['-c', '0'] + TAIL, env=pki.ecdsa)
    assert result.err.count('\n') == 1 and result.err.endswith('\n')


SENTENCES = [
    (['-c', 'x'], '-c (--connections) takes a whole number from 1 to '
                  '1000000, not x'),
    (['--connections=0'], '--connections takes a whole number from 1 to '
                          '1000000, not 0'),
    (['--quiet=1'], '--quiet takes no value'),
    (['--conn', '3'], 'unknown option: --conn'),
    (['--conn=3'], 'unknown option: --conn'),
    (['-vj'], 'unknown option: -j'),
    (['-B', 'x' * 1001], '-B (--greeting) has more than 1000 bytes'),
    (['-g', '4294967295'], '-g: bad gid 4294967295'),
]


@pytest.mark.parametrize('options, sentence', SENTENCES,
                         ids=lambda value: words(value)[:40])
def test_messages_name_what_was_typed(options, sentence, pki):
    result = run_server(options + TAIL, env=pki.ecdsa, identity=False)
    assert result.code == 100
    assert result.err == 'sslserver: fatal: (100) %s\n' % sentence


@pytest.mark.parametrize('options, env, sentence', [
    (['-u', 'nosuch'], {}, '-u: unknown user nosuch'),
    (['-g', 'nosuch'], {}, '-g: unknown group nosuch'),
    ([], {'SSL_UID': 'nosuch'}, 'SSL_UID: unknown user nosuch'),
    ([], {'SSL_GROUP': 'nosuch'}, 'SSL_GROUP: unknown group nosuch'),
    ([], {'SSLNET_USER': 'nosuch'}, 'SSLNET_USER: unknown user nosuch'),
    ([], {'SSLMON_USER': 'nosuch'}, 'SSLMON_USER: unknown user nosuch'),
], ids=str)
def test_unknown_names_say_who_gave_them(options, env, sentence, pki):
    result = run_server(options + TAIL, env=dict(pki.ecdsa, **env),
                        identity=False)
    assert result.code == 111
    assert result.err == 'sslserver: fatal: (111) %s\n' % sentence


def test_usage_line_shows_the_way_to_the_help():
    result = run_server([], identity=False)
    assert result.err.endswith('; see sslserver --help\n')


def warnings_of_check(pki, options=(), program='/bin/cat', **env):
    result = run_server(['--check', *options, '127.0.0.1', '0', program],
                        env=dict(pki.ecdsa, **env))
    assert result.code == 0, result
    return result.err


def test_program_that_cannot_be_run_is_a_warning(pki, workdir):
    path = os.path.join(workdir, 'program')
    line = 'sslserver: warning: unable to run %s: %s\n'
    os.chmod(workdir, 0o755)
    assert warnings_of_check(pki, program=path) == \
        line % (path, 'No such file or directory')
    with open(path, 'w', encoding='ascii') as file:
        file.write('#!/bin/sh\n')
    os.chmod(path, 0o644)
    assert warnings_of_check(pki, program=path) == \
        line % (path, 'Permission denied')
    assert warnings_of_check(pki, ['-q'], program=path) == ''
    os.chmod(path, 0o755)
    assert warnings_of_check(pki, program=path) == ''
    assert warnings_of_check(pki, program=workdir) == \
        line % (workdir, 'Permission denied')
    assert warnings_of_check(pki, program='no-such-program') == ''


@pytest.mark.root
def test_program_is_tried_as_its_user(pki, workdir):
    path = os.path.join(workdir, 'program')
    os.chmod(workdir, 0o755)
    shutil.copy('/bin/cat', path)
    os.chmod(path, 0o700)
    assert 'unable to run %s: Permission denied' % path in \
        warnings_of_check(pki, program=path)


@pytest.mark.root
def test_program_is_looked_for_under_its_root(pki, workdir):
    """An absolute link means what it means to the program."""
    os.chmod(workdir, 0o755)
    os.mkdir(os.path.join(workdir, 'real'))
    shutil.copy('/bin/cat', os.path.join(workdir, 'real', 'program'))
    os.symlink('/real/program', os.path.join(workdir, 'program'))
    root = ['--root', workdir]
    assert warnings_of_check(pki, root, '/program') == ''
    assert warnings_of_check(pki, root, './program') == ''
    assert warnings_of_check(pki, root, '/bin/cat') == \
        'sslserver: warning: unable to run /bin/cat under --root %s: ' \
        'No such file or directory\n' % workdir


def test_start_warns_of_the_program_too(start):
    server = start('/nonexistent/program', log='-Q')
    server.wait_log('^sslserver: warning: unable to run '
                    '/nonexistent/program: No such file')


def explained(pki, options=(), **env):
    result = run_server(['--explain', *options] + TAIL,
                        env=dict(pki.ecdsa, **env))
    assert result.code == 0 and result.err == '', result
    lines = [line.split(': ', 1) for line in result.out.splitlines()]
    assert len({line[0] for line in lines}) == len(lines)
    return dict(lines)


def test_explain_marks_defaults(pki):
    values = explained(pki, DNSCACHEIP='192.0.2.1 2001:db8::1#54')
    assert values['connections'] == '40 (default)'
    assert values['connections per client'] == '40 (default)'
    assert values['connections per network'] == 'no limit (default)'
    assert values['backlog'] == '20 (default)'
    assert values['announce'] == 'off (default)'
    assert values['log'] == 'warnings and errors (-Q) (default)'
    assert values['drain'] == 'leave at once (default)'
    assert values['kill after'] == 'never (default)'
    assert values['keepers'].endswith(' (default)')
    assert values['early rules'] == values['rules'] == 'none (default)'
    assert values['missing rule file'] == 'refuse (default)'
    assert values['remote name'] == 'on (default)'
    assert values['paranoid'] == values['IDENT'] == 'off (default)'
    assert values['IDENT timeout'] == '26 s (default)'
    assert values['local name'] == 'looked up (default)'
    assert values['DNS servers'] == \
        '192.0.2.1 port 53, 2001:db8::1 port 54 (DNSCACHEIP)'
    assert values['TLSMIN'] == '1.2 (default)'
    assert values['TLSMAX'] == '1.3 (default)'
    assert values['CERTCHAINFILE'] == 'none (default)'
    assert values['CERTFILE'] == pki.ecdsa['CERTFILE']
    assert values['keeper root'] == \
        ('an empty directory (default)' if ROOT else 'as started (default)')


def test_explain_shows_what_was_asked_for(pki):
    values = explained(
        pki, ['-1v', '-c9', '-b3', '-y', 'early.cdb', '-x', 'late.cdb', '-X',
              '-H', '-r', '-t5', '-l', 'here', '--drain=0',
              '--kill-after=7', '--keepers=63', '-d'],
        MAXCONIP='3', MAXCONNET='5/24', DNSCACHEIP='', LOCALDOMAIN='a.example',
        CERTCHAINFILE='chain.pem', TLSMIN='')
    assert values['connections'] == '9'
    assert values['connections per client'] == '3'
    assert values['connections per network'] == '5 in a /24'
    assert values['backlog'] == '3'
    assert values['announce'] == 'on'
    assert values['log'] == 'everything (-v)'
    assert values['drain'] == '0 s'
    assert values['kill after'] == '7 s'
    assert values['keepers'] == '63'
    assert values['early rules'] == 'early.cdb'
    assert values['rules'] == 'late.cdb'
    assert values['missing rule file'] == 'no rules'
    assert values['remote name'] == 'off'
    assert values['IDENT'] == 'on'
    assert values['IDENT timeout'] == '5 s'
    assert values['local name'] == 'here'
    assert values['DNS servers'] == 'none (DNSCACHEIP)'
    assert values['search domain'] == 'a.example'
    assert values['TCP_NODELAY'] == 'off'
    assert values['TLSMIN'] == '1.2 (default)'
    assert values['CERTCHAINFILE'] == 'chain.pem'
    assert values['CERTFILE'] == 'not used, CERTCHAINFILE beats it'
    values = explained(pki, ['-HR', '-l', 'here'])
    assert values['DNS servers'] == 'not needed'


@pytest.mark.root
def test_explain_names_users(pki):
    values = explained(pki, ['-u', '0', '-g', '0'], SSL_UID='0', SSL_GID='0',
                       SSL_CHROOT='/var/empty')
    assert values['program uid'] == '0 root'
    assert values['program gid'] == '0 root'
    assert values['keeper and cache'] == 'uid 0 root gid 0 root'
    assert values['keeper root'] == '/var/empty'


@pytest.mark.skipif(SANITIZED, reason='a sanitizer reserves more than that')
def test_a_keeper_that_cannot_be_loaded(pki):
    """The loader of the keeper gives up before that of sslserver."""
    size = 12000000
    while size > 2000000:
        def before(limit=size):
            hard = resource.getrlimit(resource.RLIMIT_AS)[1]
            resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
        result = run_server(['--check'] + TAIL, env=pki.ecdsa,
                            preexec=before)
        if 'could not be loaded' in result.err:
            break
        size = size * 19 // 20
    assert result.code == 111
    assert result.err == (
        'sslserver: fatal: (111) keeper could not be loaded (exit status '
        '127); is a memory limit (softlimit -m) too low?\n')


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
    for default in ('leave at once', 'never', 'one per processor, at most 8'):
        assert '(%s)\n' % default in result.out


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
    server.wait_log('^sslserver: status:')


def test_end_of_options(start):
    """Words of the program that look like options belong to it."""
    server = start('/bin/sh', '-c', 'echo "$0"', '-z', options=['--'])
    assert server.exchange() == b'-z\n'


@pytest.mark.parametrize('text', ['-H', '-P', '-R', '-N', '-Z', '-S', '-o',
                                  '-O', '-d', '-D', '-E', '-4', '-t26', '-h',
                                  '-p', '-r', '-X', '-Hh', '-vpr'])
def test_harmless_letter(start, text):
    start(options=[text]).check_service()
