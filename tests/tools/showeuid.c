/*
 * showeuid: prints real and effective uid.  The scenarios give a copy of it
 * the set-uid bit to see that a server does not take the bit's effect away.
 */
#include <stdio.h>
#include <unistd.h>

int
main(void)
{
	printf("%ld %ld\n", (long)getuid(), (long)geteuid());
	return 0;
}
