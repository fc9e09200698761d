/*
 * The administrator's choice of name servers.
 *
 * Runs in master, at start and when settings are loaded anew.  Reads what
 * the administrator, or a program that manages resolv.conf for him, wrote;
 * strict where a person gave a value to us, lenient in the file, which has
 * other readers and words that we do not know.
 */
#include "net/resolvconf.h"

#include <net/if.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/text.h"
#include "net/dnsmsg.h"

#define BLANKS " \t\r\n"
#define WORD_SIZE 256
#define LINE_SIZE 1024 /* longer lines are passed over */
#define PORT 53

/* The next word of *s into word; false at the end.  Too long: empty. */
static bool
next_word(const char **s, char word[WORD_SIZE])
{
	size_t len;

	*s += strspn(*s, BLANKS);
	len = strcspn(*s, BLANKS);
	if (len == 0)
		return false;
	word[0] = '\0';
	if (len < WORD_SIZE) {
		memcpy(word, *s, len);
		word[len] = '\0';
	}
	*s += len;
	return true;
}

/* Cut s at the mark.  What follows, or NULL if there is none. */
static char *
cut_at(char *s, char mark)
{
	char *at = strchr(s, mark);

	if (at == NULL)
		return NULL;
	*at = '\0';
	return at + 1;
}

/* ADDRESS[%interface][#port].  0 or -1. */
static int
parse_server(struct ip_endpoint *server, char *word)
{
	char *port = cut_at(word, '#'), *interface = cut_at(word, '%');
	unsigned long number = PORT;

	memset(server, 0, sizeof(*server));
	if (ip_parse(word, &server->ip) == -1)
		return -1;
	if (port != NULL && text_number(port, 1, 65535, &number) == -1)
		return -1;
	server->port = (uint16_t)number;
	if (interface == NULL)
		return 0;
	server->scope = if_nametoindex(interface);
	return server->scope == 0 ? -1 : 0;
}

char *
resolvconf_format(
    char text[RESOLVCONF_SERVER_SIZE], const struct ip_endpoint *server)
{
	char ip[IP_TEXT_SIZE], name[IF_NAMESIZE], port[8] = "";
	bool has_name =
	    server->scope != 0 && if_indextoname(server->scope, name) != NULL;

	if (server->port != PORT)
		text_format(port, sizeof(port), "#%u", server->port);
	text_format(text, RESOLVCONF_SERVER_SIZE, "%s%s%s%s",
	    ip_format(ip, &server->ip), has_name ? "%" : "",
	    has_name ? name : "", port);
	return text;
}

int
resolvconf_servers(struct resolvconf *conf, const char *list)
{
	struct ip_endpoint servers[RESOLVCONF_SERVERS_MAX];
	char word[WORD_SIZE];
	size_t count = 0;

	while (next_word(&list, word)) {
		if (count == RESOLVCONF_SERVERS_MAX ||
		    parse_server(&servers[count], word) == -1)
			return -1;
		count++;
	}
	memcpy(conf->servers, servers, count * sizeof(servers[0]));
	conf->server_count = count;
	return 0;
}

int
resolvconf_domain(struct resolvconf *conf, const char *value)
{
	char word[WORD_SIZE], domain[DNSMSG_NAME_SIZE];

	domain[0] = '\0';
	if (next_word(&value, word) && dnsmsg_host_name(domain, word) == -1)
		return -1;
	text_copy(conf->domain, sizeof(conf->domain), domain);
	return 0;
}

static void
parse_line(struct resolvconf *conf, const char *line)
{
	char word[WORD_SIZE];
	struct ip_endpoint server;

	if (!next_word(&line, word))
		return;
	if (strcmp(word, "search") == 0 || strcmp(word, "domain") == 0)
		(void)resolvconf_domain(conf, line);
	else if (strcmp(word, "nameserver") == 0 && next_word(&line, word) &&
	    conf->server_count < RESOLVCONF_SERVERS_MAX &&
	    parse_server(&server, word) == 0)
		conf->servers[conf->server_count++] = server;
}

void
resolvconf_parse(struct resolvconf *conf, const char *text, size_t len)
{
	char line[LINE_SIZE];
	size_t at, size;
	const char *eol;

	memset(conf, 0, sizeof(*conf));
	for (at = 0; at < len; at += size + 1) {
		eol = memchr(text + at, '\n', len - at);
		size = eol == NULL ? len - at : (size_t)(eol - (text + at));
		if (size >= sizeof(line) ||
		    memchr(text + at, '\0', size) != NULL)
			continue;
		memcpy(line, text + at, size);
		line[size] = '\0';
		parse_line(conf, line);
	}
	if (conf->server_count == 0)
		(void)resolvconf_servers(conf, "127.0.0.1");
}

int
resolvconf_read(struct resolvconf *conf, int fd)
{
	char *text = malloc(RESOLVCONF_FILE_MAX);
	ssize_t len = -1;

	if (text != NULL)
		len = fd_read_all(fd, text, RESOLVCONF_FILE_MAX);
	if (len != -1)
		resolvconf_parse(conf, text, (size_t)len);
	free(text);
	return len == -1 ? -1 : 0;
}
