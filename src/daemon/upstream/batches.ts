/** Many questions to one node: in portions, some at a time, and what of the answers hangs together. */
import type { Header } from "../chain/index.ts";

export function chunks<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  const found: T[][] = [];
  for (let at = 0; at < items.length; at += size) found.push(items.slice(at, at + size));
  return found;
}

/** The results in the order of the items, some at a time. */
export async function inParallel<I, R>(
  items: readonly I[],
  limit: number,
  work: (item: I) => Promise<readonly R[]>,
): Promise<readonly R[]> {
  const results: (readonly R[])[] = [];
  const queue = items.entries();
  const worker = async (): Promise<void> => {
    for (const [at, item] of queue) results[at] = await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  return results.flat();
}

/** The run of headers that starts behind `parentHash` and has no hole; null: behind any. */
export function linked<H extends Header>(parentHash: string | null, headers: readonly (H | null)[]): readonly H[] {
  const run: H[] = [];
  for (const header of headers) {
    if (header === null) break;
    const parent = run.at(-1)?.hash ?? parentHash;
    if (parent !== null && header.parentHash !== parent) break;
    run.push(header);
  }
  return run;
}

/** How nodes and proxies that do not know batches answer one. */
export const NO_BATCHES: ReadonlySet<string> = new Set([
  "SPRINT_RPC_SHAPE",
  "SPRINT_RPC_ERROR",
  "SPRINT_RPC_METHOD_MISSING",
  "SPRINT_RPC_WRONG_ID",
  "SPRINT_RPC_NOT_JSON",
  "SPRINT_RPC_EMPTY",
  "SPRINT_RPC_STATUS",
  "SPRINT_RPC_FORBIDDEN",
]);
