/*
 * offer: UCSPI-TLS, the side that offers; the contract is ucspissl.h's.
 */
#ifndef LIB_OFFER_H
#define LIB_OFFER_H

#include <ucspissl.h>

#endif
