"""Goal: rules by address, name and IDENT decide in the documented order,
and their variables reach the program."""

import os

import pytest

from admission import (IDENT_CLIENT, denied, environment_of, ident_server,
                       known, make_rules, name_server, neighbours)
from harness import LONG_LIVED, json_of, tool, wait_for


@pytest.fixture
def rules(workdir):
    """rules(NAME, TEXT): the path of a table."""
    return lambda name, text: make_rules(os.path.join(workdir, name), text)


@pytest.mark.parametrize('option', ['-y', '-x'])
def test_deny_and_allow(start, rules, option):
    """A denied client is closed at once: no process, one deny line."""
    path = rules('a.cdb', '127.0.0.2:deny\n127.0.1.:deny\n'
                          '127.0.2.0/24:deny\n:allow\n')
    server = start(options=[option, path])
    server.check_service()
    server.wait_log(r'^sslserver: ended by')
    for ip in ('127.0.0.2', '127.0.1.7', '127.0.2.200'):
        assert server.is_refused(source=ip)
        server.wait_log(denied(server, ip))
    server.check_service(source='127.0.0.3')
    server.wait_log(r'^sslserver: ended by', count=2)
    assert len(server.lines('^sslserver: pid ')) == 2
    assert len(server.lines('^sslserver: deny ')) == 3
    assert not server.lines('warning|error|fatal')
    server.wait_idle()


@pytest.mark.parametrize('option', ['-y', '-x'])
def test_no_rule_allows(start, rules, option):
    server = start(options=[option, rules('a.cdb', '10.:deny\n')])
    server.check_service()


@pytest.mark.parametrize('option', ['-y', '-x'])
def test_variables_reach_the_program(start, rules, option):
    path = rules('a.cdb', '127.0.0.2:allow,RELAYCLIENT="",WORD="two words",'
                          "ODD='a=\"b\",c',PATH=|/usr/bin:/bin|\n"
                          ':allow,WORD="other"\n')
    server = start(tool('showstate'), options=[option, path],
                   env={'WORD': 'inherited', 'RELAYCLIENT': 'inherited',
                        'OTHER': 'inherited'})
    env = environment_of(server, source='127.0.0.2')
    assert env['RELAYCLIENT'] == ''
    assert env['WORD'] == 'two words'
    assert env['ODD'] == 'a="b",c'
    assert env['PATH'] == '/usr/bin:/bin'
    env = environment_of(server)
    assert (env['WORD'], env['RELAYCLIENT']) == ('other', 'inherited')
    assert env['OTHER'] == 'inherited'


def test_early_match_skips_the_later_rules(start, rules):
    early = rules('y.cdb', '127.0.0.2:allow,EARLY="yes"\n127.0.1.:allow\n')
    later = rules('x.cdb', '127.0.0.2:deny\n127.0.1.1:deny\n'
                           ':allow,LATER="yes"\n')
    server = start(tool('showstate'), options=['-y', early, '-x', later])
    for ip, wanted in (('127.0.0.2', 'yes'), ('127.0.1.1', None)):
        env = environment_of(server, source=ip)
        assert (env.get('EARLY'), env.get('LATER')) == (wanted, None)
    env = environment_of(server, source='127.0.0.3')
    assert (env.get('EARLY'), env.get('LATER')) == (None, 'yes')


def test_early_default_does_not(start, rules):
    """Its variables reach the program too; -x wins."""
    early = rules('y.cdb', ':allow,BOTH="early",EARLY="yes"\n')
    later = rules('x.cdb', '127.0.0.2:deny\n'
                           ':allow,BOTH="later",LATER="yes"\n')
    server = start(tool('showstate'), options=['-y', early, '-x', later])
    env = environment_of(server)
    assert env['EARLY'] == env['LATER'] == 'yes'
    assert env['BOTH'] == 'later'
    assert server.is_refused(source='127.0.0.2')
    server.wait_log(denied(server, '127.0.0.2'))


def test_early_default_deny(start, rules):
    early = rules('y.cdb', '127.0.0.2:allow\n:deny\n')
    later = rules('x.cdb', ':allow\n')
    server = start(options=['-y', early, '-x', later])
    assert server.is_refused()
    server.wait_log(denied(server, '127.0.0.1'))
    server.check_service(source='127.0.0.2')


def test_early_rules_know_the_address_alone(start, rules):
    """And nobody is asked about a client that they deny."""
    early = rules('y.cdb', '=a.example:deny\n=:deny\n127.0.0.3:deny\n'
                           '=.example:deny\n')
    names = {'127.0.0.2': 'a.example', '127.0.0.3': 'b.example'}
    with name_server(known(names)) as dns:
        server = start(options=['-y', early, '-l', 'here'],
                       env=dns.environment)
        assert server.is_refused(source='127.0.0.3')
        server.wait_log(denied(server, '127.0.0.3'))
        assert dns.questions == []
        server.check_service(source='127.0.0.2')
        assert len(dns.questions) > 0


