/** From what the daemon knows to what the API says: snake_case, RFC 3339, units in names. */
import type {
  BlockBody,
  ChainBody,
  HealthBody,
  ListenerBody,
  LogsBody,
  PendingBody,
  RaceBody,
  StreamedEvent,
  SubscriptionBody,
  TopologyBody,
  UpstreamBody,
} from "../../shared/api.ts";
import type { Block } from "../../shared/block.ts";
import type { Chain } from "../../shared/chain.ts";
import type { Clock } from "../../shared/clock.ts";
import { familyData, type LogFilter, type PendingFilter, type RaceReport, type StreamEvent } from "../relay/index.ts";
import { redactValue } from "../../shared/redact.ts";
import type { FeedStatus } from "../upstream/index.ts";
import type { BlockRecord, ChainSnapshot, ServerModules } from "./modules.ts";
import type { Subscription } from "./subscriptions.ts";

export function timeOf(unixMs: number): string {
  return new Date(unixMs).toISOString().replace(".000Z", "Z");
}

export function blockBody({ block, network, validation, upstream, bestChain, final }: BlockRecord): BlockBody {
  return {
    chain: block.chain,
    network,
    hash: block.hash,
    height: block.height,
    parent_hash: block.parentHash,
    timestamp: timeOf(block.timestamp * 1000),
    tx_count: block.txCount,
    size_bytes: block.sizeBytes,
    ...familyBody(block),
    validation,
    upstream,
    best_chain: bestChain,
    final,
  };
}

function familyBody(block: Block): Partial<BlockBody> {
  const { detail } = block;
  const { evm, svm } = familyData(block);
  if (detail.family === "utxo") {
    return {
      weight: detail.weight,
      version: detail.version,
      merkle_root: detail.merkleRoot,
      bits: detail.bits.toString(16).padStart(8, "0"),
      nonce: detail.nonce,
      auxpow: detail.auxpow,
    };
  }
  if (detail.family === "svm" || evm === undefined) return svm === undefined ? {} : { svm };
  return {
    evm: {
      ...evm,
      blob_gas_used: detail.blobGasUsed === null ? null : Number(detail.blobGasUsed),
      excess_blob_gas: detail.excessBlobGas?.toString() ?? null,
      beneficiary: detail.beneficiary,
      state_root: detail.stateRoot,
      transactions_root: detail.transactionsRoot,
      receipts_root: detail.receiptsRoot,
    },
  };
}

function chainBody(chain: ChainSnapshot, upstreams: readonly FeedStatus[]): ChainBody {
  const own = upstreams.filter((upstream) => upstream.chain === chain.chain);
  const up = own.filter((upstream) => upstream.state === "up").length;
  return {
    chain: chain.chain,
    network: chain.network,
    status: up === 0 ? "down" : chain.synced ? "synced" : "syncing",
    tip: chain.tip === null ? null : { hash: chain.tip.hash, height: chain.tip.height },
    tip_time: chain.tip === null ? null : timeOf(chain.tip.timestamp * 1000),
    finalized: chain.finalized === null ? null : { hash: chain.finalized.hash, height: chain.finalized.height },
    ...(chain.safe === undefined ? {} : { safe: chain.safe }),
    upstreams_up: up,
    upstreams_total: own.length,
  };
}

export function chainBodies(modules: Pick<ServerModules, "chains" | "upstreams">): ChainBody[] {
  const upstreams = modules.upstreams();
  return modules.chains().map((chain) => chainBody(chain, upstreams));
}

export function chainBodyOf(modules: Pick<ServerModules, "chains" | "upstreams">, chain: Chain): ChainBody | null {
  return chainBodies(modules).find((body) => body.chain === chain) ?? null;
}

export function healthStatus(chains: readonly ChainBody[], isDraining: boolean): HealthBody["status"] {
  if (isDraining) return "draining";
  const synced = chains.filter(({ status }) => status === "synced").length;
  if (synced === 0) return "down";
  return synced < chains.length ? "degraded" : "ok";
}

