/*
 * request: UCSPI-TLS, a program's side; the contract is ucspissl.h's.
 */
#ifndef LIB_REQUEST_H
#define LIB_REQUEST_H

#include <ucspissl.h>

#endif
