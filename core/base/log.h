/* The daemons' log: one line an entry to stderr, "time level message". Only cmd and the top
 * loops log. Thread-safe. */
#ifndef KG_BASE_LOG_H
#define KG_BASE_LOG_H

enum kg_log_level { KG_LOG_ERROR, KG_LOG_WARN, KG_LOG_INFO, KG_LOG_DEBUG };
void kg_log_set_level(enum kg_log_level level); /* default KG_LOG_INFO */
void kg_log(enum kg_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define kg_error_log(...) kg_log(KG_LOG_ERROR, __VA_ARGS__)
#define kg_warn(...)      kg_log(KG_LOG_WARN, __VA_ARGS__)
#define kg_info(...)      kg_log(KG_LOG_INFO, __VA_ARGS__)
#define kg_debug(...)     kg_log(KG_LOG_DEBUG, __VA_ARGS__)

#endif
