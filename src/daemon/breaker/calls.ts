/**
 * The calls that are out, of all breakers of a pool. Tokens count up; a token's place is its low bits, and a place that is taken is passed over.
 * So a token that was given back, or was never given out, is not the one that stands in its place, until 2^31 calls later. A token is a small
 * integer: none is allocated.
 */
export const MOST_CALLS = 65_536;
const FIRST_CALLS = 256;
export const MOST_TOKEN = 0x7fffffff;
/** Places that are looked at before the table grows. */
const TRIES = 64;

/** Whole numbers of a place. */
export const PLACE_BITS = 2;
export const PLACE = 1 << PLACE_BITS;
export const TOKEN = 0;
export const HANDLE = 1;
export const CALL_QUANTUM = 2;
/** Monotonic whole ms, the low 32 bits of them: `abandonMs` is a day at most. */
export const STARTED_MS = 3;

export class Calls {
  places = new Int32Array(FIRST_CALLS * PLACE);
  mask = FIRST_CALLS - 1;
  /** The token that was given last. */
  last = 0;

  /** How many are out. A count, for reports. */
  get out(): number {
    let out = 0;
    for (let at = TOKEN; at < this.places.length; at += PLACE) if (this.places[at] !== 0) out++;
    return out;
  }

  /** Sees to it that the place of the token after `last` is free. False where too many calls are out. */
  room(): boolean {
    for (let size = this.mask + 1; ; size = this.mask + 1) {
      for (let tries = size < MOST_CALLS ? TRIES : size; tries > 0; tries--) {
        const next = this.last === MOST_TOKEN ? 1 : this.last + 1;
        if (this.places[(next & this.mask) * PLACE] === 0) return true;
        this.last = next;
      }
      if (size === MOST_CALLS) return false;
      this.#grow();
    }
  }

  /** Tokens that had places of their own have so in twice the table. */
  #grow(): void {
    const { places } = this;
    const size = 2 * (this.mask + 1);
    this.mask = size - 1;
    this.places = new Int32Array(size * PLACE);
    for (let at = 0; at < places.length; at += PLACE) {
      const token = places[at] as number;
      if (token === 0) continue;
      const to = token & this.mask;
      this.places.set(places.subarray(at, at + PLACE), to * PLACE);
    }
  }
}
