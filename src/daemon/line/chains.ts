/** The chains of this daemon as rows: codec, root, listener and methods of each. A plug-in adds a row; nothing else asks which chain it is. */
import type { Block } from "../../shared/block.ts";
import {
  type BuiltInChain,
  type Chain,
  type ChainFamily,
  CHAINS,
  EVM_CHAINS,
  type EvmChain,
  UTXO_CHAINS,
  type UtxoChain,
} from "../../shared/chain.ts";
import { SprintError } from "../../shared/errors.ts";
import {
  type ChainCodec,
  type Checkpoint,
  type EvmCodec,
  type NetworkParams,
  type SvmCodec,
  type UtxoCodec,
  checkpointFrom,
  codecFor,
  decodeHeader,
  evmCodecFor,
  evmParamsFor,
  paramsFor,
  svmCodecFor,
  svmParams,
} from "../chain/index.ts";
import type { ChainConfig } from "../config/index.ts";
import type { ModuleSource } from "../prove/index.ts";
import type { TreeRoot } from "../relay/index.ts";
import {
  type Feed,
  type FeedModules,
  PeerSet,
  type PeerSetModules,
  type SequenceGap,
  type UpstreamAddress,
  createBeaconFeed,
  createEvmFeed,
  createP2pFeed,
  createRpcFeed,
  createSvmFeed,
  createZmqFeed,
} from "../upstream/index.ts";

export interface ChainRow {
  readonly chain: Chain;
  readonly family: ChainFamily;
  /** How upstreams are named: `ltc-1`, `ltc-2`. */
  readonly shortName: string;
  /** Module of the plug-in that brings it; null for a built-in one. */
  readonly plugin: ModuleSource | null;
  /** Throws SPRINT_CHAIN_UNKNOWN_NETWORK. */
  open(network: string): OpenChain;
}

/** A row on one of its networks. */
export interface OpenChain {
  readonly codec: ChainCodec;
  /** Where an RPC address says no port. */
  readonly rpcPort: number;
  /** Where a WebSocket address says no port, and a method without arguments that a node answers; null where nodes have no such sockets. */
  readonly socket: { readonly wsPort: number; readonly probe: string } | null;
  /** Where the tree begins; null: where upstreams agree that it does, see `Rooting`. */
  root(config: Pick<ChainConfig, "checkpoint">): TreeRoot | null;
  openFeed(address: UpstreamAddress, options: ListenOptions, modules: ListenModules): Feed;
  /** Null where the network's peers are not found by themselves. */
  openPeers(modules: Omit<PeerSetModules, "codec">): PeerSet | null;
}

export interface ListenOptions {
  readonly name: string;
  /** Transactions that are in no block yet are listened to as well. */
  readonly transactions: boolean;
}

export type ListenModules = Omit<FeedModules, "connect"> & {
  readonly onGap: (gap: SequenceGap) => void;
  readonly onUnwatched: (reason: string) => void;
};

const SHORT_NAME: Readonly<Record<BuiltInChain, string>> = {
  bitcoin: "btc",
  litecoin: "ltc",
  dogecoin: "doge",
  ethereum: "eth",
  solana: "sol",
  polygon: "pol",
  arbitrum: "arb",
  optimism: "op",
  base: "base",
  bsc: "bsc",
};

export const BUILT_IN_ROWS: readonly ChainRow[] = CHAINS.map((chain) => {
  if (isOf(UTXO_CHAINS, chain)) return utxoRow(chain);
  return isOf(EVM_CHAINS, chain) ? evmRow(chain) : svmRow(chain);
});

function isOf<C extends string>(chains: readonly C[], chain: string): chain is C {
  return (chains as readonly string[]).includes(chain);
}

// --- the Bitcoin family

function utxoRow(chain: UtxoChain): ChainRow {
  return {
    chain,
    family: "utxo",
    shortName: SHORT_NAME[chain],
    plugin: null,
    open: (network) => openUtxo(codecFor(paramsFor(chain, network)), SHORT_NAME[chain]),
  };
}

