#!/usr/bin/python3
"""What real clients ask of the API, and what they need of the answers.

    replay.py HOST:PORT PKI        as the admin

Of clients that no package has, their requests are replayed as their sources make them:
client-go's reflectors (tools/cache/reflector.go: pages of 500 from resourceVersion 0, then a watch
with bookmarks; and the newer WatchList), as kube-state-metrics, Prometheus' kubernetes_sd and k9s use
them, with the media types that each of them accepts. An answer is held to what client-go makes of it:
a Content-Type that it can decode, a list's kind, a Status where there is nothing, streams that end in
order, bookmarks of the kind that is watched. Debian's python3-kubernetes is run as it is: its typed
lists, which check what must be there, its watch, and its dynamic client.
"""
import concurrent.futures
import http.client
import json
import ssl
import sys
import urllib.parse

import kubernetes

address, pki = sys.argv[1:]
HOST, PORT = address.rsplit(":", 1)
TLS = ssl.create_default_context(cafile=f"{pki}/ca.crt")
TLS.load_cert_chain(f"{pki}/admin.crt", f"{pki}/admin.key")

# kube-state-metrics' default resources (pkg/options/resource.go). The kinds that kgit has not are told
# so, and it goes on without them.
STATE_METRICS = {
    "v1": "configmaps endpoints limitranges namespaces nodes persistentvolumeclaims persistentvolumes pods "
          "replicationcontrollers resourcequotas secrets services",
    "apps/v1": "daemonsets deployments replicasets statefulsets",
    "batch/v1": "cronjobs jobs",
    "coordination.k8s.io/v1": "leases",
    "discovery.k8s.io/v1": "endpointslices",
    "networking.k8s.io/v1": "ingresses networkpolicies",
    "policy/v1": "poddisruptionbudgets",
    "storage.k8s.io/v1": "storageclasses volumeattachments",
    "admissionregistration.k8s.io/v1": "mutatingwebhookconfigurations validatingwebhookconfigurations",
    "autoscaling/v2": "horizontalpodautoscalers",
    "certificates.k8s.io/v1": "certificatesigningrequests",
}
# Of the roles node, pod, service, endpoints, endpointslice and ingress.
PROMETHEUS = {
    "v1": "endpoints namespaces nodes pods services",
    "discovery.k8s.io/v1": "endpointslices",
    "networking.k8s.io/v1": "ingresses",
}
MISSING = {"volumeattachments", "mutatingwebhookconfigurations", "validatingwebhookconfigurations",
           "horizontalpodautoscalers", "certificatesigningrequests"}
META = ";g=meta.k8s.io;v=v1"


def as_form(form, *types):
    return ",".join(f"{t};as={form}{META}" for t in types)


PROTOBUF, JSON = "application/vnd.kubernetes.protobuf", "application/json"
CLIENTS = [
    # name, what it watches, what it accepts of a list and of a watch, the form that it wants
    ("kube-state-metrics", STATE_METRICS, f"{PROTOBUF},{JSON}", None, None),
    ("Prometheus", PROMETHEUS, f"{PROTOBUF}, */*", None, None),
    ("k9s' dynamic informers", STATE_METRICS, JSON, None, None),
    ("metadata informers", PROMETHEUS,
     as_form("PartialObjectMetadataList", PROTOBUF, JSON) + f",{JSON}",
     as_form("PartialObjectMetadata", PROTOBUF, JSON) + f",{JSON}", "PartialObjectMetadata"),
    ("k9s' tables", PROMETHEUS, f"{JSON};as=Table;v=v1;g=meta.k8s.io,{JSON};as=Table;v=v1beta1;g=meta.k8s.io,{JSON}",
     None, "Table"),
]


def connect():
    return http.client.HTTPSConnection(HOST, int(PORT), context=TLS, timeout=60)


def ask(connection, path, accept, method="GET", body=None, **query):
    headers = {"Accept": accept}
    if body is not None:
        headers["Content-Type"] = JSON
    if query:
        path += "?" + urllib.parse.urlencode(query)
    connection.request(method, path, headers=headers, body=body and json.dumps(body))
    answer = connection.getresponse()
    return answer, answer.read()


def decodes(what, answer, *forms):
    """The Content-Type is one for which client-go has a decoder: of JSON, perhaps with parameters."""
    kind = answer.getheader("Content-Type", "").split(";")[0]
    assert kind == JSON, f"{what}: {kind} is not decoded"


def not_found(what, answer, body):
    status = json.loads(body)
    assert answer.status == 404, f"{what}: {answer.status} {body}"
    assert (status["kind"], status["apiVersion"], status["status"], status["reason"], status["code"]) == \
        ("Status", "v1", "Failure", "NotFound", 404), f"{what}: {status}"


def path_of(version, resource):
    return f"/api/v1/{resource}" if version == "v1" else f"/apis/{version}/{resource}"


