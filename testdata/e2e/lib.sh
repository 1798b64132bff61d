# shellcheck shell=bash
# What the end-to-end tests share. A test is a script that sources this file and then says
# `cluster_up` (one node) or `cluster_up a b` (two). It runs in a network namespace of its own with
# a state directory of its own, and whatever happens, everything it made is gone when it ends:
# that nothing leaked is itself checked, and that no sanitizer and no daemon complained.
#
#   KGIT_BIN     the build whose programs are tested (default build/dev)
#   KGIT_IMAGE   an OCI archive made by testdata/make-busybox-image (default: made anew)
#   KGIT_LIMIT   seconds after which the test ends itself (default 240)
#   KGIT_KEEP    if set, the state directory is kept (everything else is removed)
#   KGIT_NO_SKIP if set, a test that cannot run here fails
set -euo pipefail
shopt -s inherit_errexit

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
KGIT_BIN=$(cd "${KGIT_BIN:-$TOP/build/dev}" && pwd)

skip() {
	echo "skipped: $*"
	[ -z "${KGIT_NO_SKIP:-}" ] || exit 1
	exit 77
}

[ "$(id -u)" = 0 ] || skip "needs root"
for tool in kubectl runc conmon nft skopeo git curl jq ip nsenter; do
	command -v "$tool" >/dev/null || skip "needs $tool"
done

# The outer shell gives the test its network namespace and its time limit. The signal goes to the
# whole group, so that the command that is waited for ends, too, and the test can clean up.
if [ -z "${KGIT_E2E:-}" ]; then
	export KGIT_E2E="e2e-$$"
	limit=${KGIT_LIMIT:-240} rc=0
	timeout --kill-after=80 "$limit" unshare --net -- "$BASH" "$0" "$@" </dev/null || rc=$?
	[ $rc != 124 ] || echo "FAILED: $(basename "$0") took more than $limit s"
	exit $rc
fi

# ---- surroundings ----

DIR=$(mktemp -d "${TMPDIR:-/var/tmp}/kgit-e2e.XXXXXX")
export TMPDIR=$DIR/tmp HOME=$DIR/home
mkdir "$TMPDIR" "$HOME" "$DIR/log" "$DIR/work"
STATE=$DIR/master
LOGS=$DIR/log
CLONE=$DIR/clone
MASTER=127.0.0.1:6443
export KUBECONFIG=$STATE/admin.kubeconfig
export PATH=$KGIT_BIN:$PATH
export GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0
unset GIT_SSL_CAINFO GIT_SSL_CAPATH GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE XDG_CACHE_HOME SSL_CERT_FILE
unset http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY
export ASAN_OPTIONS="log_path=$LOGS/sanitizer:detect_leaks=1"
export UBSAN_OPTIONS="log_path=$LOGS/sanitizer:print_stacktrace=1"
git config --global user.name tester
git config --global user.email tester@example.invalid
git config --global init.defaultBranch main

declare -A DAEMON=()   # name -> pid
declare -A NETNS=()    # node -> its network namespace below /run/netns; "": the test's own
declare -A HELPERS=()  # pids of what runs beside the test
declare -a EXPECTED=() # patterns of logged errors that are no failure
PATIENCE=60            # seconds; under a sanitizer all is several times slower
TEST=$(basename "$0")

say() { printf '[%4ds] %s\n' "$SECONDS" "$*"; }

fail() {
	printf 'FAILED: %s\n' "$*"
	exit 1
}

# The daemons may log errors that match.
expect_log_error() { EXPECTED+=("$1"); }

# ---- assertions ----

assert_eq() { # WHAT GOT WANTED
	[ "$2" = "$3" ] || fail "$1: got \"$2\", expected \"$3\""
}

assert_match() { # WHAT TEXT REGEX
	grep -qE -- "$3" <<<"$2" || fail "$1: expected /$3/ in:
$2"
}

assert_no_match() { # WHAT TEXT REGEX
	! grep -qE -- "$3" <<<"$2" || fail "$1: did not expect /$3/ in:
$2"
}

# ---- the API, and waiting ----

