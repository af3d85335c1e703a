/** What `/openapi.json` of the control API says, route by route. Who may ask what is in `access.ts`, and told from there. */
import { CONTROL_ROUTES, type ControlMessage, ROLES } from "../../shared/api.ts";
import { accessOf, type Access } from "./access.ts";
import type { AnsweredCode } from "./codes.ts";
import {
  AUDIT_ENTRY,
  BLOCK,
  BREAKER,
  CLOSED,
  CURSOR,
  FORCED_CLOSED,
  FORCED_OPEN,
  METRICS,
  ORDER,
  PLUGIN,
  RACE,
  RELOAD,
  STATUS,
  TOPOLOGY,
  TRANSITION,
  UPSTREAM,
} from "./examples.ts";
import type { DocumentOptions, Message, Operations, Stream } from "./openapi.ts";

const NO_BREAKER = ["SPRINT_CONTROL_BREAKER_UNKNOWN"] as const;
const NO_UPSTREAM = ["SPRINT_CONTROL_UPSTREAM_UNKNOWN"] as const;
const ACCEPTED = { accepted: true };

const OPERATIONS: Operations = {
  [`GET ${CONTROL_ROUTES.status}`]: {
    tag: "daemon",
    summary: "What runs, since when, and how it does",
    description: "`relay_latency_ms` is from socket read to socket write, null before the first block.",
    says: { 200: "the daemon" },
    answer: STATUS,
  },
  [`GET ${CONTROL_ROUTES.topology}`]: {
    tag: "daemon",
    summary: "Which upstream, behind which breakers, feeds which chain, and who relays that",
    description: "`fanout.processes` is empty while the main process holds all subscribers.",
    says: { 200: "the topology" },
    answer: TOPOLOGY,
  },
  [`GET ${CONTROL_ROUTES.config}`]: {
    tag: "configuration",
    summary: "The running configuration",
    description: "Whole, with defaults filled in and secrets redacted. Its keys are those of the configuration file.",
    says: { 200: "the configuration" },
    answer: { network: "mainnet", tiers: ["ENTERPRISE"] },
  },
  [`POST ${CONTROL_ROUTES.reload}`]: {
    tag: "configuration",
    summary: "Read the configuration again",
    description: `From the same file, environment and options. Applied whole or not at all; sockets are kept. With \`dry_run=true\` nothing is applied and the
changes are told. SIGHUP does the same.`,
    says: { 200: "what changed, or would" },
    codes: ["SPRINT_CONFIG_*", "SPRINT_CONFIG_NEEDS_RESTART"],
    answer: RELOAD,
  },
  [`GET ${CONTROL_ROUTES.plugins}`]: {
    tag: "configuration",
    summary: "Modules that bring chains of their own",
    description: "One that was refused says why; the version of before may still serve.",
    says: { 200: "in the order of the configuration" },
    answer: { plugins: [PLUGIN] },
  },
  [`POST ${CONTROL_ROUTES.reloadPlugins}`]: {
    tag: "configuration",
    summary: "Read the plug-ins again, and load each anew",
    description: `The list and the sections of their chains come from the configuration as it is now; nothing else of it is taken over. Chains are added, swapped and
removed; those of others go on undisturbed. What is refused leaves the version of before in place.`,
    says: { 200: "what became of each" },
    codes: ["SPRINT_CONFIG_*"],
    answer: { plugins: [PLUGIN] },
  },
  [`GET ${CONTROL_ROUTES.audit}`]: {
    tag: "daemon",
    summary: "Who ordered what, when, and what came of it",
    description: "Each order leaves one entry, done or refused. Calls without a valid token leave none.",
    says: { 200: "newest first" },
    answer: { entries: [AUDIT_ENTRY] },
  },
  [`POST ${CONTROL_ROUTES.stop}`]: {
    tag: "daemon",
    summary: "Shut down",
    description: "Gracefully: every subscriber gets a goodbye with its cursor.",
    says: { 202: "it begins" },
    answer: ACCEPTED,
  },
  [`GET ${CONTROL_ROUTES.metrics}`]: {
    tag: "daemon",
    summary: "Metrics as Prometheus text",
    description: "Names are `sprint_<room>_<noun>_<unit>`, in base units.",
    says: { 200: "text exposition format 0.0.4" },
    media: "text/plain",
    answer: METRICS,
  },
  [`GET ${CONTROL_ROUTES.openapi}`]: {
    tag: "daemon",
    summary: "This document",
    description: "OpenAPI 3.1.",
    says: { 200: "the document" },
  },
  [`GET ${CONTROL_ROUTES.upstreams}`]: {
    tag: "upstreams",
    summary: "Every upstream, its connection and its last error",
    description: "Credentials in addresses are redacted.",
    says: { 200: "in the order of the configuration" },
    answer: { upstreams: [UPSTREAM] },
  },
  [`POST ${CONTROL_ROUTES.cordon}`]: {
    tag: "upstreams",
    summary: "Take an upstream out",
    description:
      "Its connection is closed and not opened again until `for_ms` is over or it is uncordoned. A body is optional.",
    says: { 200: "it is out" },
    codes: NO_UPSTREAM,
    request: ORDER,
    answer: ACCEPTED,
  },
  [`POST ${CONTROL_ROUTES.uncordon}`]: {
    tag: "upstreams",
    summary: "Take an upstream back in",
    description: "Also one that the daemon has cordoned by itself, for a header or block that did not hold.",
    says: { 200: "it is connected to again" },
    codes: NO_UPSTREAM,
    answer: ACCEPTED,
  },
  [`GET ${CONTROL_ROUTES.race}`]: {
    tag: "upstreams",
    summary: "Who announced each block first, and who was wrong",
    description: "Standings are over the last blocks asked for; `wrong` counts since the start.",
    says: { 200: "the race" },
    codes: ["SPRINT_API_CHAIN_OFF"],
    answer: RACE,
  },
  [`GET ${CONTROL_ROUTES.breakers}`]: {
    tag: "breakers",
    summary: "Every breaker",
    description: "A breaker is named after what it guards. docs/breaker.md explains the fields.",
    says: { 200: "all of them" },
    answer: { breakers: [BREAKER] },
  },
  [`GET ${CONTROL_ROUTES.breaker}`]: {
    tag: "breakers",
    summary: "One breaker: state, window, threshold, recovery, policy",
    description: "Rates are those of the last five minutes, counts those of all time.",
    says: { 200: "the breaker" },
    codes: NO_BREAKER,
    answer: BREAKER,
  },
  [`GET ${CONTROL_ROUTES.breakerHistory}`]: {
    tag: "breakers",
    summary: "Its transitions, with cause and evidence",
    description: "As far back as they are kept: the last 256 at most.",
    says: { 200: "newest first" },
    codes: NO_BREAKER,
    answer: { name: BREAKER.name, transitions: [TRANSITION] },
  },
  [`POST ${CONTROL_ROUTES.forceOpen}`]: {
    tag: "breakers",
    summary: "Hold a breaker open: no call passes",
    description: "Until `for_ms` is over or it is reset. It goes on recording. Beats force-close. A body is optional.",
    says: { 200: "the breaker, now force_open" },
    codes: [...NO_BREAKER, "SPRINT_BREAKER_FORCE"],
    request: ORDER,
    answer: FORCED_OPEN,
  },
  [`POST ${CONTROL_ROUTES.forceClose}`]: {
    tag: "breakers",
    summary: "Hold a breaker closed: every call passes",
    description: "Until `for_ms` is over or it is reset. It goes on recording. A body is optional.",
    says: { 200: "the breaker, now force_close, or still force_open" },
    codes: [...NO_BREAKER, "SPRINT_BREAKER_FORCE"],
    request: ORDER,
    answer: FORCED_CLOSED,
  },
  [`POST ${CONTROL_ROUTES.reset}`]: {
    tag: "breakers",
    summary: "Take back what forces a breaker, and start closed",
    description: "It judges by what comes from then on. What was changed of its policy stays.",
    says: { 200: "the breaker, now closed" },
    codes: NO_BREAKER,
    answer: CLOSED,
  },
  [`PATCH ${CONTROL_ROUTES.breakerConfig}`]: {
    tag: "breakers",
    summary: "Change a breaker's policy",
    description:
      "Any of its fields, whole or not at all, over what the tier's policy says. null takes back what was set before.",
    says: { 200: "the breaker, and what changed" },
    codes: [...NO_BREAKER, "SPRINT_BREAKER_OPTIONS"],
    request: { failure_threshold: 40, slow_call_ms: null },
    answer: { breaker: BREAKER, changes: [{ key: "failure_threshold", from: 20, to: 40, restart: false }] },
  },
};

