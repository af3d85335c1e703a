/** What a chain's users watch: its stats, and watch lists. */
import {
  ChainParams,
  MatchesBody,
  MatchesQuery,
  StatsBody,
  TIER_ROUTES,
  UnspentBody,
  UnspentQuery,
  WatchBody,
  WatchListBody,
  WatchListsBody,
  WatchParams,
} from "../../shared/api.ts";
import type { Chain } from "../../shared/chain.ts";
import { SprintError } from "../../shared/errors.ts";
import { answers, nothing, requireChain } from "./answers.ts";
import type { App } from "./http.ts";
import type { ServerModules } from "./modules.ts";

/** As many addresses, scripts and programs as the schema takes, of the usual lengths. */
const MAX_LIST_BYTES = 256 * 1024;

export function addWatchRoutes(routes: App, server: ServerModules): void {
  routes.get(TIER_ROUTES.stats, { schema: { params: ChainParams, response: answers(StatsBody) } }, (request) =>
    server.stats(requireChain(server, request.params.chain)),
  );
  routes.post(
    TIER_ROUTES.watchLists,
    {
      bodyLimit: MAX_LIST_BYTES,
      schema: { params: ChainParams, body: WatchBody, response: answers(WatchListBody, 201) },
    },
    async (request, reply) => {
      const chain = requireChain(server, request.params.chain);
      return reply.code(201).send(await server.watch(chain, request.body));
    },
  );
  routes.get(
    TIER_ROUTES.watchLists,
    { schema: { params: ChainParams, response: answers(WatchListsBody) } },
    (request) => ({ lists: [...server.watchLists(requireChain(server, request.params.chain))] }),
  );
  routes.get(
    TIER_ROUTES.watchList,
    { schema: { params: WatchParams, response: answers(WatchListBody) } },
    (request) => {
      const { chain, id } = request.params;
      return server.watchList(requireChain(server, chain), id) ?? listUnknown(chain, id);
    },
  );
  routes.delete(
    TIER_ROUTES.watchList,
    { schema: { params: WatchParams, response: nothing } },
    async (request, reply) => {
      const { chain, id } = request.params;
      if (!server.unwatch(requireChain(server, chain), id)) listUnknown(chain, id);
      return reply.code(204).send(null);
    },
  );
  routes.get(
    TIER_ROUTES.matches,
    { schema: { params: WatchParams, querystring: MatchesQuery, response: answers(MatchesBody) } },
    (request) => {
      const { chain, id } = request.params;
      return server
        .matches(requireChain(server, chain), id, request.query)
        .then((found) => found ?? listUnknown(chain, id));
    },
  );
  routes.get(
    TIER_ROUTES.unspent,
    { schema: { params: WatchParams, querystring: UnspentQuery, response: answers(UnspentBody) } },
    (request) => {
      const { chain, id } = request.params;
      return server.unspent(requireChain(server, chain), id, request.query) ?? listUnknown(chain, id);
    },
  );
}

function listUnknown(chain: Chain, id: string): never {
  const message = `no watch list ${id} of ${chain} here: it was deleted, or made before a restart`;
  throw new SprintError("SPRINT_WATCH_UNKNOWN", message, { chain, id });
}
