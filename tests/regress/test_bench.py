"""What `make bench` is made of counts rightly; nothing is timed here."""

import importlib.machinery
import importlib.util
import collections
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from admission import make_rules
from harness import (BIN, SANITIZED, SLOW, TOP, find_command, kill,
                     read_stat, read_text, wait_for)

BUILD = os.path.dirname(BIN)
BENCH = os.path.join(TOP, 'bench')
LOAD = os.path.join(BUILD, 'bench', 'load')

pytestmark = pytest.mark.skipif(
    not os.access(LOAD, os.X_OK),
    reason='bench/load is not built: it is written for OpenSSL 3')


@pytest.fixture
def bench_program(workdir):
    """Copies a program of the benchmark to where its server may run it."""
    def copy(name):
        return shutil.copy(os.path.join(BUILD, 'bench', name), workdir)
    return copy


def load(server, pki, *words, code=0):
    """Figures of the load generator."""
    done = subprocess.run(
        [LOAD, '-p', str(server.port), '-a', pki.ca, *map(str, words)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        timeout=120 * SLOW, check=False)
    assert done.returncode == code, done
    return json.loads(done.stdout)


def counts(figures):
    return figures['connections'], figures['failures'], figures['resumed']


@pytest.mark.parametrize('version', ['1.2', '1.3'])
def test_connections_are_those_of_the_log(start, pki, bench_program, version):
    server = start(bench_program('program'))
    figures = load(server, pki, '-n', 40, '-c', 8, '-v', version)
    assert counts(figures) == (40, 0, 0)
    assert figures['truncated'] == 0
    assert figures['handshake_us']['p50'] <= figures['whole_us']['max']
    server.wait_log(r'^sslserver: ended by \d+ status 0$', 20, count=40)
    server.wait_idle()
    assert len(server.lines('ended by')) == 40
    assert not server.lines('error|fatal|warning')


@pytest.mark.parametrize('version', ['1.2', '1.3'])
def test_resumed_ones_are_counted(start, pki, bench_program, version):
    """All of them; once in a while the cache may be too slow for one."""
    server = start(bench_program('program'))
    found = []
    for _ in range(3):
        found.append(counts(load(server, pki, '-n', 40, '-c', 4, '-v',
                                 version, '-r')))
        if found[-1] == (40, 0, 40):
            break
    assert found[-1] == (40, 0, 40), found


def test_bytes_are_counted(start, pki, bench_program):
    server = start(bench_program('stream'))
    for way in 'give', 'take':
        figures = load(server, pki, '-m', way, '-s', 1 << 20)
        assert counts(figures) == (1, 0, 0)
        assert (1 << 20) < figures['bytes'] < (1 << 20) + 100


def test_round_trips_are_counted(start, pki):
    server = start('/bin/cat')
    figures = load(server, pki, '-m', 'trips', '-s', 100, '-t', 50)
    assert counts(figures) == (1, 0, 0)
    assert figures['bytes'] == 2 * 50 * 100
    assert 'trip_us' in figures


def test_the_wrong_answer_is_a_failure(start, pki):
    """cat says what it is told, and that is not what the program says."""
    server = start('/bin/sh', '-c', 'read line; echo "$line"')
    figures = load(server, pki, '-n', 5, '-c', 2, code=1)
    assert counts(figures) == (0, 5, 0)
    assert figures['reason']


def test_refusals_are_counted(start, pki, workdir):
    rules = make_rules(os.path.join(workdir, 'early.cdb'), '127.:deny\n')
    server = start(options=['-y', rules])
    figures = load(server, pki, '-m', 'refused', '-n', 30, '-c', 5)
    assert counts(figures) == (30, 0, 0)
    server.wait_log('^sslserver: deny 0 ', 20, count=30)
    figures = load(server, pki, '-n', 3, code=1)
    assert counts(figures) == (0, 3, 0)


def test_who_is_let_in_was_not_refused(start):
    """In plain text, as refusals are measured; -n has a greeting first."""
    server = start(options=['-n', '-B', 'welcome'])
    done = subprocess.run(
        [LOAD, '-p', str(server.port), '-m', 'refused', '-n', '2'],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False,
        timeout=120 * SLOW)
    assert done.returncode == 1
    assert counts(json.loads(done.stdout)) == (0, 2, 0)


def test_held_ones_stand_until_the_end(start, pki):
    server = start()
    with subprocess.Popen(
            [LOAD, '-p', str(server.port), '-a', pki.ca, '-m', 'hold', '-n',
             '7', '-c', '3'], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE) as held:
        assert counts(json.loads(held.stdout.readline())) == (7, 0, 0)
        wait_for(lambda: len(server.pids('session')) == 7, 20, 'sessions')
        held.stdin.close()
        assert held.wait(60) == 0
    server.wait_idle()


def test_no_request_waits_for_an_acknowledgement(start, pki, bench_program,
                                                 workdir):
    """Nagle's delay is off on each connection."""
    strace = find_command('strace')
    if strace is None:
        pytest.skip('strace is not installed')
    server = start(bench_program('program'))
    trace = os.path.join(workdir, 'trace')
    subprocess.run(
        [strace, '-o', trace, '-e', 'trace=setsockopt', LOAD, '-p',
         str(server.port), '-a', pki.ca, '-n', '7', '-c', '3'], check=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        timeout=120 * SLOW)
    calls = [line for line in read_text(trace).splitlines()
             if 'TCP_NODELAY, [1]' in line and line.endswith('= 0')]
    assert len(calls) == 7


@pytest.mark.parametrize('words', [[], ['-v', '1.2'], ['-r'],
                                   ['-r', '-v', '1.2']], ids=' '.join)
def test_floor(pki, words):
    """The memory handshake fails by itself if it is of another kind."""
    done = subprocess.run(
        [LOAD, '-m', 'floor', '-n', '3', '-C', pki.ecdsa['CERTFILE'], '-K',
         pki.ecdsa['KEYFILE'], *words], stdout=subprocess.PIPE, check=True,
        timeout=120 * SLOW)
    assert float(done.stdout) > 0


def run_bench(folder, parts, names, build=BUILD):
    return subprocess.run(
        [sys.executable, os.path.join(BENCH, 'run'), build, '--quick',
         '--only', parts, '--servers', names, '--report', folder],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, check=False,
        env=dict(os.environ, BENCH_CONNECTIONS='20', BENCH_OPEN='1,20'),
        timeout=300 * SLOW)


def living():
    stats = (read_stat(int(name)) for name in os.listdir('/proc')
             if name.isdigit())
    return [stat for stat in stats if stat and stat.state != 'Z']


def sessions_below(pid):
    """Session -> number of processes, of what it has started; a server has
    one of its own."""
    parents = collections.defaultdict(list)
    for stat in living():
        parents[stat.ppid].append(stat)
    found, pids = collections.Counter(), [pid]
    for member in pids:
        found.update(stat.session for stat in parents[member])
        pids += [stat.pid for stat in parents[member]]
    return found


@pytest.mark.parametrize('name', ['SIGHUP', 'SIGINT', 'SIGTERM'])
def test_nothing_is_left_of_a_run_that_is_ended(workdir, name):
    """No process of a server, and no file."""
    process = subprocess.Popen(
        [sys.executable, os.path.join(BENCH, 'run'), BUILD, '--only', 'cost',
         '--servers', 'sslserver', '--report', os.path.join(workdir, 'r')],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
        env=dict(os.environ, TMPDIR=workdir))
    sessions = set()
    try:
        # The server's, when it has its roles.
        sessions = wait_for(
            lambda: {session for session, count
                     in sessions_below(process.pid).items()
                     if count > 5 and session != process.pid}, 30, 'a server')
        process.send_signal(signal.Signals[name])
        assert process.wait(60 * SLOW) != 0
        # Without control groups nobody waits for those whose parent has left.
        wait_for(lambda: not any(stat.session in sessions
                                 for stat in living()), 20, 'the end of all')
        assert not os.listdir(workdir)
    finally:
        for stat in living():
            if stat.session in sessions | {process.pid}:
                kill(stat.pid)
        process.wait()


def test_a_run(workdir):
    """Of the driver, as short as it can be; its report, and README of it."""
    if find_command('tcpserver') is None:
        pytest.skip('tcpserver is not installed')
    folder = os.path.join(workdir, 'report')
    parts = ['cost', 'refusals', 'trips', 'idle', 'open']
    done = run_bench(folder, ','.join(parts), 'tcpserver,sslserver')
    assert done.returncode == 0, done.stdout.decode()
    with open(os.path.join(folder, 'report.json'), encoding='utf-8') as file:
        found = json.load(file)
    for name in 'tcpserver', 'sslserver':
        assert found['cost']['servers'][name]['failures'] == 0
        assert found['refusals'][name]['failures'] == 0
        assert name in found['trips'] and name in found['idle']
        assert None not in found['open']['servers'][name]['cpu_us']
    for name in 'private', 'pss', 'kernel':
        with_it = found['idle']['sslserver'][f'both_{name}']
        if with_it is not None:
            assert found['idle']['sslserver'][name] < with_it
    # What is hidden from this user is not told as nothing.
    own = found['idle']['sslserver']['private']
    assert (own is None) == any('is hidden' in note
                                for note in found['notes'])
    assert own is None or own > 0
    assert found['open']['met'] == []
    assert set(found['seconds']) == set(found['others']) == set(parts)
    seen = {goal['goal']: goal['met'] for goal in found['goals']}
    assert seen['sslserver: full handshake'] in (True, False)
    assert seen['sslhandle: full handshake'] is None
    with open(os.path.join(folder, 'report.md'), encoding='utf-8') as file:
        text = file.read()
    assert '\n| sslserver: full handshake ' in text
    assert '\nNot measured: sslserver, dynamic nursery: full h' in text
    assert os.path.exists(os.path.join(folder, 'cost.svg'))
    check_readme(folder, workdir)


@pytest.mark.parametrize('words, reason', [
    (['/nonexistent'], b'/nonexistent/bin/sslserver is not there'),
    ([BUILD, '--only', 'cost,cots'], b'cots is none of cost kinds '),
    ([BUILD, '--servers', 'sslservr'], b'sslservr is none of tcpserver ')],
    ids=['directory', 'part', 'server'])
def test_what_cannot_be_measured_is_told(words, reason):
    """Before anything is, in a sentence."""
    done = subprocess.run(
        [sys.executable, os.path.join(BENCH, 'run'), *words],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, check=False, timeout=60 * SLOW)
    assert done.returncode == 2 and reason in done.stdout
    assert done.stdout.count(b'\n') == 1


def test_a_dynamic_nursery_has_a_row(workdir):
    """That of a build directory beside, which here is the same once more."""
    build = os.path.join(workdir, 'build')
    for name in build, build + '-dynamic':
        os.symlink(BUILD, name)
    # Roles look beside their executable, so a directory of links will do.
    folder = os.path.join(workdir, 'report')
    done = run_bench(folder, 'cost', 'sslserver-dynamic', build)
    assert done.returncode == 0, done.stdout.decode()
    with open(os.path.join(folder, 'report.md'), encoding='utf-8') as file:
        assert '| sslserver, dynamic nursery ' in file.read()
    os.unlink(build + '-dynamic')
    done = run_bench(folder, 'cost', 'sslserver-dynamic', build)
    assert b'note: sslserver-dynamic: build-dynamic/bin/sslserver is not ' \
        b'built' in done.stdout


def make_readme(folder, path):
    return subprocess.run(
        [sys.executable, os.path.join(BENCH, 'readme'), folder, path],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


def check_readme(folder, workdir):
    path = os.path.join(workdir, 'README.md')
    with open(path, 'w', encoding='utf-8') as file:
        file.write('# Title\n\n## Speed\n\nold\n\n## After\n\nkept\n')
    done = make_readme(folder, path)
    assert done.returncode == 0, done.stdout
    with open(path, encoding='utf-8') as file:
        text = file.read()
    assert text.startswith('# Title\n\n## Speed\n\nOne connection: ')
    assert text.endswith('\n\n## After\n\nkept\n')
    assert '\n| sslserver ' in text and 'old' not in text
    assert '\n| sslserver: full handshake ' in text
    assert ' 20 of them, 16 at a time' in ' '.join(text.split())
    assert ' ucspi-tcp ' in ' '.join(text.split())
    assert os.path.exists(os.path.join(workdir, 'cost.svg'))
    # Without a report nothing is touched, and a sentence says why.
    done = make_readme(workdir, path)
    assert done.returncode == 1 and b'report.json' in done.stdout
    with open(path, encoding='utf-8') as file:
        assert file.read() == text


def goals_of(results):
    sys.path.insert(0, BENCH)
    try:
        import goals
    finally:
        sys.path.remove(BENCH)
    return {goal['goal']: (goal['met'], goal['seen'])
            for goal in goals.plain(results)}


def test_goals_are_ratios_of_the_same_run():
    """Twice the microseconds of everything change no answer."""
    for slower in 1, 2:
        def spent(value):
            return {'cpu_us': slower * value}
        found = goals_of({
            'cost': {'F_us': slower * 620, 'servers': {
                'sslserver': spent(992), 'sslhandle': spent(776)}},
            'kinds': {'TLS 1.3 resumed': {
                'servers': {'sslserver': spent(900)}}},
            'refusals': {'sslserver': spent(25.1)},
            'bulk': {'sslserver': {'give': {'mib_s': 131 / slower,
                                            'cpu_s_per_gib': slower * 0.8}},
                     'stunnel': {'give': {'mib_s': 100 / slower,
                                          'cpu_s_per_gib': slower}}},
            'trips': {'sslserver': {'p50': slower * 24},
                      'tcpserver': {'p50': slower * 10}},
            'open': {'servers': {'sslserver': {
                'places': [1, 100, 9500], 'cpu_us': [10, None, 11.1]}}}})
        assert [met for met, _ in found.values()] == [
            True, None, False, None, None, True, None, False, True, False,
            None, None, True, None, None, False]
        assert found['sslserver: full handshake'][1] == 1.6
        assert found['TLS 1.3 resumed, as if F were 620 µs'][1] == 900


def test_goals_of_a_run_without_figures():
    """Nothing is met that was not measured."""
    found = goals_of({})
    assert len(found) == 16
    assert set(found.values()) == {(None, None)}


def load_counters():
    """bench/counters as a module; its name has no ending."""
    sys.path.insert(0, BENCH)
    try:
        loader = importlib.machinery.SourceFileLoader(
            'counters', os.path.join(BENCH, 'counters'))
        spec = importlib.util.spec_from_loader('counters', loader)
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
        return module
    finally:
        sys.path.remove(BENCH)


@pytest.mark.parametrize('kind, role, now, is_worse', [
    ('faults', 'session', 38, False), ('faults', 'session', 39, True),
    ('calls', 'program', 37, False), ('calls', 'program', 38, True),
    ('calls', 'monitor', 39, False), ('calls', 'monitor', 40, True),
    ('callgrind', 'session', 20034, False),
    ('callgrind', 'session', 20035, True),
    ('calls', 'unknown', 1000, False)])
def test_a_dearer_connection_is_told(kind, role, now, is_worse):
    counters = load_counters()
    old = {key: {'session': 34, 'program': 34, 'monitor': 34.9}
           for key in ('faults', 'calls', 'callgrind')}
    rows, worse = counters.compare({kind: {role: now}}, old)
    assert len(rows) == 1 and f'{now:,.1f}' in rows[0]
    assert [f'of {role}: {now:,.1f}, it was ' in line for line in worse] == \
        [True] * is_worse


@pytest.mark.skipif(SANITIZED, reason='a sanitizer makes calls of its own')
def test_counters(workdir):
    """Their ends: what is counted, and a report that bench/run takes."""
    if find_command('strace') is None:
        pytest.skip('strace is not installed')
    folder = os.path.join(workdir, 'report')
    done = subprocess.run(
        [sys.executable, os.path.join(BENCH, 'counters'), BUILD, '--server',
         'sslserver', '--report', folder], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        timeout=300 * SLOW)
    with open(os.path.join(folder, 'counters.json'), encoding='utf-8') as file:
        found = json.load(file)
    # Another library or machine may be dearer; then it says so.
    assert done.returncode == (1 if found['worse'] else 0), done.stdout
    for line in found['worse']:
        assert f'more than before: {line}\n'.encode() in done.stdout
    for kind in 'faults', 'calls':
        for role in 'session', 'program', 'monitor', 'master', 'keeper':
            assert found['sslserver'][kind][role] >= 0
    assert found['sslserver']['calls']['session'] > 10
    assert b'a session calls: ' in done.stdout
    done = run_bench(folder, 'refusals', 'sslserver')
    assert done.returncode == 0, done.stdout
    assert '| session: system calls ' in done.stdout.decode()
    assert '\n| sslserver | session' in done.stdout.decode()
