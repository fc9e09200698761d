/*
 * tlsstore: the certificate store of a context.
 *
 * Runs in the nursery, which opens no file: all that sessions will know of
 * CAs is in memory before the first of them is forked.  The bytes come from
 * a keeper, which has parsed them before.  Sorting the store and reading
 * extensions is work that the library puts off to the first look-up; every
 * session would do it again in pages of its own.
 */
#include "tls/tlsstore.h"

#include <stddef.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "tls/tlscompat.h"
#include "tls/tlstrust.h"

static int
add_ca(X509_STORE *store, const unsigned char *der, size_t len)
{
	X509 *cert = tlscompat_x509_new();
	int ok = cert != NULL && d2i_X509_AUX(&cert, &der, (long)len) != NULL;

	if (ok) {
		/* Reads the extensions; what it says does not matter here. */
		(void)X509_check_purpose(cert, -1, 0);
		ok = X509_STORE_add_cert(store, cert) == 1;
	}
	X509_free(cert);
	return ok ? 0 : -1;
}

static int
add_crl(X509_STORE *store, const unsigned char *der, size_t len)
{
	X509_CRL *crl = tlscompat_crl_new();
	X509_REVOKED *revoked;
	ASN1_INTEGER *serial = ASN1_INTEGER_new();
	int ok = crl != NULL && serial != NULL &&
	    d2i_X509_CRL(&crl, &der, (long)len) != NULL;

	if (ok) {
		/* Sorts the list. */
		(void)X509_CRL_get0_by_serial(crl, &revoked, serial);
		ok = X509_STORE_add_crl(store, crl) == 1;
	}
	ASN1_INTEGER_free(serial);
	X509_CRL_free(crl);
	return ok ? 0 : -1;
}

static int
add_all(X509_STORE *store, const struct buf *row,
    int (*add)(X509_STORE *store, const unsigned char *der, size_t len))
{
	const unsigned char *der;
	size_t at = 0, len;

	while ((der = tlstrust_next(row, &at, &len)) != NULL)
		if (add(store, der, len) == -1)
			return -1;
	return len == 0 ? 0 : -1;
}

/* The first look-up sorts the store. */
static void
sort_store(X509_STORE *store)
{
	X509_NAME *nobody = X509_NAME_new();

	if (nobody != NULL)
		(void)X509_OBJECT_retrieve_by_subject(
		    X509_STORE_get0_objects(store), X509_LU_X509, nobody);
	X509_NAME_free(nobody);
}

static int
fill_store(SSL_CTX *ctx, const struct tlstrust *trust)
{
	X509_STORE *store = X509_STORE_new();

	if (store == NULL || add_all(store, &trust->cas, add_ca) == -1 ||
	    add_all(store, &trust->crls, add_crl) == -1 ||
	    (trust->crls.len > 0 &&
		X509_STORE_set_flags(store,
		    X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL) != 1)) {
		X509_STORE_free(store);
		return -1;
	}
	sort_store(store);
	SSL_CTX_set_cert_store(ctx, store); /* its owner from now on */
	return 0;
}

static int
fill_names(SSL_CTX *ctx, const struct tlstrust *trust)
{
	STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
	const unsigned char *der;
	size_t at = 0, len;

	if (names == NULL)
		return -1;
	while ((der = tlstrust_next(&trust->names, &at, &len)) != NULL) {
		X509_NAME *name = d2i_X509_NAME(NULL, &der, (long)len);

		if (name == NULL || sk_X509_NAME_push(names, name) == 0) {
			X509_NAME_free(name);
			break;
		}
	}
	if (der != NULL || len != 0) {
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		return -1;
	}
	SSL_CTX_set_client_CA_list(ctx, names); /* its owner from now on */
	return 0;
}

int
tlsstore_fill(SSL_CTX *ctx, const struct tlstrust *trust)
{
	int r = 0;

	ERR_clear_error();
	if (fill_store(ctx, trust) == -1 || fill_names(ctx, trust) == -1)
		r = -1;
	return r;
}
