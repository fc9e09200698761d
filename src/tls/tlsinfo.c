/*
 * tlsinfo: from an SSL and its certificates to facts.
 *
 * Runs in a session, or sslclient's TLS process, after the handshake.  A client's certificate has been
 * checked by then, but who signed it may have put into it what he liked:
 * nothing here takes a length or a string for granted, and no buffer has a
 * size of its own.  Certificates are walked apart from the connection, so
 * that a server's, which never changes, could be walked before the fork.
 */
#include "tls/tlsinfo.h"

#include <stdbool.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/text.h"
#include "tls/tlscompat.h"
#include "tls/tlsconn.h"
#include "tls/tlsconn_internal.h"
#include "tls/tlsctx.h"
#include "tls/tlsresume.h"

/* Below so many bits mod_ssl and ucspi-ssl called a cipher export. */
#define EXPORT_BITS 56
/* RFC 5280 allows 20 bytes; to print more as decimal takes its square. */
#define SERIAL_MAX 1024
#define EXPORTER_LABEL "EXPORTER-Channel-Binding"
#define EXPORTER_SIZE 32

struct walk {
	tlsinfo_fn *fn;
	void *arg;
	SSL *ssl;
	BIO *text; /* what the library prints goes here */
	enum tlsinfo_party party;
};

static int
tell_part(const struct walk *walk, enum tlsinfo_kind kind, unsigned index,
    const void *bytes, size_t len)
{
	const struct tlsinfo_fact fact = { .party = walk->party,
		.kind = kind,
		.index = index,
		.bytes = bytes,
		.len = len };

	return walk->fn(walk->arg, &fact);
}

/* NULL: there is none. */
static int
tell(const struct walk *walk, enum tlsinfo_kind kind, const char *text)
{
	return text == NULL ? 0 : tell_part(walk, kind, 0, text, strlen(text));
}

static int
tell_number(const struct walk *walk, enum tlsinfo_kind kind, long number)
{
	char text[24];

	text_format(text, sizeof(text), "%ld", number);
	return tell(walk, kind, text);
}

/* At most EVP_MAX_MD_SIZE bytes. */
static int
tell_hex(const struct walk *walk, enum tlsinfo_kind kind,
    const unsigned char *bytes, size_t len)
{
	char hex[2 * EVP_MAX_MD_SIZE + 1];

	text_hex(hex, bytes, len);
	return tell(walk, kind, hex);
}

/* What the library has printed, and an empty text for the next. */
static int
tell_printed(const struct walk *walk, enum tlsinfo_kind kind, unsigned index)
{
	char *bytes;
	long len = BIO_get_mem_data(walk->text, &bytes);
	int r = tell_part(walk, kind, index, bytes, len > 0 ? (size_t)len : 0);

	(void)BIO_reset(walk->text);
	return r;
}

/* It has printed half of it, or nothing. */
static int
forget_printed(const struct walk *walk)
{
	(void)BIO_reset(walk->text);
	ERR_clear_error();
	return 0;
}

/*
 * Names
 */

/* The last one's position, or -1. */
static int
find_last(const X509_NAME *name, int nid)
{
	int at = -1, last = -1;

	while ((at = tlscompat_name_index(name, nid, at)) >= 0)
		last = at;
	return last;
}

static int
find_attribute(const X509_NAME *name, enum tlsinfo_attribute attribute)
{
	static const int nids[TLSINFO_ATTRIBUTES] = { NID_countryName,
		NID_stateOrProvinceName, NID_localityName, NID_organizationName,
		NID_organizationalUnitName, NID_commonName, NID_title,
		NID_initials, NID_givenName, NID_surname, NID_description,
		NID_userId, NID_pkcs9_emailAddress };
	int at = find_last(name, nids[attribute]);

	/* What 0.12 took; everybody else means the other one by UID. */
	if (at < 0 && attribute == TLSINFO_UID)
		at = find_last(name, NID_x500UniqueIdentifier);
	return at;
}

static int
tell_attribute(const struct walk *walk, enum tlsinfo_kind kind, unsigned index,
    const ASN1_STRING *value)
{
	unsigned char *utf8 = NULL;
	int len, r;

	/* Bits are no text in any alphabet. */
	if (ASN1_STRING_type(value) == V_ASN1_BIT_STRING)
		return tell_part(walk, kind, index,
		    ASN1_STRING_get0_data(value),
		    (size_t)ASN1_STRING_length(value));
	len = ASN1_STRING_to_UTF8(&utf8, value);
	if (len < 0) {
		ERR_clear_error();
		return 0;
	}
	r = tell_part(walk, kind, index, utf8, (size_t)len);
	OPENSSL_free(utf8);
	return r;
}

