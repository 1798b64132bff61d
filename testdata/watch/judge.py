"""Holds what clients of LIST and WATCH logged against the truth in git.

The truth is what watch_truth tells: every change of every revision. A log is a list of steps of one
client, in order:

    {"op": "client", "resource", "ns", "labels": {k: v}, "fields": {path: v}, "name"}
    {"op": "list", "rv", "items": [OBJECT...]}
    {"op": "open", "rv", "fresh": what came to the revision came by this connection, "initial": bool, "anew": from
        elsewhere than where it was}
    {"op": "event", "type", "object"}
    {"op": "end", "why": "server" (in order), "cut" (by the client), "broken", "gone" (410)}

What is judged (the words are etcd's):

    ordered     revisions never go back, within a stream and from one to the next
    unique      a stream tells nothing twice; only one that goes on at R may begin with R's events
    atomic      nothing of another revision, no bookmark and no end in order amid one's events
    reliable    every event between where a stream began and where it came to
    resumable   wherever a stream broke, the next one gives what is missing
    bookmarkable  a bookmark at B: everything up to B was told
    exact       objects, types (ADDED, MODIFIED, DELETED as the selector has it) and lists are the
                commits', byte for byte of their JSON values
"""
import collections
import json


def at(obj, path):
    for part in path.split("."):
        obj = (obj or {}).get(part)
    return obj


class Truth:
    def __init__(self, lines):
        self.changes = collections.defaultdict(list)  # (resource, revision) -> [(key, before, after)]
        self.head, self.first, now = None, None, {}
        for line in lines:
            c = json.loads(line)
            if "head" in c:
                self.head = c["head"]
                continue
            if self.first is None:
                self.first = c["revision"]
            place = (c["resource"], c["key"])
            self.changes[c["resource"], c["revision"]].append((c["key"], now.get(place), c["object"]))
            now[place] = c["object"]
        if self.head is None:
            raise ValueError("the truth has no end")


def selects(client, key, obj):
    if obj is None:
        return False
    ns, name = key.split("/", 1)
    if client.get("ns") and ns != client["ns"] or client.get("name") and name != client["name"]:
        return False
    labels = at(obj, "metadata.labels") or {}
    return all(labels.get(k) == v for k, v in client.get("labels", {}).items()) and all(
        (at(obj, p) or "") == v for p, v in client.get("fields", {}).items())


class View:
    """The truth as one client should see it."""

    def __init__(self, truth, client):
        self.head, self.first = truth.head, truth.first
        self.events = {}  # revision -> {key: [(type, object)]}, where there are any
        for revision in range(truth.first, truth.head + 1):
            told = {}
            for key, before, after in truth.changes.get((client["resource"], revision), ()):
                was, is_ = selects(client, key, before), selects(client, key, after)
                another = was and is_ and at(before, "metadata.uid") != at(after, "metadata.uid")
                if was and (another or not is_):
                    # As it was, but of this revision.
                    gone = dict(before, metadata=dict(before["metadata"], resourceVersion=str(revision)))
                    told[key] = [("DELETED", gone)]
                if is_:
                    told.setdefault(key, []).append(("MODIFIED" if was and not another else "ADDED", after))
            if told:
                self.events[revision] = told
        self.revisions = sorted(self.events)

    def state(self, revision):
        state = {}
        for r in self.revisions:
            if r > revision:
                break
            for key, told in self.events[r].items():
                kind, obj = told[-1]
                state.pop(key, None)
                if kind != "DELETED":
                    state[key] = obj
        return state

    def next_after(self, revision):
        return next((r for r in self.revisions if r > revision), None)


def key_of(obj):
    return f"{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"


def short(key, kind, obj):
    return f"{kind} {key} @{obj['metadata'].get('resourceVersion')}"


def difference(a, b, path=""):
    """Where two JSON values differ, in words."""
    if isinstance(a, dict) and isinstance(b, dict):
        for k in sorted(set(a) | set(b)):
            if a.get(k) != b.get(k):
                return difference(a.get(k), b.get(k), f"{path}.{k}")
    return f"{path}: {json.dumps(a)[:200]} instead of {json.dumps(b)[:200]}"


