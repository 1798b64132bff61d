#include "nodeagent/volumes.h"

#include "kinds/amount.h"
#include "nodeagent/apiaccess.h"
#include "nodeagent/hugepages.h"
#include "nodeagent/tmpfs.h"
#include "sys/file.h"

#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of what holds Secrets: none is larger than 1 MiB. */
#define SECRETS_SIZE (64 << 20)

static int64_t fs_group(const struct kg_value *pod)
{
	return kg_int(kg_at(pod, "spec.securityContext.fsGroup"), -1);
}

static int mount_memory(const char *path, const char *mode, int64_t size, struct kg_error *err)
{
	char options[64];
	snprintf(options, sizeof(options), size > 0 ? "mode=%s,size=%lld" : "mode=%s", mode,
		(long long)size);
	return kg_tmpfs_mount(path, "tmpfs", 0, options, err);
}

/* Of no more pages than the pod asks for. */
static int mount_pages(const char *path, const struct kg_value *pod, const char *medium,
	int64_t size, struct kg_error *err)
{
	struct kg_hugepages_medium m;
	int rc = kg_hugepages_of_medium(&m, pod, medium, err);

	return rc < 0 ? rc
		      : kg_hugetlbfs_mount(
				path, m.page, size > 0 && size < m.all ? size : m.all, err);
}

static int make_empty_dir(const char *path, const struct kg_value *pod,
	const struct kg_value *source, int64_t group, struct kg_error *err)
{
	const char *medium = kg_string(kg_get(source, "medium"), "");
	int64_t size = kg_amount_whole(kg_get(source, "sizeLimit"));
	int rc = kg_mkdir_p(path, 0777, err);
	if (rc == 0 && !strcmp(medium, "Memory"))
		rc = mount_memory(path, "0777", size, err);
	else if (rc == 0 && kg_hugepages_is_medium(medium))
		rc = mount_pages(path, pod, medium, size, err);
	if (rc < 0)
		return rc;
	mode_t mode = group >= 0 ? 02777 : 0777;
	if ((group >= 0 && chown(path, (uid_t)-1, (gid_t)group) < 0) || chmod(path, mode) < 0)
		return kg_fail_errno(err, "%s", path);
	return 0;
}

char *kg_volume_path(struct kg_arena *a, const char *pod_dir, const char *run_dir, const char *name)
{
	if (!strcmp(name, KG_API_ACCESS))
		return kg_arena_printf(a, "%s/%s", run_dir, name);
	return kg_arena_printf(a, "%s/volumes/%s", pod_dir, name);
}

static int make_projection(const char *path, const struct kg_volume_source *src,
	const struct kg_value *volume, bool update, struct kg_error *err)
{
	struct kg_payload p KG_CLEANUP(kg_payload_release) = {0};
	bool access = !strcmp(kg_string(kg_get(volume, "name"), ""), KG_API_ACCESS);
	int rc = kg_volume_project(&p, src, volume, path, err);
	if (update && (rc == -KG_E_NOT_FOUND || rc == -KG_E_UNAVAILABLE))
		return 0;
	if (rc == 0)
		rc = kg_mkdir_p(path, 0755, err);
	if (rc == 0 && !access && kg_volume_is_secret(volume))
		rc = mount_memory(path, "0755", SECRETS_SIZE, err);
	return rc < 0 ? rc : kg_payload_write(path, &p, fs_group(src->pod), err);
}

static int make_one(const struct kg_volume_source *src, const struct kg_value *v, const char *path,
	bool update, struct kg_error *err)
{
	if (kg_volume_is_projection(v))
		return make_projection(path, src, v, update, err);
	if (update)
		return 0;
	if (kg_volume_is_host(v))
		return kg_volume_make_host(src->node_dir, src, v, fs_group(src->pod), err);
	return make_empty_dir(path, src->pod, kg_get(v, "emptyDir"), fs_group(src->pod), err);
}

static int each(const struct kg_volume_source *src, bool update, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	const struct kg_value *volumes = kg_at(src->pod, "spec.volumes");
	for (uint32_t i = 0; i < kg_len(volumes); i++) {
		const struct kg_value *v = &volumes->items[i];
		const char *name = kg_string(kg_get(v, "name"), "");
		char *path = kg_volume_path(&a, src->pod_dir, src->run_dir, name);
		int rc = make_one(src, v, path, update, err);
		if (rc < 0)
			return kg_wrap(err, "volume \"%s\"", name);
	}
	return 0;
}

int kg_volumes_make(const struct kg_volume_source *src, struct kg_error *err)
{
	return each(src, false, err);
}

int kg_volumes_update(const struct kg_volume_source *src, struct kg_error *err)
{
	return each(src, true, err);
}

int kg_volumes_unmount(const char *pod_dir, const struct kg_value *pod, struct kg_error *err)
{
	const struct kg_value *volumes = kg_at(pod, "spec.volumes");
	for (uint32_t i = 0; i < kg_len(volumes); i++) {
		KG_AUTOFREE char *path = kg_asprintf("%s/volumes/%s", pod_dir,
			kg_string(kg_get(&volumes->items[i], "name"), ""));
		int rc = kg_unmount_all(path, MNT_DETACH, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}