static int
tell_attributes(
    const struct walk *walk, enum tlsinfo_kind kind, const X509_NAME *name)
{
	const X509_NAME_ENTRY *entry;
	unsigned i;
	int at;

	for (i = 0; i < TLSINFO_ATTRIBUTES; i++) {
		at = find_attribute(name, (enum tlsinfo_attribute)i);
		if (at < 0)
			continue;
		entry = X509_NAME_get_entry(name, at);
		if (tell_attribute(
			walk, kind, i, X509_NAME_ENTRY_get_data(entry)) == -1)
			return -1;
	}
	return 0;
}

static int
tell_oneline(
    const struct walk *walk, enum tlsinfo_kind kind, const X509_NAME *name)
{
	char *text = X509_NAME_oneline(name, NULL, 0);
	int r = text == NULL ? -1 : tell(walk, kind, text);

	OPENSSL_free(text);
	return r;
}

static int
tell_rfc2253(const struct walk *walk, const X509_NAME *name)
{
	if (X509_NAME_print_ex(walk->text, name, 0, XN_FLAG_RFC2253) < 0)
		return forget_printed(walk);
	return tell_printed(walk, TLSINFO_S_DN_RFC2253, 0);
}

static int
tell_names(const struct walk *walk, const X509 *cert)
{
	const X509_NAME *subject = X509_get_subject_name(cert);
	const X509_NAME *issuer = X509_get_issuer_name(cert);

	if (tell_oneline(walk, TLSINFO_S_DN, subject) == -1 ||
	    tell_rfc2253(walk, subject) == -1 ||
	    tell_attributes(walk, TLSINFO_S_DN_PART, subject) == -1 ||
	    tell_oneline(walk, TLSINFO_I_DN, issuer) == -1)
		return -1;
	return tell_attributes(walk, TLSINFO_I_DN_PART, issuer);
}

/*
 * Certificates
 */

/* As i2a_ASN1_INTEGER, which breaks long ones into lines. */
static int
tell_serial_hex(const struct walk *walk, const ASN1_INTEGER *serial)
{
	const unsigned char *bytes = ASN1_STRING_get0_data(serial);
	int i, len = ASN1_STRING_length(serial);
	bool is_negative = ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER;

	BIO_puts(walk->text, is_negative ? "-" : "");
	for (i = 0; i < len; i++)
		BIO_printf(walk->text, "%02X", bytes[i]);
	if (len == 0)
		BIO_puts(walk->text, "00");
	return tell_printed(walk, TLSINFO_M_SERIAL_HEX, 0);
}

static int
tell_serial(const struct walk *walk, const X509 *cert)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);
	BIGNUM *number = ASN1_INTEGER_to_BN(serial, NULL);
	char *decimal = NULL;
	int r;

	if (number == NULL)
		return -1;
	if (BN_num_bytes(number) <= SERIAL_MAX)
		decimal = BN_bn2dec(number);
	BN_free(number);
	r = tell(walk, TLSINFO_M_SERIAL, decimal);
	OPENSSL_free(decimal);
	return r == -1 ? -1 : tell_serial_hex(walk, serial);
}

static int
tell_time(
    const struct walk *walk, enum tlsinfo_kind kind, const ASN1_TIME *time)
{
	if (ASN1_TIME_print(walk->text, time) != 1)
		return forget_printed(walk);
	return tell_printed(walk, kind, 0);
}

static int
tell_algorithm(const struct walk *walk, enum tlsinfo_kind kind, int nid)
{
	return tell(walk, kind, nid == NID_undef ? "UNKNOWN" : OBJ_nid2ln(nid));
}

static int
key_algorithm(const X509 *cert)
{
	ASN1_OBJECT *algorithm;

	if (X509_PUBKEY_get0_param(
		&algorithm, NULL, NULL, NULL, X509_get_X509_PUBKEY(cert)) != 1)
		return NID_undef;
	return OBJ_obj2nid(algorithm);
}

