"""The servers that are compared, and how each is started.

All have the same certificate and run the same program.  nginx and haproxy
run no program: they answer by themselves, in one process that serves all,
and show what TLS costs where nothing is kept apart.
"""

import atexit
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from tree import memory_of, microseconds_of, name_of

ROLE_IDS = {'SSL_UID': '61181', 'SSL_GID': '61181', 'SSLNET_USER': '61182',
            'SSLMON_USER': '61183'}
PROGRAM_ID = '61184'
# So many processes are too many to look at one by one.
MANY = 500
LOCAL = '127.0.0.1'


class Unable(Exception):
    """A server is not there, or does not start."""


class Setup:
    """What a run wants of every server."""

    def __init__(self, build, area, program, limit=200, **wants):
        self.build, self.area = build, area
        self.program = [str(word) for word in program]
        self.limit = limit
        self.key = wants.pop('key', 'ecdsa')
        self.wants_client = wants.pop('client', False)
        self.options = wants.pop('options', [])
        self.deny = wants.pop('deny', None)
        assert not wants
        self.cert = area / f'{self.key}.pem'
        self.private = area / f'{self.key}.key'
        self.both = area / f'{self.key}.both'
        self.ca = area / 'ca.pem'
        self.port = None

    def write(self, name, text):
        path = self.area / name
        path.write_text(text)
        return str(path)


def free_port():
    with socket.socket() as probe:
        probe.bind((LOCAL, 0))
        return probe.getsockname()[1]


def need(name):
    path = shutil.which(name, path=os.environ['PATH'] + ':/usr/sbin:/sbin')
    if not path:
        raise Unable(f'{name} is not installed')
    return path


def identity():
    return [] if os.getuid() else ['-u', PROGRAM_ID, '-g', PROGRAM_ID]


def ucspi(setup):
    """What tcpserver and sslserver have in common."""
    rules = [] if not setup.deny else ['-x', setup.deny]
    return ['-q', '-H', '-R', '-l', 'localhost', '-c', str(setup.limit),
            '-b', '128', *identity(), *rules, LOCAL, str(setup.port)]


def tcpserver(setup):
    return [need('tcpserver'), *ucspi(setup), *setup.program], {}


def ours(setup, name, build=None):
    path = (build or setup.build) / 'bin' / name
    if not path.exists():
        raise Unable(f'{path.parent.parent.name}/bin/{name} is not built')
    env = {'CERTFILE': str(setup.cert), 'KEYFILE': str(setup.private)}
    options = list(setup.options)
    if setup.wants_client:
        env['CAFILE'] = str(setup.ca)
        options.append('-m')
    if not os.getuid():
        env.update(ROLE_IDS)
    words = ['-y' if word == '-x' else word for word in ucspi(setup)]
    return [str(path), *options, *words, *setup.program], env


def sslserver(setup):
    return ours(setup, 'sslserver')


def dynamic(setup):
    """Of a build directory beside, with -Dnursery=dynamic."""
    build = setup.build
    return ours(setup, 'sslserver', build.with_name(build.name + '-dynamic'))


def sslhandle(setup):
    return ours(setup, 'sslhandle')


def stunnel(setup):
    lines = ['foreground = yes', 'pid =', 'debug = err', 'syslog = no',
             '[bench]', f'accept = {LOCAL}:{setup.port}',
             f'exec = {setup.program[0]}',
             f'execArgs = {" ".join(setup.program)}',
             f'cert = {setup.cert}', f'key = {setup.private}']
    if setup.wants_client:
        lines += ['verifyChain = yes', f'CAfile = {setup.ca}']
    return [need('stunnel'),
            setup.write('stunnel.conf', '\n'.join(lines) + '\n')], {}


def socat(setup):
    verify = f'1,cafile={setup.ca}' if setup.wants_client else '0'
    return [need('socat'), '-lf/dev/null',
            f'OPENSSL-LISTEN:{setup.port},bind={LOCAL},reuseaddr,fork,'
            f'backlog=128,cert={setup.cert},key={setup.private},'
            f'verify={verify}',
            f'EXEC:{" ".join(setup.program)}'], {}


