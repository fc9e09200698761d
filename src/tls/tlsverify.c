/*
 * tlsverify: the peer's certificate, checked within the handshake.
 *
 * Runs in a session and in sslclient's TLS process, on bytes from the
 * network.  All checks are the
 * library's own and are done before the handshake can succeed, so that a
 * peer learns of a refusal by an alert and no caller can forget one.
 * What this file adds is memory: which check failed, and where.  Names in
 * a hostile certificate may hold anything; they leave here printable.
 */
#include "tls/tlsverify.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "tls/tlscompat.h"

/* A string of a certificate, whatever its coding.  false: it has none. */
static bool
show_string(char text[TEXT_PRINTABLE_SIZE], const ASN1_STRING *string)
{
	unsigned char *utf8 = NULL;
	int len = ASN1_STRING_to_UTF8(&utf8, string);

	if (len > 0)
		text_printable(text, utf8, (size_t)len);
	OPENSSL_free(utf8);
	return len > 0;
}

static bool
show_address(char text[TEXT_PRINTABLE_SIZE], const ASN1_STRING *string)
{
	const unsigned char *bytes = ASN1_STRING_get0_data(string);
	struct ip ip = { { [10] = 0xff, [11] = 0xff } };
	char shown[IP_TEXT_SIZE];
	int len = ASN1_STRING_length(string);

	if (len != 4 && len != 16)
		return false;
	memcpy(ip.bytes + 16 - len, bytes, (size_t)len);
	text_copy(text, TEXT_PRINTABLE_SIZE, ip_format(shown, &ip));
	return true;
}

/* The first name of that kind. */
static bool
show_alternative(
    char text[TEXT_PRINTABLE_SIZE], const GENERAL_NAMES *names, int kind)
{
	int i;

	for (i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type != kind)
			continue;
		if (kind == GEN_DNS && show_string(text, name->d.dNSName))
			return true;
		if (kind == GEN_IPADD && show_address(text, name->d.iPAddress))
			return true;
	}
	return false;
}

