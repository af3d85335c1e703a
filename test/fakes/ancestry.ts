/** Chains of ancestors for tests of context rules, without a fork tree. */
import { decodeHeader, type Ancestor, type UtxoHeader, type NetworkParams } from "../../src/daemon/chain/index.ts";

/** The node that `header` makes at `height`; a root has no parent. */
export function nodeOf(params: NetworkParams, header: UtxoHeader, height: number, parent: Ancestor | null): Ancestor {
  return {
    parent,
    block: {
      chain: params.chain,
      height,
      hash: header.hash,
      locator: header.locator,
      parentHash: header.parentHash,
      timestamp: header.time,
      txCount: null,
      sizeBytes: null,
      detail: {
        family: "utxo",
        version: header.version,
        merkleRoot: header.merkleRoot,
        bits: header.bits,
        nonce: header.nonce,
        auxpow: header.auxpow !== null,
        weight: null,
      },
    },
  };
}

export function genesisNode(params: NetworkParams): Ancestor {
  return nodeOf(params, decodeHeader(params.genesisHeader, 0, params).header, 0, null);
}

/** A run of 80-byte headers. */
export function headersOf(run: Uint8Array, params: NetworkParams): UtxoHeader[] {
  const headers: UtxoHeader[] = [];
  for (let offset = 0; offset < run.length;) {
    const { header, end } = decodeHeader(run, offset, params);
    headers.push(header);
    offset = end;
  }
  return headers;
}

/** A made-up chain from `from` to `to`; `at` says time and bits of each height. Hashes are numbers in hex. */
export function madeUpChain(
  params: NetworkParams,
  from: number,
  to: number,
  at: (height: number) => { readonly time: number; readonly bits: number },
): Ancestor {
  let node: Ancestor | null = null;
  for (let height = from; height <= to; height++) node = nodeOf(params, madeUpHeader(height, at(height)), height, node);
  return node as Ancestor;
}

/** A header that fits on top of `madeUpChain`; its work is not real. */
export function madeUpHeader(
  height: number,
  fields: { readonly time: number; readonly bits: number; readonly version?: number },
): UtxoHeader {
  const hash = height.toString(16).padStart(64, "0");
  return {
    hash,
    locator: hash,
    height: null,
    parentHash: (height - 1).toString(16).padStart(64, "0").slice(-64),
    merkleRoot: "00".repeat(32),
    version: fields.version ?? 0x2000_0000,
    time: fields.time,
    bits: fields.bits,
    nonce: 0,
    auxpow: null,
    raw: new Uint8Array(80),
  };
}
