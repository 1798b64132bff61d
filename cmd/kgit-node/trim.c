/*
 * Memory that only starting needed is given back. Most of a small daemon's resident memory is its
 * libraries: what the dynamic linker and their constructors touched once. Those pages are the
 * files' own, unmodified, and come back from the page cache where they are needed again.
 */
#include "node.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

struct mapping {
	unsigned long start, end;
	char mode[5];
	int from_file;
};

/* A line "start-end mode offset device inode path". */
static int parse_mapping(struct mapping *m, const char *line)
{
	unsigned long inode = 0;

	if (sscanf(line, "%lx-%lx %4s %*x %*s %lu", &m->start, &m->end, m->mode, &inode) != 4)
		return 0;
	m->from_file = inode != 0;
	return 1;
}

/* Never written to: not writable now, and no page of it is a copy of our own (relocations). */
static int is_clean(const struct mapping *m, const char *anonymous_line)
{
	unsigned long kb;

	return m->from_file && m->mode[1] == '-' && m->mode[3] == 'p' &&
	       sscanf(anonymous_line, "Anonymous: %lu", &kb) == 1 && kb == 0;
}

void kgn_trim(void)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	struct mapping m = {0};
	char line[4352];

	malloc_trim(0);
	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "Anonymous:", 10) != 0)
			parse_mapping(&m, line);
		else if (is_clean(&m, line))
			madvise((void *)m.start, m.end - m.start, MADV_DONTNEED);
	}
	if (f)
		fclose(f);
}