static bool
show_common_name(char text[TEXT_PRINTABLE_SIZE], const X509 *cert)
{
	const X509_NAME *subject = X509_get_subject_name(cert);
	int at = tlscompat_name_index(subject, NID_commonName, -1);

	return at >= 0 &&
	    show_string(text,
		X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

/*
 * A common name that never counts is not shown: it may be the very one that
 * was wanted.
 */
void
tlsverify_show_name(
    char text[TEXT_PRINTABLE_SIZE], const X509 *cert, bool is_strict)
{
	GENERAL_NAMES *names =
	    X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

	if (!show_alternative(text, names, GEN_DNS) &&
	    (is_strict || !show_common_name(text, cert)) &&
	    !show_alternative(text, names, GEN_IPADD))
		text_copy(text, TEXT_PRINTABLE_SIZE,
		    is_strict && show_common_name(text, cert) ? "(no dNSName)"
							      : "(no name)");
	GENERAL_NAMES_free(names);
}

static void
show_error(char text[TEXT_PRINTABLE_SIZE], int error, int depth)
{
	const char *reason = X509_verify_cert_error_string(error);

	if (depth > 0)
		text_format(text, TEXT_PRINTABLE_SIZE, "%.80s (depth %d)",
		    reason, depth);
	else
		text_printable(text, reason, strlen(reason));
}

/* Whose certificate it is: its subject, or, where that is empty, a name. */
static void
show_subject(char text[TEXT_PRINTABLE_SIZE], const X509 *cert)
{
	const X509_NAME *subject =
	    cert == NULL ? NULL : X509_get_subject_name(cert);
	BIO *bio = BIO_new(BIO_s_mem());
	char *bytes = NULL;
	long len = 0;

	text_copy(text, TEXT_PRINTABLE_SIZE, "(unknown)");
	if (bio != NULL && subject != NULL &&
	    X509_NAME_print_ex(bio, subject, 0, XN_FLAG_RFC2253) >= 0)
		len = BIO_get_mem_data(bio, &bytes);
	if (len > 0)
		text_printable(text, bytes, (size_t)len);
	else if (cert != NULL)
		tlsverify_show_name(text, cert, false);
	BIO_free(bio);
}

static unsigned
name_flags(const struct tlsverify *verify)
{
	unsigned flags = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;

	if (verify->strict_names)
		flags |= X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;
	return flags;
}

static const unsigned char *
address_bytes(const struct tlsverify *verify, size_t *len)
{
	size_t start = ip_is_v4(&verify->remote) ? 12 : 0;

	*len = 16 - start;
	return verify->remote.bytes + start;
}

bool
tlsverify_has_name(const struct tlsverify *verify, X509 *cert)
{
	const unsigned char *address;
	size_t len;

	if (verify->host == NULL) {
		address = address_bytes(verify, &len);
		return X509_check_ip(cert, address, len, name_flags(verify)) ==
		    1;
	}
	return verify->host[0] != '\0' &&
	    X509_check_host(cert, verify->host, 0, name_flags(verify), NULL) ==
	    1;
}

static bool
wants_name(const struct tlsverify *verify)
{
	return verify->mode == TLSVERIFY_NAME && verify->matches_name;
}

static bool
is_about_name(int error)
{
	return error == X509_V_ERR_HOSTNAME_MISMATCH ||
	    error == X509_V_ERR_IP_ADDRESS_MISMATCH;
}

static void
forget_failure(struct tlsverify_result *result)
{
	result->refusal = TLSVERIFY_NOT_REFUSED;
	result->reason[0] = result->subject[0] = '\0';
}

static void
note_failure(struct tlsverify_result *result, X509_STORE_CTX *store, int error)
{
	show_subject(result->subject, X509_STORE_CTX_get_current_cert(store));
	if (is_about_name(error)) {
		result->refusal = TLSVERIFY_BAD_NAME;
		tlsverify_show_name(result->reason,
		    X509_STORE_CTX_get0_cert(store),
		    result->wanted->strict_names);
	} else {
		result->refusal = TLSVERIFY_BAD_CERT;
		show_error(result->reason, error,
		    X509_STORE_CTX_get_error_depth(store));
	}
}

/*
 * Where any chain does, only the name counts; and that is not left to the
 * library: LibreSSL compares names at the end of a chain it has built, never
 * where it finds none and is told to go on.
 */
static bool
is_to_be_ignored(
    const struct tlsverify *wanted, X509_STORE_CTX *store, int *error)
{
	if (!wanted->any_chain || is_about_name(*error))
		return false;
	if (!wants_name(wanted) ||
	    tlsverify_has_name(wanted, X509_STORE_CTX_get0_cert(store)))
		return true;
	*error = wanted->host == NULL ? X509_V_ERR_IP_ADDRESS_MISMATCH
				      : X509_V_ERR_HOSTNAME_MISMATCH;
	X509_STORE_CTX_set_error(store, *error);
	return false;
}

/*
 * The library's verify callback.  LibreSSL goes on to other chains after a
 * failure: what has been noted of one is void when another is good to its
 * end, which is the peer's own certificate.
 */
static int
on_verify(int is_fine, X509_STORE_CTX *store)
{
	const SSL *ssl = X509_STORE_CTX_get_ex_data(
	    store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tlsverify_result *result = SSL_get_app_data(ssl);
	int error = X509_STORE_CTX_get_error(store);

	if (is_fine) {
		if (X509_STORE_CTX_get_error_depth(store) == 0)
			forget_failure(result);
		return is_fine;
	}
	if (is_to_be_ignored(result->wanted, store, &error))
		return 1;
	note_failure(result, store, error);
	return is_fine;
}

/* Whose the certificate must be.  0 or -1. */
static int
want_name(SSL *ssl, const struct tlsverify *verify)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	const unsigned char *address;
	size_t len;

	X509_VERIFY_PARAM_set_hostflags(param, name_flags(verify));
	if (verify->host == NULL) {
		address = address_bytes(verify, &len);
		return X509_VERIFY_PARAM_set1_ip(param, address, len) == 1 ? 0
									   : -1;
	}
	/* An empty name would match everybody. */
	if (verify->host[0] == '\0' ||
	    X509_VERIFY_PARAM_set1_host(param, verify->host, 0) != 1)
		return -1;
	return 0;
}

int
tlsverify_begin(
    SSL *ssl, const struct tlsverify *verify, struct tlsverify_result *result)
{
	forget_failure(result);
	result->wanted = verify;
	if (verify->mode == TLSVERIFY_NONE)
		return 0;
	SSL_set_app_data(ssl, result);
	SSL_set_verify(
	    ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, on_verify);
	tlscompat_set_depth(ssl, verify->depth);
	/* Of a chain that ends with such a one LibreSSL does not ask us. */
	if (verify->any_chain)
		X509_VERIFY_PARAM_set_flags(
		    SSL_get0_param(ssl), X509_V_FLAG_PARTIAL_CHAIN);
	return wants_name(verify) ? want_name(ssl, verify) : 0;
}

void
tlsverify_conclude(struct tlsverify_result *result)
{
	unsigned long code = ERR_peek_error();

	if (result->refusal != TLSVERIFY_NOT_REFUSED ||
	    ERR_GET_LIB(code) != ERR_LIB_SSL)
		return;
	if (ERR_GET_REASON(code) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
		result->refusal = TLSVERIFY_NO_CERT;
	/* LibreSSL does not call back for one that is trusted, but no CA. */
	if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
		result->refusal = TLSVERIFY_BAD_CERT;
		show_error(result->reason, X509_V_ERR_UNSPECIFIED, 0);
		show_subject(result->subject, NULL);
	}
}

/* As the library does it in a handshake. */
static int
prepare_chain(X509_STORE_CTX *store, SSL *ssl, STACK_OF(X509) * chain)
{
	X509_VERIFY_PARAM *param;

	if (X509_STORE_CTX_init(store,
		SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl)),
		sk_X509_value(chain, 0), chain) != 1 ||
	    X509_STORE_CTX_set_ex_data(
		store, SSL_get_ex_data_X509_STORE_CTX_idx(), ssl) != 1 ||
	    X509_STORE_CTX_set_default(store, "ssl_server") != 1)
		return -1;
	param = X509_STORE_CTX_get0_param(store);
	tlscompat_set_auth_level(param, SSL_get_security_level(ssl));
	X509_STORE_CTX_set_verify_cb(store, on_verify);
	return X509_VERIFY_PARAM_set1(param, SSL_get0_param(ssl)) == 1 ? 0 : -1;
}

bool
tlsverify_chain(SSL *ssl, STACK_OF(X509) * chain)
{
	struct tlsverify_result *result = SSL_get_app_data(ssl), before;
	X509_STORE_CTX *store;
	bool is_good;

	if (SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE)
		return true;
	before = *result;
	store = tlscompat_store_ctx_new();
	is_good = store != NULL && prepare_chain(store, ssl, chain) == 0 &&
	    X509_verify_cert(store) == 1;
	X509_STORE_CTX_free(store);
	*result = before;
	ERR_clear_error();
	return is_good;
}

static bool
is_in_time(const X509 *cert)
{
	return X509_cmp_current_time(X509_get0_notAfter(cert)) > 0;
}

bool
tlsverify_again(
    const struct tlsverify *verify, X509 *cert, const STACK_OF(X509) * chain)
{
	int i;

	if (verify->mode == TLSVERIFY_NONE)
		return cert == NULL;
	if (cert == NULL || !is_in_time(cert))
		return false;
	for (i = 0; chain != NULL && i < sk_X509_num(chain); i++)
		if (!is_in_time(sk_X509_value(chain, i)))
			return false;
	return !wants_name(verify) || tlsverify_has_name(verify, cert);
}
