"""Goal: a rule file may be missing, damaged, replaced or written over at any
time; connections see the old table or the new one, whole."""

import contextlib
import itertools
import os
import re
import resource
import shutil
import signal
import threading
import time

import pytest

from admission import compiled, make_rules, some_rules
from harness import (SLOW, Client, descriptors, read_stat, run_server,
                     tls_context, wait_for)

DAMAGES = ['empty', 'cut', 'text', 'zeros', 'sparse', 'directory']
BOTH = pytest.mark.parametrize('option', ['-y', '-x'])


def about(server, path):
    """Lines about a rule file, but for those that -v shows at start."""
    return server.lines(r'(warning|error|fatal): .*' + re.escape(path))


@BOTH
def test_missing_file_refuses_everybody(start, workdir, option):
    """110, for each connection, until the file is there."""
    path = os.path.join(workdir, 'rules.cdb')
    server = start(options=[option, path])
    for count in (1, 2, 3):
        assert server.is_refused()
        server.wait_log(r'\(110\)')
        assert not server.lines('^sslserver: (pid|ok) '), count
    wait_for(lambda: about(server, path), 5, 'a line about the file')
    make_rules(path, '127.0.0.2:deny\n')
    wait_for(lambda: not server.is_refused(), 1, 'the new table')
    assert server.is_refused(source='127.0.0.2')


@BOTH
def test_missing_file_is_empty_with_X(start, workdir, option):
    path = os.path.join(workdir, 'rules.cdb')
    server = start(options=['-X', option, path])
    server.check_service()
    assert not server.lines(r'\(110\)')
    make_rules(path, '127.0.0.1:deny\n')
    wait_for(server.is_refused, 1, 'the new table')
    os.unlink(path)
    wait_for(lambda: not server.is_refused(), 1, 'the empty table')


@BOTH
def test_file_that_goes_away(start, workdir, option):
    """Without -X nobody is let in without rules."""
    path = make_rules(os.path.join(workdir, 'rules.cdb'), ':allow\n')
    server = start(options=[option, path])
    server.check_service()
    os.rename(path, path + '.away')
    wait_for(server.is_refused, 1, 'the missing file')
    server.wait_log(r'\(110\)')
    os.rename(path + '.away', path)
    wait_for(lambda: not server.is_refused(), 1, 'the file that is back')
    server.check_service()


@BOTH
@pytest.mark.parametrize('permitted', [['-X'], []])
def test_gap_while_it_is_replaced(start, workdir, option, permitted):
    """install(1) removes a file before it makes the new one: nobody is let
    in meanwhile, and nobody refused."""
    path = make_rules(os.path.join(workdir, 'rules.cdb'), '127.0.0.2:deny\n')
    table = compiled(workdir, '127.0.0.2:deny\n127.0.0.3:deny\n')
    server = start(options=permitted + [option, path])
    watcher = server.pid('watcher')
    sound = 0
    for _ in range(10):
        write(path + '.new', table)
        began = time.monotonic()
        os.unlink(path)
        # One look falls into the gap, or two.
        time.sleep(0.25)
        os.rename(path + '.new', path)
        if time.monotonic() - began > 0.38:
            wait_for(lambda: server.is_refused(source='127.0.0.3'), 2,
                     'the table after too long a gap')
            continue
        until = time.monotonic() + 0.6
        while time.monotonic() < until:
            assert server.is_refused(source='127.0.0.2')
            server.check_service()
        sound += 1
        if sound == 3:
            break
    assert sound > 0, 'this machine is too slow for a short gap'
    assert server.is_refused(source='127.0.0.3')


@BOTH
@pytest.mark.parametrize('damage', DAMAGES)
def test_damaged_at_start(start, workdir, option, damage):
    """None was ever good: 110.  -X is no excuse, the file is there."""
    path = os.path.join(workdir, 'rules.cdb')
    table = compiled(workdir, '127.0.0.2:deny\n' + some_rules(100, 1))
    put_damaged(path, table, damage)
    server = start(options=['-X', option, path])
    assert server.is_refused()
    server.wait_log(r'\(110\)')
    wait_for(lambda: about(server, path), 5, 'a line about the file')
    if damage == 'directory':
        os.rmdir(path)
    write(path, table)
    wait_for(lambda: not server.is_refused(), 1, 'the good table')
    assert server.is_refused(source='127.0.0.2')


