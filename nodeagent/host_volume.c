/* Volumes that are the node's own: hostPath, and persistent ones, which are directories here. */
#include "kinds/claim.h"
#include "nodeagent/env.h"
#include "nodeagent/volumes.h"
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool claim_of(char out[KG_CLAIM_NAME_SIZE], const struct kg_volume_source *src,
	const struct kg_value *volume)
{
	return kg_volume_claim(out, kg_string(kg_at(src->pod, "metadata.name"), ""), volume);
}

bool kg_volume_is_host(const struct kg_value *volume)
{
	return !kg_is_null(kg_get(volume, "hostPath")) || kg_volume_is_ephemeral(volume) ||
	       !kg_is_null(kg_get(volume, "persistentVolumeClaim"));
}

/* Its claim is gone, and it goes; another of the same name may have another. */
static bool is_going(const struct kg_value *pv)
{
	return !kg_is_null(kg_at(pv, "metadata.deletionTimestamp")) && kg_persistent_is_ours(pv);
}

/* The PersistentVolume that a claim of the pod's is bound to; kg_null. */
static const struct kg_value *persistent(
	const struct kg_volume_source *src, const struct kg_value *volume)
{
	const char *ns = kg_string(kg_at(src->pod, "metadata.namespace"), "default");
	char claim[KG_CLAIM_NAME_SIZE];
	if (!claim_of(claim, src, volume))
		return &kg_null;
	for (uint32_t i = 0; i < kg_len(src->objects); i++) {
		const struct kg_value *pv = &src->objects->items[i];
		const struct kg_value *ref = kg_at(pv, "spec.claimRef");
		if (!strcmp(kg_string(kg_get(pv, "kind"), ""), "PersistentVolume") &&
			!strcmp(kg_string(kg_get(ref, "namespace"), ""), ns) &&
			!strcmp(kg_string(kg_get(ref, "name"), ""), claim) && !is_going(pv))
			return pv;
	}
	return &kg_null;
}

static const struct kg_value *host_path(
	const struct kg_volume_source *src, const struct kg_value *volume)
{
	const struct kg_value *own = kg_get(volume, "hostPath");
	return kg_is_null(own) ? kg_at(persistent(src, volume), "spec.hostPath") : own;
}

const char *kg_persistent_path(struct kg_arena *a, const char *node_dir, const struct kg_value *pv)
{
	const char *path = kg_string(kg_at(pv, "spec.local.path"), "");
	return *path == '/' ? path : kg_arena_printf(a, "%s/volumes/%s", node_dir, path);
}

bool kg_persistent_is_ours(const struct kg_value *pv)
{
	const struct kg_value *notes = kg_at(pv, "metadata.annotations");
	const char *path = kg_string(kg_at(pv, "spec.local.path"), "");
	const char *name = kg_string(kg_at(pv, "metadata.name"), ""), *last = strrchr(path, '/');
	/* Whatever the object says, nothing but a directory of its own name is ever touched. */
	return !strcmp(kg_string(kg_get(notes, "pv.kubernetes.io/provisioned-by"), ""),
		       "kgit.dev/local-path") &&
	       !strncmp(name, "pvc-", 4) && !strchr(name, '/') &&
	       !strcmp(last ? last + 1 : path, name);
}

const char *kg_volume_host_path(struct kg_arena *a, const char *node_dir,
	const struct kg_volume_source *src, const struct kg_value *volume)
{
	const char *path = kg_string(kg_get(host_path(src, volume), "path"), NULL);
	const struct kg_value *pv = persistent(src, volume);
	if (path || kg_is_null(pv))
		return path;
	return kg_persistent_path(a, node_dir, pv);
}

int kg_volume_unbound(
	const struct kg_volume_source *src, const struct kg_value *volume, struct kg_error *err)
{
	char claim[KG_CLAIM_NAME_SIZE] = "";
	claim_of(claim, src, volume);
	return kg_fail(err, KG_E_NOT_FOUND, "persistentvolumeclaim \"%s\" is not bound to a volume",
		claim);
}

bool kg_volume_is_read_only(const struct kg_value *volume)
{
	return kg_bool(kg_at(volume, "persistentVolumeClaim.readOnly"), false);
}

/* ---- what must be there ---- */

static int must_be(const char *path, mode_t type, const char *what, struct kg_error *err)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return kg_fail(err, KG_E_NOT_FOUND, "hostPath type check failed: %s is not a %s",
			path, what);
	if ((st.st_mode & S_IFMT) != type)
		return kg_fail(err, KG_E_INVALID, "hostPath type check failed: %s is not a %s",
			path, what);
	return 0;
}

static int make_file(const char *path, struct kg_error *err)
{
	KG_AUTOCLOSE int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	return fd < 0 ? kg_fail_errno(err, "%s", path) : 0;
}

static int check_host_path(const struct kg_value *source, struct kg_error *err)
{
	static const struct {
		const char *type;
		mode_t mode;
		const char *what;
	} types[] = {{"Directory", S_IFDIR, "directory"},
		{"DirectoryOrCreate", S_IFDIR, "directory"}, {"File", S_IFREG, "file"},
		{"FileOrCreate", S_IFREG, "file"}, {"Socket", S_IFSOCK, "socket file"},
		{"CharDevice", S_IFCHR, "character device"},
		{"BlockDevice", S_IFBLK, "block device"}};
	const char *path = kg_string(kg_get(source, "path"), "");
	const char *type = kg_string(kg_get(source, "type"), "");
	struct stat st;
	int rc = 0;
	/* Without a type nothing is asked; a directory is made so that it can be mounted. */
	bool absent = stat(path, &st) < 0 && errno == ENOENT;
	if (absent && (!*type || !strcmp(type, "DirectoryOrCreate")))
		rc = kg_mkdir_p(path, 0755, err);
	else if (absent && !strcmp(type, "FileOrCreate"))
		rc = make_file(path, err);
	for (size_t i = 0; rc == 0 && i < KG_ARRAY_LEN(types); i++)
		if (!strcmp(types[i].type, type))
			rc = must_be(path, types[i].mode, types[i].what, err);
	return rc;
}

/* Once: what its containers do with it later is theirs. It has its name when it is what it shall
 * be: killed before that, it is made again. */
static int make_ours(const char *path, int64_t fs_group, struct kg_error *err)
{
	KG_AUTOFREE char *making = kg_asprintf("%s.making", path);
	struct stat st;
	if (stat(path, &st) == 0)
		return 0;
	int rc = kg_mkdir_p(making, 0777, err);
	if (rc < 0)
		return rc;
	if ((fs_group >= 0 && chown(making, (uid_t)-1, (gid_t)fs_group) < 0) ||
		chmod(making, fs_group >= 0 ? 02777 : 0777) < 0)
		return kg_fail_errno(err, "%s", making);
	return rename(making, path) < 0 ? kg_fail_errno(err, "%s", path) : 0;
}

int kg_volume_make_host(const char *node_dir, const struct kg_volume_source *src,
	const struct kg_value *volume, int64_t fs_group, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	const struct kg_value *host = host_path(src, volume), *pv = persistent(src, volume);
	struct stat st;
	if (!kg_is_null(host))
		return check_host_path(host, err);
	if (kg_is_null(pv))
		return kg_volume_unbound(src, volume, err);
	const char *path = kg_persistent_path(&a, node_dir, pv);
	if (kg_persistent_is_ours(pv))
		return make_ours(path, fs_group, err);
	if (stat(path, &st) < 0)
		return kg_fail(err, KG_E_NOT_FOUND, "path \"%s\" does not exist", path);
	return 0;
}
