"""What the processes of a server use: processor time, memory, faults.

A server runs in a control group of its own (version 1 or 2), so that what
its processes used counts after they are gone.  Without the right to make
groups the sums of /proc/PID/stat stand in: those of living processes and of
children that were waited for, in ticks of the kernel's clock.
"""

import os
import pathlib
import re
import time

TICK = 1e6 / os.sysconf('SC_CLK_TCK')


def stat_fields(pid):
    """/proc/PID/stat from the state on: the first is field 3 of proc(5)."""
    text = pathlib.Path(f'/proc/{pid}/stat').read_text()
    return text.rpartition(')')[2].split()


def busy_share(seconds):
    """Of all processors, how much is used by anybody for so long."""
    def ticks():
        text = pathlib.Path('/proc/stat').read_text().split('\n', 1)[0]
        numbers = list(map(int, text.split()[1:9]))
        return sum(numbers), numbers[3] + numbers[4]
    whole, idle = ticks()
    time.sleep(seconds)
    more, idler = ticks()
    return 1 - (idler - idle) / max(1, more - whole)


def descendants(pid):
    """pid and its descendants, in no order."""
    parents = {}
    for name in os.listdir('/proc'):
        if name.isdigit():
            try:
                parents.setdefault(
                    int(stat_fields(name)[1]), []).append(int(name))
            except OSError:
                pass
    tree = [pid]
    for member in tree:
        tree += parents.get(member, [])
    return tree


def name_of(pid):
    """Our servers' roles have titles; others the name of their program."""
    try:
        words = pathlib.Path(f'/proc/{pid}/cmdline').read_bytes()
        title = re.match(rb'ssl(?:server|handle): (\w+)', words)
        if title:
            return title.group(1).decode()
        name = pathlib.Path(f'/proc/{pid}/comm').read_text().strip()
        return 'front' if name in ('sslserver', 'sslhandle') else name
    except OSError:
        return 'gone'


class Group:
    """Where a server's processes are counted."""
    note = None

    def __init__(self, name):
        self.name = f'ucspi-bench-{os.getpid()}-{name}'
        self.paths = []

    def make(self, *parents):
        for parent in parents:
            path = parent / self.name
            path.mkdir()
            self.paths.append(path)

    def enter(self):
        """In the child, before it becomes the server."""
        for path in self.paths:
            (path / 'cgroup.procs').write_text(str(os.getpid()))

    def pids(self, _root):
        text = (self.paths[0] / 'cgroup.procs').read_text()
        return [int(word) for word in text.split()]

    def remove(self):
        for path in self.paths:
            for _ in range(200):
                try:
                    path.rmdir()
                    break
                except OSError:
                    time.sleep(0.02)


class Version1(Group):
    """Control groups, version 1: nanoseconds in cpuacct.usage."""
    cpu = pathlib.Path('/sys/fs/cgroup/cpuacct')
    memory = pathlib.Path('/sys/fs/cgroup/memory')

    def __init__(self, name):
        super().__init__(name)
        self.make(self.cpu)
        if os.access(self.memory / 'memory.kmem.usage_in_bytes', os.R_OK):
            self.make(self.memory)

    def microseconds(self, _root):
        return int((self.paths[0] / 'cpuacct.usage').read_text()) / 1e3

    def kernel_bytes(self):
        if len(self.paths) < 2:
            return None
        return sum(int((self.paths[1] / f'memory.kmem.{part}').read_text())
                   for part in ('usage_in_bytes', 'tcp.usage_in_bytes'))


class Version2(Group):
    """Control groups, version 2: usage_usec in cpu.stat."""
    root = pathlib.Path('/sys/fs/cgroup')

    def __init__(self, name):
        super().__init__(name)
        self.make(self.root)
        self.microseconds(None)

    def microseconds(self, _root):
        text = (self.paths[0] / 'cpu.stat').read_text()
        return float(re.search(r'^usage_usec (\d+)', text, re.M).group(1))

    def kernel_bytes(self):
        try:
            text = (self.paths[0] / 'memory.stat').read_text()
        except OSError:
            return None
        found = re.findall(r'^(?:kernel|sock) (\d+)', text, re.M)
        return sum(map(int, found)) if found else None


class Sums(Group):
    """No control groups: what /proc says."""
    note = ('no control groups: sums of /proc/PID/stat, in ticks; a process '
            'whose parent did not wait for it is missing')

    def pids(self, root):
        return descendants(root)

    def microseconds(self, root):
        total = 0
        for pid in descendants(root):
            try:
                total += sum(map(int, stat_fields(pid)[11:15]))
            except OSError:
                pass
        return total * TICK

    def kernel_bytes(self):
        return None


def group_kind():
    """The first kind of group that can be made here."""
    for kind, sign in [
            (Version1, Version1.cpu / 'cpuacct.usage'),
            (Version2, Version2.root / 'cgroup.controllers')]:
        if not os.access(sign, os.R_OK):
            continue
        try:
            kind('probe').remove()
            return kind
        except (OSError, AttributeError):
            pass
    return Sums


def microseconds_of(pid):
    """What one living process has used itself; all its threads."""
    try:
        spent = sum(
            int(path.read_text().split()[0])
            for path in pathlib.Path(f'/proc/{pid}/task').glob('*/schedstat'))
        if spent:
            return spent / 1e3
        return sum(map(int, stat_fields(pid)[11:13])) * TICK
    except OSError:
        return 0.0


def faults_of(pid):
    """Minor faults: of a process itself, of the children it waited for."""
    fields = stat_fields(pid)
    return int(fields[7]), int(fields[8])


def memory_of(pid):
    """PSS and private bytes of a process; None if it is not ours to see."""
    try:
        text = pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text()
    except PermissionError:
        return None
    except OSError:
        return 0, 0
    sizes = dict(re.findall(r'^(\w+):\s+(\d+) kB', text, re.M))
    return (1024 * int(sizes.get('Pss', 0)),
            1024 * (int(sizes.get('Private_Clean', 0)) +
                    int(sizes.get('Private_Dirty', 0))))