def key(obj):
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def events(what, answer, body, kind, version):
    """A stream that has ended: its events, all whole, all of the kind; but those of objects first."""
    decodes(what, answer)
    assert answer.status == 200 and (not body or body.endswith(b"\n")), f"{what}: {answer.status} {body[-200:]}"
    for line in body.splitlines():
        event = json.loads(line)
        assert event["type"] in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK"), f"{what}: {event}"
        assert (event["object"]["kind"], event["object"]["apiVersion"]) == (kind, version), f"{what}: {event}"
        yield event


def rows(obj):
    return [row["object"] for row in obj["rows"]] if obj["kind"] == "Table" else [obj]


def revision(obj):
    return obj["metadata"].get("resourceVersion") or rows(obj)[0]["metadata"]["resourceVersion"]


def reflect(client, version, resource):
    """One reflector's way, from the list on; how many objects it came to."""
    name, _, accept, accept_watch, form = client
    accept_watch = accept_watch or accept
    path, what, c = path_of(version, resource), f"{client[0]}: {resource}", connect()
    answer, body = ask(c, path, accept, limit=500, resourceVersion=0)
    if resource in MISSING:
        not_found(what, answer, body)
        not_found(what, *ask(c, path, accept_watch, watch="true", allowWatchBookmarks="true"))
        return 0
    decodes(what, answer)
    assert answer.status == 200, f"{what}: {answer.status} {body}"
    listed = json.loads(body)
    kinds = {"Table": "Table", "PartialObjectMetadata": "PartialObjectMetadataList"}
    if form:
        kind, its = form, "meta.k8s.io/v1"
        assert (listed["kind"], listed["apiVersion"]) == (kinds[form], its), f"{what}: {listed['kind']}"
    else:
        kind, its = listed["kind"][:-len("List")], version
        assert listed["kind"].endswith("List") and listed["apiVersion"] == version, f"{what}: {listed['kind']}"
    assert not listed["metadata"].get("continue"), f"{what}: a page of 500 is not all"
    items = rows(listed) if form == "Table" else listed["items"]
    has = {key(o): o["metadata"]["resourceVersion"] for o in items}
    assert listed["metadata"]["resourceVersion"].isdigit(), f"{what}: {listed['metadata']}"

    # Goes on where the list ended: the last word of the stream is how far it came.
    answer, body = ask(c, path, accept_watch, allowWatchBookmarks="true", timeoutSeconds=1, watch="true",
                       resourceVersion=listed["metadata"]["resourceVersion"])
    told = list(events(what, answer, body, kind, its))
    assert told and told[-1]["type"] == "BOOKMARK", f"{what}: a stream without a last word: {told[-3:]}"
    assert int(revision(told[-1]["object"])) >= int(listed["metadata"]["resourceVersion"]), f"{what}: {told[-1]}"

    # The same at once.
    answer, body = ask(c, path, accept_watch, allowWatchBookmarks="true", resourceVersionMatch="NotOlderThan",
                       sendInitialEvents="true", timeoutSeconds=1, watch="true")
    first, ended = set(), False
    for event in events(what, answer, body, kind, its):
        obj = rows(event["object"])[0]
        if event["type"] == "BOOKMARK":
            ended |= (obj["metadata"].get("annotations") or {}).get("k8s.io/initial-events-end") == "true"
        elif not ended:
            assert event["type"] == "ADDED", f"{what}: {event}"
            first.add(key(obj))
    assert ended, f"{what}: the initial events have no end"
    # What comes and goes by itself is told as such.
    assert first == set(has), f"{what}: initial events {first ^ set(has)}"
    return len(has)


def reflectors():
    jobs = [(client, version, resource) for client in CLIENTS
            for version, resources in client[1].items() for resource in resources.split()]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        counts = list(pool.map(lambda job: reflect(*job), jobs))
    for client in CLIENTS:
        seen = {r: n for (c, _, r), n in zip(jobs, counts) if c is client}
        print(f"{client[0]}: {len(seen)} kinds, {sum(seen.values())} objects")
        lacks = [r for r, n in seen.items() if not n and r not in MISSING]
        assert not lacks, f"{client[0]}: there are no {lacks} to be read"


