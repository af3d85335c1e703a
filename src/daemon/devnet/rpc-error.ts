/** What a node refuses a call with: bitcoind's codes (`rpc/protocol.h`), as the error object of the answer. */
export const RPC_CODE = {
  PARSE_ERROR: -32700,
  INVALID_REQUEST: -32600,
  METHOD_NOT_FOUND: -32601,
  MISC_ERROR: -1,
  TYPE_ERROR: -3,
  INVALID_ADDRESS_OR_KEY: -5,
  INVALID_PARAMETER: -8,
} as const;

export type RpcCode = (typeof RPC_CODE)[keyof typeof RPC_CODE];

/** Thrown by a method; goes to the caller as it is and nowhere else. */
export class RpcRefusal extends Error {
  readonly rpcCode: RpcCode;

  constructor(rpcCode: RpcCode, message: string) {
    super(message);
    this.name = "RpcRefusal";
    this.rpcCode = rpcCode;
  }
}