# api PATH [curl's options]: a GET as the admin.
api() {
	local path=$1
	shift
	curl -sS --noproxy '*' --cacert "$STATE/pki/ca.crt" --cert "$STATE/pki/admin.crt" \
		--key "$STATE/pki/admin.key" "$@" "https://$MASTER$path"
}

# Runs CMD until it succeeds. Between two tries it waits for the cluster to change (a watch), or
# half a second.
await() { # WHAT CMD...
	local what=$1 deadline=$((SECONDS + PATIENCE)) pipe fd pid line
	shift
	"$@" >/dev/null 2>&1 && return 0
	pipe=$(mktemp -u "$TMPDIR/await.XXXXXX")
	mkfifo "$pipe"
	exec {fd}<>"$pipe"
	rm "$pipe"
	curl -sSNZ --noproxy '*' --cacert "$STATE/pki/ca.crt" --cert "$STATE/pki/admin.crt" \
		--key "$STATE/pki/admin.key" "https://$MASTER/api/v1/pods?watch=1" \
		"https://$MASTER/apis/discovery.k8s.io/v1/endpointslices?watch=1" \
		1>&"$fd" 2>/dev/null &
	pid=$!
	while ! "$@" >/dev/null 2>&1; do
		if [ $SECONDS -ge $deadline ]; then
			kill -KILL "$pid" 2>/dev/null || true
			fail "waited $PATIENCE s in vain: $what; the last try of \`$*\`:
$("$@" 2>&1 | tail -n 5 || true)"
		fi
		# What came meanwhile is one reason to look, not many.
		if IFS= read -r -t 0.5 -u "$fd" line; then
			while IFS= read -r -t 0.01 -u "$fd" line; do :; done
		fi
	done
	# Not SIGTERM, which a shell that has not become curl yet would take for its own, and forget.
	kill -KILL "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
	exec {fd}<&-
}

# All is ready as `kgit status` sees it.
wait_ready() { # [SECONDS]
	local out
	out=$(kgit status --wait "${1:-$PATIENCE}s" 2>&1) || fail "not all became ready:
$out"
}

wait_pid() { # PID [SECONDS]
	timeout "${2:-$PATIENCE}" tail --pid="$1" -f /dev/null || fail "process $1 did not end"
}

# Starts something beside the test that is ended with it; its pid is in $!.
beside() { # OUTPUT CMD...
	local out=$1
	shift
	"$@" >"$out" 2>&1 &
	HELPERS[$!]=1
}

end_beside() { # PID
	unset "HELPERS[$1]"
	# By now the number may be somebody else's.
	[ "$(awk '{print $4}' "/proc/$1/stat" 2>/dev/null)" = $$ ] || return 0
	kill "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
}

revision() { api /api/v1/namespaces | jq -r .metadata.resourceVersion; }

# Is kubectl 1.MINOR or newer? Debian 12's is 1.20.
kubectl_since() { [ "$(kubectl version --client -o json | jq -r '.clientVersion.minor' | tr -dc 0-9)" -ge "$1" ]; }

# A ServiceAccount's token, as kubectl create token has it from 1.24 on.
account_token() { # NAME [NAMESPACE [SPEC]]
	api "/api/v1/namespaces/${2:-default}/serviceaccounts/$1/token" -X POST -H 'Content-Type: application/json' \
		-d "{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"TokenRequest\",\"spec\":${3:-{\}}}" |
		jq -r '.status.token? // error(.message)'
}

# A field of an object by jq: field deployments web .status.readyReplicas
field() { # KIND NAME JQ [NAMESPACE]
	kubectl get "$1" "$2" -n "${4:-default}" -o json | jq -r "$3"
}

# Waits until git's files have every revision: they follow some milliseconds behind (store.h).
git_follows() {
	git_is_there() {
		[ "$(git --git-dir "$STATE/cluster.git" log -1 \
			--format='%(trailers:key=Kgit-Revision,valueonly,separator=)' refs/kgit/state)" = "$(revision)" ]
	}
	await "git's files have every revision" git_is_there
}

