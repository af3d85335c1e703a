/** What the routes of a tier's listener have in common: the shape of their answers, and that a chain is relayed here. */
import { ErrorBody } from "../../shared/api.ts";
import type { Chain } from "../../shared/chain.ts";
import { SprintError } from "../../shared/errors.ts";
import type { ServerModules } from "./modules.ts";

/** Answers of a route, by status. */
export function answers<T, S extends number = 200>(body: T, status: S = 200 as S) {
  return { [status]: body, "4xx": ErrorBody, 500: ErrorBody } as Record<S, T> & Record<"4xx" | 500, typeof ErrorBody>;
}

/** Of a route whose answer has no body. */
export const nothing = { 204: { type: "null", description: "done" }, "4xx": ErrorBody } as const;

/** Throws SPRINT_API_CHAIN_OFF. */
export function requireChain(server: Pick<ServerModules, "chains">, chain: Chain): Chain {
  return server.chains().some((each) => each.chain === chain) ? chain : chainOff(server, chain);
}

export function chainOff(server: Pick<ServerModules, "chains">, chain: Chain): never {
  const on = server.chains().map((each) => each.chain);
  const message = `${chain} is not relayed by this daemon; it relays ${on.join(", ") || "no chain"}`;
  throw new SprintError("SPRINT_API_CHAIN_OFF", message, { chain, on });
}
