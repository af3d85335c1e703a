/** What a node refuses a call with, as the error object of the answer: bitcoind's codes (`rpc/protocol.h`), and those of EIP-1474. */
export const RPC_CODE = {
  PARSE_ERROR: -32700,
  INVALID_REQUEST: -32600,
  METHOD_NOT_FOUND: -32601,
  MISC_ERROR: -1,
  TYPE_ERROR: -3,
  INVALID_ADDRESS_OR_KEY: -5,
  INVALID_PARAMETER: -8,
  INVALID_PARAMS: -32602,
  RESOURCE_UNAVAILABLE: -32000,
  LIMIT_EXCEEDED: -32005,
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
