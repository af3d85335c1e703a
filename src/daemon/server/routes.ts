/** The REST routes of a tier's listener: a table to read from top to bottom. */
import {
  BlockBody,
  BlocksBody,
  ChainBlocksBody,
  ChainBlocksQuery,
  ChainBody,
  ChainParams,
  ChainsBody,
  HashParams,
  HealthBody,
  LatestQuery,
  ReadyBody,
  SubscribeBody,
  SubscriptionBody,
  SubscriptionParams,
  SubscriptionsBody,
  TIER_ROUTES,
  VersionBody,
} from "../../shared/api.ts";
import { SprintError } from "../../shared/errors.ts";
import type { Tier } from "../../shared/tier.ts";
import { answers, chainOff, nothing, requireChain } from "./answers.ts";
import type { App } from "./http.ts";
import type { Before, BlockRecord, ServerModules } from "./modules.ts";
import type { Subscriptions } from "./subscriptions.ts";
import { addRpcRoute, type RpcRouteModules } from "./rpc.ts";
import { addWatchRoutes } from "./watch-routes.ts";
import { blockBody, chainBodies, chainBodyOf, healthStatus, subscriptionBody } from "./views.ts";

export interface TierRouteOptions {
  readonly tier: Tier;
  readonly version: string;
  readonly network: string;
  readonly startedAt: number;
}

export interface TierRouteModules {
  readonly server: ServerModules;
  readonly subscriptions: Subscriptions;
  readonly isDraining: () => boolean;
  readonly charge: RpcRouteModules["charge"];
  /** WebSocket address, given the Host that the client used. */
  readonly eventsUrl: (host: string) => string;
}

/** Probes are answered whatever the limits say. */
/** A filter of as many addresses as the schema takes; an ABI of that size is read in 50 ms. */
const MAX_FILTER_BYTES = 64 * 1024;
const EXEMPT = { rateLimit: false } as const;

export function addTierRoutes(app: App, options: TierRouteOptions, modules: TierRouteModules): void {
  const { server, subscriptions, isDraining, charge, eventsUrl } = modules;

  // Registered as a plugin, so that the limiter and the OpenAPI collector, registered before, see each route.
  app.register(async (routes: App) => {
    routes.get(
      TIER_ROUTES.latest,
      {
        schema: {
          querystring: LatestQuery,
          response: answers(BlocksBody),
        },
      },
      (request) => {
        const { chain } = request.query;
        const chains = chain === undefined ? server.chains().map((each) => each.chain) : [requireChain(server, chain)];
        const records = chains.map((each) => server.latest(each)).filter((record) => record !== null);
        return { blocks: records.map(blockBody) };
      },
    );
    routes.get(TIER_ROUTES.block, { schema: { params: HashParams, response: answers(BlockBody) } }, (request) =>
      blockBody(requireBlock(server, request.params.hash)),
    );
    routes.get(TIER_ROUTES.chains, { schema: { response: answers(ChainsBody) } }, () => ({
      chains: chainBodies(server),
    }));
    routes.get(
      TIER_ROUTES.chainStatus,
      {
        schema: {
          params: ChainParams,
          response: answers(ChainBody),
        },
      },
      (request) => chainBodyOf(server, request.params.chain) ?? chainOff(server, request.params.chain),
    );
    routes.get(
      TIER_ROUTES.chainBlocks,
      {
        schema: {
          params: ChainParams,
          querystring: ChainBlocksQuery,
          response: answers(ChainBlocksBody),
        },
      },
      (request) => {
        const chain = requireChain(server, request.params.chain);
        const { limit, before } = request.query;
        const records = server.blocksOf(chain, { limit, before: beforeOf(before) });
        if (records === null) throw blockUnknown(String(before));
        const next = records.length < limit ? undefined : records.at(-1);
        return { chain, blocks: records.map(blockBody), next_before: next?.block.hash ?? null };
      },
    );

    addWatchRoutes(routes, server);
    routes.register(async (scope: App) => {
      const rpc: ServerModules["rpc"] = (chain, body, signal) => server.rpc(requireChain(server, chain), body, signal);
      addRpcRoute(scope, { rpc, charge });
    });

    routes.post(
      TIER_ROUTES.subscribe,
      {
        bodyLimit: MAX_FILTER_BYTES,
        schema: {
          body: SubscribeBody,
          response: answers(SubscriptionBody, 201),
        },
      },
      async (request, reply) => {
        for (const chain of request.body.chains ?? []) requireChain(server, chain);
        await server.prepareAbi(request.body.logs?.abi ?? []);
        const subscription = subscriptions.add(request.ip, request.body);
        return reply.code(201).send(subscriptionBody(subscription, eventsUrl(request.host)));
      },
    );
    routes.delete(
      TIER_ROUTES.subscription,
      {
        schema: {
          params: SubscriptionParams,
          response: nothing,
        },
      },
      async (request, reply) => {
        subscriptions.remove(request.params.id);
        return reply.code(204).send(null);
      },
    );
    routes.get(TIER_ROUTES.subscriptions, { schema: { response: answers(SubscriptionsBody) } }, (request) => ({
      subscriptions: subscriptions.listOf(request.ip).map((each) => subscriptionBody(each, eventsUrl(request.host))),
    }));

    routes.get(
      TIER_ROUTES.health,
      {
        config: EXEMPT,
        schema: {
          response: { ...answers(HealthBody), 503: HealthBody },
        },
      },
      async (_request, reply) => {
        const chains = chainBodies(server);
        const status = healthStatus(chains, isDraining());
        const uptime_seconds = (server.clock.wall() - options.startedAt) / 1000;
        return reply
          .code(status === "down" || status === "draining" ? 503 : 200)
          .send({ status, uptime_seconds, chains });
      },
    );
    routes.get(TIER_ROUTES.version, { schema: { response: answers(VersionBody) } }, () => ({
      name: "bitcoin-sprint" as const,
      version: options.version,
      network: options.network,
      chains: Object.fromEntries(server.chains().map(({ chain, network }) => [chain, network])),
      tier: options.tier,
    }));
    routes.get(TIER_ROUTES.metrics, async (_request, reply) =>
      reply.type("text/plain; version=0.0.4; charset=utf-8").send(await server.metricsText()),
    );
    routes.get(TIER_ROUTES.healthz, { config: EXEMPT, schema: { response: answers(ReadyBody) } }, () => ({
      ready: true,
      reason: null,
    }));
    routes.get(
      TIER_ROUTES.readyz,
      {
        config: EXEMPT,
        schema: {
          response: { ...answers(ReadyBody), 503: ReadyBody },
        },
      },
      async (_request, reply) => {
        const status = healthStatus(chainBodies(server), isDraining());
        const ready = status === "ok" || status === "degraded";
        return reply.code(ready ? 200 : 503).send({ ready, reason: ready ? null : status });
      },
    );
    routes.get(TIER_ROUTES.openapi, () => routes.swagger());
  });
}

function beforeOf(text: string | undefined): Before {
  if (text === undefined) return null;
  return text.length <= 10 ? Number(text) : text;
}

function requireBlock(server: ServerModules, hash: string): BlockRecord {
  const record = server.blockByHash(hash);
  if (record === null) throw blockUnknown(hash);
  return record;
}

function blockUnknown(hash: string): SprintError {
  const message = `block ${hash} is not known here: it is on no chain relayed, older than what is kept, or not mined yet`;
  return new SprintError("SPRINT_API_BLOCK_UNKNOWN", message, { hash });
}