const { at } = TRANSITION;

interface Told<T> extends Message {
  readonly example: Extract<ControlMessage, { readonly type: T }>;
}

const MESSAGES: { readonly [T in ControlMessage["type"]]: Told<T> } = {
  hello: {
    says: "first of each stream",
    example: { type: "hello", at, data: { version: "0.1.0", network: "mainnet" } },
  },
  event: {
    says: "what the tiers' subscribers are told of a chain, without what belongs to one of them",
    example: {
      type: "event",
      at,
      data: {
        type: "finalized",
        chain: "bitcoin",
        network: "mainnet",
        cursor: CURSOR,
        data: { hash: BLOCK.hash, height: BLOCK.height },
      },
    },
  },
  transition: {
    says: "a breaker changed its state, with cause and evidence; a gap in `seq` is a lost one",
    example: { type: "transition", at, data: TRANSITION },
  },
  metrics: {
    says: "every 30 s: the breakers, at most 256, those that are not closed before the others",
    example: { type: "metrics", at, data: { breakers: [BREAKER] } },
  },
  upstream: {
    says: "an upstream changed the state of its connection",
    example: { type: "upstream", at, data: UPSTREAM },
  },
  audit: {
    says: "an order was given, done or refused",
    example: { type: "audit", at, data: AUDIT_ENTRY },
  },
};

