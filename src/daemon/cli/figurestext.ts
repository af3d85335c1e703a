/** Figures as people read them. Nothing here asks anybody. */

const PREFIXES = ["", "k", "M", "G", "T", "P", "E", "Z", "Y"];
const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/** "712 EH/s", "6.37 M": three figures and the prefix that fits. */
export function scaled(value: number, unit = ""): string {
  let [rest, prefix] = [value, 0];
  // 999.6 would be told as 1000.
  while (Math.abs(rest) >= 999.5 && prefix < PREFIXES.length - 1) [rest, prefix] = [rest / 1_000, prefix + 1];
  return `${threeFigures(rest)} ${PREFIXES[prefix] ?? ""}${unit}`.trimEnd();
}

/** 0.605, 17.4, 312, 1234567 (never in powers of ten where digits do). */
export function threeFigures(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size >= 99.95 || value === 0) return String(Math.round(value));
  if (size < 0.001) return value.toExponential(1);
  return String(Number(value.toPrecision(3)));
}

/** 12,345 */
export function grouped(value: number | bigint): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
}

/** A share of 0-1. */
export function percent(share: number): string {
  const value = share * 100;
  return `${value >= 99.95 || value === 0 ? Math.round(value) : value.toFixed(1)} %`;
}

export function signed(value: number, unit: string): string {
  return `${value > 0 ? "+" : ""}${value.toFixed(value !== 0 && Math.abs(value) < 10 ? 1 : 0)}${unit}`;
}

/** A bar of at most `width` letters, to an eighth of one; what there is of something is seen, however little. */
export function bar(share: number, width: number): string {
  const bounded = Math.min(1, Math.max(0, share));
  const eighths = Math.max(bounded > 0 ? 1 : 0, Math.round(bounded * width * 8));
  return "█".repeat(Math.floor(eighths / 8)) + (EIGHTHS[eighths % 8] ?? "");
}

/** A bar whose whole length is seen. */
export function gauge(share: number, width: number): string {
  return bar(share, width).padEnd(width, "░");
}

/** A count of base units, decimal, with its point `decimals` from the right: "312500000", 8 → "3.125". */
export function coins(units: string, decimals: number): string {
  const digits = units.padStart(decimals + 1, "0");
  const whole = grouped(BigInt(digits.slice(0, -decimals)));
  const fraction = digits.slice(-decimals).replace(/0+$/, "");
  return fraction === "" ? whole : `${whole}.${fraction}`;
}

const GWEI = 1_000_000_000;

/** Without its unit, which a row tells once. */
export function inGwei(wei: string): string {
  return threeFigures(Number(wei) / GWEI);
}

/** With its unit: what is far below a gwei is told in wei. */
export function gwei(wei: string): string {
  return Number(wei) < 100_000 ? `${grouped(BigInt(wei))} wei` : `${inGwei(wei)} gwei`;
}

/** "9m41s", "2d4h": the two largest units. */
export function span(seconds: number): string {
  if (seconds < 10) return `${threeFigures(seconds)}s`;
  const whole = Math.round(seconds);
  const parts = [
    [Math.floor(whole / 86_400), "d"],
    [Math.floor((whole % 86_400) / 3_600), "h"],
    [Math.floor((whole % 3_600) / 60), "m"],
    [whole % 60, "s"],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count}${unit}`)
    .join("");
}

/** "1 block", "2 blocks" */
export function counted(count: number, word: string): string {
  return `${grouped(count)} ${word}${count === 1 ? "" : "s"}`;
}