static int
tell_pem(
    const struct walk *walk, enum tlsinfo_kind kind, unsigned index, X509 *cert)
{
	if (PEM_write_bio_X509(walk->text, cert) != 1)
		return forget_printed(walk);
	return tell_printed(walk, kind, index);
}

static int
walk_certificate(const struct walk *walk, X509 *cert)
{
	if (cert == NULL)
		return 0;
	if (tell_number(walk, TLSINFO_M_VERSION, X509_get_version(cert) + 1) ==
		-1 ||
	    tell_serial(walk, cert) == -1 || tell_names(walk, cert) == -1 ||
	    tell_time(walk, TLSINFO_V_START, X509_get0_notBefore(cert)) == -1 ||
	    tell_time(walk, TLSINFO_V_END, X509_get0_notAfter(cert)) == -1 ||
	    tell_algorithm(walk, TLSINFO_A_SIG, X509_get_signature_nid(cert)) ==
		-1 ||
	    tell_algorithm(walk, TLSINFO_A_KEY, key_algorithm(cert)) == -1)
		return -1;
	return tell_pem(walk, TLSINFO_CERT, 0, cert);
}

static int
walk_chain(const struct walk *walk, STACK_OF(X509) * chain)
{
	int i, count = chain == NULL ? 0 : sk_X509_num(chain);

	for (i = 0; i < count; i++)
		if (tell_pem(walk, TLSINFO_CERT_CHAIN, (unsigned)i,
			sk_X509_value(chain, i)) == -1)
			return -1;
	return 0;
}

static int
tell_digest(const struct walk *walk, enum tlsinfo_kind kind, const X509 *cert,
    const EVP_MD *md)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len;

	if (cert == NULL || md == NULL)
		return 0;
	if (X509_digest(cert, md, digest, &len) != 1) {
		ERR_clear_error();
		return 0;
	}
	return tell_hex(walk, kind, digest, len);
}

/*
 * The connection
 */

static int
tell_session(const struct walk *walk)
{
	const SSL_SESSION *session = SSL_get0_session(walk->ssl);
	const unsigned char *id = NULL;
	unsigned len = 0;

	if (session != NULL)
		id = SSL_SESSION_get_id(session, &len);
	return tell_hex(walk, TLSINFO_SESSION_ID, id, len);
}

static int
tell_cipher(const struct walk *walk)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(walk->ssl);
	int possible = 0;
	int used = SSL_CIPHER_get_bits(cipher, &possible);

	if (tell(walk, TLSINFO_CIPHER, SSL_CIPHER_get_name(cipher)) == -1 ||
	    tell(walk, TLSINFO_CIPHER_EXPORT,
		used < EXPORT_BITS ? "true" : "false") == -1 ||
	    tell_number(walk, TLSINFO_CIPHER_USEKEYSIZE, used) == -1)
		return -1;
	return tell_number(walk, TLSINFO_CIPHER_ALGKEYSIZE, possible);
}

static int
tell_alpn(const struct walk *walk)
{
	const unsigned char *protocol = NULL;
	unsigned len = 0;

	SSL_get0_alpn_selected(walk->ssl, &protocol, &len);
	return len == 0 ? 0 : tell_part(walk, TLSINFO_ALPN, 0, protocol, len);
}

static int
tell_group(const struct walk *walk)
{
	return tell(walk, TLSINFO_KEX_GROUP, tlscompat_group(walk->ssl));
}

/*
 * The binding is to this connection only if the master secret is bound to
 * the handshake: RFC 9266, section 4.2.  Its context is empty, which before
 * TLS 1.3 is not the same as none.
 */
static int
tell_exporter(const struct walk *walk)
{
	static const unsigned char context[1];
	unsigned char binding[EXPORTER_SIZE];

	if (!tlscompat_is_bound(walk->ssl))
		return 0;
	if (SSL_export_keying_material(walk->ssl, binding, sizeof(binding),
		EXPORTER_LABEL, strlen(EXPORTER_LABEL), context, 0, 1) != 1) {
		ERR_clear_error();
		return 0;
	}
	return tell_hex(walk, TLSINFO_EXPORTER, binding, sizeof(binding));
}

/* RFC 5929, section 4.1: MD5 and SHA-1 are replaced. */
static const EVP_MD *
end_point_digest(X509 *cert)
{
	int nid = cert == NULL ? NID_undef : tlscompat_signature_digest(cert);

	if (nid == NID_md5 || nid == NID_sha1)
		return EVP_sha256();
	return nid == NID_undef ? NULL : EVP_get_digestbynid(nid);
}