def ncat(setup):
    if setup.wants_client:
        raise Unable('ncat asks no client for a certificate')
    return [need('ncat'), '-n', '-l', '-k', '-m', str(setup.limit), '--ssl',
            '--ssl-cert', str(setup.cert), '--ssl-key', str(setup.private),
            '-e', ' '.join(setup.program), LOCAL, str(setup.port)], {}


def tlswrapper(setup):
    jail = setup.area / 'empty'
    jail.mkdir(exist_ok=True)
    client = ['-a', str(setup.ca)] if setup.wants_client else []
    words = [word for word in ucspi(setup) if word not in identity()]
    return [need('tcpserver'), *words, need('tlswrapper'), '-q', '-J',
            str(jail), '-f', str(setup.both), *client, *setup.program], {}


def nginx(setup):
    client = '' if not setup.wants_client else \
        f'ssl_client_certificate {setup.ca}; ssl_verify_client on;'
    user = '' if os.getuid() else 'user nobody nogroup;'
    config = f'''daemon off; worker_processes 2; {user}
pid {setup.area}/nginx.pid; error_log stderr error;
worker_rlimit_nofile 65536;
events {{ worker_connections 20000; }}
http {{
 access_log off; keepalive_timeout 0; client_body_temp_path {setup.area}/n1;
 proxy_temp_path {setup.area}/n2; fastcgi_temp_path {setup.area}/n3;
 uwsgi_temp_path {setup.area}/n4; scgi_temp_path {setup.area}/n5;
 ssl_session_cache shared:bench:10m;
 server {{
  listen {LOCAL}:{setup.port} ssl backlog=1024; server_name localhost;
  ssl_certificate {setup.cert}; ssl_certificate_key {setup.private};
  ssl_protocols TLSv1.2 TLSv1.3; {client}
  location / {{ return 200 "served\\n"; }}
  location /large {{ root {setup.area}; }}
 }}
}}
'''
    return [need('nginx'), '-p', str(setup.area), '-c',
            setup.write('nginx.conf', config)], {}


def haproxy(setup):
    verify = f' ca-file {setup.ca} verify required' if setup.wants_client \
        else ''
    config = f'''global
 maxconn 4000
defaults
 mode http
 timeout connect 60s
 timeout client 60s
 timeout server 60s
frontend bench
 bind {LOCAL}:{setup.port} ssl crt {setup.both}{verify}
 http-request return status 200 content-type text/plain string "served\\n"
'''
    return [need('haproxy'), '-db', '-q', '-f',
            setup.write('haproxy.cfg', config)], {}


class Kind:
    """A server, as tables show it."""

    def __init__(self, name, command, **traits):
        self.name, self.command = name, command
        self.is_tls = traits.get('is_tls', True)
        self.is_ceiling = traits.get('is_ceiling', False)
        self.fetches = traits.get('fetches', False)
        # Of one process, for each connection; the load generator's is one.
        self.descriptors = traits.get('descriptors', 1)
        # Open at once; more would take all of a run's time.
        self.most = traits.get('most', 10000)
        self.why = traits.get('why', '')
        # What is to be known about its figures.
        self.remark = traits.get('remark')
        # Of all parts, in that of the cost alone.
        self.is_variant = traits.get('is_variant', False)


KINDS = [
    Kind('tcpserver', tcpserver, is_tls=False),
    Kind('sslserver', sslserver),
    Kind('sslserver-dynamic', dynamic, is_variant=True),
    Kind('sslhandle', sslhandle, descriptors=2),
    Kind('stunnel', stunnel, descriptors=2, most=1000,
         why='it would take minutes to get there'),
    Kind('socat', socat),
    Kind('ncat', ncat, remark='its backlog is 10, and who finds it full '
         'tries again after a second'),
    Kind('tlswrapper', tlswrapper, remark='knows TLS 1.2 alone, and resumes '
         'no session'),
    Kind('nginx', nginx, is_ceiling=True, fetches=True),
    Kind('haproxy', haproxy, is_ceiling=True),
]