pods() { # SELECTOR: names of pods that are not being deleted, sorted
	api "/api/v1/namespaces/default/pods?labelSelector=$1" |
		jq -r '.items[] | select(.metadata.deletionTimestamp == null) | .metadata.name' | sort
}

pod_count() { pods "$1" | wc -l; }
pods_are() { [ "$(pod_count "$1")" = "$2" ]; }
no_pods() { [ "$(api "/api/v1/namespaces/default/pods?labelSelector=$1" | jq '.items | length')" = 0 ]; }

endpoints() { # SERVICE: the ready addresses, sorted
	api "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io/service-name=$1" |
		jq -r '.items[].endpoints[]? | select(.conditions.ready) | .addresses[]' | sort
}

endpoints_are() { [ "$(endpoints "$1" | wc -l)" = "$2" ]; }

# ---- daemons ----

in_ns() { # NODE CMD...
	local ns=${NETNS[$1]}
	shift
	if [ -n "$ns" ]; then
		nsenter --net="/run/netns/$ns" -- "$@"
	else
		"$@"
	fi
}

# Starts a daemon and reads the line that says it is ready from its standard output.
launch() { # NAME NODE|"" CMD...
	local name=$1 node=$2 pipe=$DIR/$1.ready line fd
	shift 2
	[ -p "$pipe" ] || mkfifo "$pipe"
	if [ -n "$node" ] && [ -n "${NETNS[$node]}" ]; then
		nsenter --net="/run/netns/${NETNS[$node]}" -- "$@" >"$pipe" 2>>"$LOGS/$name.log" &
	else
		"$@" >"$pipe" 2>>"$LOGS/$name.log" &
	fi
	DAEMON[$name]=$!
	exec {fd}<"$pipe"
	IFS= read -r -t "$PATIENCE" -u "$fd" line || fail "$name did not start:
$(tail -n 20 "$LOGS/$name.log")"
	case $line in
	"${name%%@*} ready"*) ;;
	*) fail "$name said \"$line\" where its ready line was expected" ;;
	esac
}

start_kgitd() { # FLAGS...
	launch kgitd "" kgitd --state "$STATE" --listen "$MASTER" "$@"
}

node_dir() { echo "$DIR/node-$1"; }
# Node names name cgroups, which are the machine's: they are told apart by the test's pid.
node_name() { echo "$1-${KGIT_E2E#e2e-}"; }

start_node() { # NODE FLAGS...
	local node=$1 dir join=()
	shift
	dir=$(node_dir "$node")
	[ -e "$dir/pki/node.crt" ] || join=(--join "$(kgit token create --node "$(node_name "$node")")")
	launch "kgit-node@$node" "$node" kgit-node --state "$dir" --master "https://$MASTER" \
		--name "$(node_name "$node")" "${join[@]}" "$@"
}

# Ends a daemon as an administrator would: it must end by itself, with status 0.
stop_daemon() { # NAME
	local pid=${DAEMON[$1]} rc=0
	unset "DAEMON[$1]"
	kill -TERM "$pid"
	timeout "$PATIENCE" tail --pid="$pid" -f /dev/null || {
		kill -9 "$pid"
		fail "$1 did not end after SIGTERM"
	}
	wait "$pid" || rc=$?
	assert_eq "exit status of $1" "$rc" 0
}

kill9() { # NAME
	local pid=${DAEMON[$1]}
	unset "DAEMON[$1]"
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null || true
}

import_image() { # NODE REF
	kgit-node image import --state "$(node_dir "$1")" "oci-archive:$KGIT_IMAGE" "$2" \
		>>"$LOGS/import.out" 2>&1 || fail "import of $2:
$(cat "$LOGS/import.out")"
}

# ---- the network ----

# An address that is not loopback, and no default route: a machine on a lone switch.
uplink() {
	ip link set lo up
	ip link add uplink type veth peer name switch
	ip addr add 192.0.2.10/24 dev uplink
	ip link set uplink up
	ip link set switch up
}