def beginnings():
    """What dashboards and terminals ask before all else (k9s, Lens, Headlamp)."""
    c = connect()
    for path in ("/livez", "/readyz", "/healthz"):  # by a client that takes protobuf
        answer, body = ask(c, path, f"{PROTOBUF},{JSON}")
        assert (answer.status, body) == (200, b"ok"), f"{path}: {answer.status} {body}"
    answer, body = ask(c, "/version", f"{PROTOBUF}, */*")
    version = json.loads(body)
    # Prometheus asks for networking.k8s.io/v1 and discovery.k8s.io/v1 from 1.19 and 1.21 on.
    major, minor = version["gitVersion"][1:].split(".")[:2]
    assert (int(major), int(minor)) >= (1, 21) and (version["major"], version["minor"]) == (major, minor), version
    groups = {}
    for path in ("/api", "/apis"):
        answer, body = ask(c, path, ",".join(
            f"{JSON};g=apidiscovery.k8s.io;v={v};as=APIGroupDiscoveryList" for v in ("v2", "v2beta1")) + f",{JSON}")
        assert answer.getheader("Content-Type") == \
            f"{JSON};g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", answer.getheader("Content-Type")
        for group in json.loads(body)["items"]:
            groups[group["metadata"].get("name", "")] = group
    assert {"", "apps", "batch", "metrics.k8s.io"} <= set(groups), sorted(groups)
    for group, item in groups.items():  # and as clients up to 1.26 ask
        for v in item["versions"]:
            path = f"/apis/{group}/{v['version']}" if group else f"/api/{v['version']}"
            listed = json.loads(ask(c, path, JSON)[1])
            names = {r["name"] for r in listed["resources"] if "/" not in r["name"]}
            assert listed["kind"] == "APIResourceList" and names == {r["resource"] for r in v["resources"]}, path
    # k9s and dashboards ask for both, and for one pod's; there may be none yet.
    for what, kind in (("nodes", "NodeMetrics"), ("pods", "PodMetrics"), ("namespaces/default/pods", "PodMetrics")):
        answer, body = ask(c, f"/apis/metrics.k8s.io/v1beta1/{what}", f"{PROTOBUF},{JSON}")
        assert answer.status == 200 and json.loads(body)["kind"] == f"{kind}List", body
    # What there is not, a client sees from the Status.
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions?limit=500"
    not_found(path, *ask(c, path, JSON))
    attributes = {"namespace": "default", "verb": "list", "resource": "pods"}
    for kind, spec in (("SelfSubjectAccessReview", {"resourceAttributes": attributes}),
                       ("SelfSubjectRulesReview", {"namespace": "default"})):
        answer, body = ask(c, f"/apis/authorization.k8s.io/v1/{kind.lower()}s", f"{PROTOBUF},{JSON}", "POST",
                           {"kind": kind, "apiVersion": "authorization.k8s.io/v1", "spec": spec})
        review = json.loads(body)
        assert answer.status == 201 and review["kind"] == kind, f"{kind}: {answer.status} {body}"
        assert review["status"].get("allowed", True) and "incomplete" in review["status"] or "allowed" in review["status"]
    for path in ("/openapi/v2", "/openapi/v3"):
        answer, body = ask(c, path, JSON)
        assert answer.status == 200 and json.loads(body)["paths"], path
    # Pods are not led into, and whoever asks is told what to do (kubectl exec, a dashboard's shell).
    pod = json.loads(ask(c, "/api/v1/pods", JSON, limit=1)[1])["items"][0]["metadata"]
    for method, sub, says in (("POST", "exec", "runc"), ("GET", "exec", "runc"), ("POST", "attach", "runc"),
                              ("POST", "portforward", "NodePort")):
        answer, body = ask(c, f"/api/v1/namespaces/{pod['namespace']}/pods/{pod['name']}/{sub}?command=ls", JSON, method)
        status = json.loads(body)
        assert answer.status == status["code"] == 501 and says in status["message"], f"{sub}: {body}"
    print("health, version, discovery, reviews, OpenAPI")


def python_client():
    kubernetes.config.load_kube_config()
    count, missing = {}, []
    for name in ("CoreV1Api", "AppsV1Api", "BatchV1Api", "NetworkingV1Api", "PolicyV1Api", "RbacAuthorizationV1Api",
                 "StorageV1Api", "DiscoveryV1Api", "CoordinationV1Api", "SchedulingV1Api", "NodeV1Api", "EventsV1Api"):
        api = getattr(kubernetes.client, name)()
        for verb in dir(api):
            if not verb.startswith("list_") or verb.endswith("_with_http_info") or "namespaced_" in verb:
                continue
            try:
                count[verb] = len(getattr(api, verb)(limit=500, resource_version="0").items)
            except kubernetes.client.ApiException as e:
                assert e.status == 404 and json.loads(e.body)["reason"] == "NotFound", f"{verb}: {e}"
                missing.append(verb)
    assert set(missing) == {"list_component_status", "list_csi_driver", "list_csi_node", "list_volume_attachment"}, missing
    core = kubernetes.client.CoreV1Api()
    pods = core.list_namespaced_pod("default")
    told = list(kubernetes.watch.Watch().stream(core.list_namespaced_pod, "default", timeout_seconds=1))
    assert {p.metadata.uid for p in pods.items} <= {e["object"].metadata.uid for e in told}, told
    assert core.read_namespaced_pod_log("talker", "default", tail_lines=1).startswith("tick ")
    dynamic = kubernetes.dynamic.DynamicClient(kubernetes.client.ApiClient())
    web = dynamic.resources.get(api_version="apps/v1", kind="Deployment").get(name="web", namespace="default")
    assert web.spec.replicas == 2 and web.kind == "Deployment", web
    try:
        core.delete_namespaced_pod("talker", "default")
        raise AssertionError("a pod was deleted")
    except kubernetes.client.ApiException as e:
        assert e.status == 405 and "git push" in json.loads(e.body)["message"], e
    print(f"python3-kubernetes {kubernetes.__version__}: {sum(count.values())} objects of {len(count)} lists")


beginnings()
reflectors()
python_client()
