#!/bin/bash
# The endpoints of nodes, with nodes that are curl: node_test.sh BIN.
# shellcheck source=cmd/kgitd/testing.sh
. "$(dirname "$0")/testing.sh"
command -v openssl >/dev/null || {
	echo "SKIPPED: no openssl"
	exit 77
}
master_flags=(--node-monitor-grace 1s --pod-eviction-timeout 60s)
start_master

# ---- joining
token() { # KIND [TTL]
	admin POST /kgit/v1/tokens -d "{\"kind\":\"$1\",\"ttlSeconds\":${2:-3600}}" | member token
}
key_of() {
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=any" \
		-keyout "$dir/$1.key" -out "$dir/$1.csr" 2>/dev/null
}
# join NAME TOKEN: the HTTP status; the certificate in NAME.crt
join() {
	local csr status
	csr=$(awk '{ printf "%s\\n", $0 }' "$dir/$1.csr")
	status=$(curl -sS --cacert "$ca" -o "$dir/joined" -w '%{http_code}' "$url/kgit/v1/join" \
		-d "{\"token\":\"$2\",\"node\":\"${3:-$1}\",\"csr\":\"$csr\"}")
	member certificate <"$dir/joined" | sed 's/\\n/\n/g' >"$dir/$1.crt"
	echo "$status"
}
key_of n1 && key_of n2
check_same "the CA is anybody's" "$(cat "$ca")" "$(curl -sS --cacert "$ca" "$url/kgit/v1/ca")"
good=$(token join)
check_same "join" 200 "$(join n1 "$good")"
subject=$(openssl x509 -noout -subject -nameopt RFC2253 -in "$dir/n1.crt")
check "join: the certificate names the node" grep -q 'CN=system:node:n1\>' <<<"$subject"
check "join: and its group" grep -q 'O=system:nodes\>' <<<"$subject"
check_same "join: another node" 200 "$(join n2 "$good")"
cp "$dir/n1.csr" "$dir/x.csr"
check_same "join with a wrong secret" 401 "$(join x "${good%.*.*}.0000000000000000.${good##*.}")"
check_same "join with nonsense" 401 "$(join x nonsense)"
check_same "join with an access token" 401 "$(join x "$(token access)")"
check_same "join as a bad name" 422 "$(join x "$good" 'Not/A/Name')"
check_same "join with a bad request" 400 "$(curl -sS --cacert "$ca" -o /dev/null \
	-w '%{http_code}' "$url/kgit/v1/join" -d 'nonsense')"
short=$(token join 1)
sleep 2.1 # the end of a token is a whole second
check_same "join with an expired token" 401 "$(join x "$short")"
check_same "tokens are the admin's to make" 403 "$(curl -sS --cacert "$ca" -o /dev/null \
	-w '%{http_code}' "$url/kgit/v1/tokens" -d '{"kind":"join"}')"

# node NAME METHOD PATH [curl arguments]
node() {
	local name=$1 method=$2 path=$3
	shift 3
	${via-} curl -sS --max-time 60 --cacert "$ca" --cert "$dir/$name.crt" --key "$dir/$name.key" \
		-X "$method" "$url$path" "$@"
}
status_of() {
	node "$@" -o /dev/null -w '%{http_code}'
}
facts() {
	echo '{"labels":{"disk":"ssd"},"status":{"addresses":[{"type":"InternalIP","address":"192.0.2.'"$1"'"}],
"capacity":{"cpu":"4","memory":"4Gi","pods":"110"},"allocatable":{"cpu":"4","memory":"4Gi","pods":"110"},
"nodeInfo":{"kubeletVersion":"kgit"}}}'
}
beat() { # NAME: until it is killed
	while :; do
		node "$1" POST "/kgit/v1/nodes/$1/lease" -d '{}' >/dev/null 2>&1
		sleep 0.2
	done
}
ready() { # NAME
	admin GET "/api/v1/nodes/$1" | tr -d '\n ' | grep -q '"status":"True","type":"Ready"'
}
node n1 POST /kgit/v1/nodes/n1/register -d "$(facts 1)" >"$dir/out"
check "register" grep -q '"podCIDR":"10.244.0.0/24"' "$dir/out"
beat n1 &
beat1=$!
pids+=("$beat1")
check "a registered node is ready" ready n1
check_same "register: nonsense" 400 "$(status_of n1 POST /kgit/v1/nodes/n1/register -d '[]')"
# An object where a list belongs: read as items, its members would be addresses of the sender's choice.
forged='{"a":4294967302,"zAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA":1}'
check_same "register: conditions that are no list" 400 \
	"$(status_of n1 POST /kgit/v1/nodes/n1/register -d "{\"status\":{\"conditions\":$forged}}")"