def test_rules_by_host_name(start, rules):
    """=host, =.suffix, =; an unknown name matches none of them."""
    path = rules('x.cdb', '=bad.example:deny\n=.spam.example:deny\n'
                          '=good.spam.example:allow,RULE="host"\n'
                          '=:allow,RULE="known"\n:allow,RULE="default"\n')
    names = {'127.0.0.2': 'Bad.Example', '127.0.0.3': 'x.y.SPAM.example',
             '127.0.0.4': 'good.spam.example', '127.0.0.5': 'other.example',
             '127.0.0.6': 'spam.example'}
    with name_server(known(names)) as dns:
        server = start(tool('showstate'), env=dns.environment,
                       options=['-x', path, '-l', 'here'])
        for ip, host in (('127.0.0.2', r'bad\.example'),
                         ('127.0.0.3', r'x\.y\.spam\.example')):
            assert server.is_refused(source=ip)
            server.wait_log(denied(server, ip, host=host))
        for ip, rule in (('127.0.0.4', 'host'), ('127.0.0.5', 'known'),
                         ('127.0.0.6', 'known'), ('127.0.0.7', 'default')):
            env = environment_of(server, source=ip)
            assert env['RULE'] == rule
            assert env.get('TCPREMOTEHOST') == names.get(ip)


def test_the_address_beats_the_name(start, rules):
    path = rules('x.cdb', '127.0.0.2:allow\n=bad.example:deny\n'
                          '127.0.0.:allow\n')
    names = {'127.0.0.2': 'bad.example', '127.0.0.3': 'bad.example'}
    with name_server(known(names)) as dns:
        server = start(options=['-x', path], env=dns.environment)
        server.check_service(source='127.0.0.2')
        assert server.is_refused(source='127.0.0.3')


def test_names_off_means_no_name_rules(start, rules):
    """-H: nobody is asked, so rules by name match nobody."""
    path = rules('x.cdb', '=:deny\n=bad.example:deny\n')
    with name_server(known({'127.0.0.1': 'bad.example'})) as dns:
        server = start(options=['-x', path, '-H', '-l', 'here'],
                       env=dns.environment)
        server.check_service()
        assert dns.questions == []


def test_rules_by_user(start, rules):
    """info@ip and info@=host come before the address and the name."""
    path = rules('x.cdb', 'joe@{0}:deny\nann@=a.example:deny\n'
                          '{0}:allow\n=a.example:allow\n'.format(
                              IDENT_CLIENT))
    users = {'joe': b'joe', 'ann': b'ann', 'eve': b'eve'}
    user = [None]

    def reply(theirs, ours):
        return b'%d, %d : USERID : UNIX : %s\r\n' % (
            theirs, ours, users[user[0]])

    with ident_server(IDENT_CLIENT, reply), \
            name_server(known({IDENT_CLIENT: 'a.example'})) as dns:
        server = start(options=['-x', path, '-r'], env=dns.environment)
        user[0] = 'eve'
        server.check_service(source=IDENT_CLIENT)
        for user[0] in ('joe', 'ann'):
            assert server.is_refused(source=IDENT_CLIENT)
            server.wait_log(denied(server, IDENT_CLIENT, r'a\.example',
                                   user[0]))


def test_order_of_decisions(start, rules):
    """Limits before -y; -y before names; names before -x; the limit of a
    rule after -x."""
    early = rules('y.cdb', '127.0.0.4:deny\n')
    later = rules('x.cdb', '=b.example:allow,MAXCONIP="1"\n')
    names = {'127.0.0.3': 'b.example'}
    with name_server(known(names)) as dns:
        server = start(options=['-y', early, '-x', later, '-l', 'here'],
                       env=dict(dns.environment, MAXCONIP='2'))
        with server.connect(source='127.0.0.3') as first:
            first.echo(b'x')
            assert server.is_refused(source='127.0.0.3')
            server.wait_log(denied(
                server, '127.0.0.3', r'b\.example',
                extra=' ip connection limit:1 exceeded'))
        with server.connect() as one, server.connect() as two:
            one.echo(b'x')
            two.echo(b'x')
            asked = len(dns.questions)
            assert server.is_refused()
            server.wait_log(r'^sslserver: warning: ip connection limit of 2 '
                            r'exceeded for: 127\.0\.0\.1$')
            assert server.is_refused(source='127.0.0.4')
            server.wait_log(denied(server, r'127\.0\.0\.4'))
            assert len(dns.questions) == asked


