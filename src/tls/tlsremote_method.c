/*
 * tlsremote_method: key objects without a key, for OpenSSL 1.1.1 and
 * LibreSSL.
 *
 * Runs in the nursery and its sessions.  A key here is a copy of a public
 * key whose methods ask whoever signs.  At that depth the library has the
 * digest already, and for RSA-PSS the padding as well; tlsdigest finds out
 * which scheme it is at.  Whatever else could be done with a private key
 * fails.
 */
#include "tls/tlsremote.h"

#include <stdint.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "tls/tlscompat.h"
#include "tls/tlsdigest.h"

#define NAME "ucspissl"

/* Reasons of our own in the library's error queue. */
#define REASON_NO_SIGNATURE 1

/* Made once; every key has them. */
static RSA_METHOD *rsa_method;
static EC_KEY_METHOD *ec_method;
static int rsa_index, ec_index; /* where a key keeps its struct tlsremote */
static int error_library;

/* The signature's length, or -1 with an error in the queue. */
static int
ask(const struct tlsremote *remote, unsigned scheme, const unsigned char *text,
    size_t len, unsigned char *signature, int size)
{
	int n = -1;

	if (remote != NULL && remote->sign != NULL && scheme != 0 && size > 0)
		n = remote->sign(
		    remote->arg, scheme, text, len, signature, (size_t)size);
	if (n > 0 && n <= size)
		return n;
	ERR_put_error(
	    error_library, 0, REASON_NO_SIGNATURE, __FILE__, __LINE__);
	return -1;
}

static int
rsa_sign(int len, const unsigned char *block, unsigned char *signature,
    RSA *rsa, int padding)
{
	const struct tlsremote *remote = RSA_get_ex_data(rsa, rsa_index);
	const unsigned char *text = block;
	size_t text_len = (size_t)len;
	unsigned scheme = 0;
	int n;

	if (padding == RSA_PKCS1_PADDING)
		scheme =
		    tlsdigest_read_pkcs1(block, (size_t)len, &text, &text_len);
	else if (padding == RSA_NO_PADDING)
		scheme = tlsdigest_read_pss(
		    block, (size_t)len, (unsigned)RSA_bits(rsa));
	n = ask(remote, scheme, text, text_len, signature, RSA_size(rsa));
	return n == RSA_size(rsa) ? n : -1;
}

static int
rsa_decrypt(int len, const unsigned char *block, unsigned char *plain, RSA *rsa,
    int padding)
{
	(void)len;
	(void)block;
	(void)plain;
	(void)rsa;
	(void)padding;
	return -1;
}

static int
ec_sign(int type, const unsigned char *digest, int len,
    unsigned char *signature, unsigned *signature_len, const BIGNUM *kinv,
    const BIGNUM *r, EC_KEY *key)
{
	const struct tlsremote *remote = EC_KEY_get_ex_data(key, ec_index);
	int n;

	(void)type; /* not every library says it */
	(void)kinv;
	(void)r;
	n = ask(remote, tlsdigest_read_ecdsa((size_t)len), digest, (size_t)len,
	    signature, ECDSA_size(key));
	*signature_len = n == -1 ? 0 : (unsigned)n;
	return n != -1;
}

static int
ec_prepare(EC_KEY *key, BN_CTX *ctx, BIGNUM **kinv, BIGNUM **r)
{
	(void)key;
	(void)ctx;
	(void)kinv;
	(void)r;
	return 0;
}

static ECDSA_SIG *
ec_sign_raw(const unsigned char *digest, int len, const BIGNUM *kinv,
    const BIGNUM *r, EC_KEY *key)
{
	(void)digest;
	(void)len;
	(void)kinv;
	(void)r;
	(void)key;
	return NULL;
}

static void
load_reasons(void)
{
	static ERR_STRING_DATA reasons[] = {
		{ ERR_PACK(0, 0, REASON_NO_SIGNATURE),
		    "no signature from the key process" },
		{ 0, NULL }
	};

	error_library = ERR_get_next_error_library();
	ERR_load_strings(error_library, reasons);
}

int
tlsremote_start(void)
{
	if (tlscompat_start() == -1)
		return -1;
	if (ec_method != NULL)
		return 0;
	rsa_index = RSA_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	ec_index = EC_KEY_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	rsa_method = RSA_meth_dup(RSA_get_default_method());
	if (rsa_index < 0 || ec_index < 0 || rsa_method == NULL)
		return -1;
	RSA_meth_set1_name(rsa_method, NAME);
	RSA_meth_set_priv_enc(rsa_method, rsa_sign);
	RSA_meth_set_priv_dec(rsa_method, rsa_decrypt);
	ec_method = EC_KEY_METHOD_new(EC_KEY_get_default_method());
	if (ec_method == NULL)
		return -1;
	EC_KEY_METHOD_set_sign(ec_method, ec_sign, ec_prepare, ec_sign_raw);
	load_reasons();
	return 0;
}

static int
make_rsa(EVP_PKEY *pkey, RSA *public, struct tlsremote *remote)
{
	RSA *rsa = RSAPublicKey_dup(public);

	if (rsa != NULL && RSA_set_method(rsa, rsa_method) == 1 &&
	    RSA_set_ex_data(rsa, rsa_index, remote) == 1 &&
	    EVP_PKEY_assign_RSA(pkey, rsa) == 1)
		return 0;
	RSA_free(rsa);
	return -1;
}

static int
make_ec(EVP_PKEY *pkey, EC_KEY *public, struct tlsremote *remote)
{
	EC_KEY *ec = EC_KEY_dup(public);

	if (ec != NULL && EC_KEY_set_method(ec, ec_method) == 1 &&
	    EC_KEY_set_ex_data(ec, ec_index, remote) == 1 &&
	    EVP_PKEY_assign_EC_KEY(pkey, ec) == 1)
		return 0;
	EC_KEY_free(ec);
	return -1;
}

EVP_PKEY *
tlsremote_key(const EVP_PKEY *public, struct tlsremote *remote)
{
	/* Not changed, but the library knows no const here. */
	EVP_PKEY *other = (EVP_PKEY *)(uintptr_t) public;
	EVP_PKEY *pkey;
	int r = -1;

	if (tlsremote_start() == -1)
		return NULL;
	pkey = EVP_PKEY_new();
	if (pkey != NULL && EVP_PKEY_base_id(public) == EVP_PKEY_RSA)
		r = make_rsa(pkey, EVP_PKEY_get0_RSA(other), remote);
	else if (pkey != NULL && EVP_PKEY_base_id(public) == EVP_PKEY_EC)
		r = make_ec(pkey, EVP_PKEY_get0_EC_KEY(other), remote);
	if (r == 0)
		return pkey;
	EVP_PKEY_free(pkey);
	return NULL;
}
