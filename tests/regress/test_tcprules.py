"""tcprules and tcprulescheck: tables, replacement, warnings, exit codes."""

import fcntl
import os
import pty
import random
import re
import resource
import signal
import subprocess

import pytest

from harness import (BIN, PROGRAM_ID, ROOT, SANITIZED, SLOW, find_command,
                     wait_for)

TCPRULES = os.path.join(BIN, 'tcprules')
TCPRULESCHECK = os.path.join(BIN, 'tcprulescheck')


class Result:
    def __init__(self, process):
        self.code = process.returncode
        self.out = process.stdout.decode('latin-1')
        self.err = process.stderr.decode('latin-1')

    def __repr__(self):
        return 'exit %d\n%s%s' % (self.code, self.out, self.err)


def run(command, stdin=b'', env=None, cwd=None, **settings):
    if isinstance(stdin, str):
        stdin = stdin.encode('latin-1')
    return Result(subprocess.run(
        command, input=stdin, env=env, cwd=cwd, capture_output=True,
        timeout=120 * SLOW, check=False, **settings))


def compile_rules(workdir, text, program=TCPRULES, name='rules', **settings):
    return run([program, name + '.cdb', name + '.tmp'], text, cwd=workdir,
               **settings)


def read(workdir, name='rules.cdb'):
    with open(os.path.join(workdir, name), 'rb') as file:
        return file.read()


def make(workdir, text, name='rules'):
    """Compiles what must compile.  Returns the warnings."""
    result = compile_rules(workdir, text, name=name)
    assert result.code == 0, result
    assert result.out == '', result
    assert sorted(os.listdir(workdir)) == [name + '.cdb'], result
    return result.err


def check(workdir, ip=None, host=None, info=None, program=TCPRULESCHECK):
    env = {'TCPREMOTEIP': ip, 'TCPREMOTEHOST': host, 'TCPREMOTEINFO': info}
    env = {key: value for key, value in env.items() if value is not None}
    result = run([program, 'rules.cdb'], cwd=workdir, env=env)
    assert result.code == 0 and result.err == '', result
    return result.out


def keys_of(table):
    """The keys of a table in the order of its records."""
    def number(at):
        return int.from_bytes(table[at:at + 4], 'little')
    end = min(number(8 * i) for i in range(256))
    at, keys = 2048, []
    while at < end:
        keys.append(table[at + 8:at + 8 + number(at)])
        at += 8 + number(at) + number(at + 4)
    return keys


# ---------------------------------------------------------------------------
# Beside the tools in use

def other_tool(name):
    path = find_command(name)
    if path is None:
        pytest.skip(name + ' of ucspi-tcp is not there')
    if run([path, '--version']).code == 0:
        pytest.skip(name + ' of ucspi-tcp is hidden by ' + path)
    return path


def random_address(rng):
    """An address that both tools understand; few numbers, so that rules
    meet clients and each other."""
    def octet():
        return str(rng.choice([1, 2, 3, 10, 127, 255]))

    def host():
        return '.'.join(rng.choice(['a', 'b', 'mail', 'x-y', 'example'])
                        for _ in range(rng.randint(1, 3)))
    octets = [octet() for _ in range(rng.randint(1, 4))]
    dotted = '.'.join(octets) + ('.' if len(octets) < 4 else '')
    kind = rng.randrange(12)
    if kind < 4:
        return dotted
    if kind < 6:
        low = rng.randint(0, 260)
        octets[rng.randrange(len(octets))] = '%d-%d' % (
            low, low + rng.randint(-3, 20))
        return '.'.join(octets) + ('.' if len(octets) < 4 else '')
    if kind == 6:
        return ''
    if kind == 7:
        return '=' + host()
    if kind == 8:
        return '=.' + host()
    if kind == 9:
        return rng.choice(['=', '1.2.3', '300.1.2.3', 'word', ' 1.2.', '='])
    info = rng.choice(['joe', 'Joe', 'root', 'a b', ''])
    return info + '@' + rng.choice([dotted, '=' + host(), '1.2.3.4',
                                    '1.2.3.1-5', '1.2.3.0/24'])


