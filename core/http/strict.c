/*
 * Requests whose end two readers could see at different places are how one request is smuggled
 * inside another. libmicrohttpd 0.9.75 takes many of them: both lengths, doubled lengths, folded
 * headers (it glues the continuation to the header's name), bare LF, NUL, blanks before the colon.
 *
 * It parses in place: every name and value it gives out lies in the one buffer that the header was
 * read into, where separators became NULs. So the header can be walked again without a copy: from
 * the method to the blank line each byte must be one that RFC 9112 has there, with nothing in
 * between. Anything that was folded was moved elsewhere, and is found by that.
 */
#include "internal.h"

#include <string.h>
#include <strings.h>

struct walk {
	const char *expect; /* where the next name must lie */
	unsigned lengths, encodings, hosts, expects, authorizations;
	const char *length, *encoding, *expectation;
	const char *fault;
};

bool kg_http_is_token(const char *s, size_t n)
{
	if (n == 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		if (c <= ' ' || c >= 0x7F || strchr("()<>@,;:\\\"/[]?={}", c))
			return false;
	}
	return true;
}

static bool is_field_value(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		if ((c < ' ' && c != '\t') || c == 0x7F)
			return false;
	}
	return true;
}

static bool is_name(const char *key, size_t n, const char *name)
{
	return n == strlen(name) && strncasecmp(key, name, n) == 0;
}

/* The line's shape in the buffer: name NUL blanks value NUL NUL. */
static bool is_whole_line(
	const struct walk *w, const char *key, size_t nkey, const char *value, size_t nvalue)
{
	if (key != w->expect || key[nkey] != '\0' || value < key + nkey + 1)
		return false;
	for (const char *p = key + nkey + 1; p < value; p++)
		if (*p != ' ' && *p != '\t')
			return false;
	return value[nvalue] == '\0' && value[nvalue + 1] == '\0';
}

static enum MHD_Result check_header(void *cls, enum MHD_ValueKind kind, const char *key,
	size_t nkey, const char *value, size_t nvalue)
{
	struct walk *w = cls;

	(void)kind;
	if (!value || !kg_http_is_token(key, nkey) || !is_field_value(value, nvalue) ||
		!is_whole_line(w, key, nkey, value, nvalue)) {
		w->fault = "a header line is malformed or folded";
		return MHD_NO;
	}
	w->expect = value + nvalue + 2;
	if (is_name(key, nkey, "Content-Length")) {
		w->lengths++;
		w->length = value;
	} else if (is_name(key, nkey, "Transfer-Encoding")) {
		w->encodings++;
		w->encoding = value;
	} else if (is_name(key, nkey, "Host")) {
		w->hosts++;
	} else if (is_name(key, nkey, "Expect")) {
		w->expects++;
		w->expectation = value;
	} else if (is_name(key, nkey, "Authorization")) {
		w->authorizations++;
	}
	return MHD_YES;
}

static const char *judge(struct kg_framing *f, const struct walk *w, const char *version)
{
	bool http11 = strcmp(version, "HTTP/1.1") == 0;

	if (!http11 && strcmp(version, "HTTP/1.0") != 0)
		return "the HTTP version is not 1.0 or 1.1";
	if (w->hosts > 1 || (http11 && w->hosts == 0))
		return "there must be one Host header";
	if (w->authorizations > 1)
		return "there is more than one Authorization header";
	if (w->lengths > 1)
		return "there is more than one Content-Length header";
	if (w->encodings > 1)
		return "there is more than one Transfer-Encoding header";
	if (w->lengths && w->encodings)
		return "there are both Content-Length and Transfer-Encoding";
	if (w->encodings && (!http11 || strcasecmp(w->encoding, "chunked") != 0))
		return "the only Transfer-Encoding understood is chunked";
	if (w->lengths) {
		size_t digits = strspn(w->length, "0123456789");
		if (digits == 0 || digits > 18 || w->length[digits])
			return "the Content-Length is not a number";
		for (const char *p = w->length; *p; p++)
			f->length = f->length * 10 + (uint64_t)(*p - '0');
	}
	f->chunked = w->encodings == 1;
	if (w->expects > 1 || (w->expects && strcasecmp(w->expectation, "100-continue") != 0))
		return "the only Expect understood is 100-continue";
	f->expects_continue = http11 && w->expects == 1;
	return NULL;
}

/* From the request line to the blank line: are these all the bytes there were? */
static const char *walk(struct walk *w, struct MHD_Connection *mhd, const struct kg_http_conn *conn,
	const char *method, const char *version)
{
	const char *target = conn->target_at;
	const char *end;
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

	if (!info || !target || !kg_http_is_token(method, strlen(method)) ||
		target != method + strlen(method) + 1 || version != target + conn->target.len + 1)
		return "the request line is malformed";
	w->expect = version + strlen(version) + 2;
	MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, check_header, w);
	if (w->fault)
		return w->fault;
	end = w->expect + 2; /* behind the blank line */
	if (end != method + info->header_size)
		return "a header line is malformed or folded";
	return NULL;
}

int kg_strict_check(struct kg_framing *out, struct MHD_Connection *mhd,
	const struct kg_http_conn *conn, const char *method, const char *version,
	struct kg_error *err)
{
	struct walk w = {0};

	*out = (struct kg_framing){0};
	const char *fault = walk(&w, mhd, conn, method, version);
	if (!fault)
		fault = judge(out, &w, version);
	if (fault)
		return kg_fail(err, KG_E_BAD_REQUEST, "the request is refused: %s", fault);
	return 0;
}
