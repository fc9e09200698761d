/*
 * tlslibs: what differs between the TLS libraries, for the tests of tls/.
 *
 * The counterpart of tls/tlscompat, and not it, so that the tests share
 * nothing with what they test.
 */
#ifndef UNIT_TLSLIBS_H
#define UNIT_TLSLIBS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "config.h"
#ifdef HAVE_PROVIDERS
#include <openssl/provider.h>
#endif

#define LIB_UNUSED __attribute__((unused))

#ifndef X509_VERSION_1
#define X509_VERSION_1 0
#define X509_VERSION_3 2
#endif
#ifndef X509_CRL_VERSION_2
#define X509_CRL_VERSION_2 1
#endif
/* 0: there is nothing that could be switched off. */
#ifndef SSL_OP_NO_EXTENDED_MASTER_SECRET
#define SSL_OP_NO_EXTENDED_MASTER_SECRET 0
#endif

#ifndef SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED
#define SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED (1000 + 116)
#endif

/* Does the keeper get whole texts, or digests (tlsform.h)? */
#ifdef HAVE_PROVIDERS
#define LIB_SIGNS_TEXTS true
#else
#define LIB_SIGNS_TEXTS false
#endif

/*
 * What LibreSSL does not tell or do, or not alike: alerts and depths of bad
 * certificates; P-521 by default; names of servers that are none; extended
 * master secrets; with TLS 1.3 its clients are not asked for a certificate,
 * nor told names of CAs, and want the longest hash.
 */
#ifdef LIBRESSL_VERSION_NUMBER
#define LIB_TAKES_ANY_NAME false
#define LIB_ASKS_FOR_CERT false
#define LIB_HAS_EMS false
#define LIB_LIMITS_CHAIN_SIZE false
#define LIB_JUDGES_AS_OPENSSL false
#define LIB_GROUPS 3
#define LIB_PSS TLSSCHEME_RSA_PSS_RSAE_SHA512
#define LIB_ECDSA TLSSCHEME_ECDSA_SHA512
#else
#define LIB_TAKES_ANY_NAME true
#define LIB_ASKS_FOR_CERT true
#define LIB_HAS_EMS true
#define LIB_LIMITS_CHAIN_SIZE true
#define LIB_JUDGES_AS_OPENSSL true
#define LIB_GROUPS 5
#define LIB_PSS TLSSCHEME_RSA_PSS_RSAE_SHA256
#define LIB_ECDSA TLSSCHEME_ECDSA_SHA256
#endif

/* Can a client say what signatures it takes? */
#ifdef SSL_CTX_set1_sigalgs_list
#define LIB_HAS_SIGALGS true
#else
#define LIB_HAS_SIGALGS false
#endif

/* A list as "ECDSA+SHA256:ed25519". */
LIB_UNUSED static void
lib_set_sigalgs(SSL_CTX *ctx, const char *list)
{
	char copy[100];
	bool ok = false;

	snprintf(copy, sizeof(copy), "%s", list);
#ifdef SSL_CTX_set1_sigalgs_list
	ok = SSL_CTX_set1_sigalgs_list(ctx, copy) == 1;
#endif
	if (!ok || ctx == NULL)
		abort();
}

/* "RSA2048", "P-256" or another curve, "ED25519"; NULL: not to be had. */
LIB_UNUSED static EVP_PKEY *
lib_make_key(const char *kind)
{
	bool is_rsa = strncmp(kind, "RSA", 3) == 0;
	int curve = NID_undef, id = EVP_PKEY_EC;
	EVP_PKEY_CTX *ctx;
	EVP_PKEY *key = NULL;

	if (is_rsa)
		id = EVP_PKEY_RSA;
	else if (strcmp(kind, "ED25519") == 0)
		id = EVP_PKEY_ED25519;
	else if (strcmp(kind, "X25519") == 0)
		id = EVP_PKEY_X25519;
	else if (strstr(kind, "448") != NULL)
		id = OBJ_sn2nid(kind);
	else if ((curve = EC_curve_nist2nid(kind)) == NID_undef)
		curve = OBJ_sn2nid(kind);
	ctx = EVP_PKEY_CTX_new_id(id, NULL);
	if (ctx == NULL || EVP_PKEY_keygen_init(ctx) != 1 ||
	    (is_rsa &&
		EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, atoi(kind + 3)) != 1) ||
	    (id == EVP_PKEY_EC &&
		(EVP_PKEY_CTX_set_ec_paramgen_curve_nid(ctx, curve) != 1 ||
		    EVP_PKEY_CTX_set_ec_param_enc(
			ctx, OPENSSL_EC_NAMED_CURVE) != 1)) ||
	    EVP_PKEY_keygen(ctx, &key) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	return key;
}

/* The public point of an EC, X25519 or X448 key: the end of its DER. */
LIB_UNUSED static size_t
lib_public_point(EVP_PKEY *key, unsigned char point[256])
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(key, &der);
	size_t size = EVP_PKEY_base_id(key) == EVP_PKEY_EC
	    ? 1 + 2 * (((size_t)EVP_PKEY_bits(key) + 7) / 8)
	    : ((size_t)EVP_PKEY_bits(key) + 7) / 8;

	if (len <= 0 || (size_t)len < size || size > 256)
		abort();
	memcpy(point, der + (size_t)len - size, size);
	OPENSSL_free(der);
	return size;
}

