#!/bin/sh
# What the kubectl on the PATH (or $KUBECTL) makes of the API: runs it against a small server with
# fixed objects and compares its text. Ends with 77 where there is no kubectl.
#   kubectl_test.sh KUBECTL_SERVER SOURCE_DIR
set -u
server=$1
source=$2
kubectl=${KUBECTL:-kubectl}
command -v "$kubectl" >/dev/null || {
	echo "SKIPPED: no kubectl; install kubernetes-client"
	exit 77
}
dir=$(mktemp -d)
failed=0
server_pid=
watch_pid=

clean() {
	exec 3>&-
	[ -n "$watch_pid" ] && kill "$watch_pid" 2>/dev/null
	[ -n "$server_pid" ] && wait "$server_pid"
	rm -rf "$dir"
}
trap clean EXIT

mkfifo "$dir/in" "$dir/out"
"$server" "$source/testdata/cluster.yaml" "$dir/kubeconfig" <"$dir/in" >"$dir/out" &
server_pid=$!
exec 3>"$dir/in" 4<"$dir/out"
read -r line <&4
[ "$line" = ready ] || exit 1
# Nothing of the caller's: no cache of another server, no other cluster.
export KUBECONFIG="$dir/kubeconfig" HOME="$dir"

tell() {
	echo "$*" >&3
	read -r line <&4
	[ "$line" = ok ] || exit 1
}

k() {
	timeout 30 "$kubectl" "$@" 2>&1 </dev/null
}

# check NAME EXPECTED ACTUAL: blanks at line ends and runs of blanks aside, the texts are equal.
squeeze() {
	printf '%s\n' "$1" | sed 's/[[:space:]]\{1,\}/ /g; s/ $//'
}
check() {
	if [ "$(squeeze "$2")" = "$(squeeze "$3")" ]; then
		echo "ok   $1"
	else
		failed=1
		echo "FAIL $1"
		squeeze "$2" >"$dir/expected"
		squeeze "$3" >"$dir/actual"
		diff -u "$dir/expected" "$dir/actual"
	fi
}
# has NAME PATTERN ACTUAL: some line matches the (basic) regular expression.
has() {
	if printf '%s\n' "$3" | grep -q -- "$2"; then
		echo "ok   $1"
	else
		failed=1
		echo "FAIL $1: nothing matches '$2' in:"
		printf '%s\n' "$3"
	fi
}

check "get pods" "NAME READY STATUS RESTARTS AGE
web-5d6f7c8b9-bcdfg 1/1 Running 0 30s
web-5d6f7c8b9-hjklm 0/1 ContainerCreating 0 30s" "$(k get pods)"
check "get pods -o wide" "NAME READY STATUS RESTARTS AGE IP NODE NOMINATED NODE READINESS GATES
web-5d6f7c8b9-bcdfg 1/1 Running 0 30s 10.244.0.2 n1 <none> <none>
web-5d6f7c8b9-hjklm 0/1 ContainerCreating 0 30s <none> n1 <none> <none>" "$(k get pods -o wide)"
check "get deploy,rs" "NAME READY UP-TO-DATE AVAILABLE AGE
deployment.apps/web 1/2 2 1 30s

NAME DESIRED CURRENT READY AGE
replicaset.apps/web-5d6f7c8b9 2 2 1 30s" "$(k get deploy,rs)"
check "get svc,ep" "NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE
service/web ClusterIP 10.96.0.17 <none> 80/TCP 30s

NAME ENDPOINTS AGE
endpoints/web 10.244.0.2:8080 30s" "$(k get svc,ep)"
check "get nodes" "NAME STATUS ROLES AGE VERSION
n1 Ready <none> 50s v1.32.0" "$(k get nodes)"
check "get with a selector" "NAME READY STATUS RESTARTS AGE
web-5d6f7c8b9-bcdfg 1/1 Running 0 30s" \
	"$(k get pods -l app=web,app --field-selector status.phase=Running)"
check "get -A -o name" "pod/web-5d6f7c8b9-bcdfg
pod/web-5d6f7c8b9-hjklm" "$(k get pods -A -o name)"
check "get by pages" "pod/web-5d6f7c8b9-bcdfg
pod/web-5d6f7c8b9-hjklm" "$(k get pods --chunk-size=1 -o name)"
check "get -o jsonpath" "demo/web:1" \
	"$(k get deploy web -o 'jsonpath={.spec.template.spec.containers[0].image}')"
