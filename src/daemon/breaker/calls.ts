/**
 * The calls that are out, of all breakers of a pool: one slot each, linked per breaker in the order in which they started, so that the oldest
 * is found at once and any can leave. A token is a slot's number and its turn (16 + 15 bits, a small integer, so that none is allocated):
 * a token that was given back, or never given out, does not match the turn. Free slots queue up, so a turn comes round again after 2^15 times the
 * slots, 33 million calls at least.
 */
export const MOST_CALLS = 65_536;
const FIRST_CALLS = 1_024;
const TURNS = 0x7fff;

export class Calls {
  startedAt = new Float64Array(FIRST_CALLS);
  generation = new Int32Array(FIRST_CALLS);
  owner = new Int32Array(FIRST_CALLS).fill(-1);
  next = new Int32Array(FIRST_CALLS);
  previous = new Int32Array(FIRST_CALLS);
  /** 1: was seen overdue; 2: counted as overdue. */
  marks = new Uint8Array(FIRST_CALLS);
  #turn = new Uint16Array(FIRST_CALLS).fill(1);
  #free = new Int32Array(FIRST_CALLS);
  #head = 0;
  #left = FIRST_CALLS;

  constructor() {
    for (let slot = 0; slot < FIRST_CALLS; slot++) this.#free[slot] = slot;
  }

  get size(): number {
    return this.startedAt.length;
  }

  get out(): number {
    return this.size - this.#left;
  }

  /** A slot, or -1 where `MOST_CALLS` are out. */
  take(): number {
    if (this.#left === 0 && !this.#grow()) return -1;
    const slot = this.#free[this.#head] as number;
    this.#head = (this.#head + 1) & (this.size - 1);
    this.#left--;
    return slot;
  }

  tokenOf(slot: number): number {
    return ((this.#turn[slot] as number) << 16) | slot;
  }

  /** The slot of a token that is out, else -1. */
  slotOf(token: number): number {
    const slot = token & 0xffff;
    return this.#turn[slot] === token >> 16 && token > 0 && (this.owner[slot] as number) >= 0 ? slot : -1;
  }

  give(slot: number): void {
    const turn = this.#turn[slot] as number;
    this.#turn[slot] = turn === TURNS ? 1 : turn + 1;
    this.owner[slot] = -1;
    this.#free[(this.#head + this.#left) & (this.size - 1)] = slot;
    this.#left++;
  }

  #grow(): boolean {
    const before = this.size;
    if (before === MOST_CALLS) return false;
    const size = before * 2;
    const longer = <T extends { set(from: T): void }>(column: T, made: T): T => {
      made.set(column);
      return made;
    };
    this.startedAt = longer(this.startedAt, new Float64Array(size));
    this.generation = longer(this.generation, new Int32Array(size));
    this.owner = longer(this.owner, new Int32Array(size).fill(-1));
    this.next = longer(this.next, new Int32Array(size));
    this.previous = longer(this.previous, new Int32Array(size));
    this.marks = longer(this.marks, new Uint8Array(size));
    this.#turn = longer(this.#turn, new Uint16Array(size).fill(1));
    this.#free = new Int32Array(size);
    for (let i = 0; i < before; i++) this.#free[i] = before + i;
    this.#head = 0;
    this.#left = before;
    return true;
  }
}
