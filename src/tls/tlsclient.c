/*
 * tlsclient: what a client says first, and to whom.
 *
 * Runs in sslclient's TLS process, before it has read a byte from the
 * network.  All of it is the user's own: names and protocols from the
 * command line and the environment.
 */
#include "tls/tlsclient.h"

#include <string.h>

#include <openssl/ssl.h>

#include "base/text.h"

/* RFC 7301, section 3.1: a name has 1 to 255 bytes. */
#define ALPN_NAME_MAX 255

int
tlsclient_alpn(
    unsigned char wire[TLSCLIENT_ALPN_MAX], size_t *len, const char *list)
{
	const char *piece;
	size_t n;

	*len = 0;
	while ((piece = text_piece(&list, ',', &n)) != NULL) {
		if (n == 0 || n > ALPN_NAME_MAX ||
		    n + 1 > TLSCLIENT_ALPN_MAX - *len)
			return -1;
		wire[(*len)++] = (unsigned char)n;
		memcpy(wire + *len, piece, n);
		*len += n;
	}
	return 0;
}

int
tlsclient_begin(SSL *ssl, const struct tlsclient *client)
{
	char name[256]; /* the macro below casts const away */

	SSL_set_connect_state(ssl);
	if (client->sni != NULL &&
	    (text_copy(name, sizeof(name), client->sni) == -1 ||
		SSL_set_tlsext_host_name(ssl, name) != 1))
		return -1;
	/* 0 is its success. */
	if (client->alpn != NULL &&
	    SSL_set_alpn_protos(
		ssl, client->alpn, (unsigned)client->alpn_len) != 0)
		return -1;
	return 0;
}