export function upstreamBody(status: FeedStatus, clock: Clock): UpstreamBody {
  return {
    name: status.name,
    chain: status.chain,
    kind: status.kind,
    url: status.url,
    state: status.state,
    agent: status.agent,
    height: status.height,
    progress_age_ms: status.lastProgressAt === null ? null : Math.max(0, clock.now() - status.lastProgressAt),
    connects: status.connects,
    last_error: redactValue(status.lastError) as FeedStatus["lastError"],
    cordon: status.cordon,
  };
}

/** Which upstream, behind which breakers, feeds which chain, and which tiers' listeners relay that. */
export function topologyChains(
  modules: Pick<ServerModules, "chains" | "upstreams" | "breakers">,
  listeners: readonly ListenerBody[],
): TopologyBody["chains"] {
  const upstreams = modules.upstreams();
  const breakers = modules.breakers().map(({ report }) => report.name);
  return modules.chains().map(({ chain, network }) => ({
    chain,
    network,
    upstreams: upstreams
      .filter((upstream) => upstream.chain === chain)
      .map(({ name, kind, state }) => ({
        name,
        kind,
        state,
        // A breaker is named after what it guards: `upstream:litecoin:ltc-1`, or with a part of it, `…:ltc-1:read`.
        breakers: breakers.filter((breaker) => `${breaker}:`.includes(`:${chain}:${name}:`)),
      })),
    tiers: listeners.map(({ tier }) => tier),
  }));
}

export function raceBody(report: RaceReport): RaceBody {
  return {
    chain: report.chain,
    blocks: report.blocks.map(({ hash, height, firstAt, arrivals }) => ({
      hash,
      height,
      first_at: timeOf(firstAt),
      arrivals: arrivals.map(({ upstream, via, behindMs }) => ({ upstream, via, behind_ms: behindMs })),
    })),
    standings: report.standings.map(({ upstream, seen, wins, behindMsP50, behindMsP95, wrong }) => ({
      upstream,
      seen,
      wins,
      behind_ms_p50: behindMsP50,
      behind_ms_p95: behindMsP95,
      wrong,
    })),
    wrongs: report.wrongs.map(({ upstream, code, message, wall }) => ({ upstream, code, message, at: timeOf(wall) })),
  };
}

export function subscriptionBody(subscription: Subscription, eventsUrl: string): SubscriptionBody {
  const { id, filter, createdAt, expiresAt, connections } = subscription;
  return {
    id,
    url: `${eventsUrl}?subscription=${id}`,
    chains: filter.chains === null ? null : [...filter.chains],
    types: filter.types === null ? null : [...filter.types],
    phase: filter.phase,
    ...(filter.logs === undefined ? {} : { logs: logsBody(filter.logs) }),
    ...(filter.pending === undefined ? {} : { pending: pendingBody(filter.pending) }),
    ...(filter.watch === undefined ? {} : { watch: [...filter.watch] }),
    created_at: timeOf(createdAt),
    expires_at: timeOf(expiresAt),
    connections,
  };
}

function logsBody({ addresses, topics, abi }: LogFilter): LogsBody {
  return {
    addresses: [...addresses],
    topics: topics.map((any) => (any === null ? null : [...any])),
    ...(abi === undefined ? {} : { abi: [...abi] }),
  };
}

function pendingBody({ addresses, selectors, minValue }: PendingFilter): PendingBody {
  return {
    addresses: [...addresses],
    selectors: [...selectors],
    ...(minValue === null ? {} : { min_value_wei: minValue.toString() }),
  };
}

/** An event as every subscriber gets it, without what belongs to one of them. */
export function streamedEvent(event: StreamEvent): StreamedEvent {
  const { receivedAt: _receivedAt, seq: _seq, ...told } = event;
  return told;
}
