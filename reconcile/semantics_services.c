/* Who answers for a Service: its pods, and what manifests say. */
#include "reconcile/semantics_cases.h"

#define MIRRORS "endpointslicemirroring-controller.k8s.io"
#define SERVICE(more)                                                                              \
	"{apiVersion: v1, kind: Service, metadata: {name: db}, spec: {ports: [{port: 5432}]" more  \
	"}}\n"
#define SELECTS ", selector: {a: w}"
#define ENDPOINTS(meta, subsets)                                                                   \
	"---\n{apiVersion: v1, kind: Endpoints, metadata: {name: db" meta "}, subsets: [" subsets  \
	"]}\n"
#define ONE "{addresses: [{ip: 192.0.2.7}], ports: [{port: 5432}]}"
#define SLICE(name, service, port, endpoints)                                                      \
	"---\n{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: " name       \
	", labels: {kubernetes.io/service-name: " service                                          \
	"}}, addressType: IPv4, ports: [{port: " port "}], endpoints: [" endpoints "]}\n"
#define POD                                                                                        \
	"---\n{apiVersion: v1, kind: Pod, metadata: {name: w, labels: {a: w}}, spec: "             \
	"{containers: "                                                                            \
	"[{name: c, image: i}]}}\n"

const struct kg_semantics_case kg_semantics_services[] = {
	{"Endpoints are mirrored, by their ports, and follow what is pushed",
		KG_STEPS("push " SERVICE("") ENDPOINTS("", ONE), "answers db 192.0.2.7:5432",
			"slices db " MIRRORS " 1",
			"push " SERVICE("") ENDPOINTS("", "{addresses: [{ip: 192.0.2.8}], "
							  "notReadyAddresses: [{ip: 192.0.2.7}], "
							  "ports: [{port: 5432}]}, {addresses: "
							  "[{ip: 192.0.2.9}], ports: [{name: "
							  "a, port: 1}, {name: b, port: 2}]}"),
			"answers db 192.0.2.7:5432! 192.0.2.8:5432 192.0.2.9:1 192.0.2.9:2",
			"slices db " MIRRORS " 2", "push " SERVICE("") ENDPOINTS("", ""),
			"answers db", "slices db " MIRRORS " 0",
			"push " SERVICE("") ENDPOINTS("", ONE), "answers db 192.0.2.7:5432",
			"push " SERVICE(""), "answers db", "none Endpoints db",
			"slices db " MIRRORS " 0")},
	{"subsets of the same ports are one slice, and one address counts once, as said last",
		KG_STEPS("push " SERVICE("") ENDPOINTS("",
				 ONE ", {addresses: [{ip: 192.0.2.8}], notReadyAddresses: [{ip: "
				     "192.0.2.7}], ports: [{port: 5432}]}"),
			"answers db 192.0.2.7:5432! 192.0.2.8:5432", "slices db " MIRRORS " 1")},
	{"no mirror where one is not wanted",
		KG_STEPS("push " SERVICE("") ENDPOINTS(
				 ", labels: {endpoints.kubernetes.io/skip-mirror: 'true'}", ONE),
			"answers db", "is Endpoints db subsets.0.addresses.0.ip 192.0.2.7",
			"push " SERVICE("") ENDPOINTS(
				", labels: {endpoints.kubernetes.io/skip-mirror: 'false'}", ONE),
			"answers db 192.0.2.7:5432",
			"push " SERVICE("") ENDPOINTS(
				", annotations: {control-plane.alpha.kubernetes.io/leader: x}",
				ONE),
			"answers db")},
	{"a mirror comes and goes with its Service",
		KG_STEPS("push " ENDPOINTS("", ONE), "answers db",
			"push " SERVICE("") ENDPOINTS("", ONE), "answers db 192.0.2.7:5432",
			"push " ENDPOINTS("", ONE), "answers db",
			"push " SERVICE("") ENDPOINTS("", ONE), "answers db 192.0.2.7:5432", "drop",
			"answers db")},
	{"manifests' slices stand beside each other and beside a mirror",
		KG_STEPS("push " SERVICE("") SLICE("db-1", "db", "1", "{addresses: [192.0.2.1]}")
				 SLICE("db-2", "db", "2",
					 "{addresses: [192.0.2.2], conditions: {ready: false}}")
					 ENDPOINTS("", ONE),
			"answers db 192.0.2.1:1 192.0.2.2:2! 192.0.2.7:5432",
			"is EndpointSlice db-1 metadata.generation 1",
			"push " SERVICE("") SLICE("db-1", "db", "1", "{addresses: [192.0.2.3]}")
				SLICE("db-2", "other", "2", "{addresses: [192.0.2.2]}"),
			"answers db 192.0.2.3:1", "answers other 192.0.2.2:2",
			"is EndpointSlice db-1 metadata.generation 2",
			"is EndpointSlice db-2 metadata.generation 2")},
	{"a Service with a selector keeps its own beside a manifest's",
		KG_STEPS("push " SERVICE(SELECTS)
				 SLICE("db-1", "db", "1", "{addresses: [192.0.2.1]}") POD,
			"ready *", "answers db 192.0.2.1:1 pod:5432", "slices db kgit 1",
			"push " SERVICE(SELECTS)
				SLICE("db-1", "db", "1", "{addresses: [192.0.2.1]}"),
			"gone *", "answers db 192.0.2.1:1", "slices db kgit 1",
			"push " SERVICE("") SLICE("db-1", "db", "1", "{addresses: [192.0.2.1]}"),
			"answers db 192.0.2.1:1", "slices db kgit 0",
			"push " SLICE("db-1", "db", "1", "{addresses: [192.0.2.1]}"),
			"answers db 192.0.2.1:1", "drop", "answers db")},
	{"a Service that gives up its selector for Endpoints, and back",
		KG_STEPS("push " SERVICE(SELECTS) POD, "ready *", "answers db pod:5432",
			"push " SERVICE("") POD ENDPOINTS("", ONE), "answers db 192.0.2.7:5432",
			"slices db kgit 0", "push " SERVICE(SELECTS) POD, "answers db pod:5432",
			"slices db " MIRRORS " 0")},
	{0},
};
