/** The live view on a terminal: draws frames calmly, restores the terminal, hands keys on. Loaded only where there is one. */
import { stripVTControlCharacters } from "node:util";
import type { StreamEvent } from "../relay/index.ts";
import type { DaemonView } from "../view.ts";
import { type Line, type Segment, type Style, frame } from "./frame.ts";
import type { Io } from "./io.ts";

const FRAME_MS = 500;
const MAX_NEWS = 100;

export interface ScreenOptions {
  readonly version: string;
  readonly color: boolean;
}

export interface ScreenModules {
  readonly view: () => DaemonView;
  readonly onQuit: () => void;
  readonly onInterrupt: () => void;
}

export interface Screen {
  event(event: StreamEvent): void;
  /** A log line, while the log's own stream is the terminal that the view covers. */
  note(text: string): void;
  /** Resolves when the terminal is as it was before. */
  close(): Promise<void>;
}

const COLOR: Readonly<Record<Style, object>> = {
  plain: {},
  bold: { bold: true },
  dim: { dimColor: true },
  good: { color: "green" },
  warn: { color: "yellow" },
  bad: { color: "red" },
  accent: { color: "cyan" },
  forced: { color: "magenta" },
};

export async function openScreen(options: ScreenOptions, modules: ScreenModules, io: Io): Promise<Screen> {
  // Read when they are first loaded: React's development build would cost time and memory, chalk does not ask NO_COLOR.
  process.env["NODE_ENV"] ??= "production";
  if (!options.color) process.env["FORCE_COLOR"] = "0";
  const [{ Box, Text, render, useInput, useWindowSize }, { createElement, useEffect, useReducer }] = await Promise.all([
    import("ink"),
    import("react"),
  ]);
  const news: Line[] = [];
  const add = (line: Line): void => {
    news.push(line);
    if (news.length > MAX_NEWS) news.shift();
  };

  const View = () => {
    const [, redraw] = useReducer((count: number) => count + 1, 0);
    const { rows, columns } = useWindowSize();
    useEffect(() => {
      const timer = setInterval(redraw, FRAME_MS);
      return () => clearInterval(timer);
    }, []);
    useInput(
      (input, key) => {
        if (key.ctrl && input === "c") modules.onInterrupt();
        else if (input === "q") modules.onQuit();
      },
      { isActive: io.stdin.isTTY === true },
    );
    const lines = frame({ version: options.version, view: modules.view(), news, now: Date.now() }, { rows, columns });
    return createElement(
      Box,
      { flexDirection: "column" },
      ...lines.map((line, i) =>
        createElement(Text, { key: i, wrap: "truncate" }, ...(line.length === 0 ? [" "] : line.map(segment))),
      ),
    );
  };
  const segment = ({ text, style }: Segment, i: number) => createElement(Text, { key: i, ...COLOR[style] }, text);

  const instance = render(createElement(View), {
    stdout: io.stdout,
    stdin: io.stdin,
    stderr: io.stderr,
    // Whoever opened this screen has a terminal; Ink would draw nothing where the environment says CI.
    interactive: true,
    alternateScreen: true,
    incrementalRendering: true,
    exitOnCtrlC: false,
    patchConsole: false,
    maxFps: 1000 / FRAME_MS,
  });
  return {
    event: (event) => add(eventLine(event, new Date())),
    note: (text) => add([{ text: stripVTControlCharacters(text.trimEnd()), style: "dim" }]),
    async close() {
      instance.unmount();
      await instance.waitUntilExit();
    },
  };
}

function eventLine(event: StreamEvent, at: Date): Line {
  const time: Segment = { text: `${at.toTimeString().slice(0, 8)} `, style: "dim" };
  const chain: Segment = { text: event.chain.padEnd(9), style: "plain" };
  switch (event.type) {
    case "block": {
      const { height, hash, upstream, tx_count: txCount, size_bytes: bytes } = event.data;
      const what = `${height} …${hash.slice(-16)} `;
      if (event.phase === "announced")
        return [time, chain, { text: `${what}announced by ${upstream}`, style: "plain" }];
      const size = `${txCount ?? "?"} transaction${txCount === 1 ? "" : "s"}, ${bytes ?? "?"} bytes`;
      return [time, chain, { text: `${what}validated, ${size}`, style: "good" }];
    }
    case "reorg": {
      const { depth, common_ancestor: ancestor } = event.data;
      return [
        time,
        chain,
        { text: `reorg of depth ${depth}, back to ${ancestor.height} …${ancestor.hash.slice(-16)}`, style: "warn" },
      ];
    }
    case "finalized":
      return [time, chain, { text: `${event.data.height} …${event.data.hash.slice(-16)} is final`, style: "dim" }];
    case "gap":
      return [time, chain, { text: `gap: ${event.data.reason}`, style: "bad" }];
    default:
      return [time, chain, { text: event.type, style: "dim" }];
  }
}
