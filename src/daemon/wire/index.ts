/** The P2P message grammar of the Bitcoin family: bytes to messages and back. Owns framing, encodings and their bounds;
 *  does not own sockets, chain rules, or what to do about a message. */
export { ByteReader, ByteWriter, HASH_BYTES, hashBytes } from "./bytes.ts";
export { FRAME_BYTES, MAX_PAYLOAD_BYTES, MessageReader, encodeMessage, sha256d } from "./frame.ts";
export type { MessageReaderModules, MessageReaderOptions } from "./frame.ts";
export {
  PROTOCOL,
  SERVICE,
  decodePing,
  decodeSendCompact,
  decodeVersion,
  encodePing,
  encodeSendCompact,
  encodeVersion,
} from "./handshake.ts";
export type { SendCompact, Version } from "./handshake.ts";
export {
  INV,
  MAX_HEADERS,
  MAX_LOCATOR,
  NO_STOP,
  decodeGetHeaders,
  decodeHeaders,
  decodeInventory,
  encodeGetHeaders,
  encodeHeaders,
  encodeInventory,
} from "./inventory.ts";
export type { Decode, GetHeaders, InventoryEntry } from "./inventory.ts";
export {
  decodeBlockTransactions,
  decodeCompactBlock,
  decodeGetBlockTransactions,
  encodeBlockTransactions,
  encodeCompactBlock,
  encodeGetBlockTransactions,
  peekCompactBlock,
  shortIdKey,
  shortIdOf,
} from "./compact.ts";
export type { BlockTransactions, CompactBlock, CompactHead, GetBlockTransactions, Prefilled } from "./compact.ts";
export {
  BASIC_FILTER,
  MAX_FILTERS,
  MAX_FILTER_HEADERS,
  decodeFilter,
  decodeFilterHeaders,
  decodeGetFilters,
  encodeFilter,
  encodeFilterHeaders,
  encodeGetFilters,
} from "./filters.ts";
export type { BlockFilter, FilterHeaders, GetFilters } from "./filters.ts";
export { transactionEnd, transactionIdOf, witnessIdOf } from "./transaction.ts";
export { decodeAddresses, decodeAddressesV2, encodeAddresses, encodeAddressesV2 } from "./address.ts";
export type { AddressNetwork, NodeAddress } from "./address.ts";
