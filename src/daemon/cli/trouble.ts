/** An upstream's trouble where its name or address stands beside: only what is wrong. */

const AT_A_NODE = /^(?:\w+: )?expected an? (?:beacon )?node at \S+, got: /;
const AT_AN_ADDRESS = /^[a-z0-9+]+:\/\/\S+: /;

export function causeOf(message: string): string {
  return message.replace(AT_A_NODE, "").replace(AT_AN_ADDRESS, "");
}
