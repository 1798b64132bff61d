#!/bin/bash
# Pushes to a real kgitd by a real git: push_test.sh BIN.
# shellcheck source=cmd/kgitd/testing.sh
. "$(dirname "$0")/testing.sh"

start_master
git init -q "$dir/w" && cd "$dir/w" || exit 1
git remote add origin "$(remote)"

# ---- confined, and so is what it starts (all below)
status() {
	awk -v key="$1:" '$1 == key {print $2}' "/proc/$master_pid/status"
}
check_same "a filter of system calls" 2 "$(status Seccomp)"
check_same "no new privileges" 1 "$(status NoNewPrivs)"

commit a.yaml a
commit b.yaml b
try git push origin main
check "first push" [ $? -eq 0 ]
check "first push names its revision" said 'remote: kgit: revision [0-9]'
check "first push names what it made" said 'created ConfigMap default/a'
check_whole "first push"

# ---- refusals
rev=$(revision)
cat >bad.yaml <<-END
	apiVersion: v1
	kind: ConfigMap
	metadata:
	  name: bad
	dta: {}
END
git add -A && git commit -qm bad
try git push origin main
check "a bad manifest is refused" [ $? -ne 0 ]
check "a bad manifest is refused with its position" said 'bad.yaml:5:1: .*dta'
check "a refusal says that nothing was changed" said 'kgit: nothing was changed'
check_same "a refusal makes no revision" "$rev" "$(revision)"
check "refused objects do not stay" not state_git cat-file -e "$(git rev-parse HEAD)"
git reset -q --hard HEAD~1

git checkout -q -b other HEAD~1
commit c.yaml c
try git push origin other:main
check "no fast-forward" [ $? -ne 0 ]
try git push --force origin other:main
check "--force alone is refused" [ $? -ne 0 ]
check "--force alone says what to do" said 'git push --force -o force'
check_same "no fast-forward makes no revision" "$rev" "$(revision)"
try git push --force -o force origin other:main
check "-o force, but it deletes half of all" [ $? -eq 0 ]
check "-o force: what went is named" said 'deleted ConfigMap default/b'
check_whole "-o force"
git checkout -q main
try git push --force -o force origin main
check "and back" [ $? -eq 0 ]

rev=$(revision)
git rm -q a.yaml b.yaml && git commit -qm 'nothing left'
try git push origin main
check "deletion of everything is refused" [ $? -ne 0 ]
check "deletion of everything names the option" said 'allow-delete=2'
try git push -o allow-delete=1 origin main
check "a wrong allow-delete is refused" [ $? -ne 0 ]
check "a wrong allow-delete says how many" said 'deletes 2 objects'
try git push -o allow-delete=x origin main
check "allow-delete wants a number" said 'expected a count'
check_same "refused deletions make no revision" "$rev" "$(revision)"
try git push -o allow-delete=2 origin main
check "allow-delete=2" [ $? -eq 0 ]
git revert --no-edit HEAD >/dev/null
try git push origin main
check "revert" [ $? -eq 0 ]

# ---- a dry run
rev=$(revision)
before=$(git rev-parse HEAD)
commit d.yaml d
try git push -o dry-run origin main
check "dry run succeeds" [ $? -eq 0 ]
check "dry run tells the plan" said 'created ConfigMap default/d'
check "dry run says that it was one" said 'dry run: nothing was changed'
check_same "dry run makes no revision" "$rev" "$(revision)"
check_same "dry run leaves main" "$before" "$(state_git rev-parse main)"
check_same "dry run leaves the client's view" "$before" "$(git rev-parse origin/main)"
try git push -o dry-run origin main main:refs/heads/dry
check "dry run with another branch" [ $? -eq 0 ]
check "dry run makes no branch" not state_git rev-parse -q --verify refs/heads/dry
try git push origin main
check "the same push in earnest" [ $? -eq 0 ]
check_same "it moved the client's view" "$(git rev-parse HEAD)" "$(git rev-parse origin/main)"

