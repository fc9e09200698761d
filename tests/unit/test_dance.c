/*
 * test_dance: each protocol's plain part, word by word, with honest, odd and
 * hostile servers; each script is played with whole pieces and byte by byte.
 */
#include "client/dance.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

#define WORDS_MAX 8

/* S: the server says this; C: we must. */
struct word {
	char who;
	const char *bytes;
	size_t len;
};

#define S(text) \
	{ \
		'S', (text), sizeof(text) - 1 \
	}
#define C(text) \
	{ \
		'C', (text), sizeof(text) - 1 \
	}

/* why NULL: TLS begins. */
struct script {
	enum starttls_protocol protocol;
	const char *why;
	struct word words[WORDS_MAX];
};

#define OWN "[192.0.2.1]"
#define HOST "im.example.com"
#define EHLO C("EHLO " OWN "\r\n")
#define STREAM \
	C("<?xml version='1.0'?><stream:stream xmlns='jabber:client'" \
	  " xmlns:stream='http://etherx.jabber.org/streams'" \
	  " version='1.0' to='" HOST "'>")
#define ASK_XMPP C("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
#define XMPP_HEAD "<?xml version='1.0'?><stream:stream id='x' version='1.0'>"
#define XMPP_OFFER \
	"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>" \
	"<required/></starttls></stream:features>"
#define ASK_LDAP \
	C("\x30\x1d\x02\x01\x01\x77\x18\x80\x16" \
	  "1.3.6.1.4.1.1466.20037")
#define ASK_POSTGRES C("\0\0\0\x08\x04\xd2\x16\x2f")
#define MYSQL_REST \
	"\x21\x02\x00\x0f\x80\x15\0\0\0\0\0\0\0\0\0\0" \
	"salt5678901\0mysql_native_password\0"
#define MYSQL(flags) \
	S("\x49\0\0\0\x0a" \
	  "8.0.33\0\x01\0\0\0salt1234\0" flags MYSQL_REST)
#define ASK_MYSQL \
	C("\x20\0\0\x01\x00\x8a\x08\x00\xff\xff\xff\x00\x21" \
	  "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")

/*
 * Play the script in pieces of at most that many bytes.  The machine must
 * take all that the server says, until it has failed.
 */
static void
play_pieces(struct dance *d, const struct script *script, size_t piece)
{
	const struct word *word = script->words;
	size_t at, len;

	dance_begin(d, script->protocol, OWN, HOST);
	for (; word->who != '\0' && d->state != DANCE_FAILED; word++) {
		if (word->who == 'C') {
			assert_int_equal(d->state, DANCE_SEND);
			assert_int_equal(d->out_len, word->len);
			assert_memory_equal(d->out, word->bytes, word->len);
			dance_sent(d);
			continue;
		}
		for (at = 0; at < word->len && d->state == DANCE_READ;) {
			len = word->len - at < piece ? word->len - at : piece;
			at += dance_take(d, word->bytes + at, len);
		}
		if (at < word->len && d->state != DANCE_FAILED)
			dance_surplus(d, word->bytes + at, word->len - at);
	}
	if (word->who != '\0')
		fail_msg("too early: %s", d->why);
}

static void
play(const struct script *script)
{
	static const size_t pieces[] = { 100000, 1, 7 };
	struct dance *d = malloc(sizeof(*d));
	size_t i;

	assert_non_null(d);
	for (i = 0; i < COUNT(pieces); i++) {
		play_pieces(d, script, pieces[i]);
		if (script->why == NULL) {
			if (d->state != DANCE_DONE)
				fail_msg("state %d: %s", d->state, d->why);
			assert_string_equal(d->why, "");
		} else {
			assert_string_equal(d->why, script->why);
			assert_int_equal(d->state, DANCE_FAILED);
		}
	}
	free(d);
}

