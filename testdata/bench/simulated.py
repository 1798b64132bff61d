"""What the benchmarks make a cluster of: a kgitd of their own, nodes that only talk, manifests."""
import http.client
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time

# And no housekeeping of git behind the back of what is measured.
IDENTITY = ["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "gc.auto=0"]
READY = re.compile(r"^kgitd ready at https://([^:]+):(\d+)", re.M)


class Master:
    """kgitd on a free port of loopback, its state in a directory."""

    def __init__(self, bindir, state, *flags):
        self.bin, self.state, self.flags = bindir, state, flags
        self.process = None
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        self.env["KUBECONFIG"] = f"{state}/admin.kubeconfig"

    def start(self, wait_s=120):
        """Seconds until it said that it is ready."""
        log = open(f"{self.state}.log", "w+")
        begun = time.monotonic()
        self.process = subprocess.Popen(
            [f"{self.bin}/kgitd", "--state", self.state, "--listen", "127.0.0.1:0",
             "--pod-cidr", "10.128.0.0/9", "--node-monitor-grace", "24h", *self.flags],
            stdout=log, stderr=log, env=self.env)
        while True:
            said = READY.search(open(log.name).read())
            if said:
                break
            if self.process.poll() is not None or time.monotonic() > begun + wait_s:
                sys.exit("kgitd did not start:\n" + open(log.name).read())
            time.sleep(0.005)
        took = time.monotonic() - begun
        self.host, self.port = said.group(1), int(said.group(2))
        pki = f"{self.state}/pki"
        self.tls = ssl.create_default_context(cafile=f"{pki}/ca.crt")
        self.tls.load_cert_chain(f"{pki}/admin.crt", f"{pki}/admin.key")
        return took

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def connect(self):
        c = http.client.HTTPSConnection(self.host, self.port, context=self.tls, timeout=600)
        c.connect()
        c.sock.setsockopt(6, 1, 1)  # TCP_NODELAY
        return c

    def memory_mb(self, field="VmRSS"):
        text = open(f"/proc/{self.process.pid}/status").read()
        return int(re.search(rf"{field}:\s+(\d+)", text).group(1)) * 1024 / 1e6

    def cpu_s(self):
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ask(connection, method, path, body=None):
    """The answer's bytes; ends the benchmark where it is not 2xx."""
    connection.request(method, path, body=body)
    response = connection.getresponse()
    data = response.read()
    if response.status // 100 != 2:
        sys.exit(f"{method} {path}: {response.status} {data[:300]}")
    return data


def in_parallel(master, work, clients=16):
    """Calls fn(connection, item) for every item, over so many connections."""
    items, lock = iter(work[1]), threading.Lock()
    failed = []

    def one():
        connection = master.connect()
        while not failed:
            with lock:
                item = next(items, None)
            if item is None:
                break
            try:
                work[0](connection, item)
            except BaseException as e:  # noqa: told to the caller below
                failed.append(e)
        connection.close()

    threads = [threading.Thread(target=one) for _ in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failed:
        raise failed[0]


# ---- nodes ----

def node_name(i):
    return f"node-{i:04}"


def node_status(i):
    return {
        "addresses": [{"type": "InternalIP", "address": f"10.{i // 250}.{i % 250}.2"},
                      {"type": "Hostname", "address": node_name(i)}],
        "capacity": {"cpu": "16", "memory": "65841004Ki", "pods": "110", "ephemeral-storage": "263174212Ki"},
        "allocatable": {"cpu": "16", "memory": "65738604Ki", "pods": "110", "ephemeral-storage": "242541353378"},
        "nodeInfo": {"architecture": "amd64", "bootID": f"5d1d9f0a-8b7c-4b3e-9e55-{i:012}",
                     "containerRuntimeVersion": "runc://1.1.5", "kernelVersion": "6.1.0-18-amd64",
                     "kubeletVersion": "v1.32.0", "machineID": f"{i:032x}", "operatingSystem": "linux",
                     "osImage": "Debian GNU/Linux 12 (bookworm)", "systemUUID": f"5d1d9f0a-8b7c-4b3e-9e56-{i:012}"}}


def register(master, nodes):
    def one(connection, i):
        body = {"labels": {"kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux",
                           "kubernetes.io/hostname": node_name(i), "topology.kubernetes.io/zone": f"zone-{i % 3}"},
                "status": node_status(i)}
        ask(connection, "POST", f"/kgit/v1/nodes/{node_name(i)}/register", json.dumps(body))

    in_parallel(master, (one, range(nodes)))


def running(pod, restarts=0, tick=0):
    """The status of a pod that runs, as a node reports it."""
    at = f"2026-11-26T04:{28 + tick // 60 % 30:02}:{tick % 60:02}Z"
    name, uid = pod["name"], pod["uid"]
    ident = (uid.replace("-", "") * 2)[:64]
    return {"phase": "Running", "startTime": at,
            "conditions": [{"type": t, "status": "True", "lastTransitionTime": at} for t in
                           ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady")],
            "containerStatuses": [{
                "name": "main", "ready": True, "started": True, "restartCount": restarts,
                "image": pod["image"], "imageID": f"sha256:{ident[::-1]}", "containerID": f"runc://{ident}",
                "lastState": {}, "state": {"running": {"startedAt": at}}}],
            "qosClass": "Burstable"}


def report(connection, node, pods, restarts=0, tick=0):
    body = {"pods": [{"namespace": p["namespace"], "name": p["name"], "uid": p["uid"],
                      "status": running(p, restarts, tick)} for p in pods]}
    return ask(connection, "POST", f"/kgit/v1/nodes/{node}/status", json.dumps(body))


def pods_by_node(master, page=2000):
    """What runs where, in short: {node: [{namespace, name, uid, image}]}."""
    connection, more, found = master.connect(), "", {}
    while True:
        got = json.loads(ask(connection, "GET", f"/api/v1/pods?limit={page}{more}"))
        for item in got["items"]:
            meta = item["metadata"]
            found.setdefault(item["spec"].get("nodeName"), []).append(
                {"namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"],
                 "image": item["spec"]["containers"][0]["image"]})
        if not got["metadata"].get("continue"):
            connection.close()
            return found
        more = "&continue=" + got["metadata"]["continue"]


# ---- manifests ----

def deployment(i, replicas, namespace):
    return f"""apiVersion: v1
kind: ConfigMap
metadata: {{name: config-{i}, namespace: {namespace}}}
data:
  service.conf: |
    listen = 8080
    upstream = service-{i + 1}.{namespace}.svc
    timeout = 3s
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: service-{i}
  namespace: {namespace}
  labels: {{app: service-{i}, tier: web}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: service-{i}}}}}
  template:
    metadata:
      labels: {{app: service-{i}, tier: web}}
      annotations: {{prometheus.io/scrape: 'true', prometheus.io/port: '9090'}}
    spec:
      containers:
      - name: main
        image: registry.example.com/team/service:{i}
        imagePullPolicy: IfNotPresent
        env:
        - {{name: LOG_LEVEL, value: info}}
        - {{name: PORT, value: '8080'}}
        ports: [{{containerPort: 8080, name: http}}]
        readinessProbe:
          httpGet: {{path: /ready, port: http}}
          periodSeconds: 10
        resources:
          requests: {{cpu: 50m, memory: 64Mi}}
          limits: {{memory: 128Mi}}
        volumeMounts: [{{mountPath: /etc/service, name: config}}]
      volumes:
      - name: config
        configMap: {{name: config-{i}}}
"""


def namespace(name):
    return f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n"


class Work:
    """A work tree whose origin is the master's repository."""

    def __init__(self, master, directory):
        self.master, self.dir = master, directory
        subprocess.run([f"{master.bin}/kgit", "clone", directory], env=master.env, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def git(self, *args):
        done = subprocess.run(["git", "-C", self.dir, *IDENTITY, *args], env=self.master.env,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            sys.exit(f"git {' '.join(args)}:\n{done.stdout[-2000:]}")
        return done.stdout

    def write(self, path, text):
        path = f"{self.dir}/{path}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)

    def commit(self, subject):
        self.git("add", "-A")
        self.git("commit", "-qm", subject)

    def push(self, *args):
        """Seconds until git returned."""
        begun = time.monotonic()
        self.git("push", "-q", *args)
        return time.monotonic() - begun


class Scratch:
    """A directory that goes at the end, with what was started in it."""

    def __init__(self, keep=None):
        self.made = keep is None
        self.dir = keep or tempfile.mkdtemp(prefix="kgit-bench-", dir=os.environ.get("TMPDIR", "/var/tmp"))
        os.makedirs(self.dir, exist_ok=True)
        self.stops = []

    def __enter__(self):
        return self

    def __exit__(self, *what):
        for stop in reversed(self.stops):
            stop()
        if self.made:
            shutil.rmtree(self.dir, ignore_errors=True)
