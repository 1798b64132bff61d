#!/bin/bash
# kill -9 of kgitd at many moments of a push, kgitd away, pushes that race: crash_test.sh BIN [N].
# Whatever happens: main agrees with the state branch after the restart, what was acknowledged is
# there, and the repository is whole.
# shellcheck source=cmd/kgitd/testing.sh
. "$(dirname "$0")/testing.sh"
rounds=${2:-40}

start_master
git init -q "$dir/w" && cd "$dir/w" || exit 1
git remote add origin "$(remote)"
commit a.yaml a
try git push origin main
check "first push" [ $? -eq 0 ]

# ---- kgitd is away
kill_master
commit b.yaml b
try git push origin main
check "no kgitd: refused over HTTPS" [ $? -ne 0 ]
try git push "$state/cluster.git" main
check "no kgitd: refused by local path" [ $? -ne 0 ]
check "no kgitd: why" said 'kgitd does not run, so nothing can be pushed'
start_master
try git push origin main
check "pushed again after the restart" [ $? -eq 0 ]

# ---- killed after a delay of a few milliseconds to a little over a push's time
t0=$(now_ms)
commit c.yaml c
git push -q origin main 2>/dev/null
took=$(($(now_ms) - t0))
acknowledged=0
for i in $(seq 1 "$rounds"); do
	commit "c.yaml" c "$i"
	git push -q origin main >"$dir/out" 2>&1 &
	push=$!
	sleep "$(printf '0.%03d' $((i * (took + 10) / rounds)))"
	kill_master
	if wait $push; then
		acknowledged=$((acknowledged + 1))
		last=$(git rev-parse HEAD)
	fi
	start_master
	now=$(state_git rev-parse refs/heads/main)
	[ "$now" = "$(main_of_state)" ] ||
		check_same "round $i: main is what the state branch says" "$(main_of_state)" "$now"
	git merge-base --is-ancestor "${last:-$now}" "$now" 2>/dev/null ||
		check "round $i: an acknowledged push is there" false
	try git push origin main || check "round $i: pushed again" false
	check_same "round $i" "$(git rev-parse HEAD)" "$(main_of_state)" | grep -v '^ok'
done
echo "     ($acknowledged of $rounds pushes acknowledged before the kill)"
check_whole "after $rounds kills"

# ---- a stop in order lets a push that is under way end
big() {
	local i
	for i in $(seq 1 2000); do
		configmap "big-$i" "$1"
		echo ---
	done >big.yaml
	git add -A && git commit -qm "big $1"
}
big 1
git push -q origin main >"$dir/out" 2>&1 &
push=$!
sleep 0.15
stop_master
wait $push
code=$?
start_master
if [ $code -eq 0 ]; then
	check_same "stopped in a push: it was taken" "$(git rev-parse HEAD)" "$(main_of_state)"
else
	check "stopped in a push: it was refused whole" [ "$(git rev-parse HEAD~1)" = "$(main_of_state)" ]
	try git push origin main
fi
check_whole "stopped in a push"

# ---- two pushes race: one wins, the other is told, and no revision is lost
for i in 1 2 3 4 5 6 7 8; do
	git fetch -q origin && git checkout -q -B main origin/main
	rm -rf "$dir/w1" "$dir/w2"
	for n in 1 2; do
		git clone -q "$dir/w" "$dir/w$n"
		git -C "$dir/w$n" remote set-url origin "$(git remote get-url origin)"
		(cd "$dir/w$n" && commit "race-$n.yaml" "race-$n" "$i")
	done
	for n in 1 2; do
		(
			cd "$dir/w$n" && git push origin main >"$dir/out$n" 2>&1
			echo $? >"$dir/code$n"
		) &
	done
	wait %2 %3 2>/dev/null
	wait_for 20 test -s "$dir/code1" -a -s "$dir/code2"
	codes="$(cat "$dir/code1")$(cat "$dir/code2")"
	rm -f "$dir/code1" "$dir/code2"
	case $codes in
	01) winner=1 loser=2 ;;
	10) winner=2 loser=1 ;;
	*)
		check "race $i: exactly one wins (codes $codes)" false
		cat "$dir/out1" "$dir/out2"
		continue
		;;
	esac
	check_same "race $i: main is the winner's" "$(git -C "$dir/w$winner" rev-parse HEAD)" \
		"$(state_git rev-parse main)"
	grep -q 'another push came first\|fetch first\|cannot lock ref' "$dir/out$loser" || {
		check "race $i: the loser is told why" false
		cat "$dir/out$loser"
	}
done
check_whole "races"
list=$(state_git log --first-parent --format=%B refs/kgit/state | sed -n 's/^Kgit-Revision: //p' | sort -n)
check "the history is what its inputs make" "$bin/kgit" verify --git-dir "$state/cluster.git"
check_same "revisions have no gap" "$(seq 0 "$(revision)")" "$list"
finish