# ---- options, other refs
rev=$(revision)
commit e.yaml e
try git push -o nonsense origin main
check "an unknown option is refused" [ $? -ne 0 ]
check "an unknown option is named" said 'unknown push option "nonsense"'
try git push origin +HEAD:refs/kgit/state
check "the state branch is refused" [ $? -ne 0 ]
check "the state branch: why" said 'written by kgitd alone'
try git push origin HEAD:refs/kgit/refused/x
check "anything below refs/kgit is refused" [ $? -ne 0 ]
try git push origin :main
check "main cannot be deleted" [ $? -ne 0 ]
check "main cannot be deleted: why" said 'main cannot be deleted'
check_same "none of these makes a revision" "$rev" "$(revision)"
git tag -a -m t v1 HEAD
try git push origin v1 HEAD:refs/heads/feature
check "a tag and a branch are stored" [ $? -eq 0 ]
check "a branch says that it is inert" said 'refs/heads/feature is stored; it changes nothing'
check_same "a branch makes no revision" "$rev" "$(revision)"
check_same "the branch is there" "$(git rev-parse HEAD)" "$(state_git rev-parse feature)"
try git push origin :feature :v1
check "they can be deleted" [ $? -eq 0 ]
check "they are deleted" not state_git rev-parse -q --verify refs/heads/feature
try git push origin v1:refs/heads/main
check "main is no tag" [ $? -ne 0 ]

# ---- several refs at once: whole or not at all
git checkout -q -b broken
cp b.yaml twice.yaml && git add -A && git commit -qm twice
try git push origin broken:main broken:refs/heads/along
check "a bad main takes the others with it" [ $? -ne 0 ]
check "a second definition is refused with both positions" said 'twice.yaml:.*b.yaml\|b.yaml:.*twice.yaml'
check "the other branch was not made" not state_git rev-parse -q --verify refs/heads/along
git checkout -q main
try git push origin main main:refs/heads/along
check "main and another branch" [ $? -eq 0 ]
check_same "the other branch was made" "$(git rev-parse HEAD)" "$(state_git rev-parse along)"
commit along.yaml along
rev=$(revision)
for branch in refs/heads/along/below refs/heads/main/below; do
	try git push origin main "main:$branch"
	check "no branch where another one's name is a directory: $branch" [ $? -ne 0 ]
	check "it says what to do: $branch" said 'delete that one first (git push origin :\|cannot both be'
	check "it is not said to be stored: $branch" not said 'is stored'
done
state_git update-ref refs/heads/up/and/down main
try git push origin main main:refs/heads/up
check "nor a branch whose name is another one's directory" [ $? -ne 0 ]
check "it says of which" said 'while refs/heads/up/and/down is there'
try git push origin main main:refs/heads/pair/below main:refs/heads/pair-less main:refs/heads/pair
check "nor two new branches one of which is the other's directory" [ $? -ne 0 ]
check "it says which" said 'refs/heads/pair and refs/heads/pair/below cannot both be'
git tag -a -m t v2 main
try git push origin main v2:refs/heads/tag
check "nor a branch that is a tag" [ $? -ne 0 ]
check "it says why" said 'refs/heads/tag can only be a commit: [0-9a-f]* is a tag, not a commit'
try git push origin main "main^{tree}:refs/heads/tree"
check "nor one that is a tree" [ $? -ne 0 ]
try git push origin main "main:refs/heads/$(printf '%0252d' 0)"
check "nor a branch whose lock's name would be too long" [ $? -ne 0 ]
check "the pusher is told" said '000 is no name that a ref may have'
check_same "main does not move without the others" "$rev" "$(revision)"
state_git update-ref -d refs/heads/up/and/down
try git push origin main main:refs/heads/up
check "then it does" [ $? -eq 0 ]
check_whole "several refs"