def random_rule(rng):
    kind = rng.randrange(20)
    if kind == 0:
        return '# ' + random_address(rng)
    if kind == 1:
        return rng.choice(['', ' ', '\t '])
    line = random_address(rng) + ':' + rng.choice(['allow', 'deny'])
    for _ in range(rng.choice([0, 0, 0, 1, 2, 3])):
        quote = rng.choice(['"', '/', "'", ',', '=', ':', 'q', '\xfc'])
        value = ''.join(rng.choice('abc =,:/"\xe4') for _ in
                        range(rng.randint(0, 8))).replace(quote, '')
        line += ',%s=%s%s%s' % (rng.choice(['A', 'RELAYCLIENT', 'x1']),
                                quote, value, quote)
    return line + rng.choice(['', '', ' ', '\t'])


def random_rules(rng):
    lines = [random_rule(rng) for _ in range(rng.randint(0, 60))]
    return '\n'.join(lines) + rng.choice(['\n', ''])


def test_tables_are_those_of_ucspi_tcp(workdir):
    """Byte by byte, for many random rule sets."""
    other = other_tool('tcprules')
    rng = random.Random(3)
    count = 0
    for _ in range(300 // SLOW):
        text = random_rules(rng)
        ours = compile_rules(workdir, text, name='ours')
        theirs = compile_rules(workdir, text, other, name='theirs')
        assert (ours.code, theirs.code) == (0, 0), (text, ours, theirs)
        assert read(workdir, 'ours.cdb') == read(workdir, 'theirs.cdb'), text
        count += len(keys_of(read(workdir, 'ours.cdb')))
    assert count > 1000


def test_look_ups_agree_with_ucspi_tcp(workdir):
    """Each tool on the other's table says the same of many clients."""
    other_rules = other_tool('tcprules')
    other_check = other_tool('tcprulescheck')
    rng = random.Random(4)
    matched = set()
    for number in range(60 // SLOW):
        text = random_rules(rng)
        program = [TCPRULES, other_rules][number % 2]
        result = compile_rules(workdir, text, program)
        assert result.code == 0, result
        for _ in range(8):
            ip = '.'.join(str(rng.choice([1, 2, 3, 4, 10, 255]))
                          for _ in range(4))
            host = rng.choice([None, 'a', 'mail.example', 'a.b.mail',
                               'x-y.example.a'])
            info = rng.choice([None, None, 'joe', 'Joe', 'a b'])
            ours = check(workdir, ip, host, info)
            theirs = check(workdir, ip, host, info, other_check)
            assert ours == theirs, (text, ip, host, info)
            matched.add(ours.splitlines()[0])
    assert len(matched) > 20


# ---------------------------------------------------------------------------
# What is in a table

def test_keys_of_prefixes_and_ipv6(workdir):
    make(workdir, '128.0.0.0/1:deny\n'
                  '10.1.2.3/8:allow\n'
                  '255.255.255.255/32:deny\n'
                  '2001:db8::/32:deny\n'
                  '2001:db8::a:allow\n'
                  'joe@2001:db8::a:allow\n'
                  '=Mail.Example.COM:allow\n')
    assert keys_of(read(workdir)) == [
        b'_a', b'_0000e0g0', b'_abcdefghijklmnopqrstuvwxyz123456',
        b'^00`000000000000a0000bc0de0fgh000',
        b'2001:0DB8:0000:0000:0000:0000:0000:000A',
        b'joe@2001:0DB8:0000:0000:0000:0000:0000:000A',
        b'=mail.example.com']


def test_check_prints_the_verdict(workdir):
    make(workdir, '1.2.3.4:deny,NO="one"\n'
                  '1.2.:allow,RELAYCLIENT="",A=/b c/\n'
                  '9.8.0.0/15:allow,X="1"\n'
                  '2001:db8::/32:deny\n'
                  '=mail.example.com:deny\n'
                  '=.example.com:allow,S="s"\n'
                  '=:allow,KNOWN="1"\n'
                  'joe@1.2.3.4:allow\n')
    assert check(workdir, '1.2.3.4') == 'rule 1.2.3.4:\ndeny connection\n'
    assert check(workdir, '::ffff:1.2.3.4') == (
        'rule 1.2.3.4:\ndeny connection\n')
    assert check(workdir, '1.2.9.9') == (
        'rule 1.2.:\nset environment variable RELAYCLIENT=\n'
        'set environment variable A=b c\nallow connection\n')
    assert check(workdir, '9.9.255.255') == (
        'rule _0000e00h0000m00:\nset environment variable X=1\n'
        'allow connection\n')
    assert check(workdir, '2001:db8:1::9') == (
        'rule ^00`000000000000a0000bc0de0fgh000:\ndeny connection\n')
    assert check(workdir, '7.7.7.7', 'mail.example.com') == (
        'rule =mail.example.com:\ndeny connection\n')
    assert check(workdir, '7.7.7.7', 'x.example.com') == (
        'rule =.example.com:\nset environment variable S=s\n'
        'allow connection\n')
    assert check(workdir, '7.7.7.7', 'other') == (
        'rule =:\nset environment variable KNOWN=1\nallow connection\n')
    assert check(workdir, '1.2.3.4', None, 'joe') == (
        'rule joe@1.2.3.4:\nallow connection\n')
    assert check(workdir, '7.7.7.7') == 'default:\nallow connection\n'
    assert check(workdir) == 'default:\nallow connection\n'


def test_check_spells_names_as_the_server_does(workdir):
    """Lower case, without a final dot; what is no name is not known."""
    make(workdir, '=mail.example.com:deny\n=.example.com:allow,S="s"\n'
                  '=:allow,KNOWN="1"\njoe@=mail.example.com:allow\n'
                  '@1.2.3.4:deny\n')
    wanted = 'rule =mail.example.com:\ndeny connection\n'
    for host in ('mail.example.com', 'Mail.EXAMPLE.com', 'mail.example.com.',
                 'MAIL.example.com.'):
        assert check(workdir, '7.7.7.7', host) == wanted
    assert check(workdir, '7.7.7.7', 'X.Example.COM.').startswith(
        'rule =.example.com:\n')
    assert check(workdir, '7.7.7.7', 'MAIL.example.com', 'joe') == (
        'rule joe@=mail.example.com:\nallow connection\n')
    # Empty is as good as unset.
    assert check(workdir, '1.2.3.4', '', '') == (
        'default:\nallow connection\n')
    for host in ('mail..example.com', 'a b.example.com', '.example.com',
                 '1.2.3.4', '-a.example.com', 'a.example.com..'):
        result = run([TCPRULESCHECK, 'rules.cdb'], cwd=workdir,
                     env={'TCPREMOTEIP': '7.7.7.7', 'TCPREMOTEHOST': host})
        assert result.code == 0, result
        assert result.out == 'default:\nallow connection\n', result
        assert result.err == (
            'tcprulescheck: warning: TCPREMOTEHOST is no host name: to '
            'sslserver it is unknown\n'), result


def test_empty_address_is_the_default(workdir):
    make(workdir, ':deny\n')
    assert check(workdir, '1.2.3.4') == 'rule :\ndeny connection\n'


def test_check_refuses_damaged_files(workdir):
    make(workdir, '1.2.3.4:deny\n')
    table = read(workdir)
    # The last look-up comes by no damage; the table is refused all the same.
    at = table.index(b'D\0', 2048)
    for damaged in (b'', table[:100], table[:-1], b'\xff' * len(table),
                    os.urandom(65536), table[:at] + b'X' + table[at + 1:]):
        path = os.path.join(workdir, 'rules.cdb')
        with open(path, 'wb') as file:
            file.write(damaged)
        result = run([TCPRULESCHECK, path], env={'TCPREMOTEIP': '5.6.7.8'})
        assert result.code == 111 and result.out == '', result
        assert re.fullmatch(
            r'tcprulescheck: fatal: \(111\) .*rules\.cdb.*\n', result.err)


# ---------------------------------------------------------------------------
# Wrong use and errors

@pytest.mark.parametrize('program,words', [
    (TCPRULES, []), (TCPRULES, ['a.cdb']), (TCPRULES, ['a', 'b', 'c']),
    (TCPRULES, ['-x', 'a']), (TCPRULES, ['--']),
    (TCPRULESCHECK, []), (TCPRULESCHECK, ['a', 'b']),
    (TCPRULESCHECK, ['-v']), (TCPRULESCHECK, ['--']),
])
def test_usage(workdir, program, words):
    result = run([program, *words], cwd=workdir)
    name = os.path.basename(program)
    assert result.code == 100 and result.out == '', result
    assert result.err.startswith(name + ': usage: ' + name), result
    assert result.err.count('\n') == 1
    assert os.listdir(workdir) == []


def test_help_and_version(workdir):
    for program in (TCPRULES, TCPRULESCHECK):
        for word in ('--help', '--version'):
            result = run([program, word], cwd=workdir)
            assert result.code == 0 and result.err == '', result
            assert os.path.basename(program) in result.out


def test_check_of_no_file_or_address(workdir):
    result = run([TCPRULESCHECK, 'none.cdb'], cwd=workdir)
    assert result.code == 111 and 'none.cdb' in result.err, result
    make(workdir, ':deny\n')
    result = run([TCPRULESCHECK, 'rules.cdb'], cwd=workdir,
                 env={'TCPREMOTEIP': '1.2.3'})
    assert result.code == 100 and 'TCPREMOTEIP' in result.err, result


@pytest.mark.parametrize('line', [
    '1.2.3.4', '1.2.3.4:maybe', '1.2.3.4:allow,A', '1.2.3.4:allow,A="x',
    '1.2.3.4/33:deny', '::1/0:deny', '1::2::3:deny', '1.2.3.x-4:deny',
    '1.2.3.4:deny\0', '1.2.3.4:deny\r',
])
def test_syntax_errors_change_nothing(workdir, line):
    make(workdir, '1.2.3.4:deny\n')
    before = read(workdir)
    result = compile_rules(
        workdir, '# first\n5.6.7.8:allow\n' + line + '\n:allow\n')
    assert result.code == 101, result
    assert re.fullmatch(r'tcprules: syntax: line 3: .+\n', result.err), result
    assert os.listdir(workdir) == ['rules.cdb']
    assert read(workdir) == before


@pytest.mark.parametrize('line', [':deny', '::1:allow,A="x"', '1.2.3.4:deny ',
                                  '', 'x'])
def test_lines_of_another_system(workdir, line):
    """CR LF ends a line elsewhere; as a quote, CR is as good as any."""
    result = compile_rules(workdir, '# first\r\n' + line + '\r\n')
    assert result.code == 101, result
    assert result.err == ('tcprules: syntax: line 2: the line ends in a '
                          'carriage return; use LF alone\n'), result
    assert make(workdir, ':allow,A=\rx\r\n') == ''
    assert 'variable A=x\n' in check(workdir, '1.2.3.4')


def test_too_long_a_line(workdir):
    result = compile_rules(
        workdir, ':deny\n1.2.3.4:allow,A="' + 'x' * 17000000 + '"\n')
    assert result.code == 101, result
    assert result.err.startswith('tcprules: syntax: line 2: '), result
    assert os.listdir(workdir) == []
    # A long one is no error.
    make(workdir, '1.2.3.4:allow,A="' + 'x' * 1000000 + '"\n')
    assert len(check(workdir, '1.2.3.4')) > 1000000


def test_errors_of_the_system(workdir):
    """111, the temporary file removed, what was there left alone."""
    make(workdir, ':deny\n')
    before = read(workdir)

    def tiny_files():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    def closed_input():
        os.close(0)

    def directory_as_input():
        os.dup2(os.open(workdir, os.O_RDONLY), 0)

    os.mkdir(os.path.join(workdir, 'directory'))
    os.mkfifo(os.path.join(workdir, 'fifo'))
    os.symlink('rules.cdb', os.path.join(workdir, 'link'))
    names = sorted(os.listdir(workdir))
    for words, before_exec in [
            (['rules.cdb', 'rules.tmp'], tiny_files),
            (['rules.cdb', 'rules.tmp'], closed_input),
            (['rules.cdb', 'rules.tmp'], directory_as_input),
            (['rules.cdb', 'none/rules.tmp'], None),
            (['none/rules.cdb', 'rules.tmp'], None),
            (['directory', 'rules.tmp'], None),
            (['rules.cdb', 'directory'], None),
            (['rules.cdb', 'rules.cdb'], None),
            (['rules.cdb', './rules.cdb'], None),
            (['rules.cdb', 'link'], None),
            (['rules.cdb', ''], None),
            (['rules.cdb', 'fifo'], None)]:
        result = run([TCPRULES, *words], b':allow\n', cwd=workdir,
                     preexec_fn=before_exec)
        assert result.code == 111 and result.out == '', (words, result)
        assert re.fullmatch(r'tcprules: fatal: \(111\) unable to .+\n',
                            result.err), (words, result)
        assert sorted(os.listdir(workdir)) == names, words
        assert read(workdir) == before, words


def test_mode_lets_servers_read(workdir):
    make(workdir, ':deny\n')
    path = os.path.join(workdir, 'rules.cdb')
    assert os.stat(path).st_mode & 0o7777 == 0o644
    # A longer left-over of another mode, and a strict umask.
    with open(os.path.join(workdir, 'rules.tmp'), 'wb') as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(b'x' * 100000)
    old = os.umask(0o077)
    try:
        make(workdir, ':allow\n')
    finally:
        os.umask(old)
    assert os.stat(path).st_mode & 0o7777 == 0o644
    assert os.path.getsize(path) < 3000


def refused_temporary(workdir, reason):
    """Nothing of the file or the table is touched."""
    path = os.path.join(workdir, 'rules.tmp')
    before = os.stat(path), read(workdir, 'rules.tmp'), read(workdir)
    result = compile_rules(workdir, ':allow\n')
    assert result.code == 111, result
    assert result.err == ('tcprules: fatal: (111) unable to write rules.tmp: '
                          '%s\n' % reason), result
    after = os.stat(path)
    assert (after.st_mode, after.st_mtime_ns) == (
        before[0].st_mode, before[0].st_mtime_ns)
    assert (read(workdir, 'rules.tmp'), read(workdir)) == before[1:]


def test_directory_that_may_not_be_read(workdir):
    """The table is in force: a warning, and no failure."""
    inner = os.path.join(workdir, 'inner')
    os.mkdir(inner)
    os.chmod(inner, 0o300)
    if ROOT:
        os.chown(inner, PROGRAM_ID, PROGRAM_ID)
    words = [os.path.join(inner, name) for name in ('rules.cdb', 'rules.tmp')]
    done = subprocess.run(
        [TCPRULES] + words, input=b'1.2.3.4:deny\n', stderr=subprocess.PIPE,
        check=False, timeout=60, user=PROGRAM_ID if ROOT else None)
    assert done.returncode == 0, done
    assert done.stderr.decode() == (
        'tcprules: warning: unable to sync directory %s/: Permission denied\n'
        % inner)
    os.chmod(inner, 0o700)
    assert os.listdir(inner) == ['rules.cdb']


@pytest.mark.root
def test_temporary_file_of_another_user(workdir):
    """Who put it there may have it open, and could write to our table."""
    make(workdir, ':deny\n')
    os.chmod(workdir, 0o1777)
    path = os.path.join(workdir, 'rules.tmp')
    with open(path, 'wb') as file:
        file.write(b'theirs')
        os.fchown(file.fileno(), PROGRAM_ID, PROGRAM_ID)
        os.fchmod(file.fileno(), 0o666)
    refused_temporary(workdir, 'it belongs to another user')


def test_temporary_file_with_another_name(workdir):
    """What the other name leads to is somebody's."""
    make(workdir, ':deny\n')
    other = os.path.join(workdir, 'precious')
    with open(other, 'wb') as file:
        file.write(b'precious')
    os.link(other, os.path.join(workdir, 'rules.tmp'))
    refused_temporary(workdir, 'the file has another name, too')
    assert read(workdir, 'precious') == b'precious'


def test_two_at_the_same_time(workdir):
    """The second is refused, and does no harm to the first."""
    first = subprocess.Popen([TCPRULES, 'rules.cdb', 'rules.tmp'],
                             stdin=subprocess.PIPE, cwd=workdir)
    try:
        temporary = os.path.join(workdir, 'rules.tmp')

        def is_locked():
            if not os.path.exists(temporary):
                return False
            with open(temporary, 'rb') as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return True
            return False
        wait_for(is_locked, what='the lock of the temporary file')
        second = compile_rules(workdir, ':deny\n')
        assert second.code == 111, second
        assert 'rules.tmp: another tcprules is at it' in second.err
        first.communicate(b':allow\n', timeout=20 * SLOW)
    finally:
        first.kill()
        first.wait()
    assert first.returncode == 0
    assert check(workdir, '1.2.3.4') == 'rule :\nallow connection\n'


# ---------------------------------------------------------------------------
# Replacement

def trace(workdir, rules, *options):
    """Runs tcprules under strace.  Its exit code and the trace."""
    strace = find_command('strace')
    if strace is None:
        pytest.skip('strace is not there')
    log = os.path.join(workdir, 'trace')
    result = run([strace, '-o', log, '-y', *options, TCPRULES, 'rules.cdb',
                  'rules.tmp'], rules, cwd=workdir)
    text = open(log, encoding='latin-1').read()
    os.unlink(log)
    if not text:
        pytest.skip('strace may not trace here')
    return result, re.findall(r'^(\w+)\((.*)', text, re.M)


def calls_of_replacement(calls):
    """Index of the first call for the temporary file."""
    return next(i for i, (_, rest) in enumerate(calls)
                if 'rules.tmp' in rest and 'O_CREAT' in rest)


def test_order_of_system_calls(workdir):
    """The bytes are on the disk before the name, the name at the end."""
    result, calls = trace(workdir, '1.2.3.4:deny\n')
    assert result.code == 0, result
    order = [name + ' ' + ('directory' if name == 'fsync' and
                           'rules' not in rest else 'file')
             for name, rest in calls if name in ('write', 'pwrite64',
                                                 'fsync', 'rename')
             and (name != 'write' or 'rules.tmp' in rest)]
    assert order[-3:] == ['fsync file', 'rename file', 'fsync directory']
    assert 'write file' in order[:-3]


def test_killed_between_system_calls(workdir):
    """At every moment the old table or the new one is there, whole."""
    rules = [''.join('%d.2.3.%d:deny,A="%d"\n' % (first, i, i)
                     for i in range(250)) for first in (1, 2)]
    make(workdir, rules[1])
    new = read(workdir)
    make(workdir, rules[0])
    old = read(workdir)
    result, calls = trace(workdir, rules[1])
    assert result.code == 0 and read(workdir) == new, result
    first = calls_of_replacement(calls)
    assert len(calls) - first > 8
    seen = set()
    for index in range(first, len(calls)):
        make(workdir, rules[0])
        name = calls[index][0]
        count = sum(call[0] == name for call in calls[:index + 1])
        result, _ = trace(
            workdir, rules[1], '-e',
            'inject=%s:signal=KILL:when=%d' % (name, count))
        assert result.code in (-9, 137), (name, count, result)
        table = read(workdir)
        assert table in (old, new), (name, count)
        seen.add(table == new)
        # What was left behind is in nobody's way.
        make(workdir, rules[1])
        assert read(workdir) == new
    assert seen == {True, False}


# ---------------------------------------------------------------------------
# Warnings

def test_warnings_of_rules_that_never_match(workdir):
    text = ('10.:allow\n'
            '10.1.2.0/24:deny\n'
            '1.2.3.4:deny\n'
            '1.2.3.4:allow\n'
            '1.2.3:deny\n'
            'example.com:deny\n'
            '7.7.0.0/23:allow\n'
            '7.7.0-1.:deny\n'
            'joe@1.2.:deny\n'
            '=a.b:allow\n'
            '=A.b:deny\n')
    warnings = make(workdir, text)
    lines = {}
    for line in warnings.splitlines():
        match = re.fullmatch(r'tcprules: warning: line (\d+) can never '
                             r'match: (.+)', line)
        assert match, line
        lines[int(match[1])] = match[2]
    assert sorted(lines) == [2, 4, 5, 6, 7, 9, 11], warnings
    assert lines[2] == '10. of line 1 is looked up first'
    assert lines[4] == 'line 3 has the same address'
    assert '=' in lines[6]
    # And that is so: 10. decides.
    assert check(workdir, '10.1.2.3') == 'rule 10.:\nallow connection\n'


def test_sound_rules_give_no_warning(workdir):
    assert make(workdir, '127.0.0.1:allow,RELAYCLIENT=""\n10.0.0.0/8:allow\n'
                         '10.1.0.0/16:deny\n192.168.0-3.:allow\n'
                         '=.example.com:allow\n2001:db8::/32:deny\n'
                         ':deny\n') == ''


REFUSED = [('MAXCONIP', 'many', 'it is no number of connections (0: no '
            'limit)'),
           ('MAXCONIP', '', 'it is no number of connections (0: no limit)'),
           ('MAXCONNET', '5/129', 'it is not n/bits'),
           ('VERIFYDEPTH', '101', 'it is no number of intermediates'),
           ('TLSMIN', '1.5', 'it is not 1.0, 1.1, 1.2 or 1.3')]


@pytest.mark.parametrize('name, value, reason', REFUSED)
def test_values_that_sslserver_refuses(workdir, name, value, reason):
    """Both tools say so; the table is what it always was."""
    rule = '1.2.3.4:%%s,A="b",%s="%s"\n' % (name, value)
    assert make(workdir, '# first\n' + rule % 'allow' + '5.6.7.8:allow\n') == (
        "tcprules: warning: line 2: sslserver refuses its clients: "
        '%s=%s: %s\n' % (name, value, reason))
    for ip, warning in (('5.6.7.8', ''), (
            '1.2.3.4', 'tcprulescheck: warning: sslserver refuses the client: '
            '%s=%s: %s\n' % (name, value, reason))):
        result = run([TCPRULESCHECK, 'rules.cdb'], cwd=workdir,
                     env={'TCPREMOTEIP': ip})
        assert result.code == 0 and result.err == warning, result
        assert result.out.endswith('allow connection\n'), result
    # Whoever is denied gets no variables.
    assert make(workdir, rule % 'deny') == ''
    assert check(workdir, '1.2.3.4') == 'rule 1.2.3.4:\ndeny connection\n'


def test_values_that_may_be_slips(workdir):
    """-Z asks for none, CCAVERIFY=Z for one of any name."""
    rule = '1.2.3.4:%s,CCAVERIFY="Z"\n'
    text = 'CCAVERIFY=Z asks for any certificate; for the name write z\n'
    assert make(workdir, '# first\n' + rule % 'allow') == (
        'tcprules: warning: line 2: ' + text)
    result = run([TCPRULESCHECK, 'rules.cdb'], cwd=workdir,
                 env={'TCPREMOTEIP': '1.2.3.4'})
    assert result.code == 0, result
    assert result.err == 'tcprulescheck: warning: ' + text, result
    assert make(workdir, rule % 'deny') == ''


def test_values_that_sslserver_takes(workdir):
    assert make(workdir, '1.2.3.4:allow,MAXCONIP="0",MAXCONNET="5/24"\n'
                         '1.2.3.5:allow,MAXCONIPS="x",RELAYCLIENT=""\n'
                         '1.2.3.6:allow,CCAVERIFY="z",VERIFYDEPTH="2"\n'
                         '1.2.3.7:allow,CCAFILE="-"\n') == ''
    assert 'MAXCONNET=5/24' in check(workdir, '1.2.3.4')


# ---------------------------------------------------------------------------
# A million rules

def million_rules(count):
    return ''.join('%d.%d.%d.%d:deny\n' % (1 + i % 200, i // 200 % 250,
                                           i // 50000 % 250, i % 97)
                   for i in range(count)).encode()


def test_progress_on_a_terminal(workdir):
    text = million_rules(120000)
    master, slave = pty.openpty()
    try:
        process = subprocess.Popen([TCPRULES, 'rules.cdb', 'rules.tmp'],
                                   stdin=subprocess.PIPE, stderr=slave,
                                   cwd=workdir)
        process.communicate(text, timeout=60 * SLOW)
        os.close(slave)
        slave = -1
        shown = os.read(master, 65536).decode()
    finally:
        os.close(master)
        if slave != -1:
            os.close(slave)
    assert process.returncode == 0
    assert shown == ('\rtcprules: 50000 lines\rtcprules: 100000 lines'
                     '\rtcprules: 120000 lines\r\n'), repr(shown)
    # Elsewhere there is none.
    assert make(workdir, text) == ''


def test_a_million_rules(workdir):
    """Memory in proportion to the file, and the look-up finds each."""
    text = million_rules(1000000)
    source = os.path.join(workdir, 'rules.txt')
    with open(source, 'wb') as file:
        file.write(text)

    def little_memory():
        if not SANITIZED:
            resource.setrlimit(resource.RLIMIT_AS, (160 << 20, 160 << 20))
    with open(source, 'rb') as stdin:
        subprocess.run([TCPRULES, 'rules.cdb', 'rules.tmp'], stdin=stdin,
                       cwd=workdir, preexec_fn=little_memory, check=True)
    assert os.path.getsize(os.path.join(workdir, 'rules.cdb')) > 35 << 20
    last = text.splitlines()[-1].decode().partition(':')[0]
    assert check(workdir, last) == 'rule %s:\ndeny connection\n' % last
    assert check(workdir, '250.1.1.1') == 'default:\nallow connection\n'
