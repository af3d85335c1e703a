/**
 * The calls that are out, of all breakers of a pool. Tokens count up; a token's place is its low bits, and a place that is taken is passed over.
 * So a token that was given back, or was never given out, is not the one that stands in its place, until 2^31 calls later. A token is a small
 * integer, and places are made when the table grows: nothing is allocated for a call.
 */
export const MOST_CALLS = 65_536;
const FIRST_CALLS = 64;
export const MOST_TOKEN = 0x7fffffff;
/** Places that are looked at before the table grows. */
const TRIES = 64;

/** An object and not numbers of a typed array: a field is read with one check for all of them, not with one for each. */
export class Place {
  /** Of the call that is out; 0 where none is. */
  token = 0;
  handle = 0;
  quantum = 0;
  /** Monotonic whole ms, the low 32 bits of them: `abandonMs` is a day at most. */
  startedMs = 0;
}

export class Calls {
  places: Place[] = places(FIRST_CALLS);
  mask = FIRST_CALLS - 1;
  /** The token that was given last. */
  last = 0;

  /** How many are out. A count, for reports. */
  get out(): number {
    return this.places.filter(({ token }) => token !== 0).length;
  }

  /** Sees to it that the place of the token after `last` is free. False where too many calls are out. */
  room(): boolean {
    for (let size = this.mask + 1; ; size = this.mask + 1) {
      for (let tries = size < MOST_CALLS ? TRIES : size; tries > 0; tries--) {
        const next = this.last === MOST_TOKEN ? 1 : this.last + 1;
        if (this.places[next & this.mask]?.token === 0) return true;
        this.last = next;
      }
      if (size === MOST_CALLS) return false;
      this.#grow();
    }
  }

  /** Tokens that had places of their own have so in twice the table. */
  #grow(): void {
    const more = places(2 * this.places.length);
    this.mask = more.length - 1;
    for (const place of this.places) if (place.token !== 0) more[place.token & this.mask] = place;
    this.places = more;
  }
}

function places(size: number): Place[] {
  return Array.from({ length: size }, () => new Place());
}