#define PLAY(scripts) \
	do { \
		size_t script_; \
		(void)state; \
		for (script_ = 0; script_ < COUNT(scripts); script_++) \
			play(&(scripts)[script_]); \
	} while (0)

static void
names_are_exact(void **state)
{
	enum starttls_protocol p, found;

	(void)state;
	for (p = 0; p < STARTTLS_PROTOCOLS; p++) {
		assert_int_equal(starttls_named(starttls_name(p), &found), 0);
		assert_int_equal(found, p);
	}
	assert_int_equal(starttls_named("postgres", &found), 0);
	assert_int_equal(found, STARTTLS_POSTGRES);
	found = STARTTLS_FTP;
	assert_int_equal(starttls_named("SMTP", &found), -1);
	assert_int_equal(starttls_named("smtps", &found), -1);
	assert_int_equal(starttls_named("", &found), -1);
	assert_int_equal(found, STARTTLS_FTP);
}

static void
smtp(void **state)
{
	static const struct script scripts[] = {
		{ STARTTLS_SMTP, NULL,
		    { S("220-mx.example.com ESMTP\r\n220 be nice\r\n"), EHLO,
			S("250-mx.example.com\r\n250-PIPELINING\r\n"
			  "250-StartTLS\r\n250 8BITMIME\r\n"),
			C("STARTTLS\r\n"), S("220 2.0.0 go\r\n") } },
		/* Bare line ends, codes alone, the word in the last line. */
		{ STARTTLS_SMTP, NULL,
		    { S("220\n"), EHLO, S("250-x\n250 STARTTLS \n"),
			C("STARTTLS\r\n"), S("220\n") } },
		{ STARTTLS_SMTP,
		    "smtp: the answer to EHLO does not offer STARTTLS",
		    { S("220 x\r\n"), EHLO,
			S("250-STARTTLS\r\n250-XSTARTTLS\r\n"
			  "250-STARTTLSX\r\n250 SIZE STARTTLS\r\n") } },
		{ STARTTLS_SMTP,
		    "smtp: the greeting is a refusal: 554 5.7.1 go away",
		    { S("554-no\r\n554 5.7.1 go away\r\n") } },
		{ STARTTLS_SMTP,
		    "smtp: the answer to EHLO is a refusal: 502 what?",
		    { S("220 x\r\n"), EHLO, S("502 what?\r\n") } },
		{ STARTTLS_SMTP,
		    "smtp: the answer to STARTTLS is a refusal: 454 later",
		    { S("220 x\r\n"), EHLO, S("250-x\r\n250 STARTTLS\r\n"),
			C("STARTTLS\r\n"), S("454 later\r\n") } },
		/* 2yz, but not the one that RFC 3207 has. */
		{ STARTTLS_SMTP,
		    "smtp: the answer to STARTTLS is a refusal: 250 sure",
		    { S("220 x\r\n"), EHLO, S("250-x\r\n250 STARTTLS\r\n"),
			C("STARTTLS\r\n"), S("250 sure\r\n") } },
		{ STARTTLS_SMTP,
		    "smtp: the greeting is not understood: "
		    "HTTP/1.1 400 ?s?[31m",
		    { S("HTTP/1.1 400 %s\033[31m\r\n") } },
		{ STARTTLS_SMTP, "smtp: the greeting is not understood: ",
		    { S("\r\n220 x\r\n") } },
		{ STARTTLS_SMTP, "smtp: the greeting is not understood: 220x",
		    { S("220x\r\n") } },
		{ STARTTLS_SMTP, "smtp: the greeting is not understood: 22",
		    { S("22\r\n") } },
		{ STARTTLS_SMTP,
		    "smtp: the answer to EHLO is not understood: 220 y",
		    { S("220 x\r\n"), EHLO, S("250-x\r\n220 y\r\n") } },
	};

	PLAY(scripts);
}

