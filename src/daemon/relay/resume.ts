/**
 * What a subscriber has missed. While the log holds what followed its cursor, that is replayed as it was. Else (the daemon was
 * restarted, or too much has happened) it is told anew from the fork tree: the blocks since, behind a `reorg` where its newest block
 * is on a fork that is still known, behind a `gap` where something cannot be told any more. Never silence, never a duplicate.
 */
import type { BlockRef } from "../../shared/block.ts";
import type { Chain } from "../../shared/chain.ts";
import type { RefData } from "../../shared/events.ts";
import {
  advance,
  type ChainPosition,
  type Cursor,
  decodeCursor,
  encodeCursor,
  isAt,
  NO_RUN,
  type Point,
} from "./cursor.ts";
import { matches } from "./filter.ts";
import { GAP, type GapReason } from "./gap.ts";
import { type ChainIngest, refOf, reorgFact } from "./ingest.ts";
import type { EventLog } from "./log.ts";
import type { Filter, StreamDraft, StreamEvent, StreamFact, TreeNode } from "./types.ts";

export interface ResumeOptions {
  /** Events told to one returning subscriber; where more are due, a gap stands for them. */
  readonly maxEvents: number;
}

export const RESUME_DEFAULTS: ResumeOptions = { maxEvents: 2_000 };

export interface ResumeModules {
  readonly log: EventLog;
  readonly ingests: readonly ChainIngest[];
}

export interface Resumed {
  /** Everything since the cursor follows. False without a cursor, and where a gap is told. */
  readonly recovered: boolean;
  /** For `hello`: the position before `events`. */
  readonly cursor: string;
  /** Filtered, in order. To be handed to the hub in the same turn. */
  readonly backlog: readonly StreamEvent[];
  /** Chains that this daemon is behind the subscriber in, or still fetches: asked again a little later, the answer may need no gap. */
  readonly catchingUp: readonly Chain[];
  /** Bodies whose proof would make the answer better: of blocks that came while the daemon was away. Oldest first. */
  readonly unproved: readonly BlockRef[];
}

/** `cursor`: null for a subscriber that has none; it is told each chain's tip to begin with. */
export function resume(cursor: string | null, filter: Filter, options: ResumeOptions, modules: ResumeModules): Resumed {
  const read = cursor === null ? null : decodeCursor(cursor);
  return replay(read, cursor, filter, options, modules) ?? retell(read, cursor, filter, options, modules);
}

/** What followed exactly; null where the log does not hold it. */
function replay(
  read: Cursor | null,
  text: string | null,
  filter: Filter,
  options: ResumeOptions,
  { log }: ResumeModules,
): Resumed | null {
  if (read === null || text === null || read.run !== log.run) return null;
  const backlog = log.since(read.seq)?.filter((event) => matches(filter, event));
  if (backlog === undefined || backlog.length > options.maxEvents) return null;
  return { recovered: true, cursor: text, backlog, catchingUp: [], unproved: [] };
}

function retell(
  read: Cursor | null,
  text: string | null,
  filter: Filter,
  options: ResumeOptions,
  { log, ingests }: ResumeModules,
): Resumed {
  const positions = new Map(log.positions);
  const lines: Line[] = [];
  const catchingUp: Chain[] = [];
  const unproved: BlockRef[] = [];
  for (const ingest of ingests) {
    if (filter.chains !== null && !filter.chains.includes(ingest.chain)) continue;
    const story = new Story(ingest, read?.positions.get(ingest.chain) ?? null);
    if (text !== null && read === null) story.startOver(GAP.CURSOR_UNREADABLE);
    else if (story.position === null) story.snapshot();
    else story.tell(options.maxEvents - lines.length);
    // A snapshot cannot be told shorter.
    const tooMany = lines.length + story.lines.length > options.maxEvents;
    if (tooMany && story.before !== null) story.startOver(GAP.BACKLOG_TOO_LARGE);
    lines.push(...story.lines);
    if (story.isBehind) catchingUp.push(ingest.chain);
    unproved.push(...story.unproved);
    put(positions, ingest.chain, story.before);
  }
  const backlog: StreamEvent[] = [];
  for (const { draft, after } of lines) {
    put(positions, draft.chain, after);
    if (matches(filter, draft))
      backlog.push({ ...draft, seq: log.lastSeq, cursor: encodeCursor({ run: NO_RUN, seq: 0, positions }) });
  }
  // After the last of them the subscriber stands where everybody stands.
  const last = backlog.pop();
  if (last !== undefined) backlog.push({ ...last, cursor: log.cursor() });
  return {
    recovered: read !== null && backlog.every(({ type }) => type !== "gap"),
    cursor: read !== null && text !== null ? text : encodeCursor({ run: NO_RUN, seq: 0, positions: new Map() }),
    backlog,
    catchingUp,
    unproved,
  };
}

