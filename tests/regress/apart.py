"""Servers of other people, each run apart: as an ordinary user who has a name,
for many want one, and with its own view of /usr and /etc, where what
tools/peers has unpacked lies over what this machine has.  Nothing of that is
seen outside, and it ends with the server."""

import glob
import os
import shutil
import subprocess

import pytest

from harness import BIN, PROGRAM_ID, ROOT, find_command, read_text

TREE = os.path.join(os.path.dirname(BIN), 'peers')
NAME = 'peer'
UID, GID = (PROGRAM_ID, PROGRAM_ID) if ROOT else (os.geteuid(), os.getegid())

VIEW = '''
set -e
etc=$1 tree=$2
shift 2
if [ -n "$tree" ]; then
	mount -t overlay -o "lowerdir=$tree/usr:/usr" overlay /usr
	mount -t overlay -o "lowerdir=$etc:$tree/etc:/etc" overlay /etc
else
	for file in "$etc"/*; do
		mount --bind "$file" "/etc/${file##*/}"
	done
fi
exec "$@"
'''


def find(*names):
    """Where a program is, for whom has this view; or skip."""
    path = os.environ['PATH'] + ':/usr/sbin'
    if os.path.isdir(TREE):
        path += ':%s/usr/bin:%s/usr/sbin' % (TREE, TREE)
    for name in names:
        found = shutil.which(name, path=path) or next(
            (file for top in ('', TREE)
             for file in sorted(glob.glob(top + name))), None)
        if found:
            return found[len(TREE):] if found.startswith(TREE) else found
    pytest.skip('%s: not installed, and not in %s' % (names[0], TREE))
    return None


def has(path):
    """A file of one of them."""
    return os.path.exists(path) or os.path.exists(TREE + path)


def _write(path, first, file):
    """What this machine's file says, after some lines of ours."""
    with open(path, 'w', encoding='latin-1') as target:
        target.write(first + read_text(file))


def _launcher(etc):
    if ROOT:
        begin, end = ['unshare', '--mount'], [
            '--reuid=%d' % UID, '--regid=%d' % GID, '--clear-groups']
    else:
        begin = ['unshare', '--map-current-user', '--keep-caps', '--mount']
        end = ['--inh-caps=-all', '--ambient-caps=-all']
    return begin + ['sh', '-c', VIEW, 'sh', etc,
                    TREE if os.path.isdir(TREE) else '',
                    find_command('setpriv')] + end


def launcher(directory, *others):
    """The words before a command that is to run so; other names for the same
    user may be wanted.  The directory becomes that user's."""
    etc = os.path.join(directory, 'etc')
    os.mkdir(etc)
    names = (NAME,) + others
    _write(os.path.join(etc, 'passwd'), ''.join(
        '%s:x:%d:%d::%s:/bin/sh\n' % (name, UID, GID, directory)
        for name in names), '/etc/passwd')
    _write(os.path.join(etc, 'group'), ''.join(
        '%s:x:%d:\n' % (name, GID) for name in names), '/etc/group')
    words = _launcher(etc)
    tried = subprocess.run(words + ['true'], stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if tried.returncode != 0:
        pytest.skip('no view of our own of /usr and /etc: '
                    + tried.stderr.decode('latin-1').strip())
    return words
