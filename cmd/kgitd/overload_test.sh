#!/bin/bash
# What is bounded, and that who keeps within bounds notices nothing: overload_test.sh BIN.
# shellcheck source=cmd/kgitd/testing.sh
. "$(dirname "$0")/testing.sh"
master_flags=(--max-watches 2 --max-lists 2 --max-requests 5 --max-body-bytes 2000 --max-connections 40)
start_master

metric() {
	admin GET /metrics | sed -n "s/^$1 //p"
}
at_least() { # NAME N
	[ "$(metric "$1" | cut -d. -f1)" -ge "$2" ]
}
status() {
	admin GET "$1" -o /dev/null -D "$dir/headers" -w '%{http_code}'
}

# ---- watches
for _ in 1 2; do
	via=exec admin GET '/api/v1/pods?watch=1' >/dev/null 2>&1 &
	pids+=($!)
done
watches() {
	at_least 'apiserver_longrunning_requests{verb="WATCH",group="",version="v1",resource="pods"}' 2
}
wait_for 20 watches
check_same "a watch too many" 429 "$(status '/api/v1/pods?watch=1')"
check "it is told when to come again" grep -qi '^retry-after: 1' "$dir/headers"
check_same "a list is none" 200 "$(status /api/v1/pods)"
check_same "it is counted" 1 "$(metric kgit_api_watches_refused_total)"

# ---- long lists
git clone -q "$(remote)" "$dir/c" 2>/dev/null
(
	cd "$dir/c" || exit 1
	long=$(head -c 30000 /dev/zero | tr '\0' x)
	for i in $(seq 400); do
		configmap "c$i" "$long" >"c$i.yaml"
	done
	git add -A && git commit -qm many && git push -q origin HEAD:main
) >"$dir/out" 2>&1
check "push" [ $? -eq 0 ]
via=exec admin GET /api/v1/configmaps --limit-rate 100k >/dev/null 2>&1 &
slow=$!
pids+=("$slow")
wait_for 20 at_least kgit_api_long_lists 1
check_same "one user has half of them" 429 "$(status /api/v1/configmaps)"
check_same "pages are short" 200 "$(status '/api/v1/configmaps?limit=5')"
kill "$slow"
check_same "and when it is over" 200 "$(
	wait_for 20 not at_least kgit_api_long_lists 1
	status /api/v1/configmaps
)"
check "refused lists are counted" at_least kgit_api_long_lists_refused_total 1

# ---- requests of one user
token=$(admin POST /kgit/v1/tokens -d '{"kind":"access","user":"zoe"}' | member token)
flood() { # 60 requests over one connection: how many had that status
	seq -f "url=$url/version?%g" 60 | curl -sS --cacert "$ca" -H "Authorization: Bearer $2" -K - \
		-w '\n%{http_code}\n' | grep -c "^$1\$"
}
limited=$(flood 429 "$token")
check "who asks too often is told so" [ "$limited" -ge 10 ]
limited=$(flood 429 kgit.0000.0000)
check "who guesses tokens too" [ "$limited" -ge 10 ]
check_same "nobody else notices" 200 "$(status /version)"
check "refused requests are counted" at_least kgit_http_rate_limited_total 20

# ---- bodies, connections
check_same "a body too large" 413 "$(admin POST \
	/apis/authorization.k8s.io/v1/selfsubjectaccessreviews -o /dev/null -w '%{http_code}' \
	-d "$(head -c 3000 /dev/zero | tr '\0' x)")"
host=${url#https://}
for i in $(seq 60); do
	# Idle ones, after a request each.
	(
		printf 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n'
		sleep 60
	) | openssl s_client -quiet -connect "$host" >/dev/null 2>&1 &
	pids+=($!)
	[ $((i % 10)) -ne 0 ] || wait_for 5 status /version
done
check_same "idle connections make room" 200 "$(status /version)"
wait_for 20 at_least kgit_http_connections_evicted_total 1
check "they are counted" at_least kgit_http_connections_evicted_total 1
finish