static void
surplus_is_refused(void **state)
{
	static const struct script scripts[] = {
		{ STARTTLS_SMTP,
		    "smtp: before TLS came what nobody had asked for: "
		    "250 injected??",
		    { S("220 x\r\n"), EHLO, S("250-x\r\n250 STARTTLS\r\n"),
			C("STARTTLS\r\n"), S("220 go\r\n250 injected\r\n") } },
		{ STARTTLS_SMTP,
		    "smtp: before STARTTLS came what nobody had asked for: "
		    "220 go??",
		    { S("220 x\r\n"), EHLO,
			S("250-x\r\n250 STARTTLS\r\n220 go\r\n") } },
		{ STARTTLS_SMTP,
		    "smtp: before EHLO came what nobody had asked for: "
		    "250-x??250 STARTTLS??",
		    { S("220 x\r\n250-x\r\n250 STARTTLS\r\n") } },
		{ STARTTLS_IMAP,
		    "imap: before TLS came what nobody had asked for: "
		    "* CAPABILITY X??",
		    { S("* OK hi\r\n"), C("a1 CAPABILITY\r\n"),
			S("* CAPABILITY STARTTLS\r\na1 OK\r\n"),
			C("a2 STARTTLS\r\n"),
			S("a2 OK\r\n* CAPABILITY X\r\n") } },
		{ STARTTLS_POP3,
		    "pop3: before TLS came what nobody had asked for: +",
		    { S("+OK\r\n"), C("CAPA\r\n"), S("+OK\r\nSTLS\r\n.\r\n"),
			C("STLS\r\n"), S("+OK\r\n+") } },
		{ STARTTLS_FTP,
		    "ftp: before TLS came what nobody had asked for: ?",
		    { S("220\r\n"), C("AUTH TLS\r\n"), S("234\r\n\n") } },
		{ STARTTLS_SIEVE,
		    "sieve: before TLS came what nobody had asked for: \"X\"",
		    { S("\"STARTTLS\"\r\nOK\r\n"), C("STARTTLS\r\n"),
			S("OK\r\n\"X\"") } },
		{ STARTTLS_LDAP,
		    "ldap: before TLS came what nobody had asked for: 0?",
		    { ASK_LDAP,
			S("\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\0\x04\0"
			  "\x04\0\x30\x05") } },
		{ STARTTLS_XMPP,
		    "xmpp: before TLS came what nobody had asked for: <x/>",
		    { STREAM, S(XMPP_HEAD XMPP_OFFER), ASK_XMPP,
			S("<proceed xmlns='urn:x'/><x/>") } },
		{ STARTTLS_POSTGRES,
		    "postgres: before TLS came what nobody had asked for: R??",
		    { ASK_POSTGRES, S("SR\0\0") } },
		{ STARTTLS_MYSQL,
		    "mysql: before SSLRequest came what nobody had asked for: "
		    "???",
		    { S("\x49\0\0\0\x0a"
			"8.0.33\0\x01\0\0\0salt1234\0\xff\xff" MYSQL_REST
			"\x07\0\0") } },
	};

	PLAY(scripts);
}