export function openUtxo(codec: UtxoCodec, shortName: string): OpenChain {
  const { params } = codec;
  return {
    codec,
    rpcPort: params.rpcPort,
    socket: null,
    root: (config) => utxoRoot(config, codec),
    openFeed(address, { name, transactions }, modules) {
      const told = { ...modules, codec };
      switch (address.kind) {
        case "p2p":
          return createP2pFeed({ name, host: address.host, port: address.port ?? params.p2pPort, transactions }, told);
        case "rpc":
          return createRpcFeed({ name, address }, told);
        case "zmq":
          return createZmqFeed({ name, address, transactions }, told);
        default:
          throw wrongKind(codec, address, "p2p://, http(s):// or zmq+tcp://");
      }
    },
    openPeers: (modules) => new PeerSet({ name: shortName }, { ...modules, codec }),
  };
}

/** The operator's checkpoint, the built-in one, or genesis. */
function utxoRoot(config: Pick<ChainConfig, "checkpoint">, codec: UtxoCodec): TreeRoot {
  const { params } = codec;
  const checkpoint = config.checkpoint === null ? params.checkpoint : operatorCheckpoint(config.checkpoint, params);
  const raw = checkpoint?.header ?? params.genesisHeader;
  // An anchor is trusted, not proved: its 80 bytes are enough, also where its version announces an AuxPoW.
  const plain = { headerRules: { ...params.headerRules, auxpow: null } };
  const { header } = decodeHeader(raw, 0, plain);
  const block: Block = codec.toBlock(header, checkpoint?.height ?? 0, null);
  if (checkpoint === null && block.hash !== params.genesisHash) {
    throw new SprintError(
      "SPRINT_CHAIN_GENESIS",
      `expected genesis ${params.genesisHash}, the built-in header gives ${block.hash}`,
    );
  }
  return { block, work: checkpoint?.work ?? codec.weight(header) };
}

function operatorCheckpoint(given: NonNullable<ChainConfig["checkpoint"]>, params: NetworkParams): Checkpoint {
  const { height, header, work } = given;
  return checkpointFrom({ height, headerHex: Buffer.from(header).toString("hex"), workHex: work.toString(16) }, params);
}

// --- the EVM family

function evmRow(chain: EvmChain): ChainRow {
  return {
    chain,
    family: "evm",
    shortName: SHORT_NAME[chain],
    plugin: null,
    open: (network) => openEvm(evmCodecFor(evmParamsFor(chain, network))),
  };
}

export function openEvm(codec: EvmCodec): OpenChain {
  return {
    codec,
    rpcPort: 8545,
    socket: { wsPort: 8546, probe: "eth_chainId" },
    root: () => null,
    openFeed(address, { name, transactions }, modules) {
      if (address.kind === "beacon") return createBeaconFeed({ name, address }, { ...modules, codec });
      if (address.kind !== "ws" && address.kind !== "rpc")
        throw wrongKind(codec, address, "ws(s)://, http(s):// or beacon+http(s)://");
      return createEvmFeed({ name, address, pending: transactions }, { ...modules, codec });
    },
    openPeers: () => null,
  };
}

// --- Solana

function svmRow(chain: BuiltInChain): ChainRow {
  return {
    chain,
    family: "svm",
    shortName: SHORT_NAME[chain],
    plugin: null,
    open: (network) => openSvm(svmCodecFor(svmParams(network))),
  };
}

export function openSvm(codec: SvmCodec): OpenChain {
  return {
    codec,
    rpcPort: 8899,
    socket: { wsPort: 8900, probe: "getGenesisHash" },
    root: () => null,
    openFeed(address, { name, transactions }, modules) {
      if (address.kind !== "ws" && address.kind !== "rpc") throw wrongKind(codec, address, "ws(s):// or http(s)://");
      return createSvmFeed({ name, address, transactions }, { ...modules, codec });
    },
    openPeers: () => null,
  };
}

function wrongKind({ chain }: ChainCodec, { display }: UpstreamAddress, expected: string): SprintError {
  return new SprintError(
    "SPRINT_CONFIG_UPSTREAM_URL",
    `upstream URL ${display}: expected ${expected} for ${chain}, got another scheme`,
    { url: display, expected },
  );
}