def test_a_limit_comes_before_early_rules(start, rules, workdir):
    """Who is over the limit is not looked up in any table."""
    early = rules('y.cdb', '10.:deny\n')
    server = start(options=['-y', early], env={'MAXCONIP': '1'})
    with server.connect() as client:
        client.echo(b'x')
        rules('y.cdb', '127.0.0.2:deny\n127.0.0.1:deny\n')
        # The new table is in force when it denies the other address.
        wait_for(lambda: server.is_refused(source='127.0.0.2'), 2,
                 'the new table')
        assert server.is_refused()
        server.wait_log(r'limit of 1 exceeded for: 127\.0\.0\.1$')
        assert not server.lines(denied(server, r'127\.0\.0\.1'))


@pytest.mark.parametrize('option', ['-y', '-x'])
def test_ipv6(start, rules, option):
    path = rules('a.cdb', '::1:deny\n')
    try:
        server = start(options=[option, path], host=':0')
    except AssertionError as error:
        pytest.skip('no IPv6 here: %s' % str(error).splitlines()[0])
    assert server.is_refused(address='::1')
    server.wait_log(r'^sslserver: deny 0 :::1:%d :::1::\d+$' % server.port)
    server.check_service(address='127.0.0.1')


@pytest.mark.parametrize('option', ['-y', '-x'])
def test_a_mapped_address_is_ipv4(start, rules, option):
    """IPv4 rules hold on a dual-stack listener."""
    path = rules('a.cdb', '127.0.0.2:deny\n127.0.1.0/24:deny\n')
    try:
        server = start(options=[option, path], host=':0')
    except AssertionError as error:
        pytest.skip('no IPv6 here: %s' % str(error).splitlines()[0])
    for ip in ('127.0.0.2', '127.0.1.1'):
        assert server.is_refused(address='127.0.0.1', source=ip)
        server.wait_log(r'^sslserver: deny 0 :127\.0\.0\.1:%d :%s::\d+$'
                        % (server.port, ip))
    server.check_service(address='127.0.0.1')


def test_denied_clients_leave_nothing(start, rules):
    """1,000 refusals: no process, no place, no line too many."""
    path = rules('y.cdb', '127.0.0.2:deny\n')
    server = start(options=['-y', path, '-c', '2'])
    server.check_service()
    server.wait_log(r'^sslserver: ended by')
    before = {role: pids for role, pids in server.roles().items()
              if role in LONG_LIVED | {'watcher'}}
    for _ in range(1000):
        assert server.is_refused(source='127.0.0.2')
    server.wait_log('^sslserver: deny 0 ', count=1000)
    server.check_service()
    server.wait_log(r'^sslserver: ended by', count=2)
    assert len(server.lines('^sslserver: pid ')) == 2
    server.wait_idle()
    assert dict(server.roles()) == before


def test_quiet_refusals(start, rules):
    """A deny line is no warning: -Q does not show it."""
    path = rules('y.cdb', ':deny\n')
    server = start(options=['-y', path], log='-Q')
    assert server.is_refused()
    assert server.log() == ''


# ---------------------------------------------------------------------------
# Neighbours

@pytest.mark.root
@pytest.mark.parametrize('option', ['-y', '-x'])
def test_link_local_client(start, workdir, option):
    """The address decides, and its prefix; the interface is no part of it,
    and the program is told."""
    path = make_rules(os.path.join(workdir, 'rules.cdb'),
                      'fe80::2:deny\nfe80::/10:allow,SEEN="prefix"\n:deny\n')
    with neighbours() as enter:
        server = start(tool('showstate'), host='fe80::1%near',
                       options=['-H', '-l', 'here', option, path],
                       preexec=enter)

        def talk(source):
            return json_of(server, address='fe80::1%far',
                           source=source)['env']

        env = talk('fe80::3%far')
        assert {name: env.get(name) for name in (
            'PROTO', 'SEEN', 'TCP6INTERFACE', 'SSLINTERFACE',
            'TCP6REMOTEIP', 'SSLREMOTEIP', 'TCP6LOCALIP')} == {
                'PROTO': 'TCP6', 'SEEN': 'prefix', 'TCP6INTERFACE': 'near',
                'SSLINTERFACE': 'near', 'TCP6REMOTEIP': 'fe80::3',
                'SSLREMOTEIP': 'fe80::3', 'TCP6LOCALIP': 'fe80::1'}
        assert server.is_refused(address='fe80::1%far', source='fe80::2%far')
        server.wait_log('^sslserver: deny 0 here:fe80::1:%d :fe80::2:'
                        % server.port)
        make_rules(path, 'fe80::3:deny\nfe80::2:allow,SEEN="address"\n'
                         'fe80::/10:deny\n')
        wait_for(lambda: server.is_refused(address='fe80::1%far',
                                           source='fe80::3%far'), 2,
                 'the new table')
        assert talk('fe80::2%far')['SEEN'] == 'address'
        server.destroy()