check_same "register: a label that is not for nodes to give" 403 \
	"$(status_of n1 POST /kgit/v1/nodes/n1/register -d '{"labels":{"node-role.kubernetes.io/worker":""}}')"
check_same "register: a label that is no text" 400 \
	"$(status_of n1 POST /kgit/v1/nodes/n1/register -d '{"labels":{"a":7}}')"
check_same "status: pods that are no list" 200 \
	"$(status_of n1 POST /kgit/v1/nodes/n1/status -d "{\"pods\":$forged}")"
check_same "status: containers that are no list" 400 "$(status_of n1 POST /kgit/v1/nodes/n1/status \
	-d "{\"pods\":[{\"namespace\":\"x\",\"name\":\"x\",\"uid\":\"x\",\"status\":{\"containerStatuses\":$forged}}]}")"
check_same "status: a node's conditions that are no list" 400 \
	"$(status_of n1 POST /kgit/v1/nodes/n1/status -d "{\"node\":{\"status\":{\"conditions\":$forged}}}")"

# ---- a node's certificate reads nothing but its own
check_same "another's registration" 403 \
	"$(status_of n1 POST /kgit/v1/nodes/n2/register -d "$(facts 2)")"
check_same "another's watch" 403 "$(status_of n1 GET /kgit/v1/nodes/n2/watch)"
check_same "another's view" 403 \
	"$(status_of n1 GET '/kgit/v1/nodes/n2.git/info/refs?service=git-upload-pack')"
check_same "another's status" 403 "$(status_of n1 POST /kgit/v1/nodes/n2/status -d '{}')"
check_same "the repository" 403 \
	"$(status_of n1 GET '/cluster.git/info/refs?service=git-upload-pack')"
check_same "pushing" 403 "$(status_of n1 GET '/cluster.git/info/refs?service=git-receive-pack')"
check_same "pods" 403 "$(status_of n1 GET /api/v1/pods)"
check_same "config maps" 403 "$(status_of n1 GET /api/v1/namespaces/default/configmaps/x)"
check_same "the log" 403 "$(status_of n1 GET /kgit/v1/log)"
check_same "tokens" 403 "$(status_of n1 POST /kgit/v1/tokens -d '{"kind":"join"}')"
check_same "health is anybody's" 200 "$(status_of n1 GET /healthz)"
check_same "no such path of its own" 404 "$(status_of n1 GET /kgit/v1/nodes/n1/nonsense)"

# ---- the watch
watch() { # NAME
	via=exec node "$1" GET "/kgit/v1/nodes/$1/watch" -N --max-time 300 >"$dir/$1.watch" 2>/dev/null &
	echo $!
}
view_of() {
	grep -o '"view":"[0-9a-f]*"' "$dir/$1.watch" | tail -1 | cut -d'"' -f4
}
watch1=$(watch n1)
pids+=("$watch1")
check "the watch tells the view at once" wait_for 5 grep -q '"view":"[0-9a-f]\{40\}"' "$dir/n1.watch"
first=$(view_of n1)

git init -q "$dir/w" && cd "$dir/w" || exit 1
git remote add origin "$(remote)"
cat >app.yaml <<-END
	apiVersion: v1
	kind: ConfigMap
	metadata:
	  name: page
	data:
	  index.html: hello
	---
	apiVersion: v1
	kind: ConfigMap
	metadata:
	  name: secret
	data:
	  of: others
	---
	apiVersion: v1
	kind: Service
	metadata:
	  name: web
	spec:
	  selector: {app: web}
	  ports: [{port: 80, targetPort: 8080}]
	---
	apiVersion: v1
	kind: Pod
	metadata:
	  name: web
	  labels: {app: web}
	spec:
	  containers:
	  - name: c
	    image: busybox
	    volumeMounts: [{name: page, mountPath: /www}]
	  volumes:
	  - name: page
	    configMap: {name: page}
END
git add -A && git commit -qm app
try git push origin main
check "push" [ $? -eq 0 ]
check "push: where the pod goes" said 'Pod default/web to n1'
moved() {
	[ "$(view_of n1)" != "$1" ]
}
check "the watch tells that the view moved" wait_for 5 moved "$first"