def put_damaged(path, table, damage):
    """At path, something made of a table that is none."""
    if damage == 'directory':
        if os.path.exists(path):
            os.unlink(path)
        os.mkdir(path)
    elif damage == 'sparse':
        # The largest table there can be, and not a byte of it.
        with open(path, 'wb') as file:
            file.truncate(4294967295)
    else:
        write(path, {'empty': b'', 'cut': table[:len(table) - 700],
                     'zeros': b'\0' * len(table),
                     'text': b'127.0.0.3:deny\n' * 1000}[damage])


def write(path, data):
    with open(path, 'wb') as file:
        file.write(data)


@BOTH
@pytest.mark.parametrize('damage', DAMAGES)
def test_damaged_file_leaves_the_old_table(start, workdir, option, damage):
    """With one line, however often it is looked at."""
    path = make_rules(os.path.join(workdir, 'rules.cdb'),
                      '127.0.0.2:deny\n' + some_rules(100, 2))
    table = compiled(workdir, '127.0.0.3:deny\n' + some_rules(100, 3))
    server = start(options=[option, path])
    assert server.is_refused(source='127.0.0.2')
    put_damaged(path, table, damage)
    wait_for(lambda: about(server, path), 2, 'a line about the file')
    for _ in range(5):
        assert server.is_refused(source='127.0.0.2')
        server.check_service()
        server.check_service(source='127.0.0.3')
    time.sleep(0.8)
    assert len(about(server, path)) == 1, server.log()
    # And a monitor made now knows the old table, too.
    old = server.pid('monitor')
    server.signal(9, old)
    wait_for(lambda: serves_again(server, old), 10, 'a new monitor')
    assert server.is_refused(source='127.0.0.2')
    server.check_service(source='127.0.0.3')
    if damage == 'directory':
        os.rmdir(path)
    write(path, table)
    wait_for(lambda: server.is_refused(source='127.0.0.3'), 1,
             'the good table')
    server.check_service(source='127.0.0.2')


def serves_again(server, old):
    """Is there another monitor, which listens?"""
    now = server.pids('monitor')
    if not now or old in now:
        return False
    try:
        return not server.is_refused(timeout=2)
    except OSError:
        return False


@BOTH
@pytest.mark.parametrize('how', ['rename', 'in place', 'copy'])
def test_change_is_seen_within_a_second(start, workdir, option, how):
    path = os.path.join(workdir, 'rules.cdb')
    tables = [compiled(workdir, '127.0.0.2:deny\n'),
              compiled(workdir, '127.0.0.3:deny\n' + some_rules(50, 4)),
              compiled(workdir, '127.0.0.2:deny\n127.0.0.3:deny\n')]
    write(path, tables[0])
    server = start(options=[option, path])
    expected = [(True, False), (False, True), (True, True)]
    times = []
    for number in (0, 1, 2, 1, 0):
        replace(path, tables[number], how)
        changed = time.monotonic()
        wait_for(lambda: (server.is_refused(source='127.0.0.2'),
                          server.is_refused(source='127.0.0.3'))
                 == expected[number], 1.2, 'table %d' % number)
        times.append(time.monotonic() - changed)
    # All, unless the machine is busy.
    assert min(times) < 1.2 * SLOW
    assert not but_for_halves(about(server, path), how)


def but_for_halves(lines, how):
    """On a busy machine who writes over a file may be held up for longer
    than two looks take: half a table rests, is refused, and that is said."""
    return [line for line in lines if how == 'rename' or not line.endswith(
        'is no table of rules; the last one stays in force')]


