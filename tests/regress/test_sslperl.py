"""sslperl: a file run once in each child, and a subroutine of it called for
each client."""

import os
import re

import pytest

import harness
from frameworkrun import ended, wait_workers, workers
from harness import BIN, kill, run_server, wait_for

SSLPERL = os.path.join(BIN, 'sslperl')

pytestmark = pytest.mark.skipif(not os.path.exists(SSLPERL),
                                reason='sslperl is not built')

FILE = r"""
use strict;
use warnings;
use POSIX ();

our ($calls, @loaded) = (0, @ARGV);
open(my $kept, '<', $0) or die "$0: $!";
my $first = <$kept>;
print "to nobody\n";

sub state {
	print "pid=$$\ncalls=$calls\nwords=@_\nloaded=@loaded\n";
	print "zero=$0\nhere=", POSIX::getcwd(), "\n";
	print "leaked=", $ENV{LEAKED} // 'none', "\n";
	print "port=$ENV{SSLREMOTEPORT}\n";
	my $told = `printenv SSLREMOTEPORT LEAKED`;
	print "told=", join('+', split(/\n/, $told)), "\n";
	print "topic=", $_ // 'none', "\nbuffered=$|\n";
	seek($kept, 0, 0);
	my $again = <$kept>;
	print "kept=", (defined $again && $again eq $first ? 1 : 0), "\n";
}

sub obey {
	my @words = @_;
	$calls++;
	while (defined(my $line = <STDIN>)) {
		chomp($line);
		my ($verb, $rest) = split(/ /, $line, 2);
		if ($verb eq 'state') { state(@words) }
		elsif ($verb eq 'say') { print "$rest\n" }
		elsif ($verb eq 'die') { die "$rest\n" }
		elsif ($verb eq 'exit') { exit $rest }
		elsif ($verb eq 'return') { return }
		elsif ($verb eq 'close') { close STDIN; close STDOUT; return }
		elsif ($verb eq 'file') {
			close STDOUT;
			open(STDOUT, '>', '/dev/null') or die $!;
			open(STDIN, '<', '/dev/null') or die $!;
			return;
		}
		elsif ($verb eq 'spoil') {
			$ENV{LEAKED} = 1;
			delete $ENV{PATH};
			($0, $_, $|) = ('other', 'this', 1);
			chdir('/');
			select(STDERR);
			$SIG{TERM} = sub { };
			open(our $left, '<', '/dev/zero');
		}
		elsif ($verb eq 'leave') {
			open(our $out, '>&', 1) or die $!;
			print $out $rest;
			our $full;
			open($full, '>', '/dev/full') if $rest eq 'full';
			print $full $rest if $full;
		}
		elsif ($verb eq 'dup') { POSIX::dup(1); POSIX::dup(1) }
		elsif ($verb eq 'finish') { our $out; close $out if $out }
		elsif ($verb eq 'replace') { %ENV = (LEAKED => 1) }
		elsif ($verb eq 'fork') { fork() or exit 0; wait }
		elsif ($verb eq 'child') {
			return if fork();
			print "child\n";
			exit 0;
		}
	}
}

sub Other::name { print "other: @_\n" }
"""


@pytest.fixture
def serve(start, workdir):
    path = os.path.join(workdir, 'program.pl')
    with open(path, 'w', encoding='ascii') as file:
        file.write(FILE)
    os.chmod(path, 0o644)

    def starter(*words, count=1, options=(), **settings):
        server = start(path, *(words or ('obey', 'one', 'two')),
                       command=SSLPERL, cwd=workdir,
                       options=['-c', count, '-l', 'here'] + list(options),
                       **settings)
        server.path = path
        wait_workers(server, count)
        return server
    return starter


def do(server, *lines):
    return server.exchange(''.join(line + '\n' for line in lines).encode())


def state(server):
    with server.connect() as client:
        client.send(b'state\nreturn\n')
        text = client.recv_all().decode()
        found = dict(line.split('=', 1) for line in text.splitlines())
        assert found['port'] == str(client.local[1])
        return found


def test_sub_is_called_with_arguments(serve, workdir):
    server = serve()
    pid, = workers(server)
    found = state(server)
    assert found['words'] == found['loaded'] == 'one two'
    assert found['pid'] == str(pid) and found['calls'] == '1'
    assert found['zero'] == server.path
    assert found['here'] == os.path.realpath(workdir)
    assert found['told'] == found['port'] and found['leaked'] == 'none'
    assert found['kept'] == '1'
    ended(server, pid, 0)
    # What the file prints goes nowhere.
    assert 'nobody' not in server.log()


def test_sub_of_a_package(serve):
    assert do(serve('Other::name', 'x y')) == b'other: x y\n'


def test_file_is_run_once(serve):
    server = serve()
    assert [state(server)['calls'] for _ in range(3)] == ['1', '2', '3']