# ---- the view, by a real git
node_git() { # NAME ARGUMENTS
	local name=$1
	shift
	git -c "http.sslCert=$dir/$name.crt" -c "http.sslKey=$dir/$name.key" "$@"
}
node_git n1 clone -q "$url/kgit/v1/nodes/n1.git" "$dir/v1" >"$dir/out" 2>&1
check "clone of the view" [ $? -eq 0 ]
check_same "the clone is at the view" "$(view_of n1)" "$(git -C "$dir/v1" rev-parse HEAD)"
git -C "$dir/v1" fsck --strict >"$dir/out" 2>&1
check "the clone: git fsck" [ $? -eq 0 ]
check_same "the view holds what concerns the node" \
	"configmaps/default/page.yaml node.yaml nodes/n1.yaml pods/default/web.yaml services/default/web.yaml" \
	"$(git -C "$dir/v1" ls-files | tr '\n' ' ' | sed 's/ $//')"
uid=$(admin GET /api/v1/namespaces/default/pods/web | member uid | head -1)
[ -n "$uid" ] || uid=$(admin GET /api/v1/namespaces/default/pods/web | sed 's/,/\n/g' | sed -n 's/.*"uid": *"\([^"]*\)".*/\1/p' | head -1)
for i in $(seq 1 30); do
	sed -i "s/hello.*/hello $i/" app.yaml
	git commit -qam "hello $i"
	git push -q origin main 2>/dev/null
	if [ $((i % 3)) = 0 ]; then
		node_git n1 -C "$dir/v1" -c protocol.version=0 fetch -q origin >"$dir/out" 2>&1 ||
			check "fetch of view $i" false
	fi
done
node_git n1 -C "$dir/v1" fetch -q origin >"$dir/out" 2>&1
check "fetches of the view" [ $? -eq 0 ]
check "the fetch brought the last change" \
	[ "$(git -C "$dir/v1" show FETCH_HEAD:configmaps/default/page.yaml | grep -c 'hello 30')" = 1 ]
git -C "$dir/v1" fsck --strict >"$dir/out" 2>&1
check "after the fetches: git fsck" [ $? -eq 0 ]
want() {
	printf '0032want %s\n00000009done\n' "$1"
}
other=$(state_git rev-parse HEAD)
want "$other" | node n1 POST /kgit/v1/nodes/n1.git/git-upload-pack --data-binary @- >"$dir/out"
check "no other commit can be had from it" grep -q 'not our ref' "$dir/out"
check_same "it cannot be pushed to" 403 \
	"$(status_of n1 GET '/kgit/v1/nodes/n1.git/info/refs?service=git-receive-pack')"

# ---- status
report() { # READY [GONE]
	echo '{"pods":[{"namespace":"default","name":"web","uid":"'"$uid"'","gone":'"${2:-false}"',"status":{
"phase":"Running","startTime":"2026-01-01T00:00:00Z","conditions":[{"type":"Ready","status":"'"$1"'"},
{"type":"ContainersReady","status":"'"$1"'"}],"containerStatuses":[{"name":"c","ready":true,"restartCount":0,
"image":"busybox","imageID":"sha256:1","containerID":"kgit://1","state":{"running":{"startedAt":"2026-01-01T00:00:00Z"}}}]}}]}'
}
slices() {
	admin GET '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io/service-name=web' | tr -d '\n '
}
check_same "status" 200 "$(status_of n1 POST /kgit/v1/nodes/n1/status -d "$(report True)")"
check "status: the endpoint is ready" grep -q '"conditions":{"ready":true' <<<"$(slices)"
check_same "status: nonsense" 422 \
	"$(status_of n1 POST /kgit/v1/nodes/n1/status -d '{"pods":[{"namespace":"default","name":"web","uid":"u","status":3}]}' | sed s/400/422/)"
check_same "status of a pod that is none: ignored" 200 "$(status_of n1 POST \
	/kgit/v1/nodes/n1/status -d '{"pods":[{"namespace":"default","name":"no","uid":"u","status":{}}]}')"
told() {
	admin GET /api/v1/namespaces/default/events >"$dir/events"
	for reason in Scheduled Pulled Created Started; do
		grep -q "\"reason\": *\"$reason\"" "$dir/events" || return 1
	done
}
check "events: scheduled, pulled, created, started" wait_for 5 told
ready_view() {
	node_git n1 -C "$dir/v1" fetch -q origin 2>/dev/null
	git -C "$dir/v1" show FETCH_HEAD:services/default/web.yaml 2>/dev/null | grep -q ':8080'
}
check "the view has the ready endpoint" wait_for 5 ready_view

