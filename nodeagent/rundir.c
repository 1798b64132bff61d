#include "nodeagent/rundir.h"

#include "base/buf.h"
#include "base/mem.h"
#include "nodeagent/tmpfs.h"
#include "sys/file.h"

#include <string.h>
#include <sys/mount.h>

/* Did an agent of this boot work in the directory itself? */
static bool in_use(const char *run)
{
	KG_AUTOBUF struct kg_buf now = KG_BUF_INIT;
	KG_AUTOBUF struct kg_buf boot = KG_BUF_INIT;
	KG_AUTOFREE char *path = kg_asprintf("%s/boot", run);
	return kg_file_read(&boot, path, 100, NULL) == 0 &&
	       kg_file_read(&now, "/proc/sys/kernel/random/boot_id", 100, NULL) == 0 &&
	       !strcmp(kg_buf_str(&now), kg_buf_str(&boot));
}

int kg_rundir_mount(const char *dir, struct kg_error *err)
{
	KG_AUTOFREE char *run = kg_asprintf("%s/run", dir);
	int rc = kg_mkdir_p(run, 0700, err);
	if (rc == 0 && !kg_is_mounted(run)) {
		if (in_use(run))
			return 0;
		rc = kg_remove_tree(run, err);
		if (rc == 0)
			rc = kg_mkdir_p(run, 0700, err);
		if (rc == 0)
			rc = kg_tmpfs_mount(run, "kgit-run", MS_NOEXEC, "mode=0700,size=25%", err);
	}
	/* What is mounted below it is nobody else's affair. Whoever mounted it may have ended
	 * before this. */
	if (rc == 0 && mount(NULL, run, NULL, MS_PRIVATE, NULL) < 0)
		rc = kg_fail_errno(err, "make %s private", run);
	return rc;
}

int kg_rundir_unmount(const char *dir, struct kg_error *err)
{
	KG_AUTOFREE char *run = kg_asprintf("%s/run", dir);
	return kg_unmount_all(run, UMOUNT_NOFOLLOW, err);
}
