/** `sprint breakers …`: what guards each upstream. */
import { EXIT, table } from "../../shared/cli.ts";
import { type AskOptions, connect } from "./connect.ts";
import { type Io, printResult } from "./io.ts";

export async function list(options: AskOptions, io: Io): Promise<number> {
  const { client } = await connect(options, io);
  const answer = await client.breakers();
  printResult(io, options, answer, () =>
    table(
      ["NAME", "STATE", "REQUESTS", "FAILURES", "REJECTED", "NEXT ATTEMPT", "LAST ERROR"],
      answer.breakers.map((breaker) => [
        breaker.name,
        breaker.state,
        breaker.requests,
        breaker.failures,
        breaker.rejected,
        breaker.next_attempt_at,
        breaker.last_error,
      ]),
    ),
  );
  return EXIT.DONE;
}
