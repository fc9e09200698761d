/*
 * counted_limits: what lets a nursery run under valgrind.
 *
 * valgrind has descriptors of its own and refuses a lower hard limit of open
 * files, without which a nursery does not begin.  In `nursery-counted`, which
 * is for `bench/counters` alone, that limit, and that of processes, are said
 * to be set, and are not.
 */
#include <sys/resource.h>

int __wrap_setrlimit(int what, const struct rlimit *limit);
int __wrap_setrlimit64(int what, const struct rlimit *limit);

int
__wrap_setrlimit(int what, const struct rlimit *limit)
{
	(void)what;
	(void)limit;
	return 0;
}

int
__wrap_setrlimit64(int what, const struct rlimit *limit)
{
	return __wrap_setrlimit(what, limit);
}