def replace(path, data, how):
    """Three ways in which administrators put a file into its place."""
    if how == 'rename':
        write(path + '.tmp', data)
        os.rename(path + '.tmp', path)
    elif how == 'copy':
        write(path + '.tmp', data)
        shutil.copyfile(path + '.tmp', path)
    else:
        # Piece by piece, over the old bytes, then cut to size.
        with open(path, 'r+b', buffering=0) as file:
            step = max(1, len(data) // 10)
            for at in range(0, len(data), step):
                file.write(data[at:at + step])
                time.sleep(0.01)
            file.truncate()


@pytest.mark.parametrize('how', ['rename', 'in place', 'copy'])
def test_changes_under_load(start, workdir, how):
    """100 connections a second while the table changes all the time: none
    is lost, and none sees half of a table."""
    paths = [os.path.join(workdir, name) for name in ('y.cdb', 'x.cdb')]
    tables = {}
    for name in ('a', 'b', 'c'):
        # The two values lie far apart in the file.
        tables[name] = [
            compiled(workdir, ':allow,EARLY="%s"\n' % name
                     + some_rules(300, name)),
            compiled(workdir, '127.0.0.1:allow,FIRST="%s",SECOND="%s%s"\n'
                     % (name, 'x' * 5000, name) + some_rules(500, name))]
    for path, table in zip(paths, tables['a']):
        write(path, table)
    server = start('/bin/sh', '-c', 'echo $EARLY $FIRST $SECOND',
                   options=['-y', paths[0], '-x', paths[1], '-c', '100',
                            '-b', '100'])
    answers, errors = [], []
    stop = threading.Event()
    threads = [threading.Thread(target=keep_asking, args=(
        server, number, stop, answers, errors)) for number in range(5)]
    for thread in threads:
        thread.start()
    try:
        for name in 'bcabca':
            for path, table in zip(paths, tables[name]):
                replace(path, table, how)
            wait_for(lambda: answers and answers[-1].endswith(
                ' %s %s%s' % (name, 'x' * 5000, name)), 3, 'table ' + name)
        wait_for(lambda: errors or len(answers) > 100, 60, '100 answers')
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert errors == []
    for answer in answers:
        early, first, second = answer.split()
        assert second == 'x' * 5000 + first
        assert early in tables and first in tables
    lines = server.lines('warning|error|fatal|deny')
    assert not but_for_halves(lines, how)


def keep_asking(server, number, stop, answers, errors):
    """20 connections a second."""
    context = tls_context()
    due = time.monotonic() + number * 0.01
    while not stop.is_set():
        due += 0.05
        time.sleep(max(0, due - time.monotonic()))
        try:
            with Client(server.address, server.port,
                        context=context) as client:
                client.close_notify()
                answers.append(client.recv_all().decode().strip())
        except Exception as error:
            errors.append(repr(error))


def test_running_connections_do_not_care(start, workdir):
    """A table decides once, when the connection begins."""
    path = make_rules(os.path.join(workdir, 'x.cdb'), ':allow\n')
    server = start(options=['-x', path])
    with server.connect() as client:
        client.echo(b'x')
        make_rules(path, ':deny\n')
        wait_for(server.is_refused, 1, 'the new table')
        client.echo(b'still here')


def test_new_monitor_has_the_rules(start, workdir):
    """Also those that came after the start."""
    early = make_rules(os.path.join(workdir, 'y.cdb'), '10.:deny\n')
    later = make_rules(os.path.join(workdir, 'x.cdb'), '10.:deny\n')
    server = start(options=['-y', early, '-x', later])
    make_rules(early, '127.0.0.2:deny\n')
    make_rules(later, '127.0.0.3:deny\n')
    wait_for(lambda: server.is_refused(source='127.0.0.2')
             and server.is_refused(source='127.0.0.3'), 1, 'the new tables')
    for _ in range(2):
        old = server.pid('monitor')
        server.signal(9, old)
        wait_for(lambda: serves_again(server, old), 10, 'a new monitor')
        before = len(server.lines('^sslserver: deny'))
        for number, ip in enumerate(('127.0.0.2', '127.0.0.3')):
            assert server.is_refused(source=ip)
            server.wait_log('^sslserver: deny', count=before + number + 1)
    assert not about(server, early) and not about(server, later)


def test_no_rules_while_starting_again(start, workdir):
    """A monitor that has no table yet lets nobody in: 127.0.0.2 is refused
    at every moment, whatever becomes of monitors."""
    path = make_rules(os.path.join(workdir, 'y.cdb'), '127.0.0.2:deny\n')
    server = start(options=['-y', path])
    for _ in range(3):
        old = server.pid('monitor')
        server.signal(9, old)
        until = time.monotonic() + 10 * SLOW
        while old in server.pids('monitor') or not server.pids('monitor'):
            assert time.monotonic() < until
            assert gets_no_service(server)
        for _ in range(20):
            assert gets_no_service(server)
        wait_for(lambda: serves_again(server, old), 10, 'a new monitor')


def gets_no_service(server):
    try:
        return server.is_refused(source='127.0.0.2', timeout=5)
    except OSError:
        return True


def test_one_file_for_both(start, workdir):
    """The same file may serve both options."""
    path = make_rules(os.path.join(workdir, 'both.cdb'),
                      '127.0.0.2:deny\n127.0.0.1:allow\n')
    server = start(options=['-y', path, '-x', path])
    server.check_service()
    assert server.is_refused(source='127.0.0.2')
    make_rules(path, '127.0.0.2:allow\n')
    wait_for(lambda: not server.is_refused(source='127.0.0.2'), 1,
             'the new table')


def test_check_reads_the_rules(workdir, pki):
    """--check says what start would find."""
    path = os.path.join(workdir, 'rules.cdb')
    words = ['--check', '-x', path, '127.0.0.1', '0', '/bin/cat']
    write(path, b'no table')
    result = run_server(words, env=pki.ecdsa)
    assert result.code == 111 and path in result.err, result
    make_rules(path, ':allow\n')
    result = run_server(words, env=pki.ecdsa)
    assert result.code == 0, result


# ---------------------------------------------------------------------------
# Files that do not rest, and systems that do not answer

@contextlib.contextmanager
def repeating(step, pause):
    """Something is done all the time."""
    stop = threading.Event()

    def repeat():
        while not stop.wait(pause):
            step()
    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@BOTH
def test_touched_all_the_time(start, workdir, option):
    """A file that never stands still is taken nevertheless."""
    path = make_rules(os.path.join(workdir, 'rules.cdb'), '127.0.0.2:deny\n')
    server = start(options=[option, path])
    with repeating(lambda: os.utime(path), 0.04):
        assert server.is_refused(source='127.0.0.2')
        make_rules(path, '127.0.0.3:deny\n')
        wait_for(lambda: server.is_refused(source='127.0.0.3'), 5,
                 'the new table')
        server.check_service(source='127.0.0.2')
    assert not about(server, path)


def test_changes_faster_than_it_is_copied(start, workdir):
    """The old table stays, one line says so, and rest ends it."""
    path = make_rules(os.path.join(workdir, 'rules.cdb'), '127.0.0.2:deny\n')
    server = start(options=['-x', path])
    server.check_service()
    sizes = itertools.count(os.path.getsize(path) + 1)
    with repeating(lambda: os.truncate(path, next(sizes)), 0):
        server.wait_log('warning|error', 10)
        for _ in range(5):
            assert server.is_refused(source='127.0.0.2')
            server.check_service()
    make_rules(path, '127.0.0.3:deny\n')
    wait_for(lambda: server.is_refused(source='127.0.0.3'), 2,
             'the new table')
    server.check_service(source='127.0.0.2')
    assert about(server, path) == [
        'sslserver: error: (111) rule file %s changes all the time and is '
        'not taken; the last one stays in force' % path]


@pytest.mark.root
def test_the_copier_holds_nothing(start, workdir, stops):
    """Whatever holds it, no listener, socket or log is held with it."""
    path = make_rules(os.path.join(workdir, 'rules.cdb'), '127.0.0.2:deny\n')
    server = start(options=['-x', path], launcher=stops.launcher)
    stops.begin('openat', server.pid('master'))
    make_rules(path, '127.0.0.3:deny\n')
    copier = stops.wait()
    try:
        assert server.role(copier) == 'copier'
        # The new copy and the old one, and what each says of TLS.
        assert list(descriptors(copier).values()) == [
            '/memfd:sslserver (deleted)'] * 4
        # And so with the other child.
        watcher = descriptors(server.pid('watcher'))
        assert [re.sub(r'\d+', 'N', target) for target in
                watcher.values()] == ['socket:[N]']
        assert server.is_refused(source='127.0.0.2')
    finally:
        os.kill(copier, signal.SIGCONT)
    wait_for(lambda: server.is_refused(source='127.0.0.3'), 2,
             'the new table')


def test_what_is_no_file(start, workdir):
    """Told as such, and not opened: that can do something to it."""
    path = make_rules(os.path.join(workdir, 'rules.cdb'), '127.0.0.2:deny\n')
    server = start(options=['-x', path])
    assert server.is_refused(source='127.0.0.2')
    os.mkfifo(path + '.new')
    os.rename(path + '.new', path)
    server.wait_log('no regular file')
    assert server.is_refused(source='127.0.0.2')
    make_rules(path, '127.0.0.3:deny\n')
    wait_for(lambda: server.is_refused(source='127.0.0.3'), 2,
             'the new table')
    assert about(server, path) == [
        'sslserver: error: (111) rule file %s: it is no regular file; the '
        'last one stays in force' % path]


@pytest.mark.root
def test_a_killed_copier(start, workdir, stops):
    """One line, and another try, although the file does not change."""
    path = make_rules(os.path.join(workdir, 'rules.cdb'), '127.0.0.2:deny\n')
    server = start(options=['-x', path], launcher=stops.launcher)
    stops.begin('openat', server.pid('master'))
    make_rules(path, '127.0.0.3:deny\n')
    os.kill(stops.wait(), signal.SIGKILL)
    server.wait_log('copier ended')
    assert server.is_refused(source='127.0.0.2')
    wait_for(lambda: server.is_refused(source='127.0.0.3'), 10,
             'the new table')
    assert about(server, path) == [
        'sslserver: error: (111) rule file %s cannot be copied: copier ended '
        'by signal 9; the last one stays in force' % path]


def test_a_disk_that_does_not_answer(start, workdir, stops):
    """Neither a look nor a copy holds the service; a line for each file,
    and another try."""
    early = make_rules(os.path.join(workdir, 'y.cdb'), '127.0.0.2:deny\n')
    later = make_rules(os.path.join(workdir, 'x.cdb'), '127.0.0.3:deny\n')
    server = start(options=['-y', early, '-x', later],
                   launcher=stops.launcher)
    server.check_service()
    # All of its system calls take for ever from now on.
    first, second = server.pids('watcher')
    watcher = min(first, second)
    server.signal(signal.SIGSTOP, watcher)
    make_rules(early, '127.0.0.4:deny\n')
    stops.begin('openat', server.pid('master'))
    make_rules(later, '127.0.0.5:deny\n')
    copier = stops.wait()
    for path in (early, later):
        wait_for(lambda: about(server, path), 15, 'a line about ' + path)
        assert about(server, path) == [
            'sslserver: error: (111) rule file %s: to look at it or copy it '
            'takes too long; the last one stays in force' % path]
    # A busy machine comes here when the other try has been made.
    for ip, name in (('127.0.0.2', 'earlyrules'), ('127.0.0.3', 'rules')):
        if not server.is_refused(source=ip):
            server.wait_log('^sslserver: %s ' % name, count=2)
    server.check_service()
    for pid in (watcher, copier):
        wait_for(lambda: read_stat(pid) is None, 5, 'its end')
    for ip in ('127.0.0.4', '127.0.0.5'):
        wait_for(lambda: server.is_refused(source=ip), 10, 'the new table')
    server.check_service(source='127.0.0.2')
    assert len(about(server, early)) == len(about(server, later)) == 1


def test_the_children_end_with_master(start, workdir):
    """Also one that is killed with everything else running."""
    path = make_rules(os.path.join(workdir, 'x.cdb'), ':allow\n')
    server = start(options=['-y', path, '-x', path])
    assert len(server.pids('watcher')) == 2
    server.signal(signal.SIGKILL, server.pid('master'))
    server.wait_gone()


def test_a_killed_watcher_is_replaced(start, workdir):
    path = make_rules(os.path.join(workdir, 'x.cdb'), ':allow\n')
    server = start(options=['-x', path])
    old = server.pid('watcher')
    server.signal(signal.SIGKILL, old)
    make_rules(path, '127.0.0.2:deny\n')
    wait_for(lambda: server.is_refused(source='127.0.0.2'), 3,
             'the new table')
    assert server.pid('watcher') != old
    assert not about(server, path)


def memories(pid):
    return sum('memfd' in target for target in descriptors(pid).values())


@pytest.mark.root
def test_no_descriptor_for_the_news(start, workdir):
    """A table that cannot be handed over now is handed over later."""
    path = os.path.join(workdir, 'x.cdb')
    server = start(options=['-x', path])
    assert server.is_refused()
    master = server.pid('master')
    limits = resource.prlimit(master, resource.RLIMIT_NOFILE)
    # Enough for the copy and what it says of TLS, and not for a duplicate.
    used = descriptors(master)
    copies = memories(master)
    free = [number for number in range(1000) if number not in used]
    resource.prlimit(master, resource.RLIMIT_NOFILE, (free[2], limits[1]))
    make_rules(path, '127.0.0.2:deny\n')
    wait_for(lambda: memories(master) > copies, 3, 'the copy')
    wait_for(lambda: not server.pids('copier'), 3, 'its end')
    assert server.is_refused()
    resource.prlimit(master, resource.RLIMIT_NOFILE, limits)
    wait_for(lambda: not server.is_refused(), 2, 'the new table')
    assert server.is_refused(source='127.0.0.2')