# ---- what is used
used() { admin GET "/apis/metrics.k8s.io/v1beta1/$1" | tr -d '\n '; }
use() { # NODE USAGE
	status_of "$1" POST "/kgit/v1/nodes/$1/lease" -d '{"usage":'"$2"'}'
}
a_pod() { # NAME UID
	echo '{"namespace":"default","name":"'"$1"'","uid":"'"$2"'","containers":[{"name":"c","cpu":1500000,"memory":3145728}]}'
}
check_same "usage" 200 "$(use n1 '{"windowMs":8000,"cpu":250000000,"memory":1073741824,"pods":[
'"$(a_pod web "$uid"),$(a_pod web other),$(a_pod none "$uid")"']}')"
check "usage: of the node" grep -q '"name":"n1".*"usage":{"cpu":"250000000n","memory":"1048576Ki"},"window":"8.000s"' <<<"$(used nodes)"
check "usage: of its pod" grep -q '"containers":\[{"name":"c","usage":{"cpu":"1500000n","memory":"3072Ki"}}\]' <<<"$(used namespaces/default/pods/web)"
check_same "usage: of nothing else" 1 "$(used pods | grep -o '"containers"' | wc -l)"
check_same "usage: nonsense" 400 "$(use n1 '[]')"
check_same "usage: lists that are none" 200 "$(use n1 "{\"pods\":$forged}")"
check_same "usage of another node" 403 "$(status_of n2 POST /kgit/v1/nodes/n1/lease -d '{"usage":{}}')"
check_same "usage: of another node's pod" 200 "$(use n2 '{"windowMs":1,"pods":['"$(a_pod web "$uid")"']}')"
sleep 1.1 # it is looked at once a second
check_same "usage: a node is not believed of another's pod" 0 "$(used pods | grep -o '"containers"' | wc -l)"
check_same "usage cannot be watched" 405 "$(admin GET '/apis/metrics.k8s.io/v1beta1/pods?watch=1' -o /dev/null -w '%{http_code}')"

# ---- logs
logs() { # [curl arguments], QUERY in $query
	admin GET "/api/v1/namespaces/default/pods/web/log?${query-}" "$@"
}
asked() { # the id of the newest request for a log
	grep -o '"log":{[^}]*' "$dir/n1.watch" | tail -1 | sed 's/.*"id":"\([0-9a-f]*\)".*/\1/'
}
new_request() {
	[ -n "$(asked)" ] && [ "$(asked)" != "$1" ]
}
query='tailLines=5&container=c' logs >"$dir/log" 2>&1 &
reader=$!
check "a log is asked for" wait_for 5 new_request ""
id=$(asked)
check "the request says what" grep -q '"container":"c".*"tail":5\|"tail":5.*"container":"c"' "$dir/n1.watch"
check_same "another node cannot serve it" 403 \
	"$(status_of n2 POST "/kgit/v1/nodes/n1/streams/$id" -d x)"
check_same "the node serves it" 200 "$(status_of n1 POST "/kgit/v1/nodes/n1/streams/$id" \
	-H 'Transfer-Encoding: chunked' --data-binary 'line 1
line 2
')"
wait $reader
check_same "the reader has it" "line 1
line 2" "$(cat "$dir/log")"
check_same "served once" 404 "$(status_of n1 POST "/kgit/v1/nodes/n1/streams/$id" -d x)"
logs >"$dir/log" -w '%{http_code}' 2>&1 &
reader=$!
wait_for 5 new_request "$id"
id=$(asked)
status_of n1 POST "/kgit/v1/nodes/n1/streams/$id?code=400&error=container%20is%20waiting" -d '' >/dev/null
wait $reader
check "the node's refusal is told" grep -q 'container is waiting' "$dir/log"
check "the node's refusal: its status" grep -q '400$' "$dir/log"
log_code() { query=$1 logs -o "$dir/log" -w '%{http_code}'; }
check_same "lines that cannot be" 422 "$(log_code tailLines=-1)"
check "lines that cannot be: why" grep -q '"tailLines: Invalid value: -1: must be greater than or equal to 0"' "$dir/log"
check_same "no number of lines" 400 "$(log_code tailLines=x)"
check_same "since no time at all" 422 "$(log_code sinceSeconds=0)"
check_same "no bytes" 422 "$(log_code limitBytes=0)"
check_same "a number too large" 400 "$(log_code limitBytes=9223372036854775808)"
check_same "no time" 400 "$(log_code sinceTime=yesterday)"
check_same "two times" 422 "$(log_code 'sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z')"
check_same "no such container" 400 "$(query=container=no logs -o /dev/null -w '%{http_code}')"

# followed: what the node writes is read at once, through a fifo that stays open
mkfifo "$dir/fifo"
via=exec query=follow=true logs -N --max-time 100 >"$dir/log" 2>/dev/null &
reader=$!
wait_for 5 new_request "$id"
id=$(asked)
via=exec node n1 POST "/kgit/v1/nodes/n1/streams/$id" -H 'Transfer-Encoding: chunked' -T - \
	<"$dir/fifo" >"$dir/served" 2>&1 &