static void
imap(void **state)
{
	static const struct script scripts[] = {
		{ STARTTLS_IMAP, NULL,
		    { S("* OK [CAPABILITY IMAP4rev1] ready\r\n"),
			C("a1 CAPABILITY\r\n"),
			S("* CAPABILITY IMAP4rev1 starttls LOGINDISABLED\r\n"
			  "* 5 EXISTS\r\nA1 ok done\r\n"),
			C("a2 STARTTLS\r\n"),
			S("* OK soon\r\na2 OK Begin TLS\r\n") } },
		/* Strings by length: what is in them is no answer. */
		{ STARTTLS_IMAP,
		    "imap: the answer to STARTTLS is a refusal: a2 NO",
		    { S("* OK {7}\r\nBYE\r\n* rest\r\n"),
			C("a1 CAPABILITY\r\n"),
			S("* CAPABILITY {5}\r\na1 NO STARTTLS {0}\r\n\r\n"
			  "* X {6+}\r\na1 BAD\r\na1 OK {3}\r\n\r\n!\r\n"),
			C("a2 STARTTLS\r\n"), S("a2 NO\r\n") } },
		{ STARTTLS_IMAP,
		    "imap: the answer to CAPABILITY does not offer STARTTLS",
		    { S("* OK hi\r\n"), C("a1 CAPABILITY\r\n"),
			S("* OK STARTTLS\r\n* CAPABILITY XSTARTTLS "
			  "STARTTLS2\r\na1 OK STARTTLS\r\n") } },
		{ STARTTLS_IMAP,
		    "imap: the greeting is a refusal: * PREAUTH joe",
		    { S("* PREAUTH joe\r\n") } },
		{ STARTTLS_IMAP, "imap: the greeting is a refusal: * bye full",
		    { S("* bye full\r\n") } },
		{ STARTTLS_IMAP,
		    "imap: the greeting is not understood: +OK POP3",
		    { S("+OK POP3\r\n") } },
		{ STARTTLS_IMAP,
		    "imap: the answer to CAPABILITY is a refusal: * BYE bored",
		    { S("* OK hi\r\n"), C("a1 CAPABILITY\r\n"),
			S("* BYE bored\r\n") } },
		{ STARTTLS_IMAP,
		    "imap: the answer to CAPABILITY is a refusal: a1 BAD x",
		    { S("* OK hi\r\n"), C("a1 CAPABILITY\r\n"),
			S("a1 BAD x\r\n") } },
		{ STARTTLS_IMAP,
		    "imap: the answer to CAPABILITY is not understood: "
		    "a2 OK x",
		    { S("* OK hi\r\n"), C("a1 CAPABILITY\r\n"),
			S("* CAPABILITY STARTTLS\r\na2 OK x\r\n") } },
		{ STARTTLS_IMAP,
		    "imap: the answer to CAPABILITY is not understood: "
		    "a1 MAYBE",
		    { S("* OK hi\r\n"), C("a1 CAPABILITY\r\n"),
			S("a1 MAYBE\r\n") } },
	};

	PLAY(scripts);
}

/* Shown as they came, cut down to lower case or not. */
static void
pop3_and_ftp(void **state)
{
	static const struct script scripts[] = {
		{ STARTTLS_POP3, NULL,
		    { S("+OK <1@x>\r\n"), C("CAPA\r\n"),
			S("+OK list\r\nTOP\r\nstls\r\nUIDL\r\n.\r\n"),
			C("STLS\r\n"), S("+OK go\r\n") } },
		{ STARTTLS_POP3, "pop3: the answer to CAPA does not offer STLS",
		    { S("+OK\r\n"), C("CAPA\r\n"),
			S("+OK STLS\r\nSTLSX\r\nX STLS\r\n..\r\n.\r\n") } },
		{ STARTTLS_POP3,
		    "pop3: the answer to CAPA is a refusal: -ERR what?",
		    { S("+OK\r\n"), C("CAPA\r\n"), S("-ERR what?\r\n") } },
		{ STARTTLS_POP3,
		    "pop3: the answer to STLS is a refusal: -ERR no",
		    { S("+OK\r\n"), C("CAPA\r\n"), S("+OK\r\nSTLS\r\n.\r\n"),
			C("STLS\r\n"), S("-ERR no\r\n") } },
		{ STARTTLS_POP3, "pop3: the greeting is not understood: +OKAY",
		    { S("+OKAY\r\n") } },
		{ STARTTLS_FTP, NULL,
		    { S("120 wait\r\n220-hi\r\n 220 inside\r\n230 inside\r\n"
			"220-inside\r\n\r\n220 end\r\n"),
			C("AUTH TLS\r\n"), S("234 go\r\n") } },
		{ STARTTLS_FTP, "ftp: the greeting is a refusal: 421 too many",
		    { S("421 too many\r\n") } },
		{ STARTTLS_FTP,
		    "ftp: the answer to AUTH TLS is a refusal: 530 log in",
		    { S("220 x\r\n"), C("AUTH TLS\r\n"),
			S("530 log in\r\n") } },
		/* RFC 2228: there would be more to say first. */
		{ STARTTLS_FTP,
		    "ftp: the answer to AUTH TLS is a refusal: 334 x",
		    { S("220 x\r\n"), C("AUTH TLS\r\n"), S("334 x\r\n") } },
		{ STARTTLS_FTP, "ftp: the greeting is not understood: SSH-2.0",
		    { S("SSH-2.0\r\n") } },
	};

	PLAY(scripts);
}

