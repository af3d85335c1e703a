/** Who votes on Solana, and what changed since the snapshot before. */
import type { SvmStatsBody } from "../../shared/stats-api.ts";
import { ascending, ratio, rfc3339, sum } from "./figures.ts";
import type { Validator, VoteSnapshot } from "./types.ts";

type Report = NonNullable<SvmStatsBody["validators"]>;
type Changes = NonNullable<Report["changes"]>;

const MAX_VALIDATORS = 10_000;
const LARGEST = 20;

export class Validators {
  #report: Report | null = null;
  #changes: Changes | null = null;
  #known = new Map<string, Validator>();

  /** A newer snapshot; null where the node tells nothing any more: the next one is then compared with the last that came. */
  take(snapshot: VoteSnapshot | null, nowMs: number | null): void {
    if (snapshot === null) {
      this.#report = null;
      return;
    }
    const validators = snapshot.validators.slice(0, MAX_VALIDATORS);
    const before = this.#known;
    this.#known = new Map(validators.map((validator) => [validator.vote, validator]));
    const changes = before.size === 0 ? null : changesOf(before, this.#known, nowMs);
    // stakes move once an epoch, and snapshots come all the time
    if (changes !== null && countOf(changes) > 0) this.#changes = changes;
    const delinquent = validators.filter((validator) => validator.delinquent);
    const stake = stakeOf(validators);
    const delinquentStake = stakeOf(delinquent);
    this.#report = {
      count: validators.length,
      delinquent: delinquent.length,
      stake_lamports: `${stake}`,
      delinquent_stake_lamports: `${delinquentStake}`,
      delinquent_stake_share: ratio(delinquentStake, stake),
      changes: this.#changes,
    };
  }

  report(): Report | null {
    return this.#report;
  }
}

function stakeOf(validators: readonly Validator[]): bigint {
  return sum(validators.map(({ stakeLamports }) => stakeLamports));
}

function countOf({ joined, left, became_delinquent, recovered, moved }: Changes): number {
  return joined.count + left.count + became_delinquent.count + recovered.count + moved.count;
}

function changesOf(
  before: ReadonlyMap<string, Validator>,
  now: ReadonlyMap<string, Validator>,
  nowMs: number | null,
): Changes {
  const stayed = [...now.values()].flatMap((validator) => {
    const old = before.get(validator.vote);
    return old === undefined ? [] : [{ old, validator }];
  });
  const moved = stayed
    .filter(({ old, validator }) => old.stakeLamports !== validator.stakeLamports)
    .sort((a, b) => ascending(moveOf(b), moveOf(a)));
  return {
    at: nowMs === null ? null : rfc3339(nowMs / 1_000),
    joined: largest([...now.values()].filter(({ vote }) => !before.has(vote))),
    left: largest([...before.values()].filter(({ vote }) => !now.has(vote))),
    became_delinquent: largest(
      stayed.filter(({ old, validator }) => !old.delinquent && validator.delinquent).map((each) => each.validator),
    ),
    recovered: largest(
      stayed.filter(({ old, validator }) => old.delinquent && !validator.delinquent).map((each) => each.validator),
    ),
    moved: {
      count: moved.length,
      largest: moved.slice(0, LARGEST).map(({ old, validator }) => ({
        vote: validator.vote,
        node: validator.node,
        from_lamports: `${old.stakeLamports}`,
        to_lamports: `${validator.stakeLamports}`,
      })),
    },
  };
}

function moveOf({ old, validator }: { readonly old: Validator; readonly validator: Validator }): bigint {
  const move = validator.stakeLamports - old.stakeLamports;
  return move < 0n ? -move : move;
}

function largest(validators: Validator[]): Changes["joined"] {
  const sorted = validators.sort((a, b) => ascending(b.stakeLamports, a.stakeLamports)).slice(0, LARGEST);
  const told = sorted.map(({ vote, node, stakeLamports }) => ({ vote, node, stake_lamports: `${stakeLamports}` }));
  return { count: validators.length, largest: told };
}
