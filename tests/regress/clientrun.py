"""Run sslclient, and servers for it to meet."""

import ctypes
import os
import random
import signal
import socket
import ssl
import subprocess
import threading

from harness import (BIN, NET_ID, ROOT, SANITIZER_REPORT, SLOW, Result,
                     Timeout, clean_environment, find_command, kill,
                     read_proc, read_stat, wait_for)

SSLCLIENT = os.path.join(BIN, 'sslclient')
PATIENCE = 60
PR_SET_CHILD_SUBREAPER = 36


def client_environment(env=None):
    full = clean_environment()
    if ROOT:
        full['SSLNET_USER'] = str(NET_ID)
    full.update(env or {})
    return {k: v for k, v in full.items() if v is not None}


def spawn_client(arguments, env=None, keep=(), preexec=None, **settings):
    """sslclient as a child of ours; its words are strings or numbers."""
    settings.setdefault('stdin', subprocess.DEVNULL)
    settings.setdefault('stdout', subprocess.PIPE)
    settings.setdefault('stderr', subprocess.PIPE)
    return subprocess.Popen(
        [SSLCLIENT] + [str(word) for word in arguments],
        env=client_environment(env), pass_fds=keep, preexec_fn=preexec,
        **settings)


def finish(process, data=None, seconds=PATIENCE):
    """Its exit code and all it has said."""
    try:
        out, err = process.communicate(data, timeout=seconds * SLOW)
    except subprocess.TimeoutExpired as late:
        # Others may hold its output: nobody waits for its end again.
        process.kill()
        process.wait()
        raise Timeout('still runs, or its output is held: %r\n%r' % (
            process.args, late.stderr)) from None
    err = (err or b'').decode('latin-1')
    assert not SANITIZER_REPORT.search(err), err
    return Result(process.returncode, (out or b'').decode('latin-1'), err)


def run_client(*arguments, data=None, seconds=PATIENCE, **settings):
    """Runs sslclient to its end."""
    if data is not None:
        settings['stdin'] = subprocess.PIPE
    return finish(spawn_client(arguments, **settings), data, seconds)


# ---------------------------------------------------------------------------
# What stays behind

class Family:
    """Processes whose parents have gone become our children meanwhile, so
    that sslclient's helpers can be found."""

    def __init__(self):
        self.libc = ctypes.CDLL(None, use_errno=True)
        assert self.libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0

    @staticmethod
    def helpers(name=None):
        """Pids of sslclient's processes that live; dead ones are reaped."""
        found = []
        for entry in os.listdir('/proc'):
            stat = read_stat(int(entry)) if entry.isdigit() else None
            if stat is None or stat.ppid != os.getpid():
                continue
            comm = read_proc(stat.pid, 'comm').decode('latin-1').strip()
            if not comm.startswith('sslclient: '):
                continue
            if stat.state == 'Z':
                os.waitpid(stat.pid, os.WNOHANG)
            elif name is None or comm == ('sslclient: ' + name)[:15]:
                found.append(stat.pid)
        return found

    def helper(self, name='session', seconds=20):
        """The only one of that name."""
        def look():
            pids = self.helpers(name)
            return pids if len(pids) == 1 else None
        return wait_for(look, seconds, 'one helper of sslclient')[0]

    def wait_gone(self, seconds=30):
        wait_for(lambda: not self.helpers(), seconds,
                 'every helper of sslclient has gone')

    def end(self):
        try:
            self.wait_gone()
        finally:
            for pid in self.helpers():
                kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            self.libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


# ---------------------------------------------------------------------------
# Servers

class Peer:
    """A listener whose connections are served by a function, one by one, in
    a thread; what the function raises fails the test at the end."""

    def __init__(self, serve, address='127.0.0.1', backlog=50):
        family = socket.AF_INET6 if ':' in address else socket.AF_INET
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, 0))
        self.listener.listen(backlog)
        self.address = address
        self.port = self.listener.getsockname()[1]
        self.serve = serve
        self.count = 0
        self.failure = None
        self.is_stopping = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            if self.is_stopping:
                conn.close()
                return
            self.count += 1
            conn.settimeout(PATIENCE * SLOW)
            try:
                with conn:
                    self.serve(conn)
            except Exception as failure:  # the test's own to judge
                self.failure = self.failure or failure

    def stop(self):
        """Waits for the connection that is served."""
        self.is_stopping = True
        try:
            socket.create_connection(
                (self.address, self.port), PATIENCE).close()
        except OSError:
            pass
        self.thread.join(PATIENCE * SLOW)
        self.listener.close()
        assert not self.thread.is_alive(), 'the peer still serves somebody'

    def check(self):
        self.stop()
        if self.failure is not None:
            raise self.failure


def read_record(conn):
    """One of TLS, whole, however much it holds: who closes with some of it
    unread, resets."""
    data = b''
    while len(data) < 5 or len(data) < 5 + int.from_bytes(data[3:5], 'big'):
        piece = conn.recv(65536)
        assert piece, data
        data += piece
    return data


def server_context(certificate, key, **settings):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    for name, value in settings.items():
        setattr(context, name, value)
    return context


class Command:
    """A server that is a program, ready when its port is listened to."""

    def __init__(self, arguments, port, **settings):
        settings.setdefault('stdin', subprocess.DEVNULL)
        settings.setdefault('stdout', subprocess.DEVNULL)
        settings.setdefault('stderr', subprocess.PIPE)
        self.port = port
        self.process = subprocess.Popen(
            [str(word) for word in arguments], **settings)
        try:
            wait_for(self._is_ready, 30, 'a server on port %d' % port)
        except Timeout:
            self.stop()
            raise

    def _is_ready(self):
        assert self.process.poll() is None, self.process.stderr.read()
        return is_listening(self.port)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for file in (self.process.stdin, self.process.stdout,
                     self.process.stderr):
            if file is not None:
                file.close()


def is_listening(port):
    """Does somebody listen on that port of this machine?"""
    for name in ('/proc/net/tcp', '/proc/net/tcp6'):
        try:
            with open(name, encoding='ascii') as file:
                lines = file.read().splitlines()[1:]
        except FileNotFoundError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == '0A' and \
                    int(fields[1].rpartition(':')[2], 16) == port:
                return True
    return False


def free_port(address='127.0.0.1'):
    """A port that nobody uses, for programs that cannot choose one.

    Not one of those that the kernel gives to connections: between our look
    and the program's bind somebody would have it.
    """
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    while True:
        port = random.randrange(10000, _first_ephemeral())
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            try:
                sock.bind((address, port))
            except OSError:
                continue
            return port


def _first_ephemeral():
    try:
        with open('/proc/sys/net/ipv4/ip_local_port_range',
                  encoding='ascii') as file:
            first = int(file.read().split()[0])
    except (FileNotFoundError, ValueError):
        first = 32768
    return first if first > 12000 else 32768


def s_server(*options, **settings):
    port = free_port()
    return Command([find_command('openssl'), 's_server', '-accept',
                    '127.0.0.1:%d' % port] + list(options), port, **settings)
