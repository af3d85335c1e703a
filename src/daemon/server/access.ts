/** Who may do what over the control API, and what of it is written down. */
import { createHash, timingSafeEqual } from "node:crypto";
import { CONTROL_ROUTES, ROLES, type AuditEntryBody, type Role } from "../../shared/api.ts";
import { SprintError } from "../../shared/errors.ts";
import { redactValue } from "../../shared/redact.ts";
import type { ControlToken } from "./options.ts";

/** Whose token a request carried. */
export interface Actor {
  readonly name: string;
  readonly role: Role;
}

export interface Access {
  /** The least role; those after it in ROLES may it too. */
  readonly role: Role;
  /** What the audit calls it; null: it changes nothing and is not written down. */
  readonly action: string | null;
}

const LOOK: Access = { role: "viewer", action: null };

/** Every route of the control API. A route that is not here cannot be added. */
const ACCESS: Readonly<Record<string, Access>> = {
  [`GET ${CONTROL_ROUTES.status}`]: LOOK,
  [`GET ${CONTROL_ROUTES.topology}`]: LOOK,
  [`GET ${CONTROL_ROUTES.upstreams}`]: LOOK,
  [`GET ${CONTROL_ROUTES.config}`]: LOOK,
  [`GET ${CONTROL_ROUTES.breakers}`]: LOOK,
  [`GET ${CONTROL_ROUTES.breaker}`]: LOOK,
  [`GET ${CONTROL_ROUTES.breakerHistory}`]: LOOK,
  [`GET ${CONTROL_ROUTES.audit}`]: LOOK,
  [`GET ${CONTROL_ROUTES.race}`]: LOOK,
  [`GET ${CONTROL_ROUTES.plugins}`]: LOOK,
  [`GET ${CONTROL_ROUTES.stream}`]: LOOK,
  [`GET ${CONTROL_ROUTES.metrics}`]: LOOK,
  [`GET ${CONTROL_ROUTES.openapi}`]: LOOK,
  [`POST ${CONTROL_ROUTES.cordon}`]: { role: "operator", action: "upstream.cordon" },
  [`POST ${CONTROL_ROUTES.uncordon}`]: { role: "operator", action: "upstream.uncordon" },
  [`POST ${CONTROL_ROUTES.forceOpen}`]: { role: "operator", action: "breaker.force-open" },
  [`POST ${CONTROL_ROUTES.forceClose}`]: { role: "operator", action: "breaker.force-close" },
  [`POST ${CONTROL_ROUTES.reset}`]: { role: "operator", action: "breaker.reset" },
  [`PATCH ${CONTROL_ROUTES.breakerConfig}`]: { role: "admin", action: "breaker.config" },
  [`POST ${CONTROL_ROUTES.reloadPlugins}`]: { role: "admin", action: "plugins.reload" },
  [`POST ${CONTROL_ROUTES.reload}`]: { role: "admin", action: "config.reload" },
  [`POST ${CONTROL_ROUTES.stop}`]: { role: "admin", action: "daemon.stop" },
};

/** Null where the table has no such route. `route` is the pattern, not the path; HEAD asks for what GET does. */
export function accessOf(method: string, route: string | undefined): Access | null {
  return ACCESS[`${method === "HEAD" ? "GET" : method} ${route}`] ?? null;
}

/** Throws SPRINT_CONTROL_ROLE that names the role needed and the one there is. */
export function checkRole(actor: Actor, access: Access): void {
  if (ROLES.indexOf(actor.role) >= ROLES.indexOf(access.role)) return;
  throw new SprintError(
    "SPRINT_CONTROL_ROLE",
    `${access.action ?? "this"} needs the role ${access.role}, and the token ${actor.name} has ${actor.role}; ask with a token of that role`,
    { needed: access.role, role: actor.role, actor: actor.name },
  );
}

/** The tokens that count now. Both sides are hashed first, and each is compared: equal lengths, and no early end to measure. */
export class Tokens {
  #known: readonly { readonly digest: Buffer; readonly actor: Actor }[] = [];

  constructor(tokens: readonly ControlToken[]) {
    this.replace(tokens);
  }

  replace(tokens: readonly ControlToken[]): void {
    this.#known = tokens.map(({ name, role, token }) => ({ digest: digestOf(token), actor: { name, role } }));
  }

  /** Of an Authorization header. Throws SPRINT_CONTROL_NO_TOKEN, SPRINT_CONTROL_WRONG_TOKEN. */
  actorOf(header: string | undefined): Actor {
    const given = /^Bearer +(\S+)$/i.exec(header ?? "")?.[1];
    if (given === undefined) {
      const message =
        "the control API wants `Authorization: Bearer TOKEN`; the token is in .cookie of the data directory";
      throw new SprintError("SPRINT_CONTROL_NO_TOKEN", message);
    }
    const digest = digestOf(given);
    let actor: Actor | null = null;
    for (const known of this.#known) {
      if (timingSafeEqual(digest, known.digest)) actor = known.actor;
    }
    if (actor !== null) return actor;
    const message =
      "not a token of this daemon; the one in .cookie of the data directory is rewritten at each start, others are in the configuration";
    throw new SprintError("SPRINT_CONTROL_WRONG_TOKEN", message);
  }
}

function digestOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

const MAX_PARAMS = 32;
const MAX_PARAM_LENGTH = 200;

/** What was asked for, as the audit keeps it: no secrets, so many fields at most, and each of them short. */
export function auditParams(...parts: readonly unknown[]): AuditEntryBody["params"] {
  const fields = parts
    .filter((part) => typeof part === "object" && part !== null && !Array.isArray(part))
    .flatMap((part) => Object.entries(redactValue(part) as object) as [string, unknown][])
    .slice(0, MAX_PARAMS);
  return Object.fromEntries(fields.map(([name, value]) => [name.slice(0, MAX_PARAM_LENGTH), short(value)]));
}

function short(value: unknown): unknown {
  if (value === null || typeof value === "boolean" || typeof value === "number") return value;
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > MAX_PARAM_LENGTH ? `${text.slice(0, MAX_PARAM_LENGTH)}…` : text;
}
