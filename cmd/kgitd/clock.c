#include "kgitd/clock.h"

void kgd_clock_start(struct kgd_clock *c, kg_time head, kg_time wall, int64_t mono)
{
	c->last = wall > head ? wall : head;
	c->last_mono = mono;
}

kg_time kgd_clock_read(struct kgd_clock *c, kg_time wall, int64_t mono)
{
	int64_t elapsed = mono > c->last_mono ? mono - c->last_mono : 0;
	int64_t now = c->last + elapsed;
	int64_t off = wall - now, most = elapsed / 10;

	if (off > most)
		off = most;
	if (off < -most)
		off = -most;
	c->last = now + off;
	c->last_mono = mono;
	return c->last;
}
