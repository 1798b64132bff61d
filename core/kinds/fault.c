#include "kinds/rules.h"

#include <stdio.h>
#include <stdlib.h>

enum { DEFAULT_LIMIT = 1000 };

void kg_faults_init(struct kg_fault_list *f, struct kg_arena *a)
{
	*f = (struct kg_fault_list){.arena = a};
}

void kg_faults_release(struct kg_fault_list *f)
{
	free(f->items);
	*f = (struct kg_fault_list){.arena = f->arena};
}

size_t kg_faults_errors(const struct kg_fault_list *f)
{
	size_t n = f->dropped;

	for (size_t i = 0; i < f->len; i++)
		n += !f->items[i].warning;
	return n;
}

__attribute__((format(printf, 5, 0))) static void add(struct kg_fault_list *f, uint32_t line,
	uint32_t col, const char *path, const char *fmt, va_list ap)
{
	KG_AUTOBUF struct kg_buf msg = KG_BUF_INIT;

	if (f->len >= (f->limit ? f->limit : DEFAULT_LIMIT)) {
		f->dropped++;
		return;
	}
	kg_buf_addv(&msg, fmt, ap);
	KG_GROW(f->items, f->cap, f->len + 1);
	f->items[f->len++] = (struct kg_fault){
		.file = f->file ? f->file : "",
		.line = line,
		.col = col,
		.field = kg_arena_strdup(f->arena, path),
		.msg = kg_arena_strdup(f->arena, kg_buf_str(&msg)),
	};
}

/* The child that the path's first step names; *path moves past the step. */
static const struct kg_yaml_node *step(const struct kg_yaml_node *node, const char **path)
{
	const char *p = *path;

	if (*p == '.')
		p++;
	if (*p == '[' && node->type == KG_ARRAY) {
		char *end;
		unsigned long i = strtoul(p + 1, &end, 10);
		if (end == p + 1 || *end != ']' || i >= node->len)
			return NULL;
		*path = end + 1;
		return &node->items[i];
	}
	if (node->type != KG_OBJECT)
		return NULL;
	bool bracket = *p == '[';
	p += bracket;
	for (uint32_t i = 0; i < node->len; i++) {
		size_t n = strlen(node->members[i].key);
		if (strncmp(node->members[i].key, p, n) != 0)
			continue;
		if (bracket ? p[n] != ']' : (p[n] && p[n] != '.' && p[n] != '['))
			continue;
		*path = p + n + bracket;
		return &node->members[i].value;
	}
	return NULL;
}

void kg_fault_add(struct kg_fault_list *f, const char *path, const char *fmt, ...)
{
	const struct kg_yaml_node *node = f->root, *next = node;
	const char *rest = path;
	va_list ap;

	while (next && *rest) {
		next = step(node, &rest);
		if (next && next->type != KG_NULL)
			node = next;
	}
	va_start(ap, fmt);
	add(f, node ? node->line : 0, node ? node->col : 0, path, fmt, ap);
	va_end(ap);
}

void kg_fault_add_at(struct kg_fault_list *f, uint32_t line, uint32_t col, const char *path,
	const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(f, line, col, path, fmt, ap);
	va_end(ap);
}

void kg_fault_warn_at(struct kg_fault_list *f, size_t at)
{
	if (f->len > at)
		f->items[at].warning = true;
	else
		f->dropped--;
}

void kg_fault_format(struct kg_buf *out, const struct kg_fault *fault)
{
	if (*fault->file)
		kg_buf_addf(out, "%s:", fault->file);
	if (fault->line)
		kg_buf_addf(out, "%u:%u:", fault->line, fault->col);
	if (*fault->file || fault->line)
		kg_buf_addc(out, ' ');
	if (fault->warning)
		kg_buf_adds(out, "warning: ");
	if (*fault->field)
		kg_buf_addf(out, "%s: ", fault->field);
	kg_buf_adds(out, fault->msg);
}

bool kg_rule_written(const struct kg_fault_list *f, const char *path)
{
	const struct kg_yaml_node *node = f->root;

	while (node && *path)
		node = step(node, &path);
	return node && node->type != KG_NULL;
}

uint32_t kg_rule_written_items(const struct kg_fault_list *f, const char *path)
{
	const struct kg_yaml_node *node = f->root;

	while (node && *path)
		node = step(node, &path);
	return node && (node->type == KG_OBJECT || node->type == KG_ARRAY) ? node->len : 0;
}

static const char *join(struct kg_fault_list *f, const char *path, const char *sub)
{
	if (!*path || !*sub)
		return *path ? path : sub;
	return kg_arena_printf(f->arena, "%s%s%s", path, *sub == '[' ? "" : ".", sub);
}

const char *kg_rule_path(struct kg_fault_list *f, const char *path, const char *fmt, ...)
{
	KG_AUTOBUF struct kg_buf sub = KG_BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	kg_buf_addv(&sub, fmt, ap);
	va_end(ap);
	return kg_arena_strdup(f->arena, join(f, path, kg_buf_str(&sub)));
}

void kg_rule(struct kg_fault_list *f, const char *path, const char *sub, const char *fmt, ...)
{
	KG_AUTOBUF struct kg_buf msg = KG_BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	kg_buf_addv(&msg, fmt, ap);
	va_end(ap);
	kg_fault_add(f, join(f, path, sub), "%s", kg_buf_str(&msg));
}

void kg_rule_warn(struct kg_fault_list *f, const char *path, const char *sub, const char *fmt, ...)
{
	KG_AUTOBUF struct kg_buf msg = KG_BUF_INIT;
	size_t before = f->len;
	va_list ap;

	va_start(ap, fmt);
	kg_buf_addv(&msg, fmt, ap);
	va_end(ap);
	kg_fault_add(f, join(f, path, sub), "%s", kg_buf_str(&msg));
	kg_fault_warn_at(f, before);
}