# A bridge in the test's namespace (kgitd listens on its address) and a namespace for each node.
lan() { # NODES...
	local node n=10
	ip link set lo up
	ip link add lan type bridge
	ip addr add 192.0.2.1/24 dev lan
	ip link set lan up
	for node in "$@"; do
		NETNS[$node]=$KGIT_E2E-$node
		ip netns add "${NETNS[$node]}"
		ip link add "port-$node" type veth peer name uplink netns "${NETNS[$node]}"
		ip link set "port-$node" master lan up
		ip -n "${NETNS[$node]}" addr add "192.0.2.$n/24" dev uplink
		ip -n "${NETNS[$node]}" link set lo up
		ip -n "${NETNS[$node]}" link set uplink up
		n=$((n + 1))
	done
}

declare -a NODES=()
declare -a KGITD_FLAGS=()
declare -a NODE_FLAGS=()

# kgitd alone, for what needs no node.
master_up() {
	ip link set lo up
	start_kgitd "${KGITD_FLAGS[@]}"
	clone
	say "kgitd is up"
}

clone() {
	kgit clone "$CLONE" >"$LOGS/clone.out" 2>&1 || fail "kgit clone: $(cat "$LOGS/clone.out")"
}

# One node, "a", in the test's own namespace; or the named ones, each in its own.
cluster_up() { # [NODES...]
	local node
	if [ $# -eq 0 ]; then
		NODES=(a)
		NETNS[a]=
		uplink
	else
		NODES=("$@")
		MASTER=192.0.2.1:6443
		lan "$@"
	fi
	start_kgitd "${KGITD_FLAGS[@]}"
	if [ -z "${KGIT_IMAGE:-}" ] || [ ! -e "$KGIT_IMAGE" ]; then
		KGIT_IMAGE=$DIR/busybox.tar
		"$TOP/testdata/make-busybox-image" "$KGIT_IMAGE"
	fi
	for node in "${NODES[@]}"; do
		import_image "$node" kgit.local/busybox:1
		import_image "$node" kgit.local/busybox:2
		start_node "$node" "${NODE_FLAGS[@]}"
	done
	kubectl wait --for=condition=Ready node --all --timeout="${PATIENCE}s" >/dev/null ||
		fail "the nodes did not become ready"
	clone
	say "cluster is up"
}

# ---- git ----

# Commits all of the clone and pushes; the output is in $OUT.
OUT=
commit() { # MESSAGE
	git -C "$CLONE" add -A
	git -C "$CLONE" commit -qm "$1"
}

push() { # MESSAGE [git push's options]
	local message=$1
	shift
	commit "$message"
	OUT=$(git -C "$CLONE" push "$@" origin main 2>&1) || fail "git push ($message):
$OUT"
	say "pushed: $message"
}

# A push that must be refused; the commit is taken back from the clone afterwards.
push_refused() { # MESSAGE [git push's options]
	local message=$1
	shift
	commit "$message"
	if OUT=$(git -C "$CLONE" push "$@" origin main 2>&1); then
		fail "the push was taken ($message):
$OUT"
	fi
	git -C "$CLONE" reset -q --hard origin/main
}

# ---- manifests ----

# A Deployment of HTTP servers that serve $PAGE from a ConfigMap, and a Service in front of them.
web_yaml() { # NAME REPLICAS PAGE [IMAGE]
	cat <<YAML
apiVersion: v1
kind: ConfigMap
metadata:
  name: $1-page
data:
  index.html: |
    $3
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: $1
spec:
  replicas: $2
  selector:
    matchLabels:
      app: $1
  template:
    metadata:
      labels:
        app: $1
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - name: httpd
        image: ${4:-kgit.local/busybox:1}
        command: ["httpd", "-f", "-p", "8080", "-h", "/www"]
        ports:
        - name: http
          containerPort: 8080
        volumeMounts:
        - name: page
          mountPath: /www
      volumes:
      - name: page
        configMap:
          name: $1-page
---
apiVersion: v1
kind: Service
metadata:
  name: $1
spec:
  type: NodePort
  selector:
    app: $1
  ports:
  - name: http
    port: 80
    targetPort: http
YAML
}

# A Pod that runs a shell's command.
pod_yaml() { # NAME COMMAND [RESTART_POLICY]
	cat <<YAML
apiVersion: v1
kind: Pod
metadata:
  name: $1
  labels:
    app: $1
spec:
  restartPolicy: ${3:-Always}
  terminationGracePeriodSeconds: 2
  containers:
  - name: main
    image: kgit.local/busybox:1
    command: ["sh", "-c", $(jq -n --arg c "$2" '$c')]
YAML
}

# ---- what runs ----

fetch() { curl -sS --noproxy '*' --max-time 5 "$@"; }
serves() { [ "$(fetch "http://$1/")" = "$2" ]; } # ADDRESS PAGE

# Runs a command in the network namespace of a pod.
in_pod() { # NODE POD CMD...
	local node=$1 uid
	uid=$(field pod "$2" .metadata.uid)
	shift 2
	nsenter --net="$(node_dir "$node")/run/ns/$uid/net" -- "$@"
}

# The same with the pod's resolv.conf.
as_pod() { # NODE POD CMD...
	local node=$1 uid
	uid=$(field pod "$2" .metadata.uid)
	shift 2
	nsenter --net="$(node_dir "$node")/run/ns/$uid/net" -- unshare --mount --propagation private -- \
		sh -c 'mount --bind "$0" /etc/resolv.conf && exec "$@"' "$(resolv "$node" "$uid")" "$@"
}
resolv() { echo "$(node_dir "$1")/run/files/$2/resolv.conf"; } # NODE UID

pod_serves() { # NODE POD ADDRESS PAGE
	[ "$(in_pod "$1" "$2" curl -sS --noproxy '*' --max-time 5 "http://$3/")" = "$4" ]
}

cgroup_dirs() { find /sys/fs/cgroup -mindepth 1 -type d -name "$1" -prune 2>/dev/null; }

# "PID NAME" of what runs in the containers of a node, sorted.
container_pids() { # NODE
	local dir pid
	for dir in $(cgroup_dirs "$(node_name "$1")"); do
		find "$dir" -name helpers -prune -o -name cgroup.procs -exec cat {} + 2>/dev/null || true
	done | sort -un | while read -r pid; do
		case $(cat "/proc/$pid/comm" 2>/dev/null) in
		"" | conmon | runc*) ;;
		*) echo "$pid $(cat "/proc/$pid/comm")" ;;
		esac
	done
}

# ---- the end ----

LEAKS=0
leak() {
	printf 'FAILED: %s\n' "$*"
	LEAKS=1
}

dump() {
	local log
	echo "---- status"
	timeout 20 kgit status 2>&1 | tail -n 60 || true
	for log in "$LOGS"/kgit*.log "$LOGS"/sanitizer*; do
		[ -s "$log" ] || continue
		echo "---- $(basename "$log")"
		tail -n 60 "$log"
	done
}

stop_all() {
	local name pid rc
	for pid in "${!HELPERS[@]}"; do
		end_beside "$pid"
	done
	# The nodes first: they have something to say to the master.
	for name in $(printf '%s\n' "${!DAEMON[@]}" | sort -r); do
		pid=${DAEMON[$name]} rc=0
		kill -TERM "$pid" 2>/dev/null || true
		timeout 40 tail --pid="$pid" -f /dev/null || {
			leak "$name did not end after SIGTERM"
			kill -9 "$pid"
		}
		wait "$pid" || rc=$?
		[ $rc = 0 ] || leak "$name ended with status $rc"
	done
}

# Removes by force what `kgit-node reset` should have removed.
sweep() { # NODE
	local dir pid
	for dir in $(cgroup_dirs "$(node_name "$1")"); do
		find "$dir" -name cgroup.procs -exec cat {} + 2>/dev/null | while read -r pid; do
			kill -9 "$pid" 2>/dev/null || true
		done
	done
	for dir in $(cgroup_dirs "$(node_name "$1")"); do
		for _ in 1 2 3 4 5 6 7 8 9 10; do
			find "$dir" -depth -type d -exec rmdir {} + 2>/dev/null && break
			sleep 0.1
		done
	done
}

reset_node() { # NODE
	local dir out
	dir=$(node_dir "$1")
	[ -d "$dir" ] || return 0
	out=$(in_ns "$1" timeout 60 kgit-node reset --state "$dir" 2>&1) ||
		leak "kgit-node reset of $1: $out"
	out=$(container_pids "$1")
	[ -z "$out" ] || leak "processes were left in containers of $1: $out"
	out=$(cgroup_dirs "$(node_name "$1")")
	[ -z "$out" ] || leak "control groups of $1 were left: $out"
	out=$(in_ns "$1" nft list tables 2>&1 | grep kgit || true)
	[ -z "$out" ] || leak "nftables tables of $1 were left: $out"
	out=$(in_ns "$1" ip -o link | grep -vE ': (lo|uplink|switch|lan|port-[a-z]+)[@:]' || true)
	[ -z "$out" ] || leak "network links of $1 were left: $out"
	sweep "$1"
}

# No process of ours but this shell and its parent may be left. In this shell alone, so that the
# check does not find itself.
check_processes() {
	local d pid environ
	for d in /proc/[0-9]*; do
		pid=${d#/proc/}
		if [ "$pid" = $$ ] || [ "$pid" = "$PPID" ]; then continue; fi
		environ=
		{ environ=$(tr '\0' '\n' <"$d/environ"); } 2>/dev/null || continue
		case $environ in *"KGIT_E2E=$KGIT_E2E"*) ;; *) continue ;; esac
		[ -e "$d" ] || continue
		leak "process $pid was left: $(tr '\0' ' ' <"$d/cmdline" 2>/dev/null || true)"
		kill -9 "$pid" 2>/dev/null || true
	done
}

check_mounts() {
	local at found=
	for at in $(awk -v d="$DIR/" 'index($5, d) == 1 {print $5}' /proc/self/mountinfo | sort -r); do
		found="$found $at"
		umount "$at" 2>/dev/null || umount -l "$at" 2>/dev/null || true
	done
	[ -z "$found" ] || leak "mounts were left:$found"
}

check_logs() {
	local log lines pattern
	for log in "$LOGS"/sanitizer*; do
		[ -e "$log" ] || continue
		leak "a sanitizer reported: $(head -c 6000 "$log")"
	done
	for log in "$LOGS"/kgit*.log; do
		[ -e "$log" ] || continue
		# "TIME error TEXT", and whatever does not look like a line of the log at all.
		lines=$(grep -vE '^[0-9TZ:.-]+ (warn|info|debug) ' "$log" || true)
		for pattern in "${EXPECTED[@]}"; do
			lines=$(grep -vE -- "$pattern" <<<"$lines" || true)
		done
		[ -z "$lines" ] || leak "$(basename "$log") has errors:
$(head -n 20 <<<"$lines")"
	done
	lines=$(find "$TMPDIR" -mindepth 1)
	[ -z "$lines" ] || leak "temporary files were left: $lines"
}

# Whatever the test did, its history is what its inputs make.
check_history() {
	local out
	[ -d "$STATE/cluster.git" ] && [ -z "${FORGED:-}" ] || return 0
	out=$(kgit verify --git-dir "$STATE/cluster.git" 2>&1) || leak "kgit verify: $out"
	say "$out"
}

finish() {
	local rc=$? node
	trap : TERM INT
	trap - EXIT
	set +e
	[ $rc = 0 ] || dump
	stop_all
	[ $rc != 0 ] || check_history
	for node in "${NODES[@]}"; do
		reset_node "$node"
	done
	check_processes
	check_mounts
	for node in "${!NETNS[@]}"; do
		[ -z "${NETNS[$node]:-}" ] || ip netns del "${NETNS[$node]}"
	done
	[ $rc != 0 ] || check_logs
	cd /
	if [ -n "${KGIT_KEEP:-}" ]; then
		echo "kept: $DIR"
	else
		rm -rf --one-file-system "$DIR"
	fi
	[ $rc != 0 ] || rc=$LEAKS
	[ $rc != 0 ] || say "$TEST: ok"
	exit $rc
}
trap finish EXIT
trap 'exit 143' TERM INT
cd "$DIR/work"