static void
sieve(void **state)
{
	static const struct script scripts[] = {
		{ STARTTLS_SIEVE, NULL,
		    { S("\"IMPLEMENTATION\" \"x\"\r\n\"SASL\" \"\"\r\n"
			"\"StartTLS\"\r\nOK \"ready\"\r\n"),
			C("STARTTLS\r\n"), S("ok (WARNINGS) \"go\"\r\n") } },
		{ STARTTLS_SIEVE, NULL,
		    { S("\"IMPLEMENTATION\" {4+}\r\nOK\r\n\r\n"
			"\"STARTTLS\"\r\nOK {2}\r\nhi\r\n"),
			C("STARTTLS\r\n"), S("OK\r\n") } },
		{ STARTTLS_SIEVE, "sieve: the greeting does not offer STARTTLS",
		    { S("\"SIEVE\" "
			"\"STARTTLS\"\r\n\"STARTTLSX\"\r\nOK\r\n") } },
		{ STARTTLS_SIEVE, "sieve: the greeting is a refusal: BYE \"x\"",
		    { S("BYE \"x\"\r\n") } },
		{ STARTTLS_SIEVE,
		    "sieve: the answer to STARTTLS is a refusal: NO \"later\"",
		    { S("\"STARTTLS\"\r\nOK\r\n"), C("STARTTLS\r\n"),
			S("NO \"later\"\r\n") } },
		{ STARTTLS_SIEVE,
		    "sieve: the answer to STARTTLS is not understood: \"X\"",
		    { S("\"STARTTLS\"\r\nOK\r\n"), C("STARTTLS\r\n"),
			S("\"X\"\r\nOK\r\n") } },
		{ STARTTLS_SIEVE, "sieve: the greeting is not understood: OKAY",
		    { S("OKAY\r\n") } },
	};

	PLAY(scripts);
}

static void
ldap(void **state)
{
	static const struct script scripts[] = {
		{ STARTTLS_LDAP, NULL,
		    { ASK_LDAP,
			S("\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\0\x04\0"
			  "\x04\0") } },
		/* With its name, and lengths in more bytes than needed. */
		{ STARTTLS_LDAP, NULL,
		    { ASK_LDAP,
			S("\x30\x84\0\0\0\x27\x02\x01\x01\x78\x82\0\x20"
			  "\x0a\x01\0\x04\x81\0\x04\0\x8a\x16"
			  "1.3.6.1.4.1.1466.20037") } },
		{ STARTTLS_LDAP,
		    "ldap: the answer to StartTLS is a refusal: "
		    "result 2: no ?TLS",
		    { ASK_LDAP,
			S("\x30\x13\x02\x01\x01\x78\x0e\x0a\x01\x02\x04\0"
			  "\x04\x07no \nTLS") } },
		{ STARTTLS_LDAP,
		    "ldap: the answer to StartTLS is a refusal: result 52: ",
		    { ASK_LDAP,
			S("\x30\x0c\x02\x01\0\x78\x07\x0a\x01\x34\x04\0"
			  "\x04\0") } },
		/* Another message's, another tag, cut inside, no length. */
		{ STARTTLS_LDAP,
		    "ldap: the answer to StartTLS is not understood: "
		    "0????x????????",
		    { ASK_LDAP,
			S("\x30\x0c\x02\x01\x02\x78\x07\x0a\x01\0\x04\0"
			  "\x04\0") } },
		{ STARTTLS_LDAP,
		    "ldap: the answer to StartTLS is not understood: "
		    "0????a????????",
		    { ASK_LDAP,
			S("\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\0\x04\0"
			  "\x04\0") } },
		{ STARTTLS_LDAP,
		    "ldap: the answer to StartTLS is not understood: "
		    "0????x????????",
		    { ASK_LDAP,
			S("\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\0\x04\0"
			  "\x04\x01") } },
		{ STARTTLS_LDAP,
		    "ldap: the answer to StartTLS is not understood: "
		    "0????x?????",
		    { ASK_LDAP,
			S("\x30\x09\x02\x01\x01\x78\x04\x0a\x01\0\x04") } },
		{ STARTTLS_LDAP,
		    "ldap: the answer to StartTLS is not understood: 0?",
		    { ASK_LDAP, S("\x30\x80") } },
		{ STARTTLS_LDAP,
		    "ldap: the answer to StartTLS is not understood: 0?",
		    { ASK_LDAP, S("\x30\x85") } },
		{ STARTTLS_LDAP,
		    "ldap: the answer to StartTLS is not understood: 2",
		    { ASK_LDAP, S("220 x\r\n") } },
	};

	PLAY(scripts);
}

