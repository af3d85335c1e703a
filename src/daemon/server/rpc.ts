/**
 * `POST /api/v1/chains/{chain}/rpc`. The body is handed on as text: what is no JSON has an answer in JSON-RPC too, and content types that its
 * clients send (text/plain, none) are as good as application/json.
 */
import { ChainParams, ErrorBody, RpcReplyBody, RpcRequestBody, TIER_ROUTES } from "../../shared/api.ts";
import { isSprintError, SprintError } from "../../shared/errors.ts";
import type { FastifyRequest } from "fastify";
import type { App } from "./http.ts";
import type { ServerModules } from "./modules.ts";

const MAX_BODY_BYTES = 256 * 1024;

export interface RpcRouteModules extends Pick<ServerModules, "rpc"> {
  /** Takes so many from what the client's address may call in this minute. */
  charge(request: FastifyRequest, calls: number): Promise<void>;
}

/** `scope` is a plugin of its own: the parser of bodies that is set here is for this route alone. */
export function addRpcRoute(scope: App, modules: RpcRouteModules): void {
  const check = scope.validatorCompiler;
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser("*", { parseAs: "string" }, (_request, body, done) => done(null, body));
  scope.post(
    TIER_ROUTES.rpc,
    {
      bodyLimit: MAX_BODY_BYTES,
      // The proxy reads the body; its schema is for /openapi.json.
      validatorCompiler: (part) =>
        part.httpPart === "body" || check === undefined ? (value: unknown) => ({ value }) : check(part as never),
      schema: {
        params: ChainParams,
        body: RpcRequestBody,
        response: { 200: RpcReplyBody, "4xx": ErrorBody, "5xx": ErrorBody },
      },
    },
    async (request, reply) => {
      const body: unknown = request.body;
      const gone = new AbortController();
      reply.raw.once("close", () => {
        if (!reply.raw.writableFinished) gone.abort(new Error("the client has gone"));
      });
      try {
        const answer = await modules.rpc(request.params.chain, typeof body === "string" ? body : "", gone.signal);
        // The first was taken when the request came.
        await modules.charge(request as FastifyRequest, answer.calls - 1);
        // Text is sent as it is; the schema is for /openapi.json.
        return reply
          .code(answer.status as 200)
          .headers(answer.headers)
          .type("application/json; charset=utf-8")
          .send(answer.body as never);
      } catch (error) {
        if (gone.signal.aborted) throw new SprintError("SPRINT_API_BAD_REQUEST", "the client has gone");
        if (isSprintError(error) && typeof error.data["tried"] === "string")
          reply.header("x-sprint-tried", error.data["tried"]);
        throw error;
      }
    },
  );
}
