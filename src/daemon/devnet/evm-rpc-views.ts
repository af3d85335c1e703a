/** Blocks, transactions, receipts and logs as Ethereum's JSON-RPC writes them. */
import { type EvmHeader, GAS_PER_BLOB } from "../chain/index.ts";
import type { SignedTransaction } from "./evm-accounts.ts";
import type { EvmMinedBlock } from "./evm-miner.ts";

export type View = Readonly<Record<string, unknown>>;

export function quantity(value: bigint | number): string {
  return `0x${value.toString(16)}`;
}

/** As `newHeads` tells it, and as a block begins. */
export function headerView(header: EvmHeader): View {
  return {
    hash: header.hash,
    parentHash: header.parentHash,
    sha3Uncles: header.ommersHash,
    miner: header.beneficiary,
    stateRoot: header.stateRoot,
    transactionsRoot: header.transactionsRoot,
    receiptsRoot: header.receiptsRoot,
    logsBloom: header.logsBloom,
    difficulty: quantity(header.difficulty),
    number: quantity(header.number),
    gasLimit: quantity(header.gasLimit),
    gasUsed: quantity(header.gasUsed),
    timestamp: quantity(header.timestamp),
    extraData: header.extraData,
    mixHash: header.mixHash,
    nonce: header.nonce,
    baseFeePerGas: quantity(header.baseFeePerGas ?? 0n),
    withdrawalsRoot: header.withdrawalsRoot,
    blobGasUsed: quantity(header.blobGasUsed ?? 0n),
    excessBlobGas: quantity(header.excessBlobGas ?? 0n),
    parentBeaconBlockRoot: header.parentBeaconBlockRoot,
    requestsHash: header.requestsHash,
  };
}

export function blockView(block: EvmMinedBlock, full: boolean): View {
  return {
    ...headerView(block.header),
    size: quantity(block.sizeBytes),
    uncles: [],
    transactions: block.transactions.map((each, i) => (full ? transactionView(each, block, i) : each.hash)),
    withdrawals: block.withdrawals.map(({ index, validatorIndex, address, amount }) => ({
      index: quantity(index),
      validatorIndex: quantity(validatorIndex),
      address,
      amount: quantity(amount),
    })),
  };
}

/** Without a block it waits for one. */
export function transactionView(transaction: SignedTransaction, block: EvmMinedBlock | null, index: number): View {
  const { yParity, blobVersionedHashes } = transaction;
  const gasPrice = block?.receipts[index]?.effectiveGasPrice ?? transaction.maxFeePerGas;
  const blobs = { maxFeePerBlobGas: quantity(transaction.maxFeePerBlobGas), blobVersionedHashes };
  return {
    blockHash: block?.header.hash ?? null,
    blockNumber: block === null ? null : quantity(block.header.number),
    transactionIndex: block === null ? null : quantity(index),
    hash: transaction.hash,
    type: quantity(transaction.type),
    chainId: quantity(transaction.chainId),
    nonce: quantity(transaction.nonce),
    from: transaction.from,
    to: transaction.to,
    value: quantity(transaction.value),
    gas: quantity(transaction.gasLimit),
    gasPrice: quantity(gasPrice),
    maxFeePerGas: quantity(transaction.maxFeePerGas),
    maxPriorityFeePerGas: quantity(transaction.maxPriorityFeePerGas),
    input: transaction.input,
    accessList: [],
    ...(transaction.type === 3 ? blobs : {}),
    v: quantity(yParity),
    yParity: quantity(yParity),
    r: quantity(transaction.r),
    s: quantity(transaction.s),
  };
}

export function receiptView(block: EvmMinedBlock, index: number): View {
  const transaction = block.transactions[index] as SignedTransaction;
  const receipt = block.receipts[index] as EvmMinedBlock["receipts"][number];
  const blobs = {
    blobGasUsed: quantity(BigInt(transaction.blobVersionedHashes.length) * GAS_PER_BLOB),
    blobGasPrice: quantity(receipt.blobGasPrice),
  };
  return {
    blockHash: block.header.hash,
    blockNumber: quantity(block.header.number),
    transactionHash: transaction.hash,
    transactionIndex: quantity(index),
    type: quantity(transaction.type),
    status: receipt.succeeded ? "0x1" : "0x0",
    from: transaction.from,
    to: transaction.to,
    contractAddress: null,
    gasUsed: quantity(receipt.gasUsed),
    cumulativeGasUsed: quantity(receipt.cumulativeGasUsed),
    effectiveGasPrice: quantity(receipt.effectiveGasPrice),
    ...(transaction.type === 3 ? blobs : {}),
    logsBloom: receipt.logsBloom,
    logs: logViews(block, false).filter(({ transactionIndex }) => transactionIndex === quantity(index)),
  };
}

/** All logs of a block, in order. */
export function logViews(block: EvmMinedBlock, removed: boolean): View[] {
  const { hash, number, timestamp } = block.header;
  let logIndex = 0;
  return block.receipts.flatMap(({ logs }, index) =>
    logs.map(({ address, topics, data }) => ({
      address,
      topics,
      data,
      blockHash: hash,
      blockNumber: quantity(number),
      blockTimestamp: quantity(timestamp),
      transactionHash: block.transactions[index]?.hash,
      transactionIndex: quantity(index),
      logIndex: quantity(logIndex++),
      removed,
    })),
  );
}