# ---- names that no git sends: they reach no file (the hook is asked before git judges them)
none=$(printf '%040d' 0)
git pack-objects -q --stdout </dev/null >"$dir/none.pack"
raw_push() { # REF...: each to be what main is
	local caps='report-status side-band-64k' ref id
	id=$(state_git rev-parse main)
	{
		for ref; do
			printf '%04x%s %s %s\0%s' $((87 + ${#ref} + ${#caps})) "$none" "$id" "$ref" "$caps"
		done
		printf 0000
		cat "$dir/none.pack"
	} >"$dir/raw"
	admin POST /cluster.git/git-receive-pack --data-binary "@$dir/raw" \
		-H 'Content-Type: application/x-git-receive-pack-request' >"$dir/out" 2>&1
}
raw_push refs/heads/raw
check "a push made by hand" said 'refs/heads/raw is stored'
echo "what nobody may know" >"$state/secret"
mkfifo "$state/fifo"
rev=$(revision)
for name in refs/heads/../../../secret refs/../../secret refs/heads/../../../fifo ../secret secret \
	HEAD "$state/secret" refs/one refs/heads/a..b refs/heads/.a refs/heads/a.lock refs/heads//a; do
	raw_push "$name"
	check "no such name: $name" said "kgit: $name is no name that a ref may have"
	check "nothing of a file is told: $name" not said 'nobody may know'
done
raw_push refs/heads/fine refs/heads/../../../secret
check "one such name takes the others with it" said 'kgit: nothing was changed'
check "it is not there" not state_git rev-parse -q --verify refs/heads/fine
raw_push refs/heads/again refs/heads/again
check "no ref is twice in a push" said 'refs/heads/again is twice in one push'
check_same "none of these makes a revision" "$rev" "$(revision)"
rm "$state/secret" "$state/fifo"

# ---- larger than git's buffer: git asks first with an empty request, then sends it in chunks
head -c 2000000 /dev/urandom >noise
commit large.yaml large
try git push origin main
check "a push of megabytes" [ $? -eq 0 ]
check_same "a push of megabytes is main" "$(git rev-parse HEAD)" "$(state_git rev-parse main)"

# ---- by another road, by other people
commit f.yaml f
try git push "$state/cluster.git" main
check "by local path" [ $? -eq 0 ]
check "by local path it is admitted, too" said 'created ConfigMap default/f'
check "the log names who pushed" \
	[ -n "$(admin GET '/kgit/v1/log?limit=1' | grep "push by $(id -un)")" ]
commit g.yaml g
rev=$(revision)
try git push "https://127.0.0.1:$port/cluster.git" main
check "without a credential" [ $? -ne 0 ]
check "without a credential git is asked for one" said 'could not read Username'
try git push "https://x:kgit.aaaa.bbbb@127.0.0.1:$port/cluster.git" main
check "with a bad token" [ $? -ne 0 ]
check "with a bad token: why" said 'Authentication failed'
join=$(admin POST /kgit/v1/tokens -d '{"kind":"join"}' | member token)
try git push "https://x:$join@127.0.0.1:$port/cluster.git" main
check "with a token that is for joining" [ $? -ne 0 ]
check_same "none of these makes a revision" "$rev" "$(revision)"
chmod 500 "$state/cluster.git/hooks"
try git push origin main
check "and with the right one" [ $? -eq 0 ]
chmod 755 "$state/cluster.git/hooks"

# ---- fetching
try git clone -q "$(remote)" "$dir/clone"
check "clone" [ $? -eq 0 ]
check_same "clone has main" "$(git rev-parse HEAD)" "$(git -C "$dir/clone" rev-parse HEAD)"
commit h.yaml h
try git push origin main
try git -C "$dir/clone" pull -q
check "pull" [ $? -eq 0 ]
check_same "pull got it" "$(git rev-parse HEAD)" "$(git -C "$dir/clone" rev-parse HEAD)"
# Haves without end: a negotiation of many kilobytes, which git sends gzipped.
git init -q "$dir/far" && cd "$dir/far" || exit 1
for i in $(seq 1 600); do
	echo "commit refs/heads/main"
	echo "committer T <t@example.org> $((1700000000 + i)) +0000"
	printf 'data 1\nx\n'
done | git fast-import --quiet
git remote add origin "$(remote)"
try git -c protocol.version=0 fetch -q origin refs/kgit/state:s main:m
check "fetch with many haves, protocol 0" [ $? -eq 0 ]
git update-ref -d refs/heads/m
git update-ref -d refs/heads/s
try git -c protocol.version=2 fetch -q origin refs/kgit/state:s main:m
check "fetch with many haves, protocol 2" [ $? -eq 0 ]
check_same "fetch got it" "$(git -C "$dir/w" rev-parse HEAD)" "$(git rev-parse m)"
cd "$dir/w" || exit 1

# ---- strays
good=$(git rev-parse HEAD)
stray=$(state_git commit-tree -m stray "$good^{tree}")
state_git update-ref refs/heads/main "$stray"
set_back() {
	[ "$(state_git rev-parse main)" = "$good" ]
}
check "a stray main is set back" wait_for 10 set_back
check_same "the stray is kept" "$stray" "$(state_git rev-parse "refs/kgit/refused/$stray")"
warned() {
	admin GET /api/v1/namespaces/default/events | grep -q MainMoved
}
check "an event says so" wait_for 10 warned
state_git update-ref -d refs/heads/main
check "a removed main is set back" wait_for 10 set_back
state_git pack-refs --all
commit i.yaml i
try git push origin main
check "push after pack-refs" [ $? -eq 0 ]
check_whole "strays"
finish
