#include "nodeagent/tmpfs.h"

#include "base/mem.h"

#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

bool kg_is_mounted(const char *path)
{
	struct stat here, above;
	KG_AUTOFREE char *parent = kg_asprintf("%s/..", path);
	return stat(path, &here) == 0 && stat(parent, &above) == 0 && here.st_dev != above.st_dev;
}

int kg_tmpfs_mount(const char *path, const char *name, unsigned long flags, const char *options,
	struct kg_error *err)
{
	if (kg_is_mounted(path))
		return 0;
	if (mount(name, path, "tmpfs", MS_NOSUID | MS_NODEV | flags, options) < 0)
		return kg_fail_errno(err, "mount a tmpfs at %s", path);
	return 0;
}

int kg_hugetlbfs_mount(const char *path, int64_t page, int64_t size, struct kg_error *err)
{
	char options[80];

	if (kg_is_mounted(path))
		return 0;
	snprintf(options, sizeof(options), "mode=0777,pagesize=%lld,size=%lld", (long long)page,
		(long long)size);
	if (mount("hugetlbfs", path, "hugetlbfs", MS_NOSUID | MS_NODEV, options) < 0)
		return kg_fail_errno(err,
			"mount huge pages of %lld bytes at %s (/sys/kernel/mm/hugepages has the "
			"machine's sizes)",
			(long long)page, path);
	return 0;
}

int kg_unmount_all(const char *path, int flags, struct kg_error *err)
{
	while (kg_is_mounted(path))
		if (umount2(path, flags) < 0)
			return kg_fail_errno(err, "unmount %s", path);
	return 0;
}
