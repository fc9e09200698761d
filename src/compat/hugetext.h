/*
 * hugetext: code and constants of this program in huge pages.
 *
 * A forked child has no page-table entries for what its parent mapped from
 * a file: it takes a page fault for every 64 KiB of code it comes to, each
 * time anew.  Anonymous memory is copied by fork entry by entry instead, and
 * of huge pages there are four.  A session of a static nursery so saves
 * some fifty faults.
 */
#ifndef COMPAT_HUGETEXT_H
#define COMPAT_HUGETEXT_H

#include <stddef.h>

/*
 * Move what is linked at addresses aligned to a huge page (two MiB), is not
 * writable (also: not any more, RELRO), and has whole huge pages to itself.  Call
 * it once, before there is a second thread.  Returns how many bytes are in
 * huge pages now; 0 where the system cannot (an older kernel, no memory in
 * such pieces, a policy against code in anonymous memory) or the program is
 * not linked for it: then everything is as it was, and only slower.
 */
size_t hugetext_move(void);

#endif
