/*
 * What a dashboard reads with @kubernetes/client-node, besides informers.
 *
 *     node dashboard.mjs KUBECONFIG admin|viewer NODE GONE
 *
 * The namespace default has the Deployment web of three pods, the pod talker, which prints a line
 * ("line N") again and again, and ConfigMaps; NODE runs them. GONE is a revision that is not kept any
 * more, or "" where all are. The viewer may read the pods of default, their logs and ConfigMaps.
 */
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { createInterface } from 'node:readline';
import * as k8s from '@kubernetes/client-node';

const [kubeconfig, role, node, gone] = process.argv.slice(2);
const kc = new k8s.KubeConfig();
kc.loadFromFile(kubeconfig);
const core = kc.makeApiClient(k8s.CoreV1Api);
const apps = kc.makeApiClient(k8s.AppsV1Api);
const objects = k8s.KubernetesObjectApi.makeApiClient(kc);
const namespace = 'default';

/* The Status that a refused request brings. */
async function refusal(promise, code, reason) {
	const error = await promise.then(() => assert.fail(`expected ${code}`), (e) => e);

	assert.equal(error.code, code, error.message);
	const status = typeof error.body === 'string' ? JSON.parse(error.body) : error.body;
	assert.equal(status.kind, 'Status');
	assert.equal(status.apiVersion, 'v1');
	assert.equal(status.status, 'Failure');
	assert.equal(status.code, code);
	assert.equal(status.reason, reason);
	return status;
}

const names = (list) => list.items.map((o) => o.metadata.name).sort();

async function pages(limit) {
	const all = [], revisions = new Set();
	let _continue;

	do {
		const page = await core.listNamespacedPod({ namespace, limit, _continue });

		assert.ok(page.items.length <= limit);
		all.push(...page.items.map((o) => o.metadata.name));
		revisions.add(page.metadata.resourceVersion);
		_continue = page.metadata._continue;
	} while (_continue);
	assert.equal(revisions.size, 1, 'all pages are of one revision');
	return all;
}

async function lists() {
	const all = await core.listNamespacedPod({ namespace });

	assert.equal(all.kind, 'PodList');
	assert.ok(all.items.length >= 4);
	assert.ok(all.items[0].metadata.creationTimestamp instanceof Date);
	for (const limit of [1, 2, 100])
		assert.deepEqual((await pages(limit)).sort(), names(all));
	assert.equal((await core.listNamespacedPod({ namespace, labelSelector: 'app=web' })).items.length, 3);
	assert.equal((await core.listNamespacedPod({ namespace, labelSelector: 'app notin (web)' })).items.length,
		all.items.length - 3);
	assert.deepEqual(names(await core.listNamespacedPod({
		namespace, fieldSelector: `spec.nodeName=${node},metadata.name=talker`,
	})), ['talker']);
	assert.equal((await core.listNamespacedPod({
		namespace, fieldSelector: `spec.nodeName!=${node}`,
	})).items.length, 0);
	/* At the revision of the list, and not older than it. */
	const resourceVersion = all.metadata.resourceVersion;
	assert.deepEqual(names(await core.listNamespacedPod({
		namespace, resourceVersion, resourceVersionMatch: 'Exact',
	})), names(all));
	const later = await core.listNamespacedPod({
		namespace, resourceVersion, resourceVersionMatch: 'NotOlderThan',
	});
	assert.ok(Number(later.metadata.resourceVersion) >= Number(resourceVersion));
	const one = await core.readNamespacedPod({ namespace, name: 'talker' });
	assert.equal(one.spec.containers[0].name, 'main');
	assert.equal(one.status.phase, 'Running');
	assert.equal((await core.readNamespacedPodStatus({ namespace, name: 'talker' })).metadata.uid, one.metadata.uid);
}

async function logs() {
	const text = await core.readNamespacedPodLog({ namespace, name: 'talker', tailLines: 2, timestamps: true });

	assert.match(text, /^\d{4}-\d\d-\d\dT[\d:.]+Z line \d+\n/);
	/* Followed: lines come one by one, in order, until the reader has enough. */
	const stream = new PassThrough(), got = [];
	const abort = await new k8s.Log(kc).log(namespace, 'talker', 'main', stream, { follow: true, tailLines: 1 });
	stream.on('error', () => {});
	for await (const line of createInterface({ input: stream })) {
		got.push(Number(line.match(/^line (\d+)$/)[1]));
		if (got.length === 4)
			break;
	}
	abort.abort();
	assert.deepEqual(got, [0, 1, 2, 3].map((i) => got[0] + i));
	await refusal(core.readNamespacedPodLog({ namespace, name: 'nobody' }), 404, 'NotFound');
	await refusal(core.readNamespacedPodLog({ namespace, name: 'talker', container: 'none' }), 400, 'BadRequest');
	await refusal(core.readNamespacedPodLog({ namespace, name: 'talker', previous: true }), 400, 'BadRequest');
	await refusal(core.readNamespacedPodLog({ namespace, name: 'talker', tailLines: -1 }), 422, 'Invalid');
}

