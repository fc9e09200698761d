/*
 * nameservers: whom to ask for names, from the environment or resolv.conf.
 */
#ifndef CMD_NAMESERVERS_H
#define CMD_NAMESERVERS_H

#include <stdbool.h>

#include "net/resolvconf.h"

#define NAMESERVERS_ERROR_SIZE 256

/*
 * DNSCACHEIP, or, where that is unset, resolv.conf, which *has_file then
 * says; LOCALDOMAIN.  0, or -1 and one sentence in error.
 */
int nameservers_read(struct resolvconf *conf, bool *has_file,
    char error[NAMESERVERS_ERROR_SIZE]);

#endif