static void
xmpp(void **state)
{
	static const struct script scripts[] = {
		{ STARTTLS_XMPP, NULL,
		    { STREAM, S(XMPP_HEAD XMPP_OFFER), ASK_XMPP,
			S("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'"
			  "/>") } },
		/* Prefixes, blanks, > in quotes and text, no declaration. */
		{ STARTTLS_XMPP, NULL,
		    { STREAM,
			S("<stream xmlns='x' a='>' b=\"'>\">\r\n"
			  "<features >\n<m xmlns='y'><x>A > B \"</x></m>"
			  "<t:starttls\txmlns:t='z' /></features>"),
			ASK_XMPP, S(" <t:proceed></t:proceed>") } },
		{ STARTTLS_XMPP,
		    "xmpp: the answer to stream does not offer starttls",
		    { STREAM,
			S(XMPP_HEAD "<stream:features><m><starttls/></m>"
				    "starttls <starttlsx/>"
				    "</stream:features>") } },
		{ STARTTLS_XMPP,
		    "xmpp: the answer to stream does not offer starttls",
		    { STREAM, S(XMPP_HEAD "<stream:features/>") } },
		{ STARTTLS_XMPP,
		    "xmpp: the answer to stream is a refusal: "
		    "<host-unknown xmlns='u'/>",
		    { STREAM,
			S(XMPP_HEAD "<stream:error><host-unknown xmlns='u'/>"
				    "</stream:error></stream:stream>") } },
		{ STARTTLS_XMPP,
		    "xmpp: the answer to stream is a refusal: </stream>",
		    { STREAM, S("<stream></stream>") } },
		{ STARTTLS_XMPP,
		    "xmpp: the answer to starttls is a refusal: "
		    "<failure xmlns='x'/>",
		    { STREAM, S(XMPP_HEAD XMPP_OFFER), ASK_XMPP,
			S("<failure xmlns='x'/></stream:stream>") } },
		{ STARTTLS_XMPP,
		    "xmpp: the answer to starttls is not understood: <ok/>",
		    { STREAM, S(XMPP_HEAD XMPP_OFFER), ASK_XMPP, S("<ok/>") } },
		{ STARTTLS_XMPP,
		    "xmpp: the answer to stream is not understood: "
		    "<!DOCTYPE x>",
		    { STREAM, S("<stream><!DOCTYPE x>") } },
		{ STARTTLS_XMPP,
		    "xmpp: the answer to stream is not understood: <html>",
		    { STREAM, S("<html>") } },
		{ STARTTLS_XMPP,
		    "xmpp: the answer to stream is not understood: <>",
		    { STREAM, S("<>") } },
		{ STARTTLS_XMPP,
		    "xmpp: the answer to stream is not understood: <stream/>",
		    { STREAM, S("<stream/>") } },
		{ STARTTLS_XMPP,
		    "xmpp: the answer to stream is not understood: 2",
		    { STREAM, S("220 x\r\n") } },
		{ STARTTLS_XMPP,
		    "xmpp: the answer to stream is not understood: ?",
		    { STREAM, S("\0") } },
	};

	PLAY(scripts);
}