class Judge:
    def __init__(self, name, view):
        self.name, self.view = name, view
        self.wrong = []
        self.counts = collections.Counter()
        self.rv = 0          # what the client would go on from
        self.have = None     # events that it had of revision rv; None: all
        self.open = False

    def fault(self, what, text):
        self.wrong.append(f"{self.name}: {what}: {text}")

    # ---- lists

    def same_objects(self, got, wanted, what):
        for key in sorted(set(got) | set(wanted)):
            if key not in got:
                self.fault("reliable", f"{what} lacks {key}")
            elif key not in wanted:
                self.fault("exact", f"{what} has {key}, which is not there")
            elif got[key] != wanted[key]:
                self.fault("exact", f"{what}: {key}: {difference(got[key], wanted[key])}")

    def list(self, step):
        rv = step["rv"]
        self.counts["lists"] += 1
        if rv < self.rv:
            self.fault("ordered", f"a list of revision {rv} after {self.rv}")
        if rv > self.view.head:
            self.fault("exact", f"a list of revision {rv}, the last one is {self.view.head}")
        items = {key_of(o): o for o in step["items"]}
        if len(items) != len(step["items"]):
            self.fault("unique", f"the list of {rv} has an object twice")
        self.same_objects(items, self.view.state(rv), f"the list of {rv}")
        self.rv, self.have = rv, None

    # ---- streams

    def begin(self, step):
        self.counts["streams"] += 1
        self.open, self.initial = True, {} if step.get("initial") else None
        self.start, self.fresh = step["rv"], step.get("fresh", False)
        if step.get("anew") and self.initial is None:
            self.rv, self.have = step["rv"], None
        elif self.initial is None and step["rv"] != self.rv:
            self.fault("resumable", f"the log goes on at {step['rv']}, having come to {self.rv}")
        self.done = self.rv            # all up to here was told
        self.at, self.told = None, {}  # the revision whose events come

    def wanted(self, revision):
        return self.view.events.get(revision, {})

    def untold(self):
        """Of the revision whose events come: the keys of which not all was told."""
        return {key for key, all_ in self.wanted(self.at).items() if self.told.get(key, 0) < len(all_)}

    def whole(self):
        return set(self.told) - self.untold()

    def complete(self):
        """All of the revision whose events came was told."""
        if self.at is None:
            return True
        lacks = self.untold()
        if self.at == self.start and self.have is not None:
            lacks -= self.have
        return not lacks

    def settle(self, what):
        """Another revision, a bookmark or the end: the one before must be whole."""
        if not self.complete():
            lacks = sorted(self.untold())
            self.fault("atomic", f"{what} amid revision {self.at}: {', '.join(lacks[:5])} did not come")
        if self.at is not None:
            self.done, self.have = max(self.done, self.at), None
        self.at, self.told = None, {}

    def skipped(self, upto, what):
        """Nothing is between what was told and `upto`, exclusively."""
        if self.have is not None and self.start == self.done:
            lacks = set(self.wanted(self.start)) - self.have
            if lacks:
                self.fault("resumable", f"the rest of {self.start} never came: {sorted(lacks)[:5]}")
            self.have = None
        following = self.view.next_after(self.done)
        if following is not None and following < upto:
            lost = ", ".join(sorted(self.wanted(following))[:5])
            self.fault("reliable", f"{what}: nothing of revision {following} came ({lost})")

    def bookmark(self, obj):
        rv = int(obj["metadata"]["resourceVersion"])
        self.counts["bookmarks"] += 1
        if self.initial is not None:
            if "k8s.io/initial-events-end" not in (obj["metadata"].get("annotations") or {}):
                self.fault("bookmarkable", "a bookmark amid the initial events")
            if rv < self.rv:
                self.fault("ordered", f"initial events of {rv} after {self.rv}")
            self.same_objects(self.initial, self.view.state(rv), f"the initial events of {rv}")
            self.initial, self.have = None, None
            self.done = self.start = self.rv = rv
            return
        self.settle(f"a bookmark at {rv}")
        if rv < self.rv:
            self.fault("ordered", f"a bookmark at {rv} after {self.rv}")
        if rv > self.view.head:
            self.fault("bookmarkable", f"a bookmark at {rv}, the last revision is {self.view.head}")
        self.skipped(rv + 1, f"a bookmark at {rv}")
        self.done = self.rv = rv
        self.have = None

    def event(self, step):
        kind, obj = step["type"], step["object"]
        if kind == "BOOKMARK":
            self.bookmark(obj)
            return
        rv, key = int(obj["metadata"]["resourceVersion"]), key_of(obj)
        self.counts["events"] += 1
        if self.initial is not None:
            if key in self.initial or kind != "ADDED":
                self.fault("unique", f"initial events: {short(key, kind, obj)}")
            self.initial[key] = obj
            return
        if rv < self.rv:
            self.fault("ordered", f"{short(key, kind, obj)} after {self.rv}")
            return
        if rv != self.at:
            self.settle(short(key, kind, obj))
            again = rv == self.start and rv == self.done
            if again:
                self.counts["repeated revisions"] += 1
                if self.fresh:
                    self.fault("unique", f"{short(key, kind, obj)}, which this connection brought")
                if sum(map(len, self.wanted(rv).values())) < 2:
                    self.fault("unique", f"{short(key, kind, obj)} again, though it was the only one")
            elif rv <= self.done:
                self.fault("unique", f"{short(key, kind, obj)} again")
            else:
                self.skipped(rv, short(key, kind, obj))
            self.at, self.told = rv, {}
        n = self.told.get(key, 0)
        self.told[key] = n + 1
        self.rv = rv
        wanted = self.wanted(rv).get(key)
        if not wanted:
            self.fault("exact", f"{short(key, kind, obj)} never was")
            return
        if n >= len(wanted):
            self.fault("unique", f"{short(key, kind, obj)} twice")
            return
        wanted = wanted[n]
        if wanted[0] != kind:
            self.fault("exact", f"{short(key, kind, obj)} is {wanted[0]}")
        elif wanted[1] != obj:
            self.fault("exact", f"{short(key, kind, obj)}: {difference(obj, wanted[1])}")

    def end(self, step):
        why = step["why"]
        self.counts[f"ended: {why}"] += 1
        self.open = False
        if self.initial is not None:
            self.rv, self.have = 0, None  # nothing to go on from
            return
        if why == "server":
            self.settle("the end in order")
        elif self.at is not None and self.at == self.start and self.have is not None:
            self.have |= self.whole()
        elif self.at is not None:
            self.have = self.whole()
        if self.have is not None and self.have >= set(self.wanted(self.rv)):
            self.have = None
        if why == "gone":
            self.rv, self.have = 0, None

    def judge(self, steps):
        for step in steps:
            {"list": self.list, "open": self.begin, "event": self.event, "end": self.end}[step["op"]](step)
        if self.open:
            self.end({"why": "cut"})
        following = self.view.next_after(self.rv)
        if following is not None or self.have is not None:
            self.fault("reliable", f"at the end it is at {self.rv}, and {following} was to come")
        return self


