#include "base/buf.h"
#include "internal.h"
#include "value/json.h"

void kg_reply_status(struct kg_http_req *req, enum kg_code code, const char *message)
{
	struct kg_buf b = KG_BUF_INIT;

	kg_buf_adds(&b, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},"
			"\"status\":\"Failure\",\"message\":");
	kg_json_write_string(&b, message, strlen(message));
	kg_buf_addf(
		&b, ",\"reason\":\"%s\",\"code\":%d}\n", kg_code_reason(code), kg_code_http(code));
	kg_http_reply(req, kg_code_http(code), "application/json", &b);
}
