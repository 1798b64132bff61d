/*
 * Holds what an informer said against what git has: nothing missed, nothing twice, in order.
 *
 *     node judge.mjs LOG TRUTH INFORMER NAMESPACE RELISTED
 *
 * LOG is informers.mjs's, TRUTH watch_truth's. Judged are the events after the informer's first list
 * up to the newest revision at which it was found settled; with RELISTED 1 those before its second
 * list, which a 410 made: what that told is judged by what the events add up to (informers.mjs).
 */
import { readFileSync } from 'node:fs';

const [logName, truthName, informer, namespace, relisted] = process.argv.slice(2);
const lines = (name) => readFileSync(name, 'utf8').split('\n').filter(Boolean).map((l) => JSON.parse(l));
const said = lines(logName);
const selected = (o) => informer !== 'configmaps' || o.metadata.labels?.watched === 'yes';
const faults = [];

/* ---- what it said ---- */

const own = said.filter((l) => l.informer === informer);
const settled = said.filter((l) => l.settled && informer in l.revisions);
const lists = own.filter((l) => l.list);
let last = Number(settled.at(-1)?.revisions[informer]);
let judged = own;

if (!settled.length)
	faults.push('it never was what a list says');
if (lists.length !== (relisted === '1' ? 2 : 1))
	faults.push(`it listed ${lists.length} times`);
if (relisted === '1') {
	judged = own.slice(0, own.indexOf(lists[1]));
	/* What it had seen by then is its last event's revision. */
	last = Number(judged.filter((l) => l.verb).at(-1).revision);
}
const first = Number(lists[0].list);
/* An informer tells a list's objects once the list is there. */
const initial = judged.filter((l) => l.verb && Number(l.revision) <= first);
const events = judged.filter((l) => l.verb && Number(l.revision) > first && Number(l.revision) <= last);

if (initial.length !== lists[0].count || initial.some((l) => l.verb !== 'add'))
	faults.push(`the first list had ${lists[0].count} objects, told were ${initial.length}`);

/* ---- what was ---- */

const now = new Map();
const wanted = [];
for (const t of lines(truthName)) {
	if (t.resource !== informer || !t.key.startsWith(`${namespace}/`))
		continue;
	const before = now.get(t.key);
	const was = before !== undefined && selected(before), is = t.object !== null && selected(t.object);

	if (t.object)
		now.set(t.key, t.object);
	else
		now.delete(t.key);
	if (t.revision <= first || t.revision > last || !(was || is))
		continue;
	/* One goes, and another comes by its name. */
	const another = was && is && before.metadata.uid !== t.object.metadata.uid;

	if (was && (another || !is))
		wanted.push(`${t.revision} delete ${t.key}`);
	if (is)
		wanted.push(`${t.revision} ${was && !another ? 'update' : 'add'} ${t.key}`);
}

/* ---- the two ---- */

own.filter((l) => l.fault).forEach((l) => faults.push(l.fault));
let at = first;
for (const e of events) {
	if (Number(e.revision) < at)
		faults.push(`revision ${e.revision} (${e.key}) came after ${at}`);
	at = Number(e.revision);
}
const byRevision = (a, b) => parseInt(a) - parseInt(b) || (a < b ? -1 : a > b);
const got = events.map((e) => `${e.revision} ${e.verb} ${e.key}`).sort(byRevision);

wanted.sort(byRevision);
got.filter((l, i) => l === got[i - 1]).forEach((l) => faults.push(`twice: ${l}`));
wanted.filter((l) => !got.includes(l)).forEach((l) => faults.push(`missed: ${l}`));
got.filter((l) => !wanted.includes(l)).forEach((l) => faults.push(`never was: ${l}`));

/* Where the stream was overheard: only the revision at which a watch began may come again. */
let from = 0;
const heard = new Set();
for (const l of own) {
	if (l.from !== undefined)
		from = Number(l.from);
	if (l.list)
		heard.clear();
	if (!l.raw || l.raw === 'BOOKMARK' || l.raw === 'ERROR')
		continue;
	const what = `${l.revision} ${l.raw} ${l.key}`;

	if (Number(l.revision) < from)
		faults.push(`the watch from ${from} told ${what}`);
	if (heard.has(what) && Number(l.revision) !== from)
		faults.push(`the watch from ${from} told twice: ${what}`);
	heard.add(what);
}

for (const f of faults)
	console.log(`${informer}: ${f}`);
console.log(`${informer}: ${wanted.length} events from revision ${first} to ${last}, ` +
	`${own.filter((l) => l.connect).length} watches, ${own.filter((l) => l.error).length} errors`);
process.exit(faults.length ? 1 : 0);
