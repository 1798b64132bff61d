/*
 * Informers of @kubernetes/client-node as a dashboard has them, told what to do by lines:
 *
 *     node informers.mjs KUBECONFIG COMMANDS LOG NAMESPACE NAME...
 *
 * NAME is pods, deployments (made by makeInformer), configmaps (a ListWatch with a label selector).
 * What they say goes to LOG, a line of JSON each:
 *
 *     {informer, list: revision, count}         a list was taken
 *     {informer, connect}, {informer, error}    a watch begins; a watch or list failed
 *     {informer, verb: add|update|delete, key, uid, revision}
 *     {informer, from}, {informer, raw: ADDED|..., key, revision}     configmaps: the stream itself
 *     {informer, fault}                          an add of what it has, an update of what it has not
 *     {settled: N, revisions: {informer: revision}}
 *
 * Commands: "stop NAME", "start NAME", "settle N" (waits until each running informer's cache, and what
 * its events add up to, is what a list says, and names that list's revision), "end".
 */
import { constants, openSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import * as k8s from '@kubernetes/client-node';

const [kubeconfig, commands, logName, namespace, ...names] = process.argv.slice(2);
const log = openSync(logName, 'a');
const kc = new k8s.KubeConfig();
kc.loadFromFile(kubeconfig);
const core = kc.makeApiClient(k8s.CoreV1Api);
const apps = kc.makeApiClient(k8s.AppsV1Api);
const LABELS = 'watched=yes';

function note(line) {
	writeSync(log, JSON.stringify(line) + '\n');
}

const keyOf = (o) => `${o.metadata.namespace ?? ''}/${o.metadata.name}`;

/* The real Watch, overheard. */
class HeardWatch extends k8s.Watch {
	constructor(config, informer) {
		super(config);
		this.informer = informer;
	}
	watch(path, query, callback, done) {
		note({ informer: this.informer, from: query.resourceVersion });
		return super.watch(path, query, (type, obj, line) => {
			const status = type === 'ERROR';
			note({
				informer: this.informer,
				raw: type,
				key: status ? String(obj.code) : keyOf(obj),
				revision: status ? undefined : obj.metadata.resourceVersion,
			});
			callback(type, obj, line);
		}, done);
	}
}

function listOf(name) {
	switch (name) {
	case 'pods':
		return () => core.listNamespacedPod({ namespace });
	case 'deployments':
		return () => apps.listNamespacedDeployment({ namespace });
	case 'configmaps':
		return () => core.listNamespacedConfigMap({ namespace, labelSelector: LABELS });
	default:
		throw new Error(`no informer ${name}`);
	}
}

class Informer {
	constructor(name) {
		const group = name === 'deployments' ? 'apis/apps' : 'api';
		const path = `/${group}/v1/namespaces/${namespace}/${name}`;

		this.name = name;
		this.list = listOf(name);
		this.running = false;
		this.told = new Map();
		const listed = async () => {
			const list = await this.list();

			note({ informer: name, list: list.metadata.resourceVersion, count: list.items.length });
			return list;
		};
		this.informer = name === 'configmaps'
			? new k8s.ListWatch(path, new HeardWatch(kc, name), listed, false, LABELS)
			: k8s.makeInformer(kc, path, listed);
		for (const verb of ['add', 'update', 'delete'])
			this.informer.on(verb, (o) => this.event(verb, o));
		this.informer.on('connect', () => note({ informer: name, connect: true }));
		this.informer.on('error', (e) => this.failed(e));
	}

	event(verb, o) {
		const key = keyOf(o), uid = o.metadata.uid, revision = o.metadata.resourceVersion;

		note({ informer: this.name, verb, key, uid, revision });
		if ((verb === 'add') === this.told.has(key))
			note({ informer: this.name, fault: `${verb} of ${key} in revision ${revision}` });
		if (verb === 'delete')
			this.told.delete(key);
		else
			this.told.set(key, o);
	}

	/* As the client's own examples do it: an error ends an informer, which is started again. */
	async failed(error) {
		if (!this.running)
			return;
		note({ informer: this.name, error: `${error?.code ?? error?.statusCode ?? ''} ${error?.message}` });
		await pause(100);
		if (this.running)
			await this.informer.start();
	}

	async start() {
		this.running = true;
		await this.informer.start();
	}

	async stop() {
		this.running = false;
		await this.informer.stop();
	}

	/* The revision of a list that says what the cache does; null: they differ. */
	async compare() {
		const brief = (items) => items
			.map((o) => `${keyOf(o)} ${o.metadata.uid} ${o.metadata.resourceVersion}`)
			.sort().join('\n');
		const list = await this.list(), is = brief(list.items);

		return is === brief(this.informer.list()) && is === brief([...this.told.values()])
			? list.metadata.resourceVersion
			: null;
	}
}

async function settle(informers, n) {
	const revisions = {};

	for (const i of informers) {
		while (i.running && !(i.name in revisions)) {
			const revision = await i.compare().catch(() => null);

			if (revision === null)
				await pause(100);
			else
				revisions[i.name] = revision;
		}
	}
	note({ settled: Number(n), revisions });
}

const informers = names.map((name) => new Informer(name));

process.on('unhandledRejection', (e) => {
	note({ unhandled: String(e?.stack ?? e) });
	process.exit(1);
});
for (const i of informers)
	await i.start();
note({ ready: true });
/* As a file a fifo would keep the process until somebody writes to it. */
const fifo = new Socket({ fd: openSync(commands, constants.O_RDWR | constants.O_NONBLOCK), writable: false });
for await (const line of createInterface({ input: fifo })) {
	const [verb, what] = line.split(' ');
	const named = informers.find((i) => i.name === what);

	if (verb === 'settle')
		await settle(informers, what);
	else if (verb === 'stop' || verb === 'start')
		await named[verb]();
	else
		process.exit(verb === 'end' ? 0 : 2);
	note({ did: line });
}
