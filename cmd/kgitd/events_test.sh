#!/bin/bash
# Events: what is told of what happens, and that a restart loses nothing of it: events_test.sh BIN.
# shellcheck source=cmd/kgitd/testing.sh
. "$(dirname "$0")/testing.sh"
command -v jq >/dev/null || {
	echo "SKIPPED: no jq"
	exit 77
}
master_flags=(--node-monitor-grace 1h)
start_master

web() { # REPLICAS
	mkdir -p "$dir/c"
	cat >"$dir/c/web.yaml" <<-END
		apiVersion: apps/v1
		kind: Deployment
		metadata: {name: web}
		spec:
		  replicas: $1
		  selector: {matchLabels: {app: web}}
		  template:
		    metadata: {labels: {app: web}}
		    spec: {containers: [{name: c, image: "x:1"}]}
	END
	(cd "$dir/c" && git add -A && git commit -qm "$1" && git push -q origin HEAD:main) >"$dir/out" 2>&1
}
events() { # FIELD SELECTOR: type reason component message, in the order in which they happened
	admin GET "/api/v1/events?fieldSelector=$1" | jq -r '.items | sort_by(.metadata.resourceVersion | tonumber) |
		.[] | [.type, .reason, .source.component, .message] | join(" ")'
}
told() { # PATTERN
	events '' | grep -Eq -- "$1"
}
post() { # PATH BODY
	admin POST "/kgit/v1/nodes/n1/$1" -d "$2" >"$dir/out"
}

git clone -q "$(remote)" "$dir/c" 2>/dev/null
web 2
check "a push is told" wait_for 10 told '^Normal ScalingReplicaSet deployment-controller Scaled up replica set web-[a-z0-9]* from 0 to 2$'
check "pods that are made" told '^Normal SuccessfulCreate replicaset-controller Created pod: web-'
check "pods that fit nowhere" told '^Warning FailedScheduling default-scheduler 0/0 nodes are available|^Warning FailedScheduling default-scheduler no nodes'
post register '{"labels":{},"status":{"addresses":[{"type":"InternalIP","address":"192.0.2.1"}],
"capacity":{"cpu":"4","memory":"4Gi","pods":"110"},"allocatable":{"cpu":"4","memory":"4Gi","pods":"110"}}}'
check "pods that are bound" wait_for 10 told '^Normal Scheduled default-scheduler Successfully assigned default/web-.* to n1$'
read -r pod uid < <(admin GET /api/v1/namespaces/default/pods | jq -r '.items[0].metadata | "\(.name) \(.uid)"')
status() { # CONTAINER STATUS
	post status "{\"pods\":[{\"namespace\":\"default\",\"name\":\"$pod\",\"uid\":\"$uid\",\"status\":{\"phase\":\"Pending\",
\"containerStatuses\":[{\"name\":\"c\",\"image\":\"x:1\",\"imageID\":\"\",\"ready\":false,\"restartCount\":$1}]}}]}"
}
status '0,"state":{"waiting":{"reason":"ErrImagePull","message":"no such host"}}'
check "an image that is not there" wait_for 10 told '^Warning Failed kubelet Failed to pull image "x:1": no such host'
status '0,"state":{"waiting":{"reason":"ImagePullBackOff"}}'
check "which is tried again later" wait_for 10 told '^Normal BackOff kubelet Back-off pulling image "x:1"'
status '1,"lastState":{"terminated":{"exitCode":1,"containerID":"k://1"}},"state":{"waiting":{"reason":"CrashLoopBackOff"}}'
check "a container that ends again and again" wait_for 10 told '^Warning BackOff kubelet Back-off restarting failed container c in pod web-'
cat >"$dir/c/more.yaml" <<-END
	apiVersion: apps/v1
	kind: StatefulSet
	metadata: {name: set}
	spec:
	  replicas: 1
	  selector: {matchLabels: {app: set}}
	  template:
	    metadata: {labels: {app: set}}
	    spec: {containers: [{name: c, image: "x:1"}]}
	---
	apiVersion: policy/v1
	kind: PodDisruptionBudget
	metadata: {name: nobody}
	spec: {minAvailable: 1, selector: {matchLabels: {app: nobody}}}
END
web 2
check "a budget of no pods" wait_for 10 told '^Normal NoPods controllermanager No matching pods found$'
set_uid=$(admin GET /api/v1/namespaces/default/pods/set-0 | jq -r .metadata.uid)
post status "{\"pods\":[{\"namespace\":\"default\",\"name\":\"set-0\",\"uid\":\"$set_uid\",\"status\":{\"phase\":\"Failed\"}}]}"
check "a pod that ended and is made anew" wait_for 10 told \
	'^Warning RecreatingFailedPod statefulset-controller StatefulSet default/set is recreating failed Pod set-0$'
cat >"$dir/c/node.yaml" <<-END
	apiVersion: v1
	kind: Node
	metadata: {name: n1}
	spec: {taints: [{key: out, effect: NoExecute}]}
END
web 2
check "pods that a taint drives away" wait_for 10 told \
	"^Normal TaintManagerEviction taint-eviction-controller Marking for deletion Pod default/$pod\$"
web 0
check "scaling down" wait_for 10 told '^Normal ScalingReplicaSet deployment-controller Scaled down replica set web-[a-z0-9]* from 2 to 0$'
check "pods that are stopped" told '^Normal Killing kubelet Stopping container c$'
check "pods that are deleted" told '^Normal SuccessfulDelete replicaset-controller Deleted pod: web-'
check "those of one object" [ "$(events "involvedObject.name=$pod,involvedObject.kind=Pod" | wc -l)" -ge 6 ]

# What is told is in the history: no commit of its own, and nothing lost by a restart.
all() {
	admin GET /api/v1/events | jq -cS '[.items[] | del(.metadata.resourceVersion)] | sort_by(.metadata.name)'
}
before=$(all)
revision_before=$(revision)
kill_master
start_master
same() {
	[ "$(all)" = "$before" ]
}
wait_for 10 same
check "a restart tells them again, with their names, times and counts" same
check_same "none of them is a commit" "$revision_before" "$(revision)"
finish