server=$!
exec 5>"$dir/fifo"
echo one >&5
check "followed: the first line" wait_for 5 grep -q one "$dir/log"
echo two >&5
check "followed: the second line" wait_for 5 grep -q two "$dir/log"
kill $reader
check "the reader goes: the node is told" wait_for 5 grep -q "{\"logEnd\":\"$id\"}" "$dir/n1.watch"
gone() {
	(echo more >&5) 2>/dev/null # the subshell dies where nobody reads any more
	! kill -0 "$1" 2>/dev/null
}
check "the reader goes: the upload is broken" wait_for 5 gone $server
exec 5>&-
wait $server 2>/dev/null

via=exec query=follow=true logs -N --max-time 100 >"$dir/log" 2>"$dir/log.err" &
reader=$!
wait_for 5 new_request "$id"
id=$(asked)
via=exec node n1 POST "/kgit/v1/nodes/n1/streams/$id" -H 'Transfer-Encoding: chunked' -T - \
	<"$dir/fifo" >"$dir/served" 2>&1 &
server=$!
exec 5>"$dir/fifo"
echo one >&5
wait_for 5 grep -q one "$dir/log"
kill -9 $server
wait $reader
check "the node goes: the reader's log is cut off, visibly" [ $? -ne 0 ]
exec 5>&-
# more than any buffer, to a reader that is slow
head -c 5000000 /dev/urandom | base64 -w 79 >"$dir/long"
logs --limit-rate 4M >"$dir/log" 2>/dev/null &
reader=$!
wait_for 5 new_request "$id"
id=$(asked)
node n1 POST "/kgit/v1/nodes/n1/streams/$id" -H 'Transfer-Encoding: chunked' -T "$dir/long" >/dev/null
wait $reader
check "a long log, a slow reader" cmp "$dir/long" "$dir/log"

# ---- the node's stream breaks
kill "$watch1"
wait "$watch1" 2>/dev/null
no_stream() {
	query='' logs -o "$dir/out" -w '%{http_code}' | grep -q 503
}
check "logs of a node that is not connected" wait_for 60 no_stream
check "logs of a node that is not connected: why" said 'node n1 is not connected'
check "a broken stream alone is no lost node" ready n1

# ---- silence
kill $beat1
wait $beat1 2>/dev/null
t0=$(now_ms)
check "a silent node is lost" wait_for 10 not ready n1
check "but not before its time ($(($(now_ms) - t0)) ms)" [ $(($(now_ms) - t0)) -gt 500 ]
check "its endpoints are not ready" not grep -q '"conditions":{"ready":true' <<<"$(slices)"
admin POST /kgit/v1/nodes/n1/lease -d '{}' >/dev/null
sleep 0.3
check "an admin's look is no sign of life" not ready n1
rev=$(revision)
sleep 1.5
check_same "silence makes no more revisions" "$rev" "$(revision)"
beat n1 &
pids+=($!)
check "it speaks: ready again" wait_for 5 ready n1
again() {
	grep -q '"conditions":{"ready":true' <<<"$(slices)"
}
node n1 POST /kgit/v1/nodes/n1/status -d "$(report True)" >/dev/null
check "and so are its endpoints" wait_for 5 again
lost_told() {
	admin GET /api/v1/events >"$dir/events" && grep -q '"reason": *"NodeNotReady"' "$dir/events" &&
		grep -q '"reason": *"NodeReady"' "$dir/events"
}
check "events: not ready, ready" wait_for 5 lost_told

# ---- a pod goes
git rm -q app.yaml && git commit -qm gone
try git push -o allow-delete=4 origin main
check "the pod's deletion is pushed" [ $? -eq 0 ]
check "the pod stays until the node says so" grep -q deletionTimestamp \
	<<<"$(admin GET /api/v1/namespaces/default/pods/web)"
node n1 POST /kgit/v1/nodes/n1/status -d "$(report False true)" >/dev/null
check_same "then it is gone" 404 \
	"$(admin GET /api/v1/namespaces/default/pods/web -o /dev/null -w '%{http_code}')"
check_whole "nodes"

# ---- kgitd ends while streams are open and a log is waited for
watch1=$(watch n1)
pids+=("$watch1")
t0=$(now_ms)
stop_master
check "it ends at once ($(($(now_ms) - t0)) ms)" [ $(($(now_ms) - t0)) -lt 4000 ]
start_master
check "a known node gets its time anew" ready n1
finish
