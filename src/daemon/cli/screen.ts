/** The live view on a terminal: draws frames calmly, restores the terminal, hands keys on. Loaded only where there is one. */
import { stripVTControlCharacters } from "node:util";
import type { StreamEvent } from "../relay/index.ts";
import type { DaemonView } from "../view.ts";
import { type Segment, type Style, frame } from "./frame.ts";
import type { Io } from "./io.ts";
import { News } from "./news.ts";

const FRAME_MS = 500;

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
  const news = new News();

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
    const input = {
      version: options.version,
      view: modules.view(),
      news: (max: number) => news.lines(max),
      now: Date.now(),
    };
    const lines = frame(input, { rows, columns });
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
    event: (event) => news.event(event, new Date()),
    note: (text) => news.note(stripVTControlCharacters(text.trimEnd()), new Date()),
    async close() {
      instance.unmount();
      await instance.waitUntilExit();
    },
  };
}