/* A watch that ends by its own time, without an error. */
async function watches() {
	const list = await core.listNamespacedPod({ namespace });
	const seen = [], began = Date.now();
	const watch = (query) => new Promise((resolve, reject) => {
		new k8s.Watch(kc).watch(`/api/v1/namespaces/${namespace}/pods`, query,
			(type, o) => seen.push({ type, o }), (e) => (e ? reject(e) : resolve()));
	});

	await watch({ resourceVersion: list.metadata.resourceVersion, timeoutSeconds: 1, allowWatchBookmarks: true });
	assert.ok(Date.now() - began < 20000);
	assert.equal(seen.at(-1).type, 'BOOKMARK', 'its last word is how far it came');
	seen.length = 0;
	await watch({
		sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan', allowWatchBookmarks: true,
		timeoutSeconds: 1, labelSelector: 'app=web',
	});
	const end = seen.findIndex((e) => e.o.metadata.annotations?.['k8s.io/initial-events-end'] === 'true');
	assert.equal(end, 3);
	assert.ok(seen.slice(0, 3).every((e) => e.type === 'ADDED'));
	assert.equal(seen[end].type, 'BOOKMARK');
	const error = await watch({ timeoutSeconds: 1, labelSelector: 'a b' }).then(() => null, (e) => e);
	assert.equal(error.statusCode, 400);
}

async function discovery() {
	const version = await kc.makeApiClient(k8s.VersionApi).getCode();

	assert.match(version.gitVersion, /^v1\.\d+\.\d+\+kgit/);
	assert.deepEqual((await kc.makeApiClient(k8s.CoreApi).getAPIVersions()).versions, ['v1']);
	const groups = (await kc.makeApiClient(k8s.ApisApi).getAPIVersions()).groups.map((g) => g.name);
	for (const group of ['apps', 'batch', 'networking.k8s.io', 'rbac.authorization.k8s.io', 'events.k8s.io'])
		assert.ok(groups.includes(group), group);
	const resources = (await apps.getAPIResources()).resources;
	const deployments = resources.find((r) => r.name === 'deployments');
	assert.deepEqual(deployments.shortNames, ['deploy']);
	assert.deepEqual(deployments.verbs, ['get', 'list', 'watch']);
	assert.ok(resources.some((r) => r.name === 'deployments/scale' && r.kind === 'Scale'));
	assert.equal((await kc.makeApiClient(k8s.AppsApi).getAPIGroup()).preferredVersion.version, 'v1');
	assert.ok(await new k8s.Health(kc).readyz({}));
	assert.ok(await new k8s.Health(kc).livez({}));
}

async function generic() {
	const read = (apiVersion, kind, name) => objects.read({ apiVersion, kind, metadata: { name, namespace } });

	assert.equal((await read('apps/v1', 'Deployment', 'web')).spec.replicas, 3);
	assert.equal((await read('v1', 'ConfigMap', 'web-page')).data['index.html'], 'page\n');
	assert.equal((await objects.read({ apiVersion: 'v1', kind: 'Node', metadata: { name: node } })).kind, 'Node');
	for (const [apiVersion, kind] of [['v1', 'Pod'], ['v1', 'Service'], ['apps/v1', 'ReplicaSet'],
		['discovery.k8s.io/v1', 'EndpointSlice'], ['v1', 'Event'], ['events.k8s.io/v1', 'Event'],
		['rbac.authorization.k8s.io/v1', 'Role']]) {
		const list = await objects.list(apiVersion, kind, namespace);

		assert.equal(list.kind, `${kind}List`);
		assert.ok(list.items.length > 0, kind);
		assert.ok(list.items.every((o) => o.metadata.namespace === namespace && o.metadata.uid));
	}
	assert.ok((await objects.list('v1', 'Namespace')).items.some((o) => o.metadata.name === namespace));
	const scale = await apps.readNamespacedDeploymentScale({ namespace, name: 'web' });
	assert.equal(scale.spec.replicas, 3);
	assert.ok(scale.metadata.creationTimestamp instanceof Date);
	const events = await core.listNamespacedEvent({
		namespace, fieldSelector: 'involvedObject.kind=Pod,involvedObject.name=talker',
	});
	assert.ok(events.items.some((e) => e.reason === 'Scheduled'));
	const slices = await kc.makeApiClient(k8s.DiscoveryV1Api).listNamespacedEndpointSlice({
		namespace, labelSelector: 'kubernetes.io/service-name=web',
	});
	assert.equal(slices.items.flatMap((s) => s.endpoints).length, 3);
}

