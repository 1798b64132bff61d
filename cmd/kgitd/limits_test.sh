#!/bin/bash
# Much, and too much: limits_test.sh BIN.
# shellcheck source=cmd/kgitd/testing.sh
. "$(dirname "$0")/testing.sh"

# The admission of many manifests, timed.
start_master
git init -q "$dir/w" && cd "$dir/w" || exit 1
git remote add origin "$(remote)"
for d in $(seq 1 100); do
	mkdir -p "d$d"
	for i in $(seq 1 100); do
		configmap "m-$d-$i" >"d$d/$i.yaml"
	done
done
git add -A && git commit -qm many
t0=$(now_ms)
try git push origin main
check "10,000 manifests in one push" [ $? -eq 0 ]
echo "     ($(($(now_ms) - t0)) ms)"
check "what is told is bounded" [ "$(wc -l <"$dir/out")" -lt 1000 ]
commit d1/1.yaml m-1-1 changed
t0=$(now_ms)
try git push origin main
check "one change among 10,000" [ $? -eq 0 ]
echo "     ($(($(now_ms) - t0)) ms)"
cp d1/2.yaml again.yaml
git add -A && git commit -qm twice
t0=$(now_ms)
try git push origin main
check "one is defined twice" said 'again.yaml:.*d1/2.yaml\|d1/2.yaml:.*again.yaml'
echo "     ($(($(now_ms) - t0)) ms)"
for i in $(seq 1 3000); do
	cp "d1/2.yaml" "x$i.yaml"
done
git add -A && git commit -qm 'thousands of faults'
t0=$(now_ms)
try git push origin main
check "3,000 faults" [ $? -ne 0 ]
echo "     ($(($(now_ms) - t0)) ms)"
check "the faults told are bounded" [ "$(wc -l <"$dir/out")" -lt 1000 ]
check "the others are counted" said 'and [0-9]* more'
git reset -q --hard origin/main
# ---- small packs of large objects
peak() { awk '/VmHWM/ { print int($2 / 1024) }' "/proc/$master_pid/status"; }
before=$(peak)
mkdir -p files
head -c 20000000 /dev/urandom >files/data.bin
git add -A && git commit -qm 'a file that is no manifest'
try git push origin main
check "20 MB that are no manifest" [ $? -eq 0 ]
head -c 300000000 /dev/zero >files/bomb.bin
git add -A && git commit -qm 'zeros'
try git push origin main
check "300 MB of zeros are refused" [ $? -ne 0 ]
check "they are named" said 'files/bomb.bin: the blob [0-9a-f]* has 300000000 bytes, at most 33554432'
try git push origin HEAD:refs/heads/side
check "so they are on a branch" [ $? -ne 0 ]
git reset -q --hard origin/main
cat files/data.bin files/data.bin >twice.bin && mv twice.bin files/data.bin
git add -A && git commit -qm 'twice'
try git push origin main
check "a small delta of 40 MB is refused" [ $? -ne 0 ]
check "it is named" said 'files/data.bin: the blob .* has 40000000 bytes'
git reset -q --hard origin/main
GIT_EDITOR=true git commit -q --allow-empty --cleanup=verbatim -F <(head -c 34000000 /dev/zero | tr '\0' x)
try git push origin main
check "a commit of 34 MB is refused" [ $? -ne 0 ]
check "it is told" said 'the commit .* has 3[0-9]* bytes'
git reset -q --hard origin/main
check "none of it was ever in kgitd's memory ($before, then $(peak) MB)" [ $((($(peak) - before) * 10)) -lt "${MAX_RSS:-400}" ]

check_whole "many"
stop_master

# ---- limits
master_flags=(--max-push-bytes 1000000 --max-manifest-bytes 100000 --max-manifests 10005 \
	--max-text-bytes 300000 --max-push-memory 40000000 --max-delta-depth 12)