static void
postgres_and_mysql(void **state)
{
	static const struct script scripts[] = {
		{ STARTTLS_POSTGRES, NULL, { ASK_POSTGRES, S("S") } },
		{ STARTTLS_POSTGRES,
		    "postgres: the answer to SSLRequest is a refusal: N",
		    { ASK_POSTGRES, S("N") } },
		{ STARTTLS_POSTGRES,
		    "postgres: the answer to SSLRequest is a refusal: E",
		    { ASK_POSTGRES, S("Esorry, too many clients\n\0") } },
		{ STARTTLS_POSTGRES,
		    "postgres: the answer to SSLRequest is not understood: 2",
		    { ASK_POSTGRES, S("220") } },
		{ STARTTLS_MYSQL, NULL, { MYSQL("\xff\xff"), ASK_MYSQL } },
		{ STARTTLS_MYSQL, NULL, { MYSQL("\x00\x08"), ASK_MYSQL } },
		{ STARTTLS_MYSQL, "mysql: the greeting does not offer TLS",
		    { MYSQL("\xff\xf7") } },
		{ STARTTLS_MYSQL,
		    "mysql: the greeting is a refusal: Host is blocked",
		    { S("\x12\0\0\0\xff\x69\x04Host is blocked") } },
		{ STARTTLS_MYSQL,
		    "mysql: the greeting is not understood: "
		    "?????",
		    { S("\x01\0\0\0\xff") } },
		{ STARTTLS_MYSQL, "mysql: the greeting is not understood: ????",
		    { S("\0\0\0\0") } },
		{ STARTTLS_MYSQL,
		    "mysql: the greeting is not understood: ?????8.0",
		    { S("\x04\0\0\0\x0a"
			"8.0") } },
		{ STARTTLS_MYSQL,
		    "mysql: the greeting is not understood: ????"
		    "?8??????????????",
		    { S("\x10\0\0\0\x0a"
			"8\0\0\0\0\0\0\0\0\0\0\0\0\0\0") } },
		{ STARTTLS_MYSQL,
		    "mysql: the greeting is not understood: ?????",
		    { S("\x01\0\0\0\x09") } },
	};

	PLAY(scripts);
}

/* Feed the same text again and again until the machine has enough. */
static size_t
feed_until_failed(struct dance *d, const char *text)
{
	size_t len = strlen(text), fed = 0;

	while (d->state == DANCE_READ && fed < 10 * DANCE_TOTAL_MAX)
		fed += dance_take(d, text, len);
	assert_int_equal(d->state, DANCE_FAILED);
	return fed;
}

