/** Secrets do not leave the program in a log, an error, an API answer or a dump: this is the one place that takes them out. */

const URLS = /\S*:\/\/\S*/g;
const NAMED_SECRET = /(\bbearer\s+|authorization["']?\s*[:=]\s*["']?\w+\s+)[A-Za-z0-9+/=_.~-]{8,}/gi;
const HIDDEN = "***";

/** Names whose values are never shown, wherever they stand in an object. */
export const SECRET_KEY = /pass(?:word|phrase)?$|secret|token$|^(?:set-)?cookie$|api_?key|authorization|credential/i;

/**
 * Takes the credentials out of every URL in `text` (user and password, also of a URL in a parameter; parameters named like
 * a secret; path parts as long as an access key, also of the URL in rpc=) and what an Authorization header holds.
 */
export function redactText(text: string): string {
  return text.replace(URLS, redactUrl).replace(NAMED_SECRET, `$1${HIDDEN}`);
}

function redactUrl(url: string): string {
  const clean = url
    .replace(/:\/\/[^/?#\s]*@/g, `://${HIDDEN}@`)
    .replace(/%3A%2F%2F(?:(?!%2F|%3F)[^/?#&\s])*?%40/gi, `%3A%2F%2F${HIDDEN}%40`)
    .replace(/([?&][^=&#\s]*(?:key|token|secret|pass|auth)[^=&#\s]*=)[^&#\s]*/gi, `$1${HIDDEN}`)
    .replace(/((?:%3F|%26)[\w.-]*(?:key|token|secret|pass|auth)[\w.-]*%3D)(?:(?!%26|%23)[^&#\s])*/gi, `$1${HIDDEN}`)
    .replace(/^[^?#]*|[?&]rpc=[^&#]*/gi, (part) =>
      part.replace(/(\/|%2F)[\w-]{20,}(?=\/|%2F|\?|%3F|$)/gi, `$1${HIDDEN}`),
    );
  // Something still stands before an @: a password with a slash or a question mark in it. Better to show too little.
  if (/(?:^|[^*])(?:@|%40)/i.test(clean)) return clean.replace(/:\/\/.*(?:@|%40)/i, `://${HIDDEN}@`);
  return clean;
}

const MAX_DEPTH = 8;

/** A copy of `value` fit to be shown: secrets by name and by form are gone, errors are plain fields. Cycles and depths end in a word. */
export function redactValue(value: unknown, depth = 0): unknown {
  if (typeof value === "string") return redactText(value);
  if (typeof value === "bigint") return value.toString();
  if (value === null || typeof value !== "object") return value;
  if (depth >= MAX_DEPTH) return "[deeper]";
  if (Array.isArray(value)) return value.map((item) => redactValue(item, depth + 1));
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof Date) return value.toISOString();
  if (value instanceof URL) return redactText(value.href);
  return redactFields(value, depth);
}

function redactFields(value: object, depth: number): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  if (value instanceof Error) {
    shown["type"] = value.name;
    shown["message"] = redactText(value.message);
    if (value.stack !== undefined) shown["stack"] = redactText(value.stack);
    if (value.cause !== undefined) shown["cause"] = redactValue(value.cause, depth + 1);
  }
  for (const [key, field] of Object.entries(value)) {
    if (value instanceof Error && key === "name") continue;
    shown[key] = SECRET_KEY.test(key) && field !== null ? HIDDEN : redactValue(field, depth + 1);
  }
  return shown;
}
