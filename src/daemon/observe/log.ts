/** Structured logs: one JSON object a line, pretty on a terminal. To standard error, so that results own standard output. */
import { type ChildLoggerOptions, type Logger as PinoLogger, pino, stdTimeFunctions } from "pino";
import pretty from "pino-pretty";
import { redactText, redactValue } from "../../shared/redact.ts";

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export type Logger = PinoLogger;

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: "pretty" | "json";
  readonly color: boolean;
}

/** Where lines go; both `process.stderr` and a test's list are one. */
export interface LogSink {
  write(line: string): unknown;
}

/**
 * Every field and every message passes the redaction: names like `token` lose their value, URLs their credentials,
 * also inside `err.message`. `log.level` may be set to another one at any time; children keep the one that they were made with.
 */
export function createLogger(options: LogOptions, sink: LogSink): Logger {
  const log = pino(
    {
      level: options.level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      // `err` goes through formatters.log like the rest; pino's own serialiser would run first and keep the message as it is.
      serializers: { err: redactValue },
      formatters: {
        level: (label) => ({ level: label }),
        log: redactObject,
      },
      hooks: {
        logMethod(args, method) {
          method.apply(this, redactArguments(args) as Parameters<typeof method>);
        },
      },
    },
    options.format === "pretty" ? prettyInto(sink, options.color) : sink,
  );
  // A child's fields are written down once, past every formatter. Children inherit this from their parent.
  const { child } = log;
  Object.defineProperty(log, "child", {
    value(this: Logger, bindings: object, childOptions?: ChildLoggerOptions): unknown {
      return Reflect.apply(child, this, [redactObject(bindings), childOptions]);
    },
  });
  return log;
}

function redactObject(fields: object): Record<string, unknown> {
  return redactValue(fields) as Record<string, unknown>;
}

/** Strings are messages and their parameters; objects are redacted as fields. A bare error would lend the line its message. */
function redactArguments([first, ...rest]: readonly unknown[]): unknown[] {
  const strings = rest.map((argument) => (typeof argument === "string" ? redactText(argument) : argument));
  if (typeof first === "string") return [redactText(first), ...strings];
  if (first instanceof Error) return [{ err: first }, ...(strings.length > 0 ? strings : [redactText(first.message)])];
  return [first, ...strings];
}

/** pino-pretty as a stream in this process: its worker-thread transport would lose the last lines before an exit. */
function prettyInto(sink: LogSink, color: boolean): LogSink {
  const format = pretty.prettyFactory({
    colorize: color,
    colorizeObjects: false,
    translateTime: "SYS:HH:MM:ss.l",
    ignore: "pid,hostname",
    singleLine: true,
  });
  return { write: (line) => sink.write(format(line) ?? line) };
}