static void
what_is_too_long_is_refused(void **state)
{
	static struct dance d;

	(void)state;
	dance_begin(&d, STARTTLS_SMTP, OWN, HOST);
	assert_int_equal(feed_until_failed(&d, "2"), DANCE_UNIT_MAX + 1);
	assert_string_equal(
	    strstr(d.why, "smtp: the greeting is too long: 22222"), d.why);
	assert_string_equal(d.why + strlen(d.why) - 5, "22...");
	dance_begin(&d, STARTTLS_SMTP, OWN, HOST);
	assert_int_equal(feed_until_failed(&d, "220-\n"), DANCE_TOTAL_MAX + 1);
	assert_string_equal(d.why, "smtp: the greeting is too long");
	dance_begin(&d, STARTTLS_IMAP, OWN, HOST);
	dance_take(&d, "* OK {99999999999999999999999}\r\n", 32);
	assert_int_equal(
	    feed_until_failed(&d, "x\n") + 32, DANCE_TOTAL_MAX + 1);
	dance_begin(&d, STARTTLS_XMPP, OWN, HOST);
	dance_sent(&d);
	assert_int_equal(feed_until_failed(&d, " "), DANCE_TOTAL_MAX + 1);
	dance_begin(&d, STARTTLS_XMPP, OWN, HOST);
	dance_sent(&d);
	dance_take(&d, "<stream>", 8);
	dance_take(&d, "<features>", 10);
	feed_until_failed(&d, "<x>");
	dance_begin(&d, STARTTLS_LDAP, OWN, HOST);
	dance_sent(&d);
	dance_take(&d, "\x30\x84\xff\xff\xff\xff", 6);
	assert_int_equal(feed_until_failed(&d, "x") + 6, DANCE_UNIT_MAX + 1);
	dance_begin(&d, STARTTLS_MYSQL, OWN, HOST);
	dance_take(&d, "\xff\xff\xff", 3);
	assert_int_equal(feed_until_failed(&d, "x") + 3, DANCE_UNIT_MAX + 1);
}

static void
names_that_do_not_fit_are_left_out(void **state)
{
	static const char *const odd[] = { "", "a'b", "a b", "fe80::1%eth0",
		"a\nb", "x>" };
	static struct dance d;
	char name[DANCE_NAME_MAX + 2];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(odd); i++) {
		dance_begin(&d, STARTTLS_XMPP, OWN, odd[i]);
		assert_null(strstr(d.out, " to="));
	}
	dance_begin(&d, STARTTLS_XMPP, OWN, NULL);
	assert_null(strstr(d.out, " to="));
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	dance_begin(&d, STARTTLS_XMPP, OWN, name);
	assert_null(strstr(d.out, " to="));
	name[sizeof(name) - 2] = '\0';
	dance_begin(&d, STARTTLS_XMPP, OWN, name);
	assert_string_equal(strstr(d.out, name) + DANCE_NAME_MAX, "'>");
	dance_begin(&d, STARTTLS_SMTP, name, NULL);
	dance_take(&d, "220 x\r\n", 7);
	assert_int_equal(d.out_len, 5 + DANCE_NAME_MAX + 2);
}

static void
the_end_is_told(void **state)
{
	static struct dance d;

	(void)state;
	dance_begin(&d, STARTTLS_SMTP, OWN, HOST);
	dance_lost(&d, 0);
	assert_string_equal(
	    d.why, "smtp: the greeting did not come: the server hung up");
	dance_begin(&d, STARTTLS_SMTP, OWN, HOST);
	dance_take(&d, "220 x\r\n", 7);
	dance_sent(&d);
	dance_lost(&d, ETIMEDOUT);
	assert_string_equal(
	    d.why, "smtp: the answer to EHLO did not come in time");
	dance_begin(&d, STARTTLS_POSTGRES, OWN, HOST);
	dance_lost(&d, ECONNRESET);
	assert_string_equal(d.why,
	    "postgres: the answer to SSLRequest did not come: "
	    "Connection reset by peer");
	assert_int_equal(d.state, DANCE_FAILED);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_exact),
		cmocka_unit_test(smtp),
		cmocka_unit_test(surplus_is_refused),
		cmocka_unit_test(imap),
		cmocka_unit_test(pop3_and_ftp),
		cmocka_unit_test(sieve),
		cmocka_unit_test(ldap),
		cmocka_unit_test(xmpp),
		cmocka_unit_test(postgres_and_mysql),
		cmocka_unit_test(what_is_too_long_is_refused),
		cmocka_unit_test(names_that_do_not_fit_are_left_out),
		cmocka_unit_test(the_end_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
