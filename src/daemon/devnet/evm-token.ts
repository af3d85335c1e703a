/** A contract for something to watch: whoever made it holds all tokens, and any call with (selector, to, amount) moves some. */

const TRANSFER_SELECTOR = "a9059cbb";
/** Keccak-256 of `Transfer(address,address,uint256)`, as in ERC-20. */
export const TRANSFER_TOPIC = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
export const TOKEN_SUPPLY = 10n ** 24n;

/** Its storage holds the tokens of an address in the slot of that number. */
const RUNTIME = [
  // amount, and revert where the caller has less
  "602435 80 3354 10 6051 57",
  // storage[caller] -= amount, storage[to] += amount
  "80 3354 03 3355",
  "80 600435 54 01 600435 55",
  // log3(amount; Transfer, caller, to)
  `6000 52 600435 33 7f${TRANSFER_TOPIC.slice(2)} 6020 6000 a3`,
  // return 1; the place to revert from
  "6001 6000 52 6020 6000 f3",
  "5b 6000 6000 fd",
]
  .join("")
  .replaceAll(" ", "");

const byte = (value: number): string => value.toString(16).padStart(2, "0");

/** storage[caller] = supply, then the runtime is copied and returned. */
function initCode(): string {
  const supply = TOKEN_SUPPLY.toString(16);
  const length = byte(RUNTIME.length / 2);
  const store = `${byte(0x5f + supply.length / 2)}${supply}3355`;
  const offset = byte(store.length / 2 + 11);
  return `${store}60${length}8060${offset}6000396000f3${RUNTIME}`;
}

export const TOKEN_CODE = `0x${RUNTIME}`;
export const TOKEN_INIT_CODE = `0x${initCode()}`;

/** The data of a call that moves `amount` to the address `to`. */
export function transferCall(to: string, amount: bigint): string {
  return `0x${TRANSFER_SELECTOR}${word(to)}${amount.toString(16).padStart(64, "0")}`;
}

/** An address as the 32 bytes of a topic or a slot, without 0x. */
export function word(address: string): string {
  return address.slice(2).padStart(64, "0");
}