start_master
head -c 100000000 /dev/urandom >blob.bin
git add -A && git commit -qm '100 MB'
t0=$(now_ms)
try git push origin main
check "a pack over the limit is refused" [ $? -ne 0 ]
echo "     ($(($(now_ms) - t0)) ms)"
check "a pack over the limit: why" said 'exceeds maximum allowed size'
git reset -q --hard origin/main && git gc -q --prune=now
small() {
	[ "$(du -sm "$state/cluster.git/objects" | cut -f1)" -lt 50 ]
}
check "nothing of it stays" wait_for 20 small
configmap large "$(head -c 150000 /dev/zero | tr '\0' x)" >large.yaml
git add -A && git commit -qm large
try git push origin main
check "a manifest over the limit is refused" [ $? -ne 0 ]
check "a manifest over the limit is named" said 'large.yaml.*100000'
git reset -q --hard origin/main
for i in $(seq 1 10); do configmap "n$i" >"n$i.yaml"; done
git add -A && git commit -qm 'too many'
try git push origin main
check "too many manifests are refused" [ $? -ne 0 ]
check "too many manifests: why" said '10005'
git reset -q --hard origin/main
for i in 1 2 3 4; do configmap "n$i" "$(head -c 90000 /dev/zero | tr '\0' x)" >"n$i.yaml"; done
git add -A && git commit -qm 'too much text'
try git push origin main
check "too much text is refused" [ $? -ne 0 ]
check "too much text: why" said 'more than 300000 bytes'
git reset -q --hard origin/main
echo more >>files/data.bin
git add -A && git commit -qm 'a few bytes, of which git makes 20 MB from 20 MB'
try git push origin main
check "what takes git too much memory is refused" [ $? -ne 0 ]
check "it says why" said 'Out of memory'
check "it says by which flag" said 'git may have 40000000 bytes of memory .*--max-push-memory'
git reset -q --hard origin/main
seq 1000 2000 >files/numbers.txt
for i in $(seq 1 100); do # each version most like the one before
	sed -i "$((i * 9))s/.*/changed in $i/" files/numbers.txt
	git add -A && git commit -qm "$i"
done
try git -c pack.depth=50 push origin main
check "deltas too deep are refused" [ $? -ne 0 ]
check "deltas too deep: why" said 'more than 12 deltas.*--max-delta-depth'
git repack -qadf --depth=10
try git -c pack.depth=10 push origin main
check "the same, not as deep" [ $? -eq 0 ]
for i in $(seq 1 1500); do echo "create refs/heads/b$i HEAD"; done | git update-ref --stdin
try git push origin 'refs/heads/b*:refs/heads/b*'
check "1,500 refs in one push are refused" [ $? -ne 0 ]
check "1,500 refs: why" said 'at most 1000 refs'
commit ok.yaml ok
try git push origin main
check "an ordinary push afterwards" [ $? -eq 0 ]
check_whole "limits"

# ---- what else a body can be
rpc=/cluster.git/git-receive-pack
code() { # [curl arguments]
	admin POST "$rpc" -o "$dir/body" -w '%{http_code}' "$@"
}
check_same "a body that is no gzip" 400 \
	"$(code -H 'Content-Encoding: gzip' --data-binary 'no gzip at all')"
head -c 300000000 /dev/zero | gzip -9 >"$dir/bomb.gz"
got=$(code -H 'Content-Encoding: gzip' --data-binary "@$dir/bomb.gz")
check "a gzip bomb is git's to refuse ($got)" [ "$got" = 200 ]
rpc=/cluster.git/git-upload-pack
check_same "a gzip bomb for upload-pack" 413 \
	"$(code -H 'Content-Encoding: gzip' --data-binary "@$dir/bomb.gz")"
rss=$(awk '/VmHWM/ { print int($2 / 1024) }' "/proc/$master_pid/status")
check "kgitd's memory never exceeded 400 MB ($rss)" [ "$rss" -lt "${MAX_RSS:-400}" ]
check_same "dumb HTTP" 403 "$(admin GET '/cluster.git/info/refs' -o /dev/null -w '%{http_code}')"
check_same "no such path" 404 "$(admin GET '/cluster.git/HEAD' -o /dev/null -w '%{http_code}')"
finish