/* The certificates of both; NULL: has none, or has not shown it. */
struct certificates {
	X509 *server, *client;
	bool is_server; /* we are */
	bool has_own;	/* whether it was shown or not */
};

/*
 * What the server found is not told to a client, which knows only that
 * there was nothing to find: no certificate of its own was shown, nor does a
 * session go on in which it was.
 */
static int
tell_verify(const struct walk *walk, const struct certificates *certs)
{
	long result = SSL_get_verify_result(walk->ssl);
	char text[128];

	if (!certs->is_server &&
	    (certs->client != NULL ||
		(SSL_session_reused(walk->ssl) && certs->has_own)))
		return 0;
	if (certs->client == NULL)
		return tell(walk, TLSINFO_CLIENT_VERIFY, "NONE");
	if (result == X509_V_OK)
		return tell(walk, TLSINFO_CLIENT_VERIFY, "SUCCESS");
	text_format(text, sizeof(text), "FAILED:%s",
	    X509_verify_cert_error_string(result));
	return tell(walk, TLSINFO_CLIENT_VERIFY, text);
}

static struct certificates
find_certificates(SSL *ssl)
{
	struct certificates found = { .is_server = SSL_is_server(ssl) };
	X509 *own = SSL_get_certificate(ssl), *peer = tlscompat_peer(ssl);

	found.server = found.is_server ? own : peer;
	found.client = found.is_server ? peer : own;
	found.has_own = own != NULL;
	/* A client has one, but not every server asks for it. */
	if (!found.is_server && !tlscompat_has_signed(ssl))
		found.client = NULL;
	return found;
}

static int
walk_connection(const struct walk *walk, const struct certificates *certs)
{
	SSL *ssl = walk->ssl;
	bool is_resumed = SSL_session_reused(ssl);
	/*
	 * The one of the full handshake counts (RFC 5929, section 4), which a
	 * server may have no more, and a session does not tell it of.
	 */
	X509 *end_point = certs->is_server && is_resumed ? NULL : certs->server;

	if (tell(walk, TLSINFO_PROTOCOL, SSL_get_version(ssl)) == -1 ||
	    tell_session(walk) == -1 || tell_cipher(walk) == -1 ||
	    tell(walk, TLSINFO_VERSION_LIBRARY, tlsctx_library()) == -1 ||
	    tell(walk, TLSINFO_TLS_SNI,
		SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)) == -1 ||
	    tell_alpn(walk) == -1 || tell_group(walk) == -1 ||
	    tell(walk, TLSINFO_SESSION_RESUMED,
		is_resumed ? "Resumed" : "Initial") == -1 ||
	    tell_exporter(walk) == -1 ||
	    tell_digest(walk, TLSINFO_SERVER_END_POINT, end_point,
		end_point_digest(end_point)) == -1 ||
	    tell_verify(walk, certs) == -1)
		return -1;
	return tell_digest(
	    walk, TLSINFO_CLIENT_CERT_SHA256, certs->client, EVP_sha256());
}

static int
walk_all(struct walk *walk)
{
	const struct certificates certs = find_certificates(walk->ssl);

	walk->party = TLSINFO_CONNECTION;
	if (walk_connection(walk, &certs) == -1)
		return -1;
	walk->party = TLSINFO_SERVER;
	if (walk_certificate(walk, certs.server) == -1)
		return -1;
	walk->party = TLSINFO_CLIENT;
	if (walk_certificate(walk, certs.client) == -1)
		return -1;
	if (!certs.is_server)
		return 0;
	/* A server's copy begins behind the client's own. */
	return walk_chain(walk, tlsresume_chain(walk->ssl));
}

int
tlsinfo_walk(const struct tlsconn *conn, tlsinfo_fn *fn, void *arg)
{
	return tlsinfo_walk_ssl(tlsconn_ssl(conn), fn, arg);
}

int
tlsinfo_walk_ssl(SSL *ssl, tlsinfo_fn *fn, void *arg)
{
	struct walk walk = {
		.fn = fn, .arg = arg, .ssl = ssl, .text = BIO_new(BIO_s_mem())
	};
	int r = -1;

	ERR_clear_error();
	if (walk.text != NULL)
		r = walk_all(&walk);
	BIO_free(walk.text);
	ERR_clear_error();
	return r;
}
