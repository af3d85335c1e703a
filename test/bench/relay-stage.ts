/** The four processes of the relay bench, connected: this one announces, the daemon, the floor, the subscribers. */
import { type Socket, connect } from "node:net";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { startSprint } from "../fakes/sprint.ts";
import { child, heard } from "./child.ts";
import type { FloorFrame, FloorPorts } from "./relay-floor.ts";
import type { Announcement, Source } from "./relay-sources.ts";
import type { Group, Order, Report } from "./relay-subscribers.ts";

/** Between announcements: the body is fetched and proved meanwhile. */
export const PAUSE_MS = 15;
const SETTLE_MS = 200;
const WARM_UP = 30;

export interface Delivery {
  /** Milliseconds from the write to each subscriber's read. */
  readonly delays: number[];
  /** As the event says; null from the floor. */
  readonly relayTimeMs: number | null;
}

export interface Stage {
  /** Gives both groups `count` sockets and warms everything up. */
  connect(count: number): Promise<void>;
  /** Makes a block and its announcement. */
  prepare(): Promise<Announcement>;
  /** Writes it and waits for every subscriber of the group. */
  announce(group: Group, announcement: Announcement): Promise<Delivery>;
  close(): Promise<void>;
}

export async function setStage(openSource: () => Promise<Source>): Promise<Stage> {
  const source = await openSource();
  const sprint = await startSprint({ args: ["--tier", "ENTERPRISE", "--chain", `${source.chain}=${source.url}`] });
  const floor = child("relay-floor.ts");
  const subscribers = child("relay-subscribers.ts");
  const ports = (await heard(floor)) as FloorPorts;
  const toFloor: Socket = connect({ port: ports.announce, host: "127.0.0.1", noDelay: true });
  await once(toFloor, "connect");
  answerQuestions(toFloor, source);
  await source.heard();

  const order = async (what: Order): Promise<void> => {
    const answer = heard(subscribers);
    subscribers.send(what);
    await answer;
  };

  const announce = async (group: Group, { hash, bytes, tell }: Announcement): Promise<Delivery> => {
    await order({ do: "arm", group });
    const arrival = heard(subscribers);
    const alike = group === "floor" ? message(bytes) : Buffer.alloc(0);
    const start = Number(process.hrtime.bigint());
    if (group === "relay") tell();
    else toFloor.write(alike);
    const report = (await arrival.catch((error: unknown) => {
      throw new Error(`${group} did not deliver ${hash}; sprint said:\n${sprint.output()}`, { cause: error });
    })) as Report;
    if (report.did !== "arrive") throw new Error(`expected arrivals, got ${report.did}`);
    const delays = report.stamps.map((stamp) => (stamp - start) / 1e6);
    return { delays, relayTimeMs: group === "relay" ? await adoptFrame(report.frame, hash) : null };
  };

  /** The floor forwards what the relay sent last: the same size to the byte. The relay's own time, as the frame says. */
  const adoptFrame = async (frame: string, hash: string): Promise<number> => {
    const text = Buffer.from(frame, "base64").toString("latin1");
    const relayTime = /"relay_time_ms": *([0-9.]+)/.exec(text)?.[1];
    if (!text.includes(hash) || relayTime === undefined) {
      throw new Error(`expected a block event for ${hash}, got ${text.slice(0, 300)}`);
    }
    const answer = heard(floor);
    floor.send({ frame, askBytes: source.question?.askBytes ?? 0 } satisfies FloorFrame);
    await answer;
    return Number(relayTime);
  };

  return {
    prepare: () => source.prepare(),
    announce,
    async connect(count) {
      const enterprise = sprint.tiers.ENTERPRISE;
      if (enterprise === undefined) throw new Error(`sprint opened no ENTERPRISE listener:\n${sprint.output()}`);
      // Only what is timed goes over the socket: one frame a block.
      const path = `/ws/v1/events?chains=${source.chain}&types=block&phase=announced`;
      await order({ do: "connect", group: "relay", port: Number(new URL(enterprise).port), path, count });
      await order({ do: "connect", group: "floor", port: ports.subscribe, path: null, count });
      // Who comes now is told of the tip, if that was proved only lately.
      await sleep(SETTLE_MS);
      for (let i = 0; i < WARM_UP; i++) {
        const announcement = await source.prepare();
        for (const group of ["relay", "floor"] as const) await announce(group, announcement);
        await sleep(PAUSE_MS);
      }
    },
    async close() {
      toFloor.destroy();
      for (const process of [floor, subscribers]) if (process.connected) process.disconnect();
      await sprint.stop();
      await source.close();
    },
  };
}

/** What the daemon asks this process for, the floor asks it for too. */
function answerQuestions(toFloor: Socket, { question }: Source): void {
  if (question === null) return;
  const answer = message(question.answerBytes);
  let askedBytes = 0;
  toFloor.on("data", (chunk: Buffer) => {
    askedBytes += chunk.length;
    if (askedBytes < question.askBytes) return;
    askedBytes = 0;
    toFloor.write(answer);
  });
}

/** As long as what the daemon reads, in the form that the floor reads. */
function message(bytes: number): Buffer {
  const alike = Buffer.alloc(bytes);
  alike.writeUInt32LE(bytes);
  return alike;
}
