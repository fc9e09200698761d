"""Start sslserver, look at its processes and talk to it.

Shared by all scenarios.  Nothing here sleeps to let something happen: every
wait is a condition with a deadline, and a deadline that passes is a failure
that says what was waited for.
"""

import collections
import json
import os
import pwd
import re
import select
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BIN = os.environ.get('UCSPI_BIN', os.path.join(TOP, 'build', 'bin'))
TOOLS = os.environ.get('UCSPI_TOOLS',
                       os.path.join(TOP, 'build', 'tests', 'tools'))
PATIENCE = 30.0
SLOW = 4 if os.environ.get('UCSPI_SLOW', '') not in ('', '0') else 1
SANITIZED = os.environ.get('UCSPI_SANITIZED', '') not in ('', '0')
ROOT = os.geteuid() == 0
SSLSERVER = os.path.join(BIN, 'sslserver')

def _tls_library():
    """As the keeper names it, "OpenSSL 3.0.19 27 Jan 2026"."""
    text = subprocess.run([os.path.join(BIN, 'sslserver'), '--version'],
                          stdout=subprocess.PIPE, text=True).stdout
    found = re.search(r'^ucspissl-keeper [^,]*, (.*)$', text, re.M)
    return found[1] if found else ''


TLS_LIBRARY = _tls_library()
IS_LIBRESSL = TLS_LIBRARY.startswith('LibreSSL')
# Others show a key object digests only, and Ed25519 has none.
KEYS = ['rsa', 'ecdsa'] + (
    ['ed25519'] if re.match(r'OpenSSL ([3-9]|\d\d)', TLS_LIBRARY) else [])

# The roles that live as long as the server does; a resolver only when
# names or IDENT are wanted, a cache only when sessions are resumed.  Each rule
# file has a watcher besides.
LONG_LIVED = {'front', 'master', 'monitor', 'logger', 'keeper', 'nursery',
              'resolver', 'cache'}
SANITIZER_REPORT = re.compile(
    r'ERROR: \w+Sanitizer|runtime error:|WARNING: \w+Sanitizer')


class Timeout(AssertionError):
    """A condition did not come true in time."""


class Truncated(Exception):
    """The peer's stream ended without close_notify."""


def wait_for(condition, seconds=5.0, what='condition'):
    """Returns the first true value of condition().

    seconds is what it takes on a machine that is busy with nothing else; one
    that is busy has PATIENCE.  How fast something is, is no test's matter.
    """
    seconds = max(seconds * SLOW, PATIENCE)
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Timeout('not within %g s: %s' % (seconds, what))
        time.sleep(0.01)


def hold(condition, seconds, what='condition'):
    """Fails if condition() becomes false within the interval."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), 'did not hold for %g s: %s' % (seconds, what)
        time.sleep(0.02)


class Pace:
    """How long those steps take that must not miss a deadline."""

    def __init__(self):
        self.begun = None
        self.longest = 0

    def begin(self):
        self.begun = time.monotonic()

    def end(self):
        if self.begun is not None:
            self.longest = max(self.longest, time.monotonic() - self.begun)
        self.begun = None

    def step(self):
        self.end()
        self.begin()


def in_time(attempt, seconds=1):
    """Runs attempt(seconds, pace) against a server with a deadline of that
    many seconds.  It tells when steps begin and end that come before the
    deadline if the machine is fast enough.  A failure is none when one of
    them took half of the seconds or more: then there is another attempt,
    with twice as many.
    """
    while True:
        pace = Pace()
        try:
            return attempt(seconds, pace)
        except (AssertionError, OSError, Truncated):
            pace.end()
            if pace.longest < seconds / 2 or seconds > 60:
                raise
        seconds *= 2


def tool(name):
    path = os.path.join(TOOLS, name)
    assert os.access(path, os.X_OK), path + ' is not built'
    return path


def find_command(name):
    """Path of a system command, or None."""
    path = os.environ.get('PATH', os.defpath) + ':/usr/sbin:/sbin'
    return shutil.which(name, path=path)


def find_example(name):
    """Path of a program of examples/: of C beside the others that were built,
    a script where it was written."""
    paths = [os.path.join(directory, 'examples', name)
             for directory in (os.path.dirname(BIN), TOP)]
    for path in paths:
        if os.access(path, os.X_OK):
            return path
    raise FileNotFoundError(' '.join(paths))


def read_text(path):
    try:
        with open(path, encoding='latin-1') as file:
            return file.read()
    except FileNotFoundError:
        return ''


def _unused_numbers(count):
    """Numbers that are nobody's uid and that no process runs under."""
    taken = {entry.pw_uid for entry in pwd.getpwall()}
    for pid in os.listdir('/proc'):
        if pid.isdigit():
            try:
                taken.add(os.stat('/proc/' + pid).st_uid)
            except FileNotFoundError:
                pass
    found = []
    # Two runs at once must not choose the same: a scenario has programs
    # that stop whatever else runs under theirs.  tests/scenarios gives each
    # that it runs at once numbers of its own.
    number = int(os.environ.get('UCSPI_IDS')
                 or 60001 + os.getpid() % 1000 * 4)
    while len(found) < count:
        if number not in taken:
            found.append(number)
        number += 1
    return found


