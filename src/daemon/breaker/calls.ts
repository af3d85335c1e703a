/**
 * The calls that are out, of all breakers of a pool. Tokens count up; a token's place is its low bits, and a place that is taken is passed over.
 * So a token that was given back, or was never given out, is not the one that stands in its place, until 2^31 calls later. A token is a small
 * integer, and places are made when the table grows: nothing is allocated for a call.
 */
export const MOST_CALLS = 65_536;
export const FIRST_CALLS = 64;
export const MOST_TOKEN = 0x7fffffff;
/** Places that are looked at before a table that may grow does so. */
export const TRIES = 16;

/** An object and not numbers of a typed array: a field is read with one check for all of them, not with one for each. */
export class Place {
  /** Of the call that is out; 0 where none is. */
  token = 0;
  handle = 0;
  quantum = 0;
  /** Monotonic whole ms, the low 32 bits of them: `abandonMs` is a day at most. */
  startedMs = 0;
}

export function placesFor(calls: number): Place[] {
  return Array.from({ length: calls }, () => new Place());
}

/** Twice the table: tokens that had places of their own have so in it, too. */
export function doubled(places: readonly Place[]): Place[] {
  const more = placesFor(2 * places.length);
  for (const place of places) if (place.token !== 0) more[place.token & (more.length - 1)] = place;
  return more;
}
