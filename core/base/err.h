/*
 * Errors. A call that can fail returns 0 or a negative enum kg_code and takes a struct kg_error
 * last; the struct lives on the caller's stack, so failing never allocates. It is written only on
 * failure. Library rooms return errors; only the commands and the top loops log them, once.
 */
#ifndef KG_BASE_ERR_H
#define KG_BASE_ERR_H

#include <stdarg.h>

/* code, Kubernetes Status reason, HTTP status */
#define KG_CODES(X)                                                                                \
	X(INVALID, "Invalid", 422)                                                                 \
	X(BAD_REQUEST, "BadRequest", 400)                                                          \
	X(NOT_FOUND, "NotFound", 404)                                                              \
	X(EXISTS, "AlreadyExists", 409)                                                            \
	X(CONFLICT, "Conflict", 409)                                                               \
	X(UNAUTHORIZED, "Unauthorized", 401)                                                       \
	X(FORBIDDEN, "Forbidden", 403)                                                             \
	X(READ_ONLY, "MethodNotAllowed", 405)                                                      \
	X(GONE, "Expired", 410)                                                                    \
	X(TOO_LARGE, "RequestEntityTooLarge", 413)                                                 \
	X(TOO_MANY, "TooManyRequests", 429)                                                        \
	X(TIMEOUT, "Timeout", 504)                                                                 \
	X(UNAVAILABLE, "ServiceUnavailable", 503)                                                  \
	X(CORRUPT, "InternalError", 500)                                                           \
	X(IO, "InternalError", 500)                                                                \
	X(NO_SPACE, "InternalError", 507)                                                          \
	X(UNSUPPORTED, "NotAcceptable", 406)

enum kg_code {
	KG_OK = 0,
#define KG_CODE_ENUM(name, reason, http) KG_E_##name,
	KG_CODES(KG_CODE_ENUM)
#undef KG_CODE_ENUM
};

struct kg_error {
	enum kg_code code;
	char msg[1000]; /* NUL-terminated, cut with "..." where longer */
};

/* Fills err (which may be NULL) and returns -code, so that a caller writes
 * `return kg_fail(err, KG_E_IO, "open %s: %s", path, strerror(errno));`. */
int kg_fail(struct kg_error *err, enum kg_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int kg_failv(struct kg_error *err, enum kg_code code, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));
/* As kg_fail for the current errno: ": strerror" is appended; ENOSPC and EDQUOT become
 * KG_E_NO_SPACE, ENOENT KG_E_NOT_FOUND, EEXIST KG_E_EXISTS, anything else KG_E_IO. */
int kg_fail_errno(struct kg_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Puts "context: " in front of the message; returns -err->code. */
int kg_wrap(struct kg_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

const char *kg_code_name(enum kg_code code);   /* "NOT_FOUND"; for logs */
const char *kg_code_reason(enum kg_code code); /* Kubernetes' Status reason */
int kg_code_http(enum kg_code code);           /* HTTP status */

#endif
