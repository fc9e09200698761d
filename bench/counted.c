/*
 * counted: stands in the place of ucspissl-nursery and has valgrind run one
 * whose name is nursery-counted, beside it; each of its processes leaves
 * a file callgrind.PID there.
 *
 * Counting begins anew in session_run: a session's file has its own work, and
 * not what the nursery did before.
 *
 * sslserver starts what is beside it by descriptor, with words and an
 * environment of its own, so that nothing but the place tells us where to
 * look.  Used by `bench/counters` as an ordinary user.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int
main(void)
{
	char place[3000], out[3100], nursery[3100];
	ssize_t len = readlink("/proc/self/exe", place, sizeof(place) - 1);
	char *name;

	if (len <= 0)
		return 111;
	place[len] = '\0';
	name = strrchr(place, '/');
	if (name == NULL)
		return 111;
	*name = '\0';
	snprintf(
	    out, sizeof(out), "--callgrind-out-file=%s/callgrind.%%p", place);
	snprintf(nursery, sizeof(nursery), "%s/nursery-counted", place);
	execlp("valgrind", "valgrind", "--tool=callgrind", "-q",
	    "--zero-before=session_run", out, nursery, (char *)NULL);
	perror("counted: valgrind");
	return 111;
}
