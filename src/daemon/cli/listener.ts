/** A tier's listener of the running daemon, for what only they answer. */
import type { Static, TSchema } from "typebox";
import { Value } from "typebox/value";
import { REQUEST_TIMEOUT_MS, refusal, unreachable } from "../../shared/connect.ts";
import { SprintError, messageOf } from "../../shared/errors.ts";
import { TIERS } from "../../shared/tier.ts";
import { type AskOptions, connect } from "./connect.ts";
import type { Io } from "./io.ts";

/** The one with the widest limits first. */
const WIDEST_FIRST = TIERS.toReversed();

export interface Listener {
  /** Throws SPRINT_CLIENT_*. */
  ask<T extends TSchema>(schema: T, path: string): Promise<Static<T>>;
  post<T extends TSchema>(schema: T, path: string, body: object): Promise<Static<T>>;
  remove(path: string): Promise<void>;
}

/**
 * The daemon tells where its listeners are; the first that can be reached is taken. Throws SPRINT_CLIENT_* like `connect`, and
 * SPRINT_CLIENT_UNREACHABLE where no listener answers.
 */
export async function openListener(options: AskOptions, io: Io): Promise<Listener> {
  const { client, address } = await connect(options, io);
  const { tiers } = await client.status();
  const sorted = tiers.toSorted((a, b) => WIDEST_FIRST.indexOf(a.tier) - WIDEST_FIRST.indexOf(b.tier));
  const failures: string[] = [];
  for (const { tier, url } of sorted) {
    try {
      await fetch(new URL("/healthz", url), { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
      return listenerAt(url);
    } catch (error) {
      failures.push(`${tier} at ${url}: ${messageOf((error as Error).cause ?? error)}`);
    }
  }
  const found = failures.length === 0 ? "it has none" : failures.join("; ");
  const message = `expected a tier's listener of the daemon at ${address.url} that can be reached from here, but ${found}. Run this where the daemon runs, or have it listen with --host`;
  throw new SprintError("SPRINT_CLIENT_UNREACHABLE", message, { url: address.url, listeners: sorted.length });
}

function listenerAt(url: string): Listener {
  const request = async (method: string, path: string, body?: object): Promise<Response> => {
    const headers = { "content-type": "application/json" };
    const sent = body === undefined ? {} : { headers, body: JSON.stringify(body) };
    let response: Response;
    try {
      const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
      response = await fetch(new URL(path, url), { method, signal, ...sent });
    } catch (error) {
      throw unreachable(url, error);
    }
    if (response.ok) return response;
    throw refusal(url, response.status, await response.text().catch(() => ""));
  };
  const read = async <T extends TSchema>(schema: T, path: string, response: Response): Promise<Static<T>> => {
    const answer: unknown = await response.json().catch(() => undefined);
    if (Value.Check(schema, answer)) return answer as Static<T>;
    const message = `${url}${path} answered something else than expected; is it a sprint daemon of this version?`;
    throw new SprintError("SPRINT_CLIENT_BAD_ANSWER", message, { url, path });
  };
  return {
    ask: async (schema, path) => read(schema, path, await request("GET", path)),
    post: async (schema, path, body) => read(schema, path, await request("POST", path, body)),
    remove: async (path) => void (await request("DELETE", path)),
  };
}
