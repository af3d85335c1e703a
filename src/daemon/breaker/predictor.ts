/**
 * The failure predictor of ENTERPRISE: logistic regression, learnt while running, over what the last tenths of a second looked like.
 *
 *     p = 1 / (1 + e^−(w·x))        w ← w + η·(y − p)·x − η·λ·w
 *
 * x: failure rate, slow share, calls in flight against what is usual, latency against the baseline, evidence, and how failure rate and calls in
 * flight change. y: whether the breaker opened within the next two seconds; each x waits in a ring until that is known, so the model learns from what
 * it could have known then. Weights are bounded, 8 numbers, no randomness.
 *
 * It warns at p ≥ ½ and takes 15 % off the evidence asked for. It never opens alone. It keeps its own record: warnings that were followed by an
 * opening and that were not. Below a precision of ½ over its last warnings it is off, and goes on learning; above, on again.
 */
export const FEATURES = 7;
/** Feature vectors that wait for their answer: 20 of 100 ms. */
const HORIZON = 20;
/** Looks within which a warning must come true: it may be earlier than what was learnt from. */
const PATIENCE = 30;
const RATE = 1;
const SHRINK = 0.00002;
const BOUND = 20;
/** An opening is rare: it is learnt from with this weight. */
const RARE = 3;
const WARN_FROM = 0.5;
export const PREDICTOR_SHARE = 0.85;

export interface PredictorRecord {
  readonly warnings: number;
  readonly right: number;
  readonly opened: number;
  readonly foreseen: number;
  readonly on: boolean;
}

export class FailurePredictor {
  readonly #weights = new Float64Array(FEATURES + 1);
  readonly #ring = new Float32Array(HORIZON * FEATURES);
  readonly #warned = new Uint8Array(HORIZON);
  #filled = 0;
  #next = 0;
  #precision = 0.5;
  #warnings = 0;
  #right = 0;
  #opened = 0;
  #foreseen = 0;
  #warning = false;
  #untilQuiet = 0;

  constructor() {
    this.#weights[FEATURES] = -3;
  }

  /** True while it expects an opening and its record is good enough to be heard. */
  get warning(): boolean {
    return this.#warning && this.#precision >= 0.5 && this.#warnings >= 1;
  }

  record(): PredictorRecord {
    const on = this.#precision >= 0.5;
    return { warnings: this.#warnings, right: this.#right, opened: this.#opened, foreseen: this.#foreseen, on };
  }

  /** One look. Returns p. */
  look(features: Float32Array): number {
    if (this.#filled === HORIZON) this.#learn(this.#next, 0);
    else this.#filled++;
    this.#ring.set(features, this.#next * FEATURES);
    const p = this.#probability(this.#next);
    const warns = p >= WARN_FROM;
    this.#warned[this.#next] = warns ? 1 : 0;
    this.#next = (this.#next + 1) % HORIZON;
    if (warns && !this.#warning && this.#untilQuiet === 0) {
      this.#warnings++;
      this.#untilQuiet = PATIENCE;
    } else if (this.#untilQuiet > 0 && --this.#untilQuiet === 0) this.#judge(0);
    this.#warning = warns;
    return p;
  }

  /** The breaker opened: all that waits was before it. */
  opened(): void {
    this.#opened++;
    for (let back = 1; back <= this.#filled; back++) this.#learn((this.#next - back + HORIZON) % HORIZON, 1);
    if (this.#untilQuiet > 0) {
      this.#right++;
      this.#foreseen++;
      this.#judge(1);
    }
    this.#untilQuiet = 0;
    this.#filled = 0;
    this.#next = 0;
    this.#warning = false;
  }

  #judge(right: 0 | 1): void {
    this.#precision += 0.2 * (right - this.#precision);
  }

  #probability(at: number): number {
    let sum = this.#weights[FEATURES] ?? 0;
    for (let k = 0; k < FEATURES; k++) sum += (this.#weights[k] ?? 0) * (this.#ring[at * FEATURES + k] ?? 0);
    return 1 / (1 + Math.exp(-sum));
  }

  #learn(at: number, label: 0 | 1): void {
    const step = RATE * (label - this.#probability(at)) * (label === 1 ? RARE / HORIZON : 1 / HORIZON);
    for (let k = 0; k <= FEATURES; k++) {
      const x = k === FEATURES ? 1 : (this.#ring[at * FEATURES + k] ?? 0);
      const weight = this.#weights[k] ?? 0;
      this.#weights[k] = Math.min(
        BOUND,
        Math.max(-BOUND, weight + step * x - (k === FEATURES ? 0 : SHRINK * RATE * weight)),
      );
    }
  }
}
