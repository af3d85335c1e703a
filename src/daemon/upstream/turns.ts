/** Lets so many through at a time; the others wait in line, and may leave it. */

export interface TurnsOptions {
  readonly atATime: number;
  /** Who comes when so many wait is turned away. */
  readonly waiting: number;
}

export class Turns {
  readonly #options: TurnsOptions;
  readonly #line: (() => void)[] = [];
  #running = 0;

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  /** How many wait. */
  get waiting(): number {
    return this.#line.length;
  }

  /** True: it is one's turn already, in this turn of the event loop. */
  takeNow(): boolean {
    if (this.#running >= this.#options.atATime) return false;
    this.#running++;
    return true;
  }

  /** Resolves when it is one's turn; rejects with the reason of the first signal that aborts, or with `full()`. `done` ends the turn. */
  async take(signals: readonly AbortSignal[], full: () => Error): Promise<void> {
    for (const signal of signals) signal.throwIfAborted();
    if (this.takeNow()) return;
    if (this.#line.length >= this.#options.waiting) throw full();
    await new Promise<void>((resolve, reject) => {
      const unhear = (): void => {
        for (const signal of signals) signal.removeEventListener("abort", leave);
      };
      const enter = (): void => {
        unhear();
        this.#running++;
        resolve();
      };
      const leave = (event: Event): void => {
        const at = this.#line.indexOf(enter);
        if (at < 0) return;
        this.#line.splice(at, 1);
        unhear();
        reject((event.target as AbortSignal).reason as Error);
      };
      for (const signal of signals) signal.addEventListener("abort", leave);
      this.#line.push(enter);
    });
  }

  done(): void {
    this.#running--;
    this.#line.shift()?.();
  }
}
