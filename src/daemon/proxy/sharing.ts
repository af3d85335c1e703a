/**
 * Equal calls that are under way at the same time share one answer. Whoever asks joins the flight, and who goes away leaves it; it is broken off when
 * the last one has gone.
 */
export class Sharing<T> {
  readonly #limit: number;
  readonly #byKey = new Map<string, Flight<T>>();
  readonly #flights = new Set<Flight<T>>();

  constructor(options: { readonly limit: number }) {
    this.#limit = options.limit;
  }

  /** Breaks off all that is under way. */
  close(reason: unknown): void {
    for (const { control } of this.#flights) control.abort(reason);
  }

  /** `key` null: not shared. Beyond the limit a call has a flight of its own. Rejects as `begin` does, or with the signal's reason. */
  async join(
    key: string | null,
    begin: (signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<{ readonly value: T; readonly shared: boolean }> {
    signal.throwIfAborted();
    const known = key === null ? undefined : this.#byKey.get(key);
    const flight = known ?? this.#begin(key, begin);
    flight.aboard++;
    let leave = (): void => {};
    const left = new Promise<never>((_, reject) => {
      leave = () => {
        if (--flight.aboard === 0) {
          this.#forget(flight);
          flight.control.abort(signal.reason);
        }
        reject(signal.reason);
      };
    });
    signal.addEventListener("abort", leave, { once: true });
    try {
      return { value: await Promise.race([flight.promise, left]), shared: known !== undefined };
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  #begin(key: string | null, begin: (signal: AbortSignal) => Promise<T>): Flight<T> {
    const control = new AbortController();
    const promise = begin(control.signal);
    const flight = { key: this.#byKey.size < this.#limit ? key : null, promise, control, aboard: 0 };
    this.#flights.add(flight);
    if (flight.key !== null) this.#byKey.set(flight.key, flight);
    const landed = (): void => {
      this.#flights.delete(flight);
      this.#forget(flight);
    };
    promise.then(landed, landed);
    return flight;
  }

  /** Nobody may join any more. */
  #forget(flight: Flight<T>): void {
    if (flight.key !== null && this.#byKey.get(flight.key) === flight) this.#byKey.delete(flight.key);
  }
}

interface Flight<T> {
  readonly key: string | null;
  readonly promise: Promise<T>;
  readonly control: AbortController;
  aboard: number;
}