/* DHParameter (PKCS#3) of RFC 3526's group of so many bits, generator 2. */
LIB_UNUSED static size_t
lib_dh_parameters(unsigned bits, unsigned char der[1200])
{
	BIGNUM *p = bits == 1536 ? BN_get_rfc3526_prime_1536(NULL)
				 : BN_get_rfc3526_prime_2048(NULL);
	size_t len = (size_t)BN_num_bytes(p) + 1, at = 0;

	/* Lengths of two bytes, and a zero before the top bit. */
	der[at++] = 0x30;
	der[at++] = 0x82;
	der[at++] = (unsigned char)((len + 7) >> 8);
	der[at++] = (unsigned char)(len + 7);
	der[at++] = 2;
	der[at++] = 0x82;
	der[at++] = (unsigned char)(len >> 8);
	der[at++] = (unsigned char)len;
	der[at++] = 0;
	BN_bn2bin(p, der + at);
	at += len - 1;
	memcpy(der + at, "\2\1\2", 3);
	BN_free(p);
	return at + 3;
}

/* X509_AUX in DER, for OPENSSL_free; LibreSSL needs the room beforehand. */
LIB_UNUSED static unsigned char *
lib_aux_der(X509 *cert, int *len)
{
	unsigned char *der, *at;

	*len = i2d_X509_AUX(cert, NULL);
	at = der = OPENSSL_malloc((size_t)*len);
	*len = i2d_X509_AUX(cert, &at);
	return der;
}

/* Can it still speak this old version? */
LIB_UNUSED static bool
lib_has_version(int version)
{
#ifdef LIBRESSL_VERSION_NUMBER
	return version >= TLS1_2_VERSION;
#else
	(void)version;
	return true;
#endif
}

/* What the client keeps of a server; NULL: it cannot be seen. */
LIB_UNUSED static const unsigned char *
lib_ticket(const SSL_SESSION *session, size_t *len)
{
	const unsigned char *ticket = NULL;

	*len = 0;
#ifndef LIBRESSL_VERSION_NUMBER
	SSL_SESSION_get0_ticket(session, &ticket, len);
#else
	(void)session;
#endif
	return ticket;
}

/* Can it be named for key exchange? */
LIB_UNUSED static bool
lib_has_group(const char *name)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	char copy[100];
	bool has;

	snprintf(copy, sizeof(copy), "%s", name);
	has = SSL_CTX_set1_groups_list(ctx, copy) == 1;
	SSL_CTX_free(ctx);
	ERR_clear_error();
	return has;
}

/* Ask for new keys, both ways, before the next data; 1: done. */
LIB_UNUSED static int
lib_update_keys(SSL *ssl)
{
#ifdef SSL_KEY_UPDATE_REQUESTED
	return SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED);
#else
	(void)ssl;
	return 1;
#endif
}

/*
 * Old ciphers, for the writing of encrypted keys.
 */

#ifdef HAVE_PROVIDERS
static OSSL_LIB_CTX *lib_ctx;
static OSSL_PROVIDER *lib_standard, *lib_legacy; /* may be NULL */

LIB_UNUSED static void
lib_ciphers_start(void)
{
	lib_ctx = OSSL_LIB_CTX_new();
	lib_standard = OSSL_PROVIDER_load(lib_ctx, "default");
	lib_legacy = OSSL_PROVIDER_load(lib_ctx, "legacy");
	if (lib_standard == NULL)
		abort();
}

LIB_UNUSED static void
lib_ciphers_stop(void)
{
	if (lib_legacy != NULL)
		OSSL_PROVIDER_unload(lib_legacy);
	OSSL_PROVIDER_unload(lib_standard);
	OSSL_LIB_CTX_free(lib_ctx);
}

LIB_UNUSED static bool
lib_has_old_ciphers(void)
{
	return lib_legacy != NULL;
}

LIB_UNUSED static const EVP_CIPHER *
lib_cipher(const char *name)
{
	return EVP_CIPHER_fetch(lib_ctx, name, NULL);
}

LIB_UNUSED static void
lib_cipher_free(const EVP_CIPHER *cipher)
{
	EVP_CIPHER_free((EVP_CIPHER *)(uintptr_t)cipher);
}

LIB_UNUSED static X509_SIG *
lib_encrypt(int scheme, const EVP_CIPHER *cipher, const char *phrase,
    PKCS8_PRIV_KEY_INFO *info)
{
	return PKCS8_encrypt_ex(scheme, cipher, phrase, (int)strlen(phrase),
	    NULL, 0, 1000, info, lib_ctx, NULL);
}
#else
LIB_UNUSED static void
lib_ciphers_start(void)
{
}

LIB_UNUSED static void
lib_ciphers_stop(void)
{
}

LIB_UNUSED static bool
lib_has_old_ciphers(void)
{
	return true;
}

LIB_UNUSED static const EVP_CIPHER *
lib_cipher(const char *name)
{
	return EVP_get_cipherbyname(name);
}

LIB_UNUSED static void
lib_cipher_free(const EVP_CIPHER *cipher)
{
	(void)cipher;
}

LIB_UNUSED static X509_SIG *
lib_encrypt(int scheme, const EVP_CIPHER *cipher, const char *phrase,
    PKCS8_PRIV_KEY_INFO *info)
{
	return PKCS8_encrypt(
	    scheme, cipher, phrase, (int)strlen(phrase), NULL, 0, 1000, info);
}
#endif

/* Are the old ciphers something apart, that a system may do without? */
#ifdef HAVE_PROVIDERS
#define LIB_HAS_LEGACY_APART true
#else
#define LIB_HAS_LEGACY_APART false
#endif

#endif
