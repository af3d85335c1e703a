/** The door of the watch lists: what clients look for, and what becomes of it. */
export { WatchBook } from "./book.ts";
export type {
  SavedTrack,
  UnspentPage,
  WatchBlock,
  WatchedOutput,
  WatchList,
  WatchListDraft,
  WatchModules,
  WatchOptions,
  WatchRefusal,
  WatchSaved,
  WatchSource,
} from "./types.ts";
