#include "nodeagent/volumes.h"

#include "base/quantity.h"
#include "nodeagent/env.h"
#include "sys/file.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

static int64_t fs_group(const struct kg_value *pod)
{
	return kg_int(kg_at(pod, "spec.securityContext.fsGroup"), -1);
}

/* Mounted by us, and not just lying on a tmpfs. */
static bool is_mountpoint(const char *path)
{
	struct stat st, up;
	KG_AUTOFREE char *parent = kg_asprintf("%s/..", path);
	return stat(path, &st) == 0 && stat(parent, &up) == 0 && st.st_dev != up.st_dev;
}

static int mount_memory(const char *path, const struct kg_value *source, struct kg_error *err)
{
	char options[64] = "mode=0777";
	int64_t size;
	const struct kg_value *limit = kg_get(source, "sizeLimit");
	if (is_mountpoint(path))
		return 0;
	if (limit->type == KG_INT)
		snprintf(options, sizeof(options), "mode=0777,size=%lld", (long long)limit->i);
	else if (!kg_is_null(limit) && kg_quantity_value(&size, kg_string(limit, "")) == 0 &&
		 size > 0)
		snprintf(options, sizeof(options), "mode=0777,size=%lld", (long long)size);
	if (mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0)
		return kg_fail_errno(err, "mount tmpfs at %s", path);
	return 0;
}

static int make_empty_dir(
	const char *path, const struct kg_value *source, int64_t group, struct kg_error *err)
{
	int rc = kg_mkdir_p(path, 0777, err);
	if (rc == 0 && !strcmp(kg_string(kg_get(source, "medium"), ""), "Memory"))
		rc = mount_memory(path, source, err);
	if (rc < 0)
		return rc;
	mode_t mode = group >= 0 ? 02777 : 0777;
	if ((group >= 0 && chown(path, (uid_t)-1, (gid_t)group) < 0) || chmod(path, mode) < 0)
		return kg_fail_errno(err, "%s", path);
	return 0;
}

static int each(const char *pod_dir, const struct kg_value *pod, const struct kg_value *maps,
	bool update, struct kg_error *err)
{
	const struct kg_value *volumes = kg_at(pod, "spec.volumes");
	const char *ns = kg_string(kg_at(pod, "metadata.namespace"), "default");
	for (uint32_t i = 0; i < kg_len(volumes); i++) {
		const struct kg_value *v = &volumes->items[i];
		const char *name = kg_string(kg_get(v, "name"), "");
		const struct kg_value *cm = kg_get(v, "configMap");
		KG_AUTOFREE char *path = kg_asprintf("%s/volumes/%s", pod_dir, name);
		const struct kg_value *map =
			kg_configmap_find(maps, ns, kg_string(kg_get(cm, "name"), ""));
		int rc = 0;
		if (!kg_is_null(cm) && !(update && kg_is_null(map)))
			rc = kg_volume_write_configmap(path, cm, map, fs_group(pod), err);
		else if (kg_is_null(cm) && !update)
			rc = make_empty_dir(path, kg_get(v, "emptyDir"), fs_group(pod), err);
		if (rc < 0)
			return kg_wrap(err, "volume \"%s\"", name);
	}
	return 0;
}

int kg_volumes_make(const char *pod_dir, const struct kg_value *pod, const struct kg_value *maps,
	struct kg_error *err)
{
	return each(pod_dir, pod, maps, false, err);
}

int kg_volumes_update(const char *pod_dir, const struct kg_value *pod, const struct kg_value *maps,
	struct kg_error *err)
{
	return each(pod_dir, pod, maps, true, err);
}

int kg_volumes_unmount(const char *pod_dir, const struct kg_value *pod, struct kg_error *err)
{
	const struct kg_value *volumes = kg_at(pod, "spec.volumes");
	for (uint32_t i = 0; i < kg_len(volumes); i++) {
		KG_AUTOFREE char *path = kg_asprintf("%s/volumes/%s", pod_dir,
			kg_string(kg_get(&volumes->items[i], "name"), ""));
		while (is_mountpoint(path))
			if (umount2(path, MNT_DETACH) < 0)
				return kg_fail_errno(err, "unmount %s", path);
	}
	return 0;
}