@pytest.mark.parametrize('line', ['spoil', 'replace', 'close', 'file'])
def test_state_is_put_back(serve, line):
    server = serve()
    before = state(server)
    do(server, line)
    after = state(server)
    for name in set(before) - {'port', 'told', 'calls'}:
        assert after[name] == before[name], name
    assert after['told'] == after['port'] and after['calls'] == '3'
    pid, = workers(server)
    assert '/dev/zero' not in harness.descriptors(pid).values()


def test_input_that_was_not_asked_for_is_not_the_next_ones(serve):
    server = serve()
    assert do(server, 'say one', 'return', 'say two', 'exit 7') == b'one\n'
    assert do(server, 'say three') == b'three\n'


def test_handle_left_open_is_not_the_next_ones(serve):
    """What it holds goes to its own client, or to nobody."""
    server = serve()
    pid, = workers(server)
    assert do(server, 'leave secret', 'return') == b'secret'
    assert do(server, 'dup', 'finish', 'say good', 'return') == b'good\n'
    assert state(server)['pid'] == str(pid)
    assert do(server, 'leave full', 'return') == b'full'
    wait_workers(server, 1, without={pid})
    assert do(server, 'dup', 'finish', 'say good', 'return') == b'good\n'


def test_death_ends_the_client_and_not_the_child(serve):
    server = serve()
    pid, = workers(server)
    assert do(server, 'say before', 'die because \x01%', 'say after') == \
        b'before\n'
    server.wait_log(r'^sslperl: error: pid %d: obey: because \?%%$' % pid)
    ended(server, pid, 0)
    assert state(server)['pid'] == str(pid)
    # It is said once, and not of the next client.
    assert len(server.lines('error')) == 1


def test_long_death_is_one_line(serve):
    server = serve()
    do(server, 'die ' + 'x' * 5000)
    line, = server.wait_log(r'^sslperl: error: .*$')
    assert len(line[0]) < 1100


def test_exit_ends_the_child(serve):
    server = serve()
    pid, = workers(server)
    assert do(server, 'say before', 'exit 3', 'say after') == b'before\n'
    ended(server, pid, 3 * 256)
    wait_workers(server, 1, [pid])
    assert state(server)['calls'] == '1'


def test_fork(serve):
    server = serve()
    pid, = workers(server)
    assert do(server, 'fork', 'say parent') == b'parent\n'
    assert do(server, 'child') == b'child\n'
    assert state(server)['pid'] == str(pid)


def test_hundred_clients_through_one_child(serve):
    server = serve(env={'HERE': 'yes'})
    pids = set()
    for number in range(100):
        pids.add(state(server)['pid'])
        if number % 10 == 0:
            do(server, 'spoil', 'die x')
    assert len(pids) == 1


def test_killed_child_is_replaced_with_the_file_run_again(serve):
    server = serve(count=2)
    for pid in workers(server):
        kill(pid)
        wait_workers(server, 2, [pid])
    assert state(server)['calls'] == '1'


def test_stop(serve):
    server = serve(count=3)
    assert server.stop() == 0
    wait_for(lambda: not workers(server), 5, 'no child')


# ---------------------------------------------------------------------------
# The start

def run(workdir, pki, text, *words):
    path = os.path.join(workdir, 'bad.pl')
    with open(path, 'w', encoding='ascii') as file:
        file.write(text)
    os.chmod(path, 0o644)
    return run_server(['-c', '1', '127.0.0.1', '0', path] + list(words),
                      command=SSLPERL, env=pki.ecdsa)


@pytest.mark.parametrize('text, reason', [
    ('sub {', 'Missing right curly'), ('die "no\\n"', 'no\n'),
    ('use No::Such::Module;', "Can't locate No/Such/Module.pm")])
def test_file_that_cannot_be_run(workdir, pki, text, reason):
    found = run(workdir, pki, text, 'sub')
    assert found.code == 111 and reason in found.err
    assert re.search(r'^sslperl: fatal: \(111\) worker: unable to run \S*/'
                     r'bad\.pl$', found.err, re.M)


def test_file_without_the_sub(workdir, pki):
    found = run(workdir, pki, 'sub other { }', 'sub')
    assert found.code == 111
    assert re.fullmatch(r'sslperl: fatal: \(111\) worker: \S*/bad\.pl defines '
                        r'no subroutine sub\n', found.err)


def test_check_runs_the_file(workdir, pki):
    path = os.path.join(workdir, 'good.pl')
    with open(path, 'w', encoding='ascii') as file:
        file.write('sub good { }\n')
    os.chmod(path, 0o644)
    for sub, code in (('good', 0), ('bad', 111)):
        found = run_server(['--check', '-c', '1', '127.0.0.1', '0', path,
                            sub], command=SSLPERL, env=pki.ecdsa)
        assert found.code == code, found


def test_usage():
    for words, text in (([], 'sslperl: usage: sslperl [-'),
                        (['127.0.0.1', '0'], 'fatal: (100) no file\n'),
                        (['127.0.0.1', '0', 'x'], 'fatal: (100) no sub\n'),
                        (['127.0.0.1', '0', '', 'x'],
                         'fatal: (100) file is empty\n')):
        found = run_server(words, command=SSLPERL, identity=False)
        assert found.code == 100 and text in found.err