check "get -o yaml" "apiVersion: v1
data:
 index.html: |
 hello
kind: ConfigMap
metadata:
 creationTimestamp: \"2026-01-01T00:00:20Z\"
 name: page
 namespace: default
 resourceVersion: \"1\"
 uid: 00000000-0000-5000-8000-000000000020" "$(k get cm page -o yaml)"
check "get what is not there" 'Error from server (NotFound): pods "nope" not found' \
	"$(k get pod nope)"
check "get an unknown resource" "error: the server doesn't have a resource type \"widgets\"" \
	"$(k get widgets)"
has "get all" "^replicaset.apps/web-5d6f7c8b9 " "$(k get all)"
has "api-resources" "^deployments *deploy *apps/v1 *true *Deployment" "$(k api-resources)"
has "api-versions" "^apps/v1" "$(k api-versions)"
has "version" "Server Version.*v1.32.0+kgit" "$(k version)"

text=$(k describe deploy web)
has "describe deploy: replicas" "^Replicas: *2 desired | 2 updated | 2 total | 1 available" "$text"
has "describe deploy: its ReplicaSet" "^NewReplicaSet: *web-5d6f7c8b9 (2/2 replicas created)" "$text"
tell event web-5d6f7c8b9-hjklm Pulling
tell event web-5d6f7c8b9-hjklm Pulling
text=$(k describe pod web-5d6f7c8b9-hjklm)
has "describe pod: owner" "^Controlled By: *ReplicaSet/web-5d6f7c8b9" "$text"
has "describe pod: events" "Normal *Pulling .*kgit-node *said by the test" "$text"
text=$(k describe node n1)
has "describe node: lease" "HolderIdentity: *n1" "$text"
has "describe node: pods" "web-5d6f7c8b9-bcdfg" "$text"
has "describe svc" "^Endpoints: *10.244.0.2:8080" "$(k describe svc web)"
has "get events" "Normal *Pulling *pod/web-5d6f7c8b9-hjklm *said by the test" "$(k get events)"

check "delete is refused" "Error from server (MethodNotAllowed): Deployment default/web is desired \
state: delete it from web.yaml in the repository and git push (object 1 of that file)" \
	"$(k delete deploy web --wait=false)"
has "scale is refused" "edit web.yaml in the repository and git push" \
	"$(k scale deploy web --replicas=3)"
has "label is refused" "edit web.yaml in the repository and git push" "$(k label deploy web a=b)"

cat >"$dir/new.yaml" <<EOF
apiVersion: v1
kind: ConfigMap
metadata: {name: new, namespace: default}
data: {a: b}
EOF
new="ConfigMap default/new: desired state is not changed through the API: write it to a .yaml file"
has "apply is refused" "$new" "$(k apply -f "$dir/new.yaml")"
has "create is refused" "$new" "$(k create -f "$dir/new.yaml")"
k get deploy web -o yaml | sed 's/replicas: 2/replicas: 5/' >"$dir/web.yaml"
has "apply over what is there is refused" "edit web.yaml in the repository and git push" \
	"$(k apply -f "$dir/web.yaml")"
has "create deployment is refused" "Deployment default/x: desired state is not changed" \
	"$(k create deployment x --image=y)"
has "exec is not served" "runc --root STATE/run/runc exec -t ID COMMAND" "$(k exec web-5d6f7c8b9-bcdfg -- ls)"

case $("$kubectl" version 2>/dev/null | sed -n 's/.*lient Version.*v1\.\([0-9]*\)\..*/\1/p
	s/.*GitVersion:"v1\.\([0-9]*\)\..*/\1/p' | head -n 1) in
[1-9] | 1[0-9] | 2[0-5]) old=1 ;;
*) old= ;;
esac
# Up to 1.26 explain reads OpenAPI v2 as protobuf, from then on v3.
has "explain a field" "^[A-Z]*: *strategy <" "$(k explain deploy.spec.strategy)"
has "explain what a field holds" "^ *rollingUpdate.*<" "$(k explain deploy.spec.strategy)"
has "explain a list of objects" "^[A-Z]*: *containers <" "$(k explain pod.spec.containers)"
[ -n "$old" ] ||
	has "explain a number or text" "^ *maxSurge.*<IntOrString>" \
		"$(k explain deploy.spec.strategy.rollingUpdate)"
