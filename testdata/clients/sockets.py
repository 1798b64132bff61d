#!/usr/bin/python3
"""Watches and logs over WebSockets, as Debian's python3-websocket speaks them.

    sockets.py HOST:PORT PKI TOKEN MAP

PKI has ca.crt, admin.crt and admin.key; TOKEN is a bearer token that may read the namespace default,
and MAP a file: text written there makes the ConfigMap changing of that namespace another (a named
pipe). The pod count prints "line 1" to "line 1000" and ends, the pod talker "tick N" for ever.
"""
import base64
import json
import ssl
import sys

import websocket

address, pki, token, changes = sys.argv[1:]
PODS = "/api/v1/namespaces/default/pods"
MAPS = "/api/v1/namespaces/default/configmaps"
BEARER = "base64url.bearer.authorization.k8s.io." + base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
ORIGIN = f"https://{address}"


def tls(cert):
    context = ssl.create_default_context(cafile=f"{pki}/ca.crt")
    if cert:
        context.load_cert_chain(f"{pki}/admin.crt", f"{pki}/admin.key")
    return context


def connect(path, cert=True, origin=ORIGIN, **how):
    return websocket.create_connection(f"wss://{address}{path}", timeout=60, origin=origin,
                                       sslopt={"context": tls(cert)}, **how)


def refused(status, what, *args, **how):
    try:
        connect(*args, **how)
    except websocket.WebSocketBadStatusException as e:
        assert e.status_code == status, f"{what}: {e}"
        return
    raise AssertionError(f"{what}: it was not refused")


def event(ws):
    op, data = ws.recv_data()
    assert op == websocket.ABNF.OPCODE_TEXT, (op, data)
    return json.loads(data)


def closed(ws):
    op, data = ws.recv_data()
    assert op == websocket.ABNF.OPCODE_CLOSE, (op, data[:100])
    return int.from_bytes(data[:2], "big")


def watches():
    ws = connect(f"{MAPS}?watch=1&fieldSelector=metadata.name%3Dchanging")
    told = event(ws)
    assert told["type"] == "ADDED" and told["object"]["kind"] == "ConfigMap", told
    for n in range(3):
        with open(changes, "w") as f:
            f.write(f"n{n}\n")
        told = event(ws)
        assert told["type"] == "MODIFIED" and told["object"]["data"] == {"n": f"n{n}"}, told
    ws.ping("still there?")
    op, data = ws.recv_data(control_frame=True)
    assert (op, data) == (websocket.ABNF.OPCODE_PONG, b"still there?"), (op, data)
    ws.close()
    revision = int(told["object"]["metadata"]["resourceVersion"])

    # Initial events and their bookmark, and an end that the client asked for.
    ws = connect(f"{PODS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
                 "&allowWatchBookmarks=true&timeoutSeconds=1")
    while (told := event(ws))["type"] == "ADDED":
        pass
    assert told["type"] == "BOOKMARK", told
    assert told["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"] == "true", told
    while True:
        op, data = ws.recv_data()
        if op == websocket.ABNF.OPCODE_CLOSE:
            break
        assert int(json.loads(data)["object"]["metadata"]["resourceVersion"]) >= revision, data
    assert int.from_bytes(data[:2], "big") == 1000, data

    # Too far back, and what is no watch.
    refused(400, "no revision", f"{PODS}?watch=1&resourceVersion=x")
    refused(200, "a list", PODS)


def credentials():
    ws = connect(f"{MAPS}?watch=1", cert=False, origin="https://dashboard.example",
                 subprotocols=[BEARER, "base64.binary.k8s.io"])
    assert ws.subprotocol == "base64.binary.k8s.io", ws.subprotocol
    assert event(ws)["type"] == "ADDED"
    ws.close()
    ws = connect(f"{MAPS}?watch=1", cert=False, origin="https://dashboard.example",
                 header=[f"Authorization: Bearer {token}"])
    assert event(ws)["type"] == "ADDED"
    ws.close()
    secrets = "/api/v1/namespaces/default/secrets?watch=1"
    refused(403, "what the token may not", secrets, cert=False, subprotocols=[BEARER, "a"])
    refused(401, "nothing but a token", secrets, cert=False, subprotocols=[BEARER])
    refused(401, "no token", secrets, cert=False,
            subprotocols=["base64url.bearer.authorization.k8s.io.bm90aGluZw", "a"])
    refused(403, "nobody", secrets, cert=False)

    # A page of another origin has a browser's certificate or password for kgitd, if that has one.
    evil = {"origin": "https://evil.example"}
    refused(403, "a page with a certificate", secrets, **evil)
    refused(403, "a page of the same host, not by TLS", secrets, origin=f"http://{address}")
    refused(403, "a sandboxed page", secrets, origin="null")
    basic = base64.b64encode(f"any:{token}".encode()).decode()
    refused(403, "a page with a password", f"{MAPS}?watch=1", cert=False, header=[f"Authorization: Basic {basic}"],
            **evil)
    # With a certificate and a token it is whom the token names.
    refused(403, "a page with a token, and a certificate", secrets, subprotocols=[BEARER, "a"], **evil)
    connect(secrets, origin="http://localhost:8001").close()  # --allow-origin
    connect(secrets, suppress_origin=True, origin=None).close()  # no browser


def whole(ws, op, decode):
    text = b""
    while True:
        got, data = ws.recv_data()
        if got == websocket.ABNF.OPCODE_CLOSE:
            assert int.from_bytes(data[:2], "big") == 1000, data
            return text
        assert got == op, (got, data[:100])
        text += decode(data)


def logs():
    wanted = b"".join(b"line %d\n" % n for n in range(1, 1001))
    binary, text = websocket.ABNF.OPCODE_BINARY, websocket.ABNF.OPCODE_TEXT
    path = f"{PODS}/count/log"
    for offers, op, decode in ((None, binary, bytes), (["binary.k8s.io"], binary, bytes),
                               (["base64.binary.k8s.io"], text, base64.b64decode),
                               (["v4.channel.k8s.io", "base64.binary.k8s.io"], text, base64.b64decode)):
        ws = connect(path, subprotocols=offers)
        assert ws.subprotocol == (offers and offers[-1]), ws.subprotocol
        assert ws.recv_data() == (op, b""), "the empty message at the beginning"
        assert whole(ws, op, decode) == wanted, f"the log by {offers}"
    refused(400, "a subprotocol that nobody knows", path, subprotocols=["v4.channel.k8s.io"])
    refused(400, "a query that is malformed", f"{path}?tailLines=x")

    ws = connect(f"{PODS}/talker/log?follow=1&tailLines=1", cert=False, origin="https://dashboard.example",
                 subprotocols=[BEARER, "base64.binary.k8s.io"])
    ticks = b""
    while ticks.count(b"\n") < 5:
        ticks += base64.b64decode(ws.recv_data()[1])
    first = int(ticks.split()[1])
    assert ticks.split(b"\n")[:5] == [b"tick %d" % (first + n) for n in range(5)], ticks
    ws.close()


watches()
credentials()
logs()
print("watches, credentials and logs")
