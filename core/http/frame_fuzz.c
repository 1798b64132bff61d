/* Any bytes as frames of a peer: within bounds, the same events whether they come at once or one by
 * one, and nothing after a close or a fault. */
#include "frame.h"

#include <stdlib.h>
#include <string.h>

#define MAX_FRAME 300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sum {
	size_t pings, bytes;
	unsigned end;
};

static struct sum feed(const uint8_t *data, size_t size, size_t piece)
{
	struct kg_frames f = {.max_frame = MAX_FRAME};
	struct sum sum = {0};
	bool over = false;

	for (size_t at = 0; at < size;) {
		size_t n = size - at < piece ? size - at : piece;

		for (size_t used = 0;;) {
			struct kg_frame_said said;
			size_t took = kg_frames_take(&f, &said, data + at + used, n - used);

			used += took;
			if (used > n || (over && said.event) || said.len > KG_FRAME_CONTROL)
				abort();
			if (said.event == KG_FRAME_PING) {
				sum.pings++;
				for (size_t i = 0; i < said.len; i++)
					sum.bytes += said.payload[i];
			} else if (said.event) {
				over = true;
				sum.end = said.code;
			} else if (used == n) {
				break;
			}
		}
		at += n;
	}
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sum whole = feed(data, size, size ? size : 1), single = feed(data, size, 1);

	if (whole.pings != single.pings || whole.bytes != single.bytes || whole.end != single.end)
		abort();
	return 0;
}