const STREAM: Stream = {
  path: CONTROL_ROUTES.stream,
  query: {},
  tag: "stream",
  summary: "What happens in the daemon, as it happens (WebSocket)",
  description: `A handshake of RFC 6455 with the Authorization header; without one it is no route. Each message is \`{"type","at","data"}\`. Ignore types you do not
know. The stream takes no messages; pings come every 30 s. A reader with more than 1 MiB unread is closed with 4008, one whose token is gone with 1008, the
65th with 4503.`,
  says: { 101: "the stream begins" },
  codes: ["SPRINT_API_BAD_HANDSHAKE"],
  messages: MESSAGES,
};

export function controlDocument({ version }: { readonly version: string }): DocumentOptions {
  return {
    title: "Bitcoin Sprint control API",
    version,
    description: `For the operator and the companions, never on a tier's port. Each request carries \`Authorization: Bearer TOKEN\`: the one in .cookie of the data directory
(an admin's, rewritten at each start) or one of \`control_tokens\` in the configuration. Roles: ${ROLES.join(" < ")}. Errors are \`{"error":{"code","message","details"}}\`;
beyond what is listed with a route, any request can get 400 SPRINT_API_BAD_REQUEST, 404 SPRINT_API_NOT_FOUND, 408 SPRINT_API_TIMEOUT and 431 SPRINT_API_HEADERS_TOO_LARGE.`,
    tags: {
      daemon: "The daemon itself",
      upstreams: "Nodes it listens to",
      breakers: "Circuit breakers before them",
      configuration: "What it runs with",
      stream: "The WebSocket stream",
    },
    isSecured: true,
    routes: CONTROL_ROUTES,
    operations: OPERATIONS,
    stream: STREAM,
    rulesOf: ({ method, url, takesInput, takesBody }) => {
      const access = accessOf(method, url);
      if (access === null) throw new Error(`${method} ${url} has no row in the table of roles`);
      const codes: AnsweredCode[] = ["SPRINT_CONTROL_NO_TOKEN", "SPRINT_CONTROL_WRONG_TOKEN"];
      // The least role may all that it needs: nobody with a token is refused.
      if (access.role !== ROLES[0]) codes.push("SPRINT_CONTROL_ROLE");
      if (takesInput) codes.push("SPRINT_API_BAD_INPUT");
      if (takesBody) codes.push("SPRINT_API_BAD_JSON", "SPRINT_API_BODY_TOO_LARGE", "SPRINT_API_MEDIA_TYPE");
      codes.push("SPRINT_API_INTERNAL");
      return {
        codes,
        note: noteOf(access),
        extensions: {
          "x-sprint-role": access.role,
          ...(access.action === null ? {} : { "x-sprint-action": access.action }),
        },
      };
    },
  };
}

function noteOf({ role, action }: Access): string {
  const more = ROLES.slice(ROLES.indexOf(role) + 1);
  return `Role: ${[role, ...more].join(", ")}.${action === null ? "" : ` In the audit as \`${action}\`.`}`;
}
