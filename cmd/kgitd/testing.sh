# For the tests of kgitd that run the real thing: source it with the directory of the programs as
# $1. Everything lies in one temporary directory, on free ports of loopback, and needs no root.
# shellcheck shell=bash disable=SC2034,SC2154
set -u
bin=$1
for tool in git curl; do
	command -v $tool >/dev/null || {
		echo "SKIPPED: no $tool"
		exit 77
	}
done
dir=$(mktemp -d /tmp/kgitd-test-XXXXXX)
state=$dir/m
master_pid=
master_flags=()
pids=()
failed=0

clean() {
	local p
	for p in "${pids[@]}"; do
		kill -9 "$p" 2>/dev/null
	done
	stop_master
	if [ $failed -ne 0 ]; then
		echo "---- kgitd's log"
		tail -50 "$dir/master.log"
	fi
	chmod -R u+w "$dir"
	rm -rf "$dir"
}
trap 'failed=1; exit 1' TERM INT
trap clean EXIT

# Nothing of the caller's: git's settings, proxies, credentials.
unset "${!GIT_@}" http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY CURL_CA_BUNDLE \
	SSL_CERT_FILE KUBECONFIG 2>/dev/null
export HOME=$dir GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0 LC_ALL=C
# A leak or a race that a sanitizer finds fails the test by kgitd's exit code.
export ASAN_OPTIONS=exitcode=99 TSAN_OPTIONS=exitcode=99:second_deadlock_stack=1
cat >"$dir/.gitconfig" <<-END
	[user]
		name = T
		email = t@example.org
	[init]
		defaultBranch = main
	[advice]
		detachedHead = false
END

now_ms() {
	echo $(($(date +%s%N) / 1000000))
}

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
	local until=$(($(now_ms) + $1 * 1000))
	shift
	while ! "$@" >/dev/null 2>&1; do
		[ "$(now_ms)" -lt $until ] || return 1
		sleep 0.02
	done
}

start_master() {
	rm -f "$dir/master.out"
	"$bin/kgitd" --state "$state" --listen "127.0.0.1:${port:-0}" "${master_flags[@]}" \
		>"$dir/master.out" 2>>"$dir/master.log" &
	master_pid=$!
	wait_for 60 grep -q '^kgitd ready' "$dir/master.out" || {
		echo "FAIL kgitd does not start"
		failed=1
		exit 1
	}
	url=$(sed -n 's/^kgitd ready at \([^,]*\),.*/\1/p' "$dir/master.out")
	port=${url##*:}
	ca=$state/pki/ca.crt
	git config --global "http.$url/.sslCAInfo" "$ca"
}

# Ends it properly; the test fails where it exits with anything but 0.
stop_master() {
	[ -n "$master_pid" ] || return 0
	kill -TERM "$master_pid" 2>/dev/null
	# Where it hangs it is killed, and its exit code says so.
	(sleep 30 && kill -9 "$master_pid" 2>/dev/null) &
	local code watchdog=$!
	wait "$master_pid"
	code=$?
	kill $watchdog 2>/dev/null
	master_pid=
	[ $code -eq 0 ] || {
		echo "FAIL kgitd ended with $code"
		failed=1
	}
}

kill_master() {
	kill -9 "$master_pid"
	wait "$master_pid" 2>/dev/null
	master_pid=
}

# admin METHOD PATH [curl arguments]. For the background, so that $! is curl's: via=exec admin ... &
admin() {
	local method=$1 path=$2
	shift 2
	${via-} curl -sS --max-time 60 --cacert "$ca" --cert "$state/pki/admin.crt" \
		--key "$state/pki/admin.key" -X "$method" "$url$path" "$@"
}

# The string member KEY of a flat JSON object on stdin.
member() {
	sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p"
}

remote() { # the repository's URL, with a new token of the admin's
	token=$(admin POST /kgit/v1/tokens -d '{"kind":"access"}' | member token)
	echo "https://x:$token@127.0.0.1:$port/cluster.git"
}

state_git() {
	git --git-dir "$state/cluster.git" "$@"
}
# The newest, as kgitd says.
revision() {
	admin GET '/kgit/v1/log?limit=1' | sed -n 's/.*"revision":\([0-9]*\).*/\1/p'
}
# git's files may follow the store's journal a moment later.
git_has() {
	[ "$(state_git log -1 --format=%B refs/kgit/state | sed -n 's/^Kgit-Revision: //p')" -ge "$1" ]
}
main_of_state() {
	wait_for 10 git_has "$(revision)"
	# An id that could be a number is quoted.
	state_git show refs/kgit/state:clock.yaml | sed -n 's/^main: *"\{0,1\}\([0-9a-f]*\).*/\1/p'
}

# check NAME COMMAND...: it succeeds.
check() {
	local name=$1
	shift
	if "$@"; then
		echo "ok   $name"
	else
		echo "FAIL $name"
		[ ! -e "$dir/out" ] || sed 's/^/     | /' "$dir/out"
		failed=1
	fi
}
# check_same NAME EXPECTED ACTUAL
check_same() {
	if [ "$2" = "$3" ]; then
		echo "ok   $1"
	else
		echo "FAIL $1: expected \"$2\", got \"$3\""
		failed=1
	fi
}
# What the last `try` printed has a line that matches.
said() {
	grep -q -e "$1" "$dir/out"
}
try() {
	timeout 120 "$@" >"$dir/out" 2>&1
}
not() {
	! "$@"
}

configmap() { # NAME [VALUE]
	printf 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\ndata:\n  key: "%s"\n' \
		"$1" "${2:-v}"
}
# commit FILE NAME [VALUE] in the current directory's clone
commit() {
	mkdir -p "$(dirname "$1")"
	configmap "$2" "${3:-v}" >"$1"
	git add -A && git commit -qm "$2 ${3:-v}"
}

# The repository and the state branch agree, and nothing is damaged.
check_whole() {
	wait_for 10 git_has "$(revision)"
	check_same "$1: main is what the state branch says" "$(main_of_state)" \
		"$(state_git rev-parse refs/heads/main)"
	state_git fsck --strict --no-dangling >"$dir/out" 2>&1
	check "$1: git fsck" [ $? -eq 0 ]
}

finish() {
	stop_master
	exit $failed
}
