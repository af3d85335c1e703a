/** Who waits how long inside a tier's window, and the one wheel that all waiting deliveries turn on. */
import type { Cancel, Clock } from "../../shared/clock.ts";

/** Timers fire a little late: delays end this much before the window does. */
const LATENESS_MS = 2;

/**
 * Spreads subscribers over a window: unpredictable from outside (the seed comes from the system's generator), different for each
 * subscriber, and different again after each block, so that nobody is first for long and a thousand clients do not wake at once.
 */
export class PacingEntropy {
  readonly #state = new Uint32Array(8);

  /** `seed`: 32 bytes of the system's generator. */
  constructor(seed: Uint8Array) {
    const view = new DataView(seed.buffer, seed.byteOffset, 32);
    for (let index = 0; index < 8; index++) this.#state[index] = view.getUint32(4 * index);
  }

  /** Mixes a new block's hash (hex) into the state. */
  stir(hash: string): void {
    let carry = 0;
    for (let index = 0; index < 8; index++) {
      const word = Number.parseInt(hash.slice(8 * index, 8 * index + 8), 16) || 0;
      carry = scramble(this.#word(index) ^ word ^ carry);
      this.#state[index] = carry;
    }
    // A second round, so that the first words depend on the last ones too.
    for (let index = 0; index < 8; index++) carry = this.#state[index] = scramble(this.#word(index) + carry);
  }

  /** A number for a new subscriber to be told apart by. */
  salt(counter: number): number {
    return scramble(scramble(this.#word(6) + counter) ^ this.#word(7));
  }

  /** Ms that the subscriber with `salt` waits for events of the newest block. */
  delay(salt: number, window: { readonly min: number; readonly max: number }): number {
    const fraction = scramble(scramble(salt ^ this.#word(0)) + this.#word(1)) / 0x1_0000_0000;
    return window.min + fraction * Math.max(0, window.max - window.min - LATENESS_MS);
  }

  #word(index: number): number {
    return this.#state[index] ?? 0;
  }
}

/** A 32-bit permutation in which each bit of the input moves about half of the output (murmur3's last step). */
function scramble(value: number): number {
  let z = value >>> 0;
  z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
  z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
  return (z ^ (z >>> 16)) >>> 0;
}

/** Two seconds of 1 ms slots; what falls due later is looked at again by then. */
const SLOTS = 2_048;

/** The clock is read once for so many deliveries. */
export const CHUNK = 32;

/** A timing wheel: any number of things that fall due, one timer. */
export class TimingWheel<T> {
  readonly #clock: Clock;
  readonly #due: (item: T, now: number) => void;
  readonly #slots: T[][] = Array.from({ length: SLOTS }, () => []);
  #waiting = 0;
  /** The last millisecond that was served. */
  #served = 0;
  #armedFor = Number.POSITIVE_INFINITY;
  #cancel: Cancel | null = null;
  #turning = false;

  /** `due` is called once for each scheduled item, never before its time, except for times beyond the wheel; `now` is monotonic ms. */
  constructor(clock: Clock, due: (item: T, now: number) => void) {
    this.#clock = clock;
    this.#due = due;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** `at`: monotonic ms. Items of the same millisecond fall due in the order in which they came. */
  schedule(item: T, at: number): void {
    const now = this.#clock.now();
    if (this.#waiting === 0) this.#served = Math.floor(now);
    const tick = Math.min(Math.max(Math.ceil(at), this.#served + 1), this.#served + SLOTS - 1);
    this.#slot(tick).push(item);
    this.#waiting++;
    if (tick < this.#armedFor && !this.#turning) this.#arm(tick, now);
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#armedFor = Number.POSITIVE_INFINITY;
    for (const slot of this.#slots) slot.length = 0;
    this.#waiting = 0;
  }

  #turn(): void {
    this.#armedFor = Number.POSITIVE_INFINITY;
    this.#turning = true;
    const until = Math.floor(this.#clock.now());
    while (this.#served < until && this.#waiting > 0) {
      this.#served++;
      const slot = this.#slot(this.#served);
      if (slot.length > 0) this.#serve(slot);
    }
    this.#turning = false;
    if (this.#waiting === 0) return;
    let next = this.#served + 1;
    while (this.#slot(next).length === 0) next++;
    this.#arm(next, this.#clock.now());
  }

  #serve(slot: T[]): void {
    this.#slots[this.#served % SLOTS] = [];
    this.#waiting -= slot.length;
    let now = 0;
    for (const [index, item] of slot.entries()) {
      if (index % CHUNK === 0) now = this.#clock.now();
      this.#due(item, now);
    }
  }

  #arm(tick: number, now: number): void {
    this.#cancel?.();
    this.#armedFor = tick;
    this.#cancel = this.#clock.after(Math.max(0, Math.ceil(tick - now)), () => this.#turn());
  }

  #slot(tick: number): T[] {
    return this.#slots[tick % SLOTS] as T[];
  }
}
