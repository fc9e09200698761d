"""Servers made with libsslhandle, for the scenarios about them."""

import os
import shutil

import harness
from harness import BIN, tool, wait_for


def place(directory, path):
    """A copy of a program in a directory where keeper and nursery lie."""
    found = os.path.join(directory, os.path.basename(path))
    if not os.path.exists(found):
        for name in ('ucspissl-keeper', 'ucspissl-nursery'):
            os.symlink(os.path.join(BIN, name), os.path.join(directory, name))
        shutil.copy(path, found)
    return found


def framework(top_directory):
    """tests/tools/framework, ready to run."""
    directory = os.path.join(top_directory, 'framework')
    os.makedirs(directory, exist_ok=True)
    os.chmod(directory, 0o755)
    return place(directory, tool('framework'))


def workers(server):
    return set(server.pids('worker'))


def wait_workers(server, count, without=()):
    """Until there are so many, all idle, none of them one of these."""
    def look():
        found = workers(server)
        return len(found) == count and not found & set(without)

    wait_for(look, 5, '%d workers, without %r' % (count, list(without)))
    return workers(server)


class State:
    """What `state' printed: values by name, in order."""

    def __init__(self, text):
        lines = text.decode().split('\n')
        assert lines[-2:] == ['end', ''], text
        self.lines = [line.split(' ', 1) for line in lines[:-2]]

    def all(self, name):
        return [value for found, value in self.lines if found == name]

    def __getattr__(self, name):
        value, = self.all(name)
        return value

    @property
    def env(self):
        return dict(text.split('=', 1) for text in self.all('env'))

    @property
    def fds(self):
        return {int(number): target for number, target in
                (text.split(' ', 1) for text in self.all('fd'))}


def state(server, **settings):
    return State(server.exchange(b'state\n', **settings))


def do(server, *lines, **settings):
    """One client's lines; what it gets."""
    return server.exchange(''.join(line + '\n' for line in lines).encode(),
                           **settings)


def ended(server, pid, status, count=1):
    """Until the connection of that worker has ended with that status."""
    server.wait_log(r'^%s: ended by %d status %d$' % (
        server.name, pid, status), count=count)


__all__ = ['framework', 'workers', 'wait_workers', 'State', 'state', 'do',
           'ended', 'harness', 'place']
