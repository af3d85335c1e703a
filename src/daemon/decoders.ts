/** Decoders of logs by the ABI that came with a subscription: made when it comes, kept while there is room. */
import { createLogDecoder } from "./abi.ts";
import type { LogDecoder } from "./relay/index.ts";

/** Of as many different ABIs, and of ABIs of as many characters together, each of which takes some 20 bytes; the one used longest ago makes room. */
const MAX_DECODERS = 1_000;
const MAX_CHARS = 4_000_000;

export interface Decoders {
  /** Rejects with SPRINT_ABI_* where a fragment is none. */
  prepare(abi: readonly string[]): Promise<void>;
  /** Of an ABI that was prepared. */
  of(abi: readonly string[]): LogDecoder;
}

export function createDecoders(): Decoders {
  const decoders = new Map<string, LogDecoder>();
  let chars = 0;
  const forget = (key: string): void => {
    if (decoders.delete(key)) chars -= key.length;
  };
  return {
    async prepare(abi) {
      if (abi.length === 0) return;
      const key = keyOf(abi);
      const decoder = decoders.get(key) ?? (await createLogDecoder(abi));
      forget(key);
      decoders.set(key, decoder);
      chars += key.length;
      for (const oldest of decoders.keys()) {
        if (decoders.size <= MAX_DECODERS && chars <= MAX_CHARS) return;
        forget(oldest);
      }
    },
    of(abi) {
      const decoder = decoders.get(keyOf(abi));
      if (decoder !== undefined) return decoder;
      // It made room for others: what was subscribed to is told undecoded.
      return () => null;
    },
  };
}

function keyOf(abi: readonly string[]): string {
  return JSON.stringify(abi);
}
