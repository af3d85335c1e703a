/** A length of wire before a port of this machine, which can be cut in one direction or both: bytes are neither passed on nor refused. */
import { once } from "node:events";
import { type AddressInfo, type Socket, connect, createServer } from "node:net";

export interface Wire {
  readonly port: number;
  /** What goes that way gets lost from now on, on connections that are open and on new ones. */
  cut(direction: "to" | "from"): void;
  mend(): void;
  close(): Promise<void>;
}

export async function startWire(target: number): Promise<Wire> {
  const cuts = new Set<"to" | "from">();
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect({ host: "127.0.0.1", port: target });
    for (const [from, to, direction] of [
      [near, far, "to"],
      [far, near, "from"],
    ] as const) {
      sockets.add(from);
      from.setNoDelay(true);
      from.on("data", (bytes) => {
        if (!cuts.has(direction)) to.write(bytes);
      });
      // An end travels the same way as bytes: over a cut wire nobody hears it.
      from.on("end", () => {
        if (!cuts.has(direction)) to.end();
      });
      from.on("error", () => to.destroy());
      from.on("close", () => {
        sockets.delete(from);
        if (!cuts.has(direction)) to.destroy();
      });
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    cut: (direction) => void cuts.add(direction),
    mend() {
      // What was lost leaves a hole in every stream: those are of no use any more, as after a real outage.
      if (cuts.size > 0) for (const socket of sockets) socket.destroy();
      cuts.clear();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