KEEPER_ID, NET_ID, MONITOR_ID, PROGRAM_ID = _unused_numbers(4)


def identity_environment():
    if not ROOT:
        return {}
    return {
        'SSL_UID': str(KEEPER_ID),
        'SSL_GID': str(KEEPER_ID),
        'SSLNET_USER': str(NET_ID),
        'SSLMON_USER': str(MONITOR_ID),
    }


def identity_options():
    if not ROOT:
        return []
    return ['-u', str(PROGRAM_ID), '-g', str(PROGRAM_ID)]


# ---------------------------------------------------------------------------
# Processes

Stat = collections.namedtuple('Stat', 'pid state ppid pgrp session ticks')


def read_stat(pid):
    """None if there is no such process."""
    try:
        with open('/proc/%d/stat' % pid, encoding='latin-1') as file:
            text = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text[text.rindex(')') + 2:].split()
    return Stat(pid, fields[0], int(fields[1]), int(fields[2]),
                int(fields[3]), int(fields[11]) + int(fields[12]))


def read_proc(pid, name):
    """Empty if there is no such process (any more)."""
    try:
        with open('/proc/%d/%s' % (pid, name), 'rb') as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return b''


def status_fields(pid):
    fields = {}
    for line in read_proc(pid, 'status').decode('latin-1').splitlines():
        name, _, value = line.partition(':')
        fields[name] = value.split()
    return fields


def proc_limits(pid):
    """Soft and hard limit by name; 'unlimited' is None."""
    limits = {}
    text = read_proc(pid, 'limits').decode()
    for line in text.splitlines()[1:]:
        match = re.match(r'(.{25}) (\S+)\s+(\S+)', line)
        values = [None if value == 'unlimited' else int(value)
                  for value in match.group(2, 3)]
        limits[match.group(1).strip()] = tuple(values)
    return limits


def descriptors(pid):
    """Descriptor number -> target; needs the right to look."""
    directory = '/proc/%d/fd' % pid
    found = {}
    for name in os.listdir(directory):
        try:
            found[int(name)] = os.readlink('%s/%s' % (directory, name))
        except FileNotFoundError:
            pass
    return found