/* What is used, which a node says some seconds after it started a container. */
async function metrics() {
	const all = new k8s.Metrics(kc);
	let talker;

	while (!talker) {
		talker = (await all.getPodMetrics(namespace)).items.find((p) => p.metadata.name === 'talker');
		if (!talker)
			await new Promise((resolve) => setTimeout(resolve, 200));
	}
	assert.equal(talker.containers[0].name, 'main');
	assert.match(talker.containers[0].usage.cpu, /^\d+[num]?$/);
	assert.match(talker.containers[0].usage.memory, /^\d+(Ki|Mi)?$/);
	const one = (await all.getNodeMetrics()).items.find((n) => n.metadata.name === node);
	assert.match(one.usage.memory, /^\d+(Ki|Mi)?$/);
}

async function refusals() {
	let status = await refusal(core.readNamespacedPod({ namespace, name: 'nobody' }), 404, 'NotFound');

	assert.equal(status.message, 'pods "nobody" not found');
	assert.deepEqual(status.details, { name: 'nobody', kind: 'pods' });
	status = await refusal(apps.deleteNamespacedDeployment({ namespace, name: 'web' }), 405, 'MethodNotAllowed');
	assert.match(status.message, /web\.yaml .*git push/);
	const patch = { spec: { replicas: 7 } };
	status = await refusal(apps.patchNamespacedDeploymentScale({ namespace, name: 'web', body: patch },
		k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.MergePatch)), 405, 'MethodNotAllowed');
	assert.match(status.message, /web\.yaml .*git push/);
	const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x', namespace } };
	status = await refusal(objects.create(map), 405, 'MethodNotAllowed');
	assert.match(status.message, /ConfigMap default\/x: .*git push/);
	await refusal(core.listNamespacedPod({ namespace, fieldSelector: 'spec.color=red' }), 400, 'BadRequest');
	await refusal(core.listNamespacedPod({ namespace, resourceVersion: '1', resourceVersionMatch: 'Nearly' }),
		422, 'Invalid');
	await refusal(core.listNamespacedPod({ namespace, _continue: 'x' }), 400, 'BadRequest');
	status = await refusal(core.listNamespacedPod({ namespace, resourceVersion: '999999999' }), 504, 'Timeout');
	assert.equal(status.details.causes[0].reason, 'ResourceVersionTooLarge');
	if (gone) {
		status = await refusal(core.listNamespacedPod({
			namespace, resourceVersion: gone, resourceVersionMatch: 'Exact',
		}), 410, 'Expired');
		assert.match(status.message, /oldest that is kept/);
	}
}

async function restricted() {
	let status = await refusal(apps.listNamespacedDeployment({ namespace }), 403, 'Forbidden');

	assert.match(status.message, /deployments\.apps is forbidden: User "system:serviceaccount:default:viewer"/);
	await refusal(core.listPodForAllNamespaces(), 403, 'Forbidden');
	await refusal(core.listNamespacedPod({ namespace: 'kube-system' }), 403, 'Forbidden');
	await refusal(core.readNamespacedSecret({ namespace, name: 'nothing' }), 403, 'Forbidden');
	await refusal(objects.read({ apiVersion: 'v1', kind: 'Node', metadata: { name: node } }), 403, 'Forbidden');
	status = await refusal(core.deleteNamespacedPod({ namespace, name: 'talker' }), 403, 'Forbidden');
	const error = await new k8s.Metrics(kc).getNodeMetrics().then(() => null, (e) => e);
	assert.equal(error.code, 403);
	const may = async (verb, resource) => (await kc.makeApiClient(k8s.AuthorizationV1Api)
		.createSelfSubjectAccessReview({
			body: {
				apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview',
				spec: { resourceAttributes: { verb, resource, namespace } },
			},
		})).status.allowed;
	assert.equal(await may('list', 'pods'), true);
	assert.equal(await may('list', 'secrets'), false);
	const me = await kc.makeApiClient(k8s.AuthenticationV1Api).createSelfSubjectReview({
		body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
	});
	assert.equal(me.status.userInfo.username, 'system:serviceaccount:default:viewer');
}

/* A watch over a WebSocket, opened as its exec and attach are. */
async function sockets() {
	const { handler } = new k8s.Exec(kc);
	const text = await new Promise((resolve, reject) => {
		handler.connect(`/api/v1/namespaces/${namespace}/pods?watch=1`, (message) => {
			resolve(message);
			return true;
		}, () => reject(new Error('a binary message'))).then((ws) => {
			assert.equal(ws.protocol, 'v5.channel.k8s.io');
			ws.onclose = () => reject(new Error('closed'));
		}).catch(reject);
	});
	const event = JSON.parse(text);

	assert.equal(event.type, 'ADDED');
	assert.equal(event.object.kind, 'Pod');
}

const parts = role === 'admin' ? [lists, logs, watches, sockets, discovery, generic, metrics, refusals]
	: [lists, logs, watches, sockets, discovery, restricted];
for (const part of parts) {
	try {
		await part();
	} catch (e) {
		console.log(`${role}: ${part.name}: ${e.stack}`);
		process.exit(1);
	}
}
console.log(`${role}: ${parts.map((p) => p.name).join(', ')}`);
process.exit(0);