def judge(truth, name, steps):
    """One client's log: its Judge, whose `wrong` is empty where all is well."""
    return Judge(name, View(truth, steps[0])).judge(steps[1:])


# ---- the judge judged: what is wrong must be found ----

def sample():
    def obj(name, rv, n):
        # Another one by its name from revision 5 on.
        return {"metadata": {"namespace": "d", "name": name, "resourceVersion": str(rv), "uid": n // 5}, "n": n}

    changes = [(1, "a", 1), (2, "a", 2), (2, "b", 2), (2, "c", 2), (3, "a", 3), (4, "b", None), (4, "c", 4),
               (5, "c", 5)]
    lines = [json.dumps({"revision": r, "resource": "things", "key": f"d/{k}",
                         "object": n and obj(k, r, n)}) for r, k, n in changes]
    truth = Truth(lines + ['{"head": 6}'])

    def event(kind, name, rv, n):
        return {"op": "event", "type": kind, "object": obj(name, rv, n)}

    mark = {"op": "event", "type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "6"}}}
    steps = [{"op": "client", "resource": "things"},
             {"op": "list", "rv": 1, "items": [obj("a", 1, 1)]}, {"op": "open", "rv": 1, "fresh": True},
             event("MODIFIED", "a", 2, 2), event("ADDED", "b", 2, 2), {"op": "end", "why": "broken"},
             {"op": "open", "rv": 2}, event("MODIFIED", "a", 2, 2), event("ADDED", "b", 2, 2),
             event("ADDED", "c", 2, 2), event("MODIFIED", "a", 3, 3), {"op": "end", "why": "server"},
             {"op": "open", "rv": 3}, event("DELETED", "b", 4, 2), event("MODIFIED", "c", 4, 4),
             event("DELETED", "c", 5, 4), event("ADDED", "c", 5, 5), mark, {"op": "end", "why": "cut"}]
    return truth, steps, event


def self_test():
    truth, steps, event = sample()
    good = judge(truth, "good", steps)
    assert not good.wrong, good.wrong
    bad = {
        "lost": steps[:10] + steps[11:],
        "lost after going on": steps[:7] + steps[10:],
        "rest lost": steps[:9] + steps[10:],
        "twice": steps[:11] + [steps[10]] + steps[11:],
        "again though told": steps[:13] + [steps[10]] + steps[13:],
        "back": steps[:14] + [steps[10]] + steps[14:],
        "cut by a bookmark": steps[:14] + [steps[17]] + steps[14:17] + steps[18:],
        "another, but none went": steps[:15] + steps[16:],
        "another, but none came": steps[:16] + steps[17:],
        "another, told as a change": steps[:15] + [event("MODIFIED", "c", 5, 5)] + steps[17:],
        "ended amid a revision": steps[:9] + [{"op": "end", "why": "server"}] + steps[12:],
        "never was": steps[:10] + [event("MODIFIED", "b", 3, 3)] + steps[10:],
        "of another type": steps[:10] + [event("ADDED", "a", 3, 3)] + steps[11:],
        "another value": steps[:10] + [event("MODIFIED", "a", 3, 4)] + steps[11:],
        "an end missing": steps[:13],
        "a list that lacks": [steps[0], {"op": "list", "rv": 1, "items": []}] + steps[2:],
        "a list of old things": steps[:12] + [{"op": "list", "rv": 1, "items": []}] + steps[12:],
        "just listed": [steps[0], {"op": "list", "rv": 2, "items": list(View(truth, steps[0]).state(2).values())},
                        {"op": "open", "rv": 2, "fresh": True}] + steps[7:],
    }
    for name, log in bad.items():
        assert judge(truth, name, log).wrong, f"not found: {name}"
    print(f"the judge finds all of {len(bad)} faults")


if __name__ == "__main__":
    self_test()
