#include "base/err.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name, *reason;
	int http;
} codes[] = {[KG_OK] = {"OK", "", 200},
#define KG_CODE_ROW(name, reason, http) [KG_E_##name] = {#name, reason, http},
	KG_CODES(KG_CODE_ROW)
#undef KG_CODE_ROW
};

static const size_t ncodes = sizeof(codes) / sizeof(codes[0]);

/* Where the text did not fit: ends it with "..." behind a whole UTF-8 character. */
static void cut(char *msg, size_t size)
{
	memcpy(msg + kg_utf8_cut(msg, size - 4), "...", 4);
}

int kg_failv(struct kg_error *err, enum kg_code code, const char *fmt, va_list ap)
{
	if (!err)
		return -(int)code;
	/* Arguments may be the old message itself, so that it is written elsewhere first. */
	char msg[sizeof(err->msg)];
	int n = vsnprintf(msg, sizeof(msg), fmt, ap);
	if (n < 0)
		msg[0] = '\0';
	else if ((size_t)n >= sizeof(msg))
		cut(msg, sizeof(msg));
	err->code = code;
	memcpy(err->msg, msg, strlen(msg) + 1);
	return -(int)code;
}

int kg_fail(struct kg_error *err, enum kg_code code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int rc = kg_failv(err, code, fmt, ap);
	va_end(ap);
	return rc;
}

static enum kg_code code_of_errno(int e)
{
	switch (e) {
	case ENOSPC:
	case EDQUOT:
		return KG_E_NO_SPACE;
	case ENOENT:
		return KG_E_NOT_FOUND;
	case EEXIST:
		return KG_E_EXISTS;
	default:
		return KG_E_IO;
	}
}

int kg_fail_errno(struct kg_error *err, const char *fmt, ...)
{
	int e = errno;
	enum kg_code code = code_of_errno(e);
	va_list ap;

	if (!err)
		return -(int)code;
	va_start(ap, fmt);
	kg_failv(err, code, fmt, ap);
	va_end(ap);
	char text[128];
	size_t len = strlen(err->msg);
	int n = snprintf(
		err->msg + len, sizeof(err->msg) - len, ": %s", strerror_r(e, text, sizeof(text)));
	if (n < 0 || (size_t)n >= sizeof(err->msg) - len)
		cut(err->msg, sizeof(err->msg));
	errno = e;
	return -(int)code;
}

int kg_wrap(struct kg_error *err, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return -(int)KG_E_IO;
	char context[sizeof(err->msg)];
	va_start(ap, fmt);
	int n = vsnprintf(context, sizeof(context), fmt, ap);
	va_end(ap);
	if (n < 0)
		context[0] = '\0';
	return kg_fail(err, err->code, "%s: %s", context, err->msg);
}

const char *kg_code_name(enum kg_code code)
{
	return (size_t)code < ncodes ? codes[code].name : "UNKNOWN";
}

const char *kg_code_reason(enum kg_code code)
{
	return (size_t)code < ncodes ? codes[code].reason : "InternalError";
}

int kg_code_http(enum kg_code code)
{
	return (size_t)code < ncodes ? codes[code].http : 500;
}
