/** The door of the relay: blocks in, an ordered stream with promises out, to any number of subscribers. */
export { type Cursor, decodeCursor, encodeCursor } from "./cursor.ts";
export { GAP, type GapReason } from "./gap.ts";
export {
  type Arrival,
  ChainIngest,
  familyData,
  type IngestModules,
  type IngestOptions,
  type InvalidOutcome,
  type ProvedFacts,
} from "./ingest.ts";
export { EventLog, type LogOptions } from "./log.ts";
export { type Drop, Hub, type HubModules, type HubOptions, type HubStats, type Opening } from "./hub.ts";
export {
  type RaceArrival,
  type RaceBlock,
  RaceLedger,
  type RaceOptions,
  type RaceReport,
  type RaceStanding,
  type RaceWrong,
} from "./race.ts";
export { type AddOutcome, ForkTree, type TreeOptions, type TreeRoot } from "./tree.ts";
export type {
  Filter,
  LogDecoder,
  LogFilter,
  PassingDraft,
  PassingFact,
  PendingFilter,
  StreamDraft,
  StreamEvent,
  StreamFact,
  Subscriber,
  TreeNode,
} from "./types.ts";
export { resume, RESUME_DEFAULTS, type Resumed, type ResumeModules, type ResumeOptions } from "./resume.ts";