def is_listening(port):
    """By the kernel's table: a probe would start the program."""
    text = pathlib.Path('/proc/net/tcp').read_text()
    return re.search(rf'^\s*\d+: [0-9A-F]{{8}}:{port:04X} \S+ 0A ', text,
                     re.M) is not None


# Servers that run.
LIVING = []


def stop_living():
    for server in list(LIVING):
        server.stop()


def check_built(parser, build, *names):
    """One sentence where a build directory has not what is measured."""
    for name in ['bin/sslserver', *(f'bench/{name}' for name in names)]:
        if not (build / name).exists():
            parser.error(f'{build}/{name} is not there: make bench-quick '
                         'builds it, and so does -Dbench=true')


def end_in_order():
    """However this program ends, servers are stopped first.  They have
    sessions of their own: the end of a terminal does not reach them."""
    atexit.register(stop_living)
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, lambda number, _: sys.exit(
            'ended by ' + signal.Signals(number).name))


def raise_limit():
    """Descriptors for ten thousand connections, where that is allowed."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (200000, hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
            return
        except ValueError:
            pass


class Server:
    """A running server."""

    def __init__(self, kind, setup, group_kind):
        self.kind, self.name = kind, kind.name
        setup.port = self.port = free_port()
        command, env = kind.command(setup)
        self.log = tempfile.TemporaryFile('w+')
        self.few = []  # its processes, when they were few
        self.settled = -500  # microseconds, when it had nothing to do
        self.group = group_kind(kind.name)
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=self.log, cwd=setup.area,
            env={'PATH': os.environ['PATH'], **env},
            preexec_fn=self.group.enter, start_new_session=True)
        LIVING.append(self)
        try:
            self.await_start()
        except Unable:
            self.stop()
            raise

    def await_start(self):
        for _ in range(500):
            if is_listening(self.port):
                return
            if self.process.poll() is not None:
                raise Unable(f'does not start: {self.words()}')
            time.sleep(0.02)
        raise Unable(f'does not listen: {self.words()}')

    def words(self):
        """What it has said last."""
        self.log.seek(0)
        return self.log.read()[-500:].strip()

    def pids(self):
        return self.group.pids(self.process.pid)

    def microseconds(self):
        return self.group.microseconds(self.process.pid)

    def each(self):
        """Microseconds of each living process, by pid; of thousands, those
        that were there before."""
        pids = self.pids()
        if len(pids) < MANY:
            self.few = pids
        return {pid: microseconds_of(pid) for pid in self.few}

    def settle(self, quiet=0.15):
        """Wait until the last connection's processes have been reaped."""
        last, since = self.microseconds(), time.monotonic()
        end = since + 60
        while time.monotonic() - since < quiet and time.monotonic() < end:
            time.sleep(0.02)
            now = self.microseconds()
            if now - last > 500:
                last, since = now, time.monotonic()
        self.settled = self.microseconds()
        return self.settled

    def rested(self):
        """Likewise before something is measured, after which it settles: if
        it has done nothing since the last time, there is nothing to wait
        for."""
        now = self.microseconds()
        return now if now - self.settled < 500 else self.settle()

    def memory(self, program):
        """PSS and private bytes: of the server, of its programs; None if
        one of the processes hides them from who is not root."""
        sums = {True: [0, 0], False: [0, 0]}
        for pid in self.pids():
            mine, sizes = sums[name_of(pid) == program], memory_of(pid)
            if sizes is None:
                return None
            for i, size in enumerate(sizes):
                mine[i] += size
        return sums[False], sums[True]

    def signal_all(self, number):
        for pid in self.pids():
            if pid != os.getpid():
                try:
                    os.kill(pid, number)
                except OSError:
                    pass

    def stop(self):
        """Ask; then end whatever is left of what was started here."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        for number in (0, signal.SIGTERM, signal.SIGKILL):
            if number:
                self.signal_all(number)
            for _ in range(100):
                self.process.poll()
                if not [pid for pid in self.pids() if pid != os.getpid()
                        and pathlib.Path(f'/proc/{pid}').exists()]:
                    break
                time.sleep(0.02)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.group.remove()
        self.log.close()
        if self in LIVING:
            LIVING.remove(self)