interface Line {
  readonly draft: StreamDraft;
  /** Where the subscriber stands after it. */
  readonly after: ChainPosition | null;
}

function put(positions: Map<Chain, ChainPosition>, chain: Chain, position: ChainPosition | null): void {
  if (position === null) positions.delete(chain);
  else positions.set(chain, position);
}

/** One chain's part, told from the fork tree. */
class Story {
  lines: Line[] = [];
  isBehind = false;
  readonly unproved: BlockRef[] = [];
  /** Where the subscriber stood. */
  readonly before: ChainPosition | null;
  /** Where it stands after `lines`. */
  position: ChainPosition | null;
  readonly #ingest: ChainIngest;

  constructor(ingest: ChainIngest, position: ChainPosition | null) {
    this.#ingest = ingest;
    this.before = position;
    this.position = position;
  }

  /** Everything since the position, at most about `room` events (more are not told, but counted by the caller). */
  tell(room: number): void {
    const { tree } = this.#ingest;
    const at = this.position?.announced;
    if (at === undefined) return;
    if (!this.#ingest.isLive) {
      this.isBehind = true;
      this.startOver(GAP.CATCHING_UP);
      return;
    }
    if (this.#known(at) === null) {
      const side = tree.findSide((block) => isAt(at, block));
      const path = side === null ? null : tree.pathBetween(side, tree.tip);
      if (path !== null) {
        for (const node of path.reverted) this.#addLogs(node, true);
        this.#add(reorgFact(path));
      } else if (!this.#fallBack()) return;
    }
    this.#waitForProofs();
    if (this.#ingest.tip.height - (this.position?.announced.height ?? 0) > room) this.startOver(GAP.BACKLOG_TOO_LARGE);
    else this.#goOn();
  }

  /** Forgets what was told: a gap, and the chain as a newcomer gets it. */
  startOver(reason: GapReason): void {
    const from = this.before === null ? null : this.#known(this.before.announced);
    const first = this.#ingest.isLive ? this.#snapshotFrom() : null;
    this.lines = [];
    this.position = null;
    this.#gap(from, first === null ? null : refOf(first), reason);
    this.position = null;
    this.snapshot();
  }

  /** For a newcomer: the tip, with all blocks below it whose proofs are still to come: the ingest bounds how many (`maxUnproved`). */
  snapshot(): void {
    if (!this.#ingest.isLive) return;
    const { tree } = this.#ingest;
    for (let node: TreeNode | null = this.#snapshotFrom(); node !== null; node = tree.at(node.block.height + 1))
      this.#announce(node);
    if (!this.#ingest.provesBodies || this.#ingest.provedHeight < this.#ingest.tip.height) return;
    const proof = this.#ingest.validatedFact(tree.tip);
    if (proof !== null) this.#add(proof, tree.tip);
    else this.#gap(null, refOf(tree.tip), GAP.BODY_UNAVAILABLE);
  }

  #snapshotFrom(): TreeNode {
    const { tree, provedHeight } = this.#ingest;
    return tree.at(provedHeight + 1) ?? tree.tip;
  }

  /** The newest block is not known here: goes back to the newest proved one, where that is. False: started over. */
  #fallBack(): boolean {
    const { tree, tip } = this.#ingest;
    const { announced, validated } = this.position as ChainPosition;
    const ahead = announced.height > tip.height;
    this.isBehind = ahead;
    const base = this.#known(validated);
    if (base === null) {
      this.startOver(ahead ? GAP.POSITION_AHEAD : GAP.POSITION_UNKNOWN);
      return false;
    }
    const next = tree.at(base.height + 1);
    this.#gap(base, next === null ? null : refOf(next), ahead ? GAP.POSITION_AHEAD : GAP.FORK_UNKNOWN);
    return true;
  }

  /** The subscriber has proofs that this daemon still makes, and will publish: it goes back to where ours have come. */
  #waitForProofs(): void {
    const { tree, provedHeight, provesBodies } = this.#ingest;
    if (!provesBodies || (this.position?.validated.height ?? 0) <= provedHeight) return;
    this.isBehind = true;
    const base = tree.at(provedHeight);
    const next = tree.at(provedHeight + 1);
    if (base === null) this.startOver(GAP.POSITION_AHEAD);
    else this.#gap(refOf(base), next === null ? null : refOf(next), GAP.POSITION_AHEAD);
  }

  /** The best chain above the position: announcements, proofs where they are out, finality. */
  #goOn(): void {
    const { tree, provedHeight, provesBodies, finalized } = this.#ingest;
    const { announced, validated, final } = this.position as ChainPosition;
    const proofsFrom = provesBodies ? validated.height + 1 : Number.POSITIVE_INFINITY;
    let unproved: { readonly from: RefData | null; to: RefData } | null = null;
    const first = Math.max(tree.oldest.block.height, Math.min(announced.height + 1, proofsFrom));
    for (let node = tree.at(first); node !== null; node = tree.at(node.block.height + 1)) {
      const { height } = node.block;
      if (height > announced.height) this.#announce(node);
      if (height < proofsFrom || height > provedHeight) continue;
      const proof = this.#ingest.validatedFact(node);
      if (proof === null) {
        if (this.#ingest.mayBeProved(node)) {
          this.isBehind = true;
          this.unproved.push(node.block);
        }
        unproved ??= { from: node.parent === null ? null : refOf(node.parent), to: refOf(node) };
        unproved.to = refOf(node);
        continue;
      }
      if (unproved !== null) this.#gap(unproved.from, unproved.to, GAP.BODY_UNAVAILABLE);
      unproved = null;
      this.#addLogs(node, false);
      this.#add(proof, node);
    }
    if (unproved !== null) this.#gap(unproved.from, unproved.to, GAP.BODY_UNAVAILABLE);
    for (let height = Math.max(final + 1, tree.oldest.block.height); height <= finalized; height++) {
      const node = tree.at(height);
      if (node !== null) this.#add({ type: "finalized", data: refOf(node) }, node);
    }
  }

  /** Of a block that was told as proved, or is told so now. */
  #addLogs(node: TreeNode, removed: boolean): void {
    const { validated, logsAhead } = this.position as ChainPosition;
    const { height } = node.block;
    const areOut = height <= validated.height || (logsAhead && height === validated.height + 1);
    if (removed !== areOut) return;
    const fact = this.#ingest.logFact(node, removed);
    if (fact === "gone") this.#gap(node.parent === null ? null : refOf(node.parent), refOf(node), GAP.LOGS_UNAVAILABLE);
    else if (fact !== null) this.#add(fact, node);
  }

  /** The best chain's block at a point, null where that is another or not kept. */
  #known(point: Point): RefData | null {
    const node = this.#ingest.tree.at(point.height);
    return node !== null && isAt(point, node.block as BlockRef) ? refOf(node) : null;
  }

  #announce(node: TreeNode): void {
    this.#add(this.#ingest.announcedFact(node), node);
  }

  #gap(from: RefData | null, to: RefData | null, reason: GapReason): void {
    this.#add({ type: "gap", data: { from, to, reason } });
  }

  #add(fact: StreamFact, cause: TreeNode = this.#ingest.tree.tip): void {
    const { chain, network } = this.#ingest;
    const draft: StreamDraft = { chain, network, receivedAt: this.#ingest.originOf(cause).receivedAt, ...fact };
    this.position = advance(this.position, draft);
    this.lines.push({ draft, after: this.position });
  }
}