def kill(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


class Stops:
    """Children of a process are stopped at a call, while the flag is there.
    """

    def __init__(self, workdir):
        self.flag = os.path.join(workdir, 'stops')
        self.launcher = (tool('stopcall'), self.flag)

    def begin(self, call, parent):
        with open(self.flag + '.new', 'w', encoding='ascii') as file:
            file.write('%s %d\n' % (call, parent))
        os.rename(self.flag + '.new', self.flag)

    def end(self):
        os.unlink(self.flag)

    def wait(self):
        """The pid of the first one; the next ones are left alone."""
        pids = wait_for(lambda: read_text(self.flag + '.hits').split(), 5,
                        'a process to be stopped')
        self.end()
        wait_for(lambda: is_stopped(int(pids[0])), 5, 'it to stand')
        return int(pids[0])


def is_stopped(pid):
    stat = read_stat(pid)
    return stat is not None and stat.state == 'T'


# ---------------------------------------------------------------------------
# The server

class Server:
    """One server, its log and its processes: sslserver, or command.

    Everything below the started process keeps its session id, so that the
    processes are found even when parents have gone.
    """

    def __init__(self, workdir, program, options=(), env=None, host=None,
                 port='0', certs=None, launcher=(), log='-v', preexec=None,
                 stderr=None, identity=True, cwd=None, keep=(),
                 command=None):
        self.workdir = tempfile.mkdtemp(prefix='server-', dir=workdir)
        os.chmod(self.workdir, 0o755)
        self.log_path = os.path.join(self.workdir, 'log')
        self.env = clean_environment()
        self.env.update(identity_environment() if identity else {})
        self.env.update(certs or {})
        self.env.update(env or {})
        self.env = {k: v for k, v in self.env.items() if v is not None}
        # Looked up now: a scenario may have put another one there.
        command = command or SSLSERVER
        self.name = os.path.basename(command)
        self.arguments = [command, '-1']
        self.arguments += [log] if log else []
        self.arguments += identity_options() if identity else []
        self.arguments += [str(option) for option in options]
        self.arguments += [host or '127.0.0.1', str(port)] + list(program)
        self.port = self.address = self.announced = None
        self.connected = 0
        self.process = None
        self._spawn(launcher, preexec, stderr, cwd, keep)

    def _spawn(self, launcher, preexec, stderr, cwd, keep):
        def before():
            os.setsid()
            if preexec is not None:
                preexec()

        log_fd = stderr
        if stderr is None:
            log_fd = os.open(self.log_path,
                             os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            self.process = subprocess.Popen(
                list(launcher) + self.arguments, env=self.env,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=log_fd, preexec_fn=before, cwd=cwd or self.workdir,
                pass_fds=keep)
        finally:
            if stderr is None:
                os.close(log_fd)
        self.front = self.process.pid

    def wait_ready(self, seconds=10):
        """Reads the line that -1 prints."""
        line = b''
        deadline = time.monotonic() + max(seconds * SLOW, PATIENCE)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise Timeout('no port was announced; log:\n' + self.log())
            if not select.select([self.process.stdout], [], [], left)[0]:
                continue
            piece = os.read(self.process.stdout.fileno(), 4096)
            if not piece:
                break
            line += piece
        self.announced = line.decode()
        match = re.fullmatch(r'(\S+) : (\d+) \[(\d+)/(\d+)\]\n',
                             self.announced)
        assert match, 'announced %r; log:\n%s' % (line, self.log())
        self.address, self.port = match.group(1), int(match.group(2))
        return self

    # Looking

    def log(self):
        return read_text(self.log_path)

    def lines(self, pattern=''):
        return [line for line in self.log().splitlines()
                if re.search(pattern, line)]

    def wait_log(self, pattern, seconds=5.0, count=1):
        """Returns the match objects once there are that many lines."""
        def look():
            found = [re.search(pattern, line)
                     for line in self.log().splitlines()]
            found = [match for match in found if match]
            return found if len(found) >= count else None
        return wait_for(look, seconds, 'log line %r' % pattern)

    def stats(self):
        """Every process of this server, zombies of its own included: an
        orphan of a program is for init to reap, which may take a while.
        """
        found = []
        for name in os.listdir('/proc'):
            if name.isdigit():
                stat = read_stat(int(name))
                if stat and stat.session == self.front:
                    found.append(stat)
        pids = {stat.pid for stat in found} | {os.getpid()}
        return [stat for stat in found
                if stat.state != 'Z' or stat.ppid in pids]

    def role(self, pid):
        if pid == self.front:
            return 'front'
        title = read_proc(pid, 'cmdline').split(b'\0')[0].decode('latin-1')
        match = re.match(r'%s: (\w+)$' % self.name, title.strip())
        if match:
            return match.group(1)
        return 'program'

    def roles(self):
        """Role -> list of pids; zombies are listed under 'zombie'."""
        found = collections.defaultdict(list)
        for stat in self.stats():
            name = 'zombie' if stat.state == 'Z' else self.role(stat.pid)
            found[name].append(stat.pid)
        return found

    def pids(self, role):
        return self.roles()[role]

    def pid(self, role, seconds=5.0):
        """The pid of the only process of that role."""
        def look():
            pids = self.pids(role)
            return pids if len(pids) == 1 else None
        return wait_for(look, seconds, 'exactly one %s' % role)[0]

    def wait_idle(self, seconds=2.0):
        """Until only the long-lived roles are left."""
        def look():
            found = set(self.roles()) - {'watcher'}
            return found | {'resolver', 'cache'} == LONG_LIVED
        try:
            wait_for(look, seconds, 'only the long-lived roles are left')
        except Timeout as late:
            raise Timeout('%s: %r' % (late, dict(self.roles()))) from None

    def wait_roles(self, seconds=5.0):
        """Until every long-lived role is there."""
        wait_for(lambda: LONG_LIVED <= set(self.roles()), seconds,
                 'all long-lived roles are there')

    def wait_gone(self, seconds=5.0):
        """Until no process of this server is left."""
        def look():
            self.process.poll()
            return not self.stats()
        wait_for(look, seconds, 'all processes have left')

    def ticks(self):
        return {stat.pid: stat.ticks for stat in self.stats()}

    # Talking

    def connect(self, **settings):
        address = settings.pop('address', None) or self.address
        address = {'0.0.0.0': '127.0.0.1', '::': '::1'}.get(address, address)
        self.connected += 1
        return Client(address, self.port, **settings)

    def exchange(self, data=b'', **settings):
        """One connection: sends data, ends cleanly, returns the answer."""
        client = self.connect(**settings)
        try:
            client.send(data)
            client.close_notify()
            return client.recv_all()
        finally:
            client.close()

    def is_refused(self, **settings):
        """Is a connection closed before a byte of TLS comes?"""
        try:
            self.connect(**settings).close()
            return False
        except (Truncated, ConnectionResetError, BrokenPipeError):
            return True

    def check_service(self, text=b'are you there?', **settings):
        """Holds for any program that echoes its input."""
        assert self.exchange(text, **settings) == text

    # Ending

    def signal(self, number, pid=None):
        kill(self.front if pid is None else pid, number)

    def stop(self, seconds=5.0):
        """Ends the server; returns its exit code."""
        self.signal(signal.SIGTERM)
        return self.process.wait(max(seconds * SLOW, PATIENCE))

    def destroy(self):
        """Whatever is left: ends it without asking."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(1)
            except subprocess.TimeoutExpired:
                pass
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            left = [stat for stat in self.stats() if stat.state != 'Z']
            if not left and self.process.poll() is not None:
                break
            for stat in left:
                kill(stat.pid, signal.SIGKILL)
            time.sleep(0.01)
        self.process.stdout.close()
        # Orphans may be ours to reap (clientrun.Family).  Left as they are
        # they slow down every look at all processes.
        for stat in self.stats():
            if stat.state == 'Z' and stat.ppid == os.getpid():
                os.waitpid(stat.pid, os.WNOHANG)

    def sanitizer_report(self):
        return SANITIZER_REPORT.search(self.log())


def clean_environment():
    """What a supervisor gives: little, and nothing of ours."""
    env = {'PATH': '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin',
           'LANG': 'C',
           # No name server: every name is unknown at once.
           'DNSCACHEIP': ''}
    for name in ('ASAN_OPTIONS', 'UBSAN_OPTIONS', 'LSAN_OPTIONS',
                 'LD_LIBRARY_PATH'):
        if name in os.environ:
            env[name] = os.environ[name]
    return env


Result = collections.namedtuple('Result', 'code out err')


def run_server(arguments, env=None, identity=True, seconds=10.0,
               preexec=None, launcher=(), cwd=None, keep=(),
               command=None):
    """Runs a server to its end; one that starts is a failure.

    arguments follow the identity options.  A program that does not leave
    within the time is killed with all it started.
    """
    full = clean_environment()
    full.update(identity_environment() if identity else {})
    full.update(env or {})
    full = {k: v for k, v in full.items() if v is not None}
    command = list(launcher) + [command or SSLSERVER]
    command += identity_options() if identity else []
    command += [str(word) for word in arguments]

    def before():
        os.setsid()
        if preexec is not None:
            preexec()

    process = subprocess.Popen(command, env=full, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, cwd=cwd,
                               stderr=subprocess.PIPE, preexec_fn=before,
                               pass_fds=keep)
    try:
        out, err = process.communicate(
            timeout=max(seconds * SLOW, PATIENCE))
    except subprocess.TimeoutExpired:
        for name in os.listdir('/proc'):
            stat = read_stat(int(name)) if name.isdigit() else None
            if stat and stat.session == process.pid:
                kill(stat.pid, signal.SIGKILL)
        out, err = process.communicate()
        raise Timeout('still runs: %r\n%s' % (
            command, err.decode('latin-1'))) from None
    return Result(process.returncode, out.decode('latin-1'),
                  err.decode('latin-1'))


# ---------------------------------------------------------------------------
# Clients

def tls_context(minimum=None, maximum=None, ciphers=None, cafile=None,
                groups=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if cafile is not None:
        context.load_verify_locations(cafile)
        context.verify_mode = ssl.CERT_REQUIRED
    if minimum is not None:
        context.minimum_version = minimum
    if maximum is not None:
        context.maximum_version = maximum
    if ciphers is not None:
        context.set_ciphers(ciphers)
    if groups is not None:
        context.set_ecdh_curve(groups)
    return context


TLS12 = {'minimum': ssl.TLSVersion.TLSv1_2, 'maximum': ssl.TLSVersion.TLSv1_2}
TLS13 = {'minimum': ssl.TLSVersion.TLSv1_3, 'maximum': ssl.TLSVersion.TLSv1_3}


class Client:
    """A TLS client whose every byte and ending is under control.

    Memory buffers stand between the TLS engine and the socket, so that a
    scenario can send half a handshake, end one direction, or cut the
    stream.
    """

    def __init__(self, address, port, timeout=20.0, handshake=True,
                 context=None, sni=None, receive_buffer=None, source=None,
                 session=None):
        self.timeout = timeout * SLOW
        family = socket.AF_INET6 if ':' in address else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                 receive_buffer)
        self.sock.settimeout(self.timeout)
        if source is not None:
            # With its scope, which a pair of address and port has not.
            self.sock.bind(socket.getaddrinfo(
                source, 0, family, socket.SOCK_STREAM)[0][4])
        target = socket.getaddrinfo(address, port, family,
                                    socket.SOCK_STREAM)[0][4]
        try:
            self.sock.connect(target)
        except OSError:
            self.sock.close()
            raise
        self.local = self.sock.getsockname()
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        # Read before it was asked for, and whether that was all.
        self.early, self.has_ended = b'', False
        self.tls = (context or tls_context()).wrap_bio(
            self.incoming, self.outgoing, server_hostname=sni,
            session=session)
        if handshake:
            try:
                self.handshake()
            except Exception:
                self.close()
                raise

    # Plumbing

    def flush(self):
        data = self.outgoing.read()
        if data:
            self.sock.sendall(data)

    def _fill(self):
        """More bytes from the peer; Truncated at a bare end."""
        data = self.sock.recv(262144)
        if not data:
            raise Truncated('end of stream without close_notify')
        self.incoming.write(data)

    def _step(self, action):
        while True:
            try:
                result = action()
                self.flush()
                return result
            except ssl.SSLWantReadError:
                self.flush()
                self._fill()

    # The connection

    def handshake(self):
        self._step(self.tls.do_handshake)

    def first_flight(self):
        """The bytes of a ClientHello, not sent yet."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return self.outgoing.read()

    def send(self, data):
        view = memoryview(data)
        while len(view):
            view = view[self.tls.write(view[:1048576]):]
            self.flush()

    def recv(self, size=65536):
        """b'' at the peer's close_notify."""
        def read():
            try:
                return self.tls.read(size)
            except ssl.SSLZeroReturnError:
                return b''

        if self.early:
            data, self.early = self.early[:size], self.early[size:]
            return data
        return b'' if self.has_ended else self._step(read)

    def recv_exactly(self, size):
        data = b''
        while len(data) < size:
            piece = self.recv(size - len(data))
            assert piece, 'the stream ended after %r' % data
            data += piece
        return data

    def recv_all(self):
        pieces = []
        while True:
            piece = self.recv(1048576)
            if not piece:
                return b''.join(pieces)
            pieces.append(piece)

    def echo(self, data):
        """Sends and expects the same back."""
        self.send(data)
        assert self.recv_exactly(len(data)) == data

    def exchange_bulk(self, chunks, end=True):
        """Sends and receives at the same time; yields what arrives."""
        self.sock.setblocking(False)
        chunks = iter(chunks)
        assert not self.early and not self.has_ended
        pending = memoryview(b'')
        is_sending = True
        while True:
            if is_sending and not len(pending):
                chunk = next(chunks, None)
                if chunk is None:
                    is_sending = False
                    if end:
                        self._notify()
                        if self.early:
                            yield self.early
                        if self.has_ended:
                            return
                else:
                    self.tls.write(chunk)
                pending = memoryview(self.outgoing.read())
            writers = [self.sock] if len(pending) else []
            readable, writable, _ = select.select(
                [self.sock], writers, [], self.timeout)
            if not readable and not writable:
                raise Timeout('the bulk transfer stands still')
            if writable:
                try:
                    pending = pending[self.sock.send(pending):]
                except BlockingIOError:
                    pass
            if readable:
                self._fill()
                while True:
                    try:
                        data = self.tls.read(1048576)
                    except ssl.SSLWantReadError:
                        break
                    except ssl.SSLZeroReturnError:
                        data = b''
                    if not data:
                        self.sock.settimeout(self.timeout)
                        return
                    yield data

    def _notify(self):
        # What has arrived is read first: to find data behind the alert
        # that it writes is an error for this engine's shutdown.
        try:
            while not self.has_ended:
                piece = self.tls.read(1048576)
                self.has_ended = not piece
                self.early += piece
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.has_ended = True
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass

    def close_notify(self):
        """Ends our direction; the other one stays open."""
        self._notify()
        self.flush()

    def fin(self):
        """Ends our direction without a word: a cut stream."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack('ii', 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()

    def wait_end(self):
        """Reads away what comes; 'notify', 'cut' or 'reset'."""
        try:
            while self.recv():
                pass
            return 'notify'
        except Truncated:
            return 'cut'
        except (ConnectionResetError, BrokenPipeError):
            return 'reset'

    def wait_close(self):
        """Until the peer's socket is closed, whatever it sends before."""
        try:
            while self.sock.recv(65536):
                pass
        except ConnectionResetError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def json_of(server, **settings):
    """The answer of showstate behind the server."""
    return json.loads(server.exchange(**settings))


def fields_of_ok(server, pid=None):
    """The two address fields of the ok line."""
    name = pid or r'\d+'
    match = server.wait_log(
        r'^%s: ok (%s) (\S+) (\S+)' % (server.name, name))[-1]
    return match.group(2), match.group(3)
