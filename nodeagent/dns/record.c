#include "dns/record.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct line {
	char text[2048];
	char *rest; /* what is not read yet; NULL: nothing */
	const char *origin;
	struct kg_record *out;
};

static const char *next_field(struct line *l)
{
	char *field = l->rest, *space = field ? strchr(field, ' ') : NULL;

	if (space)
		*space = '\0';
	l->rest = space ? space + 1 : NULL;
	return field ? field : "";
}

/* An absolute name in lower case. */
static bool read_name(char out[KG_RECORD_NAME], const struct line *l, const char *text)
{
	size_t n = strlen(text);
	const char *origin = n && text[n - 1] == '.' ? "" : l->origin;
	int len = snprintf(out, KG_RECORD_NAME, "%s%s%s", text, *origin ? "." : "", origin);

	for (char *p = out; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p | 0x20);
	return n > 0 && len < KG_RECORD_NAME;
}

int kg_record_name(uint8_t out[256], const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || name[n - 1] != '.' || ns_name_pton(name, out, NS_MAXCDNAME) < 0)
		return -1;
	int len = 1;
	for (const uint8_t *p = out; *p; p += 1 + *p)
		len += 1 + *p;
	return len;
}

static bool put(struct kg_record *r, const void *p, size_t n)
{
	if (r->len + n > sizeof(r->data))
		return false;
	memcpy(r->data + r->len, p, n);
	r->len = (uint16_t)(r->len + n);
	return true;
}

static bool put_name(struct line *l)
{
	char name[KG_RECORD_NAME];
	uint8_t wire[256];
	int n = read_name(name, l, next_field(l)) ? kg_record_name(wire, name) : -1;

	return n > 0 && put(l->out, wire, (size_t)n);
}

/* bytes: of the number, in network order. */
static bool put_number(struct line *l, unsigned bytes)
{
	const char *field = next_field(l);
	char *end;
	unsigned long v = strtoul(field, &end, 10);
	uint32_t net = htonl((uint32_t)v);

	return *field >= '0' && *field <= '9' && !*end && v < 1ul << (8 * bytes) &&
	       put(l->out, (const char *)&net + 4 - bytes, bytes);
}

static bool read_a(struct line *l)
{
	struct in_addr in;

	return inet_pton(AF_INET, next_field(l), &in) == 1 && put(l->out, &in, sizeof(in));
}

static bool put_numbers(struct line *l, int n, unsigned bytes)
{
	while (n > 0 && put_number(l, bytes))
		n--;
	return n == 0;
}

static bool read_srv(struct line *l)
{
	return put_numbers(l, 3, 2) && put_name(l);
}

static bool read_names(struct line *l, int n)
{
	while (n > 0 && put_name(l))
		n--;
	return n == 0;
}

static bool read_soa(struct line *l)
{
	return read_names(l, 2) && put_numbers(l, 5, 4);
}

/* A word, without quotes. */
static bool read_txt(struct line *l)
{
	const char *word = next_field(l);
	uint8_t len = (uint8_t)strlen(word);

	return strlen(word) <= UINT8_MAX && put(l->out, &len, 1) && put(l->out, word, len);
}

static const struct {
	const char *name;
	uint16_t type;
	bool (*read)(struct line *l);
} types[] = {
	{"A", ns_t_a, read_a},
	{"SRV", ns_t_srv, read_srv},
	{"PTR", ns_t_ptr, put_name},
	{"CNAME", ns_t_cname, put_name},
	{"NS", ns_t_ns, put_name},
	{"SOA", ns_t_soa, read_soa},
	{"TXT", ns_t_txt, read_txt},
};

int kg_record_parse(
	struct kg_record *out, const char *line, size_t n, const char *origin, struct kg_error *err)
{
	struct line l = {.rest = l.text, .origin = origin, .out = out};
	uint8_t wire[256];

	if (n >= sizeof(l.text))
		return kg_fail(err, KG_E_INVALID, "a line of %zu bytes", n);
	memcpy(l.text, line, n);
	l.text[n] = '\0';
	out->len = 0;
	bool fine = read_name(out->name, &l, next_field(&l)) && kg_record_name(wire, out->name) > 0;
	const char *type = next_field(&l);
	for (size_t i = 0; fine && i < KG_ARRAY_LEN(types); i++) {
		if (strcmp(type, types[i].name) != 0)
			continue;
		out->type = types[i].type;
		if (types[i].read(&l) && !l.rest)
			return 0;
	}
	return kg_fail(err, KG_E_INVALID, "\"%.*s\" is no record", n > 200 ? 200 : (int)n, line);
}