has "explain a map" "^FIELD: *labels <map\\[string\\]string>" "$(k explain pod.metadata.labels)"
# Every kind, as discovery names it: its help, and its table.
k api-resources --verbs=list -o name >"$dir/kinds"
check "there are kinds" "yes" "$([ "$(wc -l <"$dir/kinds")" -gt 30 ] && echo yes)"
while read -r kind; do
	# The old one knows no groups there.
	named=$kind
	[ -z "$old" ] || named=${kind%%.*}
	case $kind in # whose name is the core group's, too: it takes the group for a field
	events.events.k8s.io) k explain events --api-version=events.k8s.io/v1 ;;
	*.metrics.k8s.io) k explain "${kind%%.*}" --api-version=metrics.k8s.io/v1beta1 ;;
	*) k explain "$named" ;;
	esac >"$dir/explained"
	if ! grep -q "^KIND:" "$dir/explained" || ! grep -q "metadata.*<" "$dir/explained"; then
		failed=1
		echo "FAIL explain $kind:"
		cat "$dir/explained"
	fi
	k get "$kind" -A >"$dir/table"
	grep -Eq "^(NAMESPACE|NAME|LAST SEEN|No resources found)" "$dir/table" || {
		failed=1
		echo "FAIL get $kind:"
		cat "$dir/table"
	}
done <"$dir/kinds"
if [ -z "$old" ]; then # there was no whoami
	has "auth whoami" "^Username *admin" "$(k auth whoami)"
fi
check "auth can-i list" "yes" "$(k auth can-i list pods)"
check "auth can-i create" "yes" "$(k auth can-i create pods)"
has "auth can-i --list" "^\*\.\* *\[\] *\[\] *\[\*\]" "$(k auth can-i --list)"

# ---- things that wait ----

# until PATTERN FILE: waits for a line.
until_line() {
	n=0
	until grep -q -- "$1" "$2"; do
		n=$((n + 1))
		[ $n -gt 200 ] && {
			failed=1
			echo "FAIL: never saw '$1' in:"
			cat "$2"
			return
		}
		sleep 0.05
	done
	echo "ok   saw '$1'"
}

: >"$dir/watch"
: >"$dir/rollout"
timeout 60 "$kubectl" get pods -w >"$dir/watch" 2>&1 &
watch_pid=$!
until_line "^web-5d6f7c8b9-hjklm *0/1" "$dir/watch"
timeout 30 "$kubectl" wait --for=condition=Ready pod/web-5d6f7c8b9-hjklm >"$dir/wait" 2>&1 &
wait_pid=$!
timeout 30 "$kubectl" rollout status deploy web >"$dir/rollout" 2>&1 &
rollout_pid=$!
until_line "Waiting for deployment" "$dir/rollout"
tell watchers 3
tell ready web-5d6f7c8b9-hjklm
until_line "^web-5d6f7c8b9-hjklm *1/1 *Running" "$dir/watch"
wait "$wait_pid"
check "wait ends" "0 pod/web-5d6f7c8b9-hjklm condition met" "$? $(cat "$dir/wait")"
tell rollout
wait "$rollout_pid"
has "rollout status ends" "successfully rolled out" "$? $(cat "$dir/rollout")"
timeout 30 "$kubectl" wait --for=delete pod/web-5d6f7c8b9-hjklm >"$dir/wait" 2>&1 &
wait_pid=$!
tell watchers 2
tell delete pod default web-5d6f7c8b9-hjklm
wait "$wait_pid"
check "wait for deletion ends" "0 pod/web-5d6f7c8b9-hjklm condition met" "$? $(cat "$dir/wait")"
: >"$dir/one"
timeout 10 "$kubectl" get pod web-5d6f7c8b9-bcdfg -w >"$dir/one" 2>&1 &
one_pid=$!
until_line "^web-5d6f7c8b9-bcdfg" "$dir/one"
tell watchers 2
tell delete pod default web-5d6f7c8b9-bcdfg
until_line "^web-5d6f7c8b9-bcdfg" "$dir/one"
kill "$one_pid" 2>/dev/null
wait "$one_pid" 2>/dev/null
kill "$watch_pid" 2>/dev/null
wait "$watch_pid" 2>/dev/null
watch_pid=
check "watch: one header" "1" "$(grep -c ^NAME "$dir/watch")"
exit $failed
